//! The stored form of a snapshot: JSON with the field names of
//! [`sloe_core::catalog`], one document per event.

use serde::{Deserialize, Serialize};
use sloe_core::catalog::{
    AttendeeForm, EventStatus, FieldRule, Item, Organizer, Place, Session, Snapshot,
};
use sloe_core::ids::EventRef;
use sloe_core::money::{Currency, Price};

use super::DocumentError;
use super::document::{self, Moment, Org, Public, Record};

#[cfg(test)]
mod tests;

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    org: Org,
    event: Record,
    id: Public,
    version: u64,
    ledger_version: u64,
    as_of: Moment,
    slug: String,
    name: String,
    summary: String,
    description: String,
    starts_at: Moment,
    ends_at: Moment,
    time_zone: String,
    place: StoredPlace,
    image_url: Option<String>,
    organizer: StoredOrganizer,
    published: bool,
    status: Status,
    opens_at: Option<Moment>,
    closes_at: Option<Moment>,
    limit: Option<u32>,
    max_per_order: u32,
    hold_millis: i64,
    items: Vec<StoredItem>,
    sessions: Vec<StoredSession>,
    form: StoredForm,
}

#[derive(Serialize, Deserialize)]
struct StoredPlace {
    venue: Option<String>,
    address: Option<String>,
    online_url: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredOrganizer {
    name: Option<String>,
    email: Option<String>,
    privacy_url: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Scheduled,
    Cancelled,
}

#[derive(Serialize, Deserialize)]
struct StoredItem {
    sf: Record,
    id: Public,
    name: String,
    description: String,
    price: Option<StoredPrice>,
    limit: Option<u32>,
    opens_at: Option<Moment>,
    closes_at: Option<Moment>,
    max_per_order: u32,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "PriceFields", into = "PriceFields")]
struct StoredPrice(Price);

#[derive(Serialize, Deserialize)]
struct PriceFields {
    minor: i64,
    currency: String,
}

impl From<StoredPrice> for PriceFields {
    fn from(StoredPrice(price): StoredPrice) -> Self {
        Self { minor: price.minor, currency: price.currency.code().to_owned() }
    }
}

impl TryFrom<PriceFields> for StoredPrice {
    type Error = String;

    fn try_from(fields: PriceFields) -> Result<Self, String> {
        let currency = Currency::parse(&fields.currency)
            .ok_or_else(|| format!("{:?} is no currency", fields.currency))?;
        Ok(Self(Price { minor: fields.minor, currency }))
    }
}

#[derive(Serialize, Deserialize)]
struct StoredSession {
    sf: Record,
    id: Public,
    name: String,
    description: String,
    track: Option<String>,
    speaker: Option<String>,
    room: Option<String>,
    starts_at: Moment,
    ends_at: Moment,
    limit: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct StoredForm {
    first_name: StoredRule,
    last_name: StoredRule,
    email: StoredRule,
}

#[derive(Serialize, Deserialize)]
struct StoredRule {
    max_length: u32,
    required: bool,
}

/// `snapshot` in stored form.
#[must_use]
pub fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let snapshot = snapshot.clone();
    let stored = Stored {
        format: FORMAT,
        org: Org(snapshot.event.org),
        event: Record(snapshot.event.event),
        id: Public(snapshot.id),
        version: snapshot.version,
        ledger_version: snapshot.ledger_version,
        as_of: Moment(snapshot.as_of),
        slug: snapshot.slug,
        name: snapshot.name,
        summary: snapshot.summary,
        description: snapshot.description,
        starts_at: Moment(snapshot.starts_at),
        ends_at: Moment(snapshot.ends_at),
        time_zone: snapshot.time_zone,
        place: StoredPlace {
            venue: snapshot.place.venue,
            address: snapshot.place.address,
            online_url: snapshot.place.online_url,
        },
        image_url: snapshot.image_url,
        organizer: StoredOrganizer {
            name: snapshot.organizer.name,
            email: snapshot.organizer.email,
            privacy_url: snapshot.organizer.privacy_url,
        },
        published: snapshot.published,
        status: match snapshot.status {
            EventStatus::Scheduled => Status::Scheduled,
            EventStatus::Cancelled => Status::Cancelled,
        },
        opens_at: snapshot.opens_at.map(Moment),
        closes_at: snapshot.closes_at.map(Moment),
        limit: snapshot.limit,
        max_per_order: snapshot.max_per_order,
        hold_millis: snapshot.hold_millis,
        items: snapshot.items.into_iter().map(StoredItem::from).collect(),
        sessions: snapshot.sessions.into_iter().map(StoredSession::from).collect(),
        form: StoredForm {
            first_name: snapshot.form.first_name.into(),
            last_name: snapshot.form.last_name.into(),
            email: snapshot.form.email.into(),
        },
    };
    document::write(&stored)
}

/// The snapshot in `bytes`.
///
/// # Errors
/// What is wrong with the document.
pub fn decode(bytes: &[u8]) -> Result<Snapshot, DocumentError> {
    let stored: Stored = document::read(FORMAT, bytes)?;
    Ok(Snapshot {
        event: EventRef { org: stored.org.0, event: stored.event.0 },
        id: stored.id.0,
        version: stored.version,
        ledger_version: stored.ledger_version,
        as_of: stored.as_of.0,
        slug: stored.slug,
        name: stored.name,
        summary: stored.summary,
        description: stored.description,
        starts_at: stored.starts_at.0,
        ends_at: stored.ends_at.0,
        time_zone: stored.time_zone,
        place: Place {
            venue: stored.place.venue,
            address: stored.place.address,
            online_url: stored.place.online_url,
        },
        image_url: stored.image_url,
        organizer: Organizer {
            name: stored.organizer.name,
            email: stored.organizer.email,
            privacy_url: stored.organizer.privacy_url,
        },
        published: stored.published,
        status: match stored.status {
            Status::Scheduled => EventStatus::Scheduled,
            Status::Cancelled => EventStatus::Cancelled,
        },
        opens_at: stored.opens_at.map(|moment| moment.0),
        closes_at: stored.closes_at.map(|moment| moment.0),
        limit: stored.limit,
        max_per_order: stored.max_per_order,
        hold_millis: stored.hold_millis,
        items: stored.items.into_iter().map(Item::from).collect(),
        sessions: stored.sessions.into_iter().map(Session::from).collect(),
        form: AttendeeForm {
            first_name: stored.form.first_name.into(),
            last_name: stored.form.last_name.into(),
            email: stored.form.email.into(),
        },
    })
}

impl From<Item> for StoredItem {
    fn from(item: Item) -> Self {
        Self {
            sf: Record(item.sf),
            id: Public(item.id),
            name: item.name,
            description: item.description,
            price: item.price.map(StoredPrice),
            limit: item.limit,
            opens_at: item.opens_at.map(Moment),
            closes_at: item.closes_at.map(Moment),
            max_per_order: item.max_per_order,
        }
    }
}

impl From<StoredItem> for Item {
    fn from(stored: StoredItem) -> Self {
        Self {
            sf: stored.sf.0,
            id: stored.id.0,
            name: stored.name,
            description: stored.description,
            price: stored.price.map(|price| price.0),
            limit: stored.limit,
            opens_at: stored.opens_at.map(|moment| moment.0),
            closes_at: stored.closes_at.map(|moment| moment.0),
            max_per_order: stored.max_per_order,
        }
    }
}

impl From<Session> for StoredSession {
    fn from(session: Session) -> Self {
        Self {
            sf: Record(session.sf),
            id: Public(session.id),
            name: session.name,
            description: session.description,
            track: session.track,
            speaker: session.speaker,
            room: session.room,
            starts_at: Moment(session.starts_at),
            ends_at: Moment(session.ends_at),
            limit: session.limit,
        }
    }
}

impl From<StoredSession> for Session {
    fn from(stored: StoredSession) -> Self {
        Self {
            sf: stored.sf.0,
            id: stored.id.0,
            name: stored.name,
            description: stored.description,
            track: stored.track,
            speaker: stored.speaker,
            room: stored.room,
            starts_at: stored.starts_at.0,
            ends_at: stored.ends_at.0,
            limit: stored.limit,
        }
    }
}

impl From<FieldRule> for StoredRule {
    fn from(rule: FieldRule) -> Self {
        Self { max_length: rule.max_length, required: rule.required }
    }
}

impl From<StoredRule> for FieldRule {
    fn from(stored: StoredRule) -> Self {
        Self { max_length: stored.max_length, required: stored.required }
    }
}
