//! Whether orgs hold what they were sent: how the last comparisons went.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sloe_core::ids::OrgId;
use sloe_core::time::Timestamp;
use sloe_core::verify::Difference;
use sloe_store::api::{Document, Write};
use sloe_store::key::{Collection, Key, Range};
use sloe_store::scope::OrgScope;

use crate::asks::Ask;
use crate::engine::Engine;
use crate::error::Denied;
use crate::sync::SyncFault;
use crate::worker::outbox::file;
use crate::worker::outbox::letter::ANY;

/// Comparisons that are remembered.
const REMEMBERED: usize = 100;
/// What the names of their documents begin with.
const PASS: &str = "pass ";

/// Rows that differed in one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many.
    pub found: u64,
    /// How many of them Sloe puts right by itself: sent again, or taken over
    /// from the org. The next comparison tells whether that helped.
    pub mended: u64,
}

/// How a comparison of an org with what it was sent went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verified {
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Whether events long over were compared, too.
    pub whole: bool,
    /// Events compared.
    pub events: u64,
    /// Rows that the org should hold in them.
    pub rows: u64,
    /// Rows that were compared one by one, because counts differed.
    pub one_by_one: u64,
    /// What differed.
    pub differences: BTreeMap<Difference, Found>,
    /// External ids of some rows that name themselves Sloe's and are not.
    pub surplus: Vec<String>,
    /// Rows that could not be judged: on their way, waiting or refused; and events whose figures have
    /// changed since the org was told of them.
    pub unsure: u64,
    /// Events that could not be compared, and are the next time.
    pub left_out: u64,
    /// Why it ended early, if it did.
    pub fault: Option<SyncFault>,
    /// Why the org won't take figures that it was told, if it refused any.
    pub refusal: Option<SyncFault>,
}

impl Verified {
    /// Whether the org holds exactly what it was sent, as far as was compared.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty() && self.left_out == 0 && self.fault.is_none()
    }

    /// How many rows differed.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.differences.values().map(|found| found.found).sum()
    }

    /// How many rows Sloe can't put right, figures that the org refuses left out.
    #[must_use]
    pub fn open(&self) -> u64 {
        let refused =
            |difference: Difference| difference == Difference::Figures && self.refusal.is_some();
        let others = self.differences.iter().filter(|(difference, _)| !refused(**difference));
        others.map(|(_, found)| found.found - found.mended).sum()
    }

    pub(crate) fn note(&mut self, difference: Difference, mended: bool) {
        let found = self.differences.entry(difference).or_default();
        found.found += 1;
        found.mended += u64::from(mended);
    }
}

/// A [`Verified`] as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    began: i64,
    ended: i64,
    whole: bool,
    events: u64,
    rows: u64,
    one_by_one: u64,
    /// By name, found and mended.
    differences: BTreeMap<String, (u64, u64)>,
    surplus: Vec<String>,
    unsure: u64,
    left_out: u64,
    fault: Option<(i64, String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<(i64, String, String)>,
}

fn read(document: &Document) -> Option<Verified> {
    let stored: Stored = file::decode(&document.body).ok()?;
    let named = |(name, (found, mended)): (String, (u64, u64))| {
        let difference = Difference::ALL.into_iter().find(|known| known.name() == name)?;
        Some((difference, Found { found, mended }))
    };
    let fault = |(at, means, remedy)| SyncFault { at: Timestamp(at), means, remedy };
    Some(Verified {
        began: Timestamp(stored.began),
        ended: Timestamp(stored.ended),
        whole: stored.whole,
        events: stored.events,
        rows: stored.rows,
        one_by_one: stored.one_by_one,
        differences: stored.differences.into_iter().filter_map(named).collect(),
        surplus: stored.surplus,
        unsure: stored.unsure,
        left_out: stored.left_out,
        fault: stored.fault.map(fault),
        refusal: stored.refusal.map(fault),
    })
}

/// The write that makes a comparison durable. The newest comes first by name.
pub(crate) fn record(scope: OrgScope, verified: &Verified) -> Write {
    let count = |(difference, found): (&Difference, &Found)| {
        (difference.name().to_owned(), (found.found, found.mended))
    };
    let told = |fault: SyncFault| (fault.at.0, fault.means, fault.remedy);
    let stored = Stored {
        began: verified.began.0,
        ended: verified.ended.0,
        whole: verified.whole,
        events: verified.events,
        rows: verified.rows,
        one_by_one: verified.one_by_one,
        differences: verified.differences.iter().map(count).collect(),
        surplus: verified.surplus.clone(),
        unsure: verified.unsure,
        left_out: verified.left_out,
        fault: verified.fault.clone().map(told),
        refusal: verified.refusal.clone().map(told),
    };
    let name = format!("{PASS}{:019}", i64::MAX - verified.began.0);
    Write { key: Key::verified(scope, &name), version: 1, body: Some(file::encode(&stored)) }
}

/// The writes that forget comparisons beyond those remembered.
pub(crate) fn forget(
    store: &dyn sloe_store::api::Store,
    scope: OrgScope,
) -> Result<Vec<Write>, sloe_store::api::StoreError> {
    let after = Key::verified(scope, PASS);
    let all = store.scan(Range::Org(Collection::Verified, scope), Some(&after), usize::MAX)?;
    let old = all.into_iter().skip(REMEMBERED).map(|(key, _)| key);
    Ok(old.map(|key| Write { key, version: ANY, body: None }).collect())
}

impl Engine {
    /// How the last comparison of an org with what it was sent went; `None`
    /// before the first.
    ///
    /// # Errors
    /// [`Denied::NotFound`] for an org that is not connected; the store's.
    pub async fn last_verify(&self, org: OrgId) -> Result<Option<Verified>, Denied> {
        Ok(self.verifies(org, 1).await?.pop())
    }

    /// How the last comparisons went, the newest first.
    ///
    /// # Errors
    /// As [`Engine::last_verify`].
    pub async fn verifies(&self, org: OrgId, limit: usize) -> Result<Vec<Verified>, Denied> {
        let scope = self.registry().by_id(org).ok_or(Denied::NotFound)?.scope;
        let found = self.blocking(move |store| {
            let after = Key::verified(scope, PASS);
            store.scan(Range::Org(Collection::Verified, scope), Some(&after), limit)
        });
        Ok(found.await?.iter().filter_map(|(_, document)| read(document)).collect())
    }

    /// How often each org is compared where workers run.
    #[must_use]
    pub fn verify_every(&self) -> Duration {
        self.workers().verify_every()
    }

    /// Whether an org is being compared now.
    #[must_use]
    pub fn is_verifying(&self, org: OrgId) -> bool {
        match self.workers().known(org) {
            Some(work) => work.verifying.load(Ordering::Acquire),
            None => self.workers().standings.of(org).is_some_and(|told| told.verifying),
        }
    }

    /// Asks for an org to be compared soon with what it was sent. Answers at
    /// once; asking again while one waits is that one.
    ///
    /// # Errors
    /// [`Denied::NotFound`] for an org that is not connected, or where no
    /// workers run.
    pub fn request_verify(&self, org: OrgId) -> Result<(), Denied> {
        let known = self.registry().by_id(org).ok_or(Denied::NotFound)?;
        if self.ask_org(known.id(), &Ask::Verify) { Ok(()) } else { Err(Denied::NotFound) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_comparison_is_read_as_it_was_written_and_clean_only_if_nothing_is_open() {
        let mut verified = Verified {
            began: Timestamp(1_000),
            ended: Timestamp(2_000),
            whole: true,
            events: 3,
            rows: 40,
            ..Verified::default()
        };
        assert!(verified.is_clean());
        for (n, difference) in Difference::ALL.into_iter().enumerate() {
            verified.note(difference, n % 2 == 0);
        }
        verified.surplus.push("unknown".to_owned());
        let fault = SyncFault { at: Timestamp(5), means: "m".into(), remedy: "r".into() };
        verified.refusal = Some(fault.clone());
        verified.fault = Some(fault);
        assert!(!verified.is_clean());
        assert_eq!(verified.found(), 7);
        let directory = tempfile::tempdir().unwrap();
        let store = sloe_store::embedded::Embedded::open(directory.path()).unwrap();
        let org = OrgId::parse("00D000000000001").unwrap();
        let scope = sloe_store::api::Store::add_org(&store, org, 1, Vec::new()).unwrap();
        let body = record(scope, &verified).body.unwrap();
        assert_eq!(read(&Document { version: 1, body }), Some(verified));
    }
}
