//! What other nodes of the same platform ask this one, on a listener of its
//! own that only they should reach. Each call proves that its sender knows the
//! master key; what is in it is sealed anyway.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use sloe_engine::engine::Engine;

use crate::error;

/// A thousand claims of the largest size make less.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The app of the peers' listener.
pub fn app(engine: Engine) -> Router {
    Router::new()
        .route("/peer/claims", post(claims))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(engine)
}

async fn claims(State(engine): State<Engine>, body: Bytes) -> Response {
    match engine.decide_for_peer(&body).await {
        Ok(answers) => answers.into_response(),
        Err(refused) => (error::of_peer(refused), refused.to_string()).into_response(),
    }
}
