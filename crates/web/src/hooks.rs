//! What Salesforce may call: a hint that something changed. Sloe reads back
//! with its own credentials, so a hint that lies costs one look.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::Response;
use serde::Serialize;
use sloe_core::ids::{OrgId, SfId};
use sloe_engine::tenant::{Org, Registry};
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
    Cause::TooSlow,
    Cause::TooLarge,
    Cause::UnsupportedMediaType,
    Cause::Invalid,
];

/// The org that calls: named in the address, proven by its secret. An org
/// that does not exist and a wrong secret are answered alike.
pub(crate) struct Caller(Arc<Org>);

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Token(name) = Token::from_request_parts(parts, state).await?;
        let registry = state.engine.registry();
        let by_id = || OrgId::parse(&name).ok().and_then(|id| registry.by_id(id));
        let org = registry.by_slug(&name).or_else(by_id).ok_or(Cause::Unauthorized)?;
        let secret = extract::only(&parts.headers, SECRET).unwrap_or_default();
        if Registry::knows_hook_secret(&org, secret) {
            Ok(Self(org))
        } else {
            Err(Cause::Unauthorized.into())
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
    security(("secret" = [])),
    request_body = RefreshRequest,
    responses((status = 202, description = "It will be read again soon.", body = RefreshAnswer))
)]
pub(crate) async fn refresh(
    State(state): State<AppState>,
    Caller(org): Caller,
    body: JsonBody,
) -> Result<Response, Problem> {
    let json = body.parse()?;
    let mut read = Reader::default();
    let event = event(&mut read, &json);
    if !read.is_clean() {
        return Err(read.problem());
    }
    state.engine.request_update(org.id(), event);
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
