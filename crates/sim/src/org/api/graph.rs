//! `/composite/graph`: several graphs of calls in one; each graph is done as a whole or not at all.

use std::collections::BTreeSet;

use axum::http::Method;
use serde::Deserialize;

use super::composite::{Answers, Part, check_references, halted, run_all, write};
use super::reply::{ApiError, Call, Reply};
use super::route;
use crate::org::data::Database;
use crate::org::state::State;

/// The first version that has it.
const SINCE: u32 = 50;
const MOST_GRAPHS: usize = 75;
/// Nodes of all graphs together.
const MOST_NODES: usize = 500;
/// How many nodes may hang one from another.
const DEEPEST: usize = 15;
/// How many kinds of nodes, by method and object, a graph may have.
const MOST_KINDS: usize = 15;
/// With so many graphs failed the rest isn't tried.
const MOST_FAILED: usize = 14;

#[derive(Deserialize)]
struct Request {
    graphs: Vec<Graph>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Graph {
    graph_id: String,
    composite_request: Vec<Part>,
}

/// Answers `/composite/graph`: 200 for whatever is well formed.
pub(crate) fn answer(
    state: &State,
    database: &mut Database,
    call: &Call,
) -> Result<Reply, ApiError> {
    if call.version_number() < SINCE {
        return Err(ApiError::not_found());
    }
    if call.method != Method::POST {
        return Err(ApiError::method(&call.method, "POST"));
    }
    let request: Request = call.json()?;
    check(&request.graphs)?;
    let mut failures = 0;
    let mut out = b"{\"graphs\":[".to_vec();
    for (i, graph) in request.graphs.iter().enumerate() {
        let parts = &graph.composite_request;
        let (answers, failed) = if failures < MOST_FAILED {
            run_all(state, database, call, parts, true)
        } else {
            (untried(parts), true)
        };
        failures += usize::from(failed);
        let head = format!(
            "{}{{\"graphId\":\"{}\",\"graphResponse\":",
            if i > 0 { "," } else { "" },
            graph.graph_id
        );
        out.extend_from_slice(head.as_bytes());
        write(&mut out, &answers);
        out.extend_from_slice(format!(",\"isSuccessful\":{}}}", !failed).as_bytes());
    }
    out.extend_from_slice(b"]}");
    Ok(Reply::raw(200, out))
}

fn untried(parts: &[Part]) -> Answers {
    let message =
        format!("The graph wasn't processed because {MOST_FAILED} graphs before it failed.");
    parts.iter().map(|part| (halted(&message).reply(), part.reference_id.clone())).collect()
}

fn check(graphs: &[Graph]) -> Result<(), ApiError> {
    if graphs.is_empty() || graphs.len() > MOST_GRAPHS {
        return refuse(format!("a request takes 1 to {MOST_GRAPHS} graphs, not {}", graphs.len()));
    }
    let nodes: usize = graphs.iter().map(|graph| graph.composite_request.len()).sum();
    if nodes > MOST_NODES {
        return refuse(format!("a request takes at most {MOST_NODES} nodes, not {nodes}"));
    }
    let mut names = BTreeSet::new();
    for graph in graphs {
        let name = &graph.graph_id;
        let good = name.len() <= 40
            && name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if !good {
            return refuse(format!(
                "Provided graphId ('{name}') must start with a letter or a number"
            ));
        }
        if !names.insert(name) {
            return refuse(format!("Duplicate graphId provided: {name}"));
        }
        check_nodes(graph)?;
    }
    Ok(())
}

fn check_nodes(graph: &Graph) -> Result<(), ApiError> {
    let (name, parts) = (&graph.graph_id, &graph.composite_request);
    if parts.is_empty() {
        return refuse(format!("graph {name} has no nodes"));
    }
    check_references(parts)?;
    let mut kinds = BTreeSet::new();
    for part in parts {
        let path = part.url.split('?').next().unwrap_or_default();
        let path = route::split(path).map(|(_, path)| path).unwrap_or_default();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["sobjects", object] | ["sobjects", object, _] | ["sobjects", object, _, _]
                if path.get(2) != Some(&"describe") =>
            {
                kinds.insert((part.method.to_ascii_uppercase(), object.to_ascii_lowercase()));
            }
            _ => {
                return refuse(format!("{}: a graph's nodes are single records", part.url));
            }
        }
    }
    if kinds.len() > MOST_KINDS {
        return refuse(format!(
            "graph {name} has {} kinds of nodes, at most {MOST_KINDS} are allowed",
            kinds.len()
        ));
    }
    let depth = depth(parts);
    if depth > DEEPEST {
        return refuse(format!(
            "graph {name} is {depth} nodes deep, at most {DEEPEST} are allowed"
        ));
    }
    Ok(())
}

/// How many nodes hang one from another, at most.
fn depth(parts: &[Part]) -> usize {
    let mut depths: Vec<(&str, usize)> = Vec::with_capacity(parts.len());
    for part in parts {
        let text = format!("{}{}", part.url, part.body.clone().unwrap_or_default());
        let named = text.split("@{").skip(1).filter_map(|rest| rest.split(['.', '[', '}']).next());
        let above = named
            .filter_map(|name| depths.iter().find(|(known, _)| *known == name))
            .map(|(_, depth)| *depth);
        depths.push((&part.reference_id, above.max().unwrap_or(0) + 1));
    }
    depths.into_iter().map(|(_, depth)| depth).max().unwrap_or(0)
}

fn refuse(message: String) -> Result<(), ApiError> {
    Err(ApiError::new(400, "INVALID_INPUT", message))
}
