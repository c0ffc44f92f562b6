//! A large org's events, by three Bulk queries: events by id, items and
//! sessions by their event. They are read side by side like zippers, so that
//! of a million rows only those of the events at hand are in memory.

use csv::StringRecord;
use sloe_core::ids::SfId;
use sloe_core::inbound::{RawRecord, Value};
use sloe_core::limits;
use sloe_core::time::Timestamp;

use super::job::{self, Rows};
use crate::client::Client;
use crate::error::Error;
use crate::map::{Mapping, ReadNames};
use crate::query;

/// Texts of the events that are in memory at once, in bytes: one event more may be.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// An event with what belongs to it, without the counts.
pub(super) struct Family {
    pub(super) event: RawRecord,
    pub(super) items: Vec<RawRecord>,
    pub(super) sessions: Vec<RawRecord>,
}

impl Family {
    /// Roughly what its texts take.
    fn bytes(&self) -> usize {
        let children = self.items.iter().chain(&self.sessions);
        let records = std::iter::once(&self.event).chain(children);
        let values = records.flat_map(|record| record.fields.values());
        values.map(|value| if let Value::Text(text) = value { text.len() } else { 0 }).sum()
    }
}

/// Why reading in bulk ends.
pub(super) enum Ended {
    /// The org failed: the same again later.
    Org(Error),
    /// The org sorts ids in another way than it is known to: what was read may
    /// lack something.
    Unsorted,
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Org(error)
    }
}

/// Three results, read side by side.
pub(super) struct Bulk {
    events: Rows,
    items: Children,
    sessions: Children,
    /// The last event read.
    last: Option<SfId>,
    /// When the org made the first query, by its own clock: what it gives is
    /// no older.
    pub(super) as_of: Timestamp,
}

impl Bulk {
    /// Asks for the events after `after`, and waits until they can be read.
    pub(super) async fn open(
        client: &Client,
        mapping: &Mapping,
        after: Option<SfId>,
    ) -> Result<Self, Error> {
        let events = job::open(client, &query::bulk_events(mapping, after)).await?;
        let items = job::open(client, &query::bulk_children(&mapping.item)).await?;
        let sessions = job::open(client, &query::bulk_children(&mapping.session)).await?;
        let as_of = events.as_of;
        Ok(Self {
            events: events.rows(client).await?,
            items: Children::new(items.rows(client).await?),
            sessions: Children::new(sessions.rows(client).await?),
            last: after,
            as_of,
        })
    }

    /// Up to `count` events, fewer where they say much; none at the end.
    pub(super) async fn next(
        &mut self,
        mapping: &Mapping,
        count: usize,
    ) -> Result<Vec<Family>, Ended> {
        let mut cells = StringRecord::new();
        let (mut all, mut bytes) = (Vec::new(), 0);
        while all.len() < count && bytes < MOST_BYTES && self.events.read(&mut cells).await? {
            let Some(row) = self.events.row(&cells) else { break };
            let event = row.record(&mapping.event)?;
            if self.last.is_some_and(|last| event.id <= last) {
                return Err(Ended::Unsorted);
            }
            self.last = Some(event.id);
            let items = self.items.of(event.id, &mapping.item).await?;
            let sessions = self.sessions.of(event.id, &mapping.session).await?;
            let family = Family { event, items, sessions };
            bytes += family.bytes();
            all.push(family);
        }
        Ok(all)
    }
}

/// The items or sessions of all events, sorted by event.
struct Children {
    rows: Rows,
    /// The next one, and its event.
    ahead: Option<(SfId, RawRecord)>,
    last: Option<SfId>,
}

impl Children {
    fn new(rows: Rows) -> Self {
        Self { rows, ahead: None, last: None }
    }

    /// Those of `event`; those of events before it are of no event that is read.
    async fn of(&mut self, event: SfId, names: &ReadNames) -> Result<Vec<RawRecord>, Ended> {
        let mut found = Vec::new();
        loop {
            if self.ahead.is_none() {
                self.ahead = self.read(names).await?;
            }
            match self.ahead.take() {
                None => return Ok(found),
                // More than can be offered are refused, however many more they are.
                Some((of, _)) if of == event && found.len() >= limits::MAX_POOLS => {}
                Some((of, record)) if of == event => found.push(record),
                Some((of, _)) if of < event => {}
                later => {
                    self.ahead = later;
                    return Ok(found);
                }
            }
        }
    }

    async fn read(&mut self, names: &ReadNames) -> Result<Option<(SfId, RawRecord)>, Ended> {
        let mut cells = StringRecord::new();
        if !self.rows.read(&mut cells).await? {
            return Ok(None);
        }
        let Some(row) = self.rows.row(&cells) else { return Ok(None) };
        let event = row.id(names.event.as_deref().unwrap_or_default())?;
        let record = row.record(names)?;
        let Some(event) = event.filter(|event| self.last.is_none_or(|last| last <= *event)) else {
            return Err(Ended::Unsorted);
        };
        self.last = Some(event);
        Ok(Some((event, record)))
    }
}
