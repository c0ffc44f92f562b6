//! `cargo xtask bench`: the targets of docs/performance.md, each measured
//! against its ceiling in the same run, on the binaries that people run.
//!
//! A ratio of two figures from one run says more than a figure: both suffer
//! alike from a busy or a slow machine. Server, simulated org and load share
//! the cores.

mod nginx;
mod process;
mod runs;
mod table;
mod world;

use std::time::Instant;

use crate::{Outcome, cargo};
use table::Row;

/// Which benchmarks; none named is all.
const ALL: [&str; 7] = ["P1", "P3", "P8", "P10", "P11", "P12", "P13"];

/// Builds, runs the benchmarks that are named, prints the table and, if all
/// were run, writes it into docs/performance.md.
///
/// # Errors
/// Something can't be built or started, or an answer is not what it must be.
/// A missed target is no error: the table says it.
pub(crate) fn run(names: &[&str]) -> Outcome {
    let unknown: Vec<&&str> = names.iter().filter(|name| !ALL.contains(name)).collect();
    if let Some(name) = unknown.first() {
        return Err(format!("no benchmark is called {name}; there are {}", ALL.join(", ")));
    }
    build()?;
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    let began = Instant::now();
    let scratch = process::Scratch::new("sloe-bench")?;
    let mut rows: Vec<Row> = Vec::new();
    if ["P1", "P3", "P8", "P10", "P12"].into_iter().any(wanted) {
        let world = world::World::start(&scratch, "main", &world::main_seed())?;
        runs::main(&world, &scratch, &wanted, &mut rows)?;
    }
    if wanted("P11") || wanted("P12") {
        runs::many_events(&scratch, &wanted, &mut rows)?;
    }
    if wanted("P13") {
        rows.push(runs::license()?);
    }
    rows.sort_by_key(Row::order);
    let text = table::text(&rows);
    println!("\n{text}");
    println!("Measured in {:.0} s.", began.elapsed().as_secs_f64());
    if names.is_empty() { table::write_document(&rows, &cargo::root()) } else { Ok(()) }
}

fn build() -> Outcome {
    let product = ["build", "--release", "--package", "sloe", "--locked"];
    cargo::run(&mut cargo::command(&product))?;
    let ceiling =
        ["build", "--release", "--package", "sloe-sim", "--example", "ceiling", "--locked"];
    cargo::run(&mut cargo::command(&ceiling))?;
    let license = [
        "build",
        "--release",
        "--package",
        "sloe-engine",
        "--example",
        "license_answer",
        "--locked",
    ];
    cargo::run(&mut cargo::command(&license))
}
