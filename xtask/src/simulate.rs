//! `cargo xtask simulate`: as many simulated worlds as you like.
//!
//! They come with bugs that tests may plant, so they are an example of sloe-sim that no shipped
//! binary contains; it is built like the tests, with everything that they turn on.

use std::path::PathBuf;
use std::process::Command;

use crate::{Outcome, cargo};

pub(crate) const HELP: &str = "\
cargo xtask simulate [--seeds N] [--from S] [--seed S] [--release]
  Runs the simulated worlds of N seeds (500) from S (0) on, and stops at the first that fails, with
  its last steps. --seed runs one and prints every step: the same ones each time, on this commit.
  --release makes them several times as fast, after a longer build.
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    /// The first seed, and how many.
    from: u64,
    seeds: u64,
    /// One seed only, step by step.
    one: Option<u64>,
    release: bool,
}

fn read(words: &[&str]) -> Result<Asked, String> {
    let mut asked = Asked { from: 0, seeds: 500, one: None, release: false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut number = || {
            let text = words.next().ok_or_else(|| format!("{word} needs a number\n{HELP}"))?;
            text.parse::<u64>().map_err(|_| format!("{word} needs a number, not `{text}`\n{HELP}"))
        };
        match *word {
            "--seeds" => asked.seeds = number()?,
            "--from" => asked.from = number()?,
            "--seed" => asked.one = Some(number()?),
            "--release" => asked.release = true,
            other => return Err(format!("simulate knows no `{other}`\n{HELP}")),
        }
    }
    if asked.seeds == 0 {
        return Err("--seeds needs at least one".to_owned());
    }
    Ok(asked)
}

/// Builds the worlds and runs them.
///
/// # Errors
/// Words that are not understood; a build or a world that fails.
pub(crate) fn run(words: &[&str]) -> Outcome {
    if matches!(words, ["--help" | "-h"]) {
        print!("{HELP}");
        return Ok(());
    }
    let asked = read(words)?;
    let mut build = vec!["build", "--workspace", "--example", "simulate", "--locked"];
    build.extend(asked.release.then_some("--release"));
    cargo::run(&mut cargo::command(&build))?;
    let metadata = cargo::metadata()?;
    let target = metadata.get("target_directory").and_then(|path| path.as_str());
    let target = target.ok_or("`cargo metadata` names no target directory")?;
    let profile = if asked.release { "release" } else { "debug" };
    let program = PathBuf::from(target).join(profile).join("examples").join("simulate");
    let mut worlds = Command::new(program);
    match asked.one {
        Some(seed) => worlds.arg(seed.to_string()),
        None => worlds.args([asked.from.to_string(), asked.seeds.to_string()]),
    };
    cargo::run(&mut worlds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_understood_or_explained() {
        let many = Asked { from: 7, seeds: 30, one: None, release: true };
        assert_eq!(read(&["--seeds", "30", "--from", "7", "--release"]), Ok(many));
        assert_eq!(read(&["--seed", "488"]).map(|asked| asked.one), Ok(Some(488)));
        for bad in [&["--seeds"][..], &["--seeds", "many"], &["--seeds", "0"], &["488"]] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
