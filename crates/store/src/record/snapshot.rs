//! The stored form of an event's snapshot: JSON, so that an operator can read
//! it with any tool. Salesforce has the original, so one format is enough.

use serde::{Deserialize, Serialize};
use sloe_core::catalog::{
    AttendeeForm, EventStatus, FieldRule, Item, Organizer, Place, Session, Snapshot,
};
use sloe_core::ids::{EventRef, OrgId, PublicId, SfId};
use sloe_core::money::{Currency, Price};
use sloe_core::time::Timestamp;

const FORMAT: u8 = 1;

/// Why a stored snapshot can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the stored snapshot can't be read: {0}")]
pub struct SnapshotError(String);

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u8,
    org: String,
    event: String,
    version: u64,
    ledger_version: u64,
    as_of: i64,
    slug: String,
    name: String,
    summary: String,
    description: String,
    starts_at: i64,
    ends_at: i64,
    time_zone: String,
    venue: Option<String>,
    address: Option<String>,
    online_url: Option<String>,
    image_url: Option<String>,
    organizer: Option<String>,
    organizer_email: Option<String>,
    privacy_url: Option<String>,
    published: bool,
    cancelled: bool,
    opens_at: Option<i64>,
    closes_at: Option<i64>,
    limit: Option<u32>,
    max_per_order: u32,
    hold_millis: i64,
    items: Vec<StoredItem>,
    sessions: Vec<StoredSession>,
    form: [(u32, bool); 3],
}

#[derive(Serialize, Deserialize)]
struct StoredItem {
    record: String,
    name: String,
    description: String,
    price: Option<(i64, String)>,
    limit: Option<u32>,
    opens_at: Option<i64>,
    closes_at: Option<i64>,
    max_per_order: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredSession {
    record: String,
    name: String,
    description: String,
    track: Option<String>,
    speaker: Option<String>,
    room: Option<String>,
    starts_at: i64,
    ends_at: i64,
    limit: Option<u32>,
}

/// `snapshot` in stored form.
#[must_use]
pub fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let s = snapshot.clone();
    let millis = |moment: Option<Timestamp>| moment.map(|m| m.0);
    let rule = |rule: FieldRule| (rule.max_length, rule.required);
    let stored = Stored {
        format: FORMAT,
        org: s.event.org.to_string(),
        event: s.event.event.to_string(),
        version: s.version,
        ledger_version: s.ledger_version,
        as_of: s.as_of.0,
        slug: s.slug,
        name: s.name,
        summary: s.summary,
        description: s.description,
        starts_at: s.starts_at.0,
        ends_at: s.ends_at.0,
        time_zone: s.time_zone,
        venue: s.place.venue,
        address: s.place.address,
        online_url: s.place.online_url,
        image_url: s.image_url,
        organizer: s.organizer.name,
        organizer_email: s.organizer.email,
        privacy_url: s.organizer.privacy_url,
        published: s.published,
        cancelled: s.status == EventStatus::Cancelled,
        opens_at: millis(s.opens_at),
        closes_at: millis(s.closes_at),
        limit: s.limit,
        max_per_order: s.max_per_order,
        hold_millis: s.hold_millis,
        items: s.items.into_iter().map(store_item).collect(),
        sessions: s.sessions.into_iter().map(store_session).collect(),
        form: [rule(s.form.first_name), rule(s.form.last_name), rule(s.form.email)],
    };
    // Plain values under text keys: writing them can't fail.
    serde_json::to_vec(&stored).unwrap_or_default()
}

fn store_item(item: Item) -> StoredItem {
    StoredItem {
        record: item.sf.to_string(),
        name: item.name,
        description: item.description,
        price: item.price.map(|price| (price.minor, price.currency.code().to_owned())),
        limit: item.limit,
        opens_at: item.opens_at.map(|m| m.0),
        closes_at: item.closes_at.map(|m| m.0),
        max_per_order: item.max_per_order,
    }
}

fn store_session(session: Session) -> StoredSession {
    StoredSession {
        record: session.sf.to_string(),
        name: session.name,
        description: session.description,
        track: session.track,
        speaker: session.speaker,
        room: session.room,
        starts_at: session.starts_at.0,
        ends_at: session.ends_at.0,
        limit: session.limit,
    }
}

/// The snapshot that [`encode`] was given.
///
/// # Errors
/// [`SnapshotError`]; a refresh of the event makes a new one.
pub fn decode(body: &[u8]) -> Result<Snapshot, SnapshotError> {
    let damaged = |what: &dyn std::fmt::Display| SnapshotError(what.to_string());
    let s: Stored = serde_json::from_slice(body).map_err(|e| damaged(&e))?;
    if s.format != FORMAT {
        return Err(SnapshotError(format!("format {} is unknown here", s.format)));
    }
    let org = OrgId::parse(&s.org).map_err(|e| damaged(&e))?;
    let event = EventRef { org, event: SfId::parse(&s.event).map_err(|e| damaged(&e))? };
    let moment = |millis: Option<i64>| millis.map(Timestamp);
    let rule = |(max_length, required)| FieldRule { max_length, required };
    let [first_name, last_name, email] = s.form;
    Ok(Snapshot {
        event,
        id: event.public_id(),
        version: s.version,
        ledger_version: s.ledger_version,
        as_of: Timestamp(s.as_of),
        slug: s.slug,
        name: s.name,
        summary: s.summary,
        description: s.description,
        starts_at: Timestamp(s.starts_at),
        ends_at: Timestamp(s.ends_at),
        time_zone: s.time_zone,
        place: Place { venue: s.venue, address: s.address, online_url: s.online_url },
        image_url: s.image_url,
        organizer: Organizer {
            name: s.organizer,
            email: s.organizer_email,
            privacy_url: s.privacy_url,
        },
        published: s.published,
        status: if s.cancelled { EventStatus::Cancelled } else { EventStatus::Scheduled },
        opens_at: moment(s.opens_at),
        closes_at: moment(s.closes_at),
        limit: s.limit,
        max_per_order: s.max_per_order,
        hold_millis: s.hold_millis,
        items: s.items.into_iter().map(|i| read_item(org, i)).collect::<Result<_, _>>()?,
        sessions: s.sessions.into_iter().map(|i| read_session(org, i)).collect::<Result<_, _>>()?,
        form: AttendeeForm {
            first_name: rule(first_name),
            last_name: rule(last_name),
            email: rule(email),
        },
    })
}

fn read_item(org: OrgId, item: StoredItem) -> Result<Item, SnapshotError> {
    let sf = SfId::parse(&item.record).map_err(|e| SnapshotError(e.to_string()))?;
    let price = match item.price {
        None => None,
        Some((minor, code)) => {
            let currency = Currency::parse(&code).ok_or(SnapshotError(code))?;
            Some(Price { minor, currency })
        }
    };
    Ok(Item {
        sf,
        id: PublicId::derive(&org, &sf),
        name: item.name,
        description: item.description,
        price,
        limit: item.limit,
        opens_at: item.opens_at.map(Timestamp),
        closes_at: item.closes_at.map(Timestamp),
        max_per_order: item.max_per_order,
    })
}

fn read_session(org: OrgId, session: StoredSession) -> Result<Session, SnapshotError> {
    let sf = SfId::parse(&session.record).map_err(|e| SnapshotError(e.to_string()))?;
    Ok(Session {
        sf,
        id: PublicId::derive(&org, &sf),
        name: session.name,
        description: session.description,
        track: session.track,
        speaker: session.speaker,
        room: session.room,
        starts_at: Timestamp(session.starts_at),
        ends_at: Timestamp(session.ends_at),
        limit: session.limit,
    })
}
