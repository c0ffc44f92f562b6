//! The table of results: on the terminal, and between two marks of
//! docs/performance.md.

use std::fmt::Write;
use std::path::Path;

/// The two tables of docs/performance.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Platform,
    Salesforce,
}

impl Table {
    /// What stands before and after it.
    fn marks(self) -> (&'static str, &'static str) {
        match self {
            Self::Platform => (
                "<!-- written by `cargo xtask bench`; edit nothing from here -->",
                "<!-- to here -->",
            ),
            Self::Salesforce => (
                "<!-- Salesforce, written by `cargo xtask bench`; edit nothing from here -->",
                "<!-- Salesforce, to here -->",
            ),
        }
    }
}

/// One measured figure and what it should be.
#[derive(Debug, Clone)]
pub(super) struct Row {
    id: String,
    what: String,
    measured: String,
    target: String,
    /// `None` where there is no target.
    met: Option<bool>,
}

impl Row {
    /// A figure that may not exceed its target.
    pub(super) fn at_most(id: &str, what: &str, figure: f64, unit: &str, target: f64) -> Self {
        let (measured, limit) = (shown(figure, unit), shown(target, unit));
        Self {
            id: id.to_owned(),
            what: what.to_owned(),
            measured,
            target: format!("≤ {limit}"),
            met: Some(figure <= target),
        }
    }

    /// A figure without a target.
    pub(super) fn told(id: &str, what: &str, figure: f64, unit: &str) -> Self {
        let measured = shown(figure, unit);
        Self {
            id: id.to_owned(),
            what: what.to_owned(),
            measured,
            target: "–".to_owned(),
            met: None,
        }
    }

    /// A figure that may not fall below its target.
    pub(super) fn at_least(id: &str, what: &str, figure: f64, unit: &str, target: f64) -> Self {
        let (measured, limit) = (shown(figure, unit), shown(target, unit));
        Self {
            id: id.to_owned(),
            what: what.to_owned(),
            measured,
            target: format!("≥ {limit}"),
            met: Some(figure >= target),
        }
    }

    /// What we serve as a share of the ceiling, both a second.
    pub(super) fn ratio(id: &str, what: &str, ours: f64, ceiling: f64, target: f64) -> Self {
        let ratio = if ceiling > 0.0 { ours / ceiling } else { 0.0 };
        let measured = format!("{ratio:.2} ({ours:.0} of {ceiling:.0}/s)");
        Self {
            id: id.to_owned(),
            what: what.to_owned(),
            measured,
            target: format!("≥ {target}"),
            met: Some(ratio >= target),
        }
    }

    /// A row as [`text`] wrote it; `None` for lines that are none.
    fn read(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [id, what, measured, target, met] = cells.as_slice() else { return None };
        if !id.starts_with(['P', 'S']) {
            return None;
        }
        let [what, measured, target] = [what, measured, target].map(|&cell| cell.to_owned());
        let met = match *met {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        };
        Some(Self { id: (*id).to_owned(), what, measured, target, met })
    }

    /// By number: P3 before P10.
    pub(super) fn order(&self) -> u32 {
        self.id.trim_start_matches(['P', 'S']).parse().unwrap_or(u32::MAX)
    }

    /// The table that it stands in: of the platform, or of Salesforce.
    fn table(&self) -> Table {
        if self.id.starts_with('S') { Table::Salesforce } else { Table::Platform }
    }
}

fn shown(figure: f64, unit: &str) -> String {
    let digits = match figure {
        figure if figure >= 100.0 || figure.fract() == 0.0 => 0,
        figure if figure < 0.1 => 4,
        _ => 2,
    };
    let space = if unit.is_empty() || unit.starts_with('/') || unit == "×" { "" } else { " " };
    format!("{figure:.digits$}{space}{unit}")
}

/// The rows as a table that reads well as text and as Markdown.
pub(super) fn text(rows: &[Row]) -> String {
    let head = ["", "what", "measured", "target", "met"].map(str::to_owned);
    let mut cells = vec![head];
    cells.extend(rows.iter().map(|row| {
        let met = row.met.map_or("–", |met| if met { "yes" } else { "no" }).to_owned();
        [row.id.clone(), row.what.clone(), row.measured.clone(), row.target.clone(), met]
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

/// Puts rows into their tables of docs/performance.md; rows of other
/// benchmarks stay as they were measured before.
///
/// # Errors
/// The document can't be read or written, or has lost its marks.
pub(super) fn write_document(rows: &[Row], root: &Path) -> Result<(), String> {
    let path = root.join("docs/performance.md");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut document = std::fs::read_to_string(&path).map_err(failed)?;
    for table in [Table::Platform, Table::Salesforce] {
        let rows: Vec<Row> = rows.iter().filter(|row| row.table() == table).cloned().collect();
        if !rows.is_empty() {
            document = replaced(&document, table, &rows)
                .ok_or_else(|| format!("{} has lost the marks around a table", path.display()))?;
        }
    }
    std::fs::write(&path, document).map_err(failed)
}

fn replaced(document: &str, table: Table, rows: &[Row]) -> Option<String> {
    let (begin, end) = table.marks();
    let (before, rest) = document.split_once(begin)?;
    let (known, after) = rest.split_once(end)?;
    let mut all: Vec<Row> = known.lines().filter_map(Row::read).collect();
    all.retain(|row| rows.iter().all(|new| new.id != row.id));
    all.extend(rows.iter().cloned());
    all.sort_by_key(Row::order);
    let mut ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    ids.dedup();
    let machine = machine(&ids.join(", "));
    Some(format!("{before}{begin}\n\n{machine}\n{}\n{end}{after}", text(&all)))
}

/// What it was measured on, in one line.
fn machine(measured: &str) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    format!(
        "Measured by `cargo xtask bench` on {cores} cores ({model}); load average {load} at the end \
         of the last run ({measured}).\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_rows_replace_their_own_and_nothing_else() {
        let rows = [
            Row::ratio("P1", "registrations", 20_000.0, 40_000.0, 0.5),
            Row::at_most("P11", "start", 0.5, "s", 1.0),
            Row::at_most("P12", "memory", 41.0, "MB", 40.0),
        ];
        let (begin, end) = Table::Platform.marks();
        let document = format!("# A\n\n{begin}\nold\n{end}\n\nB\n");
        let changed = replaced(&document, Table::Platform, &rows).unwrap_or_default();
        assert!(changed.starts_with("# A\n\n") && changed.ends_with(&format!("{end}\n\nB\n")));
        assert!(!changed.contains("old"));
        assert!(
            changed.contains("| P1  | registrations | 0.50 (20000 of 40000/s) | ≥ 0.5   | yes |")
        );
        assert!(changed.contains("| P11 | start         | 0.50 s"), "{changed}");
        assert!(changed.contains("41 MB") && changed.contains("| no  |"));
        let again = [Row::told("P11", "start", 0.7, "s")];
        let changed = replaced(&changed, Table::Platform, &again).unwrap_or_default();
        assert!(
            changed.contains("41 MB") && changed.contains("| P1  | registrations"),
            "{changed}"
        );
        assert!(changed.contains("0.70 s") && !changed.contains("0.50 s"), "{changed}");
        assert_eq!(replaced("no marks", Table::Platform, &rows), None);
        assert_eq!(replaced(&document, Table::Salesforce, &rows), None);
    }
}
