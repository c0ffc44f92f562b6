//! Rows on their way: the cheapest way in for the amount, what became of each
//! row, and all of it written down before the cursor passes.

use std::collections::BTreeSet;
use std::sync::Arc;

use sloe_core::ids::{EventRef, SfId};
use sloe_core::outbox::Record;
use sloe_salesforce::{
    Adopted, COLLECTION_ROWS, Column, Error, Job, MAX_BULK_ROWS, Operation, Private, Row, RowKind,
    RowOutcome, Rows, Update,
};
use sloe_store::api::{StoreError, Write};
use sloe_store::key::Key;

use super::books::Books;
use super::file::{self, Delivered};
use super::remote::Remote;
use super::{Halt, letter};
use crate::engine::Engine;
use crate::tenant::Org;
use crate::worker::stored;

/// Rows of a Bulk job that Salesforce works through one after the other; more
/// are batches side by side.
const ONE_BATCH: usize = 10_000;

/// A record on its way.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) event: EventRef,
    /// The state's version.
    pub(super) version: u64,
    pub(super) record: Record,
    /// It goes although the org is believed to have it in this state, or to
    /// have deleted it.
    pub(super) forced: bool,
}

/// A row, with the work it stands for, by its record's id where that is known.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) work: Work,
    pub(super) id: Option<SfId>,
    /// How often the state that the org has was sent again.
    pub(super) resent: u32,
}

impl Line {
    pub(super) fn key(&self) -> String {
        self.work.record.key.clone()
    }

    /// The parents that the row locks: rows that share one stay together, so
    /// that batches side by side don't wait for each other.
    fn parents(&self, locks: &[Column]) -> Vec<String> {
        let record = &self.work.record;
        let parent = |column: &Column| match column {
            Column::Event => self.work.event.event.to_string(),
            Column::Item => record.item.to_string(),
            Column::Session => record.session.map(|id| id.to_string()).unwrap_or_default(),
            Column::Attendee => record.claim.attendee_key(record.place),
            _ => String::new(),
        };
        locks.iter().map(parent).collect()
    }
}

/// One drain's way into an org.
pub(super) struct Sender<'a> {
    pub(super) engine: &'a Engine,
    pub(super) org: Arc<Org>,
    pub(super) client: Arc<dyn Remote>,
    pub(super) books: &'a mut Books,
    /// What the drain is about, for the record of a Bulk job.
    pub(super) stretches: Vec<(String, u64, u64)>,
    /// A job that an earlier drain started for the same.
    pub(super) adopt: Option<Job>,
    /// The org refused everything before: a few rows of each kind go first.
    pub(super) doubtful: bool,
    /// The code of rows that wait for the org to have room, whatever they are.
    pub(super) full: Option<String>,
}

impl Sender<'_> {
    /// Sends records of one kind; when it returns `Ok`, each is in the org or
    /// stands durably among the retries or dead letters.
    pub(super) async fn send(&mut self, kind: RowKind, work: Vec<Work>) -> Result<(), Halt> {
        let lines = self.unsent(kind, work).await?;
        let mut lines = self.with_parents(kind, lines).await?;
        arrange(&mut lines, &self.client.parent_locks(kind));
        let lines = self.adopted(kind, lines).await?;
        let (updates, upserts): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|line| line.id.is_some());
        let mut doubtful = self.doubtful;
        for (operation, mut lines) in [(Operation::Upsert, upserts), (Operation::Update, updates)] {
            if doubtful && !lines.is_empty() {
                // A job that fails as a whole names no row; a call does, and costs little.
                let rest = lines.split_off(lines.len().min(COLLECTION_ROWS));
                let first = std::mem::replace(&mut lines, rest);
                self.by_collections(kind, operation, first).await?;
                doubtful = false;
            }
            // One job at a time: jobs of one object would lock the same parents.
            if lines.len() < self.engine.workers().settings.bulk_from {
                self.by_collections(kind, operation, lines).await?;
            } else {
                self.by_bulk(kind, operation, lines).await?;
            }
        }
        self.must_have_room()
    }

    /// Stops where the org has no room for any row: those that it said so of stay where they are,
    /// in the journal or among the retries, and no chance of theirs is used up.
    pub(super) fn must_have_room(&self) -> Result<(), Halt> {
        match &self.full {
            None => Ok(()),
            Some(code) => Err(Halt::Org(Error::Refused {
                call: "send rows",
                status: 200,
                code: code.clone(),
                message: Private::new(""),
            })),
        }
    }

    /// Leaves out what the org has in this state or a later one, what was
    /// deleted there, and what stands among the retries or letters already.
    pub(super) async fn unsent(
        &mut self,
        kind: RowKind,
        work: Vec<Work>,
    ) -> Result<Vec<Line>, Halt> {
        let scope = self.org.scope;
        let read = move |store: &dyn sloe_store::api::Store| {
            let look = |work: Work| {
                let found = store.get(&Key::delivered(scope, &work.record.key))?;
                let known = found.as_ref().map(|document| {
                    let known = file::decode::<Delivered>(&document.body);
                    known.map(|known| (document.version, known))
                });
                Ok((work, known.transpose()))
            };
            work.into_iter().map(look).collect::<Result<Vec<_>, StoreError>>()
        };
        let (mut lines, mut settled, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        let (now, of_journals) =
            (self.engine.now(), !self.stretches.is_empty() && self.adopt.is_none());
        for (work, known) in stored(self.engine, read).await? {
            // A stretch that goes once more must not hurry what waits its time, or for a person.
            if of_journals && self.books.is_set_aside(&work.record.key, work.record.changed, now) {
                continue;
            }
            let known = known.unwrap_or_else(|error| {
                tracing::error!(org = %self.org.id(), %error, "what the org has of a row can't be read");
                unread.push(work.record.key.clone());
                None
            });
            match known {
                // What was deleted there goes by its id, or not at all.
                Some((_, known)) if work.forced && (known.id.is_some() || !known.gone) => {
                    lines.push(Line { id: known.record(), resent: known.resent, work });
                }
                Some((version, known))
                    if known.gone
                        || (version >= work.version && !sloe_core::planted!(OlderStateSent)) =>
                {
                    settled.extend(self.books.forget_retry(&self.org, &work.record.key));
                }
                Some((_, known)) => {
                    lines.push(Line { id: known.record(), resent: known.resent, work });
                }
                None => lines.push(Line { work, id: None, resent: 0 }),
            }
        }
        settled.extend(self.books.ask(&self.org, unread));
        self.write(settled).await?;
        self.look_first(kind, lines).await
    }

    /// Sets rows aside whose parent was: they would be refused, again and again.
    /// They go along when their parent does.
    pub(super) async fn with_parents(
        &mut self,
        kind: RowKind,
        lines: Vec<Line>,
    ) -> Result<Vec<Line>, Halt> {
        if kind == RowKind::Attendee || self.books.dead.is_empty() {
            return Ok(lines);
        }
        let orphan = |line: &Line| {
            let parent = line.work.record.claim.attendee_key(line.work.record.place);
            line.id.is_none() && self.books.is_absent(&parent)
        };
        let (orphans, lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(orphan);
        let refused = |line| (line, letter::own(letter::PARENT));
        self.settle(orphans.into_iter().map(refused).collect()).await?;
        Ok(lines)
    }

    /// Takes over the job that an earlier drain started; what is left to send.
    async fn adopted(&mut self, kind: RowKind, lines: Vec<Line>) -> Result<Vec<Line>, Halt> {
        if self.adopt.as_ref().is_none_or(|job| job.kind != kind) {
            return Ok(lines);
        }
        let Some(job) = self.adopt.take() else { return Ok(lines) };
        let makes = job.operation == Operation::Upsert;
        let (mut lines, mut rest): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|line| line.id.is_none() == makes);
        rest.extend(lines.split_off(lines.len().min(self.most(kind))));
        let keys: BTreeSet<String> = lines.iter().map(Line::key).collect();
        let (lines, rows) = self.rows(lines).await?;
        // Of those that can't be built any more nobody reads what the job made of them.
        let built: BTreeSet<String> = lines.iter().map(Line::key).collect();
        let note = self.books.ask(&self.org, keys.difference(&built).cloned());
        self.write(note.into_iter().collect()).await?;
        let adopted = if makes {
            self.client.bulk_adopt(&job, Rows::Upsert(&rows)).await?
        } else {
            let updates = updates(&lines, rows);
            self.client.bulk_adopt(&job, Rows::Update(&updates)).await?
        };
        tracing::info!(org = %self.org.id(), job = job.id.as_str(), "adopted a bulk job");
        let unsaid = match adopted {
            Adopted::Ran(outcomes) => {
                let both = lines.into_iter().zip(outcomes);
                let (unsaid, done) = both.partition(|(_, outcome)| outcome.may_be_there());
                self.settle_sent(kind, job.operation, done).await?;
                let unsaid: Vec<(Line, RowOutcome)> = unsaid;
                unsaid.into_iter().map(|(line, _)| line).collect()
            }
            Adopted::Void => {
                rest.extend(lines);
                Vec::new()
            }
            Adopted::Lost => lines,
        };
        // Noted before the job is forgotten.
        self.ask(unsaid.iter().filter(|line| line.id.is_none())).await?;
        rest.extend(self.look_first(kind, unsaid).await?);
        self.write(vec![self.no_send()]).await?;
        arrange(&mut rest, &self.client.parent_locks(kind));
        Ok(rest)
    }

    async fn by_collections(
        &mut self,
        kind: RowKind,
        operation: Operation,
        lines: Vec<Line>,
    ) -> Result<(), Halt> {
        if lines.is_empty() {
            return Ok(());
        }
        self.must_have_room()?;
        let (lines, rows) = self.rows(lines).await?;
        if lines.is_empty() {
            return Ok(());
        }
        let sent = match operation {
            Operation::Upsert => {
                self.ask(lines.iter()).await?;
                self.client.upsert(kind, &rows).await
            }
            Operation::Update => self.client.update(kind, &updates(&lines, rows)).await,
        };
        // Those that were found there are there, whatever comes of this call.
        let rest = lines.iter().skip(sent.outcomes.len());
        let rest = rest.filter(|line| line.id.is_none() || sloe_core::planted!(FoundForgotten));
        let rest: Vec<_> = rest.map(Line::key).collect();
        self.settle_sent(kind, operation, lines.into_iter().zip(sent.outcomes).collect()).await?;
        match sent.halted {
            None => Ok(()),
            Some(error) => Err(self.in_vain(error, &rest).await),
        }
    }

    /// Rows that one Bulk job may hold.
    fn most(&self, kind: RowKind) -> usize {
        // Rows of different attendees that lock one record must not go side by side.
        let shared = self.client.parent_locks(kind).iter().any(|lock| *lock != Column::Attendee);
        if shared { ONE_BATCH } else { MAX_BULK_ROWS }
    }

    async fn by_bulk(
        &mut self,
        kind: RowKind,
        operation: Operation,
        mut lines: Vec<Line>,
    ) -> Result<(), Halt> {
        let mut unfit = Vec::new();
        let most = self.most(kind);
        while !lines.is_empty() {
            let rest = lines.split_off(lines.len().min(most));
            let (built, rows) = self.rows(lines).await?;
            let both = built.into_iter().zip(rows);
            let (fit, others): (Vec<_>, Vec<_>) = both.partition(|(_, row)| row.fits_a_file());
            unfit.extend(others.into_iter().map(|(line, _)| line));
            let (some, rows): (Vec<_>, Vec<_>) = fit.into_iter().unzip();
            if !some.is_empty() {
                self.by_job(kind, operation, some, rows).await?;
            }
            lines = rest;
        }
        self.by_collections(kind, operation, unfit).await
    }

    async fn by_job(
        &mut self,
        kind: RowKind,
        operation: Operation,
        lines: Vec<Line>,
        rows: Vec<Row>,
    ) -> Result<(), Halt> {
        self.must_have_room()?;
        let job = match self.client.bulk_open(kind, operation).await {
            Err(error) if error.is_out_of_jobs() => {
                return self.by_collections(kind, operation, lines).await;
            }
            opened => opened?,
        };
        // From here on, whoever comes next adopts the job before sending anything.
        let send = file::Send::new(&job, self.stretches.clone());
        let before = self.no_send();
        let key = before.key.clone();
        self.write(vec![before, Write { key, version: 1, body: Some(file::encode(&send)) }])
            .await?;
        let outcomes = match operation {
            Operation::Upsert => self.client.bulk_run(&job, Rows::Upsert(&rows)).await?,
            Operation::Update => {
                let updates = updates(&lines, rows);
                self.client.bulk_run(&job, Rows::Update(&updates)).await?
            }
        };
        self.settle_sent(kind, operation, lines.into_iter().zip(outcomes).collect()).await?;
        self.write(vec![self.no_send()]).await
    }

    /// Forgets the job that is noted, whichever it is: it has ended.
    fn no_send(&self) -> Write {
        Write { key: Key::send(self.org.scope, "bulk"), version: letter::ANY, body: None }
    }
}

/// Puts rows side by side that lock the same parents; otherwise they stay in their order.
fn arrange(lines: &mut [Line], locks: &[Column]) {
    lines.sort_by_cached_key(|line| line.parents(locks));
}

fn updates(lines: &[Line], rows: Vec<Row>) -> Vec<Update> {
    let both = lines.iter().zip(rows);
    both.filter_map(|(line, row)| Some(Update { id: line.id?, row })).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use sloe_core::ids::{ClaimId, OrgId};

    use super::*;

    fn line(event: u8, claim: u128, session: Option<u8>) -> Line {
        let id = |kind: &str, n: u8| SfId::parse(&format!("{kind}00000000000{n}")).unwrap();
        let claim = ClaimId(claim);
        let record = Record {
            key: format!("{}-{}", claim.attendee_key(1), session.unwrap_or(0)),
            claim,
            place: 1,
            session: session.map(|n| id("a02", n)),
            item: id("a01", 1),
            registered: true,
            erased: false,
            confirmed_at: None,
            changed: 1,
        };
        let org = OrgId::parse("00D5g000000Test").unwrap();
        let event = EventRef { org, event: id("a00", event) };
        Line { work: Work { event, version: 1, record, forced: false }, id: None, resent: 0 }
    }

    fn arranged(lines: Vec<Line>, locks: &[Column]) -> Vec<(String, String, u128)> {
        let mut lines = lines;
        arrange(&mut lines, locks);
        let told = |line: Line| {
            let session = line.work.record.session.map(|id| id.to_string());
            let last = |id: &str| id[14..15].to_owned();
            let event = last(line.work.event.event.as_str());
            (event, session.map(|id| last(&id)).unwrap_or_default(), line.work.record.claim.0)
        };
        lines.into_iter().map(told).collect()
    }

    fn told(rows: &[(u8, u8, u128)]) -> Vec<(String, String, u128)> {
        rows.iter().map(|(e, s, c)| (e.to_string(), s.to_string(), *c)).collect()
    }

    #[test]
    fn a_row_that_was_found_there_is_looked_for_again_until_it_is_known_what_became_of_it() {
        use crate::worker::outbox::settle::is_answer;
        let found = || Line { id: SfId::parse("a03000000000001").ok(), ..line(1, 1, None) };
        let lock = RowOutcome::Retry { code: "UNABLE_TO_LOCK_ROW".to_owned() };
        assert!(!is_answer(&found(), &lock) && is_answer(&line(1, 1, None), &lock));
        let refused = letter::own("X");
        assert!(!is_answer(&found(), &refused) && is_answer(&line(1, 1, None), &refused));
        assert!(is_answer(&found(), &RowOutcome::Deleted));
        assert!(is_answer(&found(), &RowOutcome::Stale));
    }

    #[test]
    fn rows_go_beside_those_that_lock_the_same_parent_and_else_stay_in_their_order() {
        let rows = || {
            let lines = [(2, 9, 2), (1, 8, 1), (2, 7, 1), (1, 6, 2)];
            lines.map(|(event, claim, session)| line(event, claim, Some(session))).into()
        };
        let as_they_came = told(&[(2, 2, 9), (1, 1, 8), (2, 1, 7), (1, 2, 6)]);
        assert_eq!(arranged(rows(), &[]), as_they_came);
        let by_event = told(&[(1, 1, 8), (1, 2, 6), (2, 2, 9), (2, 1, 7)]);
        assert_eq!(arranged(rows(), &[Column::Event]), by_event);
        let by_session = told(&[(1, 1, 8), (2, 1, 7), (2, 2, 9), (1, 2, 6)]);
        assert_eq!(arranged(rows(), &[Column::Session]), by_session);
        let by_both = told(&[(1, 1, 8), (1, 2, 6), (2, 1, 7), (2, 2, 9)]);
        assert_eq!(arranged(rows(), &[Column::Event, Column::Session]), by_both);
        let by_attendee = told(&[(1, 2, 6), (2, 1, 7), (1, 1, 8), (2, 2, 9)]);
        assert_eq!(arranged(rows(), &[Column::Attendee]), by_attendee);
    }
}
