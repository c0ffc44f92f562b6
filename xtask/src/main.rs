//! The project's own tasks: `cargo xtask` lists them.

mod bench;
mod cargo;
mod clients;
mod generate;
mod mongo;
mod needs;
mod simulate;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask test          formatting, lints, tidy, documentation, every test; the browser tests need
                          chromium and chromedriver, the client tests node, npm, python3 and what
                          `cargo xtask clients` installs, the MongoDB tests what `cargo xtask mongo` does;
                          CI=true installs all of it
cargo xtask test --fast   the same without the browser, client, MongoDB and crash tests
cargo xtask clients       installs the Salesforce clients and tools that the client tests run into the
                          cache ${XDG_CACHE_HOME:-~/.cache}/sloe/clients, at the pinned versions
cargo xtask mongo         installs the server that the MongoDB tests talk to into ${XDG_CACHE_HOME:-~/.cache}/sloe/mongo;
                          a MongoDB of yours is used instead: SLOE_TEST_MONGODB=mongodb://…
cargo xtask simulate      simulated worlds, seed by seed: --seeds N, --from S; --seed S shows one step by step
cargo xtask gen           makes the code of the Pub/Sub API from its .proto file anew
cargo xtask tidy          the rules that no other tool checks: layers, sizes, licenses, banned words
cargo xtask bench [P1 …]  speed and memory against their ceilings, and what docs/performance.md says of them;
                          `cargo xtask bench --help` names them all
";

/// What a task ends with; the error is a text for the person at the terminal.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test::run(test::Scope::Whole),
        ["test", "--fast"] => test::run(test::Scope::Fast),
        ["clients"] => clients::install(),
        ["mongo"] => mongo::install(),
        ["gen"] => generate::run(),
        ["tidy"] => tidy::run(),
        ["bench", names @ ..] => bench::run(names),
        ["simulate", words @ ..] => simulate::run(words),
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
