//! The one table of addresses, by who calls. Pages are the site's own table,
//! merged last.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, delete, get, post};
use tower_http::csrf::CsrfLayer;

use crate::api::{event, hold, order, registration};
use crate::error::{Cause, Problem};
use crate::stack::{self, Stack};
use crate::state::AppState;
use crate::{admin, health, hooks, openapi, problems, site, staff};

/// For programs: the JSON API.
fn programs() -> Router<AppState> {
    Router::new()
        .route("/api/v1/orgs/{org}/events", get(event::list::list))
        .route("/api/v1/events/{event}", get(event::read::read))
        .route("/api/v1/events/{event}/availability", get(event::availability::read))
        .route("/api/v1/events/{event}/holds", post(hold::create::create))
        .route("/api/v1/events/{event}/registrations", post(registration::create::create))
        .route("/api/v1/holds/{hold}", delete(hold::release::release))
        .route("/api/v1/holds/{hold}/confirm", post(hold::confirm::confirm))
        .route("/api/v1/orders/{order}", get(order::read::read).delete(order::cancel::all))
        .route("/api/v1/orders/{order}/tickets/{ticket}", delete(order::cancel::one))
        .route("/openapi.json", get(openapi::describe))
        // Else the site would take the rest for an org's event.
        .route("/api/{*rest}", any(nothing))
        .route("/hooks/{*rest}", any(nothing))
}

async fn nothing() -> Problem {
    Cause::NotFound.into()
}

/// For Salesforce.
fn salesforce() -> Router<AppState> {
    Router::new().route("/hooks/salesforce/{org}/refresh", post(hooks::refresh))
}

/// For operators and their tools.
fn operation() -> Router<AppState> {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics_with_token))
        .route("/problems/{name}", get(problems::explain))
}

/// For people: the site and the staff console, which take forms from their own
/// pages only. What takes none passes no layer that looks for that: each layer
/// costs an event's page a few allocations.
fn pages(state: &AppState) -> Router<AppState> {
    let mut own = CsrfLayer::new();
    if let Some(url) = &state.settings.public_url {
        // Behind a proxy the `Host` may be another one.
        match own.clone().add_trusted_origin(url) {
            Ok(with) => own = with,
            Err(error) => tracing::error!(%error, "the public URL is no origin"),
        }
    }
    site::forms().merge(staff::router(state)).layer(own).merge(site::pages())
}

/// Everything the public can reach.
pub fn app(state: AppState) -> Router {
    let stack = Arc::new(Stack::new(&state.settings));
    Router::new()
        .merge(programs())
        .merge(salesforce())
        .merge(operation())
        .merge(pages(&state))
        .nest("/api/v1/admin", admin::router(state.clone()))
        .layer(from_fn_with_state(stack, stack::guard))
        .with_state(state)
}

/// What only staff can reach: health, and metrics without a token.
pub fn admin_app(state: AppState) -> Router {
    let stack = Arc::new(Stack::new(&state.settings));
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .layer(from_fn_with_state(stack, stack::guard))
        .with_state(state)
}
