//! How far orgs are, what failed on the way there, and sending it again: what
//! `sloe sync` and the staff console ask.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use sloe_core::ids::{OrgId, SfId};
use sloe_core::time::Timestamp;
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::sync::{
    Letter, LetterFilter, LetterKind, Pile, Replayed, SyncFault, Waiting, Which,
};
use sloe_engine::verify::Verified;

use super::{find_org, refused};
use crate::error::Problem;
use crate::state::AppState;

/// Rows listed unless told otherwise.
const LISTED: usize = 100;

type Answer = Result<Json<Value>, Problem>;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/sync/status", post(status))
        .route("/sync/letters", post(letters))
        .route("/sync/waiting", post(waiting))
        .route("/sync/replay", post(replay))
        .route("/sync/accept", post(accept))
        .route("/sync/verify", post(verify))
}

fn denied(denied: &Denied) -> Problem {
    refused(denied.to_string())
}

/// Of the org that the body names, or of all.
async fn status(State(state): State<AppState>, Json(body): Json<Value>) -> Answer {
    let orgs = match body.get("org").filter(|org| !org.is_null()) {
        Some(_) => vec![find_org(&state.engine, &body).map_err(refused)?],
        None => state.engine.registry().all().iter().map(|org| org.id()).collect(),
    };
    let mut answer = Vec::with_capacity(orgs.len());
    for org in orgs {
        answer.push(status_of(&state.engine, org).await.map_err(|error| denied(&error))?);
    }
    Ok(Json(json!({ "orgs": answer })))
}

/// How far one org is, as JSON.
async fn status_of(engine: &Engine, org: OrgId) -> Result<Value, Denied> {
    let known = engine.registry().by_id(org).ok_or(Denied::NotFound)?;
    let sync = engine.sync_state(org).await?;
    let calls = engine.calls(org).await?;
    Ok(json!({
        "slug": known.profile.slug,
        "org_id": org.to_string(),
        "drained": sync.is_drained(),
        "pending_events": sync.pending_events,
        "pending_batches": sync.pending_batches,
        "waiting_since": sync.waiting_since.map(Timestamp::to_rfc3339),
        "retrying": sync.retrying,
        "dead_letters": sync.dead_letters,
        "conflicts": sync.conflicts,
        "delivered": sync.delivered,
        "last_drain": sync.last_drain.map(Timestamp::to_rfc3339),
        "fault": sync.fault.as_ref().map(fault),
        "waits_until": calls.waits_until.map(Timestamp::to_rfc3339),
        "verifying": engine.is_verifying(org),
        "last_verify": engine.last_verify(org).await?.as_ref().map(verified),
    }))
}

/// Which rows the body is about; every part may be missing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wanted {
    ids: Vec<String>,
    all: bool,
    event: Option<String>,
    code: Option<String>,
    field: Option<String>,
    fields: Option<Vec<String>>,
    kind: Option<String>,
    conflict: Option<bool>,
    after: Option<String>,
    limit: Option<usize>,
}

impl Wanted {
    fn read(body: &Value) -> Result<Self, Problem> {
        Self::deserialize(body).map_err(|error| refused(error.to_string()))
    }

    fn filter(&self) -> Result<LetterFilter, Problem> {
        let event = self.event.as_deref().map(SfId::parse).transpose();
        Ok(LetterFilter {
            event: event.map_err(|error| refused(error.to_string()))?,
            code: self.code.clone(),
            field: self.field.clone(),
            fields: self.fields.clone(),
            kind: self.kind.as_deref().map(kind_of).transpose()?,
            conflict: self.conflict,
        })
    }

    fn which(self) -> Result<Which, Problem> {
        let filter = self.filter()?;
        match (self.ids.is_empty(), filter == LetterFilter::default()) {
            (false, true) => Ok(Which::Rows(self.ids)),
            (false, false) => Err(refused("name rows or say which kind, not both")),
            (true, true) if !self.all => {
                Err(refused("name the rows, or their code, field or event, or say all"))
            }
            (true, _) => Ok(Which::All(filter)),
        }
    }
}

fn kind_of(word: &str) -> Result<LetterKind, Problem> {
    let words = "kind is attendee, session attendee or mail";
    LetterKind::parse(word).ok_or_else(|| refused(words))
}

async fn letters(State(state): State<AppState>, Json(body): Json<Value>) -> Answer {
    let org = find_org(&state.engine, &body).map_err(refused)?;
    let wanted = Wanted::read(&body)?;
    let filter = wanted.filter()?;
    let limit = wanted.limit.unwrap_or(LISTED);
    let page = state.engine.letters(org, &filter, wanted.after, limit).await;
    let page = page.map_err(|error| denied(&error))?;
    let piles = state.engine.piles(org, &filter).await.map_err(|error| denied(&error))?;
    Ok(Json(json!({
        "piles": piles.iter().map(pile).collect::<Vec<_>>(),
        "letters": page.letters.iter().map(letter).collect::<Vec<_>>(),
        "next": page.next,
    })))
}

async fn waiting(State(state): State<AppState>, Json(body): Json<Value>) -> Answer {
    let org = find_org(&state.engine, &body).map_err(refused)?;
    let wanted = Wanted::read(&body)?;
    let limit = wanted.limit.unwrap_or(LISTED);
    let page = state.engine.waiting_rows(org, wanted.after, limit).await;
    let page = page.map_err(|error| denied(&error))?;
    let rows: Vec<_> = page.rows.iter().map(row).collect();
    Ok(Json(json!({ "rows": rows, "next": page.next })))
}

async fn replay(State(state): State<AppState>, Json(body): Json<Value>) -> Answer {
    let org = find_org(&state.engine, &body).map_err(refused)?;
    let which = Wanted::read(&body)?.which()?;
    let done = state.engine.replay(org, which).await.map_err(|error| denied(&error))?;
    Ok(Json(replayed(&done)))
}

async fn accept(State(state): State<AppState>, Json(body): Json<Value>) -> Answer {
    let org = find_org(&state.engine, &body).map_err(refused)?;
    let which = Wanted::read(&body)?.which()?;
    let done = state.engine.accept_conflicts(org, which).await.map_err(|error| denied(&error))?;
    Ok(Json(replayed(&done)))
}

/// Has an org compared soon; its status tells when that is done.
async fn verify(State(state): State<AppState>, Json(body): Json<Value>) -> Answer {
    let org = find_org(&state.engine, &body).map_err(refused)?;
    let asked = state.engine.now().to_rfc3339();
    state.engine.request_verify(org).map_err(|error| denied(&error))?;
    Ok(Json(json!({ "asked": asked })))
}

fn verified(verified: &Verified) -> Value {
    let differences: Vec<_> = verified
        .differences
        .iter()
        .map(|(difference, found)| {
            let kind = difference.name();
            json!({ "kind": kind, "found": found.found, "mended": found.mended })
        })
        .collect();
    json!({
        "began": verified.began.to_rfc3339(),
        "ended": verified.ended.to_rfc3339(),
        "clean": verified.is_clean(),
        "events": verified.events,
        "rows": verified.rows,
        "one_by_one": verified.one_by_one,
        "differences": differences,
        "surplus": verified.surplus,
        "unsure": verified.unsure,
        "left_out": verified.left_out,
        "fault": verified.fault.as_ref().map(fault),
        "refusal": verified.refusal.as_ref().map(fault),
    })
}

fn fault(fault: &SyncFault) -> Value {
    json!({ "at": fault.at.to_rfc3339(), "means": fault.means, "remedy": fault.remedy })
}

fn replayed(done: &Replayed) -> Value {
    json!({ "rows": done.rows, "unknown": done.unknown })
}

fn letter(letter: &Letter) -> Value {
    json!({
        "id": letter.key,
        "kind": letter.kind.word(),
        "event": letter.event.event.to_string(),
        "reference": letter.reference,
        "place": letter.place,
        "since": letter.since.to_rfc3339(),
        "at": letter.at.to_rfc3339(),
        "tries": letter.tries,
        "code": letter.code,
        "fields": letter.fields,
        "conflict": letter.conflict,
        "replaying": letter.replaying,
        "means": letter.means,
        "fix": letter.fix,
        "owner": letter.owner,
        "message": letter.message,
    })
}

fn pile(pile: &Pile) -> Value {
    json!({
        "code": pile.code,
        "fields": pile.fields,
        "kind": pile.kind.word(),
        "conflict": pile.conflict,
        "count": pile.count,
        "since": pile.since.to_rfc3339(),
        "means": pile.means,
        "fix": pile.fix,
        "owner": pile.owner,
    })
}

fn row(row: &Waiting) -> Value {
    json!({
        "id": row.key,
        "kind": row.kind.word(),
        "event": row.event.event.to_string(),
        "reference": row.reference,
        "place": row.place,
        "tries": row.tries,
        "since": row.since.map(Timestamp::to_rfc3339),
        "next_try": row.next_try.to_rfc3339(),
        "code": row.code,
    })
}
