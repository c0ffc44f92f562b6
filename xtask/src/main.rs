//! The project's own tasks: `cargo xtask` lists them.

mod bench;
mod browser;
mod cargo;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask test          formatting, lints, tidy, documentation, every test; the browser tests need
                          chromium and chromedriver, which CI=true installs
cargo xtask test --fast   the same without the browser tests and the crash tests
cargo xtask tidy          the rules that no other tool checks: layers, sizes, licenses, banned words
cargo xtask bench [P1 …]  speed and memory against their ceilings, and what docs/performance.md says of them
";

/// What a task ends with; the error is a text for the person at the terminal.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test::run(test::Scope::Whole),
        ["test", "--fast"] => test::run(test::Scope::Fast),
        ["tidy"] => tidy::run(),
        ["bench", names @ ..] => bench::run(names),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        unknown => Err(format!("no task is called `{}`. These are:\n{HELP}", unknown.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
