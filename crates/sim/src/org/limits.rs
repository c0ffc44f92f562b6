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

/// Calls counted and under way.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) allowance: Allowance,
    /// (hour since 1970, calls) of the last 24 hours.
    hours: VecDeque<(i64, u64)>,
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
        self.hours.iter().filter(|(hour, _)| *hour > now_hour - 24).map(|(_, count)| count).sum()
    }

    /// Sets what counts as used, for tests of the wall and its approach.
    pub(crate) fn set_used(&mut self, now_hour: i64, used: u64) {
        self.hours.clear();
        self.hours.push_back((now_hour, used));
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
        while self.hours.front().is_some_and(|(hour, _)| *hour <= now_hour - 24) {
            self.hours.pop_front();
        }
        match self.hours.back_mut() {
            Some((hour, count)) if *hour == now_hour => *count += 1,
            _ => self.hours.push_back((now_hour, 1)),
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
}
