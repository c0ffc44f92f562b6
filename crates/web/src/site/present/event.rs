//! The event's page.

use std::collections::{HashMap, HashSet};

use jiff::tz::TimeZone;
use sloe_core::catalog::{Item, Session, Snapshot};
use sloe_core::ids::PublicId;
use sloe_core::time::Timestamp;
use sloe_engine::tenant;
use sloe_engine::view::{Availability, HeldPlace};

use super::standing::{Counts, Standing, item_state, standing};
use super::{instant, org as org_view, place, price, when, zone};
use crate::site::view::event::{Day, EventPage, ItemChoice, ItemState, SessionChoice, Slot};
use crate::site::view::event_list::Status;
use crate::site::view::{Band, Fault, Shell, tone};
use crate::site::when::Moment;
use crate::site::{prose, words};

/// What makes the page one visitor's: an answer that is not cached.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// The token of their hold.
    pub hold: Option<String>,
    /// The seats in it, which count as free for them.
    pub own: Vec<HeldPlace>,
    /// Quantities chosen.
    pub quantities: HashMap<PublicId, u32>,
    /// Sessions chosen.
    pub sessions: HashSet<PublicId>,
    /// What was wrong with that.
    pub faults: Vec<Fault>,
}

impl Visitor {
    /// A visitor who wants to change what they hold.
    #[must_use]
    pub fn holding(token: &str, places: &[HeldPlace]) -> Self {
        let mut quantities = HashMap::new();
        for place in places {
            *quantities.entry(place.item).or_insert(0) += 1;
        }
        Self {
            hold: Some(token.to_owned()),
            own: places.to_vec(),
            quantities,
            sessions: places.iter().flat_map(|place| place.sessions.iter().copied()).collect(),
            faults: Vec::new(),
        }
    }
}

/// The page of `snapshot` for everybody, or for one `visitor`.
#[must_use]
pub fn event_page(
    org: &tenant::Org,
    snapshot: &Snapshot,
    availability: &Availability,
    live: bool,
    now: Timestamp,
    visitor: Option<Visitor>,
) -> (EventPage, Standing) {
    let own = visitor.as_ref().map(|v| v.own.as_slice()).unwrap_or_default();
    let counts = Counts::new(availability, own);
    let standing = standing(snapshot, &counts, live, now);
    let org = org_view(org);
    let mut shell = Shell::public(&org, &title(snapshot, &standing), &description(snapshot));
    shell.index = visitor.is_none();
    let notice = words::about_status(&standing.status, standing.opens.as_deref());
    let id = snapshot.id.to_string();
    let mut page = EventPage {
        shell,
        slug: snapshot.slug.clone(),
        name: snapshot.name.clone(),
        summary: snapshot.summary.clone(),
        about: prose::to_markup(&snapshot.description),
        image: snapshot.image_url.clone(),
        tone: tone(&id),
        when: when(snapshot),
        place: place(&snapshot.place),
        price: price_line(snapshot),
        organizer: snapshot.organizer.name.clone().filter(|name| *name != org.name),
        contact: snapshot.organizer.email.clone().or_else(|| org.contact.clone()),
        notice,
        items: items(snapshot, &counts, &standing, now, visitor.as_ref()),
        days: days(snapshot, &counts, now, visitor.as_ref()),
        action: standing.claimable.then(|| format!("/{}/{}/hold", org.slug, snapshot.slug)),
        faults: Vec::new(),
        max_per_order: snapshot.max_per_order,
        hold_minutes: snapshot.hold_millis / 60_000,
        hold: visitor.as_ref().and_then(|v| v.hold.clone()),
        status: standing.status.clone(),
        id,
        org,
    };
    page.faults = visitor.map(|v| reachable(&page, v.faults)).unwrap_or_default();
    (page, standing)
}

/// The name, with how things stand unless all is well.
fn title(snapshot: &Snapshot, standing: &Standing) -> String {
    let (name, status) = (&snapshot.name, &standing.status);
    if status.is_open() { name.clone() } else { format!("{name} ({})", status.label()) }
}

/// Faults whose field is not on the page lead to the tickets instead.
fn reachable(page: &EventPage, faults: Vec<Fault>) -> Vec<Fault> {
    let shown =
        |field: &str| {
            page.action.is_some()
                && (page.items.iter().any(|item| {
                    item.state.is_open() && field.strip_prefix("qty-") == Some(&item.id)
                }) || page
                    .days
                    .iter()
                    .flat_map(|d| &d.slots)
                    .flat_map(|s| &s.sessions)
                    .any(|s| field.strip_prefix("session-") == Some(&s.id)))
        };
    faults
        .into_iter()
        .map(|fault| {
            if shown(&fault.field) { fault } else { Fault { field: "tickets".to_owned(), ..fault } }
        })
        .collect()
}

fn description(snapshot: &Snapshot) -> String {
    let text = if snapshot.summary.is_empty() { &snapshot.description } else { &snapshot.summary };
    prose::excerpt(text, 160)
}

/// `Free`, `€12.50`, `From €12.50`, `Free or from €12.50`.
fn price_line(snapshot: &Snapshot) -> String {
    let free = snapshot.items.iter().any(|item| item.price.is_none());
    let cheapest =
        snapshot.items.iter().filter_map(|item| item.price).min_by_key(|price| price.minor);
    match (free, cheapest) {
        (_, None) => "Free".to_owned(),
        (true, Some(from)) => format!("Free, or from {}", price(Some(from))),
        (false, from) if snapshot.items.len() == 1 => price(from),
        (false, from) => format!("From {}", price(from)),
    }
}

fn items(
    snapshot: &Snapshot,
    counts: &Counts<'_>,
    standing: &Standing,
    now: Timestamp,
    visitor: Option<&Visitor>,
) -> Vec<ItemChoice> {
    let open = |item: &&Item| item_state(snapshot, item, counts, now).is_open();
    let alone = snapshot.items.iter().filter(open).count() == 1;
    let choice = |item: &Item| {
        let state = match item_state(snapshot, item, counts, now) {
            ItemState::Open(band) if !standing.claimable && band != Band::SoldOut => {
                ItemState::Shown
            }
            ItemState::Open(_) if !matches!(standing.status, Status::Open(_)) => ItemState::Shown,
            state => state,
        };
        let chosen = match visitor {
            Some(visitor) => visitor.quantities.get(&item.id).copied().unwrap_or(0),
            None => u32::from(alone && state.is_open()),
        };
        ItemChoice {
            id: item.id.to_string(),
            name: item.name.clone(),
            description: item.description.clone(),
            price: price(item.price),
            max: item.max_per_order.min(snapshot.max_per_order),
            state,
            chosen,
        }
    };
    snapshot.items.iter().map(choice).collect()
}

/// The program: sessions by day and by the time they begin.
fn days(
    snapshot: &Snapshot,
    counts: &Counts<'_>,
    now: Timestamp,
    visitor: Option<&Visitor>,
) -> Vec<Day> {
    let zone = zone(&snapshot.time_zone);
    let tracks = tracks(snapshot);
    let mut days: Vec<Day> = Vec::new();
    for begun in snapshot.sessions.chunk_by(|a, b| a.starts_at == b.starts_at) {
        let Some(first) = begun.first() else { continue };
        let label =
            instant(first.starts_at).to_zoned(zone.clone()).strftime("%A, %B %-d").to_string();
        if days.last().is_none_or(|day| day.label != label) {
            days.push(Day { label, slots: Vec::new() });
        }
        let together = begun.iter().all(|session| session.ends_at == first.ends_at);
        let mut sessions: Vec<_> = begun.iter().collect();
        sessions
            .sort_by_key(|session| session.track.as_deref().map(|name| tracks.get(name).copied()));
        let shown = sessions.into_iter().map(|session| SessionChoice {
            time: (!together).then(|| span(session, &zone)),
            chosen: visitor.is_some_and(|v| v.sessions.contains(&session.id)),
            ..session_choice(session, counts, now, &tracks)
        });
        let slot = Slot {
            label: if together {
                span(first, &zone)
            } else {
                format!("From {}", Moment::new(instant(first.starts_at), &zone).time)
            },
            start: Moment::new(instant(first.starts_at), &zone),
            sessions: shown.collect(),
        };
        if let Some(day) = days.last_mut() {
            day.slots.push(slot);
        }
    }
    days
}

/// Each track's color, in the order they first appear.
pub(super) fn tracks(snapshot: &Snapshot) -> HashMap<&str, u8> {
    let mut colors = HashMap::new();
    for name in snapshot.sessions.iter().filter_map(|session| session.track.as_deref()) {
        let next = u8::try_from(colors.len() % 6).unwrap_or_default();
        colors.entry(name).or_insert(next);
    }
    colors
}

/// `10:00 – 10:45`.
pub(super) fn span(session: &Session, zone: &TimeZone) -> String {
    let time = |at| Moment::new(instant(at), zone).time;
    format!("{} – {}", time(session.starts_at), time(session.ends_at))
}

/// A session as a choice, not chosen.
pub(super) fn session_choice(
    session: &Session,
    counts: &Counts<'_>,
    now: Timestamp,
    tracks: &HashMap<&str, u8>,
) -> SessionChoice {
    let (left, limit) = counts.session(session.id);
    let color =
        |name: &String| (name.clone(), tracks.get(name.as_str()).copied().unwrap_or_default());
    SessionChoice {
        id: session.id.to_string(),
        name: session.name.clone(),
        description: session.description.clone(),
        track: session.track.as_ref().map(color),
        speaker: session.speaker.clone(),
        room: session.room.clone(),
        time: None,
        span: (session.starts_at.0 / 1_000, session.ends_at.0 / 1_000),
        band: Band::of(left, limit),
        over: session.ends_at <= now,
        chosen: false,
    }
}
