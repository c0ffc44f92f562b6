//! Replicates the licenses of one package from the source org into the store:
//! what has changed every minute, and all rows compared at the start and every
//! six hours. The public path never comes here: it asks what is in memory.
//!
//! Whichever node finds the last read old enough reads; the others see what it
//! wrote within a second or two. Two that read at the same time read the same.

mod purse;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sloe_core::budget::{Purpose, Rules};
use sloe_core::ids::OrgId;
use sloe_core::license::License;
use sloe_core::time::Timestamp;
use sloe_salesforce::{
    Credentials, Error, Gate, LicenseRow, LicenseSource, Options, Package, Position,
};
use sloe_store::api::{StoreError, Write};
use sloe_store::key::Key;

use super::budget::Budget;
use super::orgs::lock;
use super::stored;
use crate::engine::Engine;
use crate::licensing::ALARM_MILLIS;
use crate::tenant::license::{Rows, SourceName, SourceState, write};
use purse::Purse;

/// Rows that change in one transaction may become visible this much after
/// their stamp: so much is read again each time.
const OVERLAP_MILLIS: i64 = 10 * 60 * 1_000;
/// How often a source that stays dark is said in the log.
const REMIND_MILLIS: i64 = 60 * 60 * 1_000;
/// Documents written in one commit.
const CHUNK: usize = 500;
/// Unreadable rows that are remembered by name.
const REMEMBERED: usize = 20;

/// The org that licenses are replicated from.
#[derive(Clone, Debug)]
pub struct SourceOrg {
    /// Where it is and how to sign in.
    pub credentials: Credentials,
    /// Whose licenses count.
    pub package: Package,
    /// How old the last read may be before the next.
    pub every: Duration,
    /// How old the last comparison of all rows may be before the next.
    pub compare_every: Duration,
}

impl SourceOrg {
    /// How often changes are read, unless told otherwise.
    pub const EVERY: Duration = Duration::from_secs(60);
    /// How often all rows are compared, unless told otherwise.
    pub const COMPARE_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

    /// With the usual times.
    #[must_use]
    pub fn new(credentials: Credentials, package: Package) -> Self {
        Self { credentials, package, every: Self::EVERY, compare_every: Self::COMPARE_EVERY }
    }

    fn name(&self) -> SourceName {
        SourceName { url: self.credentials.login_url.clone(), package: self.package.to_string() }
    }
}

/// What this process does about licenses.
#[derive(Default)]
pub(crate) struct Reader {
    client: Option<LicenseSource>,
    budget: Option<Arc<Budget>>,
    purse: Option<Arc<Purse>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Whether the rows were compared in this process's time.
    compared: bool,
    tried: Option<Timestamp>,
    reminded: Option<Timestamp>,
}

impl Reader {
    /// A reader that calls nobody yet.
    ///
    /// # Errors
    /// The settings can't be.
    pub(crate) fn new(
        source: Option<&SourceOrg>,
        options: &Options,
        world: Arc<dyn crate::clock::World>,
    ) -> Result<Self, Error> {
        let Some(source) = source else { return Ok(Self::default()) };
        let budget = Arc::new(Budget::new(world));
        let purse = Arc::new(Purse::new(Arc::clone(&budget)));
        let gate: Arc<dyn Gate> = Arc::<Purse>::clone(&purse);
        let options = Options { expected_org: None, gate: Some(gate), ..options.clone() };
        let (credentials, package) = (source.credentials.clone(), source.package.clone());
        let client = LicenseSource::new(credentials, package, options)?;
        let (client, budget, purse) = (Some(client), Some(budget), Some(purse));
        Ok(Self { client, budget, purse, seen: Mutex::default() })
    }

    /// The counted calls that the store doesn't have yet.
    pub(super) fn calls(&self, last: bool) -> Option<Write> {
        self.budget.as_ref()?.news(Key::license_budget(), "source", last)
    }
}

/// Takes over what other nodes wrote. On its own, so that no slow answer of
/// the source org keeps this node from what another one read.
pub(super) async fn follow(engine: Engine) -> Result<(), String> {
    let asked = engine.clone();
    let followed = stored(&engine, move |store| asked.registry().licenses.follow(store)).await;
    show(&engine);
    followed.map_err(|error| error.to_string())
}

/// Reads the source org if it is time.
pub(super) async fn look(engine: Engine) -> Result<(), String> {
    match engine.workers().license_source() {
        Some(source) => read(&engine, source).await,
        None => retire(&engine).await,
    }
}

/// Without a source org, what was read stands as if recorded by hand.
async fn retire(engine: &Engine) -> Result<(), String> {
    let (state, version) = engine.registry().licenses.source();
    let Some(before) = &state.source else { return Ok(()) };
    tracing::warn!(
        source = before.url,
        "no source org for licenses is configured any more: what was read last stands, and can be \
         changed by hand"
    );
    save(engine, Vec::new(), SourceState { source: None, ..state }, version).await
}

async fn read(engine: &Engine, source: &SourceOrg) -> Result<(), String> {
    let reader = &engine.workers().licenses;
    let Reader { client: Some(client), budget: Some(budget), purse: Some(purse), .. } = reader
    else {
        return Ok(());
    };
    budget.load_from(engine, Key::license_budget(), Rules::default()).await;
    let now = engine.now();
    let (mut state, version) = engine.registry().licenses.source();
    let name = source.name();
    let is_new = state.source.as_ref() != Some(&name);
    if is_new {
        let changes = state.changes;
        state = SourceState { source: Some(name), since: now.0, changes, ..SourceState::default() };
    }
    let compared = lock(&reader.seen).compared;
    let full = is_new || !compared || is_due(state.compared_at, source.compare_every, now);
    let tried = lock(&reader.seen).tried.map(|at| at.0);
    let due = is_new || !compared || is_due(state.read_at, source.every, now);
    // What failed is tried again no sooner than what went well.
    if !due || (tried.is_some() && !is_due(tried, source.every, now)) {
        return Ok(());
    }
    lock(&reader.seen).tried = Some(now);
    let attempt = async {
        // A login is no call.
        purse.belong_to(engine, client.org().await?).await;
        attempt(client, &purse.current(), &state, full).await
    };
    let stopping = engine.workers().stopping.clone();
    let done = tokio::select! {
        done = attempt => done,
        () = stopping.cancelled() => return Ok(()),
    };
    match done {
        Ok(read) => take(engine, read, (state, version), now).await,
        // Its turn comes, and nothing is wrong.
        Err(Error::Budget { closed: false, .. }) => Ok(()),
        Err(error) => failed(engine, state, version, words(&error)).await,
    }
}

/// Makes what was read what is known.
async fn take(
    engine: &Engine,
    read: Read,
    (mut state, version): (SourceState, u64),
    now: Timestamp,
) -> Result<(), String> {
    let held = engine.registry().licenses.rows();
    let full = read.full;
    if full && read.rows.is_empty() && !held.is_empty() {
        let fault = format!(
            "it shows no license of this package, not even in its bin, though {} are known, which \
             stand. A package that is not its own and a lost permission look the same: check both.",
            held.values().map(|held| held.rows.len()).sum::<usize>()
        );
        return failed(engine, state, version, fault).await;
    }
    let next = apply(&held, read.rows, full);
    let writes = differences(&held, &next.rows).map_err(|error| error.to_string())?;
    state.changes += u64::from(!writes.is_empty());
    state.read_at = Some(now.0);
    state.compared_at = if full { Some(now.0) } else { state.compared_at };
    state.cursor = read.cursor.or(state.cursor);
    state.fault = None;
    state.unreadable = next.unreadable;
    save(engine, writes, state, version).await?;
    lock(&engine.workers().licenses.seen).compared |= full;
    Ok(())
}

/// Whether what happened at `last` is as long ago as `every`. A clock that was
/// set back must not stop it.
fn is_due(last: Option<i64>, every: Duration, now: Timestamp) -> bool {
    let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    last.is_none_or(|last| !(0..every).contains(&now.0.saturating_sub(last)))
}

/// Why the source org can't be read, for whoever runs Sloe.
fn words(error: &Error) -> String {
    match error {
        Error::Refused { code, .. } if code == "INVALID_TYPE" || code == "INVALID_FIELD" => {
            "it does not show sfLma__License__c to our user: is it the org with the License \
             Management App, and may the user read licenses and packages?"
                .to_owned()
        }
        Error::Budget { .. } => {
            "Sloe keeps to its share of that org's API calls, which is used up for now. It is read \
             again by itself."
                .to_owned()
        }
        other => format!("{other}. {}", other.remedy()),
    }
}

/// Keeps why it failed for all nodes; written only when that changes.
async fn failed(
    engine: &Engine,
    state: SourceState,
    version: u64,
    fault: String,
) -> Result<(), String> {
    let told = format!("the source org of licenses can't be read: {fault}");
    let (known, _) = engine.registry().licenses.source();
    if known.fault.as_ref() != Some(&fault) || known.source != state.source {
        save(engine, Vec::new(), SourceState { fault: Some(fault), ..state }, version).await?;
    }
    Err(told)
}

/// What was read.
struct Read {
    rows: Vec<LicenseRow>,
    full: bool,
    cursor: Option<i64>,
}

async fn attempt(
    client: &LicenseSource,
    budget: &Budget,
    state: &SourceState,
    full: bool,
) -> Result<Read, Error> {
    budget.start(Purpose::Poll, "read licenses")?;
    let since = state.cursor.map(|cursor| Timestamp(cursor).plus_millis(-OVERLAP_MILLIS));
    let what = if full { What::All } else { What::Changed(since) };
    let (mut rows, mut cursor) = pages(client, what).await?;
    if full && rows.is_empty() {
        // Only the bin tells whether all are gone or none may be seen.
        rows = pages(client, What::Changed(None)).await?.0;
    }
    cursor = cursor.or_else(|| rows.iter().map(|row| row.position.stamp.0).max());
    Ok(Read { rows, full, cursor })
}

/// Which rows are read.
#[derive(Clone, Copy)]
enum What {
    All,
    Changed(Option<Timestamp>),
}

/// All pages, and the org's clock at the first: what changes while we read is
/// read the next time.
async fn pages(
    client: &LicenseSource,
    what: What,
) -> Result<(Vec<LicenseRow>, Option<i64>), Error> {
    let mut rows: Vec<LicenseRow> = Vec::new();
    let mut clock = None;
    loop {
        let last: Option<Position> = rows.last().map(|row| row.position);
        let page = match what {
            What::All => client.all(last.map(|last| last.id)).await?,
            What::Changed(since) => client.changed(since, last).await?,
        };
        clock = clock.or(page.as_of.map(|at| at.0));
        rows.extend(page.rows);
        if !page.more {
            return Ok((rows, clock));
        }
    }
}

/// What is to be known from now on.
struct Next {
    rows: BTreeMap<OrgId, Vec<License>>,
    unreadable: Vec<String>,
}

/// What the rows that were read make of those that are known.
fn apply(held: &Rows, read: Vec<LicenseRow>, full: bool) -> Next {
    let known = held.iter().flat_map(|(org, held)| {
        held.rows.iter().map(|row| (row.number.clone(), (*org, row.clone())))
    });
    let before: BTreeMap<String, (OrgId, License)> = known.collect();
    let mut now = if full { BTreeMap::new() } else { before.clone() };
    let mut unreadable = Vec::new();
    for row in read {
        if row.deleted {
            now.remove(&row.number);
            continue;
        }
        match row.says {
            Ok(says) => {
                now.insert(row.number, says);
            }
            Err(why) => {
                if let Some(says) = before.get(&row.number) {
                    now.insert(row.number.clone(), says.clone());
                }
                if unreadable.len() < REMEMBERED {
                    unreadable.push(format!("{}: {why}", row.number));
                }
            }
        }
    }
    let mut rows: BTreeMap<OrgId, Vec<License>> = BTreeMap::new();
    for (org, license) in now.into_values() {
        rows.entry(org).or_default().push(license);
    }
    Next { rows, unreadable }
}

/// The documents that must change.
fn differences(
    held: &Rows,
    next: &BTreeMap<OrgId, Vec<License>>,
) -> Result<Vec<Write>, StoreError> {
    let gone = held.keys().filter(|org| !next.contains_key(org)).map(|org| (*org, &[][..]));
    let there = next.iter().map(|(org, rows)| (*org, rows.as_slice()));
    let mut writes = Vec::new();
    for (org, rows) in there.chain(gone) {
        let before = held.get(&org);
        let same = before.is_some_and(|before| {
            before.rows.len() == rows.len() && rows.iter().all(|row| before.rows.contains(row))
        });
        if !same {
            writes.push(write(org, before.map_or(0, |before| before.version) + 1, rows)?);
        }
    }
    Ok(writes)
}

/// Writes rows, then how far the source was read: a node that sees the latter finds the former.
async fn save(
    engine: &Engine,
    writes: Vec<Write>,
    state: SourceState,
    version: u64,
) -> Result<(), String> {
    let asked = engine.clone();
    let saved = stored(engine, move |store| {
        for chunk in writes.chunks(CHUNK) {
            store.put(chunk)?;
        }
        asked.registry().licenses.tell(store, state, version, !writes.is_empty())
    });
    saved.await.map_err(|error| error.to_string())
}

/// Says how things stand: in the metrics, and in the log while it is an alarm.
fn show(engine: &Engine) {
    let standing = engine.license_source();
    let float = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
    let orgs = engine.registry().all();
    let live = orgs.iter().filter(|org| engine.is_live(org.id())).count();
    metrics::gauge!("sloe_license_rows").set(float(standing.rows));
    metrics::gauge!("sloe_license_live_orgs").set(float(live));
    if standing.source.is_none() {
        return;
    }
    let seconds = standing.dark_millis.max(0) / 1_000;
    metrics::gauge!("sloe_license_age_seconds").set(float(usize::try_from(seconds).unwrap_or(0)));
    let alarm = standing.dark_millis >= ALARM_MILLIS;
    metrics::gauge!("sloe_license_alarm").set(if alarm { 1.0 } else { 0.0 });
    let now = engine.now();
    let mut seen = lock(&engine.workers().licenses.seen);
    let due = seen.reminded.is_none_or(|at| !(0..REMIND_MILLIS).contains(&now.millis_since(at)));
    if alarm && due {
        seen.reminded = Some(now);
        for trouble in standing.troubles() {
            tracing::error!(trouble, "licenses are not read any more");
        }
    }
    if !alarm {
        seen.reminded = None;
    }
}

#[cfg(test)]
mod tests;
