//! The JSON API, `/api/v1`: a file for each thing that can be asked, by noun.
//! Version 1 only ever gains fields.

pub(crate) mod event;
pub(crate) mod hold;
pub(crate) mod order;
pub(crate) mod person;
pub(crate) mod registration;
pub(crate) mod types;

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sloe_engine::claims::Confirmed;

use crate::error::created;
use crate::state::AppState;
use types::{NewTicket, OrderMade};

/// What an order's maker is told.
fn order_made(state: &AppState, confirmed: Confirmed) -> Response {
    let tickets = confirmed.tickets.into_iter().map(|(id, code)| NewTicket { id, code }).collect();
    let url = order_url(state, &confirmed.token);
    let made = OrderMade { order: confirmed.token, reference: confirmed.reference, url, tickets };
    created(Json(made))
}

/// The address of an order's page.
fn order_url(state: &AppState, token: &str) -> String {
    state.public(&["/order/", token].concat())
}

fn answer(body: impl Serialize) -> Response {
    Json(body).into_response()
}
