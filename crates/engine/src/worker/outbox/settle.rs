//! What became of rows, written down: in the org, to be sent again, set aside
//! for a person, or deleted there.

use std::collections::{BTreeMap, BTreeSet};

use sloe_core::ids::{EventRef, SfId};
use sloe_core::outbox::backoff;
use sloe_core::time::Timestamp;
use sloe_salesforce::error::codes;
use sloe_salesforce::{Advice, Rejection, RowOutcome};
use sloe_store::api::Write;
use sloe_store::key::Key;

use super::books::Lettered;
use super::file::{self, Dead, Delivered, Retry};
use super::letter::{self, DELETED, MISSING};
use super::send::{Line, Sender, Work};
use super::{Halt, plan};
use crate::view::Attendee;
use crate::worker::stored;

/// Documents written in one commit, so that claims get their turn in between.
const WRITES: usize = 500;

/// What Salesforce says of a row whose parent, named by external id, is not there.
const NO_PARENT: &str = "INVALID_FIELD";

/// What Salesforce says of a row that names a record which is gone, or which Sloe may not see;
/// often without saying in which field.
const REFERENCES: [&str; 3] = [
    "ENTITY_IS_DELETED",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
    "INVALID_CROSS_REFERENCE_KEY",
];

/// Whether an outcome tells if the record is there, and as which, so that
/// nobody has to look for it again.
pub(super) fn is_answer(line: &Line, outcome: &RowOutcome) -> bool {
    match outcome {
        RowOutcome::Stale => line.id.is_some(),
        // It was found there, and nothing else is written down that says so: it may be deleted
        // before its turn comes.
        RowOutcome::Retry { .. } | RowOutcome::Rejected(_) if line.id.is_some() => {
            sloe_core::planted!(FoundForgotten)
        }
        _ => !outcome.may_be_there(),
    }
}

/// Whether a code says that the org takes no row now, rather than this one.
fn is_full(code: &str) -> bool {
    codes::facts(code).is_some_and(|facts| facts.call == Advice::Wait)
}

/// What the settling of one answer comes to.
#[derive(Default)]
struct Settled {
    writes: Vec<Write>,
    /// Documents that take the place of others at the same version.
    replaced: Vec<[Write; 2]>,
    /// Attendees that were deleted in the org.
    deleted: Vec<(EventRef, String)>,
}

impl Sender<'_> {
    /// Writes down what became of each row.
    pub(super) async fn settle(&mut self, done: Vec<(Line, RowOutcome)>) -> Result<(), Halt> {
        let now = self.engine.now();
        let people = self.quoted(&done).await?;
        let letters = self.letters(&done).await?;
        let mut settled = Settled::default();
        let (answered, unsure): (Vec<_>, Vec<_>) =
            done.iter().partition(|(line, outcome)| is_answer(line, outcome));
        let answered: Vec<_> = answered.into_iter().map(|(line, _)| line.key()).collect();
        // Before anything else is written of them.
        self.ask(unsure.into_iter().map(|(line, _)| line).filter(|line| line.id.is_none())).await?;
        for (line, outcome) in done {
            let key = line.key();
            let (work, id) = (&line.work, line.id);
            let before = letters.get(&key);
            match outcome {
                RowOutcome::Delivered { id, .. } => {
                    self.lag(now, work);
                    self.delivered(&mut settled, &line, Some(id), false);
                    settled.writes.extend(self.children_go(now, work));
                }
                // Its id is as well known as before.
                RowOutcome::Stale => {
                    self.delivered(&mut settled, &line, line.id, false);
                    if work.forced && self.books.is_compared(&key) {
                        // The org won't have it: what the letter says is still so.
                        continue;
                    }
                }
                // The org never had it, and now there is nothing left to tell it.
                RowOutcome::Rejected(_) if work.record.erased => {
                    self.delivered(&mut settled, &line, line.id, false);
                }
                RowOutcome::Deleted => {
                    self.delivered(&mut settled, &line, id, true);
                    settled.writes.push(self.conflict(now, (work, id), before));
                    if work.record.session.is_none() {
                        settled.deleted.push((work.event, key));
                    }
                    continue;
                }
                RowOutcome::Retry { code } if is_full(&code) => {
                    self.full = Some(code);
                    continue;
                }
                RowOutcome::Retry { code } => {
                    settled.writes.extend(self.again(now, (work, id), &code, before));
                    continue;
                }
                RowOutcome::Rejected(rejection) => {
                    let person = people.get(&key).and_then(Option::as_ref);
                    let dead = self.dead(now, (work, id), &rejection, person, before);
                    settled.writes.push(dead);
                    settled.writes.extend(self.books.forget_retry(&self.org, &key));
                    continue;
                }
            }
            settled.writes.extend(self.books.forget_dead(&self.org, &key));
        }
        let answered = answered.iter().map(String::as_str);
        settled.writes.extend(self.books.answered(&self.org, answered));
        self.put(settled).await
    }

    async fn put(&mut self, settled: Settled) -> Result<(), Halt> {
        let Settled { writes, replaced, deleted } = settled;
        let events: BTreeSet<EventRef> = deleted.iter().map(|(event, _)| *event).collect();
        for event in events {
            let of_event = deleted.iter().filter(|(of, _)| *of == event).map(|(_, key)| key);
            let keys: Vec<_> = of_event.cloned().collect();
            self.engine.cancel_by_org(event, &keys).await.map_err(Halt::Ledger)?;
        }
        for some in replaced.chunks(WRITES / 2) {
            let some = some.concat();
            stored(self.engine, move |store| store.put(&some)).await?;
        }
        self.write(writes).await
    }

    pub(super) async fn write(&self, mut writes: Vec<Write>) -> Result<(), Halt> {
        while !writes.is_empty() {
            let rest = writes.split_off(writes.len().min(WRITES));
            let some = std::mem::replace(&mut writes, rest);
            stored(self.engine, move |store| store.put(&some)).await?;
        }
        Ok(())
    }

    /// Notes what the org holds of a record, which is then no retry any more.
    fn delivered(&mut self, settled: &mut Settled, line: &Line, id: Option<SfId>, gone: bool) {
        let work = &line.work;
        let key = Key::delivered(self.org.scope, &work.record.key);
        let id = id.map(|id| id.to_string());
        let resent = if work.forced { line.resent.saturating_add(1) } else { 0 };
        let body = Some(file::encode(&Delivered { id, gone, theirs: false, resent }));
        let write = Write { key: key.clone(), version: work.version, body };
        if work.forced {
            // The same version is there already, and says something else.
            let away = Write { key, version: letter::ANY, body: None };
            settled.replaced.push([away, write]);
        } else {
            settled.writes.push(write);
        }
        self.books.delivered += 1;
        let older = |(_, retry): &(u64, Retry)| retry.version < work.version;
        if sloe_core::planted!(OlderStateSent)
            && self.books.retries.get(&work.record.key).is_some_and(older)
        {
            return;
        }
        settled.writes.extend(self.books.forget_retry(&self.org, &work.record.key));
    }

    /// How long an attendee was on the way, for whoever watches.
    fn lag(&self, now: Timestamp, work: &Work) {
        let Some(confirmed) = work.record.confirmed_at else { return };
        if work.record.session.is_some() || work.forced {
            return;
        }
        let millis = u32::try_from(now.millis_since(confirmed).max(0)).unwrap_or(u32::MAX);
        let org = self.org.id().to_string();
        metrics::histogram!("sloe_org_sync_lag_seconds", "org" => org)
            .record(f64::from(millis) / 1_000.0);
    }

    /// Lets a row stand among the retries, or the dead letters once it had its chances.
    fn again(
        &mut self,
        now: Timestamp,
        (work, id): (&Work, Option<SfId>),
        code: &str,
        before: Option<&(u64, Dead)>,
    ) -> Vec<Write> {
        let key = &work.record.key;
        // All that a place in a session names by external id is its attendee.
        let code = if code == NO_PARENT { letter::PARENT } else { code };
        let (attempts, since) = self.books.attempts(key);
        // An org in trouble costs no row its chances; it is tried again, less and less often.
        let most = if code == RowOutcome::ALONE { backoff::TRIES - 1 } else { u32::MAX };
        let attempts = (attempts + 1).min(most);
        if attempts >= backoff::TRIES {
            let dead = self.dead(now, (work, id), &letter::refusal(code), None, before);
            return self.books.forget_retry(&self.org, key).into_iter().chain([dead]).collect();
        }
        let pause = backoff::pause_millis(attempts, self.engine.draw());
        let retry = Retry {
            event: work.event.partition(),
            claim: work.record.claim.text(),
            place: work.record.place,
            version: work.version,
            confirmed_at: work.record.confirmed_at.map(|at| at.0),
            attempts,
            not_before: now.plus_millis(pause).0,
            since: Some(since.unwrap_or(now.0)),
            code: code.to_owned(),
            forced: work.forced,
        };
        vec![self.books.remember_retry(&self.org, key, now, retry)]
    }

    /// Lets places in sessions go that were only waiting for this attendee.
    fn children_go(&mut self, now: Timestamp, work: &Work) -> Vec<Write> {
        if work.record.session.is_some() {
            return Vec::new();
        }
        let orphans = self.books.orphans(&work.record.key);
        let go = |key: String| {
            let retry = Retry {
                event: work.event.partition(),
                claim: work.record.claim.text(),
                place: work.record.place,
                version: work.version,
                confirmed_at: work.record.confirmed_at.map(|at| at.0),
                attempts: 0,
                not_before: now.0,
                since: Some(now.0),
                code: letter::PARENT.to_owned(),
                forced: false,
            };
            self.books.remember_retry(&self.org, &key, now, retry)
        };
        orphans.into_iter().map(go).collect()
    }

    fn conflict(
        &mut self,
        now: Timestamp,
        row: (&Work, Option<SfId>),
        before: Option<&(u64, Dead)>,
    ) -> Write {
        self.dead(now, row, &letter::refusal(DELETED), None, before)
    }

    fn dead(
        &mut self,
        now: Timestamp,
        (work, id): (&Work, Option<SfId>),
        rejection: &Rejection,
        person: Option<&Attendee>,
        before: Option<&(u64, Dead)>,
    ) -> Write {
        let (org, key) = (self.org.id(), &work.record.key);
        let Rejection { code, fields, message } = rejection;
        tracing::warn!(%org, code, ?fields, "a row failed for good");
        let message = letter::scrub(message.reveal(), person);
        let sealed = (!message.is_empty())
            .then(|| {
                let key_of = self.org.vault_key();
                key_of.seal(self.engine.world(), key.as_bytes(), message.as_bytes()).ok()
            })
            .flatten();
        let (attempts, first) = self.books.attempts(key);
        let known = before.map(|(_, dead)| dead);
        let conflict = matches!(code.as_str(), DELETED | MISSING);
        let dead = Dead {
            event: work.event.partition(),
            claim: work.record.claim.text(),
            place: work.record.place,
            at: now.0,
            since: Some(known.map_or(first.unwrap_or(now.0), |dead| dead.since.unwrap_or(dead.at))),
            // What waits for its parent was not sent.
            tries: known.map_or(0, |dead| dead.tries)
                + attempts
                + u32::from(code != letter::PARENT),
            code: code.clone(),
            fields: fields.clone(),
            state: work.version,
            confirmed_at: work.record.confirmed_at.map(|at| at.0),
            conflict,
            // A conflict is sent by its id, so that nothing is made anew.
            forced: work.forced || conflict,
            there: id.is_some() && !conflict,
            accepted: false,
            unlinked: known.is_some_and(|dead| dead.unlinked) || self.blames_link(code, fields),
            sealed_message: sealed.map(|bytes| sloe_core::ids::base32::encode(&bytes)),
        };
        self.books.dead.insert(key.clone(), Lettered::of(&dead));
        let version = before.map_or(0, |(version, _)| *version).max(work.version) + 1;
        Write {
            key: Key::dead_letter(self.org.scope, key),
            version,
            body: Some(file::encode(&dead)),
        }
    }

    /// Whether a refusal may be about the Contact or Lead that a row names.
    fn blames_link(&self, code: &str, fields: &[String]) -> bool {
        letter::blames_invitee(&self.org, fields) || fields.is_empty() && REFERENCES.contains(&code)
    }

    /// The letters that there are of these rows, with their versions.
    async fn letters(
        &self,
        done: &[(Line, RowOutcome)],
    ) -> Result<BTreeMap<String, (u64, Dead)>, Halt> {
        let keys = done.iter().map(|(line, _)| &line.work.record.key);
        let keys: Vec<_> = keys.filter(|key| self.books.dead.contains_key(*key)).cloned().collect();
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let scope = self.org.scope;
        let read = move |store: &dyn sloe_store::api::Store| {
            let mut letters = BTreeMap::new();
            for key in keys {
                let found = store.get(&Key::dead_letter(scope, &key))?;
                let read = |d: sloe_store::api::Document| Some((d.version, Dead::read(&d).ok()?));
                letters.extend(found.and_then(read).map(|letter| (key, letter)));
            }
            Ok(letters)
        };
        Ok(stored(self.engine, read).await?)
    }

    /// The people whom refusals of these rows may quote.
    async fn quoted(
        &self,
        done: &[(Line, RowOutcome)],
    ) -> Result<BTreeMap<String, Option<Attendee>>, Halt> {
        let mut people = BTreeMap::new();
        let refused = |(line, outcome): &&(Line, RowOutcome)| {
            matches!(outcome, RowOutcome::Rejected(_)) && !line.work.record.erased
        };
        let refused: Vec<_> = done.iter().filter(refused).map(|(line, _)| &line.work).collect();
        for of_event in refused.chunk_by(|a, b| a.event == b.event) {
            let Some(event) = of_event.first().map(|work| work.event) else { continue };
            let records: Vec<_> = of_event.iter().map(|work| work.record.clone()).collect();
            let found = plan::details(self.engine, &self.org, event, &records).await?;
            let found = found.into_iter().map(plan::Details::person);
            people.extend(records.into_iter().map(|record| record.key).zip(found));
        }
        Ok(people)
    }
}
