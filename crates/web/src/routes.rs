//! The one table of addresses, by who calls. Pages are the site's own table,
//! merged last.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use crate::stack::{self, MAX_BODY, Stack};
use crate::state::AppState;
use crate::{health, problems, site};

/// For operators and their tools.
fn operation() -> Router<AppState> {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics_with_token))
        .route("/problems/{name}", get(problems::explain))
}

/// Everything the public can reach.
pub fn app(state: AppState) -> Router {
    let stack = Arc::new(Stack::new(&state));
    Router::new()
        .merge(operation())
        .merge(site::router())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(stack, stack::guard))
        .with_state(state)
}

/// What only staff can reach: health, and metrics without a token.
pub fn admin_app(state: AppState) -> Router {
    let stack = Arc::new(Stack::new(&state));
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .layer(from_fn_with_state(stack, stack::guard))
        .with_state(state)
}
