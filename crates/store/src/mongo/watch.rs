//! What other nodes change, told by a change stream. It only shortens waits:
//! whoever relies on it looks by itself, too, once a second.

use std::time::Duration;

use mongodb::bson::{Document as Bson, doc};
use mongodb::change_stream::event::{ChangeStreamEvent, OperationType, ResumeToken};
use mongodb::error::{Error, ErrorKind};
use mongodb::sync::ChangeStream;

use super::error::explain;
use super::{Mongo, event_of, journal};
use crate::api::{News, StoreError};
use crate::key::{Collection, Key};

/// How long the server keeps an answer back while there is no news.
const AWAIT: Duration = Duration::from_millis(500);
/// How soon a stream that broke is opened again.
const AGAIN: Duration = Duration::from_secs(1);
/// A deployment that has no change streams: a server alone, or one that does not know them.
const UNKNOWN: [i32; 3] = [40_573, 40_324, 115];

/// What is told of.
const DOCUMENTS: [Collection; 4] =
    [Collection::Orgs, Collection::Mappings, Collection::Snapshots, Collection::Asks];

pub(super) fn watch(store: &Mongo, tell: &mut dyn FnMut(News) -> bool) -> Result<bool, StoreError> {
    let mut token: Option<ResumeToken> = None;
    loop {
        let mut stream = match open(store, token.clone()) {
            Ok(stream) => stream,
            Err(error) if code(&error).is_some_and(|code| UNKNOWN.contains(&code)) => {
                return Ok(false);
            }
            // What happened since the token is not known any more (286), or the token is not.
            Err(error) if code(&error).is_some() && token.is_some() => {
                token = None;
                continue;
            }
            Err(error) => {
                let why = explain(error);
                tracing::debug!(%why, "changes are not told now; they are looked for");
                if !tell(News::None) {
                    return Ok(true);
                }
                std::thread::sleep(AGAIN);
                continue;
            }
        };
        // Nobody tells what happened before it stood.
        if token.is_none() && !tell(News::Anything) {
            return Ok(true);
        }
        loop {
            let news = match stream.next_if_any() {
                Ok(change) => change.as_ref().and_then(read).unwrap_or(News::None),
                Err(error) => {
                    token = if code(&error).is_some() { None } else { stream.resume_token() };
                    break;
                }
            };
            if !tell(news) {
                return Ok(true);
            }
            if !stream.is_alive() {
                // The server has ended it, as when the database is dropped: it can't be resumed.
                token = None;
                break;
            }
        }
        std::thread::sleep(AGAIN);
    }
}

fn open(
    store: &Mongo,
    after: Option<ResumeToken>,
) -> Result<ChangeStream<ChangeStreamEvent<Bson>>, Error> {
    let names: Vec<&str> = DOCUMENTS.into_iter().map(Collection::name).collect();
    let wanted = doc! { "$or": [
        // What is tidied up behind an outbox is no news.
        { "ns.coll": journal::COLLECTION, "operationType": "insert" },
        { "ns.coll": { "$in": names } },
    ] };
    let pipeline = [
        doc! { "$match": wanted },
        doc! { "$project": { "ns": 1, "documentKey": 1, "operationType": 1 } },
    ];
    let stream = store.database.watch().pipeline(pipeline).max_await_time(AWAIT);
    match after {
        Some(token) => stream.resume_after(token).run(),
        None => stream.run(),
    }
}

/// Why the server, which was reached, refuses.
fn code(error: &Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

fn read(change: &ChangeStreamEvent<Bson>) -> Option<News> {
    if matches!(change.operation_type, OperationType::Invalidate) {
        return Some(News::Anything);
    }
    let name = change.ns.as_ref()?.coll.as_deref()?;
    let key = change.document_key.as_ref()?;
    if name == journal::COLLECTION {
        let id = key.get_document("_id").ok()?;
        let event = event_of(id.get_str("event").ok()?).ok()?;
        return Some(News::Batch(event, super::count(id, "version").ok()?));
    }
    let collection = DOCUMENTS.into_iter().find(|known| known.name() == name)?;
    let id = key.get_str("_id").ok()?.to_owned();
    Some(News::Document(Key::from_parts(collection, id)))
}
