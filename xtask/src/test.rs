//! `cargo xtask test`: every check, one heading each, the quick ones first.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::needs::NEEDS;
use crate::{Outcome, cargo, tidy};

/// How much of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything; this is what CI runs.
    Whole,
    /// Neither the crash tests nor those with needs of their own: for between two edits.
    Fast,
}

/// Test binaries that kill the server again and again begin so.
const CRASH: &str = "crash";

/// Cargo's arguments for each check that is a call of cargo.
const FORMAT: &[&str] = &["fmt", "--all", "--check"];
const LINTS: &[&str] =
    &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
/// What is shipped has no `sim` feature and none of the features that only tests turn on.
const SHIPPED_LINTS: &[&str] =
    &["clippy", "--package", "sloe", "--no-default-features", "--locked", "--", "-D", "warnings"];
/// What `cargo run -- demo` builds: the simulators without the Pub/Sub API, which all tests have.
const DEFAULT_LINTS: &[&str] = &["clippy", "--package", "sloe", "--locked", "--", "-D", "warnings"];
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
    let mend = "Put what needs the Pub/Sub API behind the feature `pubsub`.";
    steps.run("lints of the default build", mend, || cargo(DEFAULT_LINTS))?;
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
    /// Left out because something is missing.
    needy: Vec<String>,
    /// The last line's words on those, per kind.
    skipped: Vec<String>,
}

impl LeftOut {
    /// Sorts the tests; looks for what a kind of test needs only if there is such a test.
    fn find(scope: Scope, tests: &[String]) -> Result<Self, String> {
        let mut unmet = Vec::new();
        for need in NEEDS.iter().filter(|_| scope == Scope::Whole) {
            if tests.iter().any(|test| test.starts_with(need.prefix)) {
                unmet.extend(need.advice()?.map(|advice| (need.prefix, advice)));
            }
        }
        Ok(Self::sort(scope, tests, &unmet))
    }

    /// Sorts the tests; `unmet` holds the prefixes whose needs aren't met, with the remedy.
    fn sort(scope: Scope, tests: &[String], unmet: &[(&str, String)]) -> Self {
        let mut sorted = Self::default();
        let slow = |test: &String| {
            let special = NEEDS.iter().any(|need| test.starts_with(need.prefix));
            scope == Scope::Fast && (special || test.starts_with(CRASH))
        };
        let needy = |test: &String| unmet.iter().any(|(prefix, _)| test.starts_with(prefix));
        for test in tests.iter().cloned() {
            if slow(&test) {
                sorted.slow.push(test);
            } else if needy(&test) {
                sorted.needy.push(test);
            } else {
                sorted.kept.push(test);
            }
        }
        for (prefix, advice) in unmet {
            let tests = sorted.needy.iter().filter(|test| test.starts_with(prefix));
            let names = tests.map(String::as_str).collect::<Vec<_>>().join(", ");
            sorted.skipped.push(format!("Skipped: {names}. To run them: {advice}"));
        }
        sorted
    }

    /// Cargo's arguments that run all tests but those left out. Cargo's own `test` can't leave one
    /// out, so it is given the names of the others.
    fn test_command(&self, nextest: bool) -> Vec<String> {
        let common = ["--workspace", "--locked", "--no-fail-fast"].map(str::to_owned);
        let left_out: Vec<&str> = self.slow.iter().chain(&self.needy).map(String::as_str).collect();
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
        if !self.skipped.is_empty() {
            return Some(self.skipped.join(". "));
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
        ["browser_checkout", "client_libraries", "conformance", "crash"].map(str::to_owned).to_vec()
    }

    fn no_browser() -> (&'static str, String) {
        ("browser_", "apt-get install chromium chromium-driver".to_owned())
    }

    #[test]
    fn the_whole_runs_everything_where_all_needs_are_met() {
        let all = LeftOut::sort(Scope::Whole, &names(), &[]);
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
        let all = LeftOut::sort(Scope::Whole, &names(), &[no_browser()]);
        assert_eq!(all.kept, ["client_libraries", "conformance", "crash"]);
        assert_eq!(
            all.note().unwrap(),
            "Skipped: browser_checkout. To run them: apt-get install chromium chromium-driver"
        );
        assert_eq!(all.test_command(true).last().unwrap(), "not (binary(=browser_checkout))");
        assert!(
            all.test_command(false)
                .ends_with(&["--test", "conformance", "--test", "crash"].map(str::to_owned))
        );
    }

    #[test]
    fn several_unmet_needs_share_the_last_line_each_with_its_own_remedy() {
        let no_clients = ("client_", "cargo xtask clients".to_owned());
        let all = LeftOut::sort(Scope::Whole, &names(), &[no_browser(), no_clients]);
        assert_eq!(all.kept, ["conformance", "crash"]);
        let note = all.note().unwrap();
        assert!(note.starts_with("Skipped: browser_checkout. To run them: apt-get install"));
        assert!(note.ends_with("Skipped: client_libraries. To run them: cargo xtask clients"));
        assert!(!note.contains('\n'));
        let filter = "not (binary(=browser_checkout) or binary(=client_libraries))";
        assert_eq!(all.test_command(true).last().unwrap(), filter);
    }

    #[test]
    fn the_fast_run_leaves_out_crash_tests_and_those_with_needs_and_says_so() {
        let fast = LeftOut::sort(Scope::Fast, &names(), &[]);
        assert_eq!(fast.kept, ["conformance"]);
        assert!(fast.note().unwrap().contains("browser_checkout, client_libraries, crash"));
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
