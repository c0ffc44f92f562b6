//! What `--help` promises: every command has examples, and they work as they stand.
#![allow(clippy::unwrap_used, clippy::panic)]

use clap::{Command, CommandFactory, Parser};

use super::Cli;

/// The commands in a text of examples, without what is said of them behind two spaces.
fn examples(text: &str) -> Vec<String> {
    let mut examples = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let mut example = line.split("  ").next().unwrap_or_default().to_owned();
        while let Some(begun) = example.strip_suffix('\\') {
            example = format!("{begun}{}", lines.next().unwrap_or_default());
        }
        // A variable may stand before it.
        if let Some((before, command)) = example.split_once("sloe ")
            && (before.is_empty() || before.contains('='))
        {
            examples.push(format!("sloe {command}"));
        }
    }
    examples
}

/// What a shell makes of a line: words, some in quotes, without what goes to or comes from files.
fn words(line: &str) -> Vec<String> {
    let line = line.split(['>', '<']).next().unwrap_or_default();
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn check(path: &str, command: &Command, faults: &mut Vec<String>) {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let examples = examples(&text);
    if examples.is_empty() && !command.has_subcommands() {
        faults.push(format!("{path} has no example"));
    }
    for example in examples {
        // "…" stands for what another example says.
        let whole = !example.contains(" … ");
        if let Err(error) = Cli::try_parse_from(words(&example)).map(drop)
            && whole
        {
            faults.push(format!("{path}: {example}: {error}"));
        }
    }
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        check(&format!("{path} {}", sub.get_name()), sub, faults);
    }
}

#[test]
fn every_command_has_examples_that_work_as_they_stand() {
    let mut faults = Vec::new();
    check("sloe", &Cli::command(), &mut faults);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
