//! What other nodes of the same platform ask this one, on a listener of its
//! own that only they should reach. Each call proves that its sender knows the
//! master key; what is in it is sealed anyway. The proof is of the whole call,
//! so a call is read before it is known whose it is: how much is read at a
//! time, and for how long, is bounded.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use sloe_engine::engine::Engine;
use sloe_engine::peers::PeerError;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error;
use crate::patience::within;

/// Bytes of one call: many times what a thousand usual claims make. What does
/// not fit is decided where it came from.
const MAX_BODY: u32 = 16 * 1024 * 1024;
/// Bytes of all calls that are read or decided at a time.
const MAX_BODIES: usize = 64 * 1024 * 1024;
/// How long a call may take to arrive; its sender waits no longer for the answer.
const ARRIVES: Duration = Duration::from_secs(4);

/// Why a call is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unheard {
    /// It does not say how long it is, or is too long.
    Length,
    /// Too much is being read or decided.
    Busy,
    /// It did not come in time, or not as a whole.
    Late,
    /// It proves nothing, or can't be read.
    Refused(PeerError),
}

impl fmt::Display for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("the call is too long, or does not say how long it is"),
            Self::Busy => f.write_str("too many calls are being decided"),
            Self::Late => f.write_str("the call did not come as a whole in time"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl IntoResponse for Unheard {
    fn into_response(self) -> Response {
        (error::of_peer(self), self.to_string()).into_response()
    }
}

#[derive(Clone)]
struct Asked {
    engine: Engine,
    room: Arc<Semaphore>,
}

/// The app of the peers' listener.
pub fn app(engine: Engine) -> Router {
    let room = Arc::new(Semaphore::new(MAX_BODIES));
    Router::new().route("/peer/claims", post(claims)).with_state(Asked { engine, room })
}

async fn claims(State(asked): State<Asked>, request: Request) -> Result<Response, Unheard> {
    let (length, _room) = admit(&asked.room, request.headers())?;
    let read = axum::body::to_bytes(request.into_body(), length);
    let body = within(ARRIVES, read).await.ok().and_then(Result::ok).ok_or(Unheard::Late)?;
    let answers = asked.engine.decide_for_peer(&body).await.map_err(Unheard::Refused)?;
    Ok(answers.into_response())
}

/// How long a call is, and the room for it.
fn admit<'r>(
    room: &'r Semaphore,
    headers: &HeaderMap,
) -> Result<(usize, SemaphorePermit<'r>), Unheard> {
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse::<u32>().ok());
    let length = length.filter(|length| *length <= MAX_BODY).ok_or(Unheard::Length)?;
    let place = room.try_acquire_many(length).map_err(|_| Unheard::Busy)?;
    Ok((usize::try_from(length).unwrap_or(usize::MAX), place))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn no_more_is_read_at_a_time_than_there_is_room_for() {
        let room = Semaphore::new(MAX_BODIES);
        let says = |length: &'static str| {
            HeaderMap::from_iter([(header::CONTENT_LENGTH, HeaderValue::from_static(length))])
        };
        let whole = says("16777216");
        for bad in [HeaderMap::new(), says("-1"), says("much"), says("16777217")] {
            assert_eq!(admit(&room, &bad).err(), Some(Unheard::Length), "{bad:?}");
        }
        let taken: Vec<_> = (0..4).map(|_| admit(&room, &whole)).collect();
        assert!(taken.iter().all(Result::is_ok));
        assert_eq!(admit(&room, &says("1")).err(), Some(Unheard::Busy));
        drop(taken);
        assert!(admit(&room, &says("1")).is_ok());
    }
}
