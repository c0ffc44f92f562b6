//! What handlers take out of a request: strictly, and with every fault named.

mod json;
mod pointer;
mod read;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use sloe_core::ids::PublicId;
use sloe_engine::claims::RequestId;

use crate::error::{Cause, Problem};
use crate::patience::within;
use crate::stack::MAX_BODY;
use crate::state::AppState;

pub(crate) use json::Json;
pub(crate) use pointer::Pointer;
pub(crate) use read::{Fields, Reader};

/// Bytes that an idempotency key may have.
const MAX_KEY: usize = 255;

/// The header that makes a request repeatable.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A body that says it is JSON, whole and within bounds; not parsed yet.
pub(crate) struct JsonBody(Bytes);

impl FromRequest<AppState> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Cause::UnsupportedMediaType.into());
        }
        match whole(request.into_body(), state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(Cause::Malformed) => Err(Problem::new(Cause::Malformed, "The body broke off.")),
            Err(cause) => Err(cause.into()),
        }
    }
}

/// A whole body within bounds of size and time.
///
/// # Errors
/// [`Cause::TooLarge`], [`Cause::TooSlow`], or [`Cause::Malformed`] if it broke off.
pub(crate) async fn whole(body: Body, state: &AppState) -> Result<Bytes, Cause> {
    // The rest of the time is for the answer.
    let patience = state.settings.deadline / 2;
    match within(patience, axum::body::to_bytes(body, MAX_BODY)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_long(&error) => Err(Cause::TooLarge),
        Ok(Err(_)) => Err(Cause::Malformed),
        Err(_late) => Err(Cause::TooSlow),
    }
}

impl JsonBody {
    /// The body as it came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The body's value.
    ///
    /// # Errors
    /// [`Cause::Malformed`] with the position.
    pub(crate) fn parse(&self) -> Result<Json<'_>, Problem> {
        Json::parse(&self.0).map_err(|what| Problem::new(Cause::Malformed, what))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

fn is_too_long(error: &axum::Error) -> bool {
    use std::error::Error as _;
    error.source().is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}

/// The request's idempotency key, if it has one.
pub(crate) struct IdempotencyKey(pub(crate) RequestId);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut given = parts.headers.get_all(&IDEMPOTENCY_KEY).iter();
        let Some(key) = given.next() else { return Ok(Self(RequestId::Fresh)) };
        let text = std::str::from_utf8(key.as_bytes()).ok();
        let visible = |text: &&str| {
            (1..=MAX_KEY).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        match text.filter(visible) {
            Some(text) if given.next().is_none() => Ok(Self(RequestId::Given(text.to_owned()))),
            _ => Err(Problem::new(
                Cause::Malformed,
                "The `Idempotency-Key` header must stand once and hold 1 to 255 bytes of visible text.",
            )),
        }
    }
}

/// The public id in an address. One that is malformed leads nowhere.
pub(crate) struct EventId(pub(crate) PublicId);

impl<S: Send + Sync> FromRequestParts<S> for EventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Token(text) = Token::from_request_parts(parts, state).await?;
        Ok(Self(PublicId::parse(&text).ok_or(Cause::NotFound)?))
    }
}

/// The one name in an address.
pub(crate) struct Token(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Token {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(text)| Self(text)).map_err(|_| Cause::NotFound.into())
    }
}

/// A ticket in an address: its order's token and its number.
pub(crate) struct TicketPath {
    pub(crate) order: String,
    pub(crate) place: u16,
}

impl<S: Send + Sync> FromRequestParts<S> for TicketPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((order, place)) = path.map_err(|_| Cause::NotFound)?;
        let place = place.parse().map_err(|_| Cause::NotFound)?;
        Ok(Self { order, place })
    }
}

/// A header's value as text, if it is there once.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut given = headers.get_all(name).iter();
    let value = given.next().map(HeaderValue::to_str)?.ok()?;
    given.next().is_none().then_some(value)
}
