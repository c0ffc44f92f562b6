//! When each visitor comes. With a rate or a curve the timetable is fixed
//! beforehand and does not wait for answers, so a slow server can't slow down
//! its own exam (no coordinated omission).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::Arrival;
use super::curve::Timetable;

/// The timetable, shared by all connections.
pub(super) struct Pace {
    start: Instant,
    plan: Plan,
    visitors: u64,
    end: Option<Instant>,
    door: Option<Arc<Semaphore>>,
    next: AtomicU64,
    over: AtomicBool,
    told: Notify,
}

enum Plan {
    AtOnce,
    /// Seconds between two visitors.
    Steady(f64),
    Curve(Timetable),
}

/// One visitor's turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// The visitor's number, from 0.
    pub(super) visitor: u64,
    /// From when the visitor's patience, and so latency, counts.
    pub(super) due: Instant,
}

impl Pace {
    pub(super) fn new(arrival: Arrival, visitors: u64, duration: Option<Duration>) -> Self {
        let start = Instant::now();
        let plan = match arrival {
            Arrival::Rate(rate) if rate > 0.0 => Plan::Steady(1.0 / rate),
            Arrival::Rate(_) | Arrival::Burst => Plan::AtOnce,
            Arrival::Curve(shape, over) => Plan::Curve(Timetable::new(shape, over, visitors)),
        };
        let end = duration.map(|duration| start + duration);
        let (next, over, told) = (AtomicU64::new(0), AtomicBool::new(false), Notify::new());
        Self { start, plan, visitors, end, door: None, next, over, told }
    }

    /// Visitors who are due wait at `door` until there is a permit for them.
    pub(super) fn behind(self, door: Option<Arc<Semaphore>>) -> Self {
        Self { door, ..self }
    }

    /// When the storm began.
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// Waits for the next visitor's time; `None` when nobody comes any more.
    pub(super) async fn next(&self) -> Option<Turn> {
        let visitor = self.next.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let due = self.due(visitor, now)?;
        // Made before the look, so that it hears of an end right after it.
        let told = self.told.notified();
        if self.over.load(Ordering::Acquire) {
            return None;
        }
        if due <= now && self.door.is_none() {
            return Some(Turn { visitor, due });
        }
        tokio::select! {
            come = self.wait(due) => come?,
            () = told => return None,
        }
        Some(Turn { visitor, due })
    }

    /// Until it is time, and the door open; `None` if the door is closed, which ends the storm.
    async fn wait(&self, due: Instant) -> Option<()> {
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        if let Some(door) = &self.door {
            door.acquire().await.ok()?.forget();
        }
        Some(())
    }

    /// Nobody more comes.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    /// How many are due between two times after the begin; `None` where there is no timetable.
    pub(super) fn due_between(&self, from: Duration, to: Duration) -> Option<u64> {
        let end = self.end.map_or(Duration::MAX, |end| end.saturating_duration_since(self.start));
        let before = |time: Duration| self.due_before(time.min(end));
        Some(before(to)?.saturating_sub(before(from)?))
    }

    // Numbers of visitors are far below 2^53, and none is negative.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn due_before(&self, time: Duration) -> Option<u64> {
        match &self.plan {
            Plan::AtOnce => None,
            Plan::Steady(gap) => {
                let due = (time.as_secs_f64() / gap).ceil();
                Some(due.min(self.visitors as f64) as u64)
            }
            Plan::Curve(table) => Some(table.due_before(time)),
        }
    }

    /// When a visitor is due who asks for a turn at `now`.
    fn due(&self, visitor: u64, now: Instant) -> Option<Instant> {
        // Numbers of visitors are far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let due = match &self.plan {
            // Beyond all time is never.
            Plan::Steady(gap) => {
                let after = Duration::try_from_secs_f64(visitor as f64 * gap).ok()?;
                self.start.checked_add(after)?
            }
            Plan::Curve(table) => self.start + table.due(visitor),
            Plan::AtOnce => now,
        };
        let comes = visitor < self.visitors && self.end.is_none_or(|end| due < end);
        comes.then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::*;

    #[test]
    fn with_a_rate_visitors_are_due_by_the_timetable_even_when_late() {
        let pace = Pace::new(Arrival::Rate(10.0), 5, None);
        for late in [Duration::ZERO, Duration::from_secs(60)] {
            let due = pace.due(3, pace.start + late);
            assert_eq!(due, Some(pace.start + Duration::from_millis(300)));
        }
        assert_eq!(pace.due(5, pace.start), None);
        let never = Pace::new(Arrival::Rate(f64::MIN_POSITIVE), 5, None);
        assert_eq!(never.due(0, never.start), Some(never.start));
        assert_eq!(never.due(1, never.start), None);
    }

    #[test]
    fn with_a_curve_too_and_all_of_them_come() {
        let pace = Pace::new(Arrival::Curve(Shape::Wave, Duration::from_secs(10)), 100, None);
        let due = pace.due(99, pace.start + Duration::from_secs(99));
        assert!(due.is_some_and(|due| due < pace.start + Duration::from_secs(10)));
        assert_eq!(due, pace.due(99, pace.start));
        assert_eq!(pace.due(100, pace.start), None);
    }

    #[test]
    fn how_many_are_due_is_known_before_anybody_is_served() {
        let second = Duration::from_secs;
        for arrival in [Arrival::Rate(10.0), Arrival::Curve(Shape::Day, second(10))] {
            let pace = Pace::new(arrival, 100, None);
            for (from, to) in [(0, 10), (0, 3), (3, 4), (9, 99), (50, 60)] {
                let is_in = |due: &Instant| {
                    *due >= pace.start + second(from) && *due < pace.start + second(to)
                };
                let due = (0..100).filter_map(|visitor| pace.due(visitor, pace.start));
                let due = due.filter(is_in).count() as u64;
                assert_eq!(pace.due_between(second(from), second(to)), Some(due), "{arrival:?}");
            }
        }
        let pace = Pace::new(Arrival::Rate(10.0), 100, Some(second(2)));
        assert_eq!(pace.due_between(Duration::ZERO, second(9)), Some(20));
        assert_eq!(Pace::new(Arrival::Burst, 5, None).due_between(second(0), second(1)), None);
    }

    #[test]
    fn nobody_begins_after_the_end() {
        let pace = Pace::new(Arrival::Rate(1.0), 100, Some(Duration::from_secs(3)));
        let comes = |visitor| pace.due(visitor, pace.start).is_some();
        assert_eq!((0..100).filter(|visitor| comes(*visitor)).count(), 3);
        let pace = Pace::new(Arrival::Burst, 100, Some(Duration::from_secs(3)));
        assert!(pace.due(0, pace.start + Duration::from_secs(2)).is_some());
        assert!(pace.due(0, pace.start + Duration::from_secs(3)).is_none());
    }
}
