//! Everything one running org shares between its calls.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use sloe_core::ids::SfId;
use tokio::sync::{Semaphore, mpsc, watch};

use super::api::cursors::Cursors;
use super::api::jobs::Jobs;
use super::api::query_job::QueryJobs;
use super::api::reply::Reply;
use super::data::{Database, RowError};
use super::events::Events;
use super::faults::Faults;
use super::kept::Entry;
use super::limits::{Allowance, Exceeded, Meter};
use super::maintenance::Window;
use super::traffic::{Ending, Traffic};
use super::work::LOCK_WAIT_MS;

/// How long a token lives after its last use: the default session timeout of an org.
const SESSION_MS: i64 = 2 * 3600 * 1000;
/// How many batches of Bulk jobs are worked on at once.
const BATCHES: usize = 10;

/// A client app that may sign in.
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<String>,
    /// Signs in the same user, until it is revoked.
    pub(crate) refresh_token: Option<String>,
    pub(crate) jwt_key: Option<jsonwebtoken::DecodingKey>,
    /// Whom the client credentials and refresh token flows sign in.
    pub(crate) run_as: Option<SfId>,
}

/// Where the Update button reports to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hook {
    /// Sloe's address, with or without the hook's path.
    pub(crate) url: String,
    /// What goes into `X-Sloe-Secret`.
    pub(crate) secret: String,
}

/// Counts since the start or the last reset.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Stats {
    /// Calls let in, by kind.
    pub(crate) calls: BTreeMap<&'static str, u64>,
    /// Calls let in.
    pub(crate) total: u64,
    /// Calls refused at a limit.
    pub(crate) limited: u64,
    /// Calls failed by a fault knob.
    pub(crate) faulted: u64,
    /// Calls without a good token.
    pub(crate) unauthorized: u64,
    /// Most calls at once.
    pub(crate) most_at_once: usize,
    /// Record states committed.
    pub(crate) rows_written: u64,
}

struct Session {
    user: SfId,
    until: i64,
    /// The digest of the refresh token it came of, if of one.
    by: Option<String>,
}

/// Who is signed in, and who may no longer be; all by the tokens' digests.
#[derive(Default)]
struct Sessions {
    open: HashMap<String, Session>,
    /// Refresh tokens that are revoked.
    revoked: BTreeSet<String>,
}

impl Sessions {
    fn revoke(&mut self, refresh: String) {
        self.open.retain(|_, session| session.by.as_ref() != Some(&refresh));
        self.revoked.insert(refresh);
    }
}

/// What a token is known by: the token itself is never kept.
fn digest(token: &str) -> String {
    let digest = Sha256::digest(token.as_bytes());
    base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, digest)
}

/// One running org.
pub(crate) struct State {
    pub(crate) url: String,
    pub(crate) org: SfId,
    pub(crate) name: String,
    pub(crate) now: fn() -> Timestamp,
    pub(crate) apps: Vec<App>,
    pub(crate) cursors: Cursors,
    pub(crate) jobs: Jobs,
    pub(crate) query_jobs: QueryJobs,
    /// Bulk ingest jobs that are ready to be worked on; an empty one wakes the worker to see that the org ends.
    pub(crate) uploaded: mpsc::UnboundedSender<String>,
    pub(crate) faults: watch::Sender<Arc<Faults>>,
    pub(crate) maintenance: watch::Sender<Option<Window>>,
    pub(crate) database: Mutex<Database>,
    /// Told, together with the database's mutex, when row locks are released.
    pub(crate) unlocked: Condvar,
    /// How long a transaction waits for row locks.
    pub(crate) lock_wait_ms: AtomicU64,
    /// Room for batches of Bulk jobs.
    pub(crate) batches: Arc<Semaphore>,
    pub(crate) hook: Mutex<Option<Hook>>,
    pub(crate) events: Events,
    pub(crate) stats: Mutex<Stats>,
    pub(crate) traffic: Mutex<Traffic>,
    pub(crate) meter: Mutex<Meter>,
    pub(crate) http: reqwest::Client,
    /// The allowance the org was started with.
    pub(crate) given: Allowance,
    /// The number of the last job.
    pub(crate) last_job: AtomicU64,
    /// What is to be kept with whatever is kept next.
    pub(crate) later: Mutex<Vec<Entry>>,
    /// Whether the org is about to end.
    pub(crate) stopping: AtomicBool,
    sessions: Mutex<Sessions>,
}

/// What a state is made of.
pub(crate) struct Parts {
    pub(crate) url: String,
    pub(crate) name: String,
    pub(crate) now: fn() -> Timestamp,
    pub(crate) apps: Vec<App>,
    pub(crate) database: Database,
    pub(crate) edition: String,
    pub(crate) given: Allowance,
    pub(crate) hook: Option<Hook>,
    pub(crate) uploaded: mpsc::UnboundedSender<String>,
    pub(crate) http: reqwest::Client,
}

/// Locks; a panic elsewhere doesn't make the data unusable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            url: parts.url,
            org: parts.database.org(),
            name: parts.name,
            now: parts.now,
            apps: parts.apps,
            cursors: Cursors::default(),
            jobs: Jobs::default(),
            query_jobs: QueryJobs::default(),
            uploaded: parts.uploaded,
            faults: watch::Sender::new(Arc::default()),
            maintenance: watch::Sender::new(None),
            database: Mutex::new(parts.database),
            unlocked: Condvar::new(),
            lock_wait_ms: AtomicU64::new(LOCK_WAIT_MS),
            batches: Arc::new(Semaphore::new(BATCHES)),
            hook: Mutex::new(parts.hook),
            events: Events::new(&parts.edition),
            stats: Mutex::new(Stats::default()),
            traffic: Mutex::default(),
            meter: Mutex::new(Meter::new(parts.given)),
            http: parts.http,
            given: parts.given,
            last_job: AtomicU64::new(0),
            later: Mutex::default(),
            stopping: AtomicBool::new(false),
            sessions: Mutex::default(),
        }
    }

    /// A new token for a user, perhaps by a refresh token; none without randomness or if it can't be kept.
    pub(crate) fn open_session(&self, user: SfId, refresh: Option<&str>) -> Option<String> {
        let mut bytes = [0_u8; 48];
        getrandom::fill(&mut bytes).ok()?;
        let opaque = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, bytes)
            .replace('-', ".");
        let token = format!("{}!{opaque}", self.org.as_str().get(..15)?);
        let now = (self.now)().as_millisecond();
        let (key, until, by) = (digest(&token), now + SESSION_MS, refresh.map(digest));
        {
            let mut sessions = lock(&self.sessions);
            sessions.open.retain(|_, session| session.until > now);
            sessions.open.insert(key.clone(), Session { user, until, by: by.clone() });
        }
        let kept = self.keep([Entry::Session { key, user: user.to_string(), until, by }]);
        kept.is_ok().then_some(token)
    }

    /// Whether a refresh token has been revoked.
    pub(crate) fn is_revoked(&self, refresh: &str) -> bool {
        lock(&self.sessions).revoked.contains(&digest(refresh))
    }

    /// Revokes a refresh token and ends every session that came of it.
    ///
    /// # Errors
    /// As [`State::close_session`].
    pub(crate) fn revoke_refresh(&self, refresh: &str) -> Result<(), String> {
        let key = digest(refresh);
        lock(&self.sessions).revoke(key.clone());
        self.keep([Entry::RefreshEnded { key }])
    }

    /// Ends a session; answers whether there was one.
    ///
    /// # Errors
    /// A sentence saying why it can't be kept that it ended; it has ended all the same.
    pub(crate) fn close_session(&self, token: &str) -> Result<bool, String> {
        let key = digest(token);
        if lock(&self.sessions).open.remove(&key).is_none() {
            return Ok(false);
        }
        self.keep([Entry::SessionEnded { key }]).map(|()| true)
    }

    /// Ends all sessions.
    ///
    /// # Errors
    /// As [`State::close_session`].
    pub(crate) fn expire_sessions(&self) -> Result<usize, String> {
        let count = std::mem::take(&mut lock(&self.sessions).open).len();
        self.keep([Entry::SessionsEnded]).map(|()| count)
    }

    /// Whose token this is. Used in the second half of its life it lives anew, as in a real org.
    pub(crate) fn session(&self, token: &str) -> Option<SfId> {
        let now = (self.now)().as_millisecond();
        let key = digest(token);
        let mut sessions = lock(&self.sessions);
        let session = sessions.open.get_mut(&key).filter(|session| session.until > now)?;
        let user = session.user;
        if session.until - now <= SESSION_MS / 2 {
            session.until = now + SESSION_MS;
            lock(&self.later).push(Entry::SessionUsed { key, until: session.until });
        }
        Some(user)
    }

    /// The sessions that are kept.
    pub(crate) fn session_entries(&self) -> Vec<Entry> {
        let now = (self.now)().as_millisecond();
        let sessions = lock(&self.sessions);
        let live = sessions.open.iter().filter(|(_, session)| session.until > now);
        let live = live.map(|(key, session)| Entry::Session {
            key: key.clone(),
            user: session.user.to_string(),
            until: session.until,
            by: session.by.clone(),
        });
        let revoked = sessions.revoked.iter().map(|key| Entry::RefreshEnded { key: key.clone() });
        live.chain(revoked).collect()
    }

    /// Takes up a session of an earlier run, or its end.
    pub(crate) fn restore_session(&self, entry: Entry) {
        let mut sessions = lock(&self.sessions);
        match entry {
            Entry::Session { key, user, until, by } => {
                if let Ok(user) = SfId::parse(&user) {
                    sessions.open.insert(key, Session { user, until, by });
                }
            }
            Entry::SessionUsed { key, until } => {
                if let Some(session) = sessions.open.get_mut(&key) {
                    session.until = until;
                }
            }
            Entry::SessionEnded { key } => drop(sessions.open.remove(&key)),
            Entry::SessionsEnded => sessions.open.clear(),
            Entry::RefreshEnded { key } => sessions.revoke(key),
            _ => {}
        }
    }

    /// Sets where the Update button reports to.
    ///
    /// # Errors
    /// A sentence saying why it can't be kept; it holds until the org ends.
    pub(crate) fn set_hook(&self, hook: Option<Hook>) -> Result<(), String> {
        lock(&self.hook).clone_from(&hook);
        self.keep([Entry::Hook(hook)])
    }

    /// The user, unless inactive.
    pub(crate) fn active_user(&self, user: SfId) -> Option<SfId> {
        (self.user_facts(user).get("IsActive").map(String::as_str) == Some("true")).then_some(user)
    }

    /// The active user of this username.
    pub(crate) fn user_named(&self, username: &str) -> Option<SfId> {
        let found = {
            let database = lock(&self.database);
            let users = database.schema().find("User")?;
            let field = database.object(users).find("Username")?;
            match database.find(users, field, username) {
                super::data::Found::One(id) => Some(id),
                _ => None,
            }
        };
        found.and_then(|user| self.active_user(user))
    }

    /// A user's fields as text.
    pub(crate) fn user_facts(&self, user: SfId) -> BTreeMap<String, String> {
        let database = lock(&self.database);
        let Some(users) = database.schema().find("User") else { return BTreeMap::new() };
        let Some(row) = database.table(users).get_live(user) else { return BTreeMap::new() };
        let fields = database.object(users).fields.iter();
        fields
            .map(|field| (field.name.clone(), row.get(field.slot).to_text().into_owned()))
            .collect()
    }

    /// Milliseconds since 1970.
    pub(crate) fn clock(&self) -> i64 {
        (self.now)().as_millisecond()
    }

    /// Minutes since 1970.
    pub(crate) fn minute(&self) -> i64 {
        (self.now)().as_second().div_euclid(60)
    }

    /// Counts how a call ended, for the page.
    pub(crate) fn count(&self, ending: Ending) {
        lock(&self.traffic).count(self.minute(), ending);
    }

    /// The maintenance window, unless it is over.
    pub(crate) fn window(&self) -> Option<Window> {
        let now = (self.now)();
        self.maintenance.borrow().clone().filter(|window| !window.is_over(now))
    }

    /// Lets a call in.
    ///
    /// # Errors
    /// The limit that is exhausted.
    pub(crate) fn begin_call(&self, kind: &'static str) -> Result<u64, Exceeded> {
        let (result, at_once) = {
            let mut meter = lock(&self.meter);
            (meter.begin(self.clock()), meter.under_way())
        };
        let mut stats = lock(&self.stats);
        match result {
            Ok(_) => {
                *stats.calls.entry(kind).or_default() += 1;
                stats.total += 1;
                stats.most_at_once = stats.most_at_once.max(at_once);
            }
            Err(_) => stats.limited += 1,
        }
        result
    }

    /// Counts a call that is not counted against the allowance.
    pub(crate) fn note_call(&self, kind: &'static str) {
        *lock(&self.stats).calls.entry(kind).or_default() += 1;
    }

    /// A call is over.
    pub(crate) fn end_call(&self, call: u64) {
        lock(&self.meter).end(call);
    }

    /// `api-usage=USED/MAX`.
    pub(crate) fn usage(&self) -> String {
        let mut meter = lock(&self.meter);
        format!("api-usage={}/{}", meter.used(self.clock()), meter.allowance.daily)
    }

    /// Sets what counts as used of the day.
    pub(crate) fn set_used(&self, used: u64) {
        lock(&self.meter).set_used(self.clock(), used);
    }

    /// Calls used of the day.
    pub(crate) fn used(&self) -> u64 {
        lock(&self.meter).used(self.clock())
    }

    /// Batches of Bulk jobs begun, and Bulk query jobs made, in 24 hours.
    pub(crate) fn bulk_used(&self) -> (u64, u64) {
        let (now, meter) = (self.clock(), lock(&self.meter));
        (meter.batches.sum(now), meter.queries.sum(now))
    }

    /// `/limits`.
    pub(crate) fn limits_reply(&self) -> Reply {
        // One lock after the other: a guard lives to the end of its statement.
        let used = self.used();
        let Allowance { daily, bulk_batches, bulk_queries, .. } = lock(&self.meter).allowance;
        let (batches, queries) = self.bulk_used();
        let events = self.events.knobs().daily;
        let (_, delivered) = self.events.counts((self.now)().as_millisecond());
        let full = |max: u64| json!({ "Max": max, "Remaining": max });
        Reply::json(
            200,
            &json!({
                "DailyApiRequests": { "Max": daily, "Remaining": daily.saturating_sub(used) },
                "DailyBulkApiBatches": { "Max": bulk_batches, "Remaining": bulk_batches.saturating_sub(batches) },
                "DailyBulkV2QueryJobs": { "Max": bulk_queries, "Remaining": bulk_queries.saturating_sub(queries) },
                "DailyBulkV2QueryFileStorageMB": full(976_562),
                "DailyDeliveredPlatformEvents": { "Max": events, "Remaining": events.saturating_sub(delivered) },
                "HourlyPublishedPlatformEvents": full(250_000),
                "ConcurrentAsyncGetReportInstances": full(200),
                "DataStorageMB": full(5_120),
                "FileStorageMB": full(20_480),
            }),
        )
    }

    /// Whether this written row is one of those that fail, and how.
    pub(crate) fn row_fault(&self, kind: &str, object: &str) -> Option<RowError> {
        self.faults.borrow().row(kind, object)
    }
}
