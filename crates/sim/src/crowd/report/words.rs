//! The report in plain words: what was tried, and whether it held.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::super::proof::{ORDERS, POOLS};
use super::super::{Kind, Mode};
use super::{Report, Verdict, grouped};

/// Whether Sloe held, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Held {
    /// Every visitor had an answer and every point of the proof that could be checked holds.
    Held,
    /// The proof holds, but visitors failed.
    Strained,
    /// A point of the proof is broken.
    Broken,
}

impl Held {
    pub(super) fn of(report: &Report) -> Self {
        if report.is_broken() {
            Self::Broken
        } else if failed(report) > 0 {
            Self::Strained
        } else {
            Self::Held
        }
    }

    /// As the report's first words.
    #[must_use]
    pub const fn headline(self) -> &'static str {
        match self {
            Self::Held => "It held.",
            Self::Strained => "It kept its promises, but not everybody was served.",
            Self::Broken => "It did not hold.",
        }
    }
}

fn failed(report: &Report) -> u64 {
    report.errors.values().sum()
}

/// How the visitors came.
pub(super) fn came(report: &Report) -> String {
    let over = report.plan.over_seconds.unwrap_or(0.0);
    match (report.rate, report.plan.arrival) {
        (Some(rate), _) => format!("at {rate} a second"),
        (None, "wave") => format!("within {} as after an invitation", seconds(over)),
        (None, "on-sale") => format!("within {} as when tickets go on sale", seconds(over)),
        (None, "day") => format!("within {} as over a day", seconds(over)),
        _ => format!("in a burst over {} connections", report.connections),
    }
}

/// What the verdict rests on.
pub(super) fn because(report: &Report) -> String {
    let of = match report.plan.planned {
        planned if planned > report.visitors => format!(" of {}", grouped(planned)),
        _ => String::new(),
    };
    let mut text = format!(
        "{}{of} visitors came {}; {} registrations were acknowledged, {} a second, and 99 of 100 \
         visits were over within {}.",
        grouped(report.visitors),
        came(report),
        grouped(report.registrations),
        figure(report.registrations_per_second),
        milliseconds(report.visit_latency_ms.p99)
    );
    let count = |verdict| report.findings.iter().filter(|f| f.verdict == verdict).count();
    let (broken, unchecked) = (count(Verdict::Broken), count(Verdict::Unchecked));
    let held =
        |claim| report.findings.iter().any(|f| f.claim == claim && f.verdict == Verdict::Held);
    let failed = failed(report);
    // Writing to a String can't fail.
    let _ = match broken {
        0 if held(POOLS) && held(ORDERS) => {
            write!(text, " Nothing was oversold, lost or doubled.")
        }
        0 => write!(text, " No promise was seen broken."),
        1 => write!(text, " One promise was broken; the proof says which."),
        many => write!(text, " {many} promises were broken; the proof says which."),
    };
    let refused: u64 = report.refused.values().sum();
    if refused > 0 {
        let _ =
            write!(text, " {} visitors were told that they could not have it.", grouped(refused));
    }
    if failed > 0 {
        let _ = write!(text, " {} visitors ended in an error.", grouped(failed));
    }
    if unchecked > 0 {
        let points = if unchecked == 1 { "One point" } else { "Some points" };
        let _ = write!(text, " {points} could not be checked.");
    }
    text
}

/// The scenario in sentences.
pub(super) fn scenario(report: &Report) -> String {
    let plan = &report.plan;
    let mut text = format!("{} visitors were to come {}. ", grouped(plan.planned), came(report));
    if let Some(way) = Mode::ALL.into_iter().find(|mode| mode.name() == report.mode) {
        let _ = write!(text, "All of them registered by {}. ", by(way));
    } else {
        let kinds = report.kinds.iter().map(|of| of.kind);
        let kinds: Vec<String> = kinds
            .map(|kind| {
                let share = share(&plan.visitors, kind.name());
                format!("{share} % {} ({})", kind.name(), kind.does())
            })
            .collect();
        let ways = Mode::ALL.into_iter().filter(|mode| plan.ways.get(mode.name()) > Some(&0));
        let ways: Vec<String> = ways
            .map(|mode| format!("{} % by {}", share(&plan.ways, mode.name()), by(mode)))
            .collect();
        let _ = write!(text, "{}. ", kinds.join(", "));
        let takes = |kind| !matches!(kind, Kind::Lookers | Kind::Bots);
        if report.kinds.iter().any(|of| takes(of.kind)) {
            let _ = write!(text, "Those who wanted seats took them {}. ", ways.join(", "));
        }
    }
    let _ = match plan.party {
        0 | 1 => write!(text, "Everybody came alone"),
        2 => write!(text, "Everybody came alone or with one other"),
        most => write!(text, "Everybody came with up to {} others", most - 1),
    };
    let _ = match plan.sessions {
        0 => write!(text, " and chose no session."),
        1 => write!(text, " and chose up to one session."),
        most => write!(text, " and chose up to {most} sessions."),
    };
    let _ = match report.targets.len() {
        1 => write!(text, " All of it went to {}", report.target),
        many => write!(text, " Each request went to the next of {many} nodes"),
    };
    let _ = write!(text, " over {} connections.", grouped(report.connections as u64));
    text
}

/// How many of 100 have this weight.
fn share(weights: &BTreeMap<&'static str, u32>, name: &str) -> String {
    let all: f64 = weights.values().map(|weight| f64::from(*weight)).sum();
    let weight = weights.get(name).copied().unwrap_or(0);
    figure(100.0 * f64::from(weight) / all.max(1.0))
}

fn by(way: Mode) -> &'static str {
    match way {
        Mode::Api => "one call of the API",
        Mode::Hold => "a hold and its confirmation by the API",
        Mode::Html => "the site's own pages and forms",
    }
}

/// A figure with as many digits as mean something.
pub(super) fn figure(value: f64) -> String {
    if value >= 100.0 {
        // Figures are far below 2^53 and not negative.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        return grouped(value.round() as u64);
    }
    let digits = if value >= 10.0 { 1 } else { 2 };
    let text = format!("{value:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Milliseconds in the unit that reads best.
pub(super) fn milliseconds(value: f64) -> String {
    if value >= 60_000.0 {
        format!("{} min", figure(value / 60_000.0))
    } else if value >= 1_000.0 {
        format!("{} s", figure(value / 1_000.0))
    } else {
        format!("{} ms", figure(value))
    }
}

/// Seconds in the unit that reads best.
pub(super) fn seconds(value: f64) -> String {
    milliseconds(value * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_and_the_unit_that_read_best() {
        let figures = [0.0, 0.256, 3.0, 12.34, 99.96, 1_234.5].map(figure);
        assert_eq!(figures, ["0", "0.26", "3", "12.3", "100", "1,235"]);
        let times = [0.4, 21.0, 1_500.0, 90_000.0].map(milliseconds);
        assert_eq!(times, ["0.4 ms", "21 ms", "1.5 s", "1.5 min"]);
    }
}
