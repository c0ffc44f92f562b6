//! An org's list of events.

use std::sync::Arc;

use sloe_core::time::Timestamp;
use sloe_engine::tenant;
use sloe_engine::view::{Availability, Listing};

use super::{instant, org as org_view, zone};
use crate::site::view::event_list::{EventCard, EventListPage, Status};
use crate::site::view::{Band, Shell, tone};
use crate::site::when::When;
use crate::site::words;

/// Past events shown at most: the list is for what is coming.
const PAST: usize = 12;

/// The list of `events` (by start), each with what is left of it; `None` for
/// one whose figures can't be told now.
#[must_use]
pub fn event_list(
    org: &tenant::Org,
    events: &[(Arc<Listing>, Option<Arc<Availability>>)],
    live: bool,
    now: Timestamp,
) -> EventListPage {
    let (past, upcoming): (Vec<_>, Vec<_>) = events
        .iter()
        .filter(|(event, _)| event.published)
        .partition(|(event, _)| event.ends_at <= now);
    let view = org_view(org);
    let card = |(event, left): &(Arc<Listing>, Option<Arc<Availability>>)| {
        card(&view.slug, event, left.as_deref(), live, now)
    };
    let mut upcoming: Vec<_> = upcoming.into_iter().map(card).collect();
    if let Some(open) = upcoming.iter().position(|card| card.status.is_open())
        && let Some(front) = upcoming.get_mut(..=open)
    {
        front.rotate_right(1);
    }
    EventListPage {
        shell: Shell::public(&view, &view.name, view.tagline.as_deref().unwrap_or_default()),
        notice: (!live && !upcoming.is_empty()).then(words::paused),
        upcoming,
        past: past.into_iter().rev().take(PAST).map(card).collect(),
        org: view,
    }
}

fn card(
    org: &str,
    event: &Listing,
    left: Option<&Availability>,
    live: bool,
    now: Timestamp,
) -> EventCard {
    let place = match (&event.venue, event.online) {
        (Some(venue), true) => format!("{venue} and online"),
        (Some(venue), false) => venue.clone(),
        (None, true) => "Online".to_owned(),
        (None, false) => "Place to be announced".to_owned(),
    };
    EventCard {
        href: format!("/{org}/{}", event.slug),
        name: event.name.clone(),
        summary: event.summary.clone(),
        when: When::new(instant(event.starts_at), instant(event.ends_at), &zone(&event.time_zone)),
        place,
        price: if event.has_free_items { "Free" } else { "Paid" }.to_owned(),
        status: status(event, left, live, now),
        tone: tone(&event.id.to_string()),
    }
}

fn status(event: &Listing, left: Option<&Availability>, live: bool, now: Timestamp) -> Status {
    let opens = event.opens_at.filter(|at| now < *at);
    if event.cancelled {
        Status::Cancelled
    } else if event.ends_at <= now {
        Status::Over
    } else if !live {
        Status::Paused
    } else if let Some(at) = opens {
        Status::Soon(
            instant(at).to_zoned(zone(&event.time_zone)).strftime("%b %-d, %H:%M").to_string(),
        )
    } else if event.closes_at.is_some_and(|at| at <= now) {
        Status::Closed
    } else if !event.has_free_items {
        Status::Payment
    } else {
        left.map_or(Status::Paused, |left| Status::Open(band(left)))
    }
}

/// What is left of the event, or of its items if those run out first.
fn band(left: &Availability) -> Band {
    let event = Band::of(left.left, left.limit);
    let items = left
        .items
        .iter()
        .map(|item| Band::of(item.left, item.limit))
        .min_by_key(|band| *band as u8);
    items.map_or(event, |items| if event as u8 > items as u8 { event } else { items })
}
