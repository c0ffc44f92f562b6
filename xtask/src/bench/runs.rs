//! The benchmarks themselves.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::crowd::{self, first_item, held, storm};
use super::nginx;
use super::process::{self, Running, Scratch, median, number};
use super::table::Row;
use super::world::{World, field, many_seed};

const MB: f64 = 1024.0 * 1024.0;
/// Rounds of a measurement and its ceiling, which take turns; the median counts.
const ROUNDS: u32 = 3;
/// Registrations that P10 drains.
const DRAINED: u64 = 100_000;

/// What one server with a few events can show.
pub(super) fn main(
    world: &World,
    scratch: &Scratch,
    wanted: &dyn Fn(&str) -> bool,
    rows: &mut Vec<Row>,
) -> Result<(), String> {
    if wanted("P12") {
        std::thread::sleep(Duration::from_secs(3));
        let idle = megabytes(world.memory()?.0);
        rows.push(Row::at_most("P12", "memory, idle", idle, "MB", 40.0));
    }
    if wanted("P10") {
        drain(world, scratch, rows)?;
    }
    if wanted("P8") || wanted("P1") {
        against_ceilings(world, scratch, wanted, rows)?;
    }
    if wanted("P3") {
        world.rest()?;
        half_million(world, scratch, wanted("P12"), rows)?;
    }
    Ok(())
}

/// P13: "may this org be live?", of 10,000 orgs, in memory.
pub(super) fn license() -> Result<Row, String> {
    let program = crate::cargo::root().join("target/release/examples/license_answer");
    let done = Command::new(program).output().map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&done.stdout);
    let nanos: f64 = told.trim().parse().map_err(|_| {
        format!("license_answer told no figure: {}", String::from_utf8_lossy(&done.stderr))
    })?;
    Ok(Row::at_most("P13", "may this org be live? (10,000 orgs)", nanos, "ns", 1_000.0))
}

/// P8 and P1: requests a second, Sloe and its ceiling in turns.
fn against_ceilings(
    world: &World,
    scratch: &Scratch,
    wanted: &dyn Fn(&str) -> bool,
    rows: &mut Vec<Row>,
) -> Result<(), String> {
    let page = "/bench/page";
    let (plain, gzip) = (scratch.path("page.html"), scratch.path("page.html.gz"));
    for (file, header) in [(&plain, ""), (&gzip, "Accept-Encoding: gzip")] {
        let (status, body) = process::http(("GET", &world.site, page), header, "")?;
        if status != 200 {
            return Err(format!("the event page answers {status}"));
        }
        std::fs::write(file, body).map_err(|error| error.to_string())?;
    }
    let mut serve = process::ceiling();
    serve.arg("serve").arg("--page").arg(&plain).arg("--page-gzip").arg(&gzip);
    let (_bare, bare) = Running::start_told(&mut serve)?;
    if wanted("P8") {
        world.rest()?;
        let nginx = nginx::start(scratch)?;
        if nginx.is_none() {
            println!("P8 is not measured against nginx, which is not installed here.");
        }
        for (form, bare_path, gzip) in [("plain", "/page", false), ("gzip", "/page.gz", true)] {
            let ours = || load(&world.site, page, gzip, &[]);
            let mut against = |whose: &str, origin: &str, path: &str, target: f64| {
                let (ours, theirs) = in_turns(ours, || load(origin, path, gzip, &[]))?;
                let what = format!("event page, {form}, of {whose}");
                rows.push(Row::ratio("P8", &what, ours, theirs, target));
                Ok::<_, String>(())
            };
            against("a bare axum server", &bare, bare_path, 0.85)?;
            if let Some((_running, origin)) = &nginx {
                against("nginx with the same file", origin, "/page.html", 0.65)?;
            }
        }
    }
    if wanted("P1") {
        let event = world.event("hot")?;
        let item = first_item(&event)?;
        let path = format!("/api/v1/events/{}/registrations", field(&event, "id"));
        let mut seed = 0_u32;
        let mut fresh = || {
            seed += 1;
            seed.to_string()
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let seed = fresh();
            let about = ["--item", &item, "--seed", &seed];
            world.rest()?;
            theirs.push(load(&bare, "/registrations", false, &about)?);
            ours.push(load(&world.site, &path, false, &about)?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        rows.push(Row::ratio(
            "P1",
            "registrations, one hot event, of a bare axum server",
            ours,
            theirs,
            0.5,
        ));
        rows.push(Row::at_least("P1", "registrations, one hot event", ours, "/s", 15_000.0));
    }
    Ok(())
}

fn in_turns(
    ours: impl Fn() -> Result<f64, String>,
    theirs: impl Fn() -> Result<f64, String>,
) -> Result<(f64, f64), String> {
    let mut both = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        both.0.push(ours()?);
        both.1.push(theirs()?);
    }
    Ok((median(both.0), median(both.1)))
}

/// Answers a second to as many requests as are answered; every answer must be
/// the expected one.
fn load(target: &str, path: &str, gzip: bool, more: &[&str]) -> Result<f64, String> {
    let mut words = vec!["--path", path];
    words.extend_from_slice(more);
    words.extend(gzip.then_some("--gzip"));
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    crowd::load(target, &words).map(|load| load.per_second)
}

/// P3: half a million registrations on as many seats, and 10,000 refusals;
/// then, for P12, what memory is left once all of them are in the org.
fn half_million(
    world: &World,
    scratch: &Scratch,
    drained: bool,
    rows: &mut Vec<Row>,
) -> Result<(), String> {
    let (rows_before, _) = world.org_stats()?;
    let file = scratch.path("half-million.json");
    let mut command = storm(world, "bench/half-million", 510_000);
    command.args(["--burst", "--read-back", "2000", "--json"]).arg(&file);
    let report = held(&mut command, &file)?;
    let registered = report.get("registrations").and_then(Value::as_u64);
    if registered != Some(500_000) {
        return Err(format!("{registered:?} of 500,000 seats were taken"));
    }
    let tenths: Vec<f64> = report
        .get("tenths_seconds")
        .and_then(Value::as_array)
        .map(|tenths| tenths.iter().filter_map(Value::as_f64).collect())
        .unwrap_or_default();
    // The ninth tenth is the last that is registrations only.
    let (first, ninth, eighth) = match tenths.as_slice() {
        [first, .., eighth, ninth, _] => (*first, *ninth, *eighth),
        _ => return Err("the storm does not tell its tenths".to_owned()),
    };
    let seconds = number(&report, "seconds")?;
    rows.push(Row::at_most("P3", "500,000 registrations, 10,000 refusals", seconds, "s", 36.0));
    rows.push(Row::at_least(
        "P3",
        "speed at 90 % of that of the first 10 %",
        first / (ninth - eighth),
        "×",
        0.9,
    ));
    let most = megabytes(world.memory()?.1);
    rows.push(Row::at_most("P3", "memory, highest", most, "MB", 400.0));
    if drained {
        let before = megabytes(world.memory()?.0);
        process::wait(Duration::from_secs(240), Duration::from_millis(500), || {
            // Other events of this world may still be drained too.
            let arrived = world.org_stats()?.0.saturating_sub(rows_before);
            if arrived >= 500_000 { Ok(()) } else { Err(format!("only {arrived} rows arrived")) }
        })?;
        std::thread::sleep(Duration::from_secs(3));
        let after = megabytes(world.memory()?.0);
        let what = "memory after the drain of P3, of that before it";
        rows.push(Row::at_most("P12", what, after / before, "×", 1.2));
    }
    Ok(())
}

/// P10: registrations pile up while the org is away; then it is back.
fn drain(world: &World, scratch: &Scratch, rows: &mut Vec<Row>) -> Result<(), String> {
    let control = |method: &str, path: &str, body: &str| -> Result<(), String> {
        match process::http((method, &world.org_url, path), "", body)? {
            (200, _) => Ok(()),
            (status, _) => Err(format!("{}{path} answers {status}", world.org_url)),
        }
    };
    control("PUT", "/__control/faults", "{\"outage\": true}")?;
    let file = scratch.path("drain.json");
    let mut command = storm(world, "bench/drain", DRAINED);
    command.args(["--burst", "--read-back", "0", "--json"]).arg(&file);
    held(&mut command, &file)?;
    // What is left of the storm itself is no part of the drain.
    std::thread::sleep(Duration::from_secs(2));
    let idle = world.memory()?.0;
    let (before, calls_before) = world.org_stats()?;
    control("DELETE", "/__control/faults", "")?;
    let began = Instant::now();
    let mut most = idle;
    process::wait(Duration::from_secs(240), Duration::from_millis(100), || {
        most = most.max(world.memory()?.0);
        let arrived = world.org_stats()?.0 - before;
        if arrived >= DRAINED { Ok(()) } else { Err(format!("only {arrived} rows arrived")) }
    })?;
    let seconds = began.elapsed().as_secs_f64();
    // Later calls of the same drain, such as the capacity figures, count too.
    std::thread::sleep(Duration::from_secs(3));
    let (arrived, calls) = world.org_stats()?;
    if arrived - before != DRAINED {
        return Err(format!("{} rows arrived for {DRAINED} registrations", arrived - before));
    }
    #[allow(clippy::cast_precision_loss)]
    let calls = (calls - calls_before) as f64;
    rows.push(Row::at_most(
        "P10",
        "drain of 100,000 registrations after an outage",
        seconds,
        "s",
        60.0,
    ));
    rows.push(Row::at_most("P10", "API calls of it", calls, "", 100.0));
    let above = megabytes(most.saturating_sub(idle));
    rows.push(Row::at_most("P10", "memory above idle in it", above, "MB", 100.0));
    Ok(())
}

/// P11 and the second half of P12: many events.
pub(super) fn many_events(
    scratch: &Scratch,
    wanted: &dyn Fn(&str) -> bool,
    rows: &mut Vec<Row>,
) -> Result<(), String> {
    for (events, bound) in [(1_000, 1.0), (10_000, 4.0)] {
        if events > 1_000 && !wanted("P11") {
            continue;
        }
        let mut world = World::start(scratch, &format!("events-{events}"), &many_seed(events))?;
        let took = world.restart()?.as_secs_f64();
        if wanted("P11") {
            let what = if events == 1_000 { "start, 1,000 events" } else { "start, 10,000 events" };
            rows.push(Row::at_most("P11", what, took, "s", bound));
        }
        if wanted("P12") && events == 1_000 {
            // The allocator keeps what reading the catalog at the start took, so the growth of this
            // process alone would say nothing: a platform without events is the measure.
            let empty = World::start(scratch, "events-0", &many_seed(0))?.memory()?.0;
            let paths = world.event_paths()?;
            for path in &paths {
                process::get_json(&world.site, path)?;
            }
            let grown = world.memory()?.0.saturating_sub(empty);
            #[allow(clippy::cast_precision_loss)]
            let each = grown as f64 / 1024.0 / paths.len().max(1) as f64;
            rows.push(Row::at_most("P12", "memory of a cached event", each, "KB", 40.0));
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / MB
}
