//! The crowd in other ways than P1's: at a steady rate (P2), over many events
//! (P4), and page by page (P7).

use serde_json::Value;

use super::crowd::{first_item, held, load, storm};
use super::process::{self, Scratch, median, number};
use super::progress::Bar;
use super::table::Row;
use super::world::{World, events_seed, field};

/// Events that P4's registrations are spread over.
const EVENTS: usize = 200;
/// Rounds of what takes turns; the median counts.
const ROUNDS: u32 = 3;
/// Visitors a second of P2, and how many come.
const RATE: &str = "4000";
const STEADY: u64 = 80_000;
/// Checkouts of P7.
const CHECKOUTS: u64 = 20_000;

pub(super) fn run(
    scratch: &Scratch,
    wanted: &dyn Fn(&str) -> bool,
    rows: &mut Vec<Row>,
) -> Result<(), String> {
    // One event more for each of P2, P7 and the hot one.
    let world = World::start(scratch, "spread", &events_seed("spread", EVENTS + 3, 0))?;
    if wanted("P2") {
        steady(&world, scratch, rows)?;
    }
    if wanted("P7") {
        checkouts(&world, scratch, rows)?;
    }
    if wanted("P4") {
        spread(&world, rows)?;
    }
    Ok(())
}

fn named(number: usize) -> String {
    format!("bench/spread-{number}")
}

fn steady(world: &World, scratch: &Scratch, rows: &mut Vec<Row>) -> Result<(), String> {
    let file = scratch.path("steady.json");
    let mut command = storm(world, &named(EVENTS), STEADY);
    command.args(["--rate", RATE, "--read-back", "2000", "--json"]).arg(&file);
    let report = held(&mut command, &file)?;
    all_came(&report, STEADY)?;
    for (key, target) in [("p50", 5.0), ("p99", 25.0)] {
        let latency = report.pointer("/visit_latency_ms").and_then(|all| number(all, key).ok());
        let latency = latency.ok_or("the storm does not tell its latency")?;
        let what = format!("registrations at a steady 4,000/s, {key}");
        rows.push(Row::at_most("P2", &what, latency, "ms", target));
    }
    Ok(())
}

fn checkouts(world: &World, scratch: &Scratch, rows: &mut Vec<Row>) -> Result<(), String> {
    let (bar, mut rates) = (Bar::new("P7 rounds", ROUNDS.into()), Vec::new());
    for round in 1..=ROUNDS {
        let file = scratch.path("checkouts.json");
        let mut command = storm(world, &named(EVENTS + 1), CHECKOUTS);
        command.args(["--burst", "--mode", "html", "--read-back", "500", "--json"]).arg(&file);
        let report = held(&mut command, &file)?;
        all_came(&report, CHECKOUTS)?;
        rates.push(number(&report, "registrations_per_second")?);
        bar.at(round.into());
    }
    bar.end();
    let what = "complete HTML checkouts";
    rows.push(Row::at_least("P7", what, median(rates), "/s", 1_500.0));
    Ok(())
}

/// Nobody was refused, and nobody failed.
fn all_came(report: &Value, visitors: u64) -> Result<(), String> {
    let registered = report.get("registrations").and_then(Value::as_u64);
    if registered == Some(visitors) {
        return Ok(());
    }
    Err(format!("{registered:?} of {visitors} are registered"))
}

/// Registrations over all events against those of one, in turns.
fn spread(world: &World, rows: &mut Vec<Row>) -> Result<(), String> {
    let mut about = Vec::new();
    for path in world.event_paths()? {
        let event = process::get_json(&world.site, &path)?;
        let slug = field(&event, "slug").trim_start_matches("spread-").parse::<usize>();
        if slug.is_ok_and(|number| number < EVENTS) {
            about.push((format!("{path}/registrations"), first_item(&event)?));
        }
    }
    if about.len() != EVENTS {
        return Err(format!("{} of {EVENTS} events are listed", about.len()));
    }
    let hot = world.event(&format!("spread-{}", EVENTS + 2))?;
    let hot = [(format!("/api/v1/events/{}/registrations", field(&hot, "id")), first_item(&hot)?)];
    let (bar, mut seed) = (Bar::new("P4 rounds", ROUNDS.into()), 0_u32);
    let mut rate = |about: &[(String, String)]| {
        seed += 1;
        world.rest()?;
        let mut words = vec!["--seed".to_owned(), seed.to_string()];
        for (path, item) in about {
            words.extend(["--path", path, "--item", item].map(str::to_owned));
        }
        load(&world.site, &words).map(|load| load.per_second)
    };
    let (mut one, mut many) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        one.push(rate(&hot)?);
        many.push(rate(&about)?);
        bar.at(round.into());
    }
    bar.end();
    let what = "registrations spread over 200 events, of those on one";
    rows.push(Row::ratio("P4", what, median(many), median(one), 0.6));
    Ok(())
}
