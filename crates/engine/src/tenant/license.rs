//! "May this org be live?", answered from memory: all rows of all orgs, and
//! how old what is known of them is. The store has the same, so that a node
//! that starts while the source org is dark answers as the others do.

mod stored;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use sloe_core::ids::OrgId;
use sloe_core::license::{self, Answer, Knowledge, License};
use sloe_core::time::Timestamp;
use sloe_store::api::{Store, StoreError, Write};
use sloe_store::key::{Collection, Key, Range};

pub(crate) use stored::{SourceName, SourceState};

/// How often a node says that rows changed, if others say something else meanwhile.
const TOLD_AT_MOST: u32 = 100;

/// The rows of one org, and the version of its document.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) version: u64,
    pub(crate) rows: Vec<License>,
}

/// All rows, by org.
pub(crate) type Rows = HashMap<OrgId, Held>;

/// What is known at one moment: replaced as a whole, read without a lock.
#[derive(Clone, Default)]
struct Known {
    rows: Arc<Rows>,
    knowledge: Knowledge,
    source: SourceState,
    /// The version of the source's document; 0 if there is none.
    version: u64,
}

impl Known {
    fn with(self, source: SourceState, version: u64) -> Self {
        Self { knowledge: source.knowledge(), source, version, ..self }
    }
}

/// All licenses in memory.
#[derive(Default)]
pub struct Licenses {
    known: ArcSwap<Known>,
    /// Held while the store is asked: what was read earlier must not replace what was read later.
    asking: Mutex<()>,
}

impl Licenses {
    /// Reads all licenses from the store.
    ///
    /// # Errors
    /// The store can't be read, or not how far the source org was.
    pub fn load(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _asking = self.alone();
        self.read(store)
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, store: &dyn Store) -> Result<(), StoreError> {
        // The source's document first: what is read after it is as new or newer.
        let source = store.get(&Key::license_source())?;
        let (before, mut rows) = (self.rows(), Rows::new());
        for (key, document) in store.scan(Range::All(Collection::Licenses), None, usize::MAX)? {
            let Ok(org) = OrgId::parse(key.id()) else {
                tracing::error!(key = key.id(), "a document among the licenses names no org");
                continue;
            };
            let held = stored::decode(&document.body).unwrap_or_else(|error| {
                // One org's damage is that org's only, and mended when its rows are written anew.
                tracing::error!(%org, %error, "an org's licenses can't be read; what was known of them stands");
                before.get(&org).map(|held| held.rows.clone()).unwrap_or_default()
            });
            rows.insert(org, Held { version: document.version, rows: held });
        }
        let (state, version) = stored::source(source.as_ref())?;
        let known = Known { rows: Arc::new(rows), ..Known::default() }.with(state, version);
        self.known.store(Arc::new(known));
        Ok(())
    }

    /// Looks whether another node has written what it read from the source
    /// org, and takes that over. Costs one small read when nothing has changed.
    ///
    /// # Errors
    /// As [`Licenses::load`]; then what was known stands.
    pub(crate) fn follow(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _asking = self.alone();
        self.catch_up(store)
    }

    fn catch_up(&self, store: &dyn Store) -> Result<(), StoreError> {
        let found = store.get(&Key::license_source())?;
        let known = self.known.load_full();
        if found.as_ref().map_or(0, |found| found.version) == known.version {
            return Ok(());
        }
        let (source, version) = stored::source(found.as_ref())?;
        if source.changes != known.source.changes {
            return self.read(store);
        }
        self.known.store(Arc::new(Known::clone(&known).with(source, version)));
        Ok(())
    }

    /// Writes how far the source org was read, in place of `version`, and takes
    /// over what then stands. If another node was faster, its word stands; but
    /// when rows were `changed` here, every node must hear that they were.
    ///
    /// # Errors
    /// As [`Licenses::load`].
    pub(crate) fn tell(
        &self,
        store: &dyn Store,
        mut state: SourceState,
        mut version: u64,
        changed: bool,
    ) -> Result<(), StoreError> {
        let _asking = self.alone();
        for _ in 0..TOLD_AT_MOST {
            let body = Some(state.encode()?);
            store.put(&[Write { key: Key::license_source(), version: version + 1, body }])?;
            let found = store.get(&Key::license_source())?;
            let (stands, at) = stored::source(found.as_ref())?;
            if !changed || stands == state {
                break;
            }
            state = SourceState { changes: stands.changes + 1, ..stands };
            version = at;
        }
        self.catch_up(store)
    }

    /// An org's rows as its document holds them.
    ///
    /// # Errors
    /// They have no stored form.
    pub fn encode(rows: &[License]) -> Result<Vec<u8>, StoreError> {
        stored::encode(rows)
    }

    /// Whether an org may take new holds at `now`.
    #[must_use]
    pub fn is_live(&self, org: OrgId, now: Timestamp) -> bool {
        let known = self.known.load();
        let held = known.rows.get(&org);
        held.is_some_and(|held| license::is_live(&held.rows, known.knowledge, now))
    }

    /// The answer for an org at `now`, with its reason.
    #[must_use]
    pub fn answer(&self, org: OrgId, now: Timestamp) -> Answer {
        let known = self.known.load();
        let rows = known.rows.get(&org).map_or(&[][..], |held| &held.rows);
        license::answer(rows, known.knowledge, now)
    }

    /// An org's licenses as last read.
    #[must_use]
    pub fn of(&self, org: OrgId) -> Vec<License> {
        self.known.load().rows.get(&org).map(|held| held.rows.clone()).unwrap_or_default()
    }

    /// All rows as last read.
    pub(crate) fn rows(&self) -> Arc<Rows> {
        Arc::clone(&self.known.load().rows)
    }

    /// What is known of the source org, and the version of its document.
    pub(crate) fn source(&self) -> (SourceState, u64) {
        let known = self.known.load();
        (known.source.clone(), known.version)
    }

    /// Replaces an org's licenses, in the store first; other nodes see it
    /// when they look next.
    ///
    /// # Errors
    /// The store does not take it; then nothing changed.
    pub fn replace(
        &self,
        store: &dyn Store,
        org: OrgId,
        licenses: &[License],
    ) -> Result<(), StoreError> {
        let _asking = self.alone();
        let version = store.get(&Key::licenses(org))?.map_or(1, |document| document.version + 1);
        let (state, told) = stored::source(store.get(&Key::license_source())?.as_ref())?;
        let body = SourceState { changes: state.changes + 1, ..state }.encode()?;
        let news = Write { key: Key::license_source(), version: told + 1, body: Some(body) };
        store.put(&[write(org, version, licenses)?, news])?;
        self.read(store)
    }
}

/// The write of an org's rows; none are no document.
pub(crate) fn write(org: OrgId, version: u64, rows: &[License]) -> Result<Write, StoreError> {
    let body = if rows.is_empty() { None } else { Some(stored::encode(rows)?) };
    Ok(Write { key: Key::licenses(org), version, body })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sloe_core::license::Status;
    use sloe_store::embedded::Embedded;

    use super::*;

    #[test]
    fn an_org_whose_licenses_are_damaged_keeps_no_other_from_being_live() {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path()).unwrap();
        let [good, bad] =
            ["00D000000000001", "00D000000000002"].map(|id| OrgId::parse(id).unwrap());
        let active = [License { number: "L".into(), status: Status::Active, expires_at: None }];
        let (running, now) = (Licenses::default(), Timestamp(1_000));
        for org in [good, bad] {
            running.replace(&store, org, &active).unwrap();
        }
        let damaged = Write { key: Key::licenses(bad), version: 5, body: Some(b"{".to_vec()) };
        store.put(&[damaged]).unwrap();
        let live = |licenses: &Licenses| [good, bad].map(|org| licenses.is_live(org, now));
        // Whoever knew its rows goes by them; who starts knows nothing of it.
        running.load(&store).unwrap();
        assert_eq!(live(&running), [true, true]);
        let started = Licenses::default();
        started.load(&store).unwrap();
        assert_eq!(live(&started), [true, false]);
        started.replace(&store, bad, &active).unwrap();
        assert_eq!(live(&started), [true, true]);
    }

    #[test]
    fn rows_that_changed_are_heard_of_though_another_node_told_first() {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path()).unwrap();
        let org = OrgId::parse("00D000000000001").unwrap();
        let now = Timestamp(1_000);
        let [saw, missed, third] = [(); 3].map(|()| Licenses::default());
        let read_at = |at, changes| SourceState {
            source: Some(SourceName { url: "https://x".into(), package: "033".into() }),
            read_at: Some(at),
            changes,
            ..SourceState::default()
        };
        // Two read the source org at the same time, and one of them a moment too early.
        let row = License { number: "L-1".into(), status: Status::Active, expires_at: None };
        store.put(&[write(org, 1, &[row]).unwrap()]).unwrap();
        missed.tell(&store, read_at(8, 0), 0, false).unwrap();
        third.follow(&store).unwrap();
        saw.tell(&store, read_at(9, 1), 0, true).unwrap();
        for node in [&saw, &missed, &third] {
            node.follow(&store).unwrap();
            assert!(node.is_live(org, now));
        }
    }
}
