//! One event's rows of one object, compared one by one. What differs is looked
//! at a second time, on both sides, before anything is done about it: between
//! the two looks Sloe goes on sending.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sloe_core::ids::{EventRef, SfId};
use sloe_core::time::Timestamp;
use sloe_core::verify::{
    Comparison, Difference, Expected, Group, Ours, RecordKey, Tally, Theirs, judge,
};
use sloe_salesforce::{Org as Client, OrgRow, RowKind};

use super::ours::{Known, Standing};
use super::{STRANGERS, marks, repair};
use crate::engine::Engine;
use crate::sync::SyncFault;
use crate::tenant::Org;
use crate::verify::Verified;
use crate::worker::halt::Halt;
use crate::worker::orgs::OrgWork;
use crate::worker::outbox::letter::{CHANGED, MISSING};
use crate::worker::outbox::mend::{Mend, Repair};
use crate::worker::stored;

/// Rows that are missing in their event and are asked for by their ids.
const ASKED: usize = 4_000;
/// Records of an event that the org may not show before something greater is wrong.
const LETTERS: usize = 1_000;

pub(super) struct Detail<'a> {
    pub(super) engine: &'a Engine,
    pub(super) work: &'a Arc<OrgWork>,
    pub(super) org: &'a Arc<Org>,
    pub(super) kind: RowKind,
}

/// A row that differs on a second look, and what the org holds of it.
type Sure = Vec<(Known, Difference)>;

impl Detail<'_> {
    pub(super) async fn compare(
        &self,
        client: &Client,
        event: EventRef,
        about: u64,
        known: Vec<Known>,
        verified: &mut Verified,
    ) -> Result<(), Halt> {
        let (mut comparison, mut expected) = (Comparison::default(), Expected::default());
        for row in &known {
            comparison.expect(row.key, row.ours);
            expected.add(row.ours);
        }
        let mut found = Tally::default();
        let see = |row: OrgRow| {
            if !row.deleted {
                let versions = row.version.unwrap_or(0);
                found.add(row.status, Group { count: 1, versions });
            }
            comparison.see(&row.key, theirs(&row));
        };
        client.rows_of(self.kind, event.event, about, see).await?;
        verified.one_by_one += known.len() as u64;
        let (differ, strangers) = comparison.differences();
        let rows: BTreeMap<RecordKey, Known> =
            known.into_iter().map(|row| (row.key, row)).collect();
        let lettered = rows.values().filter(|row| row.letter.is_some());
        let differing: BTreeSet<_> = differ.iter().map(|(key, _)| *key).collect();
        let settled = lettered
            .filter(|row| matches!(row.ours, Ours::Sent { .. }) && !differing.contains(&row.key));
        self.work.mend(settled.map(|row| repair(row, Mend::Settled)).collect());
        let mut unsure = expected.unsure;
        let (mut sure, mut others) = (Vec::new(), Vec::new());
        if !differ.is_empty() || !strangers.is_empty() {
            let differing = differ.len();
            (sure, others) = self.again(event, &rows, differ, strangers).await?;
            unsure += differing.saturating_sub(sure.len()) as u64;
            verified.unsure += differing.saturating_sub(sure.len()) as u64;
            sure = self.elsewhere(client, sure).await?;
        }
        if sure.is_empty() && others.is_empty() {
            if unsure == 0 {
                let about = (event, self.kind);
                marks::note(self.engine, self.org.scope, about, &expected, &found).await?;
            }
            return Ok(());
        }
        for stranger in others {
            verified.note(Difference::Surplus, false);
            if verified.surplus.len() < STRANGERS {
                verified.surplus.push(stranger);
            }
        }
        self.mend(event, sure, verified).await
    }

    /// What still differs once everything that was under way is known: rows
    /// that have changed on our side meanwhile are left to the next time.
    async fn again(
        &self,
        event: EventRef,
        rows: &BTreeMap<RecordKey, Known>,
        differ: Vec<(RecordKey, Difference)>,
        strangers: Vec<String>,
    ) -> Result<(Sure, Vec<String>), Halt> {
        let ours = differ.iter().map(|(key, _)| key.text());
        let about = ours.chain(strangers.iter().cloned()).collect();
        let standing = Standing::read_about(self.engine, self.org.scope, about).await?;
        if !standing.caught_up(self.engine, Some(event)).await?.contains(&event) {
            return Ok((Vec::new(), Vec::new()));
        }
        let keys: Vec<_> = differ.iter().map(|(key, _)| *key).collect();
        let now = Arc::clone(&standing);
        let looked = stored(self.engine, move |store| {
            keys.iter().map(|key| now.look(store, key)).collect::<Result<Vec<_>, _>>()
        });
        let same = |((key, difference), now): ((RecordKey, Difference), Option<Known>)| {
            let (then, now) = (rows.get(&key)?, now?);
            let same = then.ours == now.ours && then.version == now.version;
            same.then_some((now, difference))
        };
        let sure = differ.into_iter().zip(looked.await?).filter_map(same).collect();
        let strangers = stored(self.engine, move |store| {
            let mut left = Vec::new();
            for text in strangers {
                let known = match RecordKey::parse(&text) {
                    Some(key) => standing.look(store, &key)?,
                    None => None,
                };
                // The org may move an attendee to another of its events.
                if known.is_none() {
                    left.push(text);
                }
            }
            Ok(left)
        });
        Ok((sure, strangers.await?))
    }

    /// What became of rows that their event doesn't show: the org may have
    /// moved them to another, or cleared their event when it deleted it.
    async fn elsewhere(&self, client: &Client, sure: Sure) -> Result<Sure, Halt> {
        let missing = |(known, difference): &&(Known, Difference)| {
            *difference == Difference::Missing && known.id.is_some()
        };
        let ids: Vec<SfId> =
            sure.iter().filter(missing).filter_map(|(known, _)| known.id).collect();
        if ids.is_empty() || ids.len() > ASKED {
            return Ok(sure);
        }
        let found = client.rows_by_id(self.kind, &ids).await?;
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

    async fn mend(&self, event: EventRef, sure: Sure, verified: &mut Verified) -> Result<(), Halt> {
        let unseen = |(known, difference): &&(Known, Difference)| {
            *difference == Difference::Missing && known.id.is_some()
        };
        let unseen = sure.iter().filter(unseen).count();
        if unseen > LETTERS {
            verified.fault = Some(unseen_fault(self.engine.now(), unseen));
        }
        let mut repairs: Vec<Repair> = Vec::new();
        let mut taken_over = Vec::new();
        for (known, difference) in &sure {
            let attendee = self.kind == RowKind::Attendee;
            let (mend, mended) = match difference {
                Difference::Missing if known.id.is_none() => (Some(Mend::Resend), true),
                Difference::Missing if unseen > LETTERS => (None, false),
                Difference::Missing => (Some(Mend::Ask(MISSING)), false),
                Difference::Stale => (Some(Mend::Resend), true),
                // The org may cancel and delete attendees: their seats are free again.
                Difference::Deleted | Difference::Cancelled if attendee => {
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
        self.engine.cancel_by_org(event, &taken_over).await?;
        Ok(())
    }
}

fn unseen_fault(at: Timestamp, unseen: usize) -> SyncFault {
    SyncFault {
        at,
        means: format!("Salesforce took {unseen} records of an event and shows them no more."),
        remedy: "Check in Salesforce that the integration user still has its permission set and \
            sees all attendees. Nothing is sent again or cancelled because of it."
            .to_owned(),
    }
}

fn theirs(row: &OrgRow) -> Theirs {
    Theirs { version: row.version, status: row.status, deleted: row.deleted }
}
