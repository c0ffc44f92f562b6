//! The order's page.

use sloe_core::catalog::{EventStatus, Snapshot};
use sloe_core::fact::Actor;
use sloe_core::ids::PublicId;
use sloe_core::time::Timestamp;
use sloe_engine::view::{OrderView, Ticket};

use super::checkout::brief;
use super::{instant, org as org_view, place, zone};
use crate::site::view::order::{self, Keep, OrderPage, TicketSession, TicketState};
use crate::site::view::{Notice, Shell};
use crate::site::{qr, words};

/// What was done just now, for a word of thanks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing; the page was opened.
    Nothing,
    /// Something was cancelled.
    Cancelled,
}

/// The page of `order`. `mailed` says whether mail is sent here; `url` is the
/// page's full address.
#[must_use]
pub fn order_page(
    order: &OrderView,
    now: Timestamp,
    done: Done,
    mailed: bool,
    url: String,
) -> OrderPage {
    let snapshot = &order.snapshot;
    let org = org_view(&order.org);
    let valid = order.tickets.iter().filter(|ticket| ticket.cancelled.is_none()).count();
    let over = snapshot.ends_at <= now;
    let off = snapshot.status == EventStatus::Cancelled;
    let state = match (off, valid, over) {
        (true, _, _) => "Cancelled event",
        (_, 0, _) => "Cancelled order",
        (_, _, true) => "Past event",
        _ => "Your tickets",
    };
    let shown_place = place(&snapshot.place);
    OrderPage {
        shell: Shell::private(Some(&org), &format!("{state}: {}", snapshot.name)),
        event: brief(&org.slug, snapshot),
        online_url: shown_place.online_url.filter(|_| valid > 0 && !off),
        address: shown_place.venue.into_iter().chain(shown_place.address).collect(),
        reference: order.reference.clone(),
        notice: notice(order, done, valid, over),
        cancelled: valid == 0,
        can_cancel: valid > 0 && !over && !off,
        keep: keep(order, mailed, url),
        calendar: format!("/order/{}/event.ics", order.token),
        cancel: format!("/order/{}/cancel", order.token),
        tickets: order.tickets.iter().map(|ticket| show(snapshot, ticket)).collect(),
        contact: contact(order),
        org,
    }
}

fn notice(order: &OrderView, done: Done, valid: usize, over: bool) -> Option<Notice> {
    if order.snapshot.status == EventStatus::Cancelled {
        return Some(words::order_of_cancelled_event());
    }
    let by_organizer = |ticket: &Ticket| ticket.cancelled != Some(Actor::Registrant);
    match done {
        Done::Cancelled => Some(words::cancelled_now(valid == 0)),
        Done::Nothing if valid == 0 => {
            Some(words::order_cancelled(order.tickets.iter().any(by_organizer)))
        }
        Done::Nothing if over => Some(words::order_of_past_event()),
        Done::Nothing if !order.snapshot.published => Some(words::order_of_hidden_event()),
        Done::Nothing => None,
    }
}

/// Where to ask about an order.
pub(super) fn contact(order: &OrderView) -> Option<String> {
    order.snapshot.organizer.email.clone().or_else(|| order.org.profile.contact_email.clone())
}

fn keep(order: &OrderView, mailed: bool, url: String) -> Keep {
    let first = order
        .tickets
        .iter()
        .find_map(|ticket| ticket.attendee.as_ref())
        .map(|person| masked(&person.email));
    match first {
        Some(address) if mailed && !address.is_empty() => Keep::Mailed(address),
        _ => Keep::SaveLink(url),
    }
}

/// `a…@example.org`: whoever knows the address recognizes it.
fn masked(email: &str) -> String {
    let Some((local, host)) = email.split_once('@') else { return String::new() };
    let first: String = local.chars().take(1).collect();
    format!("{first}…@{host}")
}

fn show(snapshot: &Snapshot, ticket: &Ticket) -> order::Ticket {
    let name = ticket
        .attendee
        .as_ref()
        .map(|who| format!("{} {}", who.first_name, who.last_name).trim().to_owned());
    order::Ticket {
        place: ticket.place,
        name: name.filter(|name| !name.is_empty()),
        item: snapshot.item(ticket.item).map_or("Ticket".to_owned(), |item| item.name.clone()),
        code: grouped(&ticket.code),
        qr: qr::svg(&ticket.code).unwrap_or_default(),
        sessions: sessions(snapshot, &ticket.sessions),
        state: match ticket.cancelled {
            None => TicketState::Valid,
            Some(Actor::Registrant) => TicketState::Cancelled,
            Some(_) => TicketState::CancelledByOrganizer,
        },
    }
}

/// A ticket's sessions by time.
pub(super) fn sessions(snapshot: &Snapshot, chosen: &[PublicId]) -> Vec<TicketSession> {
    let zone = zone(&snapshot.time_zone);
    let show = |session: &sloe_core::catalog::Session| TicketSession {
        time: instant(session.starts_at).to_zoned(zone.clone()).strftime("%a %H:%M").to_string(),
        name: session.name.clone(),
        room: session.room.clone(),
    };
    snapshot.sessions.iter().filter(|session| chosen.contains(&session.id)).map(show).collect()
}

/// In groups of four, for reading out at the door.
fn grouped(code: &str) -> String {
    let characters: Vec<char> = code.chars().collect();
    characters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{grouped, masked};

    #[test]
    fn an_address_is_recognizable_only_to_whoever_knows_it() {
        assert_eq!(masked("ada@example.org"), "a…@example.org");
        assert_eq!(masked("nonsense"), "");
    }

    #[test]
    fn codes_come_in_groups_of_four() {
        assert_eq!(grouped("0123456789"), "0123 4567 89");
    }
}
