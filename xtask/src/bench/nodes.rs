//! Several nodes: how soon a change is everywhere (P9), and what one and three
//! of them sell of one hot event on MongoDB (P14).

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::process::{self, Running, Scratch, median, number};
use super::progress::Bar;
use super::table::Row;
use crate::mongo;

/// Rounds of what takes turns; the median counts.
const ROUNDS: u64 = 3;
/// Changes of P9 that are followed to the page.
const CHANGES: &str = "200";
/// Other events of P9, whose entries must stay.
const OTHERS: &str = "100";
/// The ways to sell, as the program names them.
const HOW: [&str; 4] = ["bare", "one", "led", "apart"];

/// A MongoDB with nothing in it; ended with this value.
struct Server {
    uri: String,
    _running: Running,
}

impl Server {
    fn start(scratch: &Scratch, name: &str) -> Result<Self, String> {
        let port = process::free_port()?;
        let directory = scratch.path(name);
        std::fs::create_dir_all(&directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        let mut command = Command::new(mongo::program()?);
        command.args(["--host", "127.0.0.1", "--sync-on-commit", "--port", &port.to_string()]);
        command.arg("--storage-path").arg(&directory);
        let running = Running::start(&mut command, &scratch.path(&format!("{name}.log")))?;
        process::wait(Duration::from_secs(60), Duration::from_millis(20), || {
            let there = std::net::TcpStream::connect(("127.0.0.1", port));
            there.map(drop).map_err(|error| format!("MongoDB's stand-in: {error}"))
        })?;
        Ok(Self { uri: format!("mongodb://127.0.0.1:{port}/bench"), _running: running })
    }
}

/// Whether the stand-in is there; says so if not.
fn installed(what: &str) -> Result<bool, String> {
    let there = mongo::is_there()?;
    if !there {
        println!(
            "{what} is not measured on MongoDB: install its stand-in with `cargo xtask mongo`."
        );
    }
    Ok(there)
}

/// P9.
pub(super) fn refresh(scratch: &Scratch, rows: &mut Vec<Row>) -> Result<(), String> {
    let mut command = process::example("refresh_time");
    command.args([CHANGES, OTHERS]);
    let server = installed("P9")?.then(|| Server::start(scratch, "refresh")).transpose()?;
    command.args(server.as_ref().map(|server| &server.uri));
    let told = process::read_json(&mut command)?;
    let mut dropped = 0.0;
    for (nodes, target) in [("one", 5.0), ("three", 150.0)] {
        let told = told.get(nodes).ok_or("refresh_time tells too little")?;
        let what = format!("refresh of one event to its page on {nodes}, p99");
        rows.push(Row::at_most("P9", &what, number(told, "p99_ms")?, "ms", target));
        let what = format!("refresh of one event to its page on {nodes}, p50");
        rows.push(Row::told("P9", &what, number(told, "p50_ms")?, "ms"));
        dropped += number(told, "dropped")?;
    }
    rows.push(Row::at_most("P9", "other events' entries dropped", dropped, "", 0.0));
    Ok(())
}

/// P14.
pub(super) fn sell(scratch: &Scratch, rows: &mut Vec<Row>) -> Result<(), String> {
    if !installed("P14")? {
        return Ok(());
    }
    let bar = Bar::new("P14 runs", ROUNDS * HOW.len() as u64);
    let mut told = HOW.map(|_| Vec::new());
    for round in 1..=ROUNDS {
        for (n, (how, told)) in (1..).zip(HOW.into_iter().zip(&mut told)) {
            let server = Server::start(scratch, &format!("{how}-{round}"))?;
            let mut command = process::example("node_rate");
            told.push(process::read_json(command.args([&server.uri, how, "5", "512"]))?);
            bar.at((round - 1) * HOW.len() as u64 + n);
        }
    }
    bar.end();
    let [bare, one, led, apart] = &told;
    let rate = |told: &[Value]| figures(told, "per_second").map(median);
    let (bare, single) = (rate(bare)?, rate(one)?);
    let what = "one node on MongoDB, of the writes alone";
    rows.push(Row::ratio("P14", what, single, bare, 0.6));
    for (told, how, target, share) in
        [(led, "with forwarding", 0.9, 0.5), (apart, "without forwarding", 0.4, 0.25)]
    {
        let what = format!("three nodes {how}, of one");
        rows.push(Row::ratio("P14", &what, rate(told)?, single, target));
        let what = format!("the slowest node's part of its share, {how}");
        let least = told.iter().map(least).collect::<Result<Vec<_>, _>>()?;
        rows.push(Row::at_least("P14", &what, median(least), "×", share));
    }
    for (told, how) in [(one, "one node"), (led, "three with"), (apart, "three without")] {
        for (key, what, unit) in [
            ("batches", "batches in 5 s", ""),
            ("conflicts", "conflicts in 5 s", ""),
            ("p99_ms", "p99", "ms"),
        ] {
            let figure = median(figures(told, key)?);
            rows.push(Row::told("P14", &format!("{what}, {how}"), figure, unit));
        }
    }
    Ok(())
}

/// What the slowest node sold, of what each would if they sold alike.
fn least(told: &Value) -> Result<f64, String> {
    let shares = told.get("of_nodes").and_then(Value::as_array);
    let shares: Vec<f64> = shares.into_iter().flatten().filter_map(Value::as_f64).collect();
    let least = shares.iter().copied().reduce(f64::min).ok_or("node_rate tells no shares")?;
    #[allow(clippy::cast_precision_loss)]
    let each = shares.iter().sum::<f64>() / shares.len() as f64;
    Ok(if each > 0.0 { least / each } else { 0.0 })
}

fn figures(told: &[Value], key: &str) -> Result<Vec<f64>, String> {
    told.iter().map(|one| number(one, key)).collect()
}
