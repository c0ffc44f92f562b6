//! S2 and S4: what an organizer's Update costs the organizer, and the whole
//! org's the readers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::hours::percentile;
use super::process::{self, Scratch};
use super::progress::Bar;
use super::table::Row;
use super::world::{World, events_seed, field};

const MB: f64 = 1024.0 * 1024.0;
/// How long the simulated org takes for every answer.
const ANSWER_MS: u32 = 200;
/// Updates that are timed.
const UPDATES: u32 = 40;
/// Events of the org that is read as a whole.
const EVENTS: usize = 1_000;
/// How often it is read.
const ROUNDS: u32 = 5;
/// Readers of its pages, each with a pause after every read.
const READERS: usize = 4;
/// How long they read before it.
const BEFORE: Duration = Duration::from_secs(2);

/// S2: from the hook's call to a page with the new text and another ETag.
pub(super) fn page(scratch: &Scratch, rows: &mut Vec<Row>) -> Result<(), String> {
    let world = World::start(scratch, "update", &events_seed("update", 3, 4))?;
    let org = world.sign_in()?;
    let found = org.query("SELECT Id FROM Sloe_Event__c WHERE Slug__c = 'update-0'")?;
    let id = field(found.first().ok_or("the org has lost its event")?, "Id").to_owned();
    world.faults(&json!([{ "latency_ms": ANSWER_MS }]))?;
    let bar = Bar::new("S2 Update to page", UPDATES.into());
    let mut times = Vec::new();
    for number in 0..UPDATES {
        let name = format!("Renamed {number} times");
        org.change("Sloe_Event__c", &[(id.clone(), json!({ "Name": name }))])?;
        let page = ("GET", world.site.as_str(), "/bench/update-0");
        let before = process::ask(page, "", "")?.header("ETag").to_owned();
        if before.is_empty() {
            return Err("the event page has no ETag".to_owned());
        }
        let began = Instant::now();
        world.press_update(Some(&id))?;
        process::wait(Duration::from_secs(20), Duration::from_millis(1), || {
            let answer = process::ask(page, &format!("If-None-Match: {before}"), "")?;
            match answer.status {
                200 if String::from_utf8_lossy(&answer.body).contains(&name) => Ok(()),
                200 | 304 => Err("the page does not change".to_owned()),
                status => Err(format!("the event page answers {status}")),
            }
        })?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
        bar.at(u64::from(number) + 1);
        // The next one is not the same rush.
        std::thread::sleep(Duration::from_millis(500));
    }
    bar.end();
    times.sort_by(f64::total_cmp);
    let answer = f64::from(ANSWER_MS);
    let beyond = percentile(&times, 50) - answer;
    let what = "Update to page beyond one answer of the org (200 ms), p50";
    rows.push(Row::at_most("S2", what, beyond, "ms", 300.0));
    let at = |percent| percentile(&times, percent);
    println!(
        "\nUpdate to page, {UPDATES} times, the org's own {ANSWER_MS} ms included: p50 {:.0} ms, \
         p90 {:.0} ms, most {:.0} ms",
        at(50),
        at(90),
        at(100)
    );
    Ok(())
}

/// S4: an org of 1,000 events, each of them changed, is read as a whole while
/// its pages are read.
pub(super) fn whole_org(scratch: &Scratch, rows: &mut Vec<Row>) -> Result<(), String> {
    let world = World::start(scratch, "whole", &events_seed("whole", EVENTS, 3))?;
    let org = world.sign_in()?;
    let found = org.query("SELECT Id FROM Sloe_Event__c")?;
    let ids: Vec<String> = found.iter().map(|record| field(record, "Id").to_owned()).collect();
    let bar = Bar::new("S4 refresh of 1,000 events", ROUNDS.into());
    let idle = world.memory()?.0;
    let (mut all, mut seconds) = (Seen::default(), Vec::new());
    for round in 0..ROUNDS {
        for some in ids.chunks(200) {
            let name = json!({ "Name": format!("Whole, {round} times") });
            let changes: Vec<_> = some.iter().map(|id| (id.clone(), name.clone())).collect();
            org.change("Sloe_Event__c", &changes)?;
        }
        let seen = refreshed(&world)?;
        seconds.push(seen.seconds);
        all.calls = seen.calls;
        all.most = all.most.max(seen.most);
        all.before.extend(seen.before);
        all.during.extend(seen.during);
        shown(&world, round)?;
        bar.at(u64::from(round) + 1);
    }
    bar.end();
    for figures in [&mut seconds, &mut all.before, &mut all.during] {
        figures.sort_by(f64::total_cmp);
    }
    let (before, during) = (percentile(&all.before, 99), percentile(&all.during, 99));
    println!(
        "\n{} calls for a refresh of {EVENTS} events; p99 of a page {before:.2} ms before ({} \
         reads), {during:.2} ms in it ({} reads); p50 {:.2} and {:.2} ms",
        all.calls,
        all.before.len(),
        all.during.len(),
        percentile(&all.before, 50),
        percentile(&all.during, 50)
    );
    rows.push(Row::told("S4", "refresh of 1,000 changed events", percentile(&seconds, 50), "s"));
    rows.push(Row::told("S4", "memory in it, highest", megabytes(all.most), "MB"));
    let above = megabytes(all.most.saturating_sub(idle));
    rows.push(Row::told("S4", "memory in it above before", above, "MB"));
    rows.push(Row::told("S4", "p99 of page reads in it, of that before", during / before, "×"));
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / MB
}

/// What was seen of a refresh.
#[derive(Default)]
struct Seen {
    seconds: f64,
    /// Bytes resident at most.
    most: u64,
    /// Calls of the org's interface.
    calls: u64,
    /// Milliseconds of page reads.
    before: Vec<f64>,
    during: Vec<f64>,
}

/// Has the whole org read, while pages are read before and in it.
fn refreshed(world: &World) -> Result<Seen, String> {
    let name = "sloe_update_to_page_seconds_count";
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let start = || scope.spawn(|| read_pages(world, &over));
        let readers: Vec<_> = (0..READERS).map(|_| start()).collect();
        let watched = || {
            std::thread::sleep(BEFORE);
            let (done, calls) = (world.metric(name)?, world.org_stats()?.1);
            let began = Instant::now();
            world.press_update(None)?;
            let mut most = 0;
            process::wait(Duration::from_secs(120), Duration::from_millis(50), || {
                most = most.max(world.memory()?.0);
                if world.metric(name)? > done { Ok(()) } else { Err("it is not read".to_owned()) }
            })?;
            let calls = world.org_stats()?.1 - calls;
            Ok::<_, String>((began, Instant::now(), most, calls))
        };
        let watched = watched();
        over.store(true, Ordering::Relaxed);
        let mut reads = Vec::new();
        for reader in readers {
            reads.extend(reader.join().map_err(|_| "a reader panicked".to_owned())??);
        }
        let (began, ended, most, calls) = watched?;
        let mut seen =
            Seen { seconds: (ended - began).as_secs_f64(), most, calls, ..Seen::default() };
        for (at, millis) in reads {
            if at < began {
                seen.before.push(millis);
            } else if at < ended {
                seen.during.push(millis);
            }
        }
        Ok(seen)
    })
}

/// Reads pages one after the other until it is over: when each was asked for,
/// and the milliseconds it took, connection included.
fn read_pages(world: &World, over: &AtomicBool) -> Result<Vec<(Instant, f64)>, String> {
    let mut reads = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let path = format!("/bench/whole-{}", reads.len() % 50);
        let asked = Instant::now();
        let status = process::ask(("GET", &world.site, &path), "", "")?.status;
        if status != 200 {
            return Err(format!("{path} answers {status} while the org is read"));
        }
        reads.push((asked, asked.elapsed().as_secs_f64() * 1_000.0));
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(reads)
}

/// All events must be as they were changed.
fn shown(world: &World, round: u32) -> Result<(), String> {
    let name = format!("Whole, {round} times");
    let paths = world.event_paths()?;
    for path in &paths {
        let event = process::get_json(&world.site, path)?;
        if field(&event, "name") != name {
            return Err(format!("{path} still says {}", field(&event, "name")));
        }
    }
    if paths.len() == EVENTS { Ok(()) } else { Err(format!("{} events are listed", paths.len())) }
}
