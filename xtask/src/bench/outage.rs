//! S3: the org is away for three days while more than 100,000 rows pile up;
//! then all of it goes there, each record's newest state.
//!
//! The days themselves are not waited for: what waits is told by its place in
//! the journal, not by its age. `crates/engine/tests/outage.rs` turns the
//! clock by 72 hours and checks the same on a small scale.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Offer, OrgClient};
use super::process::{self, Scratch};
use super::progress::Bar;
use super::table::Row;
use super::world::{self, World, events_seed, field};
use crate::cargo;

const MB: f64 = 1024.0 * 1024.0;
/// Events, each with sessions.
const EVENTS: usize = 4;
/// Registrations that stay as they are, for each event.
const STEADY: u64 = 9_000;
/// Orders of three people that change again, for each event: two tickets of
/// each are cancelled one by one, every second order then as a whole.
const CHANGING: usize = 750;
/// The share of an org's allowance that Sloe may use, if the org chooses nothing.
const SHARE: f64 = 0.15;

pub(super) fn run(scratch: &Scratch, rows: &mut Vec<Row>) -> Result<(), String> {
    let seed = events_seed("outage", EVENTS, 4);
    let world = World::allowed(scratch, "outage", &seed, world::ENTERPRISE)?;
    world.faults(&json!({ "outage": true }))?;
    let bar = Bar::new("S3 what piles up", EVENTS as u64 * (STEADY + CHANGING as u64));
    let mut expected = BTreeMap::new();
    for number in 0..EVENTS {
        storm(scratch, &world, &format!("bench/outage-{number}"), STEADY)?;
        bar.at((number as u64 + 1) * STEADY);
        change(&world, number, &mut expected)?;
        bar.at((number as u64 + 1) * (STEADY + CHANGING as u64));
    }
    bar.end();
    let people = EVENTS as u64 * STEADY + expected.len() as u64;
    // What is left of the storm itself is no part of the drain.
    std::thread::sleep(Duration::from_secs(3));
    let (idle, calls_before) = (world.memory()?.0, world.org_stats()?.1);
    world.faults(&json!([]))?;
    let (began, mut most) = (Instant::now(), idle);
    let bar = Bar::new("S3 attendees there", people);
    arrived(&world, people, |arrived| {
        most = most.max(world.memory()?.0);
        bar.at(arrived);
        Ok(())
    })?;
    let seconds = began.elapsed().as_secs_f64();
    bar.end();
    // Later calls of the same drain, such as the capacity figures, count too.
    std::thread::sleep(Duration::from_secs(5));
    let (_, calls) = world.org_stats()?;
    let org = world.sign_in()?;
    let sent = judge(&org, people, &expected)?;
    let troubles = world.metric("sloe_org_dead_letters")? + world.metric("sloe_org_retrying")?;
    if troubles > 0.0 {
        return Err(format!("{troubles} rows were set aside or wait to be sent again"));
    }
    let facts = people + (expected.len() * 2 / 3 + expected.len() / 6) as u64;
    println!(
        "\n{people} attendees, {facts} registrations and cancellations of them; {sent} rows in the org"
    );
    #[allow(clippy::cast_precision_loss)]
    let (calls, sent, above) =
        ((calls - calls_before) as f64, sent as f64, most.saturating_sub(idle) as f64 / MB);
    #[allow(clippy::cast_precision_loss)]
    let budget = world::ENTERPRISE as f64 * SHARE;
    rows.push(Row::told("S3", "rows drained after an outage of 72 h", sent, ""));
    rows.push(Row::told("S3", "seconds of it", seconds, "s"));
    rows.push(Row::at_most("S3", "API calls of it", calls, "", budget));
    rows.push(Row::at_most("S3", "API calls for each row of it", calls / sent, "", 0.001));
    rows.push(Row::at_most("S3", "memory above idle in it", above, "MB", 100.0));
    Ok(())
}

/// Waits until so many attendees are in the org and nothing more is on its way;
/// how many there are is told meanwhile.
pub(super) fn arrived(
    world: &World,
    people: u64,
    mut tell: impl FnMut(u64) -> Result<(), String>,
) -> Result<(), String> {
    let pending = "sloe_org_outbox_pending";
    process::wait(Duration::from_secs(600), Duration::from_millis(200), || {
        let arrived = world.org_stats()?.0;
        tell(arrived)?;
        let left = world.metric(pending)?;
        if arrived >= people && left < 1.0 {
            Ok(())
        } else {
            Err(format!("{arrived} of {people} attendees arrived, {left} batches wait"))
        }
    })
}

/// Registrations for up to two sessions each, as fast as they are taken.
pub(super) fn storm(
    scratch: &Scratch,
    world: &World,
    event: &str,
    visitors: u64,
) -> Result<(), String> {
    let report = scratch.path("storm.json");
    let mut command: Command = process::sloe();
    command.args(["storm", "--target", &world.site, "--event", event, "--burst"]);
    command.args(["--visitors", &visitors.to_string(), "--connections", "64", "--sessions", "2"]);
    command.args(["--read-back", "0", "--json"]).arg(&report);
    command.stdout(std::process::Stdio::null());
    cargo::run(&mut command)
}

/// Orders that change again and again; what the org must say of each person in the end.
fn change(
    world: &World,
    number: usize,
    expected: &mut BTreeMap<String, bool>,
) -> Result<(), String> {
    let offer = Offer::read(world, &format!("outage-{number}"))?;
    for order in 0..CHANGING {
        let people: Vec<String> =
            (1..=3).map(|person| format!("Guest{number}-{order}-{person}")).collect();
        let id = offer.register(&world.site, &format!("outage-{number}-{order}"), &people)?;
        let whole = order % 2 == 0;
        let mut paths = vec![format!("/api/v1/orders/{id}/tickets/1")];
        paths.push(format!("/api/v1/orders/{id}/tickets/2"));
        paths.extend(whole.then(|| format!("/api/v1/orders/{id}")));
        for path in paths {
            process::ask(("DELETE", &world.site, &path), "", "")?.json()?;
        }
        let stands = people.into_iter().zip([false, false, !whole]);
        expected.extend(stands);
    }
    Ok(())
}

/// Every record there once and in its newest state, every session's with its
/// attendee; how many rows there are.
fn judge(org: &OrgClient, people: u64, expected: &BTreeMap<String, bool>) -> Result<u64, String> {
    let fields = "Last_Name__c, Registration_Status__c";
    let soql = format!("SELECT {fields} FROM Sloe_Attendee__c");
    let attendees = org.query(&soql)?;
    if attendees.len() as u64 != people {
        return Err(format!("{} attendees in the org, not {people}", attendees.len()));
    }
    let mut found = 0;
    for attendee in &attendees {
        let name = field(attendee, "Last_Name__c");
        let stands = field(attendee, "Registration_Status__c") == "Registered";
        let known = expected.get(name);
        found += usize::from(known.is_some());
        if known.copied().unwrap_or(true) != stands {
            return Err(format!("the org has another state of {name} than the newest"));
        }
    }
    if found != expected.len() {
        return Err(format!("{found} of {} changed records are there", expected.len()));
    }
    let sessions = "Sloe_Session_Attendee__c";
    let rows = org.query(&format!("SELECT Attendee__c FROM {sessions}"))?;
    let orphans =
        rows.iter().filter(|row| row.get("Attendee__c").is_none_or(Value::is_null)).count();
    if orphans > 0 {
        return Err(format!("{orphans} session rows have no attendee"));
    }
    Ok(people + rows.len() as u64)
}
