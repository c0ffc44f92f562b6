//! What is counted while the storm lasts, by all connections together.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::ProgressBar;

use super::StormError;

/// The longest time that is told apart: an hour, in microseconds.
const LONGEST: u64 = 3_600_000_000;

/// A registration that Sloe has acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Acknowledged {
    pub(super) visitor: u64,
    /// The order's opaque id.
    pub(super) order: String,
    /// Its short name, where the answer had one.
    pub(super) reference: Option<String>,
}

/// How a visit ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Registered {
        order: String,
        reference: Option<String>,
    },
    /// Refused for a reason that is Sloe's to give: nothing was taken.
    Refused(String),
    /// Gone wrong for good.
    Failed {
        kind: String,
        /// The server may have registered the visitor all the same.
        unknown: bool,
    },
}

/// The figures so far.
#[derive(Clone)]
pub(super) struct Figures {
    pub(super) requests: u64,
    /// Microseconds from request to answer.
    pub(super) request_times: Histogram<u64>,
    /// Microseconds from when a visitor was due to the acknowledgement or refusal.
    pub(super) visit_times: Histogram<u64>,
    pub(super) gone: u64,
    pub(super) acknowledged: Vec<Acknowledged>,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) errors: BTreeMap<String, u64>,
    /// What went wrong and was tried again.
    pub(super) retries: BTreeMap<String, u64>,
    /// Visitors who never learned whether they are registered.
    pub(super) unknown: Vec<u64>,
    /// When each tenth of the visitors had gone, from the storm's begin.
    pub(super) tenths: Vec<Duration>,
}

/// The figures, shared by all visitors: each touches them for less than a
/// microsecond.
pub(super) struct Tally {
    began: Instant,
    tenth: u64,
    figures: Mutex<Figures>,
}

impl Tally {
    pub(super) fn new(visitors: u64) -> Result<Self, StormError> {
        let histogram = || {
            Histogram::new_with_bounds(1, LONGEST, 3)
                .map_err(|error| StormError::Figures(error.to_string()))
        };
        let figures = Mutex::new(Figures {
            requests: 0,
            request_times: histogram()?,
            visit_times: histogram()?,
            gone: 0,
            acknowledged: Vec::new(),
            refused: BTreeMap::new(),
            errors: BTreeMap::new(),
            retries: BTreeMap::new(),
            unknown: Vec::new(),
            tenths: Vec::new(),
        });
        Ok(Self { began: Instant::now(), tenth: (visitors / 10).max(1), figures })
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The figures when all is over.
    pub(super) fn take(&self) -> Figures {
        self.figures().clone()
    }

    pub(super) fn request(&self, took: Duration) {
        let mut figures = self.figures();
        figures.requests += 1;
        figures.request_times.saturating_record(micros(took));
    }

    pub(super) fn retry(&self, kind: &str) {
        count(&mut self.figures().retries, kind);
    }

    pub(super) fn visit(&self, visitor: u64, took: Duration, outcome: Outcome) {
        let mut figures = self.figures();
        figures.visit_times.saturating_record(micros(took));
        match outcome {
            Outcome::Registered { order, reference } => {
                figures.acknowledged.push(Acknowledged { visitor, order, reference });
            }
            Outcome::Refused(kind) => count(&mut figures.refused, &kind),
            Outcome::Failed { kind, unknown } => {
                count(&mut figures.errors, &kind);
                if unknown {
                    figures.unknown.push(visitor);
                }
            }
        }
        figures.gone += 1;
        if figures.gone.is_multiple_of(self.tenth) {
            figures.tenths.push(self.began.elapsed());
        }
    }

    /// Shows how far the storm is.
    pub(super) fn show(&self, bar: &ProgressBar) {
        let figures = self.figures();
        let sum = |kinds: &BTreeMap<String, u64>| kinds.values().sum::<u64>();
        let text = format!(
            "{} registered, {} refused, {} failed",
            figures.acknowledged.len(),
            sum(&figures.refused),
            sum(&figures.errors)
        );
        let gone = figures.gone;
        drop(figures);
        bar.set_message(text);
        bar.set_position(gone);
    }
}

fn count(kinds: &mut BTreeMap<String, u64>, kind: &str) {
    match kinds.get_mut(kind) {
        Some(count) => *count += 1,
        None => {
            kinds.insert(kind.to_owned(), 1);
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
