//! The checkout's page.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use sloe_core::catalog::{FieldRule, Session, Snapshot};
use sloe_core::ids::PublicId;
use sloe_core::limits::COUNTDOWN_MARGIN_MILLIS;
use sloe_core::time::Timestamp;
use sloe_engine::error::{Part, PoolRef, Shortage};
use sloe_engine::view::{AttendeeInput, Availability, HeldPlace, HoldView};

use super::event::{session_choice, span, tracks};
use super::standing::Counts;
use super::{instant, org as org_view, place, price, when, zone};
use crate::site::view::checkout::{CheckoutPage, EventBrief, Field, Held, Line, Person};
use crate::site::view::event::SessionChoice;
use crate::site::view::{Fault, Shell, tone};
use crate::site::when::Moment;

/// What was typed, one per place.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    /// Who comes.
    pub people: Vec<TypedPerson>,
    /// Whether sessions are chosen per person.
    pub per_person: bool,
}

/// What was typed for one person.
#[derive(Clone, Debug, Default)]
pub struct TypedPerson {
    /// Names and address.
    pub details: AttendeeInput,
    /// Sessions ticked.
    pub sessions: Vec<PublicId>,
}

/// An event in a few words.
pub(super) fn brief(org: &str, snapshot: &Snapshot) -> EventBrief {
    EventBrief {
        href: snapshot.published.then(|| format!("/{org}/{}", snapshot.slug)),
        name: snapshot.name.clone(),
        when: when(snapshot),
        place: place(&snapshot.place).line(),
        tone: tone(&snapshot.id.to_string()),
    }
}

/// The page of `hold` with what was typed so far and what is wrong with it.
#[must_use]
pub fn checkout(
    hold: &HoldView,
    availability: &Availability,
    now: Timestamp,
    key: String,
    typed: Option<&Typed>,
    faults: &[sloe_engine::error::Fault],
) -> CheckoutPage {
    let snapshot = &hold.snapshot;
    let org = org_view(&hold.org);
    let differ =
        hold.places.windows(2).any(|pair| matches!(pair, [a, b] if a.sessions != b.sessions));
    let title = if faults.is_empty() { "Your details" } else { "Please check your details" };
    let places = &hold.places;
    let form = Form { snapshot, availability, now, places, typed, faults };
    let people: Vec<_> = places.iter().map(|held| form.person(held)).collect();
    CheckoutPage {
        shell: Shell::private(Some(&org), &format!("{title}: {}", snapshot.name)),
        event: brief(&org.slug, snapshot),
        held: held(snapshot, hold.expires_at, now),
        notice: None,
        lines: lines(snapshot, &hold.places),
        sessions: names(snapshot, &hold.places),
        action: format!("/checkout/{}", hold.token),
        release: format!("/checkout/{}/release", hold.token),
        change: format!("/checkout/{}/change", hold.token),
        key,
        per_person: typed.map_or(differ, |typed| typed.per_person),
        has_sessions: !snapshot.sessions.is_empty(),
        privacy_url: snapshot
            .organizer
            .privacy_url
            .clone()
            .or_else(|| hold.org.profile.privacy_url.clone()),
        faults: faults.iter().map(|fault| linked(fault, people.len())).collect(),
        people,
        org,
    }
}

fn held(snapshot: &Snapshot, expires_at: Timestamp, now: Timestamp) -> Held {
    let shown = expires_at.plus_millis(-COUNTDOWN_MARGIN_MILLIS);
    let until = Moment::new(instant(shown), &zone(&snapshot.time_zone));
    Held { until: until.time, zone: until.zone, seconds: shown.millis_since(now).div_euclid(1_000) }
}

fn lines(snapshot: &Snapshot, places: &[HeldPlace]) -> Vec<Line> {
    let quantity = |id| places.iter().filter(|place| place.item == id).count();
    let line = |item: &sloe_core::catalog::Item| Line {
        name: item.name.clone(),
        quantity: u32::try_from(quantity(item.id)).unwrap_or(u32::MAX),
        price: price(item.price),
    };
    snapshot.items.iter().map(line).filter(|line| line.quantity > 0).collect()
}

/// The held sessions with their times, each once.
fn names(snapshot: &Snapshot, places: &[HeldPlace]) -> Vec<String> {
    let zone = zone(&snapshot.time_zone);
    let held = |id: PublicId| places.iter().any(|place| place.sessions.contains(&id));
    let name = |session: &Session| {
        let time = Moment::new(instant(session.starts_at), &zone).time;
        format!("{}{time} {}", day(snapshot, session, &zone), session.name)
    };
    snapshot.sessions.iter().filter(|session| held(session.id)).map(name).collect()
}

/// `Thu `, where the event takes several days.
fn day(snapshot: &Snapshot, session: &Session, zone: &TimeZone) -> String {
    let when = when(snapshot);
    if when.start.date == when.end.date {
        return String::new();
    }
    instant(session.starts_at).to_zoned(zone.clone()).strftime("%a ").to_string()
}

/// What one person's part of the form is made of, besides the person.
struct Form<'a> {
    snapshot: &'a Snapshot,
    availability: &'a Availability,
    now: Timestamp,
    places: &'a [HeldPlace],
    typed: Option<&'a Typed>,
    faults: &'a [sloe_engine::error::Fault],
}

impl Form<'_> {
    fn person(&self, held: &HeldPlace) -> Person {
        let index = usize::from(held.place).checked_sub(1);
        let own = self.typed.and_then(|typed| typed.people.get(index?));
        let details = own.map(|person| person.details.clone()).unwrap_or_default();
        // Sessions chosen differently before the form came back stay chosen.
        let differently = self.typed.is_some_and(|typed| typed.per_person);
        let chosen = own.filter(|_| differently).map_or(&held.sessions, |person| &person.sessions);
        let rules = &self.snapshot.form;
        let item = self.snapshot.item(held.item);
        Person {
            place: held.place,
            item: item.map_or("Ticket".to_owned(), |item| item.name.clone()),
            first_name: self.field(held, details.first_name, &rules.first_name, Part::FirstName),
            last_name: self.field(held, details.last_name, &rules.last_name, Part::LastName),
            email: self.field(held, details.email, &rules.email, Part::Email),
            sessions: self.sessions(chosen),
        }
    }

    fn field(&self, held: &HeldPlace, value: String, rule: &FieldRule, part: Part) -> Field {
        let own = self.faults.iter().find(|f| f.place == Some(held.place) && f.part == part);
        Field {
            value,
            max: rule.max_length,
            required: rule.required,
            fault: own.map(|fault| fault.message.clone()),
        }
    }

    fn sessions(&self, chosen: &[PublicId]) -> Vec<SessionChoice> {
        let snapshot = self.snapshot;
        let zone = zone(&snapshot.time_zone);
        let tracks = tracks(snapshot);
        let counts = Counts::new(self.availability, self.places);
        let choice = |session: &Session| SessionChoice {
            time: Some(day(snapshot, session, &zone) + &span(session, &zone)),
            chosen: chosen.contains(&session.id),
            ..session_choice(session, &counts, self.now, &tracks)
        };
        snapshot.sessions.iter().map(choice).collect()
    }
}

/// A fault with the field it belongs to.
fn linked(fault: &sloe_engine::error::Fault, people: usize) -> Fault {
    let place = fault.place.unwrap_or(1);
    let (field, whose) = match fault.part {
        Part::FirstName => (format!("first-{place}"), true),
        Part::LastName => (format!("last-{place}"), true),
        Part::Email => (format!("email-{place}"), true),
        Part::Sessions => ("sessions-each".to_owned(), false),
        Part::Selection | Part::Item | Part::Attendees | Part::Invitation => {
            ("first-1".to_owned(), false)
        }
    };
    let message = if whose && people > 1 {
        format!("Person {place}: {}", fault.message)
    } else {
        fault.message.clone()
    };
    Fault { field, message }
}

/// Of an expired hold: what it had that is not to be had any more.
#[must_use]
pub fn hold_is_gone(hold: &HoldView, availability: &Availability) -> Vec<Shortage> {
    let counts = Counts::new(availability, &[]);
    let snapshot = &hold.snapshot;
    let mut items = BTreeMap::new();
    let mut sessions = BTreeMap::new();
    for place in &hold.places {
        *items.entry(place.item).or_insert(0_u32) += 1;
        for session in &place.sessions {
            *sessions.entry(*session).or_insert(0_u32) += 1;
        }
    }
    let all = u32::try_from(hold.places.len()).unwrap_or(u32::MAX);
    let own = |id| availability.items.iter().find(|pool| pool.id == id).and_then(|pool| pool.left);
    let event = (PoolRef::Event, all, counts.event().0);
    let items = items.into_iter().map(|(id, asked)| {
        let name = snapshot.item(id).map(|item| item.name.clone()).unwrap_or_default();
        (PoolRef::Item { id, name }, asked, own(id))
    });
    let sessions = sessions.into_iter().map(|(id, asked)| {
        let name = snapshot.session(id).map(|session| session.name.clone()).unwrap_or_default();
        (PoolRef::Session { id, name }, asked, counts.session(id).0)
    });
    let short = |(pool, asked, left): (PoolRef, u32, Option<u32>)| {
        left.filter(|left| *left < asked).map(|left| Shortage { pool, asked, left })
    };
    std::iter::once(event).chain(items).chain(sessions).filter_map(short).collect()
}
