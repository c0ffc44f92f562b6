//! What a storm has shown, for people and for programs.

mod page;
mod plot;
mod terminal;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::kind::Kind;
use super::machine::Machine;
use super::series::{Series, Slot};
use super::tally::Figures;
use super::{Arrival, Ground, Mode, Options};

pub use words::Held;

/// Whether a point of the proof holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was checked and holds.
    Held,
    /// It was checked and does not hold.
    Broken,
    /// It could not be checked.
    Unchecked,
}

/// One point of the proof.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What must hold.
    pub claim: &'static str,
    /// Whether it does.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
}

/// How long something took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Latency {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Latency {
    pub(super) fn of(microseconds: &Histogram<u64>) -> Self {
        // Times are far below 2^53 microseconds.
        #[allow(clippy::cast_precision_loss)]
        let at = |quantile| microseconds.value_at_quantile(quantile) as f64 / 1000.0;
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) }
    }
}

/// What came of one kind of visitor.
#[derive(Clone, Debug, Serialize)]
pub struct KindReport {
    /// Which.
    pub kind: Kind,
    /// How many came.
    pub came: u64,
    /// Of them: registered.
    pub registered: u64,
    /// Of them: went away content without registering, as their kind does.
    pub left: u64,
    /// Of them: refused.
    pub refused: u64,
    /// Of them: failed.
    pub failed: u64,
    /// Requests of theirs that were answered.
    pub requests: u64,
    /// A whole visit.
    pub visit_latency_ms: Latency,
}

/// What came of one target.
#[derive(Clone, Debug, Serialize)]
pub struct TargetReport {
    /// Its address.
    pub target: String,
    /// Requests that it answered.
    pub answers: u64,
    /// Those a second.
    pub answers_per_second: f64,
    /// Of the answers: those that told of trouble of its own (5xx).
    pub server_errors: u64,
    /// Requests that it did not answer.
    pub unanswered: u64,
    /// Requests that went to the next target because this one had not answered.
    pub skipped: u64,
    /// From request to answer.
    pub request_latency_ms: Latency,
}

/// What happened in one slot of time.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    /// Seconds from the begin to the slot's begin.
    pub seconds: f64,
    /// Visitors who were due.
    pub due: u64,
    /// Requests that were answered.
    pub answers: u64,
    /// Visitors whose visit ended.
    pub gone: u64,
    /// Of them: registered.
    pub registered: u64,
    /// Of them: refused.
    pub refused: u64,
    /// Of them: failed.
    pub failed: u64,
    /// Attempts that were made again.
    pub retries: u64,
    /// What was left of the event, if it has a limit and was looked at.
    pub left: Option<u64>,
    /// Half of the visits took no longer, in milliseconds.
    pub visit_p50_ms: Option<f64>,
    /// 99 of 100 visits took no longer.
    pub visit_p99_ms: Option<f64>,
    /// Half of the requests took no longer.
    pub request_p50_ms: Option<f64>,
    /// 99 of 100 requests took no longer.
    pub request_p99_ms: Option<f64>,
    /// Answers of each target, in their order.
    pub targets: Vec<u64>,
}

/// What happened when.
#[derive(Clone, Debug, Serialize)]
pub struct Course {
    /// Seconds that each slot lasts.
    pub slot_seconds: f64,
    /// The slots.
    pub slots: Vec<Moment>,
}

/// How many visits took between two times.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bin {
    /// More than this, in milliseconds.
    pub from_ms: f64,
    /// At most this.
    pub to_ms: f64,
    /// So many.
    pub count: u64,
}

/// How the visitors came and who they were, for programs.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What it is about.
    pub about: Option<String>,
    /// `burst`, `rate`, `wave`, `on-sale` or `day`.
    pub arrival: &'static str,
    /// Seconds in which all come, by a curve.
    pub over_seconds: Option<f64>,
    /// Weights of the kinds.
    pub visitors: BTreeMap<&'static str, u32>,
    /// Weights of the ways to register.
    pub ways: BTreeMap<&'static str, u32>,
    /// Visitors who were to come.
    pub planned: u64,
    /// A visitor comes with one to so many people.
    pub party: u16,
    /// Everybody chooses up to so many sessions.
    pub sessions: u16,
}

/// A storm's result. Its JSON is described in docs/storm.md.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether it held, in one word.
    pub verdict: Held,
    /// The first target's address.
    pub target: String,
    /// The event's public id.
    pub event: String,
    /// The event's name.
    pub event_name: String,
    /// How the visitors registered: `api`, `hold`, `html`, or `mix`.
    pub mode: &'static str,
    /// Visitors a second, if they came at a steady rate.
    pub rate: Option<f64>,
    /// Connections.
    pub connections: usize,
    /// The crowd's seed: with it, the same crowd comes again.
    pub seed: u64,
    /// When the storm ended, by this machine's clock, in UTC.
    pub ended_at: String,
    /// The version of Sloe's own that held it.
    pub version: &'static str,
    /// The command that held it.
    pub command: Option<String>,
    /// What it was held on.
    pub machine: Machine,
    /// How the visitors came and who they were.
    pub plan: Plan,
    /// Visitors who came.
    pub visitors: u64,
    /// Seconds from the first visitor to the last.
    pub seconds: f64,
    /// Requests that were answered.
    pub requests: u64,
    /// Those a second.
    pub requests_per_second: f64,
    /// Registrations that were acknowledged: orders.
    pub registrations: u64,
    /// Those a second.
    pub registrations_per_second: f64,
    /// Attendees in them.
    pub attendees: u64,
    /// Refusals by kind; nothing was taken.
    pub refused: BTreeMap<String, u64>,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
    /// What failed and was tried again, by kind.
    pub retries: BTreeMap<String, u64>,
    /// Visitors who never learned whether they are registered.
    pub unknown: u64,
    /// Holds that were left to expire.
    pub abandoned_holds: u64,
    /// What bots were answered, by status.
    pub bots: BTreeMap<u16, u64>,
    /// Requests of bots without an answer, by what happened instead.
    pub bots_unanswered: BTreeMap<String, u64>,
    /// Pages that were asked for again with their entity tag.
    pub revalidations: u64,
    /// Of them: those that had not changed.
    pub unchanged: u64,
    /// From request to answer.
    pub request_latency_ms: Latency,
    /// A whole visit: from when it was due (by a timetable) or began (a burst).
    pub visit_latency_ms: Latency,
    /// How long visitors who were due waited for a free connection; a part of the visit.
    pub start_delay_ms: Latency,
    /// Visits by how long they took.
    pub visit_histogram: Vec<Bin>,
    /// Seconds until each tenth of the visitors had gone.
    pub tenths_seconds: Vec<f64>,
    /// By kind of visitor; only kinds that came.
    pub kinds: Vec<KindReport>,
    /// By target.
    pub targets: Vec<TargetReport>,
    /// What happened when.
    pub course: Course,
    /// The same in slots that are worth a look.
    #[serde(skip)]
    readable: Course,
    /// The proof.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(
        options: &Options,
        ground: &Ground,
        figures: &Figures,
        took: Duration,
    ) -> Self {
        let seconds = took.as_secs_f64().max(1e-9);
        let people = |visitor| u64::from(ground.people(visitor));
        let registrations = figures.acknowledged.len() as u64;
        Self {
            verdict: Held::Held,
            target: ground.fleet.name().origin.clone(),
            event: ground.offer.id.clone(),
            event_name: ground.offer.name.clone(),
            mode: options.mix.only_way().map_or("mix", Mode::name),
            rate: match options.arrival {
                Arrival::Rate(rate) => Some(rate),
                Arrival::Burst | Arrival::Curve(..) => None,
            },
            connections: options.connections,
            seed: options.seed,
            ended_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            version: env!("CARGO_PKG_VERSION"),
            command: options.command.clone(),
            machine: Machine::here(),
            plan: Plan::new(options),
            visitors: figures.gone,
            seconds,
            requests: figures.requests,
            requests_per_second: per_second(figures.requests, seconds),
            registrations,
            registrations_per_second: per_second(registrations, seconds),
            attendees: figures.acknowledged.iter().map(|order| people(order.visitor)).sum(),
            refused: figures.refused.clone(),
            errors: figures.errors.clone(),
            retries: figures.retries.clone(),
            unknown: figures.unknown.len() as u64,
            abandoned_holds: figures.held.len() as u64,
            bots: figures.bots.clone(),
            bots_unanswered: figures.bot_silences.clone(),
            revalidations: figures.revalidated.0,
            unchanged: figures.revalidated.1,
            request_latency_ms: Latency::of(&figures.request_times),
            visit_latency_ms: Latency::of(&figures.visit_times),
            start_delay_ms: Latency::of(&figures.late),
            visit_histogram: bins(&figures.visit_times),
            tenths_seconds: figures.tenths.iter().map(Duration::as_secs_f64).collect(),
            kinds: kinds(figures),
            targets: targets(ground, figures, seconds),
            course: Course::new(&figures.series),
            readable: Course::new(&figures.series.readable()),
            findings: Vec::new(),
        }
    }

    /// Takes the proof, and says in one word what it means.
    pub(super) fn judged(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self.verdict = Held::of(&self);
        self
    }

    /// Whether a point of the proof is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.findings.iter().any(|finding| finding.verdict == Verdict::Broken)
    }
}

impl Plan {
    fn new(options: &Options) -> Self {
        let (name, about) = options.title.clone().unzip();
        let (arrival, over) = match options.arrival {
            Arrival::Burst => ("burst", None),
            Arrival::Rate(_) => ("rate", None),
            Arrival::Curve(shape, over) => (shape.name(), Some(over.as_secs_f64())),
        };
        Self {
            name,
            about: about.filter(|about| !about.is_empty()),
            arrival,
            over_seconds: over,
            visitors: Kind::ALL
                .iter()
                .map(|kind| (kind.name(), options.mix.weight(*kind)))
                .collect(),
            ways: Mode::ALL.iter().map(|mode| (mode.name(), options.mix.way(*mode))).collect(),
            planned: options.visitors,
            party: options.party.max(1),
            sessions: options.sessions,
        }
    }
}

impl Course {
    fn new(series: &Series) -> Self {
        let width = series.width().as_secs_f64();
        let moment = |(at, slot): (usize, &Slot)| Moment {
            // There are few slots.
            #[allow(clippy::cast_precision_loss)]
            seconds: at as f64 * width,
            due: slot.due,
            answers: slot.answers,
            gone: slot.gone,
            registered: slot.registered,
            refused: slot.refused,
            failed: slot.failed,
            retries: slot.retries,
            left: slot.left,
            visit_p50_ms: slot.visits.at(0.5),
            visit_p99_ms: slot.visits.at(0.99),
            request_p50_ms: slot.requests.at(0.5),
            request_p99_ms: slot.requests.at(0.99),
            targets: slot.targets.clone(),
        };
        let slots = series.slots().iter().enumerate().map(moment).collect();
        Self { slot_seconds: width, slots }
    }
}

// Counts are far below 2^53.
#[allow(clippy::cast_precision_loss)]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

fn kinds(figures: &Figures) -> Vec<KindReport> {
    let all = Kind::ALL.iter().zip(&figures.kinds).filter(|(_, of)| of.came > 0);
    all.map(|(kind, of)| KindReport {
        kind: *kind,
        came: of.came,
        registered: of.registered,
        left: of.left,
        refused: of.refused,
        failed: of.failed,
        requests: of.requests,
        visit_latency_ms: Latency::of(&of.times),
    })
    .collect()
}

fn targets(ground: &Ground, figures: &Figures, seconds: f64) -> Vec<TargetReport> {
    let all = ground.fleet.origins().zip(&figures.targets);
    all.map(|(origin, of)| TargetReport {
        target: origin.to_owned(),
        answers: of.answers,
        answers_per_second: per_second(of.answers, seconds),
        server_errors: of.server_errors,
        unanswered: of.unanswered,
        skipped: of.skipped,
        request_latency_ms: Latency::of(&of.times),
    })
    .collect()
}

/// Bounds of the bins, in microseconds, within each power of ten.
const BOUNDS: [u64; 6] = [100, 150, 200, 300, 500, 700];

/// Visits by how long they took, from the shortest to the longest.
fn bins(times: &Histogram<u64>) -> Vec<Bin> {
    if times.is_empty() {
        return Vec::new();
    }
    let powers = (0..8).map(|power| 10_u64.pow(power));
    let bounds = powers.flat_map(|power| BOUNDS.map(|bound| bound * power));
    let bounds: Vec<u64> = std::iter::once(0).chain(bounds).collect();
    let mut bins: Vec<Bin> = Vec::new();
    let mut below = 0;
    for two in bounds.windows(2) {
        let &[from, to] = two else { continue };
        let up_to = times.count_between(0, to);
        let count = up_to - below;
        below = up_to;
        if count > 0 || (!bins.is_empty() && up_to < times.len()) {
            // Bounds are far below 2^53.
            #[allow(clippy::cast_precision_loss)]
            let ms = |micros: u64| micros as f64 / 1000.0;
            bins.push(Bin { from_ms: ms(from), to_ms: ms(to), count });
        }
    }
    bins
}

/// A count with its thousands apart: `12,345`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visit_is_in_one_bin() {
        let mut times = match Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3) {
            Ok(times) => times,
            Err(error) => unreachable!("{error}"),
        };
        assert!(bins(&times).is_empty());
        for micros in [1, 99, 120, 5_000, 5_000, 80_000, 3_000_000_000] {
            times.saturating_record(micros);
        }
        let bins = bins(&times);
        assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), 7);
        assert!(bins.windows(2).all(|two| (two[0].to_ms - two[1].from_ms).abs() < 1e-9));
        assert_eq!(bins.first().map(|bin| bin.count), Some(2));
        assert_eq!(bins.last().map(|bin| bin.count), Some(1));
    }

    #[test]
    fn thousands_stand_apart() {
        let shown = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
