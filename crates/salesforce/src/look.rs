//! Looking for changes that nobody told of: one composite call of five
//! queries, by `(SystemModstamp, Id)` beyond a mark of each object. Deleted
//! rows answer too.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sloe_core::ids::SfId;
use sloe_core::inbound::RawRecord;
use sloe_core::time::Timestamp;

use crate::client::Client;
use crate::error::Error;
use crate::fetch::{Record, composite, id_in, id_of, odd, part, raw_record};
use crate::map::{Column, Mapping};
use crate::query;

/// Rows of events, items and sessions in one look: they hold long texts.
pub(crate) const RECORDS: usize = 500;
/// Rows of attendees in one look: they hold ids only.
pub(crate) const PEOPLE: usize = 2_000;

/// The objects that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watched {
    /// Events.
    Event,
    /// Items.
    Item,
    /// Sessions.
    Session,
    /// Attendees that Sloe did not make, and those of Sloe that are cancelled or deleted.
    Attendee,
    /// Places in sessions that Sloe did not make.
    SessionAttendee,
}

impl Watched {
    /// All of them, in the order of a look's queries.
    pub const ALL: [Self; 5] =
        [Self::Event, Self::Item, Self::Session, Self::Attendee, Self::SessionAttendee];

    /// Its stable name in stored form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Item => "item",
            Self::Session => "session",
            Self::Attendee => "attendee",
            Self::SessionAttendee => "session_attendee",
        }
    }

    fn rows(self) -> usize {
        match self {
            Self::Event | Self::Item | Self::Session => RECORDS,
            Self::Attendee | Self::SessionAttendee => PEOPLE,
        }
    }
}

/// Up to where an object's changes were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The `SystemModstamp` to go on at.
    pub stamp: Timestamp,
    /// The last row read of that very stamp; `None` reads all of them.
    pub after: Option<SfId>,
}

/// A row that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// Of which object.
    pub of: Watched,
    /// When, by the org's clock.
    pub stamp: Timestamp,
    /// The event it belongs to, itself for an event; `None` when its lookup is empty.
    pub event: Option<SfId>,
    /// Whether it lies in the recycle bin.
    pub deleted: bool,
    /// Of an attendee or a place in a session: whether it was changed after it
    /// was made, so that it may have been another event's before.
    pub edited: bool,
    /// Its id, and its mapped fields for events, items and sessions.
    pub record: RawRecord,
    /// Sloe's external id, of attendees that have one.
    pub key: Option<String>,
}

/// What a look saw.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Rows, by object, each object's in the order of their changes.
    pub changes: Vec<Changed>,
    /// Where to go on, of the objects that have more.
    pub more: BTreeMap<Watched, Mark>,
    /// When the org said so, by its own clock.
    pub as_of: Timestamp,
}

/// One call, for the objects that `marks` names.
pub(crate) async fn look(
    client: &Client,
    mapping: &Mapping,
    marks: &BTreeMap<Watched, Mark>,
) -> Result<Looked, Error> {
    let parts = marks.iter().map(|(of, mark)| {
        let soql = query::changed(mapping, *of, mark, of.rows());
        part(of.name(), &soql, true)
    });
    let (mut answers, as_of) = composite(client, parts.collect()).await?;
    let (mut changes, mut more) = (Vec::new(), BTreeMap::new());
    for of in marks.keys().copied() {
        let rows = answers.next_page(client).await?;
        let full = rows.len() >= of.rows();
        let read = rows.iter().map(|row| changed(mapping, of, row));
        let read = read.collect::<Result<Vec<_>, _>>()?;
        if let Some(last) = read.last().filter(|_| full) {
            more.insert(of, Mark { stamp: last.stamp, after: Some(last.record.id) });
        }
        changes.extend(read);
    }
    Ok(Looked { changes, more, as_of })
}

fn changed(mapping: &Mapping, of: Watched, row: &Record) -> Result<Changed, Error> {
    let bare = |id| RawRecord { id, fields: BTreeMap::new() };
    let text = |name: &str| row.get(name).and_then(Json::as_str);
    let id = id_of(row)?;
    let (event, record) = match of {
        Watched::Event => (Some(id), raw_record(row, &mapping.event)?),
        Watched::Item | Watched::Session => {
            let names = if of == Watched::Item { &mapping.item } else { &mapping.session };
            let event = id_in(row, names.event.as_deref().unwrap_or_default())?;
            (event, raw_record(row, names)?)
        }
        Watched::Attendee => {
            let name = mapping.attendee.columns.get(&Column::Event).map_or("", String::as_str);
            (id_in(row, name)?, bare(id))
        }
        Watched::SessionAttendee => {
            let (parent, name) = query::event_of_session(mapping);
            let session = row.get(&parent).and_then(Json::as_object);
            (session.map(|session| id_in(session, &name)).transpose()?.flatten(), bare(id))
        }
    };
    let time = |name: &str| text(name).and_then(Timestamp::parse);
    let stamp = time("SystemModstamp").ok_or_else(|| odd("a change without its time"))?;
    let person = matches!(of, Watched::Attendee | Watched::SessionAttendee);
    Ok(Changed {
        of,
        stamp,
        edited: person && time("CreatedDate").is_none_or(|made| made < stamp),
        event,
        deleted: row.get("IsDeleted").and_then(Json::as_bool).unwrap_or(false),
        record,
        key: (of == Watched::Attendee)
            .then(|| text(&mapping.attendee.key).map(str::to_owned))
            .flatten(),
    })
}
