//! One event's rows of one object, compared one by one, in parts where there
//! are many. What differs is looked at a second time, on both sides, before
//! anything is done about it: between the two looks Sloe goes on sending.

use std::collections::BTreeMap;
use std::sync::Arc;

use sloe_core::ids::{ClaimId, EventRef, SfId};
use sloe_core::time::Timestamp;
use sloe_core::verify::{
    Compared, Comparison, Difference, Differs, Expected, Group, Ours, RecordKey, Tally, Theirs,
    judge,
};
use sloe_salesforce::{Org as Client, OrgRow, RowKind};

use super::ours::{AGAIN, Known, Standing};
use super::{STRANGERS, marks, repair};
use crate::engine::Engine;
use crate::sync::SyncFault;
use crate::tenant::Org;
use crate::verify::Verified;
use crate::worker::halt::Halt;
use crate::worker::orgs::OrgWork;
use crate::worker::outbox::file::Seen;
use crate::worker::outbox::letter::{CHANGED, MISSING};
use crate::worker::outbox::mend::{Mend, Repair};

/// Rows that are missing in their event and are asked for by their ids.
const ASKED: usize = 4_000;
/// Records that differ in a way that staff must settle, before something
/// greater is wrong and one sentence says more than so many letters.
const LETTERS: usize = 1_000;

/// The claims that a part of a comparison is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    /// Those behind this one,
    pub(super) after: Option<ClaimId>,
    /// up to this one.
    pub(super) upto: Option<ClaimId>,
}

impl Part {
    /// Whether a row that the org holds belongs here; each belongs to one part.
    fn has(&self, key: &str) -> bool {
        match RecordKey::parse(key) {
            Some(RecordKey { claim, .. }) => {
                self.after.is_none_or(|after| claim > after)
                    && self.upto.is_none_or(|upto| claim <= upto)
            }
            None => self.after.is_none(),
        }
    }
}

/// What is noted of a row, to tell on a second look whether it is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    version: u64,
    seen: Option<Seen>,
    lettered: bool,
}

/// Sloe's rows of a part.
#[derive(Default)]
pub(super) struct Rows {
    comparison: Comparison<Noted>,
    expected: Expected,
}

impl Rows {
    pub(super) fn add(&mut self, row: &Known) {
        let Known { version, seen, lettered, .. } = *row;
        self.comparison.expect(row.key, row.ours, Noted { version, seen, lettered });
        self.expected.add(row.ours);
    }
}

pub(super) struct Detail<'a> {
    pub(super) engine: &'a Engine,
    pub(super) work: &'a Arc<OrgWork>,
    pub(super) org: &'a Arc<Org>,
    pub(super) client: &'a Client,
    pub(super) kind: RowKind,
    pub(super) event: EventRef,
    /// How many rows there may be.
    pub(super) about: u64,
    /// Of all parts so far.
    pub(super) whole: Whole,
}

/// What the parts of an event came to.
#[derive(Default)]
pub(super) struct Whole {
    expected: Expected,
    found: Tally,
    /// Rows that were not as they were on the second look.
    moved: u64,
    differs: bool,
}

/// Rows that differ on a second look.
type Sure = Vec<(Known, Difference)>;

impl Detail<'_> {
    /// Compares one part.
    pub(super) async fn compare(
        &mut self,
        part: Part,
        rows: Rows,
        verified: &mut Verified,
    ) -> Result<(), Halt> {
        let Rows { mut comparison, expected } = rows;
        let found = &mut self.whole.found;
        let see = |row: OrgRow| {
            if !part.has(&row.key) {
                return;
            }
            if !row.deleted {
                let versions = row.version.unwrap_or(0);
                found.add(row.status, Group { count: 1, versions });
            }
            comparison.see(&row.key, theirs(&row));
        };
        self.client.rows_of(self.kind, self.event.event, self.about, see).await?;
        verified.one_by_one += comparison.len() as u64;
        self.whole.expected.join(&expected);
        let mut settled = Vec::new();
        let Compared { differ, surplus } = comparison.judged(|key, ours, noted: Noted| {
            if noted.lettered && matches!(ours, Ours::Sent { .. }) {
                settled.push(key);
            }
        });
        self.settle(settled).await?;
        if differ.is_empty() && surplus.is_empty() {
            return Ok(());
        }
        let differing = differ.len();
        let (sure, others) = self.again(differ, surplus).await?;
        let moved = differing.saturating_sub(sure.len()) as u64;
        self.whole.moved += moved;
        verified.unsure += moved;
        let sure = self.elsewhere(sure).await?;
        self.whole.differs |= !sure.is_empty() || !others.is_empty();
        for stranger in others {
            verified.note(Difference::Surplus, false);
            if verified.surplus.len() < STRANGERS {
                verified.surplus.push(stranger);
            }
        }
        self.mend(sure, verified).await
    }

    /// Notes that all parts were compared.
    pub(super) async fn end(&self) -> Result<(), Halt> {
        let Whole { expected, found, moved, differs } = &self.whole;
        if *differs || *moved > 0 || expected.unsure > 0 {
            return Ok(());
        }
        let about = (self.event, self.kind);
        Ok(marks::note(self.engine, self.org.scope, about, expected, found).await?)
    }

    /// Rows that agree, and that a letter says to differ.
    async fn settle(&self, keys: Vec<RecordKey>) -> Result<(), Halt> {
        if keys.is_empty() {
            return Ok(());
        }
        let standing = Standing::read_about(self.engine, self.org.scope, keys.clone()).await?;
        let found = standing.look_at(self.engine, &keys).await?;
        self.work.mend(found.iter().flatten().map(|row| repair(row, Mend::Settled)).collect());
        Ok(())
    }

    /// What still differs once everything that was under way is known: rows
    /// that have changed on our side meanwhile are left to the next time.
    async fn again(
        &self,
        differ: Vec<Differs<Noted>>,
        surplus: Vec<String>,
    ) -> Result<(Sure, Vec<String>), Halt> {
        let (mut sure, mut strangers) = (Vec::new(), Vec::new());
        for some in differ.chunks(AGAIN) {
            let keys: Vec<_> = some.iter().map(|row| row.key).collect();
            let Some(now) = self.look_again(keys).await? else { continue };
            let same = |(then, now): (&Differs<Noted>, Option<Known>)| {
                let now = now?;
                let noted = (then.note.version, then.note.seen);
                let same = then.ours == now.ours && noted == (now.version, now.seen);
                same.then_some((now, then.how))
            };
            sure.extend(some.iter().zip(now).filter_map(same));
        }
        for some in surplus.chunks(AGAIN) {
            let keys: Vec<_> = some.iter().filter_map(|text| RecordKey::parse(text)).collect();
            let Some(now) = self.look_again(keys).await? else { continue };
            // The org may move an attendee to another of its events.
            let known = |text: &String| {
                let key = RecordKey::parse(text);
                now.iter().flatten().any(|row| Some(row.key) == key)
            };
            strangers.extend(some.iter().filter(|text| !known(text)).cloned());
        }
        Ok((sure, strangers))
    }

    /// What is known of rows by now; `None` while the event's orders lag behind.
    async fn look_again(&self, keys: Vec<RecordKey>) -> Result<Option<Vec<Option<Known>>>, Halt> {
        let standing = Standing::read_about(self.engine, self.org.scope, keys.clone()).await?;
        if !standing.caught_up(self.engine, Some(self.event)).await?.contains(&self.event) {
            return Ok(None);
        }
        Ok(Some(standing.look_at(self.engine, &keys).await?))
    }

    /// What became of rows that their event doesn't show: the org may have
    /// moved them to another, or cleared their event when it deleted it.
    async fn elsewhere(&self, sure: Sure) -> Result<Sure, Halt> {
        let missing = |(known, difference): &&(Known, Difference)| {
            *difference == Difference::Missing && known.id.is_some()
        };
        let ids: Vec<SfId> =
            sure.iter().filter(missing).filter_map(|(known, _)| known.id).collect();
        if ids.is_empty() || ids.len() > ASKED {
            return Ok(sure);
        }
        let found = self.client.rows_by_id(self.kind, &ids).await?;
        let found: BTreeMap<SfId, OrgRow> = found.into_iter().map(|row| (row.id, row)).collect();
        let judged = sure.into_iter().filter_map(|(known, difference)| {
            let there = known.id.filter(|_| difference == Difference::Missing);
            let Some(row) = there.and_then(|id| found.get(&id)) else {
                return Some((known, difference));
            };
            if !row.deleted && row.key != known.key.text() {
                return Some((known, Difference::Changed));
            }
            let difference = judge(known.ours, Some(theirs(row)))?;
            Some((known, difference))
        });
        Ok(judged.collect())
    }

    async fn mend(&self, sure: Sure, verified: &mut Verified) -> Result<(), Halt> {
        let count = |wanted: Difference, of: fn(&Known) -> bool| {
            sure.iter().filter(|(known, how)| *how == wanted && of(known)).count()
        };
        let unseen = count(Difference::Missing, was_taken);
        let unkept = count(Difference::Stale, went_again);
        for (many, fault) in [(unseen, unseen_fault as Tell), (unkept, unkept_fault)] {
            if many > LETTERS {
                verified.fault = Some(fault(self.engine.now(), many));
            }
        }
        let ask = |many: usize, code| (many <= LETTERS).then_some(Mend::Ask(code));
        let mut repairs: Vec<Repair> = Vec::new();
        let mut taken_over = Vec::new();
        for (known, difference) in &sure {
            let (mend, mended) = match difference {
                // It would be made without a name: of an org that comes back after it was removed.
                Difference::Missing if !was_taken(known) && known.erased => {
                    (Some(Mend::LeftOut), true)
                }
                Difference::Missing if !was_taken(known) => (Some(Mend::Resend), true),
                Difference::Missing => (ask(unseen, MISSING), false),
                // Once more would be for ever.
                Difference::Stale if went_again(known) => (ask(unkept, CHANGED), false),
                Difference::Stale => (Some(Mend::Resend), true),
                // It has no seat any more, on either side.
                Difference::Deleted if !is_registered(known) => (Some(Mend::LeftOut), true),
                // The org may cancel and delete attendees: their seats are free again.
                Difference::Deleted | Difference::Cancelled if self.kind == RowKind::Attendee => {
                    taken_over.push(known.key.text());
                    (None, true)
                }
                Difference::Deleted => (Some(Mend::Gone), false),
                Difference::Cancelled
                | Difference::Changed
                | Difference::Surplus
                | Difference::Figures => (Some(Mend::Ask(CHANGED)), false),
            };
            verified.note(*difference, mended);
            repairs.extend(mend.map(|mend| repair(known, mend)));
        }
        self.work.mend(repairs);
        self.engine.cancel_by_org(self.event, &taken_over).await?;
        Ok(())
    }
}

/// Whether the org is known to have held the row once.
fn was_taken(known: &Known) -> bool {
    known.seen.is_some()
}

/// Whether the row was sent again in this state, as a comparison or staff wanted.
fn went_again(known: &Known) -> bool {
    known.seen.is_some_and(|seen| seen.resent > 0)
}

fn is_registered(known: &Known) -> bool {
    matches!(known.ours, Ours::Sent { registered: true, .. })
}

type Tell = fn(Timestamp, usize) -> SyncFault;

fn unseen_fault(at: Timestamp, many: usize) -> SyncFault {
    SyncFault {
        at,
        means: format!("Salesforce took {many} records of an event and shows them no more."),
        remedy: "Check in Salesforce that the integration user still has its permission set and \
            sees all attendees. Nothing is sent again or cancelled because of it."
            .to_owned(),
    }
}

fn unkept_fault(at: Timestamp, many: usize) -> SyncFault {
    SyncFault {
        at,
        means: format!(
            "Salesforce took {many} records of an event and does not keep them as sent."
        ),
        remedy: "Check in Salesforce that the integration user may edit the field with Sloe's \
            version, and that no flow or trigger sets it back. They are not sent again until \
            their orders change."
            .to_owned(),
    }
}

fn theirs(row: &OrgRow) -> Theirs {
    Theirs { version: row.version, status: row.status, deleted: row.deleted }
}
