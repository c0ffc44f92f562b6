//! Rows on their way: the cheapest way in for the amount, what became of each
//! row, and all of it written down before the cursor passes.

use std::collections::BTreeSet;
use std::sync::Arc;

use sloe_core::ids::{EventRef, SfId};
use sloe_core::outbox::Record;
use sloe_core::time::Timestamp;
use sloe_salesforce::error::codes;
use sloe_salesforce::{
    Adopted, AttendeeDetails, Cell, Column, Job, MAX_BULK_ROWS, Operation, Org as Client,
    Rejection, Row, RowKind, RowOutcome, Rows, Status, Update,
};
use sloe_store::api::{StoreError, Write};
use sloe_store::key::Key;

use super::file::{self, Dead, Delivered, Retry};
use super::{Books, Halt, plan};
use crate::engine::Engine;
use crate::tenant::Org;
use crate::worker::stored;

/// Documents written in one commit, so that claims get their turn in between.
const WRITES: usize = 500;
/// How often a row is sent again before a person must look at it.
const ATTEMPTS: u32 = 12;
/// The first pause before a row is sent again; each is twice as long.
const PAUSE_MILLIS: i64 = 5_000;
/// The longest.
const LONGEST_MILLIS: i64 = 15 * 60 * 1_000;
/// What a Bulk job says of a row that it doesn't know.
const NOT_REPORTED: &str = "not-reported";

/// A record on its way.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) event: EventRef,
    /// The state's version.
    pub(super) version: u64,
    pub(super) record: Record,
}

/// A row, with the work it stands for, by its record's id where that is known.
struct Line {
    work: Work,
    id: Option<SfId>,
}

/// One drain's way into an org.
pub(super) struct Sender<'a> {
    pub(super) engine: &'a Engine,
    pub(super) org: Arc<Org>,
    pub(super) client: Client,
    pub(super) books: &'a mut Books,
    /// What the drain is about, for the record of a Bulk job.
    pub(super) stretches: Vec<(String, u64, u64)>,
    /// A job that an earlier drain started for the same.
    pub(super) adopt: Option<Job>,
}

impl Sender<'_> {
    /// Sends records of one kind; when it returns `Ok`, each is in the org or
    /// stands durably among the retries or dead letters.
    pub(super) async fn send(&mut self, kind: RowKind, work: Vec<Work>) -> Result<(), Halt> {
        let (mut upserts, mut updates) = (Vec::new(), Vec::new());
        for line in self.unsent(work).await? {
            if line.id.is_some() { updates.push(line) } else { upserts.push(line) }
        }
        for (operation, lines) in [(Operation::Upsert, upserts), (Operation::Update, updates)] {
            let lines = self.adopted(kind, operation, lines).await?;
            if lines.len() < self.engine.workers().settings.bulk_from {
                self.by_collections(kind, operation, lines).await?;
            } else {
                self.by_bulk(kind, operation, lines).await?;
            }
        }
        Ok(())
    }

    /// Leaves out what the org has in this state or a later one, and what was
    /// deleted there.
    async fn unsent(&mut self, work: Vec<Work>) -> Result<Vec<Line>, Halt> {
        let scope = self.org.scope;
        let read = move |store: &dyn sloe_store::api::Store| {
            let look = |work: Work| {
                let known = store.get(&Key::delivered(scope, &work.record.key))?;
                let known = match known {
                    None => None,
                    Some(document) => {
                        Some((document.version, file::decode::<Delivered>(&document.body)?))
                    }
                };
                Ok((work, known))
            };
            work.into_iter().map(look).collect::<Result<Vec<_>, StoreError>>()
        };
        let mut lines = Vec::new();
        let mut settled = Vec::new();
        for (work, known) in stored(self.engine, read).await? {
            match known {
                Some((version, known)) if known.gone || version >= work.version => {
                    settled.extend(self.books.forget_retry(&self.org, &work.record.key));
                }
                Some((_, known)) => lines.push(Line { work, id: known.record() }),
                None => lines.push(Line { work, id: None }),
            }
        }
        self.write(settled).await?;
        Ok(lines)
    }

    /// Takes over the job that an earlier drain started; what is left to send.
    async fn adopted(
        &mut self,
        kind: RowKind,
        operation: Operation,
        mut lines: Vec<Line>,
    ) -> Result<Vec<Line>, Halt> {
        let fits = |job: &Job| job.kind == kind && job.operation == operation;
        if !self.adopt.as_ref().is_some_and(fits) {
            return Ok(lines);
        }
        let Some(job) = self.adopt.take() else { return Ok(lines) };
        let mut rest = lines.split_off(lines.len().min(MAX_BULK_ROWS));
        let rows = self.rows(&lines).await?;
        let adopted = match operation {
            Operation::Upsert => self.client.bulk_adopt(&job, Rows::Upsert(&rows)).await?,
            Operation::Update => {
                let updates = updates(&lines, rows);
                self.client.bulk_adopt(&job, Rows::Update(&updates)).await?
            }
        };
        tracing::info!(org = %self.org.id(), job = job.id.as_str(), "adopted a bulk job");
        if let Adopted::Ran(outcomes) = adopted {
            let mut done = Vec::new();
            for (line, outcome) in lines.drain(..).zip(outcomes) {
                if matches!(&outcome, RowOutcome::Retry { code } if code == NOT_REPORTED) {
                    rest.push(line);
                } else {
                    done.push((line.work, outcome));
                }
            }
            self.settle(done).await?;
        }
        self.write(vec![self.no_send()]).await?;
        lines.extend(rest);
        Ok(lines)
    }

    async fn by_collections(
        &mut self,
        kind: RowKind,
        operation: Operation,
        lines: Vec<Line>,
    ) -> Result<(), Halt> {
        let rows = self.rows(&lines).await?;
        let sent = match operation {
            Operation::Upsert => self.client.upsert(kind, &rows).await,
            Operation::Update => self.client.update(kind, &updates(&lines, rows)).await,
        };
        let work = lines.into_iter().map(|line| line.work);
        self.settle(work.zip(sent.outcomes).collect()).await?;
        sent.halted.map_or(Ok(()), |error| Err(Halt::Org(error)))
    }

    async fn by_bulk(
        &mut self,
        kind: RowKind,
        operation: Operation,
        mut lines: Vec<Line>,
    ) -> Result<(), Halt> {
        while !lines.is_empty() {
            let rest = lines.split_off(lines.len().min(MAX_BULK_ROWS));
            let rows = self.rows(&lines).await?;
            let job = self.client.bulk_open(kind, operation).await?;
            // From here on, whoever comes next adopts the job before sending anything.
            let send = file::Send::new(&job, self.stretches.clone());
            let key = Key::send(self.org.scope, "bulk");
            self.write(vec![Write { key, version: 1, body: Some(file::encode(&send)) }]).await?;
            let outcomes = match operation {
                Operation::Upsert => self.client.bulk_run(&job, Rows::Upsert(&rows)).await?,
                Operation::Update => {
                    let updates = updates(&lines, rows);
                    self.client.bulk_run(&job, Rows::Update(&updates)).await?
                }
            };
            let work = lines.into_iter().map(|line| line.work);
            self.settle(work.zip(outcomes).collect()).await?;
            self.write(vec![self.no_send()]).await?;
            lines = rest;
        }
        Ok(())
    }

    fn no_send(&self) -> Write {
        Write { key: Key::send(self.org.scope, "bulk"), version: 2, body: None }
    }

    /// The rows of `lines`, details unsealed.
    async fn rows(&self, lines: &[Line]) -> Result<Vec<Row>, Halt> {
        let mut rows = Vec::with_capacity(lines.len());
        for of_event in lines.chunk_by(|a, b| a.work.event == b.work.event) {
            let Some(event) = of_event.first().map(|line| line.work.event) else { continue };
            // Names and address are the org's once it has the record.
            let full = |line: &&Line| {
                line.id.is_none() && line.work.record.session.is_none() && !line.work.record.erased
            };
            let named: Vec<Record> =
                of_event.iter().filter(full).map(|line| line.work.record.clone()).collect();
            let mut details =
                plan::details(self.engine, &self.org, event, &named).await?.into_iter();
            for line in of_event {
                let record = &line.work.record;
                let mut row = Row::new(record.key.clone(), line.work.version);
                if line.id.is_none() {
                    row = identify(row, event, record);
                }
                if full(&line)
                    && let Some(person) = details.next().flatten()
                {
                    row = row.with_details(AttendeeDetails {
                        first_name: person.first_name,
                        last_name: person.last_name,
                        email: person.email,
                    });
                }
                let status = if record.registered { Status::Registered } else { Status::Cancelled };
                rows.push(row.with_status(status));
            }
        }
        Ok(rows)
    }

    /// Writes down what became of each row.
    async fn settle(&mut self, done: Vec<(Work, RowOutcome)>) -> Result<(), Halt> {
        let mut writes = Vec::new();
        let mut deleted: BTreeSet<EventRef> = BTreeSet::new();
        let mut keys = Vec::new();
        let now = self.engine.now();
        for (work, outcome) in done {
            let delivered = |id: Option<SfId>, gone| Write {
                key: Key::delivered(self.org.scope, &work.record.key),
                version: work.version,
                body: Some(file::encode(&Delivered { id: id.map(|id| id.to_string()), gone })),
            };
            match outcome {
                RowOutcome::Delivered { id, .. } => writes.push(delivered(Some(id), false)),
                RowOutcome::Stale => writes.push(delivered(None, false)),
                RowOutcome::Deleted => {
                    writes.push(delivered(None, true));
                    if work.record.session.is_none() {
                        deleted.insert(work.event);
                        keys.push((work.event, work.record.key.clone()));
                    }
                }
                // The org never had it, and now there is nothing left to tell it.
                RowOutcome::Rejected(_) if work.record.erased => {
                    writes.push(delivered(None, false));
                }
                RowOutcome::Retry { code } => {
                    writes.extend(self.again(now, &work, &code));
                    continue;
                }
                RowOutcome::Rejected(rejection) => {
                    writes.push(self.dead(now, &work, &rejection));
                    writes.extend(self.books.forget_retry(&self.org, &work.record.key));
                    continue;
                }
            }
            self.books.delivered += 1;
            writes.extend(self.books.forget_retry(&self.org, &work.record.key));
            writes.extend(self.books.forget_dead(&self.org, &work.record.key, work.version));
        }
        for event in deleted {
            let of_event = keys.iter().filter(|(of, _)| *of == event).map(|(_, key)| key.clone());
            let of_event: Vec<_> = of_event.collect();
            self.engine.cancel_by_org(event, &of_event).await.map_err(Halt::Ledger)?;
        }
        self.write(writes).await
    }

    /// Lets a row stand among the retries, or the dead letters once it had its chances.
    fn again(&mut self, now: Timestamp, work: &Work, code: &str) -> Vec<Write> {
        let attempts = self.books.attempts(&work.record.key) + 1;
        if attempts >= ATTEMPTS {
            let rejection = Rejection {
                code: code.to_owned(),
                fields: Vec::new(),
                message: sloe_salesforce::Private::new(""),
            };
            let dead = self.dead(now, work, &rejection);
            return self
                .books
                .forget_retry(&self.org, &work.record.key)
                .into_iter()
                .chain([dead])
                .collect();
        }
        let pause = PAUSE_MILLIS.saturating_mul(1 << attempts.min(16)).min(LONGEST_MILLIS);
        let retry = Retry {
            event: work.event.partition(),
            claim: work.record.claim.text(),
            place: work.record.place,
            version: work.version,
            confirmed_at: work.record.confirmed_at.map(|at| at.0),
            attempts,
            not_before: now.plus_millis(pause).0,
            code: code.to_owned(),
        };
        vec![self.books.remember_retry(&self.org, &work.record.key, retry)]
    }

    fn dead(&mut self, now: Timestamp, work: &Work, rejection: &Rejection) -> Write {
        let (org, key) = (self.org.id(), &work.record.key);
        tracing::warn!(%org, code = rejection.code, fields = ?rejection.fields, "a row failed for good");
        let facts = codes::facts(&rejection.code);
        let message = rejection.message.reveal();
        let sealed = (!message.is_empty())
            .then(|| {
                let key_of = self.org.vault_key();
                key_of.seal(self.engine.world(), key.as_bytes(), message.as_bytes()).ok()
            })
            .flatten();
        let dead = Dead {
            event: work.event.partition(),
            claim: work.record.claim.text(),
            place: work.record.place,
            at: now.0,
            code: rejection.code.clone(),
            fields: rejection.fields.clone(),
            means: facts.map_or("The org refused the row.", |facts| facts.means).to_owned(),
            fix: facts
                .map_or("Look the code up in Salesforce's documentation.", |facts| facts.fix)
                .to_owned(),
            owner: facts.map_or("operator".to_owned(), |f| format!("{:?}", f.owner).to_lowercase()),
            sealed_message: sealed.map(|bytes| sloe_core::ids::base32::encode(&bytes)),
        };
        self.books.dead.insert(key.clone());
        let key = Key::dead_letter(self.org.scope, key);
        Write { key, version: work.version, body: Some(file::encode(&dead)) }
    }

    async fn write(&self, mut writes: Vec<Write>) -> Result<(), Halt> {
        while !writes.is_empty() {
            let rest = writes.split_off(writes.len().min(WRITES));
            let some = std::mem::replace(&mut writes, rest);
            stored(self.engine, move |store| store.put(&some)).await?;
        }
        Ok(())
    }
}

/// What names a record and never changes.
fn identify(row: Row, event: EventRef, record: &Record) -> Row {
    if let Some(session) = record.session {
        let parent = record.claim.attendee_key(record.place);
        return row
            .with(Column::Attendee, Cell::Text(parent))
            .with(Column::Session, Cell::Id(session));
    }
    let row = row
        .with(Column::Event, Cell::Id(event.event))
        .with(Column::Item, Cell::Id(record.item))
        .with(Column::OrderReference, Cell::Text(record.claim.reference()));
    match record.confirmed_at {
        Some(at) => row.with(Column::RegisteredAt, Cell::Time(at)),
        None => row,
    }
}

fn updates(lines: &[Line], rows: Vec<Row>) -> Vec<Update> {
    let both = lines.iter().zip(rows);
    both.filter_map(|(line, row)| Some(Update { id: line.id?, row })).collect()
}
