//! From records to a snapshot and the ledger's terms.

use std::collections::{BTreeMap, BTreeSet};

use super::read::Reader;
use super::{Fault, Field, RawEvent, RawRecord};
use crate::catalog::{AttendeeForm, EventStatus, Item, Organizer, Place, Session, Snapshot};
use crate::fact::{ItemTerms, PoolTerms, SessionTerms, Standing, Terms};
use crate::ids::{EventRef, OrgId, PublicId, SfId};
use crate::limits;
use crate::money::{Currency, Price};
use crate::time::Timestamp;

/// A whole event that may replace the one before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// What the public may see. Its `version` and `ledger_version` are 0 and
    /// its slug is a wish: who publishes it sets all three.
    pub snapshot: Snapshot,
    /// What decides claims.
    pub terms: Terms,
}

/// Validates `raw` as an event of `org`; `time_zone` and `form` stand in
/// where the event itself says nothing.
///
/// # Errors
/// Every fault of every record; then nothing of it may be used.
pub fn build(
    org: OrgId,
    raw: &RawEvent,
    time_zone: &str,
    form: AttendeeForm,
) -> Result<Accepted, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut snapshot = read_event(org, raw, time_zone, form, &mut faults);
    snapshot.items = read_sorted(&raw.items, |r| read_item(org, r, &mut faults));
    snapshot.sessions = read_sorted(&raw.sessions, |r| read_session(org, r, &mut faults));
    snapshot.sessions.sort_by_key(|s| s.starts_at);
    faults.extend(too_much(&snapshot));
    if !faults.is_empty() {
        return Err(faults);
    }
    let terms = terms_of(&snapshot, raw);
    Ok(Accepted { snapshot, terms })
}

/// More than one event can hold, though each of its records is good.
fn too_much(snapshot: &Snapshot) -> Vec<Fault> {
    let fault = |field: Field, message| Fault {
        record: snapshot.event.event,
        field: field.label(),
        message,
    };
    let mut faults = Vec::new();
    let pools = 1 + snapshot.items.len() + snapshot.sessions.len();
    if pools > limits::MAX_POOLS {
        let most = limits::MAX_POOLS - 1;
        let message =
            format!("has {pools} items and sessions; at most {most} can be offered in one event");
        faults.push(fault(Field::Name, message));
    }
    let bytes = text_bytes(snapshot);
    if bytes > limits::MAX_EVENT_TEXT_BYTES {
        let message = format!(
            "and all other texts of the event, its items and sessions have {} KB together; at most \
             {} KB can be shown",
            bytes.div_ceil(1024),
            limits::MAX_EVENT_TEXT_BYTES / 1024
        );
        faults.push(fault(Field::Description, message));
    }
    faults
}

/// Bytes of all texts that may be long.
fn text_bytes(snapshot: &Snapshot) -> usize {
    let some = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let Snapshot { name, summary, description, place, organizer, .. } = snapshot;
    let event = [name, summary, description].map(String::len).iter().sum::<usize>()
        + some(&place.venue)
        + some(&place.address)
        + some(&organizer.name);
    let items = snapshot.items.iter().map(|item| item.name.len() + item.description.len());
    let sessions = snapshot.sessions.iter().map(|session| {
        let Session { name, description, track, speaker, room, .. } = session;
        name.len() + description.len() + some(track) + some(speaker) + some(room)
    });
    event + items.sum::<usize>() + sessions.sum::<usize>()
}

/// What an event comes to whose record is gone from the org as of `as_of`:
/// not shown any more, nothing new taken, orders kept.
#[must_use]
pub fn withdraw(before: &Snapshot, as_of: Timestamp) -> Accepted {
    let snapshot = Snapshot { published: false, as_of, ..before.clone() };
    let raw = RawEvent {
        event: RawRecord { id: before.event.event, fields: BTreeMap::new() },
        items: Vec::new(),
        sessions: Vec::new(),
        external_total: 0,
        external_by_item: Vec::new(),
        external_by_session: Vec::new(),
        cancelled: Vec::new(),
        as_of,
    };
    let terms = terms_of(&snapshot, &raw);
    Accepted { snapshot, terms }
}

fn read_event(
    org: OrgId,
    raw: &RawEvent,
    time_zone: &str,
    form: AttendeeForm,
    faults: &mut Vec<Fault>,
) -> Snapshot {
    let event = EventRef { org, event: raw.event.id };
    let mut r = Reader::new(&raw.event, faults);
    let name = r.required_text(Field::Name);
    let starts_at = r.required_moment(Field::StartsAt);
    let ends_at = r.required_moment(Field::EndsAt);
    let (opens_at, closes_at) = (r.moment(Field::OpensAt), r.moment(Field::ClosesAt));
    r.ordered((Field::StartsAt, Some(starts_at)), (Field::EndsAt, Some(ends_at)));
    r.ordered((Field::OpensAt, opens_at), (Field::ClosesAt, closes_at));
    let slug_wish = r.text(Field::Slug).unwrap_or_else(|| name.clone());
    let slug = slug::slugify(&slug_wish);
    let status = match r.text(Field::Status).as_deref() {
        None | Some("Scheduled") => EventStatus::Scheduled,
        Some("Cancelled") => EventStatus::Cancelled,
        Some(other) => {
            r.fault(Field::Status, format!("{other:?} is neither Scheduled nor Cancelled"));
            EventStatus::Scheduled
        }
    };
    let minutes = r.whole(Field::HoldMinutes, limits::HOLD_MINUTES);
    Snapshot {
        event,
        id: event.public_id(),
        version: 0,
        ledger_version: 0,
        as_of: raw.as_of,
        slug: if slug.is_empty() { event.public_id().to_string() } else { slug },
        name,
        summary: r.prose(Field::Summary),
        description: r.prose(Field::Description),
        starts_at,
        ends_at,
        time_zone: r.time_zone(time_zone),
        place: Place {
            venue: r.text(Field::VenueName),
            address: r.text(Field::VenueAddress),
            online_url: r.link(Field::OnlineUrl),
        },
        image_url: r.link(Field::ImageUrl),
        organizer: Organizer {
            name: r.text(Field::OrganizerName),
            email: r.email(Field::OrganizerEmail),
            privacy_url: r.link(Field::PrivacyUrl),
        },
        published: r.flag(Field::Published, false),
        status,
        opens_at,
        closes_at,
        limit: r.limit(),
        max_per_order: r.max_per_order(10),
        hold_millis: minutes.map_or(limits::DEFAULT_HOLD_MILLIS, |m| m * 60_000),
        items: Vec::new(),
        sessions: Vec::new(),
        form,
    }
}

/// Active records by position, then in the order read; inactive ones are left out.
fn read_sorted<T>(
    records: &[RawRecord],
    mut read: impl FnMut(&RawRecord) -> Option<(i64, T)>,
) -> Vec<T> {
    let mut all: Vec<_> = records.iter().filter_map(&mut read).collect();
    all.sort_by_key(|(position, _)| *position);
    all.into_iter().map(|(_, thing)| thing).collect()
}

fn read_item(org: OrgId, record: &RawRecord, faults: &mut Vec<Fault>) -> Option<(i64, Item)> {
    let mut r = Reader::new(record, faults);
    let active = r.flag(Field::Active, true);
    let price = read_price(&mut r);
    let (opens_at, closes_at) = (r.moment(Field::OpensAt), r.moment(Field::ClosesAt));
    r.ordered((Field::OpensAt, opens_at), (Field::ClosesAt, closes_at));
    let item = Item {
        sf: record.id,
        id: PublicId::derive(&org, &record.id),
        name: r.required_text(Field::Name),
        description: r.prose(Field::Description),
        price,
        limit: r.limit(),
        opens_at,
        closes_at,
        max_per_order: r.max_per_order(limits::MAX_PLACES),
    };
    let position = r.whole(Field::Position, -1_000_000..=1_000_000).unwrap_or(i64::MAX);
    active.then_some((position, item))
}

fn read_price(r: &mut Reader<'_>) -> Option<Price> {
    let amount = r.decimal(Field::Price)?;
    let Some(code) = r.text(Field::Currency) else {
        // Nobody may guess what a price is in; what is free needs none.
        match Price::parse(&amount, Currency::NONE) {
            Ok(None) => {}
            Ok(Some(_)) => r.fault(
                Field::Currency,
                "is empty and there is a price; fill it in, or give the mapping a fallback for it",
            ),
            Err(message) => r.fault(Field::Price, message),
        }
        return None;
    };
    let Some(currency) = Currency::parse(&code) else {
        r.fault(Field::Currency, format!("{code:?} is not a currency; use a code such as EUR"));
        return None;
    };
    Price::parse(&amount, currency).unwrap_or_else(|message| {
        r.fault(Field::Price, message);
        None
    })
}

fn read_session(org: OrgId, record: &RawRecord, faults: &mut Vec<Fault>) -> Option<(i64, Session)> {
    let mut r = Reader::new(record, faults);
    let active = r.flag(Field::Active, true);
    let starts_at = r.required_moment(Field::StartsAt);
    let ends_at = r.required_moment(Field::EndsAt);
    r.ordered((Field::StartsAt, Some(starts_at)), (Field::EndsAt, Some(ends_at)));
    let session = Session {
        sf: record.id,
        id: PublicId::derive(&org, &record.id),
        name: r.required_text(Field::Name),
        description: r.prose(Field::Description),
        track: r.text(Field::Track),
        speaker: r.text(Field::Speaker),
        room: r.text(Field::Room),
        starts_at,
        ends_at,
        limit: r.limit(),
    };
    let position = r.whole(Field::Position, -1_000_000..=1_000_000).unwrap_or(i64::MAX);
    active.then_some((position, session))
}

fn terms_of(snapshot: &Snapshot, raw: &RawEvent) -> Terms {
    let by_item: BTreeMap<SfId, u32> = raw.external_by_item.iter().copied().collect();
    let by_session: BTreeMap<SfId, u32> = raw.external_by_session.iter().copied().collect();
    let pool = |record: SfId, limit: Option<u32>, counts: &BTreeMap<SfId, u32>| PoolTerms {
        record,
        limit: limit.filter(|limit| *limit > 0 || !crate::planted!(ZeroIsUnlimited)),
        external: counts.get(&record).copied().unwrap_or(0),
    };
    let mut seen = BTreeSet::new();
    Terms {
        as_of: snapshot.as_of,
        standing: match (snapshot.status, snapshot.published) {
            (EventStatus::Cancelled, _) => Standing::Cancelled,
            (EventStatus::Scheduled, true) => Standing::Published,
            (EventStatus::Scheduled, false) => Standing::Unpublished,
        },
        opens_at: snapshot.opens_at,
        closes_at: snapshot.closes_at,
        ends_at: snapshot.ends_at,
        hold_millis: snapshot.hold_millis,
        max_per_order: snapshot.max_per_order,
        limit: snapshot.limit,
        external: raw.external_total,
        items: snapshot
            .items
            .iter()
            .filter(|item| seen.insert(item.sf))
            .map(|item| ItemTerms {
                pool: pool(item.sf, item.limit, &by_item),
                free: item.price.is_none(),
                opens_at: item.opens_at,
                closes_at: item.closes_at,
                max_per_order: item.max_per_order,
            })
            .collect(),
        sessions: snapshot
            .sessions
            .iter()
            .map(|session| SessionTerms {
                pool: pool(session.sf, session.limit, &by_session),
                ends_at: session.ends_at,
            })
            .collect(),
    }
}
