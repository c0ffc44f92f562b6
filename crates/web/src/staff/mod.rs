//! The staff console: how every org stands, what is the matter and what to do,
//! for whoever keeps the platform running. Server-rendered; it works without
//! script, which adds that the page follows what happens.
//!
//! `door` lets staff in, `facts` asks the engine, `judge` says what is
//! the matter, and the pages show it: `overview` and `org`. What staff can
//! do is in `act`.

mod act;
mod ago;
mod answer;
mod compare;
mod door;
mod draw;
mod facts;
mod judge;
mod letters;
mod org;
mod overview;
mod view;
mod words;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};

use sloe_engine::staff::Secret;

use crate::state::AppState;

/// What the console keeps on this node.
#[derive(Default)]
pub struct Desk {
    guesses: door::Guesses,
    glance: facts::Glance,
}

/// Where a link that signs in leads.
#[must_use]
pub fn sign_in_path(link: &Secret) -> String {
    format!("/staff/sign-in/{}", link.text)
}

impl Desk {
    /// Something was done: the overview asks anew.
    async fn forget(&self) {
        self.glance.forget().await;
    }
}

/// The console's addresses, all below `/staff`.
pub fn router(state: &AppState) -> Router<AppState> {
    let inside = Router::new()
        .route("/staff", get(overview::show))
        .route("/staff/", get(overview::show))
        .route("/staff/orgs/{org}", get(org::show))
        .route("/staff/orgs/{org}/refresh", post(act::refresh))
        .route("/staff/orgs/{org}/replay", post(act::replay))
        .route("/staff/orgs/{org}/aside", post(act::aside))
        .route("/staff/orgs/{org}/accept", get(act::confirm_accept).post(act::accept))
        .route("/staff/orgs/{org}/compare", post(act::compare))
        .route("/staff/{*rest}", any(answer::nothing))
        // Not `layer`, which would answer for addresses of nobody, too.
        .route_layer(from_fn_with_state(state.clone(), door::require_session));
    Router::new()
        .route("/staff/sign-in", post(door::sign_in))
        .route("/staff/sign-in/{token}", get(door::open))
        .route("/staff/sign-out", post(door::sign_out))
        .merge(inside)
}
