//! Reading events: one by one, or the whole org in pages.
//!
//! One event is one API call: a composite of four queries. A page of the
//! whole org is two, whatever it holds: the events with their children, then
//! the counts and cancellations of all of them. An answer that Salesforce
//! pages costs one more call per further page. Where an org has more than
//! [`crate::Options::bulk_events`], the others come by three Bulk queries, and
//! each page of them is one call, the counts.

mod bulk;
mod job;

use std::collections::{BTreeMap, HashMap};

use reqwest::Method;
use serde_json::Value as Json;
use sloe_core::ids::SfId;
use sloe_core::inbound::{Field, RawEvent, RawRecord, Value};
use sloe_core::limits;
use sloe_core::time::Timestamp;

use bulk::{Bulk, Ended, Family};

use crate::client::{API_VERSION, Answer, Client, Request, refusal};
use crate::error::{Advice, Error};
use crate::map::{Column, Mapping, ReadNames, translate};
use crate::query::{self, COUNT, Scope};
use crate::wire::{Composite, CompositeAnswer, Page, Subanswer, Subrequest};

const CALL: &str = "read events";

pub(crate) type Record = serde_json::Map<String, Json>;

/// What is known about events besides their own records.
#[derive(Default)]
struct Counts {
    by_item: HashMap<SfId, Vec<(Option<SfId>, u32)>>,
    by_session: HashMap<SfId, u32>,
    cancelled: HashMap<SfId, Vec<String>>,
}

impl Counts {
    /// An event with all that belongs to it.
    fn join(
        &mut self,
        event: RawRecord,
        items: Vec<RawRecord>,
        sessions: Vec<RawRecord>,
        as_of: Timestamp,
    ) -> RawEvent {
        let groups = self.by_item.remove(&event.id).unwrap_or_default();
        let external_total = sum(&groups);
        let external_by_session = sessions
            .iter()
            .filter_map(|session| Some((session.id, self.by_session.remove(&session.id)?)))
            .collect();
        RawEvent {
            external_total,
            external_by_item: groups.into_iter().filter_map(|(item, n)| Some((item?, n))).collect(),
            external_by_session,
            cancelled: self.cancelled.remove(&event.id).unwrap_or_default(),
            event,
            items,
            sessions,
            as_of,
        }
    }
}

/// Attendees of all items.
fn sum(groups: &[(Option<SfId>, u32)]) -> u32 {
    groups.iter().fold(0, |sum, (_, n)| sum.saturating_add(*n))
}

/// One event with all that belongs to it; `None` when the org has no such event (any more).
pub(crate) async fn event(
    client: &Client,
    mapping: &Mapping,
    event: SfId,
    since: Option<Timestamp>,
) -> Result<Option<RawEvent>, Error> {
    let ids = [event];
    let mut parts = vec![part("events", &query::events(mapping, Scope::Events(&ids)), false)];
    parts.extend(count_parts(mapping, &ids, Asked::All(since)));
    let (mut answers, as_of) = composite(client, parts).await?;
    let page = answers.next_page(client).await?;
    let counts = read_counts(client, mapping, answers).await?;
    let mut events = assemble(client, mapping, page, counts, as_of).await?;
    Ok(events.pop())
}

/// The whole org, page by page: by REST, and the rest of a large org by Bulk
/// queries. A page is read when it is asked
/// for, so a slow caller slows the reading and nothing piles up.
pub struct EventPages {
    org: crate::Org,
    since: Option<Timestamp>,
    after: Option<SfId>,
    /// Events read so far.
    read: usize,
    way: Way,
    as_of: Option<Timestamp>,
}

/// How the next page is read.
enum Way {
    /// Sorted by id, some at a time.
    Rest,
    /// By REST, because there is no other way.
    OnlyRest,
    Bulk(Box<Bulk>),
    Done,
}

impl EventPages {
    pub(crate) fn new(org: crate::Org, since: Option<Timestamp>) -> Self {
        Self { org, since, after: None, read: 0, way: Way::Rest, as_of: None }
    }

    /// When the org answered for the first time, by its own clock: what changes
    /// later may be missing.
    #[must_use]
    pub fn as_of(&self) -> Option<Timestamp> {
        self.as_of
    }

    /// The next events, most of the time in the order of their ids; empty after
    /// the last. An event may come twice. After an error the same page may be
    /// asked for again. A page that can't be read in bulk is read by REST, and
    /// all that follow it.
    ///
    /// # Errors
    /// As any call.
    pub async fn next_page(&mut self) -> Result<Vec<RawEvent>, Error> {
        let org = self.org.clone();
        let (client, mapping) = org.parts();
        let wanted = client.options.page_events.clamp(1, MOST_EVENTS);
        if matches!(self.way, Way::Rest) && self.read >= client.options.bulk_events {
            self.way = self.in_bulk(client, mapping).await?;
        }
        let page = match std::mem::replace(&mut self.way, Way::OnlyRest) {
            Way::Done => Vec::new(),
            Way::Bulk(bulk) => match self.of_bulk(client, mapping, wanted, bulk).await {
                Ok(page) => return Ok(self.passed(page)),
                Err(Ended::Org(error)) if error.advice() == Advice::Wait => return Err(error),
                Err(Ended::Org(error)) => {
                    // A result can't be read twice from its middle, and one that can't be read
                    // may not be readable when it is made anew either.
                    tracing::warn!(%error, "the rest of the org's events is read page by page");
                    self.way = Way::OnlyRest;
                    self.by_rest(client, mapping, wanted).await?
                }
                Err(Ended::Unsorted) => {
                    tracing::warn!(
                        "the org sorts ids in its own way: its events are read page by page"
                    );
                    (self.after, self.way) = (None, Way::OnlyRest);
                    self.by_rest(client, mapping, wanted).await?
                }
            },
            way @ (Way::Rest | Way::OnlyRest) => {
                self.way = way;
                self.by_rest(client, mapping, wanted).await?
            }
        };
        if page.len() < wanted {
            self.way = Way::Done;
        }
        Ok(self.passed(page))
    }

    fn passed(&mut self, page: Vec<RawEvent>) -> Vec<RawEvent> {
        self.after = page.last().map(|raw| raw.event.id).or(self.after);
        self.read += page.len();
        page
    }

    async fn of_bulk(
        &mut self,
        client: &Client,
        mapping: &Mapping,
        wanted: usize,
        mut bulk: Box<Bulk>,
    ) -> Result<Vec<RawEvent>, Ended> {
        let families = bulk.next(mapping, wanted).await?;
        let ids: Vec<_> = families.iter().map(|family| family.event.id).collect();
        let mut counts = counts(client, mapping, &ids, Asked::All(self.since)).await?;
        let as_of = bulk.as_of;
        self.as_of.get_or_insert(as_of);
        self.way = Way::Bulk(bulk);
        let joined = families
            .into_iter()
            .map(|Family { event, items, sessions }| counts.join(event, items, sessions, as_of));
        Ok(joined.collect())
    }

    async fn by_rest(
        &mut self,
        client: &Client,
        mapping: &Mapping,
        wanted: usize,
    ) -> Result<Vec<RawEvent>, Error> {
        let soql = query::events(mapping, Scope::After(self.after, wanted));
        let answer = client.send(&Request::get(CALL, query::address(&soql, false))).await?;
        let as_of = date(&answer)?;
        self.as_of.get_or_insert(as_of);
        let page = all_pages(client, answer.read()?).await?;
        let ids = page.iter().map(id_of).collect::<Result<Vec<_>, _>>()?;
        let counts = counts(client, mapping, &ids, Asked::All(self.since)).await?;
        assemble(client, mapping, page, counts, as_of).await
    }

    /// The rest in bulk, or page by page where the org does not let that be.
    async fn in_bulk(&self, client: &Client, mapping: &Mapping) -> Result<Way, Error> {
        match Bulk::open(client, mapping, self.after).await {
            Ok(bulk) => Ok(Way::Bulk(Box::new(bulk))),
            Err(error @ (Error::Budget { .. } | Error::Unreachable { .. })) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "no bulk query: the org's events are read page by page");
                Ok(Way::OnlyRest)
            }
        }
    }
}

/// Seats that attendees take whom Sloe did not make: of each of `events` that
/// has any, and of its sessions. One API call for [`MOST_EVENTS`].
pub(crate) async fn external(
    client: &Client,
    mapping: &Mapping,
    events: &[SfId],
) -> Result<BTreeMap<SfId, u32>, Error> {
    let mut total = BTreeMap::new();
    for some in events.chunks(MOST_EVENTS) {
        let counts = counts(client, mapping, some, Asked::Seats).await?;
        for (event, groups) in counts.by_item {
            total.insert(event, sum(&groups));
        }
        total.extend(counts.by_session);
    }
    Ok(total)
}

/// What to ask about events besides their own records.
#[derive(Clone, Copy)]
enum Asked {
    /// Who takes seats.
    Seats,
    /// That, and who has given a seat back since then.
    All(Option<Timestamp>),
}

/// Events that are asked about at once.
const MOST_EVENTS: usize = 200;

/// What is `asked` of `events`. Salesforce gives at most 2,000
/// groups: where that isn't enough, half the events at a time.
async fn counts(
    client: &Client,
    mapping: &Mapping,
    events: &[SfId],
    asked: Asked,
) -> Result<Counts, Error> {
    let mut total = Counts::default();
    let mut todo = vec![events];
    while let Some(ids) = todo.pop().filter(|ids| !ids.is_empty()) {
        let sent = composite(client, count_parts(mapping, ids, asked)).await;
        let read = match sent {
            Ok((answers, _)) => read_counts(client, mapping, answers).await,
            Err(error) => Err(error),
        };
        match read {
            Ok(counts) => {
                total.by_item.extend(counts.by_item);
                total.by_session.extend(counts.by_session);
                total.cancelled.extend(counts.cancelled);
            }
            Err(error) if error.code() == Some(TOO_MANY_GROUPS) && ids.len() > 1 => {
                let (left, right) = ids.split_at(ids.len() / 2);
                todo.extend([left, right]);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

/// What Salesforce says to an aggregate of more than 2,000 groups.
const TOO_MANY_GROUPS: &str = "EXCEEDED_ID_LIMIT";

pub(crate) fn part(reference_id: &'static str, soql: &str, all: bool) -> Subrequest {
    Subrequest { method: "GET", url: query::address(soql, all), reference_id }
}

fn count_parts(mapping: &Mapping, ids: &[SfId], asked: Asked) -> Vec<Subrequest> {
    let mut parts = vec![
        part("byItem", &query::external_by_item(mapping, ids), false),
        part("bySession", &query::external_by_session(mapping, ids), false),
    ];
    if let Asked::All(since) = asked {
        parts.push(part("cancelled", &query::cancelled(mapping, ids, since), true));
    }
    parts
}

/// The parts' answers, taken in their order.
pub(crate) struct Answers(std::vec::IntoIter<Subanswer>);

impl Answers {
    pub(crate) async fn next_page(&mut self, client: &Client) -> Result<Vec<Record>, Error> {
        let answer = self.0.next().ok_or_else(|| odd("a part's answer is missing"))?;
        let page = serde_json::from_value(answer.body).map_err(|e| Error::malformed(CALL, &e))?;
        all_pages(client, page).await
    }
}

pub(crate) async fn composite(
    client: &Client,
    parts: Vec<Subrequest>,
) -> Result<(Answers, Timestamp), Error> {
    let path = format!("/services/data/{API_VERSION}/composite");
    let body = Composite { all_or_none: false, composite_request: parts };
    let answer = client.send(&Request::new(CALL, Method::POST, path).json(&body)?).await?;
    let as_of = date(&answer)?;
    let parts = answer.read::<CompositeAnswer>()?.composite_response;
    if let Some(failed) = parts.iter().find(|part| !(200..300).contains(&part.http_status_code)) {
        return Err(refusal(CALL, failed.http_status_code, failed.body.to_string().as_bytes()));
    }
    Ok((Answers(parts.into_iter()), as_of))
}

/// The org's clock. Snapshots are ordered by it, so an answer without it is of no use.
fn date(answer: &Answer) -> Result<Timestamp, Error> {
    answer.date().ok_or_else(|| odd("no Date header"))
}

/// A page and all that follow it.
pub(crate) async fn all_pages(client: &Client, first: Page) -> Result<Vec<Record>, Error> {
    let mut records = first.records;
    let (mut done, mut next) = (first.done, first.next_records_url);
    while !done {
        let path = next.take().ok_or_else(|| odd("an unfinished query without continuation"))?;
        let page: Page = client.fetch(&Request::get(CALL, path)).await?;
        if page.records.is_empty() && !page.done {
            return Err(odd("an unfinished query that gives nothing more"));
        }
        records.extend(page.records);
        (done, next) = (page.done, page.next_records_url);
    }
    Ok(records)
}

/// A query's next records: those of `page`, which is then the one after it.
/// `None` at the end.
pub(crate) async fn take_page(
    client: &Client,
    page: &mut Option<Page>,
) -> Result<Option<Vec<Record>>, Error> {
    let Some(Page { done, records, next_records_url }) = page.take() else { return Ok(None) };
    if !done {
        let path =
            next_records_url.ok_or_else(|| odd("an unfinished query without continuation"))?;
        if records.is_empty() {
            return Err(odd("an unfinished query that gives nothing more"));
        }
        *page = Some(client.fetch(&Request::get(CALL, path)).await?);
    }
    Ok(Some(records))
}

async fn read_counts(
    client: &Client,
    mapping: &Mapping,
    mut answers: Answers,
) -> Result<Counts, Error> {
    let name = |column| mapping.attendee.columns.get(&column).map_or("", String::as_str);
    let session = mapping.session_attendee.columns.get(&Column::Session).map_or("", String::as_str);
    let mut counts = Counts::default();
    for record in answers.next_page(client).await? {
        if let Some(event) = id_in(&record, name(Column::Event))? {
            let item = id_in(&record, name(Column::Item))?;
            counts.by_item.entry(event).or_default().push((item, count_in(&record)?));
        }
    }
    for record in answers.next_page(client).await? {
        if let Some(session) = id_in(&record, session)? {
            counts.by_session.insert(session, count_in(&record)?);
        }
    }
    if answers.0.len() == 0 {
        return Ok(counts);
    }
    for record in answers.next_page(client).await? {
        let key = record.get(&mapping.attendee.key).and_then(Json::as_str);
        if let (Some(event), Some(key)) = (id_in(&record, name(Column::Event))?, key) {
            counts.cancelled.entry(event).or_default().push(key.to_owned());
        }
    }
    Ok(counts)
}

async fn assemble(
    client: &Client,
    mapping: &Mapping,
    page: Vec<Record>,
    mut counts: Counts,
    as_of: Timestamp,
) -> Result<Vec<RawEvent>, Error> {
    let mut events = Vec::with_capacity(page.len());
    for mut record in page {
        let items = children(client, &mut record, &mapping.item).await?;
        let sessions = children(client, &mut record, &mapping.session).await?;
        let event = raw_record(&record, &mapping.event)?;
        events.push(counts.join(event, items, sessions, as_of));
    }
    Ok(events)
}

async fn children(
    client: &Client,
    record: &mut Record,
    names: &ReadNames,
) -> Result<Vec<RawRecord>, Error> {
    let name = names.children.as_deref().unwrap_or_default();
    let mut page: Option<Page> = match record.remove(name) {
        // Salesforce writes null for "no children".
        None | Some(Json::Null) => None,
        Some(body) => Some(serde_json::from_value(body).map_err(|e| Error::malformed(CALL, &e))?),
    };
    let mut found = Vec::new();
    // More than can be offered are refused, however many more they are.
    while found.len() < limits::MAX_POOLS {
        let Some(rows) = take_page(client, &mut page).await? else { break };
        for row in &rows {
            found.push(raw_record(row, names)?);
        }
    }
    Ok(found)
}

pub(crate) fn raw_record(record: &Record, names: &ReadNames) -> Result<RawRecord, Error> {
    let mut fields: BTreeMap<Field, Value> = BTreeMap::new();
    for (field, name) in &names.fields {
        let value = match record.get(name) {
            None | Some(Json::Null) => Value::Null,
            Some(Json::String(text)) => Value::Text(text.clone()),
            Some(Json::Bool(yes)) => Value::Bool(*yes),
            Some(Json::Number(n)) => {
                Value::Number(n.as_f64().ok_or_else(|| odd("a number beyond counting"))?)
            }
            Some(Json::Array(_) | Json::Object(_)) => {
                return Err(odd("a field that holds more than a value"));
            }
        };
        fields.insert(*field, value);
    }
    translate::values(&mut fields, names);
    Ok(RawRecord { id: id_of(record)?, fields })
}

pub(crate) fn id_of(record: &Record) -> Result<SfId, Error> {
    id_in(record, "Id")?.ok_or_else(|| odd("a record without an id"))
}

pub(crate) fn id_in(record: &Record, name: &str) -> Result<Option<SfId>, Error> {
    match record.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => {
            SfId::parse(text).map(Some).map_err(|_| odd("an id that is none"))
        }
        Some(_) => Err(odd("an id that is no text")),
    }
}

fn count_in(record: &Record) -> Result<u32, Error> {
    let count = record.get(COUNT).and_then(Json::as_u64);
    count.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| odd("a count that is none"))
}

pub(crate) fn odd(what: &str) -> Error {
    Error::Malformed { call: CALL, what: what.into() }
}
