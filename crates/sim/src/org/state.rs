//! Everything one running org shares between its calls.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sloe_core::ids::SfId;
use tokio::sync::{mpsc, watch};

use super::api::ingest::Jobs;
use super::api::query::Cursors;
use super::api::query_job::QueryJobs;
use super::api::reply::Reply;
use super::data::{Database, RowError};
use super::faults::{Faults, Share};
use super::limits::{Exceeded, Meter};

/// How long a token lives after its last use: the default session timeout of an org.
const SESSION_MS: i64 = 2 * 3600 * 1000;

/// A client app that may sign in.
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<String>,
    pub(crate) jwt_key: Option<jsonwebtoken::DecodingKey>,
    /// Whom the client credentials flow signs in.
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
    /// Bulk ingest jobs that are ready to be worked on.
    pub(crate) uploaded: mpsc::UnboundedSender<String>,
    pub(crate) faults: watch::Sender<Faults>,
    pub(crate) database: Mutex<Database>,
    pub(crate) hook: Mutex<Option<Hook>>,
    pub(crate) stats: Mutex<Stats>,
    pub(crate) meter: Mutex<Meter>,
    pub(crate) http: reqwest::Client,
    sessions: Mutex<HashMap<String, Session>>,
    call_share: Mutex<Share>,
    row_share: Mutex<Share>,
}

/// What a state is made of.
pub(crate) struct Parts {
    pub(crate) url: String,
    pub(crate) name: String,
    pub(crate) now: fn() -> Timestamp,
    pub(crate) apps: Vec<App>,
    pub(crate) database: Database,
    pub(crate) meter: Meter,
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
            faults: watch::Sender::new(Faults::default()),
            database: Mutex::new(parts.database),
            hook: Mutex::new(parts.hook),
            stats: Mutex::new(Stats::default()),
            meter: Mutex::new(parts.meter),
            http: parts.http,
            sessions: Mutex::new(HashMap::new()),
            call_share: Mutex::new(Share::default()),
            row_share: Mutex::new(Share::default()),
        }
    }

    /// Makes the open transaction last and counts its rows.
    ///
    /// # Errors
    /// A sentence saying why the log took it not.
    pub(crate) fn commit(&self, database: &mut Database) -> Result<(), String> {
        let rows = database.commit()?;
        lock(&self.stats).rows_written += rows as u64;
        Ok(())
    }

    /// A new token for a user; none without randomness.
    pub(crate) fn open_session(&self, user: SfId) -> Option<String> {
        let mut bytes = [0_u8; 48];
        getrandom::fill(&mut bytes).ok()?;
        let opaque = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, bytes)
            .replace('-', ".");
        let token = format!("{}!{opaque}", self.org.as_str().get(..15)?);
        let now = (self.now)().as_millisecond();
        let mut sessions = lock(&self.sessions);
        sessions.retain(|_, session| session.until > now);
        sessions.insert(token.clone(), Session { user, until: now + SESSION_MS });
        Some(token)
    }

    /// Ends a session; answers whether there was one.
    pub(crate) fn close_session(&self, token: &str) -> bool {
        lock(&self.sessions).remove(token).is_some()
    }

    /// Ends all sessions.
    pub(crate) fn expire_sessions(&self) -> usize {
        let mut sessions = lock(&self.sessions);
        let count = sessions.len();
        sessions.clear();
        count
    }

    /// Whose token this is.
    pub(crate) fn session(&self, token: &str) -> Option<SfId> {
        let now = (self.now)().as_millisecond();
        let mut sessions = lock(&self.sessions);
        let session = sessions.get_mut(token).filter(|session| session.until > now)?;
        session.until = now + SESSION_MS;
        Some(session.user)
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

    fn hour(&self) -> i64 {
        (self.now)().as_second().div_euclid(3600)
    }

    /// Lets a call in.
    ///
    /// # Errors
    /// The limit that is exhausted.
    pub(crate) fn begin_call(&self, kind: &'static str) -> Result<u64, Exceeded> {
        let (result, at_once) = {
            let mut meter = lock(&self.meter);
            (meter.begin(self.hour()), meter.under_way())
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
        let meter = lock(&self.meter);
        format!("api-usage={}/{}", meter.used(self.hour()), meter.allowance.daily)
    }

    /// Sets what counts as used of the day.
    pub(crate) fn set_used(&self, used: u64) {
        let hour = self.hour();
        lock(&self.meter).set_used(hour, used);
    }

    /// Calls used of the day.
    pub(crate) fn used(&self) -> u64 {
        let hour = self.hour();
        lock(&self.meter).used(hour)
    }

    /// `/limits`.
    pub(crate) fn limits_reply(&self) -> Reply {
        // One lock after the other: a guard lives to the end of its statement.
        let daily = lock(&self.meter).allowance.daily;
        let used = self.used();
        let batches = self.jobs.batches_today(self);
        let full = |max: u64| json!({ "Max": max, "Remaining": max });
        Reply::json(
            200,
            &json!({
                "DailyApiRequests": { "Max": daily, "Remaining": daily.saturating_sub(used) },
                "DailyBulkApiBatches": { "Max": 15_000, "Remaining": 15_000_u64.saturating_sub(batches) },
                "DailyBulkV2QueryJobs": full(10_000),
                "DailyBulkV2QueryFileStorageMB": full(976_562),
                "DailyDeliveredPlatformEvents": full(25_000),
                "HourlyPublishedPlatformEvents": full(250_000),
                "ConcurrentAsyncGetReportInstances": full(200),
                "DataStorageMB": full(5_120),
                "FileStorageMB": full(20_480),
            }),
        )
    }

    /// Whether this call is one of those that fail.
    pub(crate) fn call_fault(&self, faults: &Faults) -> bool {
        lock(&self.call_share).pick(faults.error_rate)
    }

    /// Whether this written row is one of those that fail, and how.
    pub(crate) fn row_fault(&self) -> Option<RowError> {
        let (rate, how) = {
            let faults = self.faults.borrow();
            (faults.row_error_rate, faults.row_error_code)
        };
        let (code, message) = how.words();
        lock(&self.row_share).pick(rate).then(|| RowError::new(code, message))
    }
}
