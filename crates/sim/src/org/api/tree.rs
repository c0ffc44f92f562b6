//! `/composite/tree/{type}`: records with their children in one call, all of them or none.

use std::collections::{BTreeSet, VecDeque};

use axum::http::Method;
use serde_json::{Map, Value as Json, json};
use sloe_core::ids::SfId;

use super::input::{Fault, assigns, object_of};
use super::records::must_be_writable;
use super::reply::{ApiError, Call, Reply};
use crate::org::data::{Assign, Database, RowError, Value};

/// Records of one call, kinds of them, and levels.
const MOST: usize = 200;
const MOST_KINDS: usize = 5;
const DEEPEST: usize = 5;

/// One record of the trees.
struct Node {
    reference: String,
    object: usize,
    fields: Map<String, Json>,
    /// Its parent's place among all nodes, and the field that refers to it.
    parent: Option<(usize, usize)>,
    level: usize,
}

type Faults = Vec<(String, Vec<RowError>)>;

/// Answers `/composite/tree/{type}`.
pub(crate) fn answer(database: &mut Database, call: &Call, name: &str) -> Result<Reply, ApiError> {
    if call.method != Method::POST {
        return Err(ApiError::method(&call.method, "POST"));
    }
    let object = object_of(database, name)?;
    must_be_writable(database, object)?;
    let request: Json = call.json()?;
    let nodes = match read(database, object, &request)? {
        Ok(nodes) => nodes,
        Err(faults) => return Ok(refused(&faults)),
    };
    let mark = database.mark();
    let (ids, faults) = write(database, call.user, &nodes)?;
    if !faults.is_empty() {
        database.roll_back(mark);
        return Ok(refused(&faults));
    }
    let made = nodes.iter().zip(ids).filter_map(|(node, id)| {
        Some(json!({ "referenceId": node.reference, "id": id?.as_str() }))
    });
    let results: Vec<Json> = made.collect();
    Ok(Reply::json(201, &json!({ "hasErrors": false, "results": results })))
}

fn refused(faults: &Faults) -> Reply {
    let results: Vec<Json> = faults
        .iter()
        .map(|(reference, errors)| json!({ "referenceId": reference, "errors": errors }))
        .collect();
    Reply::json(400, &json!({ "hasErrors": true, "results": results }))
}

fn records(json: &Json) -> Option<&Vec<Json>> {
    json.get("records").and_then(Json::as_array)
}

/// All records, parents before their children, level by level; or what is wrong with one's reference.
fn read(
    database: &Database,
    object: usize,
    request: &Json,
) -> Result<Result<Vec<Node>, Faults>, ApiError> {
    let refuse = |code, message: String| Err(ApiError::new(400, code, message));
    let Some(roots) = records(request).filter(|roots| !roots.is_empty()) else {
        return refuse("INVALID_INPUT", "records is missing or empty".to_owned());
    };
    let mut nodes: Vec<Node> = Vec::new();
    let mut names = BTreeSet::new();
    let mut waiting: VecDeque<_> = roots.iter().map(|root| (root, object, None, 1)).collect();
    while let Some((record, object, parent, level)) = waiting.pop_front() {
        let (reference, kind) = attributes(record);
        let wrong = |message: String| {
            Ok(Err(vec![(reference.clone(), vec![RowError::new("INVALID_INPUT", message)])]))
        };
        if reference.is_empty() {
            return wrong("Include a reference ID for each record in the request.".to_owned());
        }
        if !names.insert(reference.clone()) {
            return wrong(format!("Duplicate ReferenceId provided in the request: {reference}"));
        }
        if database.schema().find(&kind) != Some(object) {
            let wanted = &database.object(object).name;
            return wrong(format!("the record's attributes.type is {wanted}, not {kind:?}"));
        }
        let place = nodes.len();
        let mut fields = Map::new();
        for (name, value) in record.as_object().into_iter().flatten() {
            match (records(value), database.schema().child(&database.object(object).name, name)) {
                (Some(children), Some((child, field))) => {
                    let each = children.iter();
                    waiting.extend(each.map(|one| (one, child, Some((place, field)), level + 1)));
                }
                _ => drop(fields.insert(name.clone(), value.clone())),
            }
        }
        nodes.push(Node { reference, object, fields, parent, level });
    }
    let kinds: BTreeSet<usize> = nodes.iter().map(|node| node.object).collect();
    let levels = nodes.last().map_or(0, |node| node.level);
    for (what, count, most) in [
        ("records", nodes.len(), MOST),
        ("types of records", kinds.len(), MOST_KINDS),
        ("levels of records", levels, DEEPEST),
    ] {
        if count > most {
            let message = format!("a tree request takes at most {most} {what}, not {count}");
            return refuse("EXCEEDED_MAX_SIZE_REQUEST", message);
        }
    }
    Ok(Ok(nodes))
}

/// A record's reference and type; empty if it names none.
fn attributes(record: &Json) -> (String, String) {
    let text = |name: &str| {
        let value = record.get("attributes").and_then(|all| all.get(name));
        value.and_then(Json::as_str).unwrap_or_default().to_owned()
    };
    (text("referenceId"), text("type"))
}

/// Creates the records; what comes below one that is refused isn't tried.
fn write(
    database: &mut Database,
    user: SfId,
    nodes: &[Node],
) -> Result<(Vec<Option<SfId>>, Faults), ApiError> {
    let mut ids: Vec<Option<SfId>> = Vec::with_capacity(nodes.len());
    let mut faults = Faults::new();
    for node in nodes {
        let parent = node.parent.map(|(place, field)| (ids.get(place).copied().flatten(), field));
        if let Some((None, _)) = parent {
            ids.push(None);
            continue;
        }
        must_be_writable(database, node.object)?;
        let shape = database.object(node.object).clone();
        let result = match assigns(database, &shape, &node.fields, &[]) {
            Ok(mut assigns) => {
                if let Some((Some(id), field)) = parent {
                    assigns.push(Assign::Set(field, Value::Id(id)));
                }
                database.insert(node.object, &assigns, user).map(|saved| saved.id)
            }
            Err(Fault::Row(error)) => Err(vec![error]),
            Err(Fault::Request(error)) => Err(vec![RowError::new(error.code, error.message)]),
        };
        match result {
            Ok(id) => ids.push(Some(id)),
            Err(errors) => {
                ids.push(None);
                faults.push((node.reference.clone(), errors));
            }
        }
    }
    Ok((ids, faults))
}
