//! Runs simulated worlds: `cargo xtask simulate` starts it.
//!
//! `simulate FROM COUNT` runs as many seeds and stops at the first that fails;
//! `simulate SEED` runs one and prints every step.

use std::process::ExitCode;
use std::time::Instant;

use sloe_sim::world;

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|n| n.parse().ok()).collect();
    match numbers.as_slice() {
        [seed] => {
            let outcome = world::run(*seed, true);
            let end = outcome.violation.as_deref().map_or("well".to_owned(), str::to_owned);
            println!("seed {seed}: {} steps, trace {:016x}: {end}", outcome.steps, outcome.hash);
            if outcome.violation.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        [from, count] => many(*from, *count),
        _ => {
            eprintln!("simulate FROM COUNT, or simulate SEED");
            ExitCode::FAILURE
        }
    }
}

fn many(from: u64, count: u64) -> ExitCode {
    let began = Instant::now();
    let (mut told, mut millis, mut steps) = (Instant::now(), 0_i64, 0_u64);
    let mut sum = world::Tally::default();
    for seed in from..from.saturating_add(count) {
        let outcome = world::run(seed, false);
        if outcome.violation.is_some() {
            println!("{outcome}");
            println!("replay it: cargo xtask simulate --seed {seed}");
            return ExitCode::FAILURE;
        }
        millis += outcome.millis;
        steps += outcome.steps;
        sum.claims += outcome.tally.claims;
        sum.orders += outcome.tally.orders;
        sum.batches += outcome.tally.batches;
        sum.crashes += outcome.tally.crashes;
        sum.calls += outcome.tally.calls;
        sum.rows += outcome.tally.rows;
        sum.unknown += outcome.tally.unknown;
        if told.elapsed().as_secs() >= 5 {
            told = Instant::now();
            tell(seed - from + 1, steps, millis, began);
        }
    }
    tell(count, steps, millis, began);
    println!("{sum:?}");
    ExitCode::SUCCESS
}

#[allow(clippy::cast_precision_loss, reason = "figures to look at")]
fn tell(seeds: u64, steps: u64, millis: i64, began: Instant) {
    let seconds = began.elapsed().as_secs_f64().max(0.001);
    let hours = millis as f64 / 3_600_000.0;
    println!(
        "{seeds} seeds well, {steps} steps, {:.1} seeds/s, {hours:.1} virtual hours in {seconds:.0} s: \
         {:.0} times as fast as time",
        seeds as f64 / seconds,
        hours * 3_600.0 / seconds
    );
}
