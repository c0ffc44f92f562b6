//! What a storm has shown, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, presets};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::tally::Figures;
use super::{Arrival, Ground, Mode, Options};

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

/// A storm's result.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Sloe's address.
    pub target: String,
    /// The event's public id.
    pub event: String,
    /// The event's name.
    pub event_name: String,
    /// How the visitors registered.
    pub mode: Mode,
    /// Visitors a second, if they came by a timetable.
    pub rate: Option<f64>,
    /// Connections.
    pub connections: usize,
    /// The crowd's seed: with it, the same crowd comes again.
    pub seed: u64,
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
    /// From request to answer.
    pub request_latency_ms: Latency,
    /// A whole visit: from when it was due (with a rate) or began (a burst).
    pub visit_latency_ms: Latency,
    /// Seconds until each tenth of the visitors had gone.
    pub tenths_seconds: Vec<f64>,
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
        let people = |visitor| u64::from(ground.wish(visitor).people);
        let registrations = figures.acknowledged.len() as u64;
        // Counts are far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let per_second = |count: u64| count as f64 / seconds;
        Self {
            target: ground.target.origin.clone(),
            event: ground.offer.id.clone(),
            event_name: ground.offer.name.clone(),
            mode: options.mode,
            rate: match options.arrival {
                Arrival::Rate(rate) => Some(rate),
                Arrival::Burst => None,
            },
            connections: options.connections,
            seed: options.seed,
            visitors: figures.gone,
            seconds,
            requests: figures.requests,
            requests_per_second: per_second(figures.requests),
            registrations,
            registrations_per_second: per_second(registrations),
            attendees: figures.acknowledged.iter().map(|order| people(order.visitor)).sum(),
            refused: figures.refused.clone(),
            errors: figures.errors.clone(),
            retries: figures.retries.clone(),
            unknown: figures.unknown.len() as u64,
            request_latency_ms: Latency::of(&figures.request_times),
            visit_latency_ms: Latency::of(&figures.visit_times),
            tenths_seconds: figures.tenths.iter().map(Duration::as_secs_f64).collect(),
            findings: Vec::new(),
        }
    }

    /// Whether a point of the proof is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.findings.iter().any(|finding| finding.verdict == Verdict::Broken)
    }

    fn figures(&self) -> Table {
        let mut table = plain_table();
        let mut row = |name: &str, count: u64, rate: f64| {
            table.add_row([name.to_owned(), grouped(count), format!("{rate:.0} a second")]);
        };
        row("requests", self.requests, self.requests_per_second);
        row("registrations", self.registrations, self.registrations_per_second);
        #[allow(clippy::cast_precision_loss)]
        row("attendees", self.attendees, self.attendees as f64 / self.seconds);
        right_align(&mut table, &[1, 2]);
        table
    }

    fn latencies(&self) -> Table {
        let mut table = plain_table();
        table.set_header(["", "p50", "p95", "p99", "longest"]);
        for (name, latency) in
            [("a request", self.request_latency_ms), ("a visit", self.visit_latency_ms)]
        {
            let times = [latency.p50, latency.p95, latency.p99, latency.max];
            let cells = times.map(|ms| Cell::new(format!("{ms:.1} ms")));
            table.add_row(std::iter::once(Cell::new(name)).chain(cells));
        }
        right_align(&mut table, &[1, 2, 3, 4]);
        table
    }

    fn mishaps(&self) -> Option<Table> {
        let mut table = plain_table();
        for (what, kinds) in
            [("refused", &self.refused), ("failed", &self.errors), ("tried again", &self.retries)]
        {
            for (kind, count) in kinds {
                table.add_row([what.to_owned(), kind.clone(), grouped(*count)]);
            }
        }
        right_align(&mut table, &[2]);
        (!table.is_empty()).then_some(table)
    }
}

impl fmt::Display for Report {
    /// For a terminal, with or without colors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let came = match self.rate {
            Some(rate) => format!("{rate} a second"),
            None => format!("in a burst over {} connections", self.connections),
        };
        writeln!(f, "\n{} on {}", self.event_name, self.target)?;
        writeln!(
            f,
            "{} visitors came {came}, for {:.1} seconds (seed {})\n",
            grouped(self.visitors),
            self.seconds,
            self.seed
        )?;
        writeln!(f, "{}\n\n{}", self.figures(), self.latencies())?;
        let from = if self.rate.is_some() { "was due" } else { "began" };
        writeln!(f, "  A visit counts from when it {from} until it was acknowledged or refused.")?;
        if let Some(mishaps) = self.mishaps() {
            writeln!(f, "\n{mishaps}")?;
        }
        if self.unknown > 0 {
            writeln!(f, "  {} visitors never learned their outcome.", grouped(self.unknown))?;
        }
        writeln!(f)?;
        for finding in &self.findings {
            let word = match finding.verdict {
                Verdict::Held => "holds     ",
                Verdict::Broken => "BROKEN    ",
                Verdict::Unchecked => "unchecked ",
            };
            writeln!(f, "  {word} {}\n             {}", finding.claim, finding.detail)?;
        }
        Ok(())
    }
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn right_align(table: &mut Table, columns: &[usize]) {
    for index in columns {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// A count with its thousands apart: `12,345`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        let _ = text.write_char(digit);
    }
    text
}
