//! S5: an org that was sent 100,000 rows and more is compared with them, once
//! as it should be and once with records changed behind Sloe's back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::OrgClient;
use super::outage::{arrived, storm};
use super::process::{self, Scratch};
use super::progress::Bar;
use super::table::Row;
use super::world::{self, World, events_seed, field};

const MB: f64 = 1024.0 * 1024.0;
/// Events, each with sessions.
const EVENTS: usize = 4;
/// People of each event, with up to two sessions each.
const PEOPLE: u64 = 10_000;
/// Attendees, and places in sessions, that are changed in the org.
const CHANGED: usize = 1_000;
/// How long a comparison may take.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn run(scratch: &Scratch, rows: &mut Vec<Row>) -> Result<(), String> {
    let seed = events_seed("compare", EVENTS, 4);
    let world = World::allowed(scratch, "compare", &seed, world::ENTERPRISE)?;
    let people = EVENTS as u64 * PEOPLE;
    let bar = Bar::new("S5 attendees there", people);
    for number in 0..EVENTS {
        storm(scratch, &world, &format!("bench/compare-{number}"), PEOPLE)?;
    }
    arrived(&world, people, |arrived| {
        bar.at(arrived);
        Ok(())
    })?;
    bar.end();
    // Figures go after the rows: once they are there, nothing differs.
    process::wait(PATIENCE, Duration::from_secs(1), || {
        let seen = compared(&world)?;
        if seen.is("clean") { Ok(()) } else { Err(format!("it differs: {}", seen.told)) }
    })?;
    let counted = compared(&world)?;
    if !counted.is("clean") || counted.number("one_by_one") > 0.0 {
        return Err(format!("nothing was changed, and it differs: {}", counted.told));
    }
    let org = world.sign_in()?;
    let changed = ["Sloe_Attendee__c", "Sloe_Session_Attendee__c"]
        .into_iter()
        .map(|object| change(&org, object))
        .sum::<Result<usize, String>>()?;
    let row_by_row = compared(&world)?;
    if row_by_row.number("one_by_one") < row_by_row.number("rows") {
        return Err(format!("not all rows were compared one by one: {}", row_by_row.told));
    }
    let found: f64 = row_by_row
        .told
        .get("differences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|difference| difference.get("found")?.as_f64())
        .sum();
    #[allow(clippy::cast_precision_loss)]
    if found != changed as f64 {
        return Err(format!("{found} of {changed} changed rows were found: {}", row_by_row.told));
    }
    println!("\n{}", row_by_row.told);
    for (seen, how) in [(&counted, "by counts"), (&row_by_row, "row by row, 2,000 differ")] {
        let what = format!("rows compared {how}");
        rows.push(Row::told("S5", &what, seen.number("rows"), ""));
        rows.push(Row::told("S5", &format!("seconds of it, {how}"), seen.seconds, "s"));
        rows.push(Row::told("S5", &format!("API calls of it, {how}"), seen.calls, ""));
        let what = format!("memory above idle in it, {how}");
        rows.push(Row::at_most("S5", &what, seen.above, "MB", 100.0));
    }
    Ok(())
}

/// A comparison as it was told and seen.
struct Seen {
    told: Value,
    seconds: f64,
    calls: f64,
    /// Megabytes resident at most, above what it was before.
    above: f64,
}

impl Seen {
    fn is(&self, name: &str) -> bool {
        self.told.get(name) == Some(&Value::Bool(true))
    }

    fn number(&self, name: &str) -> f64 {
        self.told.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }
}

/// Has the org compared and watches.
fn compared(world: &World) -> Result<Seen, String> {
    let (idle, calls) = (world.memory()?.0, world.org_stats()?.1);
    let org = json!({ "org": "bench" });
    let began = Instant::now();
    let asked = field(&world.admin("sync/verify", &org)?, "asked").to_owned();
    let mut most = idle;
    let told = process::wait(PATIENCE, Duration::from_millis(20), || {
        most = most.max(world.memory()?.0);
        let status = world.admin("sync/status", &org)?;
        let last = status.pointer("/orgs/0/last_verify").cloned().unwrap_or_default();
        // Both are RFC 3339 in UTC; fractions are left out where there are none.
        let (asked, began) = (asked.trim_end_matches('Z'), field(&last, "began"));
        if began.trim_end_matches('Z') >= asked { Ok(last) } else { Err("it runs".to_owned()) }
    })?;
    let seconds = began.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    let (calls, above) =
        ((world.org_stats()?.1 - calls) as f64, most.saturating_sub(idle) as f64 / MB);
    Ok(Seen { told, seconds, calls, above })
}

/// Raises the version of some records of each event, as somebody in the org
/// might; how many.
fn change(org: &OrgClient, object: &str) -> Result<usize, String> {
    let found = org.query(&format!("SELECT Id FROM {object}"))?;
    let every = (found.len() / CHANGED).max(1);
    let version = json!({ "Sloe_Version__c": 1_000_000_000 });
    let changes: Vec<_> = found
        .iter()
        .step_by(every)
        .take(CHANGED)
        .map(|record| (field(record, "Id").to_owned(), version.clone()))
        .collect();
    for some in changes.chunks(200) {
        org.change(object, some)?;
    }
    Ok(changes.len())
}
