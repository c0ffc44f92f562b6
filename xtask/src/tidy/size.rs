//! Files and functions stay short enough to read in one go.
//!
//! What is longer stands in `xtask/tidy-exceptions.toml` with its exact length: it may not grow,
//! and whoever shortens it lowers the number, so the list can only shrink.

use toml::{Table, Value};

use super::Fault;
use super::source::{Function, Source};
use super::tree::{self, File};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
const LIST: &str = "xtask/tidy-exceptions.toml";

/// What was longer when the rule came.
#[derive(Default)]
pub(super) struct Exceptions(Vec<Exception>);

struct Exception {
    path: String,
    /// None: the file itself.
    function: Option<String>,
    lines: usize,
}

impl Exceptions {
    pub(super) fn read(files: &[File]) -> Result<Self, String> {
        let Some(file) = tree::find(files, LIST) else { return Ok(Self::default()) };
        Self::parse(&file.text).map_err(|error| format!("{LIST}: {error}"))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error| format!("{error}"))?;
        let rows = table.get("long").and_then(Value::as_array).into_iter().flatten();
        let exceptions: Result<_, String> = rows.map(Exception::read).collect();
        exceptions.map(Self)
    }

    fn lines(&self, path: &str, function: Option<&str>) -> Option<usize> {
        let fits = |row: &&Exception| row.path == path && row.function.as_deref() == function;
        self.0.iter().find(fits).map(|row| row.lines)
    }
}

impl Exception {
    fn read(row: &Value) -> Result<Self, String> {
        let text = |key| row.get(key).and_then(Value::as_str).map(str::to_owned);
        let lines =
            row.get("lines").and_then(Value::as_integer).and_then(|n| usize::try_from(n).ok());
        match (text("path"), lines, text("why")) {
            (Some(path), Some(lines), Some(_)) => {
                Ok(Self { path, function: text("function"), lines })
            }
            _ => {
                Err("every [[long]] needs `path`, `lines` and `why` (and `function`, if it is one)"
                    .into())
            }
        }
    }
}

pub(super) fn check(sources: &[Source], exceptions: &Exceptions) -> Vec<Fault> {
    let mut faults = Vec::new();
    for source in sources {
        let functions = source.functions();
        let lines = source.text.lines().count();
        faults.extend(file(source.path, lines, exceptions.lines(source.path, None)));
        for found in &functions {
            let listed = exceptions.lines(source.path, Some(&found.name));
            faults.extend(function(source.path, found, listed));
        }
    }
    faults.extend(exceptions.0.iter().filter(|row| !fits(row, sources)).map(gone));
    faults
}

fn file(path: &str, lines: usize, listed: Option<usize>) -> Option<Fault> {
    let what = judge("the file", lines, FILE_LINES, listed)?;
    Some(Fault::new(path, 1, what, "split it by what its parts own"))
}

fn function(path: &str, found: &Function, listed: Option<usize>) -> Option<Fault> {
    let name = format!("`{}`", found.name);
    let what = judge(&name, found.lines, FUNCTION_LINES, listed)?;
    Some(Fault::new(path, found.line, what, "give its steps names and functions of their own"))
}

/// What is wrong with this length, if anything.
fn judge(name: &str, lines: usize, limit: usize, listed: Option<usize>) -> Option<String> {
    match listed {
        None if lines > limit => Some(format!("{name} has {lines} lines, {limit} are allowed")),
        Some(listed) if lines > listed => {
            Some(format!("{name} has grown to {lines} lines from the {listed} that {LIST} allows"))
        }
        _ => None,
    }
}

/// Whether an exception is still needed, at its number.
fn fits(row: &Exception, sources: &[Source]) -> bool {
    let Some(source) = sources.iter().find(|source| source.path == row.path) else { return false };
    match &row.function {
        None => {
            let lines = source.text.lines().count();
            lines > FILE_LINES && lines >= row.lines
        }
        Some(name) => source
            .functions()
            .iter()
            .any(|f| f.name == *name && f.lines > FUNCTION_LINES && f.lines >= row.lines),
    }
}

fn gone(row: &Exception) -> Fault {
    let name = row.function.as_deref().unwrap_or("the file");
    let what = format!("{name} of {} is shorter than {} lines by now", row.path, row.lines);
    Fault::new(LIST, 1, what, "lower the number, or strike the exception out")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long_function(lines: usize) -> String {
        format!("//! A file.\nfn long() {{\n{}}}\n", "    a();\n".repeat(lines - 2))
    }

    fn faults(text: &str, exceptions: &str) -> Vec<String> {
        let exceptions = Exceptions::parse(exceptions).unwrap();
        check(&[Source::new("a.rs", text)], &exceptions).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_long_file_is_found_and_a_full_one_is_not() {
        assert_eq!(faults(&"//! a b\n".repeat(500), ""), [""; 0]);
        let found = faults(&"//! a b\n".repeat(501), "");
        assert_eq!(
            found,
            ["a.rs:1: the file has 501 lines, 500 are allowed; split it by what its parts own"]
        );
    }

    #[test]
    fn a_long_function_is_found_and_a_full_one_is_not() {
        assert_eq!(faults(&long_function(70), ""), [""; 0]);
        let found = faults(&long_function(71), "");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("a.rs:2: `long` has 71 lines, 70 are allowed"), "{found:?}");
    }

    #[test]
    fn an_exception_may_neither_grow_nor_outlive_its_need() {
        let listed = "[[long]]\npath = 'a.rs'\nfunction = 'long'\nlines = 80\nwhy = 'a table'\n";
        assert_eq!(faults(&long_function(80), listed), [""; 0]);
        assert!(faults(&long_function(81), listed)[0].contains("has grown to 81"));
        assert!(faults(&long_function(79), listed)[0].contains("lower the number"));
        assert!(faults("//! A file.\n", listed)[0].contains("strike the exception out"));
    }

    #[test]
    fn an_exception_without_a_reason_is_refused() {
        assert!(Exceptions::parse("[[long]]\npath = 'a.rs'\nlines = 600\n").is_err());
    }
}
