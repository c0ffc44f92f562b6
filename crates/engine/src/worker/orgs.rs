//! One org's work: its client, its waiting refreshes, and its own tasks, so
//! that one org's slowness delays only that org.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sloe_core::catalog::{AttendeeForm, FieldRule};
use sloe_core::ids::{EventRef, OrgId};
use sloe_core::time::Timestamp;
use sloe_salesforce::{
    Credentials, Error, Finding, FormRules, Gate, Mapping, Options, Org as Client, Usage,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::budget::{self, Budget, Tally};
use super::changes;
use super::inbox::Inbox;
use super::outbox;
use super::outbox::mend::Repair;
use super::poll::PollState;
use super::reads::Reads;
use super::refresh;
use super::supervise::supervise;
use super::verify;
use crate::engine::Engine;
use crate::mapping::MappingError;
use crate::nodes;
use crate::refresh::{Progress, Refresh};
use crate::sync::Sync;
use crate::tenant::{Org, OrgMapping};

/// Why an org is not called at all.
const NO_MAPPING: &str = "its stored mapping can't be used; see sloe org list";

/// What is known and waits for one org.
pub(crate) struct OrgWork {
    pub(super) org: OrgId,
    pub(crate) inbox: Inbox,
    /// Asked by every call.
    pub(super) budget: Arc<Budget>,
    /// With the version of the org's document and the mapping that it was made of.
    client: Mutex<Option<(u64, Arc<OrgMapping>, Client)>>,
    /// How the last refreshes went, and what was read then.
    pub(super) reads: Reads,
    pub(super) poll: Mutex<PollState>,
    /// How the org's change events go.
    pub(crate) changes: changes::Watch,
    /// How far the refresh of the whole org is that runs.
    pub(super) progress: Mutex<Option<Progress>>,
    form: Mutex<Option<AttendeeForm>>,
    /// Wakes the outbox.
    pub(super) outbox: Notify,
    /// Tells the outbox that somebody may have mended what it waits for.
    pub(super) mended: Notify,
    /// Whether journals have news that the outbox has not looked at.
    news: AtomicBool,
    /// Events whose figures may have changed.
    pub(super) recount: Mutex<BTreeSet<EventRef>>,
    /// Rows that others have put among the retries, by external id.
    pub(crate) asked: Mutex<BTreeSet<String>>,
    /// Conflicts that staff accepted.
    pub(super) accepted: Mutex<BTreeSet<String>>,
    /// What a comparison with the org found, for the outbox to mend.
    pub(super) repairs: Mutex<Vec<Repair>>,
    /// Events whose figures the org doesn't hold as they were told.
    pub(super) retell: Mutex<BTreeSet<EventRef>>,
    /// Figures that the org won't take.
    pub(super) refused: outbox::figures::Refused,
    /// Wakes the comparison.
    pub(crate) verify: Notify,
    /// Whether a comparison is under way.
    pub(crate) verifying: AtomicBool,
    /// Since when each event's news waits, by the cursor before them.
    pub(super) waiting: Mutex<BTreeMap<EventRef, (u64, Timestamp)>>,
    pub(super) sync: Mutex<Sync>,
    /// The org was removed: its tasks end.
    pub(super) left: CancellationToken,
}

impl OrgWork {
    pub(super) fn new(org: OrgId, budget: Budget) -> Self {
        Self {
            org,
            budget: Arc::new(budget),
            inbox: Inbox::default(),
            client: Mutex::default(),
            reads: Reads::default(),
            poll: Mutex::default(),
            changes: changes::Watch::default(),
            progress: Mutex::default(),
            form: Mutex::default(),
            outbox: Notify::new(),
            mended: Notify::new(),
            news: AtomicBool::new(false),
            recount: Mutex::default(),
            asked: Mutex::default(),
            accepted: Mutex::default(),
            repairs: Mutex::default(),
            retell: Mutex::default(),
            refused: Mutex::default(),
            verify: Notify::new(),
            verifying: AtomicBool::new(false),
            waiting: Mutex::default(),
            sync: Mutex::default(),
            left: CancellationToken::new(),
        }
    }

    /// The handle to the org, made anew when its connection has changed.
    pub(super) fn client(&self, org: &Org, options: &Options) -> Result<Client, Error> {
        let mut cached = lock(&self.client);
        if let Some((version, mapping, client)) = &*cached
            && *version == org.version
            && Arc::ptr_eq(mapping, &org.mapping)
        {
            return Ok(client.clone());
        }
        let mapping = org.mapping.mapping.clone();
        let mapping = mapping.ok_or_else(|| Error::Settings(NO_MAPPING.to_owned()))?;
        let client = self.client_by(org, mapping, options)?;
        *cached = Some((org.version, Arc::clone(&org.mapping), client.clone()));
        Ok(client)
    }

    /// A handle to the org by a mapping that need not be in force.
    fn client_by(&self, org: &Org, mapping: Mapping, options: &Options) -> Result<Client, Error> {
        let gate: Arc<dyn Gate> = Arc::<Budget>::clone(&self.budget);
        let options = Options { expected_org: Some(org.id()), gate: Some(gate), ..options.clone() };
        named(org, mapping, options)
    }

    /// Lets the outbox take up rows that were put among the retries.
    pub(crate) fn ask(&self, keys: impl IntoIterator<Item = String>) {
        lock(&self.asked).extend(keys);
        self.outbox.notify_one();
        self.mended.notify_one();
    }

    /// Lets the outbox forget conflicts that staff accepted.
    pub(crate) fn accept(&self, keys: impl IntoIterator<Item = String>) {
        lock(&self.accepted).extend(keys);
        self.outbox.notify_one();
    }

    /// Lets the outbox mend what a comparison found.
    pub(super) fn mend(&self, repairs: Vec<Repair>) {
        if !repairs.is_empty() {
            lock(&self.repairs).extend(repairs);
            self.outbox.notify_one();
        }
    }

    /// Since when the oldest news wait that the org doesn't have.
    pub(crate) fn waiting_since(&self) -> Option<Timestamp> {
        lock(&self.waiting).values().map(|(_, since)| *since).min()
    }

    /// Lets the outbox look at the journals.
    pub(super) fn leave_news(&self) {
        self.news.store(true, Ordering::Release);
    }

    pub(super) fn take_news(&self) -> bool {
        self.news.swap(false, Ordering::AcqRel)
    }

    /// How far the outbox is.
    pub(crate) fn sync(&self) -> Sync {
        lock(&self.sync).clone()
    }

    /// The org's API calls, as it told last.
    pub(crate) fn usage(&self) -> Option<Usage> {
        lock(&self.client).as_ref().and_then(|(_, _, client)| client.usage())
    }

    /// How the last refreshes went: the whole org's first.
    pub(crate) fn refreshes(&self) -> Vec<Refresh> {
        self.reads.all()
    }

    /// How far the refresh of the whole org is, if one runs.
    pub(crate) fn progress(&self) -> Option<Progress> {
        lock(&self.progress).clone()
    }

    /// The attendee form's rules as the org described them in this process's time.
    pub(crate) fn form(&self) -> Option<AttendeeForm> {
        *lock(&self.form)
    }

    pub(super) fn set_form(&self, rules: FormRules) {
        let rule = |rule: sloe_salesforce::FieldRule| FieldRule {
            max_length: rule.max_chars,
            required: rule.required,
        };
        *lock(&self.form) = Some(AttendeeForm {
            first_name: rule(rules.first_name),
            last_name: rule(rules.last_name),
            email: rule(rules.email),
        });
    }
}

/// A lock whose holder may have panicked: what it guards is whole all the same.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What runs for each org.
type Task = fn(Engine, Arc<OrgWork>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

const TASKS: [(&str, Task); 4] = [
    ("refresh", |engine, work| Box::pin(refresh::run(engine, work))),
    ("changes", |engine, work| Box::pin(changes::run(engine, work))),
    ("outbox", |engine, work| Box::pin(outbox::run(engine, work))),
    ("verify", |engine, work| Box::pin(verify::run(engine, work))),
];

/// The org's work, with its tasks running; `None` when none is done here, or
/// for an org that is not connected.
pub(crate) fn ensure(engine: &Engine, org: OrgId) -> Option<Arc<OrgWork>> {
    let workers = engine.workers();
    if !workers.works() {
        return None;
    }
    if let Some(work) = workers.known(org) {
        return Some(work);
    }
    let (engine, ended) = engine.at_work(&nodes::of_org(org))?;
    let mut fresh = None;
    let work = Arc::clone(&*workers.orgs.entry(org).or_insert_with(|| {
        let work = Arc::new(OrgWork::new(org, Budget::new(engine.shared_world())));
        fresh = Some(Arc::clone(&work));
        work
    }));
    if let Some(fresh) = fresh {
        for (name, run) in TASKS {
            let (of, work) = (engine.clone(), Arc::clone(&fresh));
            let (left, ended) = (fresh.left.clone(), ended.clone());
            let task = move || run(of.clone(), Arc::clone(&work));
            let supervised = supervise(engine.clone(), org, name, task);
            workers.spawn(async move {
                // Dropped, it ends where it stands: as after a kill.
                let supervised = ended.run_until_cancelled(supervised);
                let _ = left.run_until_cancelled(supervised).await;
            });
        }
        // It may have been removed since the caller saw it, and nobody would forget this any more.
        if engine.registry().by_id(org).is_none() || ended.is_cancelled() {
            workers.forget(org);
            return None;
        }
    }
    Some(work)
}

/// In what an org and a mapping that need not be in force differ, inside the org's budget. Where
/// that is kept elsewhere, it holds as it was written down last, and the calls are entered there.
pub(crate) async fn check(
    engine: &Engine,
    org: &Org,
    mapping: Mapping,
) -> Result<Vec<Finding>, MappingError> {
    let options = &engine.workers().settings.salesforce;
    if let Some(work) = ensure(engine, org.id()) {
        return Ok(work.client_by(org, mapping, options)?.check().await?);
    }
    let tally = Arc::new(Tally::of(engine, org).await?);
    let gate: Arc<dyn Gate> = Arc::<Tally>::clone(&tally);
    let options = Options { expected_org: Some(org.id()), gate: Some(gate), ..options.clone() };
    let found = named(org, mapping, options)?.check().await;
    // They were made, whatever came of them.
    budget::charge(engine, org.id(), &tally).await;
    Ok(found?)
}

fn named(org: &Org, mapping: Mapping, options: Options) -> Result<Client, Error> {
    let mapping = mapping.or_time_zone(&org.profile.time_zone);
    Client::new(Credentials::clone(&org.connection), mapping, options)
}

/// Sees to it that every connected org is worked for.
pub(super) fn look(engine: &Engine) {
    for org in engine.registry().all() {
        ensure(engine, org.id());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing;
    use crate::worker::Settings;

    #[tokio::test]
    async fn nothing_runs_for_an_org_that_was_removed_a_moment_ago() {
        let (engine, org, _directory) = testing::engine(Some(Settings::default()));
        let gone = engine.remove_org(org.id(), true).await.unwrap();
        assert_eq!(gone.events, 0);
        // Whoever has seen it before asks now.
        assert!(ensure(&engine, org.id()).is_none());
        assert!(engine.workers().known(org.id()).is_none());
        engine.stop().await;
    }
}
