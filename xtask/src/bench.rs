//! `cargo xtask bench`: the targets of docs/performance.md, each measured
//! against its ceiling in the same run, on the binaries that people run.
//!
//! A ratio of two figures from one run says more than a figure: both suffer
//! alike from a busy or a slow machine. Server, simulated org and load share
//! the cores.

mod claims;
mod client;
mod compare;
mod crowd;
mod growth;
mod hours;
mod nginx;
mod nodes;
mod outage;
mod process;
mod progress;
mod runs;
mod spread;
mod table;
mod update;
mod world;

use std::time::Instant;

use crate::{Outcome, cargo};
use table::Row;

/// Which benchmarks, and what each shows.
const ALL: [(&str, &str); 22] = [
    ("P1", "registrations a second on one event, against a bare server"),
    ("P2", "the same at a steady 4,000 a second: how long each takes"),
    ("P3", "half a million registrations on one event, then 10,000 refusals"),
    ("P4", "registrations spread over 200 events, against those on one"),
    ("P5", "claims over 6 pools, against those over 1"),
    ("P6", "claims beside 500,000 live holds, and loading them after a restart"),
    ("P7", "complete checkouts with the site's pages and forms"),
    ("P8", "event pages a second, against a bare server and nginx"),
    ("P9", "from a change of an event to its page, on one node and on three"),
    ("P10", "the drain of 100,000 registrations after an outage"),
    ("P11", "from start to ready with 1,000 and 10,000 events"),
    ("P12", "memory: idle, for each cached event, after P3's drain"),
    ("P13", "\"may this org be live?\", asked of 10,000 orgs"),
    ("P14", "one node and three nodes on MongoDB, one hot event"),
    ("P15", "claims that the ledger decides in memory, on one core"),
    ("P16", "what a request costs with 10,000 events known, and with 1,000,000 orders"),
    ("P17", "durable claims through the engine without HTTP"),
    ("S1", "normal hours: API calls per registration, and acknowledged to there"),
    ("S2", "from the Update button to the new page"),
    ("S3", "100,000 rows and more, changed again and again, after an outage of 72 h"),
    ("S4", "refresh of an org of 1,000 events: time, memory, what readers notice"),
    ("S5", "100,000 rows and more, compared with what the org holds"),
];
/// Minutes of S1.
const MINUTES: u64 = 5;

pub(crate) const HELP: &str = "\
cargo xtask bench [NAME …] [--minutes N] [--write]
  Builds the release binaries and measures: all, or those named. All of them, or --write, put what
  was measured into docs/performance.md. --minutes is how long S1 takes (5).
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked<'a> {
    names: Vec<&'a str>,
    minutes: u64,
    write: bool,
}

fn read<'a>(words: &[&'a str]) -> Result<Asked<'a>, String> {
    let mut asked = Asked { names: Vec::new(), minutes: MINUTES, write: false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--write" => asked.write = true,
            "--minutes" => {
                let minutes = words.next().and_then(|text| text.parse().ok());
                let minutes = minutes.filter(|minutes| (1..=600).contains(minutes));
                asked.minutes = minutes.ok_or("--minutes takes a number from 1 to 600")?;
            }
            name if ALL.iter().any(|(known, _)| *known == name) => asked.names.push(name),
            other => return Err(format!("no benchmark is called {other}.\n{}", help())),
        }
    }
    Ok(asked)
}

/// What can be asked for.
pub(crate) fn help() -> String {
    let lines = ALL.iter().map(|(name, what)| format!("  {name:<4} {what}\n"));
    format!("{HELP}{}", lines.collect::<String>())
}

/// Builds, runs the benchmarks that are named, prints the table and, if all
/// were run or it is wanted, writes it into docs/performance.md.
///
/// # Errors
/// Something can't be built or started, or an answer is not what it must be.
/// A missed target is no error: the table says it.
pub(crate) fn run(words: &[&str]) -> Outcome {
    if words.iter().any(|word| ["--help", "-h", "help"].contains(word)) {
        print!("{}", help());
        return Ok(());
    }
    let asked = read(words)?;
    let wanted = |name: &str| asked.names.is_empty() || asked.names.contains(&name);
    build(&wanted)?;
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
    if ["P2", "P4", "P7"].into_iter().any(wanted) {
        spread::run(&scratch, &wanted, &mut rows)?;
    }
    if wanted("P9") {
        nodes::refresh(&scratch, &mut rows)?;
    }
    if wanted("P14") {
        nodes::sell(&scratch, &mut rows)?;
    }
    if wanted("P15") {
        claims::ledger(&mut rows)?;
    }
    claims::engine(&wanted, &mut rows)?;
    if wanted("P16") {
        growth::run(&scratch, &mut rows)?;
    }
    if wanted("S1") {
        hours::run(&scratch, asked.minutes, &mut rows)?;
    }
    if wanted("S2") {
        update::page(&scratch, &mut rows)?;
    }
    if wanted("S3") {
        outage::run(&scratch, &mut rows)?;
    }
    if wanted("S4") {
        update::whole_org(&scratch, &mut rows)?;
    }
    if wanted("S5") {
        compare::run(&scratch, &mut rows)?;
    }
    rows.sort_by_key(Row::order);
    let text = table::text(&rows);
    println!("\n{text}");
    println!("Measured in {:.0} s.", began.elapsed().as_secs_f64());
    if asked.names.is_empty() || asked.write {
        table::write_document(&rows, &cargo::root())
    } else {
        Ok(())
    }
}

/// Programs that measure: their package, and which benchmarks need them.
const PROGRAMS: [(&str, &str, &[&str]); 6] = [
    ("sloe-sim", "ceiling", &["P1", "P4", "P8", "P16"]),
    ("sloe-engine", "license_answer", &["P13"]),
    ("sloe-engine", "decide_rate", &["P15"]),
    ("sloe-engine", "claim_rate", &["P5", "P6", "P17"]),
    ("sloe-web", "refresh_time", &["P9"]),
    ("sloe-web", "node_rate", &["P14"]),
];

fn build(wanted: &dyn Fn(&str) -> bool) -> Outcome {
    // These ask nothing of the binary itself.
    let without = ["P5", "P6", "P9", "P13", "P14", "P15", "P17"];
    if ALL.iter().any(|(name, _)| wanted(name) && !without.contains(name)) {
        cargo::run(&mut cargo::command(&["build", "--release", "--package", "sloe", "--locked"]))?;
    }
    // Those of a package together: each build may turn on other features of what it needs.
    for package in ["sloe-sim", "sloe-engine", "sloe-web"] {
        let needed = PROGRAMS
            .iter()
            .filter(|(of, _, by)| *of == package && by.iter().any(|name| wanted(name)));
        let names: Vec<&str> = needed.flat_map(|(_, name, _)| ["--example", name]).collect();
        if !names.is_empty() {
            let mut build =
                cargo::command(&["build", "--release", "--locked", "--package", package]);
            cargo::run(build.args(names))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_benchmark_runs_alone_and_an_unknown_one_is_refused_by_name() {
        for (name, _) in ALL {
            let asked = read(&[name, "--minutes", "20"]);
            assert_eq!(asked, Ok(Asked { names: vec![name], minutes: 20, write: false }));
            assert!(help().contains(&format!("  {name} ")), "{name} is not explained");
        }
        assert!(read(&["P99"]).is_err_and(|error| error.contains("called P99")));
        assert!(read(&["S1", "--minutes", "0"]).is_err());
    }
}
