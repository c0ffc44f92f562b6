//! The table of results: on the terminal, and between two marks of
//! docs/performance.md.

use std::fmt::Write;
use std::path::Path;

const BEGIN: &str = "<!-- written by `cargo xtask bench`; edit nothing from here -->";
const END: &str = "<!-- to here -->";

/// One measured figure and what it should be.
#[derive(Debug, Clone)]
pub(super) struct Row {
    id: &'static str,
    what: String,
    measured: String,
    target: String,
    met: bool,
}

impl Row {
    /// A figure that may not exceed its target.
    pub(super) fn at_most(
        id: &'static str,
        what: &str,
        figure: f64,
        unit: &str,
        target: f64,
    ) -> Self {
        let (measured, limit) = (shown(figure, unit), shown(target, unit));
        Self {
            id,
            what: what.to_owned(),
            measured,
            target: format!("≤ {limit}"),
            met: figure <= target,
        }
    }

    /// A figure that may not fall below its target.
    pub(super) fn at_least(
        id: &'static str,
        what: &str,
        figure: f64,
        unit: &str,
        target: f64,
    ) -> Self {
        let (measured, limit) = (shown(figure, unit), shown(target, unit));
        Self {
            id,
            what: what.to_owned(),
            measured,
            target: format!("≥ {limit}"),
            met: figure >= target,
        }
    }

    /// What we serve as a share of the ceiling, both a second.
    pub(super) fn ratio(
        id: &'static str,
        what: &str,
        ours: f64,
        ceiling: f64,
        target: f64,
    ) -> Self {
        let ratio = if ceiling > 0.0 { ours / ceiling } else { 0.0 };
        let measured = format!("{ratio:.2} ({ours:.0} of {ceiling:.0}/s)");
        Self {
            id,
            what: what.to_owned(),
            measured,
            target: format!("≥ {target}"),
            met: ratio >= target,
        }
    }

    /// By number: P3 before P10.
    pub(super) fn order(&self) -> u32 {
        self.id.trim_start_matches('P').parse().unwrap_or(u32::MAX)
    }
}

fn shown(figure: f64, unit: &str) -> String {
    let digits = if figure >= 100.0 || figure.fract() == 0.0 { 0 } else { 2 };
    let space = if unit.is_empty() || unit.starts_with('/') || unit == "×" { "" } else { " " };
    format!("{figure:.digits$}{space}{unit}")
}

/// The rows as a table that reads well as text and as Markdown.
pub(super) fn text(rows: &[Row]) -> String {
    let head = ["", "what", "measured", "target", "met"].map(str::to_owned);
    let mut cells = vec![head];
    cells.extend(rows.iter().map(|row| {
        let met = if row.met { "yes" } else { "no" }.to_owned();
        [row.id.to_owned(), row.what.clone(), row.measured.clone(), row.target.clone(), met]
    }));
    let width =
        |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text = String::new();
    for (number, row) in cells.iter().enumerate() {
        let line: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "| {} |", line.join(" | "));
        if number == 0 {
            let _ = writeln!(text, "|{}|", widths.map(|width| "-".repeat(width + 2)).join("|"));
        }
    }
    text
}

/// Puts the table between the marks of docs/performance.md.
///
/// # Errors
/// The document can't be read or written, or has lost its marks.
pub(super) fn write_document(rows: &[Row], root: &Path) -> Result<(), String> {
    let path = root.join("docs/performance.md");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let document = std::fs::read_to_string(&path).map_err(failed)?;
    let changed = replaced(&document, &format!("{}\n{}", machine(), text(rows)))
        .ok_or_else(|| format!("{} has lost the marks around its table", path.display()))?;
    std::fs::write(&path, changed).map_err(failed)
}

fn replaced(document: &str, table: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

/// What it was measured on, in one line.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    format!(
        "Measured by `cargo xtask bench` on {cores} cores ({model}); load average {load} at the end.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_replaces_the_one_before_and_nothing_else() {
        let rows = [
            Row::ratio("P1", "registrations", 20_000.0, 40_000.0, 0.5),
            Row::at_most("P11", "start", 0.5, "s", 1.0),
            Row::at_most("P12", "memory", 41.0, "MB", 40.0),
        ];
        let document = format!("# A\n\n{BEGIN}\nold\n{END}\n\nB\n");
        let changed = replaced(&document, &text(&rows)).unwrap_or_default();
        assert!(changed.starts_with("# A\n\n") && changed.ends_with(&format!("{END}\n\nB\n")));
        assert!(!changed.contains("old"));
        assert!(
            changed.contains("| P1  | registrations | 0.50 (20000 of 40000/s) | ≥ 0.5   | yes |")
        );
        assert!(changed.contains("| P11 | start         | 0.50 s"), "{changed}");
        assert!(changed.contains("41 MB") && changed.contains("| no  |"));
        assert_eq!(replaced("no marks", "x"), None);
    }
}
