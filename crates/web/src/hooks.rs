//! What Salesforce may call: a hint that something changed. Sloe reads back
//! with its own credentials, so a hint that lies costs one look.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::Response;
use serde::Serialize;
use sloe_core::ids::{OrgId, SfId};
use sloe_engine::tenant::{Heard, Org, Registry, Signed, Unheard};
use utoipa::ToSchema;

use crate::error::{Cause, Problem, accepted};
use crate::extract::{self, JsonBody, Pointer, Reader, Token};
use crate::state::AppState;

/// The header with the org's secret, filled in by its External Credential.
pub(crate) const SECRET: &str = "x-sloe-secret";

pub(crate) const REFRESH_FIELDS: &[&str] = &["event"];

pub(crate) const REFUSALS: &[Cause] = &[
    Cause::Malformed,
    Cause::Unauthorized,
    Cause::NotAccepted,
    Cause::TooSlow,
    Cause::TooLarge,
    Cause::UnsupportedMediaType,
    Cause::Invalid,
];

/// The headers of a call that is signed instead (Standard Webhooks).
const SIGNED: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// The org that calls: named in the address, proven by its secret or, once
/// its body is there, by its signature. An org that does not exist and a
/// wrong secret are answered alike.
pub(crate) enum Caller {
    Known(Arc<Org>),
    Signed { org: Arc<Org>, headers: [String; 3] },
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Token(name) = Token::from_request_parts(parts, state).await?;
        let registry = state.engine.registry();
        let by_id = || OrgId::parse(&name).ok().and_then(|id| registry.by_id(id));
        let org = registry.by_slug(&name).or_else(by_id).ok_or(Cause::Unauthorized)?;
        if !parts.headers.contains_key(SECRET)
            && let [Some(id), Some(timestamp), Some(signature)] =
                SIGNED.map(|name| extract::only(&parts.headers, name).map(str::to_owned))
        {
            return Ok(Self::Signed { org, headers: [id, timestamp, signature] });
        }
        let secret = extract::only(&parts.headers, SECRET).unwrap_or_default();
        if Registry::knows_hook_secret(&org, secret) {
            Ok(Self::Known(org))
        } else {
            Err(Cause::Unauthorized.into())
        }
    }
}

impl Caller {
    /// The org, once `body` is known to be its own, and whether it is news.
    async fn proven(self, state: &AppState, body: &[u8]) -> Result<(Arc<Org>, Heard), Problem> {
        let (org, [id, timestamp, signature]) = match self {
            Self::Known(org) => return Ok((org, Heard::New)),
            Self::Signed { org, headers } => (org, headers),
        };
        let call = Signed { id: &id, timestamp: &timestamp, signature: &signature, body };
        // Who reads this knows the key, unless the signature is wrong.
        match state.engine.hears(&org, &call).await {
            Ok(heard) => Ok((org, heard)),
            Err(Unheard::Signature) => Err(Cause::Unauthorized.into()),
            Err(Unheard::Time) => Err(Problem::new(
                Cause::Unauthorized,
                "The `webhook-timestamp` must be within five minutes of this answer's `Date`.",
            )),
            Err(Unheard::Replayed) => Err(Problem::new(
                Cause::Unauthorized,
                "A call with this `webhook-id` and `webhook-timestamp` was taken before.",
            )),
            Err(Unheard::Before) => Err(Problem::new(
                Cause::Unauthorized,
                "Its `webhook-timestamp` is no later than that of a call taken before Sloe was \
                 last started: it may be that one again. Sign it with the time of now.",
            )),
            Err(Unheard::NotNow) => {
                Err(Problem::from(Cause::NotAccepted).retry_after(Duration::from_secs(2)))
            }
        }
    }
}

/// What changed.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "read field by field, so that every fault can be named")]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshRequest {
    /// Salesforce id of the event; without it everything of the org is read.
    #[schema(required = false, examples("a00Ws00000Ab1cdIAB"))]
    event: String,
}

/// The hint was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefreshAnswer {
    /// Always true.
    accepted: bool,
}

/// Asks Sloe to read an event, or the whole org, again. Repeats are one.
#[utoipa::path(
    post, path = "/hooks/salesforce/{org}/refresh", tag = "hooks", operation_id = "refresh",
    params(("org" = String, Path, description = "Slug or Salesforce id of the org.")),
    security(("secret" = []), ("signature" = [])),
    request_body = RefreshRequest,
    responses((status = 202, description = "It will be read again soon.", body = RefreshAnswer))
)]
pub(crate) async fn refresh(
    State(state): State<AppState>,
    caller: Caller,
    body: JsonBody,
) -> Result<Response, Problem> {
    let (org, heard) = caller.proven(&state, body.bytes()).await?;
    let json = body.parse()?;
    let mut read = Reader::default();
    let event = event(&mut read, &json);
    if !read.is_clean() {
        return Err(read.problem());
    }
    if heard == Heard::New {
        state.engine.request_update(org.id(), event);
    }
    Ok(accepted(Json(RefreshAnswer { accepted: true })))
}

fn event(read: &mut Reader, json: &extract::Json<'_>) -> Option<SfId> {
    let root = Pointer::Root;
    let fields = read.object(&root, json, REFRESH_FIELDS)?;
    fields.get("event")?;
    let text = fields.text(read, "event");
    let at = root.field("event");
    match SfId::parse(&text) {
        Ok(id) => Some(id),
        // A value of another type is a fault already.
        Err(_) if !read.is_clean() => None,
        Err(error) => {
            read.fault(&at, "id", format!("This is not the id of a record: {error}."));
            None
        }
    }
}
