//! Which resource answers which address under `/services/data/vNN.N`.

use serde_json::json;

use super::reply::{ApiError, Call, Reply};
use super::{
    batch, collections, composite, count, graph, ingest, query, query_job, recent, records,
    related, search, tooling, tree,
};
use crate::org::data::Database;
use crate::org::state::State;

/// The oldest and newest API version on offer.
pub(crate) const VERSIONS: (u32, u32) = (31, 67);

/// Resources of a real org that this one has not.
const ABSENT: [&str; 13] = [
    "actions",
    "analytics",
    "appMenu",
    "chatter",
    "connect",
    "graphql",
    "metadata",
    "quickActions",
    "support",
    "tabs",
    "theme",
    "ui-api",
    "wave",
];

/// `/services/data`: all versions.
pub(crate) fn versions() -> Reply {
    let all: Vec<_> = (VERSIONS.0..=VERSIONS.1)
        .map(|n| {
            let season = ["Spring", "Summer", "Winter"].get(n as usize % 3).unwrap_or(&"");
            let year = (n + 13) / 3;
            json!({ "label": format!("{season} '{year}"), "url": format!("/services/data/v{n}.0"), "version": format!("{n}.0") })
        })
        .collect();
    Reply::json(200, &all)
}

/// `/services/data/v62.0/query` → `v62.0` and the decoded rest; none if it lies elsewhere.
pub(crate) fn split(path: &str) -> Option<(String, Vec<String>)> {
    let rest = path.strip_prefix("/services/data/")?;
    let mut parts = rest.split('/').map(decode);
    let version = parts.next()?;
    let mut parts: Vec<String> = parts.collect();
    if parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    Some((version, parts))
}

/// The parameters of a query string.
pub(crate) fn parameters(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn decode(part: &str) -> String {
    // In a path a plus sign is a plus sign.
    let form = part.replace('+', "%2B");
    form_urlencoded::parse(form.as_bytes())
        .map(|(key, _)| key.into_owned())
        .next()
        .unwrap_or_default()
}

/// What the statistics call this.
pub(crate) fn kind(path: &[String]) -> &'static str {
    let part = |i: usize| path.get(i).map_or("", String::as_str);
    match (part(0), part(1)) {
        ("query", _) => "query",
        ("queryAll", _) => "queryAll",
        ("sobjects", _) => "sobjects",
        ("composite", "sobjects") => "collections",
        ("composite", _) => "composite",
        ("jobs", "ingest") => "bulk_ingest",
        ("jobs", "query") => "bulk_query",
        ("limits", _) => "limits",
        _ => "other",
    }
}

/// Answers one call, whole or not at all: a refused call leaves nothing behind.
pub(crate) fn answer(state: &State, database: &mut Database, call: &Call) -> Reply {
    let mark = database.mark();
    find(state, database, call).unwrap_or_else(|error| {
        database.roll_back(mark);
        error.reply()
    })
}

fn find(state: &State, database: &mut Database, call: &Call) -> Result<Reply, ApiError> {
    match call.version_number() {
        0 => return Err(ApiError::not_found()),
        n if n < VERSIONS.0 => {
            let message =
                format!("API version {} is retired; the oldest is {}.0", call.version, VERSIONS.0);
            return Err(ApiError::new(410, "UNSUPPORTED_API_VERSION", message));
        }
        n if n > VERSIONS.1 => return Err(ApiError::not_found()),
        _ => {}
    }
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    match path.as_slice() {
        [] => Ok(resources(state, call)),
        ["query", rest @ ..] => query::answer(&state.cursors, database, call, rest, false),
        ["queryAll", rest @ ..] => query::answer(&state.cursors, database, call, rest, true),
        ["sobjects", name, id, relationship] => match related::start(database, name, id) {
            Some(start) => related::answer(&state.cursors, database, call, start, relationship),
            None => records::answer(database, call, &[name, id, relationship]),
        },
        ["sobjects", rest @ ..] => records::answer(database, call, rest),
        ["composite"] => composite::answer(state, database, call),
        ["composite", "sobjects", rest @ ..] => {
            let hurt = |object: &str| call.fates.next(|| state.row_fault("collections", object));
            collections::answer(database, call, rest, &hurt)
        }
        ["composite", "graph"] => graph::answer(state, database, call),
        ["composite", "batch"] => batch::answer(state, database, call),
        ["composite", "tree", object] => tree::answer(database, call, object),
        ["jobs", "ingest", rest @ ..] => ingest::answer(state, database, call, rest),
        ["jobs", "query", rest @ ..] => query_job::answer(state, database, call, rest),
        ["limits"] => Ok(state.limits_reply()),
        ["limits", "recordCount"] => count::answer(database, call),
        ["tooling", rest @ ..] => tooling::answer(database, call, rest),
        ["recent"] => recent::answer(database, call),
        ["search"] => search::answer(database, call),
        ["parameterizedSearch"] => search::parameterized(database, call),
        ["search", ..] => Err(ApiError::unsupported("suggestions, scope and layouts of searches")),
        [name, ..] if ABSENT.contains(name) => {
            Err(ApiError::unsupported(&format!("resource {name}")))
        }
        _ => Err(ApiError::not_found()),
    }
}

/// `/services/data/vNN.N`: where things are; clients with a bare token look up there who they are.
fn resources(state: &State, call: &Call) -> Reply {
    let names = [
        "composite",
        "jobs",
        "limits",
        "parameterizedSearch",
        "query",
        "queryAll",
        "recent",
        "search",
        "sobjects",
        "tooling",
    ];
    let mut map: serde_json::Map<String, serde_json::Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), format!("/services/data/{}/{name}", call.version).into()))
        .collect();
    let identity = format!("{}/id/{}/{}", state.url, state.org, call.user);
    map.insert("identity".to_owned(), identity.into());
    Reply::json(200, &map)
}
