//! What happens in the org: calls by the minute, limits, faults in force, Bulk jobs, calls of Sloe's hook.

use askama::Template;

use super::view::{Frame, Link, frame, grouped, linked, moment};
use crate::org::api::jobs::{Job, Operation, Phase};
use crate::org::data::Database;
use crate::org::state::{State as Org, lock};
use crate::org::traffic::Minute;

/// How many jobs are shown.
const JOBS: usize = 10;
/// The chart's height in its own units, and a bar's distance from the next.
const HEIGHT: u64 = 100;
const STEP: usize = 10;
/// What the parts of a bar are called, from the bottom up, and their class in the style sheet.
const PARTS: [(&str, &str); 4] =
    [("answered", "good"), ("refused", "refused"), ("failed", "failed"), ("not answered", "lost")];

struct Part {
    class: &'static str,
    x: usize,
    /// From the top, and how tall: `12.50`.
    y: String,
    height: String,
}

struct Legend {
    class: &'static str,
    name: &'static str,
    count: String,
}

struct Line {
    time: String,
    counts: Vec<String>,
}

struct Chart {
    parts: Vec<Part>,
    legend: Vec<Legend>,
    /// What the axis goes up to.
    top: String,
    words: String,
    from: String,
    until: String,
    /// The minutes with calls, the newest first.
    lines: Vec<Line>,
}

struct Fact {
    label: &'static str,
    value: String,
}

struct JobLine {
    id: String,
    what: String,
    state: &'static str,
    busy: bool,
    done: String,
    failed: String,
    created: String,
}

struct HookLine {
    at: String,
    event: Option<Link>,
    outcome: String,
    good: bool,
    millis: String,
}

/// The page.
#[derive(Template)]
#[template(path = "org/activity.html")]
pub(super) struct Activity {
    frame: Frame,
    chart: Chart,
    limits: Vec<Fact>,
    /// Used calls of the day and all of them, for the meter.
    used: u64,
    daily: u64,
    rules: Vec<String>,
    locks: usize,
    jobs: Vec<JobLine>,
    hooks: Vec<HookLine>,
}

/// What happens now and has happened in the last hour.
pub(super) fn activity(org: &Org, database: &Database) -> Activity {
    let used = org.used();
    let daily = lock(&org.meter).allowance.daily;
    Activity {
        frame: frame(org, database, "Activity", "activity", None),
        chart: chart(org, database),
        limits: limits(org, used, daily),
        used: used.min(daily),
        daily: daily.max(1),
        rules: org.faults.borrow().lines(),
        locks: database.held_locks(),
        jobs: jobs(org, database),
        hooks: hooks(org, database),
    }
}

fn limits(org: &Org, used: u64, daily: u64) -> Vec<Fact> {
    let number = |n: u64| grouped(&n.to_string());
    let (batches, _) = org.bulk_used();
    let (under_way, allowance, others) = {
        let meter = lock(&org.meter);
        (meter.under_way(), meter.allowance, meter.others())
    };
    let most = allowance.bulk_batches;
    let mut all = vec![
        (
            "Calls left today",
            format!("{} of {}", number(daily.saturating_sub(used)), number(daily)),
        ),
        ("Calls under way", under_way.to_string()),
        ("Long calls at once", format!("at most {}", allowance.concurrent)),
        (
            "Bulk batches left today",
            format!("{} of {}", number(most.saturating_sub(batches)), number(most)),
        ),
    ];
    if others.per_minute > 0 {
        all.push(("Calls of others", format!("{} a minute", number(others.per_minute))));
    }
    if others.long_running > 0 {
        all.push(("Long calls of others", others.long_running.to_string()));
    }
    all.into_iter().map(|(label, value)| Fact { label, value }).collect()
}

/// 1, 2 or 5 with zeros: the next one from here.
fn round_up(most: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        let step = [1, 2, 5].into_iter().map(|digit| unit.saturating_mul(digit));
        if let Some(top) = step.into_iter().find(|top| *top >= most) {
            return top;
        }
        unit = unit.saturating_mul(10);
    }
}

fn chart(org: &Org, database: &Database) -> Chart {
    let now = org.minute();
    let minutes = lock(&org.traffic).last_hour(now);
    let time = |place: usize| {
        let back = minutes.len().saturating_sub(1 + place);
        let full = moment(database, (now - i64::try_from(back).unwrap_or(0)) * 60_000);
        full.rsplit(' ').next().unwrap_or_default().to_owned()
    };
    let total = |counts: &Minute| counts.iter().sum::<u64>();
    let busiest = minutes.iter().enumerate().max_by_key(|(_, counts)| total(counts));
    let top = round_up(busiest.map_or(0, |(_, counts)| total(counts)));
    let sums = PARTS.iter().enumerate().map(|(part, (name, class))| {
        let sum: u64 = minutes.iter().filter_map(|counts| counts.get(part)).sum();
        Legend { class, name, count: grouped(&sum.to_string()) }
    });
    let legend: Vec<Legend> = sums.collect();
    let all: u64 = minutes.iter().map(total).sum();
    let told: Vec<String> = legend.iter().map(|l| format!("{} {}", l.count, l.name)).collect();
    let words = match busiest {
        Some((place, counts)) if all > 0 => format!(
            "{} calls in the last 60 minutes: {}. The busiest minute was {} with {}.",
            grouped(&all.to_string()),
            told.join(", "),
            time(place),
            grouped(&total(counts).to_string())
        ),
        _ => "No calls in the last 60 minutes.".to_owned(),
    };
    let lines = minutes.iter().enumerate().rev().filter(|(_, counts)| total(counts) > 0);
    let lines = lines.map(|(place, counts)| Line {
        time: time(place),
        counts: counts.iter().map(|n| grouped(&n.to_string())).collect(),
    });
    Chart {
        parts: minutes
            .iter()
            .enumerate()
            .flat_map(|(place, counts)| bar(place, counts, top))
            .collect(),
        legend,
        top: grouped(&top.to_string()),
        words,
        from: time(0),
        until: time(minutes.len().saturating_sub(1)),
        lines: lines.collect(),
    }
}

/// The parts of one minute's bar, stacked.
fn bar(place: usize, counts: &Minute, top: u64) -> Vec<Part> {
    // In hundredths, so that no part of a bar is lost to rounding.
    let scaled = |n: u64| n * HEIGHT * 100 / top.max(1);
    let units = |n: u64| format!("{}.{:02}", n / 100, n % 100);
    let mut below = 0;
    let parts = counts.iter().zip(PARTS).filter_map(|(count, (_, class))| {
        let (from, to) = (scaled(below), scaled(below + count));
        below += count;
        (to > from).then(|| Part {
            class,
            x: place * STEP + 1,
            y: units(HEIGHT * 100 - to),
            height: units(to - from),
        })
    });
    parts.collect()
}

fn jobs(org: &Org, database: &Database) -> Vec<JobLine> {
    let mut all = org.jobs.all();
    all.reverse();
    // Those at work first, then the newest.
    all.sort_by_key(|job| !lock(job).is_busy());
    all.iter().take(JOBS).map(|job| job_line(database, &lock(job))).collect()
}

fn job_line(database: &Database, job: &Job) -> JobLine {
    let doing = match job.operation {
        Operation::Insert => "Insert",
        Operation::Update => "Update",
        Operation::Upsert => "Upsert",
        Operation::Delete => "Delete",
    };
    JobLine {
        id: job.id.clone(),
        what: format!("{doing} {}", database.object(job.object).plural.to_lowercase()),
        state: match job.phase {
            Phase::Open => "open",
            Phase::UploadComplete => "waiting",
            Phase::InProgress => "at work",
            Phase::JobComplete => "complete",
            Phase::Failed => "failed",
            Phase::Aborted => "aborted",
        },
        busy: job.is_busy(),
        done: grouped(&job.processed.to_string()),
        failed: grouped(&job.failed.to_string()),
        created: moment(database, job.created),
    }
}

fn hooks(org: &Org, database: &Database) -> Vec<HookLine> {
    let traffic = lock(&org.traffic);
    let each = traffic.hooks().map(|call| HookLine {
        at: moment(database, call.at),
        event: call.event.map(|id| {
            let gone = || Link { id: id.to_string(), name: id.to_string() };
            linked(database, "Sloe_Event__c", id).unwrap_or_else(gone)
        }),
        outcome: call.outcome.clone(),
        good: call.good,
        millis: grouped(&call.millis.to_string()),
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_at_a_round_number() {
        let all = [0, 1, 2, 3, 7, 11, 51, 99, 12_345].map(round_up);
        assert_eq!(all, [1, 1, 2, 5, 10, 20, 100, 100, 20_000]);
    }

    #[test]
    fn a_bar_is_stacked_without_gaps() {
        let parts = bar(2, &[30, 0, 15, 5], 100);
        let told: Vec<(&str, usize, &str, &str)> =
            parts.iter().map(|p| (p.class, p.x, p.y.as_str(), p.height.as_str())).collect();
        assert_eq!(
            told,
            [
                ("good", 21, "70.00", "30.00"),
                ("failed", 21, "55.00", "15.00"),
                ("lost", 21, "50.00", "5.00")
            ]
        );
    }
}
