//! Carries out one transaction: waits for row locks that others hold, takes its time where that is wanted, commits.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::data::Database;
use super::state::{State, lock};

/// How long a transaction waits for a lock unless told otherwise, as in a real org.
pub(crate) const LOCK_WAIT_MS: u64 = 10_000;

impl State {
    /// Carries out one transaction; blocks. `work` may run more than once, what it did before is undone then.
    /// `after` sees the committed database before anybody else does.
    ///
    /// # Errors
    /// A sentence saying why the log took it not; nothing is changed then.
    pub(crate) fn transact<T, R>(
        &self,
        kind: &str,
        mut work: impl FnMut(&mut Database) -> T,
        after: impl FnOnce(&mut Database, T) -> R,
    ) -> Result<R, String> {
        let mut database = lock(&self.database);
        let owner = database.locks().number();
        let deadline =
            Instant::now() + Duration::from_millis(self.lock_wait_ms.load(Ordering::Relaxed));
        let mut paced = false;
        loop {
            database.locks().open(owner);
            let mark = database.begin();
            let out = work(&mut database);
            let left = deadline.saturating_duration_since(Instant::now());
            if database.locks().refused() && !left.is_zero() {
                database.roll_back(mark);
                database.locks().open(0);
                database = self.wait_for_locks(database, left);
                continue;
            }
            if !paced && !self.pace(kind, &mut database).is_zero() {
                paced = true;
                database.roll_back(mark);
                let rows = database.locks().rows().clone();
                let names = rows
                    .into_iter()
                    .map(|(object, rows)| (database.object(object).name.clone(), rows));
                let rows: Vec<(String, usize)> = names.collect();
                database.locks().hold();
                drop(database);
                self.pause(kind, &rows);
                database = lock(&self.database);
                continue;
            }
            let committed = self.commit(&mut database);
            if database.locks().release(owner) {
                self.unlocked.notify_all();
            }
            return committed.map(|()| after(&mut database, out));
        }
    }

    fn wait_for_locks<'a>(
        &self,
        mut database: MutexGuard<'a, Database>,
        left: Duration,
    ) -> MutexGuard<'a, Database> {
        database.locks().wait(true);
        let waited = self.unlocked.wait_timeout(database, left);
        let mut database = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        database.locks().wait(false);
        database
    }

    /// How long the rows of the open transaction are to take.
    fn pace(&self, kind: &str, database: &mut Database) -> Duration {
        let faults = self.faults.borrow();
        if !faults.has_pace() {
            return Duration::ZERO;
        }
        let rows = database.locks().rows().clone();
        let each = rows.into_iter();
        each.map(|(object, rows)| faults.pace(kind, &database.object(object).name, rows)).sum()
    }

    /// Waits as long as these rows take; shorter if the fault is taken back meanwhile.
    fn pause(&self, kind: &str, rows: &[(String, usize)]) {
        // Always there: transactions run on the runtime's blocking threads.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let began = Instant::now();
        let mut changes = self.faults.subscribe();
        runtime.block_on(async {
            loop {
                let pace: Duration = {
                    let faults = changes.borrow_and_update();
                    rows.iter().map(|(name, rows)| faults.pace(kind, name, *rows)).sum()
                };
                let Some(left) = pace.checked_sub(began.elapsed()) else { return };
                // Time is up, or the sender is gone with the org.
                let changed = tokio::time::timeout(left, changes.changed()).await;
                if !matches!(changed, Ok(Ok(()))) {
                    return;
                }
            }
        });
    }
}
