//! The public site: what registrants see. Server-rendered, complete without
//! JavaScript.
//!
//! [`view`] says what a page shows and the templates beside `src` how;
//! [`present`] fills views from what the engine knows; [`words`] has what the
//! pages without a form say. The handlers extract, ask the engine and answer.

pub mod answer;
pub mod assets;
pub mod checkout;
pub mod color;
pub(crate) mod cookie;
pub mod event_page;
pub mod form;
pub mod front;
mod handle;
pub mod hold;
pub mod look;
pub mod mailbox;
pub mod markup;
pub mod order;
pub mod present;
pub mod prose;
pub mod qr;
mod refused;
pub mod rendered;
mod selection;
pub mod view;
pub mod when;
pub mod words;

use axum::Router;
use axum::routing::{get, post};

use crate::state::AppState;

/// Everything that only shows something. First path segments that aren't an
/// org's are the registry's reserved slugs.
pub fn pages() -> Router<AppState> {
    Router::new()
        .route("/", get(front::landing))
        .route("/assets/{file}", get(assets::serve))
        .route("/assets/org/{file}", get(front::org_css))
        .route("/assets/visitor.css", get(front::visitor_css))
        .route("/checkout/{hold}/change", get(hold::change))
        .route("/demo/mailbox", get(mailbox::list))
        .route("/demo/mailbox/{mail}", get(mailbox::open))
        .route("/demo/mailbox/{mail}/html", get(mailbox::html))
        .route("/demo/mailbox/{mail}/files/{index}", get(mailbox::file))
        .route("/order/{order}", get(order::show))
        .route("/order/{order}/event.ics", get(order::ics))
        .route("/{org}", get(event_page::list))
        .route("/{org}/{event}", get(event_page::show))
        .route("/{org}/{event}/mine", get(hold::mine))
        .route("/{org}/{event}/resume", get(hold::resume))
}

/// Everything that takes a form.
pub fn forms() -> Router<AppState> {
    Router::new()
        .route("/checkout/{hold}", get(checkout::show).post(checkout::confirm))
        .route("/checkout/{hold}/release", post(checkout::release))
        .route("/order/{order}/cancel", post(order::cancel))
        .route("/{org}/{event}/hold", post(hold::create))
}
