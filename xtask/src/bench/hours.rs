//! S1: normal hours. Registrations come at a steady rate to several events of
//! one org under the default settings; the org itself counts what it is asked,
//! and how soon it has each registration.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Offer;
use super::process::{self, Scratch};
use super::progress::Bar;
use super::table::Row;
use super::world::{self, World, events_seed};

/// Events that the registrations are spread over.
const EVENTS: usize = 4;
/// Normal hours, in registrations a second: what the platform of the letter could not sustain.
const NORMAL: u32 = 12;
/// Beside it, as many as leave most windows of the outbox nearly empty. Few calls and a short lag
/// exclude each other there by arithmetic (docs/performance.md, S1): only the lag has a target.
const QUIET: u32 = 1;
/// How often the org is asked how many attendees it has; that is no call of its interface.
const LOOK: Duration = Duration::from_millis(50);
/// How long the last ones may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(60);

/// What came of one rate.
struct Hours {
    rate: u32,
    registrations: u64,
    calls: u64,
    /// By kind, as the org counts them; figures apart from rows.
    kinds: BTreeMap<String, u64>,
    /// Seconds from acknowledged to there, sorted.
    lags: Vec<f64>,
    /// The share that the platform itself found there within 3 and 15 s.
    shares: (f64, f64),
}

/// Both rates side by side, each with an org and a platform of its own.
pub(super) fn run(scratch: &Scratch, minutes: u64, rows: &mut Vec<Row>) -> Result<(), String> {
    let bar = Bar::new("S1 normal hours", minutes * 60);
    let measured: Result<Vec<Hours>, String> = std::thread::scope(|scope| {
        let bar = &bar;
        let start = |rate| scope.spawn(move || measure(scratch, rate, minutes, bar));
        let running: Vec<_> = [NORMAL, QUIET].into_iter().map(start).collect();
        let ended = running.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|one| one.map_err(|_| "a measurement panicked".to_owned())?).collect()
    });
    bar.end();
    for hours in &measured? {
        tell(hours, minutes);
        show(hours, minutes, rows);
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn show(hours: &Hours, minutes: u64, rows: &mut Vec<Row>) {
    let rate = hours.rate;
    let each = hours.calls as f64 / hours.registrations as f64;
    let what = format!("API calls per registration, {rate}/s for {minutes} min, all counted");
    rows.push(match rate {
        NORMAL => Row::at_most("S1", &what, each, "", 0.02),
        _ => Row::told("S1", &what, each, ""),
    });
    for (name, at, target) in [("p50", 50, 3.0), ("p99", 99, 15.0)] {
        let what = format!("acknowledged to there, {rate}/s, {name}");
        rows.push(Row::at_most("S1", &what, percentile(&hours.lags, at), "s", target));
    }
}

/// What the table has no room for.
fn tell(hours: &Hours, minutes: u64) {
    let Hours { rate, registrations, calls, kinds, lags, shares } = hours;
    println!("\n{rate}/s for {minutes} min: {registrations} registrations, {calls} calls");
    for (kind, count) in kinds {
        println!("  {kind:<22} {count}");
    }
    let at = |percent| percentile(lags, percent);
    println!(
        "  lag p50 {:.2} s, p90 {:.2} s, p99 {:.2} s, most {:.2} s; by the platform's own \
         histogram {:.1} % within 3 s, {:.1} % within 15 s",
        at(50),
        at(90),
        at(99),
        at(100),
        shares.0 * 100.0,
        shares.1 * 100.0
    );
}

pub(super) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or(f64::NAN)
}

fn measure(scratch: &Scratch, rate: u32, minutes: u64, bar: &Bar) -> Result<Hours, String> {
    let seed = events_seed("hour", EVENTS, 4);
    let world = World::allowed(scratch, &format!("hours-{rate}"), &seed, world::ENTERPRISE)?;
    let slugs = (0..EVENTS).map(|number| format!("hour-{number}"));
    let offers = slugs.map(|slug| Offer::read(&world, &slug)).collect::<Result<Vec<_>, _>>()?;
    // Figures go by a fault rule that changes nothing: it counts them.
    let path = "/services/data/*/composite/sobjects";
    world.faults(&json!([{ "path": path, "latency_ms": 0.01 }]))?;
    let (before, _) = kinds(&world)?;
    let (calls_before, total) = (used(&world)?, u64::from(rate) * minutes * 60);
    let acknowledged = Mutex::new(Vec::new());
    let arrived = Mutex::new(Vec::new());
    let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| watch(&world, began, total, &over, &arrived, bar));
        let register = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return Ok(());
                }
                // The timetable doesn't wait for answers.
                let due = began + Duration::from_secs(number) / rate;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let at = usize::try_from(number).unwrap_or(0) % offers.len();
                let offer = offers.get(at).ok_or("there is no event")?;
                let (key, name) = (format!("hours-{number}"), format!("Guest{number}"));
                offer.register(&world.site, &key, &[name])?;
                lock(&acknowledged).push(began.elapsed().as_secs_f64());
            }
        };
        let people: Vec<_> = (0..8).map(|_| scope.spawn(register)).collect();
        let mut ended: Result<(), String> = Ok(());
        for one in people {
            ended = ended.and(one.join().map_err(|_| "a registrant panicked".to_owned())?);
        }
        if ended.is_err() {
            over.store(true, Ordering::Relaxed);
        }
        ended.and(watch.join().map_err(|_| "the watch panicked".to_owned())?)
    })?;
    let mut acknowledged = acknowledged.into_inner().unwrap_or_default();
    acknowledged.sort_by(f64::total_cmp);
    let lags = lags(&acknowledged, &arrived.into_inner().unwrap_or_default());
    // The last figures go along within the minute.
    let (after, hits) = kinds(&world)?;
    let mut by_kind = BTreeMap::new();
    for (kind, count) in after {
        let count = count - before.get(&kind).copied().unwrap_or(0);
        if count > 0 {
            by_kind.insert(kind, count);
        }
    }
    if let Some(all) = by_kind.remove("collections") {
        by_kind.insert("rows (collections)".to_owned(), all.saturating_sub(hits));
        by_kind.insert("figures (collections)".to_owned(), hits);
    }
    let calls = used(&world)? - calls_before;
    Ok(Hours { rate, registrations: total, calls, kinds: by_kind, lags, shares: shares(&world)? })
}

/// Notes how many attendees the org has by when, until it has all.
fn watch(
    world: &World,
    began: Instant,
    total: u64,
    over: &AtomicBool,
    arrived: &Mutex<Vec<(f64, u64)>>,
    bar: &Bar,
) -> Result<(), String> {
    let mut patience = None;
    while !over.load(Ordering::Relaxed) {
        let (rows, _) = world.org_stats()?;
        let mut noted = lock(arrived);
        let last = noted.last().map_or(0, |(_, rows)| *rows);
        if rows > last {
            noted.push((began.elapsed().as_secs_f64(), rows));
            patience = None;
        }
        drop(noted);
        bar.at(began.elapsed().as_secs());
        if rows >= total {
            return Ok(());
        }
        let since = *patience.get_or_insert_with(Instant::now);
        if since.elapsed() > ARRIVAL {
            return Err(format!("only {rows} of {total} registrations arrived in the org"));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// The n-th acknowledged arrived when the org had n: a drain takes all there
/// is, so none overtakes another by more than a drain's own time.
fn lags(acknowledged: &[f64], arrived: &[(f64, u64)]) -> Vec<f64> {
    let (mut lags, mut at) = (Vec::with_capacity(acknowledged.len()), 0);
    for (number, acknowledged) in (1..).zip(acknowledged) {
        while arrived.get(at).is_some_and(|(_, rows)| *rows < number) {
            at += 1;
        }
        if let Some((when, _)) = arrived.get(at) {
            lags.push((when - acknowledged).max(0.0));
        }
    }
    lags.sort_by(f64::total_cmp);
    lags
}

/// Calls by kind, and hits of the fault rule.
fn kinds(world: &World) -> Result<(BTreeMap<String, u64>, u64), String> {
    let counts = world.org_counts()?;
    let calls = counts.pointer("/stats/calls").and_then(Value::as_object);
    let calls = calls.ok_or("the simulated org tells no calls")?;
    let kinds = calls.iter().filter_map(|(kind, count)| Some((kind.clone(), count.as_u64()?)));
    let rules = process::get_json(&world.org_url, "/__control/faults")?;
    let hits = rules.pointer("/faults/0/hits").and_then(Value::as_u64).unwrap_or(0);
    Ok((kinds.collect(), hits))
}

fn used(world: &World) -> Result<u64, String> {
    world.org_stats().map(|(_, calls)| calls)
}

fn shares(world: &World) -> Result<(f64, f64), String> {
    let name = "sloe_org_sync_lag_seconds";
    let all = world.metric(&format!("{name}_count"))?;
    let within = |bound: &str| world.bucket(name, bound).map(|count| count / all);
    Ok((within("3")?, within("15")?))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_acknowledged_arrived_when_the_org_had_n() {
        let found = lags(&[1.0, 2.0, 6.0], &[(5.0, 2), (9.0, 3)]);
        assert_eq!(found, [3.0, 3.0, 4.0]);
        assert!((percentile(&found, 50) - 3.0).abs() < 1e-9);
        assert!((percentile(&found, 100) - 4.0).abs() < 1e-9);
        assert!(percentile(&[], 50).is_nan());
    }
}
