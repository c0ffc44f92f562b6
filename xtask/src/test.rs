//! `cargo xtask test`: every check, one heading each, the quick ones first.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Outcome, browser, cargo, tidy};

/// How much of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything; this is what CI runs.
    Whole,
    /// All but the browser and the crash tests: for between two edits.
    Fast,
}

/// Test binaries that need a browser begin so.
const BROWSER: &str = "browser_";
/// Test binaries that kill the server again and again begin so.
const CRASH: &str = "crash";

/// Cargo's arguments for each check that is a call of cargo.
const FORMAT: &[&str] = &["fmt", "--all", "--check"];
const LINTS: &[&str] =
    &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
/// What is shipped has no `sim` feature and none of the features that only tests turn on.
const SHIPPED_LINTS: &[&str] =
    &["clippy", "--package", "sloe", "--no-default-features", "--locked", "--", "-D", "warnings"];
/// `--examples` is there for the features of dev-dependencies: with the same features as the lints
/// and tests have, no dependency is checked a second time.
const DOCUMENTATION: &[&str] = &[
    "doc",
    "--workspace",
    "--no-deps",
    "--document-private-items",
    "--lib",
    "--bins",
    "--examples",
    "--locked",
];
const EXAMPLES: &[&str] = &["test", "--workspace", "--doc", "--locked"];

/// Runs the checks of this scope; the last line says which tests were left out, if any were.
///
/// # Errors
/// A check fails: the text says which, and what to do.
pub(crate) fn run(scope: Scope) -> Outcome {
    let start = Instant::now();
    let left_out = LeftOut::find(scope, &integration_tests(&cargo::metadata()?))?;
    let mut steps = Steps { done: 0 };
    steps.run("format", "Run `cargo fmt --all`.", || cargo(FORMAT))?;
    steps.run("tidy", "Each line above says what to do instead.", tidy::run)?;
    let mend = "Mend what clippy names above; where a rule is wrong, allow it there with a reason.";
    steps.run("lints", mend, || cargo(LINTS))?;
    let mend = "Put what needs the simulators behind the feature `sim`.";
    steps.run("lints of what is shipped", mend, || cargo(SHIPPED_LINTS))?;
    let mend = "Mend the doc comments that rustdoc names above.";
    steps.run("documentation", mend, || {
        cargo::run(told(DOCUMENTATION).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    let mend = "The failing tests are named above; `cargo test NAME` runs one.";
    steps.run("tests", mend, || {
        let arguments = left_out.test_command(cargo::read(&["nextest", "--version"]).is_ok());
        cargo(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    })?;
    let mend = "The examples stand in the doc comments named above.";
    steps.run("examples in the documentation", mend, || cargo(EXAMPLES))?;
    println!("\nEverything passed, in {}.", shown(start.elapsed()));
    if let Some(note) = left_out.note() {
        println!("{note}");
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> Outcome {
    cargo::run(&mut told(arguments))
}

/// A call of cargo, shown as one would type it.
fn told(arguments: &[&str]) -> Command {
    let command = cargo::command(arguments);
    println!("{}", cargo::shown(&command));
    command
}

/// The checks in their order.
struct Steps {
    done: u32,
}

impl Steps {
    /// One check under its heading; a failure stops the whole, and `mend` says what to do.
    fn run(&mut self, name: &str, mend: &str, check: impl FnOnce() -> Outcome) -> Outcome {
        self.done += 1;
        println!("\n── {}. {name} ──", self.done);
        let start = Instant::now();
        check().map_err(|error| format!("{error}\n\nFailed: {name}. {mend}"))?;
        println!("{name}: passed in {}", shown(start.elapsed()));
        Ok(())
    }
}

/// The integration tests, and which of them this run leaves out, and why.
#[derive(Default)]
struct LeftOut {
    kept: Vec<String>,
    /// Left out because the caller wants to be quick.
    slow: Vec<String>,
    /// Left out because these packages are missing.
    browser: Vec<String>,
    packages: Vec<&'static str>,
}

impl LeftOut {
    /// Sorts the tests; asks for a browser only if a test needs one.
    fn find(scope: Scope, tests: &[String]) -> Result<Self, String> {
        let any_browser = tests.iter().any(|test| test.starts_with(BROWSER));
        let packages =
            if scope == Scope::Whole && any_browser { browser::missing()? } else { Vec::new() };
        Ok(Self::sort(scope, tests, packages))
    }

    fn sort(scope: Scope, tests: &[String], packages: Vec<&'static str>) -> Self {
        let mut sorted = Self { packages, ..Self::default() };
        for test in tests.iter().cloned() {
            if scope == Scope::Fast && (test.starts_with(BROWSER) || test.starts_with(CRASH)) {
                sorted.slow.push(test);
            } else if test.starts_with(BROWSER) && !sorted.packages.is_empty() {
                sorted.browser.push(test);
            } else {
                sorted.kept.push(test);
            }
        }
        sorted
    }

    /// Cargo's arguments that run all tests but those left out. Cargo's own `test` can't leave one
    /// out, so it is given the names of the others.
    fn test_command(&self, nextest: bool) -> Vec<String> {
        let common = ["--workspace", "--locked", "--no-fail-fast"].map(str::to_owned);
        let left_out: Vec<&str> =
            self.slow.iter().chain(&self.browser).map(String::as_str).collect();
        let mut arguments: Vec<String> = Vec::new();
        if nextest {
            arguments.extend(["nextest".to_owned(), "run".to_owned()]);
            arguments.extend(common);
            if !left_out.is_empty() {
                let named: Vec<_> =
                    left_out.iter().map(|name| format!("binary(={name})")).collect();
                arguments.extend(["-E".to_owned(), format!("not ({})", named.join(" or "))]);
            }
            return arguments;
        }
        arguments.push("test".to_owned());
        arguments.extend(common);
        if left_out.is_empty() {
            arguments.push("--tests".to_owned());
        } else {
            arguments.extend(["--lib".to_owned(), "--bins".to_owned()]);
            arguments.extend(self.kept.iter().flat_map(|name| ["--test".to_owned(), name.clone()]));
        }
        arguments
    }

    /// The line that must not be overlooked.
    fn note(&self) -> Option<String> {
        if !self.browser.is_empty() {
            let advice = browser::advice(&self.packages);
            return Some(format!("Skipped: {}. To run them: {advice}", self.browser.join(", ")));
        }
        (!self.slow.is_empty()).then(|| {
            format!("Skipped by --fast: {}. To run them: cargo xtask test", self.slow.join(", "))
        })
    }
}

/// The names of the integration tests of the workspace, in order.
fn integration_tests(metadata: &Value) -> Vec<String> {
    let members: Vec<&Value> =
        metadata["workspace_members"].as_array().into_iter().flatten().collect();
    let mut names: Vec<String> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|package| members.contains(&&package["id"]))
        .flat_map(|package| package["targets"].as_array().into_iter().flatten())
        .filter(|target| target["kind"][0] == "test")
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn shown(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        return format!("{:.1} s", time.as_secs_f64());
    }
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names() -> Vec<String> {
        ["browser_checkout", "conformance", "crash"].map(str::to_owned).to_vec()
    }

    #[test]
    fn the_whole_runs_everything_where_a_browser_is() {
        let all = LeftOut::sort(Scope::Whole, &names(), vec![]);
        assert_eq!(all.kept, names());
        assert_eq!(all.note(), None);
        assert_eq!(
            all.test_command(true),
            ["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]
        );
        assert_eq!(
            all.test_command(false),
            ["test", "--workspace", "--locked", "--no-fail-fast", "--tests"]
        );
    }

    #[test]
    fn without_a_browser_only_its_tests_are_left_out_and_named_with_the_remedy() {
        let all = LeftOut::sort(Scope::Whole, &names(), vec!["chromium", "chromium-driver"]);
        assert_eq!(all.kept, ["conformance", "crash"]);
        let note = all.note().unwrap();
        assert!(
            note.contains("browser_checkout")
                && note.contains("apt-get install chromium chromium-driver")
        );
        assert!(!note.contains('\n'));
        assert_eq!(all.test_command(true).last().unwrap(), "not (binary(=browser_checkout))");
        assert!(
            all.test_command(false)
                .ends_with(&["--test", "conformance", "--test", "crash"].map(str::to_owned))
        );
    }

    #[test]
    fn the_fast_run_leaves_out_browser_and_crash_tests_and_says_so() {
        let fast = LeftOut::sort(Scope::Fast, &names(), vec![]);
        assert_eq!(fast.kept, ["conformance"]);
        assert!(fast.note().unwrap().contains("browser_checkout, crash"));
    }

    #[test]
    fn only_tests_of_the_workspace_count() {
        let metadata = json!({
            "workspace_members": ["a"],
            "packages": [
                { "id": "a", "targets": [
                    { "kind": ["lib"], "name": "a" },
                    { "kind": ["test"], "name": "z" },
                    { "kind": ["test"], "name": "browser_a" },
                ]},
                { "id": "b", "targets": [{ "kind": ["test"], "name": "foreign" }] },
            ],
        });
        assert_eq!(integration_tests(&metadata), ["browser_a", "z"]);
    }

    #[test]
    fn a_failing_step_names_itself_and_the_remedy() {
        let mut steps = Steps { done: 0 };
        let error = steps.run("lints", "Mend it.", || Err("exit 1".into())).unwrap_err();
        assert_eq!(error, "exit 1\n\nFailed: lints. Mend it.");
    }

    #[test]
    fn times_read_as_people_say_them() {
        assert_eq!(shown(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(shown(Duration::from_secs(245)), "4 min 05 s");
    }
}
