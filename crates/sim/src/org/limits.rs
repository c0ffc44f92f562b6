//! The org's API allowance: so many calls in 24 hours, so many long ones at once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sloe_core::ids::SfId;

const HOUR_MS: i64 = 3_600_000;

/// What the control API shows and takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Allowance {
    /// Calls in 24 hours.
    pub(crate) daily: u64,
    /// Long-running calls at once.
    pub(crate) concurrent: u32,
    /// From when on a call counts as long-running, in milliseconds (20 s in a real org).
    pub(crate) long_after_ms: u64,
    /// Sign-ins of one user in an hour.
    #[serde(default = "logins")]
    pub(crate) logins: u64,
    /// Batches of Bulk jobs begun in 24 hours.
    #[serde(default = "bulk_batches")]
    pub(crate) bulk_batches: u64,
    /// Bulk query jobs made in 24 hours.
    #[serde(default = "bulk_queries")]
    pub(crate) bulk_queries: u64,
}

impl Allowance {
    /// With what every real org has: sign-ins and Bulk jobs.
    pub(crate) fn new(daily: u64, concurrent: u32, long_after_ms: u64) -> Self {
        let (bulk_batches, bulk_queries) = (bulk_batches(), bulk_queries());
        Self { daily, concurrent, long_after_ms, logins: logins(), bulk_batches, bulk_queries }
    }
}

// What logs from before these were limits stand for, too.
fn logins() -> u64 {
    3_600
}

fn bulk_batches() -> u64 {
    15_000
}

fn bulk_queries() -> u64 {
    10_000
}

/// What other integrations of the same org do, for as long as an experiment wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Others {
    /// So many calls a minute count against the day.
    #[serde(rename = "others_per_minute")]
    pub(crate) per_minute: u64,
    /// So many long-running calls are always under way.
    #[serde(rename = "others_long_running")]
    pub(crate) long_running: u32,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Daily,
    Concurrent,
}

/// How often something happened in one hour.
#[derive(Debug)]
struct Hour {
    /// Hours since 1970.
    hour: i64,
    count: u64,
    /// How much of it is known to the log.
    kept: u64,
}

/// How often something happened in the last 24 hours, by hour.
#[derive(Debug, Default)]
pub(crate) struct Hours(VecDeque<Hour>);

impl Hours {
    /// How often in 24 hours.
    pub(crate) fn sum(&self, now_ms: i64) -> u64 {
        let oldest = hour_of(now_ms) - 24;
        self.0.iter().filter(|of| of.hour > oldest).map(|of| of.count).sum()
    }

    /// It happened so often more.
    pub(crate) fn add(&mut self, now_ms: i64, count: u64) {
        let now = hour_of(now_ms);
        while self.0.front().is_some_and(|of| of.hour <= now - 24) {
            self.0.pop_front();
        }
        match self.0.back_mut() {
            Some(of) if of.hour == now => of.count += count,
            _ => self.0.push_back(Hour { hour: now, count, kept: 0 }),
        }
    }

    /// It did not happen once that was counted within this hour or the one before.
    pub(crate) fn take_back(&mut self, now_ms: i64) {
        let now = hour_of(now_ms);
        let recent = self.0.iter_mut().rev().take_while(|of| of.hour >= now - 1);
        if let Some(of) = recent.into_iter().find(|of| of.count > of.kept) {
            of.count -= 1;
        }
    }

    /// (hour, count) of everything that counts.
    pub(crate) fn all(&self) -> Vec<(i64, u64)> {
        self.0.iter().map(|of| (of.hour, of.count)).collect()
    }

    /// (hour, count) of the hours in which it happened since they were last asked for.
    pub(crate) fn news(&mut self) -> Vec<(i64, u64)> {
        let news = self.0.iter_mut().filter(|of| of.kept != of.count);
        news.map(|of| {
            of.kept = of.count;
            (of.hour, of.count)
        })
        .collect()
    }

    /// Replaces everything that counts.
    pub(crate) fn restore(&mut self, hours: Vec<(i64, u64)>) {
        let each = hours.into_iter().map(|(hour, count)| Hour { hour, count, kept: count });
        self.0 = each.collect();
    }

    /// Sets what counts of one hour, the last one or a later.
    pub(crate) fn restore_hour(&mut self, hour: i64, count: u64) {
        self.0.retain(|of| of.hour != hour && of.hour > hour - 24);
        self.0.push_back(Hour { hour, count, kept: count });
    }
}

/// What is counted against the allowance, and the calls under way.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) allowance: Allowance,
    others: Others,
    /// Since when the others call so often, in milliseconds, and how many of those calls have come.
    others_since: (i64, u64),
    pub(crate) calls: Hours,
    /// Batches of Bulk jobs that were begun.
    pub(crate) batches: Hours,
    /// Bulk query jobs that were made.
    pub(crate) queries: Hours,
    /// By when they began.
    under_way: BTreeMap<u64, Instant>,
    next: u64,
    /// When each user signed in within the last hour, in milliseconds.
    logins: HashMap<SfId, VecDeque<i64>>,
}

impl Meter {
    /// Counts a batch of a Bulk job that begins, unless the day's are used up.
    pub(crate) fn take_batch(&mut self, now_ms: i64) -> bool {
        let may = self.batches.sum(now_ms) < self.allowance.bulk_batches;
        if may {
            self.batches.add(now_ms, 1);
        }
        may
    }

    pub(crate) fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            others: Others::default(),
            others_since: (0, 0),
            calls: Hours::default(),
            batches: Hours::default(),
            queries: Hours::default(),
            under_way: BTreeMap::new(),
            next: 0,
            logins: HashMap::new(),
        }
    }

    /// Calls of the last 24 hours.
    pub(crate) fn used(&mut self, now_ms: i64) -> u64 {
        self.let_others_call(now_ms);
        self.calls.sum(now_ms)
    }

    /// Sets what counts as used, for tests of the wall and its approach.
    pub(crate) fn set_used(&mut self, now_ms: i64, used: u64) {
        self.let_others_call(now_ms);
        self.calls.restore(vec![(hour_of(now_ms), used)]);
    }

    /// What other integrations do.
    pub(crate) fn others(&self) -> Others {
        self.others
    }

    /// Changes what other integrations do from now on.
    pub(crate) fn set_others(&mut self, now_ms: i64, others: Others) {
        self.let_others_call(now_ms);
        self.others = others;
        self.others_since = (now_ms, 0);
    }

    /// Counts the calls that the others have made by now; they too are refused when the day is used up.
    fn let_others_call(&mut self, now_ms: i64) {
        let (since, counted) = self.others_since;
        let elapsed = u64::try_from(now_ms - since).unwrap_or(0);
        let due = self.others.per_minute.saturating_mul(elapsed) / 60_000;
        self.others_since.1 = counted.max(due);
        let left = self.allowance.daily.saturating_sub(self.calls.sum(now_ms));
        let new = due.saturating_sub(counted).min(left);
        if new > 0 {
            self.calls.add(now_ms, new);
        }
    }

    /// Lets a call in and counts it, or says what is exhausted; the answer ends the call with [`Meter::end`].
    pub(crate) fn begin(&mut self, now_ms: i64) -> Result<u64, Exceeded> {
        if self.used(now_ms) >= self.allowance.daily {
            return Err(Exceeded::Daily);
        }
        let long = Duration::from_millis(self.allowance.long_after_ms);
        let own = self.under_way.values().filter(|began| began.elapsed() >= long).count();
        if own + self.others.long_running as usize >= self.allowance.concurrent as usize {
            return Err(Exceeded::Concurrent);
        }
        self.calls.add(now_ms, 1);
        self.next += 1;
        self.under_way.insert(self.next, Instant::now());
        Ok(self.next)
    }

    /// Counts a sign-in; answers whether the user may have one more this hour.
    pub(crate) fn sign_in(&mut self, now_ms: i64, user: SfId) -> bool {
        self.logins.retain(|_, times| {
            while times.front().is_some_and(|at| *at <= now_ms - HOUR_MS) {
                times.pop_front();
            }
            !times.is_empty()
        });
        let most = self.allowance.logins;
        let times = self.logins.entry(user).or_default();
        let may = (times.len() as u64) < most;
        if may {
            times.push_back(now_ms);
        }
        may
    }

    /// A call is over.
    pub(crate) fn end(&mut self, call: u64) {
        self.under_way.remove(&call);
    }

    /// Calls under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }
}

fn hour_of(ms: i64) -> i64 {
    ms.div_euclid(HOUR_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = HOUR_MS;

    fn meter(daily: u64, concurrent: u32) -> Meter {
        Meter::new(Allowance::new(daily, concurrent, 0))
    }

    #[test]
    fn the_day_ends_at_its_limit_and_begins_again_after_24_hours() {
        let mut meter = meter(2, 25);
        for _ in 0..2 {
            let call = meter.begin(100 * HOUR);
            call.into_iter().for_each(|call| meter.end(call));
        }
        assert_eq!(meter.begin(100 * HOUR), Err(Exceeded::Daily));
        assert_eq!(meter.begin(123 * HOUR), Err(Exceeded::Daily));
        assert!(meter.begin(124 * HOUR).is_ok());
        assert_eq!(meter.used(124 * HOUR), 1);
    }

    #[test]
    fn a_call_over_the_concurrent_limit_is_refused_until_one_ends() {
        let mut meter = meter(100, 1);
        let first = meter.begin(HOUR);
        assert_eq!(meter.begin(HOUR), Err(Exceeded::Concurrent));
        first.into_iter().for_each(|call| meter.end(call));
        assert!(meter.begin(HOUR).is_ok());
        assert_eq!(meter.used(HOUR), 2, "a refused call is not counted");
    }

    #[test]
    fn news_told_hour_by_hour_make_the_same_count_elsewhere() {
        let (mut here, mut there) = (meter(100, 25), meter(100, 25));
        for hour in [100, 100, 101, 110, 124, 124, 124] {
            assert!(here.begin(hour * HOUR).is_ok());
            if hour != 101 {
                here.calls
                    .news()
                    .into_iter()
                    .for_each(|(hour, n)| there.calls.restore_hour(hour, n));
            }
        }
        assert_eq!((here.used(124 * HOUR), there.used(124 * HOUR)), (5, 5));
        assert!(here.calls.news().is_empty());
    }

    #[test]
    fn others_eat_the_day_by_the_minute_and_are_refused_with_everybody_at_its_end() {
        let mut meter = meter(1_000, 25);
        meter.set_others(0, Others { per_minute: 60, long_running: 0 });
        assert_eq!((meter.used(500), meter.used(10_000), meter.used(60_000)), (0, 10, 60));
        assert!(meter.begin(60_000).is_ok());
        assert_eq!(meter.used(2 * 60_000), 121);
        assert_eq!(meter.used(HOUR - 1), 1_000, "3,600 would have come");
        assert_eq!(meter.begin(HOUR - 1), Err(Exceeded::Daily));
        meter.set_others(HOUR, Others::default());
        meter.set_used(HOUR, 0);
        assert_eq!(meter.used(2 * HOUR), 0);
    }

    #[test]
    fn long_calls_of_others_take_room_from_ours() {
        let mut meter = meter(1_000, 2);
        meter.set_others(0, Others { per_minute: 0, long_running: 2 });
        assert_eq!(meter.begin(HOUR), Err(Exceeded::Concurrent));
        meter.set_others(0, Others { per_minute: 0, long_running: 1 });
        assert!(meter.begin(HOUR).is_ok());
    }
}
