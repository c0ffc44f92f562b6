//! The report as one page that can be mailed: everything in it, nothing loaded.

use askama::Template;

use super::plot::{Line, Plot, Scale, bars};
use super::words::{self, figure, milliseconds};
use super::{Bin, Held, Latency, Moment, Report, Verdict, grouped};

/// Classes that give lines their colors.
const COLORS: [&str; 6] = ["c1", "c2", "c3", "c4", "c5", "c6"];

#[derive(Template)]
#[template(path = "storm/report.html")]
struct Page<'a> {
    report: &'a Report,
    headline: &'static str,
    tone: &'static str,
    because: String,
    scenario: String,
    machine: String,
    tiles: Vec<(String, &'static str)>,
    plots: Vec<Picture>,
}

/// A plot with its caption and the names of its lines.
struct Picture {
    caption: &'static str,
    note: &'static str,
    names: Vec<(&'static str, String)>,
    svg: String,
}

impl Report {
    /// The report as an HTML page of its own.
    ///
    /// # Errors
    /// The template fails; it does not for any report.
    pub fn html(&self) -> Result<String, askama::Error> {
        let page = Page {
            report: self,
            headline: self.verdict.headline(),
            tone: match self.verdict {
                Held::Held => "good",
                Held::Strained => "fair",
                Held::Broken => "bad",
            },
            because: words::because(self),
            scenario: words::scenario(self),
            machine: self.machine.words(),
            tiles: self.tiles(),
            plots: self.plots(),
        };
        page.render()
    }

    fn tiles(&self) -> Vec<(String, &'static str)> {
        let failed = self.errors.values().sum();
        vec![
            (grouped(self.registrations), "registrations"),
            (figure(self.registrations_per_second), "registrations a second"),
            (milliseconds(self.visit_latency_ms.p50), "half of the visits took at most"),
            (milliseconds(self.visit_latency_ms.p99), "99 of 100 took at most"),
            (figure(self.requests_per_second), "requests a second"),
            (grouped(failed), "visitors failed"),
        ]
    }

    fn plots(&self) -> Vec<Picture> {
        let mut plots =
            vec![self.visitors_plot(), self.outcomes(), self.latency(), self.histogram()];
        plots.push(self.answers());
        plots.extend(self.seats());
        plots
    }

    fn visitors_plot(&self) -> Picture {
        let lines = vec![self.rate("c3", |m| m.due), self.rate("c1", |m| m.gone)];
        Picture {
            caption: "Arrivals and answers",
            note: "Where the lines part, visitors waited.",
            names: vec![("c3", "visitors due".into()), ("c1", "visits over".into())],
            svg: self.plot("Visitors due and visits over", "a second", Scale::Counts, lines),
        }
    }

    /// Registrations, and what went otherwise if anything did.
    fn outcomes(&self) -> Picture {
        type Count = fn(&Moment) -> u64;
        let refused = self.course.slots.iter().any(|moment| moment.refused > 0);
        let failed = self.course.slots.iter().any(|moment| moment.failed > 0);
        let all: [(bool, &'static str, &str, Count); 3] = [
            (true, "c2", "registered", |m| m.registered),
            (refused, "c4", "refused", |m| m.refused),
            (failed, "c5", "failed", |m| m.failed),
        ];
        let shown = || all.into_iter().filter(|(shown, ..)| *shown);
        Picture {
            caption: "Registrations",
            note: if refused { "Refused means sold out or closed: nothing was taken." } else { "" },
            names: shown().map(|(_, class, name, _)| (class, name.to_owned())).collect(),
            svg: self.plot(
                "Registrations over time",
                "a second",
                Scale::Counts,
                shown().map(|(_, class, _, of)| self.rate(class, of)).collect(),
            ),
        }
    }

    fn latency(&self) -> Picture {
        let line = |class, of: fn(&Moment) -> Option<f64>| Line {
            class,
            values: self.readable.slots.iter().map(of).collect(),
        };
        let lines = vec![line("c1", |m| m.visit_p50_ms), line("c4", |m| m.visit_p99_ms)];
        Picture {
            caption: "How long a visit took",
            note: "A visit is everything from arriving to leaving, waiting included.",
            names: vec![("c1", "half of them (p50)".into()), ("c4", "99 of 100 (p99)".into())],
            svg: self.plot("Time of visits", "at most", Scale::Times, lines),
        }
    }

    fn histogram(&self) -> Picture {
        // Counts are far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let heights = self.visit_histogram.iter().map(|bin| bin.count as f64);
        let values: Vec<(String, f64)> =
            names(&self.visit_histogram).into_iter().zip(heights).collect();
        Picture {
            caption: "Visits by how long they took",
            note: "",
            names: Vec::new(),
            svg: bars("Visits by how long they took", ("visits", "time of a visit"), &values),
        }
    }

    fn answers(&self) -> Picture {
        let several = self.targets.len() > 1;
        let mut lines = vec![self.rate(COLORS[0], |m| m.answers)];
        let mut names = Vec::new();
        if several {
            lines.clear();
            for (at, target) in self.targets.iter().enumerate() {
                let class = COLORS[at % COLORS.len()];
                lines.push(self.rate(class, |m| m.targets.get(at).copied().unwrap_or(0)));
                names.push((class, target.target.clone()));
            }
        }
        Picture {
            caption: if several { "Requests answered by each node" } else { "Requests answered" },
            note: "",
            names,
            svg: self.plot("Requests answered over time", "a second", Scale::Counts, lines),
        }
    }

    /// What was left of the event, if anybody told.
    fn seats(&self) -> Option<Picture> {
        let mut last = None;
        let known = |moment: &Moment| {
            last = moment.left.or(last);
            // Seats are far below 2^53.
            #[allow(clippy::cast_precision_loss)]
            last.map(|left| left as f64)
        };
        let values: Vec<Option<f64>> = self.readable.slots.iter().map(known).collect();
        values.iter().any(Option::is_some).then(|| Picture {
            caption: "Seats left",
            note: "",
            names: Vec::new(),
            svg: self.plot(
                "Seats left over time",
                "seats",
                Scale::Counts,
                vec![Line { class: "c6", values }],
            ),
        })
    }

    fn plot(
        &self,
        title: &'static str,
        unit: &'static str,
        scale: Scale,
        lines: Vec<Line>,
    ) -> String {
        let slot = self.readable.slot_seconds;
        Plot { title, unit, scale, slot, seconds: self.seconds, lines }.svg()
    }

    /// So many a second in each slot; the last one is not whole.
    fn rate(&self, class: &'static str, of: impl Fn(&Moment) -> u64) -> Line {
        let whole = self.readable.slot_seconds;
        let rate = |moment: &Moment| {
            let lasted = (self.seconds - moment.seconds).clamp(whole / 2.0, whole);
            // Counts are far below 2^53.
            #[allow(clippy::cast_precision_loss)]
            Some(of(moment) as f64 / lasted)
        };
        Line { class, values: self.readable.slots.iter().map(rate).collect() }
    }
}

/// Names below the most bins that have room for one.
const NAMED: usize = 6;

/// What each bin is called where it begins: the powers of ten, if there are enough of them to
/// read the others by, else one in so many. Others have no name.
fn names(bins: &[Bin]) -> Vec<String> {
    let is_power = |ms: f64| ms > 0.0 && (ms.log10() - ms.log10().round()).abs() < 1e-6;
    let enough = bins.iter().filter(|bin| is_power(bin.from_ms)).count() >= 2;
    let each = bins.len().div_ceil(NAMED).max(1);
    let named = |(at, bin): (usize, &Bin)| {
        let named = if enough { is_power(bin.from_ms) } else { at.is_multiple_of(each) };
        if named { milliseconds(bin.from_ms) } else { String::new() }
    };
    bins.iter().enumerate().map(named).collect()
}

/// For the template: one row of what was refused, failed or tried again.
type Mishap<'a> = (&'static str, &'a str, String);

impl Page<'_> {
    /// Milliseconds in the unit that reads best.
    fn ms(&self, value: &f64) -> String {
        milliseconds(*value)
    }

    /// The same of something that happened so often: nothing took no time.
    fn of(&self, count: &u64, value: &f64) -> String {
        if *count == 0 { "–".to_owned() } else { milliseconds(*value) }
    }

    fn count(&self, count: &u64) -> String {
        grouped(*count)
    }

    fn figure(&self, value: &f64) -> String {
        figure(*value)
    }

    fn mishaps(&self) -> Vec<Mishap<'_>> {
        let report = self.report;
        let all = [
            ("refused", &report.refused),
            ("failed", &report.errors),
            ("tried again", &report.retries),
        ];
        let rows = all.into_iter().flat_map(|(what, kinds)| {
            kinds.iter().map(move |(kind, count)| (what, kind.as_str(), grouped(*count)))
        });
        rows.collect()
    }

    fn latencies(&self) -> [(&'static str, &Latency); 3] {
        [
            ("a request", &self.report.request_latency_ms),
            ("a visit", &self.report.visit_latency_ms),
            ("until a visitor's first request", &self.report.start_delay_ms),
        ]
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Held => "holds",
            Self::Broken => "broken",
            Self::Unchecked => "not checked",
        }
    }

    fn tone(self) -> &'static str {
        match self {
            Self::Held => "good",
            Self::Broken => "bad",
            Self::Unchecked => "fair",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(bounds: &[f64]) -> Vec<String> {
        let bin = |two: &[f64]| Bin { from_ms: two[0], to_ms: two[1], count: 1 };
        names(&bounds.windows(2).map(bin).collect::<Vec<_>>())
    }

    #[test]
    fn a_histogram_can_be_read_wherever_its_bins_lie() {
        let wide = [0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0];
        assert_eq!(named(&wide), ["", "1 ms", "", "", "", "", "", "10 ms"]);
        assert_eq!(named(&[2.0, 3.0, 5.0, 7.0]), ["2 ms", "3 ms", "5 ms"]);
        let long = [1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0];
        assert_eq!(named(&long), ["1.5 ms", "", "3 ms", "", "7 ms", "", "15 ms"]);
        assert_eq!(named(&[0.0, 0.1]), ["0 ms"]);
    }
}
