//! The Bulk ingest jobs of an org: where each stands, what became of its rows, and how all that outlives the process.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use sloe_core::ids::SfId;

use crate::org::data::Database;
use crate::org::kept::{Entry, JOB_LIFE_MS};
use crate::org::state::lock;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Open,
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Open => "Open",
            Phase::UploadComplete => "UploadComplete",
            Phase::InProgress => "InProgress",
            Phase::JobComplete => "JobComplete",
            Phase::Failed => "Failed",
            Phase::Aborted => "Aborted",
        }
    }

    pub(crate) fn ended(self) -> bool {
        matches!(self, Phase::JobComplete | Phase::Failed | Phase::Aborted)
    }
}

/// What a job does with its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operation {
    Insert,
    Update,
    Upsert,
    Delete,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) enum Outcome {
    Done {
        id: SfId,
        created: bool,
    },
    /// With the record that the row was about, if that is known.
    Failed {
        id: Option<SfId>,
        error: Box<str>,
    },
}

impl From<Outcome> for String {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done { id, created: true } => format!("+{id}"),
            Outcome::Done { id, created: false } => format!("={id}"),
            Outcome::Failed { id: Some(id), error } => format!("-{id}{error}"),
            Outcome::Failed { id: None, error } => format!("!{error}"),
        }
    }
}

impl TryFrom<String> for Outcome {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let done = |id: &str, created| {
            SfId::parse(id).map(|id| Outcome::Done { id, created }).map_err(|e| e.to_string())
        };
        match text.split_at_checked(1) {
            Some(("+", id)) => done(id, true),
            Some(("=", id)) => done(id, false),
            Some(("!", error)) => Ok(Outcome::Failed { id: None, error: error.into() }),
            Some(("-", failed)) => {
                let (id, error) = failed.split_at_checked(18).ok_or("no id")?;
                let id = SfId::parse(id).map_err(|e| e.to_string())?;
                Ok(Outcome::Failed { id: Some(id), error: error.into() })
            }
            _ => Err(format!("{text:?} is no outcome")),
        }
    }
}

/// One job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) object: usize,
    pub(crate) operation: Operation,
    pub(crate) key_field: Option<usize>,
    pub(crate) delimiter: u8,
    pub(crate) crlf: bool,
    pub(crate) phase: Phase,
    pub(crate) user: SfId,
    /// The client that opened it, if it said.
    pub(crate) client: Option<String>,
    pub(crate) created: i64,
    pub(crate) stamp: i64,
    pub(crate) data: bytes::Bytes,
    /// By the row a chunk begins with: batches are worked on in parallel.
    pub(crate) outcomes: BTreeMap<usize, Vec<Outcome>>,
    pub(crate) processed: usize,
    pub(crate) failed: usize,
    /// How often chunks were tried again: other transactions held their rows, or maintenance came in between.
    pub(crate) retries: u64,
    pub(crate) millis: u64,
    pub(crate) error: Option<String>,
    pub(crate) version: String,
    pub(crate) uploaded: bool,
}

/// A job as the log holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) id: String,
    object: String,
    operation: Operation,
    key_field: Option<String>,
    delimiter: u8,
    crlf: bool,
    phase: Phase,
    user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    created: i64,
    stamp: i64,
    #[serde(default)]
    retries: u64,
    millis: u64,
    error: Option<String>,
    version: String,
    uploaded: bool,
}

impl Job {
    /// The job as the log holds it; data and outcomes are kept apart.
    pub(crate) fn entry(&self, database: &Database) -> Entry {
        let object = database.object(self.object);
        let key_field = self.key_field.and_then(|key| object.fields.get(key));
        Entry::Ingest(Stored {
            id: self.id.clone(),
            object: object.name.clone(),
            operation: self.operation,
            key_field: key_field.map(|field| field.name.clone()),
            delimiter: self.delimiter,
            crlf: self.crlf,
            phase: self.phase,
            user: self.user.to_string(),
            client: self.client.clone(),
            created: self.created,
            stamp: self.stamp,
            retries: self.retries,
            millis: self.millis,
            error: self.error.clone(),
            version: self.version.clone(),
            uploaded: self.uploaded,
        })
    }

    /// The job that the log holds; none if its object or field is no more.
    fn restored(database: &Database, stored: Stored) -> Option<Self> {
        let object = database.schema().find(&stored.object)?;
        let key_field = match stored.key_field {
            Some(name) => Some(database.object(object).find(&name)?),
            None => None,
        };
        Some(Self {
            id: stored.id,
            object,
            operation: stored.operation,
            key_field,
            delimiter: stored.delimiter,
            crlf: stored.crlf,
            phase: stored.phase,
            user: SfId::parse(&stored.user).ok()?,
            client: stored.client,
            created: stored.created,
            stamp: stored.stamp,
            data: bytes::Bytes::new(),
            outcomes: BTreeMap::new(),
            processed: 0,
            failed: 0,
            retries: stored.retries,
            millis: stored.millis,
            error: stored.error,
            version: stored.version,
            uploaded: stored.uploaded,
        })
    }

    /// Takes note of what became of the rows from this one on, and after how many tries more than one.
    pub(crate) fn add_outcomes(&mut self, first: usize, outcomes: Vec<Outcome>, retries: u64) {
        self.retries += retries;
        self.processed += outcomes.len();
        self.failed += outcomes.iter().filter(|o| matches!(o, Outcome::Failed { .. })).count();
        self.outcomes.insert(first, outcomes);
    }

    /// What became of a row, if it has been worked on.
    pub(crate) fn outcome(&self, row: usize) -> Option<&Outcome> {
        let (first, outcomes) = self.outcomes.range(..=row).next_back()?;
        outcomes.get(row - first)
    }

    /// Whether its rows are to be worked on, or are.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::UploadComplete | Phase::InProgress)
    }
}

/// All ingest jobs of the org, by id, and so in the order they were made.
///
/// Whoever holds the database as well has locked it before.
#[derive(Default)]
pub(crate) struct Jobs {
    inner: Mutex<BTreeMap<String, Arc<Mutex<Job>>>>,
}

impl Jobs {
    /// The job of this id, of 15 or 18 characters.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Mutex<Job>>> {
        let id = SfId::parse(id).ok()?.to_string();
        lock(&self.inner).get(&id).cloned()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Mutex<Job>>> {
        lock(&self.inner).values().cloned().collect()
    }

    /// Takes a new job.
    pub(crate) fn add(&self, job: Job) {
        lock(&self.inner).insert(job.id.clone(), Arc::new(Mutex::new(job)));
    }

    /// Lets the oldest jobs go whose time is over.
    pub(crate) fn let_go(&self, database: &Database) {
        let until = database.now() - JOB_LIFE_MS;
        let mut jobs = lock(&self.inner);
        while let Some(oldest) = jobs.first_entry() {
            let over = {
                let job = lock(oldest.get());
                job.created < until && !job.is_busy()
            };
            if !over {
                return;
            }
            drop_data(database, oldest.key());
            oldest.remove();
        }
    }

    /// Everything that the log has to hold of them.
    pub(crate) fn entries(&self, database: &Database, out: &mut Vec<Entry>) {
        self.let_go(database);
        for job in self.all() {
            let job = lock(&job);
            out.push(job.entry(database));
            let outcomes = job.outcomes.iter().map(|(first, rows)| Entry::Outcomes {
                job: job.id.clone(),
                first: Some(*first),
                rows: rows.clone(),
            });
            out.extend(outcomes);
        }
    }

    /// Takes up a job, or its newer state.
    pub(crate) fn restore(&self, database: &Database, stored: Stored) {
        let id = stored.id.clone();
        let Some(mut job) = Job::restored(database, stored) else {
            tracing::warn!(job = %id, "a bulk job is let go: its object or field is no more");
            return;
        };
        if let Some(before) = self.get(&id) {
            for (first, outcomes) in std::mem::take(&mut lock(&before).outcomes) {
                job.add_outcomes(first, outcomes, 0);
            }
        }
        self.add(job);
    }

    /// Takes up what became of a job's rows from this one on, or from the last known one on.
    pub(crate) fn restore_outcomes(&self, id: &str, first: Option<usize>, outcomes: Vec<Outcome>) {
        if let Some(job) = self.get(id) {
            let mut job = lock(&job);
            let first = first.unwrap_or(job.processed);
            job.add_outcomes(first, outcomes, 0);
        }
    }

    /// Forgets a job.
    pub(crate) fn forget(&self, id: &str) {
        lock(&self.inner).remove(id);
    }

    /// Reads the jobs' data again and removes what belongs to none.
    ///
    /// # Errors
    /// A sentence saying what can't be read.
    pub(crate) fn restore_data(&self, directory: &Path) -> Result<(), String> {
        let mut known = HashSet::new();
        for job in self.all() {
            let mut job = lock(&job);
            if !job.uploaded {
                continue;
            }
            let path = data_file(directory, &job.id);
            match std::fs::read(&path) {
                Ok(data) => job.data = data.into(),
                // A deleted job's data goes before the log knows of it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.forget(&job.id),
                Err(error) => return Err(format!("{} can't be read: {error}", path.display())),
            }
            known.insert(path);
        }
        let files = std::fs::read_dir(directory.join(UPLOADS)).into_iter().flatten().flatten();
        for file in files.map(|file| file.path()).filter(|path| !known.contains(path)) {
            remove_file(&file);
        }
        Ok(())
    }

    /// The jobs that are to be worked on, the oldest first.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let all = self.all().into_iter();
        let busy = all.filter_map(|job| {
            let job = lock(&job);
            job.is_busy().then(|| job.id.clone())
        });
        busy.collect()
    }
}

/// Where the jobs' data is kept: a file each, because a log would have to be rewritten with it.
const UPLOADS: &str = "uploads";

fn data_file(directory: &Path, job: &str) -> PathBuf {
    directory.join(UPLOADS).join(format!("{job}.csv"))
}

/// Keeps what was uploaded for a job, if anything is kept; the log learns of it afterwards.
pub(crate) fn keep_data(database: &Database, job: &str, data: &[u8]) -> std::io::Result<()> {
    let Some(directory) = database.directory() else { return Ok(()) };
    let mut private = std::fs::DirBuilder::new();
    private.recursive(true).mode(0o700).create(directory.join(UPLOADS))?;
    std::fs::write(data_file(directory, job), data)
}

/// Removes what was uploaded for a job.
pub(crate) fn drop_data(database: &Database, job: &str) {
    if let Some(directory) = database.directory() {
        remove_file(&data_file(directory, job));
    }
}

fn remove_file(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a bulk job's data couldn't be removed");
    }
}
