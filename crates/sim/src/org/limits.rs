//! The org's API allowance: so many calls in 24 hours, so many long ones at once.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What the control API shows and takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Allowance {
    /// Calls in 24 hours.
    pub(crate) daily: u64,
    /// Long-running calls at once.
    pub(crate) concurrent: u32,
    /// From when on a call counts as long-running, in milliseconds (20 s in a real org).
    pub(crate) long_after_ms: u64,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Daily,
    Concurrent,
}

/// The calls of one hour.
#[derive(Debug)]
struct Hour {
    /// Hours since 1970.
    hour: i64,
    calls: u64,
    /// How many of them are known to the log.
    kept: u64,
}

/// Calls counted and under way.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) allowance: Allowance,
    /// Of the last 24 hours.
    hours: VecDeque<Hour>,
    /// By when they began.
    under_way: BTreeMap<u64, Instant>,
    next: u64,
}

impl Meter {
    pub(crate) fn new(allowance: Allowance) -> Self {
        Self { allowance, hours: VecDeque::new(), under_way: BTreeMap::new(), next: 0 }
    }

    /// Calls of the last 24 hours.
    pub(crate) fn used(&self, now_hour: i64) -> u64 {
        self.hours.iter().filter(|of| of.hour > now_hour - 24).map(|of| of.calls).sum()
    }

    /// Sets what counts as used, for tests of the wall and its approach.
    pub(crate) fn set_used(&mut self, now_hour: i64, used: u64) {
        self.restore(vec![(now_hour, used)]);
    }

    /// (hour, calls) of everything that counts.
    pub(crate) fn hours(&self) -> Vec<(i64, u64)> {
        self.hours.iter().map(|of| (of.hour, of.calls)).collect()
    }

    /// Replaces everything that counts.
    pub(crate) fn restore(&mut self, hours: Vec<(i64, u64)>) {
        let each = hours.into_iter().map(|(hour, calls)| Hour { hour, calls, kept: calls });
        self.hours = each.collect();
    }

    /// Sets what counts of one hour, the last one or a later.
    pub(crate) fn restore_hour(&mut self, hour: i64, calls: u64) {
        self.hours.retain(|of| of.hour != hour && of.hour > hour - 24);
        self.hours.push_back(Hour { hour, calls, kept: calls });
    }

    /// (hour, calls) of the hours that have had calls since they were last asked for.
    pub(crate) fn news(&mut self) -> Vec<(i64, u64)> {
        let news = self.hours.iter_mut().filter(|of| of.kept != of.calls);
        news.map(|of| {
            of.kept = of.calls;
            (of.hour, of.calls)
        })
        .collect()
    }

    /// Lets a call in and counts it, or says what is exhausted; the answer ends the call with [`Meter::end`].
    pub(crate) fn begin(&mut self, now_hour: i64) -> Result<u64, Exceeded> {
        if self.used(now_hour) >= self.allowance.daily {
            return Err(Exceeded::Daily);
        }
        let long = Duration::from_millis(self.allowance.long_after_ms);
        let count = self.under_way.values().filter(|began| began.elapsed() >= long).count();
        if count >= self.allowance.concurrent as usize {
            return Err(Exceeded::Concurrent);
        }
        while self.hours.front().is_some_and(|of| of.hour <= now_hour - 24) {
            self.hours.pop_front();
        }
        match self.hours.back_mut() {
            Some(of) if of.hour == now_hour => of.calls += 1,
            _ => self.hours.push_back(Hour { hour: now_hour, calls: 1, kept: 0 }),
        }
        self.next += 1;
        self.under_way.insert(self.next, Instant::now());
        Ok(self.next)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(daily: u64, concurrent: u32) -> Meter {
        Meter::new(Allowance { daily, concurrent, long_after_ms: 0 })
    }

    #[test]
    fn the_day_ends_at_its_limit_and_begins_again_after_24_hours() {
        let mut meter = meter(2, 25);
        for _ in 0..2 {
            let call = meter.begin(100);
            call.into_iter().for_each(|call| meter.end(call));
        }
        assert_eq!(meter.begin(100), Err(Exceeded::Daily));
        assert_eq!(meter.begin(123), Err(Exceeded::Daily));
        assert!(meter.begin(124).is_ok());
        assert_eq!(meter.used(124), 1);
    }

    #[test]
    fn a_call_over_the_concurrent_limit_is_refused_until_one_ends() {
        let mut meter = meter(100, 1);
        let first = meter.begin(1);
        assert_eq!(meter.begin(1), Err(Exceeded::Concurrent));
        first.into_iter().for_each(|call| meter.end(call));
        assert!(meter.begin(1).is_ok());
        assert_eq!(meter.used(1), 2, "a refused call is not counted");
    }

    #[test]
    fn news_told_hour_by_hour_make_the_same_count_elsewhere() {
        let (mut here, mut there) = (meter(100, 25), meter(100, 25));
        for hour in [100, 100, 101, 110, 124, 124, 124] {
            assert!(here.begin(hour).is_ok());
            if hour != 101 {
                here.news().into_iter().for_each(|(hour, calls)| there.restore_hour(hour, calls));
            }
        }
        assert_eq!((here.used(124), there.used(124)), (5, 5));
        assert!(here.news().is_empty());
    }
}
