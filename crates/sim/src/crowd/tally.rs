//! What is counted while the storm lasts, by all connections together.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::StormError;
use super::kind::Kind;
use super::pace::Turn;
use super::series::Series;

/// The longest time that is told apart: an hour, in microseconds.
const LONGEST: u64 = 3_600_000_000;
/// Faults of one sort that are kept word by word.
const EXAMPLES: usize = 5;

/// A registration that Sloe has acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Acknowledged {
    pub(super) visitor: u64,
    /// The order's opaque id.
    pub(super) order: String,
    /// Its short name, where the answer had one.
    pub(super) reference: Option<String>,
}

/// Seats that somebody held and did not confirm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) visitor: u64,
    /// When they are free again, in milliseconds since 1970 by Sloe's clock.
    pub(super) until: i64,
}

/// What is left of a visit when it is over, however it ended.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Until when seats are held, in milliseconds since 1970 by Sloe's clock.
    pub(super) held: Option<i64>,
    /// The order that was acknowledged: it must stand even if the visitor failed afterwards.
    pub(super) order: Option<Acknowledged>,
}

/// How a visit ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Registered,
    /// The visitor has seen or done what they came for, and that was no registration.
    Left,
    /// Refused for a reason that is Sloe's to give: nothing was taken.
    Refused(String),
    /// Gone wrong for good.
    Failed {
        kind: String,
        /// The server may have registered the visitor all the same.
        unknown: bool,
    },
}

/// Things that went against a rule: how many, and some of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) count: u64,
    pub(super) examples: Vec<String>,
}

impl Faults {
    fn add(&mut self, fault: String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(fault);
        }
    }
}

/// Figures of one kind of visitor.
#[derive(Clone)]
pub(super) struct KindFigures {
    pub(super) came: u64,
    pub(super) registered: u64,
    pub(super) left: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    /// Requests that were answered.
    pub(super) requests: u64,
    /// Microseconds of a whole visit.
    pub(super) times: Histogram<u64>,
}

/// Figures of one target.
#[derive(Clone)]
pub(super) struct TargetFigures {
    pub(super) answers: u64,
    /// Answers that told of trouble of the server's: 5xx.
    pub(super) server_errors: u64,
    /// Requests without an answer.
    pub(super) unanswered: u64,
    /// Requests that went to the next target because this one had not answered.
    pub(super) skipped: u64,
    /// Microseconds from request to answer.
    pub(super) times: Histogram<u64>,
}

/// The figures so far.
#[derive(Clone)]
pub(super) struct Figures {
    pub(super) requests: u64,
    /// Microseconds from request to answer.
    pub(super) request_times: Histogram<u64>,
    /// Microseconds from when a visitor was due to the end of the visit.
    pub(super) visit_times: Histogram<u64>,
    /// Microseconds that visitors who were due waited for a free connection.
    pub(super) late: Histogram<u64>,
    pub(super) gone: u64,
    pub(super) acknowledged: Vec<Acknowledged>,
    pub(super) held: Vec<Held>,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) errors: BTreeMap<String, u64>,
    /// What went wrong and was tried again.
    pub(super) retries: BTreeMap<String, u64>,
    /// Visitors who never learned whether they are registered.
    pub(super) unknown: Vec<u64>,
    /// When each tenth of the visitors had gone, from the storm's begin.
    pub(super) tenths: Vec<Duration>,
    pub(super) kinds: Vec<KindFigures>,
    pub(super) targets: Vec<TargetFigures>,
    pub(super) series: Series,
    /// What bots were answered, by status.
    pub(super) bots: BTreeMap<u16, u64>,
    /// Why they were not, by what happened instead.
    pub(super) bot_silences: BTreeMap<String, u64>,
    /// What they should not have got.
    pub(super) bot_faults: Faults,
    /// Forms that were sent twice at the same time.
    pub(super) doubles: u64,
    /// Where that made two of one.
    pub(super) double_faults: Faults,
    /// Pages that were asked for again with their entity tag, and those that had not changed.
    pub(super) revalidated: (u64, u64),
}

/// The figures, shared by all visitors. The storm runs on one thread, so nobody
/// waits for the lock; figures of each connection's own would only take
/// memory away from the server beside it.
pub(super) struct Tally {
    began: Instant,
    /// How many are to come.
    visitors: u64,
    figures: Mutex<Figures>,
}

impl Tally {
    pub(super) fn new(visitors: u64, targets: usize, began: Instant) -> Result<Self, StormError> {
        let histogram = |digits| {
            Histogram::new_with_bounds(1, LONGEST, digits)
                .map_err(|error| StormError::Figures(error.to_string()))
        };
        let kind = KindFigures {
            came: 0,
            registered: 0,
            left: 0,
            refused: 0,
            failed: 0,
            requests: 0,
            times: histogram(2)?,
        };
        let target = TargetFigures {
            answers: 0,
            server_errors: 0,
            unanswered: 0,
            skipped: 0,
            times: histogram(2)?,
        };
        let figures = Mutex::new(Figures {
            requests: 0,
            request_times: histogram(3)?,
            visit_times: histogram(3)?,
            late: histogram(2)?,
            gone: 0,
            acknowledged: Vec::new(),
            held: Vec::new(),
            refused: BTreeMap::new(),
            errors: BTreeMap::new(),
            retries: BTreeMap::new(),
            unknown: Vec::new(),
            tenths: Vec::new(),
            kinds: vec![kind; Kind::ALL.len()],
            targets: vec![target; targets],
            series: Series::new(targets),
            bots: BTreeMap::new(),
            bot_silences: BTreeMap::new(),
            bot_faults: Faults::default(),
            doubles: 0,
            double_faults: Faults::default(),
            revalidated: (0, 0),
        });
        Ok(Self { began, visitors, figures })
    }

    /// Since the begin.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The figures when all is over.
    pub(super) fn take(&self) -> Figures {
        self.figures().clone()
    }

    /// Looks at the figures so far.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Figures) -> T) -> T {
        look(&self.figures())
    }

    /// A visitor who was due begins.
    pub(super) fn begin(&self, turn: Turn, kind: Kind, now: Instant) {
        let mut figures = self.figures();
        figures.late.saturating_record(micros(now.saturating_duration_since(turn.due)));
        figures.series.at(turn.due.saturating_duration_since(self.began)).due += 1;
        if let Some(kind) = figures.kinds.get_mut(kind.index()) {
            kind.came += 1;
        }
    }

    /// A request was answered.
    pub(super) fn request(&self, kind: Kind, (target, status): (usize, u16), sent: Instant) {
        let now = Instant::now();
        let took = micros(now.saturating_duration_since(sent));
        let mut figures = self.figures();
        figures.requests += 1;
        figures.request_times.saturating_record(took);
        figures.series.at(now.saturating_duration_since(self.began)).request(target, took);
        if let Some(kind) = figures.kinds.get_mut(kind.index()) {
            kind.requests += 1;
        }
        if let Some(target) = figures.targets.get_mut(target) {
            target.answers += 1;
            target.server_errors += u64::from(status >= 500);
            target.times.saturating_record(took);
        }
    }

    /// A request had no answer.
    pub(super) fn unanswered(&self, target: usize) {
        if let Some(target) = self.figures().targets.get_mut(target) {
            target.unanswered += 1;
        }
    }

    /// A request went past a target that had not answered.
    pub(super) fn skipped(&self, target: usize) {
        if let Some(target) = self.figures().targets.get_mut(target) {
            target.skipped += 1;
        }
    }

    pub(super) fn retry(&self, kind: &str) {
        let at = self.elapsed();
        let mut figures = self.figures();
        count(&mut figures.retries, kind);
        figures.series.at(at).retries += 1;
    }

    /// A bot was answered.
    pub(super) fn bot(&self, status: u16, fault: Option<String>) {
        let mut figures = self.figures();
        *figures.bots.entry(status).or_insert(0) += 1;
        if let Some(fault) = fault {
            figures.bot_faults.add(fault);
        }
    }

    /// A bot was not answered.
    pub(super) fn bot_silence(&self, kind: &str) {
        count(&mut self.figures().bot_silences, kind);
    }

    /// A form was sent twice at once.
    pub(super) fn double(&self, fault: Option<String>) {
        let mut figures = self.figures();
        figures.doubles += 1;
        if let Some(fault) = fault {
            figures.double_faults.add(fault);
        }
    }

    /// A page was asked for again.
    pub(super) fn revalidated(&self, unchanged: bool) {
        let asked = &mut self.figures().revalidated;
        *asked = (asked.0 + 1, asked.1 + u64::from(unchanged));
    }

    /// What is left of the event.
    pub(super) fn left(&self, left: Option<u64>) {
        let at = self.elapsed();
        let mut figures = self.figures();
        let slot = figures.series.at(at);
        slot.left = left.or(slot.left);
    }

    /// A visitor has gone, and this is left of the visit.
    pub(super) fn visit(&self, turn: Turn, kind: Kind, left: Left, outcome: Outcome) {
        let now = Instant::now();
        let visitor = turn.visitor;
        let took = micros(now.saturating_duration_since(turn.due));
        let mut guard = self.figures();
        let figures = &mut *guard;
        figures.visit_times.saturating_record(took);
        figures.gone += 1;
        let slot = figures.series.at(now.saturating_duration_since(self.began));
        slot.visit(took);
        let of_kind = figures.kinds.get_mut(kind.index());
        let counted = match &outcome {
            Outcome::Registered => {
                slot.registered += 1;
                of_kind.map(|kind| (&mut kind.registered, &mut kind.times))
            }
            Outcome::Left => of_kind.map(|kind| (&mut kind.left, &mut kind.times)),
            Outcome::Refused(_) => {
                slot.refused += 1;
                of_kind.map(|kind| (&mut kind.refused, &mut kind.times))
            }
            Outcome::Failed { .. } => {
                slot.failed += 1;
                of_kind.map(|kind| (&mut kind.failed, &mut kind.times))
            }
        };
        if let Some((count, times)) = counted {
            *count += 1;
            times.saturating_record(took);
        }
        let is_order = left.order.is_some();
        figures.acknowledged.extend(left.order);
        if let (Some(until), false) = (left.held, is_order) {
            figures.held.push(Held { visitor, until });
        }
        match outcome {
            Outcome::Registered | Outcome::Left => {}
            Outcome::Refused(kind) => count(&mut figures.refused, &kind),
            Outcome::Failed { kind, unknown } => {
                count(&mut figures.errors, &kind);
                if unknown && !is_order {
                    figures.unknown.push(visitor);
                }
            }
        }
        let tenths = figures.gone.saturating_mul(10) / self.visitors.max(1);
        while (figures.tenths.len() as u64) < tenths {
            figures.tenths.push(now.saturating_duration_since(self.began));
        }
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
