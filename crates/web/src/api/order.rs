//! Orders: reading them and giving tickets back.

pub(crate) mod cancel;
pub(crate) mod read;

use sloe_core::ids::PublicId;
use sloe_engine::view::{self, OrderView};

use super::{order_url, types};
use crate::state::AppState;

fn order(state: &AppState, order: OrderView) -> types::Order {
    let standing = order.tickets.iter().any(|ticket| ticket.cancelled.is_none());
    types::Order {
        url: order_url(state, &order.token),
        order: order.token,
        reference: order.reference,
        event: order.snapshot.id.to_string(),
        status: if standing {
            types::OrderStatus::Confirmed
        } else {
            types::OrderStatus::Cancelled
        },
        tickets: order.tickets.into_iter().map(ticket).collect(),
    }
}

fn ticket(ticket: view::Ticket) -> types::Ticket {
    let (first_name, last_name, email) = match ticket.attendee {
        Some(person) => (Some(person.first_name), Some(person.last_name), Some(person.email)),
        None => (None, None, None),
    };
    types::Ticket {
        id: ticket.place,
        code: ticket.code,
        item: ticket.item.to_string(),
        sessions: ticket.sessions.iter().map(PublicId::to_string).collect(),
        first_name,
        last_name,
        email,
        cancelled: ticket.cancelled.is_some(),
    }
}
