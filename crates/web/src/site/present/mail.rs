//! The mail that confirms an order.

use askama::Template;
use sloe_core::catalog::Snapshot;
use sloe_engine::mail::{Links, MailBody};
use sloe_engine::view::{OrderView, Ticket};

use super::order::{contact, sessions};
use super::{look, place, when};
use crate::site::view::mail::{MailTicket, OrderMail, OrderMailHtml, OrderMailText};

/// The whole mail that confirms `order`, as text and as HTML.
#[must_use]
pub fn confirmation(order: &OrderView, links: &Links) -> MailBody {
    let mail = order_mail(order, links.order.clone());
    // Templates write into memory: only a fault of their own could fail, and
    // the text part alone still tells what matters.
    let text = OrderMailText { mail: &mail }.render().unwrap_or_else(|_| links.order.clone());
    let html = OrderMailHtml { mail: &mail }.render().unwrap_or_default();
    MailBody { subject: mail.subject(), text, html }
}

/// What the confirmation of `order` says; `url` is the order's full address.
#[must_use]
pub fn order_mail(order: &OrderView, url: String) -> OrderMail {
    let snapshot = &order.snapshot;
    let profile = &order.org.profile;
    let at = place(&snapshot.place);
    let standing = || order.tickets.iter().filter(|ticket| ticket.cancelled.is_none());
    OrderMail {
        org: profile.name.clone(),
        accent: look(profile).mail_accent(),
        greeting: standing()
            .find_map(|t| t.attendee.as_ref())
            .map(|who| who.first_name.clone())
            .filter(|name| !name.is_empty()),
        event: snapshot.name.clone(),
        when: when(snapshot),
        place: at.venue.into_iter().chain(at.address).collect(),
        online_url: at.online_url,
        reference: order.reference.clone(),
        url,
        tickets: standing().map(|ticket| mail_ticket(snapshot, ticket)).collect(),
        contact: contact(order),
        privacy_url: snapshot.organizer.privacy_url.clone().or_else(|| profile.privacy_url.clone()),
    }
}

fn mail_ticket(snapshot: &Snapshot, ticket: &Ticket) -> MailTicket {
    let name = ticket
        .attendee
        .as_ref()
        .map(|who| format!("{} {}", who.first_name, who.last_name).trim().to_owned());
    MailTicket {
        name: name
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| format!("Ticket {}", ticket.place)),
        item: snapshot.item(ticket.item).map_or("Ticket".to_owned(), |item| item.name.clone()),
        sessions: sessions(snapshot, &ticket.sessions),
    }
}
