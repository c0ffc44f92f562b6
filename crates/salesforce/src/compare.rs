//! What an org holds of the rows that Sloe sent: counted by event in one call
//! for many events, or row by row.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sloe_core::ids::SfId;
use sloe_core::verify::{Group, RowStatus, Tally};

use crate::Org;
use crate::batch::export;
use crate::client::{Client, Request};
use crate::error::Error;
use crate::fetch::{self, Record};
use crate::map::{Column, FigureNames, Mapping, ReadNames, RowKind, WriteNames};
use crate::query::{self, among};
use crate::row::Figure;

/// Events that one call counts: their ids must fit into an address.
pub const COUNTED_EVENTS: usize = 100;
/// Rows from which a Bulk query costs fewer calls than pages of 2,000.
const BULK_FROM: u64 = 10_000;
/// Rows asked for by id in one query: external ids have up to 64 characters.
const IDS: usize = 200;
/// Queries of one call: Salesforce takes at most five.
const QUERIES: [&str; 5] = ["rows0", "rows1", "rows2", "rows3", "rows4"];

/// The version of every row where the org has no field for it, on both sides.
const UNVERSIONED: Option<u64> = Some(0);

const CALL: &str = "compare rows";
const TOTAL: &str = "total";
const VERSIONS: &str = "versions";
const EVENT: &str = "event";

/// What an org holds of some events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Sloe's attendees, by event.
    pub attendees: BTreeMap<SfId, Tally>,
    /// Sloe's places in sessions, by event of the attendee.
    pub sessions: BTreeMap<SfId, Tally>,
    /// What is sold, held and left, by event, item or session.
    pub figures: BTreeMap<SfId, Figures>,
}

impl Figures {
    /// These figures as a record can hold them that has only some of the fields.
    #[must_use]
    pub fn as_held(self, mapping: &Mapping, of: Figure) -> Self {
        let names = &mapping.read(of).figures;
        Self {
            sold: self.sold.filter(|_| names.sold.is_some()),
            held: self.held.filter(|_| names.held.is_some()),
            remaining: self.remaining.filter(|_| names.remaining.is_some()),
        }
    }
}

/// Figures as a record holds them; `None` where it holds none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Seats sold.
    pub sold: Option<u32>,
    /// Seats held.
    pub held: Option<u32>,
    /// Seats left.
    pub remaining: Option<u32>,
}

/// A row as the org holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgRow {
    /// Its id there.
    pub id: SfId,
    /// Its external id; empty if it has none.
    pub key: String,
    /// The event of the attendee; `None` if it has none any more.
    pub event: Option<SfId>,
    /// The version that it says; 0 if the org has no field for it.
    pub version: Option<u64>,
    /// What it says of the attendee.
    pub status: RowStatus,
    /// It lies in the recycle bin.
    pub deleted: bool,
}

impl Org {
    /// Counts what the org holds of up to [`COUNTED_EVENTS`] events, in one
    /// API call, and one more for each 2,000 items or sessions. Where that takes
    /// the org too long, half the events at a time.
    ///
    /// # Errors
    /// As any call.
    pub async fn count_rows(&self, events: &[SfId]) -> Result<Counted, Error> {
        let mut total = Counted::default();
        let mut todo = vec![events];
        while let Some(ids) = todo.pop().filter(|ids| !ids.is_empty()) {
            match self.count_at_once(ids).await {
                Ok(counted) => {
                    total.attendees.extend(counted.attendees);
                    total.sessions.extend(counted.sessions);
                    total.figures.extend(counted.figures);
                }
                Err(error) if took_too_long(&error) && ids.len() > 1 => {
                    let (left, right) = ids.split_at(ids.len() / 2);
                    todo.extend([left, right]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    async fn count_at_once(&self, events: &[SfId]) -> Result<Counted, Error> {
        let (client, mapping) = self.parts();
        let parts = vec![
            fetch::part("attendees", &tally(mapping, RowKind::Attendee, events), false),
            fetch::part("places", &tally(mapping, RowKind::SessionAttendee, events), false),
            fetch::part("events", &figures(&mapping.event, events), false),
            fetch::part("items", &figures(&mapping.item, events), false),
            fetch::part("sessions", &figures(&mapping.session, events), false),
        ];
        let (mut answers, _) = fetch::composite(client, parts).await?;
        let mut counted = Counted::default();
        let by_kind = [
            (&mut counted.attendees, &mapping.attendee),
            (&mut counted.sessions, &mapping.session_attendee),
        ];
        for (tallies, names) in by_kind {
            for record in answers.next_page(client).await? {
                let Some(event) = fetch::id_in(&record, EVENT)? else { continue };
                let status = record.get("status").and_then(Json::as_str).unwrap_or_default();
                let group =
                    Group { count: whole(&record, TOTAL)?, versions: whole(&record, VERSIONS)? };
                tallies.entry(event).or_default().add(word(names, status), group);
            }
        }
        for names in [&mapping.event, &mapping.item, &mapping.session] {
            for record in answers.next_page(client).await? {
                let id = fetch::id_in(&record, "Id")?.ok_or_else(|| odd("a record without id"))?;
                counted.figures.insert(id, read_figures(&record, &names.figures));
            }
        }
        Ok(counted)
    }

    /// Gives every row of Sloe's that the org holds of an event to `see`, those
    /// in the recycle bin too; `about` is how many there may be. What `see` was
    /// given is only whole once this is `Ok`.
    ///
    /// # Errors
    /// As any call.
    pub async fn rows_of(
        &self,
        kind: RowKind,
        event: SfId,
        about: u64,
        mut see: impl FnMut(OrgRow) + Send,
    ) -> Result<(), Error> {
        let (client, mapping) = self.parts();
        let filter = format!(
            "{} AND {} != null",
            among(&event_path(mapping, kind), &[event]),
            mapping.rows(kind).key
        );
        let soql = rows(mapping, kind, &filter);
        if about >= BULK_FROM {
            return by_bulk(client, mapping, kind, &soql, see).await;
        }
        let first = client.fetch(&Request::get(CALL, query::address(&soql, true))).await?;
        let mut page = Some(first);
        while let Some(records) = fetch::take_page(client, &mut page).await? {
            for record in &records {
                see(read_row(record, mapping, kind)?);
            }
        }
        Ok(())
    }

    /// Rows by their ids in the org, those in the recycle bin too. One that is
    /// not there any more is missing.
    ///
    /// # Errors
    /// As any call.
    pub async fn rows_by_id(&self, kind: RowKind, ids: &[SfId]) -> Result<Vec<OrgRow>, Error> {
        let (client, mapping) = self.parts();
        let mut found = Vec::new();
        for some in ids.chunks(IDS) {
            let soql = rows(mapping, kind, &among("Id", some));
            let page = client.fetch(&Request::get(CALL, query::address(&soql, true))).await?;
            for record in &fetch::all_pages(client, page).await? {
                found.push(read_row(record, mapping, kind)?);
            }
        }
        Ok(found)
    }

    /// Rows by their external ids, those in the recycle bin too; a thousand in
    /// one API call. One that was made anew after it was deleted comes twice.
    ///
    /// # Errors
    /// As any call.
    pub async fn rows_by_key(&self, kind: RowKind, keys: &[String]) -> Result<Vec<OrgRow>, Error> {
        let (client, mapping) = self.parts();
        let mut found = Vec::new();
        for some in keys.chunks(IDS * QUERIES.len()) {
            let chunks: Vec<_> = some.chunks(IDS).collect();
            let parts = chunks.iter().zip(QUERIES).map(|(keys, name)| {
                let filter = query::one_of(&mapping.rows(kind).key, keys);
                fetch::part(name, &rows(mapping, kind, &filter), true)
            });
            let (mut answers, _) = fetch::composite(client, parts.collect()).await?;
            for _ in &chunks {
                for record in &answers.next_page(client).await? {
                    found.push(read_row(record, mapping, kind)?);
                }
            }
        }
        Ok(found)
    }
}

/// Whether fewer events may be counted where so many were not.
fn took_too_long(error: &Error) -> bool {
    matches!(error, Error::Deadline { .. }) || error.code() == Some("QUERY_TIMEOUT")
}

async fn by_bulk(
    client: &Client,
    mapping: &Mapping,
    kind: RowKind,
    soql: &str,
    mut see: impl FnMut(OrgRow),
) -> Result<(), Error> {
    let names = mapping.rows(kind);
    let event = event_path(mapping, kind);
    let columns = [
        "Id",
        names.key.as_str(),
        names.version.as_deref().unwrap_or("Id"),
        column(names, Column::Status),
        event.as_str(),
        "IsDeleted",
    ];
    let row = |[id, key, version, status, event, deleted]: [String; 6]| {
        see(OrgRow {
            id: SfId::parse(&id).map_err(|_| odd("an id that is none"))?,
            key,
            event: SfId::parse(&event).ok(),
            version: match names.version {
                Some(_) => version.parse::<f64>().ok().and_then(unsigned),
                None => UNVERSIONED,
            },
            status: word(names, &status),
            deleted: deleted.eq_ignore_ascii_case("true"),
        });
        Ok(())
    };
    export::export(client, soql, true, columns, row).await.map(drop)
}

/// The path from a row to its attendee's event.
fn event_path(mapping: &Mapping, kind: RowKind) -> String {
    let event = column(&mapping.attendee, Column::Event);
    match (kind, &mapping.session_attendee.parent) {
        (RowKind::SessionAttendee, Some(parent)) => format!("{parent}.{event}"),
        _ => event.to_owned(),
    }
}

fn column(names: &WriteNames, column: Column) -> &str {
    names.columns.get(&column).map_or("", String::as_str)
}

fn tally(mapping: &Mapping, kind: RowKind, events: &[SfId]) -> String {
    let (names, event) = (mapping.rows(kind), event_path(mapping, kind));
    let status = column(names, Column::Status);
    let sum = |version| format!(", SUM({version}) {VERSIONS}");
    format!(
        "SELECT {event} {EVENT}, {status} status, COUNT(Id) {TOTAL}{} FROM {} \
         WHERE {} AND {} != null GROUP BY {event}, {status}",
        names.version.as_ref().map(sum).unwrap_or_default(),
        names.object,
        among(&event, events),
        names.key,
    )
}

fn rows(mapping: &Mapping, kind: RowKind, filter: &str) -> String {
    let (names, event) = (mapping.rows(kind), event_path(mapping, kind));
    let version = names.version.as_ref().map(|version| format!(", {version}"));
    format!(
        "SELECT Id, {}{}, {}, {event}, IsDeleted FROM {} WHERE {filter}",
        names.key,
        version.unwrap_or_default(),
        column(names, Column::Status),
        names.object,
    )
}

fn figures(names: &ReadNames, events: &[SfId]) -> String {
    let of_event = names.event.as_deref().unwrap_or("Id");
    let fields: String = names.figures.all().map(|name| format!(", {name}")).collect();
    format!("SELECT Id{fields} FROM {} WHERE {}", names.object, among(of_event, events))
}

fn word(names: &WriteNames, status: &str) -> RowStatus {
    let is = |word: &String| status.eq_ignore_ascii_case(word);
    let words = &names.statuses;
    if is(&words.registered) || words.seated.iter().any(is) {
        RowStatus::Registered
    } else if is(&words.cancelled) || words.freed.iter().any(is) {
        RowStatus::Cancelled
    } else {
        RowStatus::Other
    }
}

fn read_row(record: &Record, mapping: &Mapping, kind: RowKind) -> Result<OrgRow, Error> {
    let names = mapping.rows(kind);
    let text = |name: &str| record.get(name).and_then(Json::as_str).unwrap_or_default();
    // A field of a parent lies in the parent's own object.
    let path = event_path(mapping, kind);
    let event = path.split('.').try_fold(None::<&Json>, |at, name| match at {
        None => record.get(name).map(Some),
        Some(inner) => inner.get(name).map(Some),
    });
    let event = event.flatten().and_then(Json::as_str);
    Ok(OrgRow {
        id: fetch::id_in(record, "Id")?.ok_or_else(|| odd("a row without id"))?,
        key: text(&names.key).to_owned(),
        event: event.and_then(|id| SfId::parse(id).ok()),
        version: match &names.version {
            Some(version) => record.get(version).and_then(Json::as_f64).and_then(unsigned),
            None => UNVERSIONED,
        },
        status: word(names, text(column(names, Column::Status))),
        deleted: record.get("IsDeleted").and_then(Json::as_bool).unwrap_or(false),
    })
}

fn read_figures(record: &Record, names: &FigureNames) -> Figures {
    let read = |name: &Option<String>| {
        let number = record.get(name.as_ref()?).and_then(Json::as_f64).and_then(unsigned)?;
        u32::try_from(number).ok()
    };
    Figures { sold: read(&names.sold), held: read(&names.held), remaining: read(&names.remaining) }
}

fn whole(record: &Record, name: &str) -> Result<u64, Error> {
    match record.get(name) {
        // A sum over nothing but empty fields.
        None | Some(Json::Null) => Ok(0),
        Some(value) => value.as_f64().and_then(unsigned).ok_or_else(|| odd("a sum that is none")),
    }
}

/// A number that Salesforce writes as a float, which is none of ours unless
/// it is whole and not below zero.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
fn unsigned(number: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    ((0.0..EXACT).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

fn odd(what: &str) -> Error {
    Error::Malformed { call: CALL, what: what.into() }
}
