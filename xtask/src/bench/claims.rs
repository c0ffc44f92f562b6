//! Claims without HTTP: in the ledger alone (P15), and through the engine on
//! this disk (P17), over more pools (P5) and with more live holds (P6).

use serde_json::Value;

use super::process::{self, median, number};
use super::progress::Bar;
use super::table::Row;

const MB: f64 = 1024.0 * 1024.0;
/// Rounds of what takes turns; the median counts.
const ROUNDS: u64 = 3;
/// Claims that wait at any time.
const WAITING: &str = "512";
/// What one live claim may take.
const CLAIM_BYTES: f64 = 120.0;

/// P15.
pub(super) fn ledger(rows: &mut Vec<Row>) -> Result<(), String> {
    let (bar, mut rates) = (Bar::new("P15 rounds", ROUNDS), Vec::new());
    for round in 1..=ROUNDS {
        let told = process::read_json(&mut process::example("decide_rate"))?;
        rates.push(number(&told, "per_second")?);
        bar.at(round);
    }
    bar.end();
    let what = "claims decided in memory, one core, 4 pools, 1,000,000 live";
    rows.push(Row::at_least("P15", what, median(rates), "/s", 2_000_000.0));
    Ok(())
}

/// P5, P6 and P17.
pub(super) fn engine(wanted: &dyn Fn(&str) -> bool, rows: &mut Vec<Row>) -> Result<(), String> {
    if wanted("P17") {
        durable(rows)?;
    }
    if wanted("P5") {
        let (six, one) = in_turns("P5 rounds", ["6", "0", "3", WAITING], ["1", "0", "3", WAITING])?;
        let what = "claims over 6 pools, of those over 1";
        rows.push(Row::ratio("P5", what, rate(&six)?, rate(&one)?, 0.8));
    }
    if wanted("P6") {
        let (many, few) =
            in_turns("P6 rounds", ["4", "500000", "3", WAITING], ["4", "1000", "3", WAITING])?;
        let what = "claims with 500,000 live holds, of those with 1,000";
        rows.push(Row::ratio("P6", what, rate(&many)?, rate(&few)?, 0.9));
        let loads = figures(&many, "load_seconds")?;
        let what = "loading an event with 500,000 live holds";
        rows.push(Row::at_most("P6", what, median(loads), "s", 2.0));
    }
    Ok(())
}

fn durable(rows: &mut Vec<Row>) -> Result<(), String> {
    let (bar, mut told) = (Bar::new("P17 rounds", ROUNDS), Vec::new());
    for round in 1..=ROUNDS {
        told.push(claim_rate(["4", "0", "5", WAITING])?);
        bar.at(round);
    }
    bar.end();
    let what = "durable claims without HTTP, 4 pools, 512 waiting";
    rows.push(Row::at_least("P17", what, rate(&told)?, "/s", 60_000.0));
    rows.push(Row::at_most("P17", "p99 of it", median(figures(&told, "p99_ms")?), "ms", 30.0));
    let above = |one: &Value| {
        let live = number(one, "live")?;
        Ok((number(one, "most_bytes")? - live * CLAIM_BYTES) / MB)
    };
    let above = told.iter().map(above).collect::<Result<Vec<_>, String>>()?;
    let what = "memory of it, highest, beyond 120 bytes a live claim";
    rows.push(Row::at_most("P17", what, median(above), "MB", 100.0));
    let each = |one: &Value| {
        let grown = number(one, "most_bytes")? - number(one, "idle_bytes")?;
        Ok(grown / number(one, "live")?.max(1.0))
    };
    let each = told.iter().map(each).collect::<Result<Vec<_>, String>>()?;
    rows.push(Row::told("P17", "memory above idle for each live claim", median(each), "bytes"));
    Ok(())
}

/// Pools, live holds before, seconds, claims that wait.
fn claim_rate(about: [&str; 4]) -> Result<Value, String> {
    process::read_json(process::example("claim_rate").args(about))
}

/// One kind and the other, in turns.
fn in_turns(
    name: &str,
    one: [&str; 4],
    other: [&str; 4],
) -> Result<(Vec<Value>, Vec<Value>), String> {
    let (bar, mut both) = (Bar::new(name, ROUNDS), (Vec::new(), Vec::new()));
    for round in 1..=ROUNDS {
        both.0.push(claim_rate(one)?);
        both.1.push(claim_rate(other)?);
        bar.at(round);
    }
    bar.end();
    Ok(both)
}

fn figures(told: &[Value], key: &str) -> Result<Vec<f64>, String> {
    told.iter().map(|one| number(one, key)).collect()
}

fn rate(told: &[Value]) -> Result<f64, String> {
    figures(told, "per_second").map(median)
}
