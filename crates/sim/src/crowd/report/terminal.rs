//! The report as a terminal shows it.

use std::fmt;

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::{Report, Verdict, grouped, per_second, words};

/// Columns that every terminal has.
const COLUMNS: usize = 80;

impl Report {
    fn figures(&self) -> Table {
        let mut table = plain_table();
        let mut row = |name: &str, count: u64, rate: f64| {
            table.add_row([name.to_owned(), grouped(count), format!("{rate:.0} a second")]);
        };
        row("requests", self.requests, self.requests_per_second);
        row("registrations", self.registrations, self.registrations_per_second);
        row("attendees", self.attendees, per_second(self.attendees, self.seconds));
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

    /// By kind of visitor, where there was more than one.
    fn by_kind(&self) -> Option<Table> {
        let mut table = plain_table();
        let header = ["", "came", "registered", "left", "refused", "failed", "p50", "p99"];
        table.set_header(header);
        for of in &self.kinds {
            let counts = [of.came, of.registered, of.left, of.refused, of.failed].map(grouped);
            let times = [of.visit_latency_ms.p50, of.visit_latency_ms.p99];
            let times = times.map(words::milliseconds);
            let cells = std::iter::once(of.kind.name().to_owned()).chain(counts).chain(times);
            table.add_row(cells);
        }
        right_align(&mut table, &[1, 2, 3, 4, 5, 6, 7]);
        (self.kinds.len() > 1).then_some(table)
    }

    /// By target, where there was more than one.
    fn by_target(&self) -> Option<Table> {
        let mut table = plain_table();
        table.set_header(["", "answers", "5xx", "no answer", "went past it", "p50", "p99"]);
        for of in &self.targets {
            let counts = [of.answers, of.server_errors, of.unanswered, of.skipped].map(grouped);
            let times = [of.request_latency_ms.p50, of.request_latency_ms.p99];
            // Who never answered took no time to do so.
            let times = times.map(|ms| match of.answers {
                0 => "–".to_owned(),
                _ => words::milliseconds(ms),
            });
            let name = of.target.trim_start_matches("http://").to_owned();
            table.add_row(std::iter::once(name).chain(counts).chain(times));
        }
        right_align(&mut table, &[1, 2, 3, 4, 5, 6]);
        (self.targets.len() > 1).then_some(table)
    }
}

impl fmt::Display for Report {
    /// For a terminal, with or without colors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} on {}", self.event_name, self.target)?;
        writeln!(
            f,
            "{} visitors came {}, for {:.1} seconds (seed {})\n",
            grouped(self.visitors),
            words::came(self),
            self.seconds,
            self.seed
        )?;
        writeln!(f, "{}\n\n{}", self.figures(), self.latencies())?;
        let from = if self.plan.arrival == "burst" { "began" } else { "was due" };
        writeln!(f, "  A visit counts from when it {from} until it was acknowledged or refused.")?;
        for table in [self.by_kind(), self.by_target(), self.mishaps()].into_iter().flatten() {
            writeln!(f, "\n{table}")?;
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
            writeln!(f, "  {word} {}\n{}", finding.claim, wrapped(&finding.detail, 13))?;
        }
        let end = format!("{} {}", self.verdict.headline(), words::because(self));
        writeln!(f, "\n{}", wrapped(&end, 0))
    }
}

/// A text in lines that fit, each after so many blanks; words longer than a line stay whole.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{:indent$}{word}", "")),
        }
    }
    lines.join("\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_between_words() {
        let text = "seats ".repeat(30) + &"x".repeat(90);
        let shown = wrapped(&text, 4);
        assert!(shown.lines().all(|line| line.starts_with("    ")), "{shown}");
        assert_eq!(shown.lines().map(str::len).collect::<Vec<_>>(), [75, 75, 39, 94], "{shown}");
        assert_eq!(shown.split_whitespace().collect::<Vec<_>>().join(" "), text);
        assert_eq!(wrapped("", 4), "");
    }
}
