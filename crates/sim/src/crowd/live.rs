//! The storm as it is watched: a bar for whoever waits, and on a terminal rows
//! that say what happens now.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::pace::Pace;
use super::report::grouped;
use super::series::Slot;
use super::tally::{Figures, Tally};
use super::{Ground, Options};

/// Columns of a row's figures, which come first: where there is little room, bars are cut.
const FIGURES: usize = 36;
/// Slots that a row shows.
const WIDE: usize = 24;
/// Looks at the bar for each look at the rows.
const SELDOM: u32 = 5;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Where a storm is watched.
pub struct Screen {
    bar: ProgressBar,
    rows: Option<MultiProgress>,
    shown: OnceLock<Rows>,
    looks: AtomicU32,
}

struct Rows {
    arrivals: ProgressBar,
    registrations: ProgressBar,
    latency: ProgressBar,
    trouble: ProgressBar,
    seats: ProgressBar,
    targets: Vec<ProgressBar>,
}

impl Screen {
    /// Only this bar.
    #[must_use]
    pub fn of(bar: ProgressBar) -> Self {
        Self { bar, rows: None, shown: OnceLock::new(), looks: AtomicU32::new(0) }
    }

    /// Nowhere.
    #[must_use]
    pub fn hidden() -> Self {
        Self::of(ProgressBar::hidden())
    }

    /// On standard error, where it is a terminal; nowhere otherwise.
    #[must_use]
    pub fn terminal() -> Self {
        let rows = MultiProgress::new();
        let bar = rows.add(ProgressBar::no_length());
        let style = "{elapsed_precise} {wide_bar} {human_pos}/{human_len} {per_sec} {msg}";
        // The template is fixed and good; without it the bar looks plainer.
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { rows: Some(rows), ..Self::of(bar) }
    }

    pub(super) fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    pub(super) fn open(&self, options: &Options, ground: &Ground) {
        self.bar.set_length(options.visitors);
        let Some(multi) = self.rows.as_ref().filter(|rows| !rows.is_hidden()) else { return };
        let row = |name: &str| {
            let row = multi.add(ProgressBar::no_length());
            if let Ok(style) = ProgressStyle::with_template("{prefix:>16.dim}  {wide_msg}") {
                row.set_style(style);
            }
            row.set_prefix(name.to_owned());
            row
        };
        let origins = || ground.fleet.origins().filter(|_| ground.fleet.len() > 1);
        self.shown.get_or_init(|| Rows {
            arrivals: row("arrivals"),
            registrations: row("registrations"),
            latency: row("a visit takes"),
            trouble: row("trouble"),
            seats: row("seats left"),
            targets: origins().map(|origin| row(origin.trim_start_matches("http://"))).collect(),
        });
    }

    /// Shows how far the storm is.
    pub(super) fn show(&self, tally: &Tally, pace: &Pace) {
        let (text, gone) = tally.look(|figures| (progress(figures), figures.gone));
        self.bar.set_message(text);
        self.bar.set_position(gone);
        if let Some(rows) = self.shown.get()
            && self.looks.fetch_add(1, Ordering::Relaxed).is_multiple_of(SELDOM)
        {
            tally.look(|figures| rows.show(figures, pace, tally.elapsed()));
        }
    }

    /// Nothing is shown any more.
    pub(super) fn close(&self) {
        self.bar.finish_and_clear();
        if let Some(rows) = &self.rows {
            // A terminal that can't be cleared shows the last figures.
            let _ = rows.clear();
        }
    }
}

fn progress(figures: &Figures) -> String {
    let sum = |kinds: &std::collections::BTreeMap<String, u64>| kinds.values().sum::<u64>();
    format!(
        "{} registered, {} refused, {} failed",
        figures.acknowledged.len(),
        sum(&figures.refused),
        sum(&figures.errors)
    )
}

impl Rows {
    fn show(&self, figures: &Figures, pace: &Pace, now: Duration) {
        let (lately, over) = figures.series.lately(now);
        // Counts are far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let rate = |count: u64| count as f64 / over.as_secs_f64().max(1e-9);
        let slots = figures.series.slots();
        let line = |of: &dyn Fn(&Slot) -> Option<f64>| spark(slots.iter().map(of));
        #[allow(clippy::cast_precision_loss)]
        let count = |count: u64| Some(count as f64);
        // Who is due and still waits for a connection is not in the figures yet.
        let width = figures.series.width();
        let due = |from: Duration, to: Duration| pace.due_between(from, to.min(now));
        let arrivals = slots
            .iter()
            .zip(0_u32..)
            .map(|(slot, at)| count(due(width * at, width * (at + 1)).unwrap_or(slot.due)));
        let arrivals: Vec<Option<f64>> = arrivals.collect();
        let arriving = due(now.saturating_sub(over), now).unwrap_or(lately.due);
        self.arrivals
            .set_message(row(&format!("{:.0}/s", rate(arriving)), &spark(arrivals.into_iter())));
        self.registrations.set_message(row(
            &format!("{:.0}/s, {:.0} answers/s", rate(lately.registered), rate(lately.answers)),
            &line(&|slot| count(slot.registered)),
        ));
        let time = |quantile| match lately.visits.at(quantile) {
            Some(ms) => format!("{ms:.1} ms"),
            None => "–".to_owned(),
        };
        self.latency.set_message(row(
            &format!("p50 {}, p99 {}", time(0.5), time(0.99)),
            &line(&|slot| slot.visits.at(0.99)),
        ));
        self.trouble.set_message(trouble(figures));
        // It is looked at once a second only: between two looks the last one stands.
        let left: Vec<Option<u64>> = slots
            .iter()
            .scan(None, |last, slot| {
                *last = slot.left.or(*last);
                Some(*last)
            })
            .collect();
        self.seats.set_message(match left.last().copied().flatten() {
            Some(now) => row(&grouped(now), &spark(left.iter().map(|left| left.and_then(count)))),
            None => "no limit is told".to_owned(),
        });
        for (at, (bar, target)) in self.targets.iter().zip(&figures.targets).enumerate() {
            let figures = format!(
                "{:.0}/s, {} no answer, {} past it",
                rate(lately.targets.get(at).copied().unwrap_or(0)),
                grouped(target.unanswered),
                grouped(target.skipped)
            );
            let bars = line(&|slot| slot.targets.get(at).copied().and_then(count));
            bar.set_message(row(&figures, &bars));
        }
    }
}

/// What was refused, went wrong and was tried again, the most frequent first.
fn trouble(figures: &Figures) -> String {
    let mut all: Vec<(&str, &str, u64)> = Vec::new();
    for (what, kinds) in
        [("", &figures.refused), ("failed: ", &figures.errors), ("again: ", &figures.retries)]
    {
        all.extend(kinds.iter().map(|(kind, count)| (what, kind.as_str(), *count)));
    }
    all.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    let mut text = String::new();
    for (what, kind, count) in all.into_iter().take(4) {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{what}{kind} {}", grouped(count));
    }
    if text.is_empty() { "none".to_owned() } else { text }
}

/// Figures and their bars.
fn row(figures: &str, bars: &str) -> String {
    format!("{figures:<FIGURES$}{bars}")
}

/// The last values as a row of bars; a gap where there is none.
fn spark(values: impl ExactSizeIterator<Item = Option<f64>>) -> String {
    let skip = values.len().saturating_sub(WIDE);
    let values: Vec<Option<f64>> = values.skip(skip).collect();
    let most = values.iter().flatten().fold(0.0_f64, |most, value| most.max(*value));
    let bar = |value: &Option<f64>| match value {
        None => ' ',
        Some(value) => {
            let share = if most > 0.0 { value / most } else { 0.0 };
            // Between 0 and 7.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let at = (share * 7.0).round() as usize;
            BARS.get(at).copied().unwrap_or('█')
        }
    };
    let row: String = values.iter().map(bar).collect();
    format!("{row:<WIDE$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_bars_shows_the_last_values_with_gaps() {
        let row = spark([Some(0.0), None, Some(50.0), Some(100.0)].into_iter());
        assert_eq!(row.trim_end(), "▁ ▅█");
        assert_eq!(row.chars().count(), WIDE);
        let long: Vec<Option<f64>> = (0..100).map(|n| Some(f64::from(n))).collect();
        assert_eq!(spark(long.into_iter()).chars().count(), WIDE);
        assert_eq!(spark([Some(0.0)].into_iter()).trim_end(), "▁");
    }

    #[test]
    fn figures_come_first_and_a_row_fits_eighty_columns() {
        let row = row("123,456/s, 654,321 answers/s", &spark([Some(1.0)].into_iter()));
        assert!(row.starts_with("123,456/s, ") && row.trim_end().ends_with('█'), "{row}");
        // Before it come its name and two blanks.
        assert!(16 + 2 + row.chars().count() <= 80, "{row}");
    }
}
