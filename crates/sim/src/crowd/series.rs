//! What happened when: figures by slots of time. There is room for a fixed
//! number of slots; when the storm outlasts them, two become one, so that a
//! minute and a day take the same memory and no visitor waits for any.

use std::time::Duration;

/// Most slots there are.
pub(super) const SLOTS: usize = 120;
/// So many are shown without thinking twice.
const FEW: usize = 24;
/// More are too many to read.
const MANY: usize = 64;
/// Visits in a slot from which on percentiles mean something.
const ENOUGH: u64 = 50;
/// How long a slot lasts at first.
const FINEST: Duration = Duration::from_millis(100);
/// Each doubling of a time has this many buckets: times are told apart to an eighth.
const PARTS: usize = 8;
const BUCKETS: usize = 30 * PARTS;

/// Counts of times, coarse and small.
#[derive(Clone)]
pub(super) struct Sketch {
    counts: Box<[u32; BUCKETS]>,
    total: u64,
}

impl Sketch {
    fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0 }
    }

    fn record(&mut self, micros: u64) {
        let micros = usize::try_from(micros.min(u64::from(u32::MAX))).unwrap_or(usize::MAX);
        let bucket = if micros < PARTS {
            micros
        } else {
            let exponent = micros.ilog2() as usize;
            (exponent - 2) * PARTS + (micros >> (exponent - 3)) % PARTS
        };
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(1);
            self.total += 1;
        }
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts.iter()) {
            *count = count.saturating_add(*more);
        }
        self.total += other.total;
    }

    /// The time in milliseconds that this share of them did not exceed; `None` of nothing.
    pub(super) fn at(&self, quantile: f64) -> Option<f64> {
        // Counts are far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let wanted = self.total as f64 * quantile;
        let mut seen = 0.0;
        for (bucket, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            seen += f64::from(*count);
            if seen >= wanted {
                return Some(middle(bucket) / 1000.0);
            }
        }
        None
    }
}

/// The middle of a bucket, in microseconds.
#[allow(clippy::cast_precision_loss)]
fn middle(bucket: usize) -> f64 {
    let (octave, part) = (bucket / PARTS, bucket % PARTS);
    if octave == 0 {
        return part as f64;
    }
    let width = (1_u64 << (octave - 1)) as f64;
    (PARTS + part) as f64 * width + width / 2.0
}

/// One slot of time.
#[derive(Clone)]
pub(super) struct Slot {
    /// Visitors who were due.
    pub(super) due: u64,
    /// Requests that were answered.
    pub(super) answers: u64,
    /// Visitors who had gone, for whatever reason.
    pub(super) gone: u64,
    /// Of them: registered.
    pub(super) registered: u64,
    /// Of them: refused.
    pub(super) refused: u64,
    /// Of them: failed.
    pub(super) failed: u64,
    /// Attempts that were made again.
    pub(super) retries: u64,
    /// What was left of the event when it was last looked at.
    pub(super) left: Option<u64>,
    /// From due to gone.
    pub(super) visits: Sketch,
    /// From request to answer.
    pub(super) requests: Sketch,
    /// Answers by target.
    pub(super) targets: Vec<u64>,
}

impl Slot {
    fn new(targets: usize) -> Self {
        Self {
            due: 0,
            answers: 0,
            gone: 0,
            registered: 0,
            refused: 0,
            failed: 0,
            retries: 0,
            left: None,
            visits: Sketch::new(),
            requests: Sketch::new(),
            targets: vec![0; targets],
        }
    }

    /// Another slot that follows this one becomes a part of it.
    pub(super) fn add(&mut self, next: &Self) {
        self.due += next.due;
        self.answers += next.answers;
        self.gone += next.gone;
        self.registered += next.registered;
        self.refused += next.refused;
        self.failed += next.failed;
        self.retries += next.retries;
        self.left = next.left.or(self.left);
        self.visits.add(&next.visits);
        self.requests.add(&next.requests);
        for (answers, more) in self.targets.iter_mut().zip(&next.targets) {
            *answers += more;
        }
    }

    pub(super) fn visit(&mut self, took: u64) {
        self.gone += 1;
        self.visits.record(took);
    }

    pub(super) fn request(&mut self, target: usize, took: u64) {
        self.answers += 1;
        self.requests.record(took);
        if let Some(answers) = self.targets.get_mut(target) {
            *answers += 1;
        }
    }
}

/// All slots so far.
#[derive(Clone)]
pub(super) struct Series {
    width: Duration,
    slots: Vec<Slot>,
    targets: usize,
}

impl Series {
    pub(super) fn new(targets: usize) -> Self {
        let mut slots = Vec::with_capacity(SLOTS);
        slots.push(Slot::new(targets));
        Self { width: FINEST, slots, targets }
    }

    /// How long each slot lasts.
    pub(super) fn width(&self) -> Duration {
        self.width
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The slot of a time after the begin.
    pub(super) fn at(&mut self, time: Duration) -> &mut Slot {
        let mut index = self.index(time);
        while index >= SLOTS {
            self.fold();
            index = self.index(time);
        }
        if self.slots.len() <= index {
            let targets = self.targets;
            self.slots.resize_with(index + 1, || Slot::new(targets));
        }
        &mut self.slots[index]
    }

    fn index(&self, time: Duration) -> usize {
        let index = time.as_micros() / self.width.as_micros().max(1);
        usize::try_from(index).unwrap_or(usize::MAX)
    }

    /// Two slots become one.
    fn fold(&mut self) {
        let mut folded = Vec::with_capacity(SLOTS);
        let mut slots = self.slots.drain(..);
        while let Some(mut slot) = slots.next() {
            if let Some(next) = slots.next() {
                slot.add(&next);
            }
            folded.push(slot);
        }
        drop(slots);
        self.slots = folded;
        self.width *= 2;
    }

    /// The same in slots that are worth a look: not too many, and of a short storm with enough
    /// visits in each that its percentiles mean something.
    pub(super) fn readable(&self) -> Self {
        let mut readable = self.clone();
        let gone: u64 = self.slots.iter().map(|slot| slot.gone).sum();
        loop {
            let count = readable.slots.len();
            let sparse = gone < ENOUGH * count as u64;
            if count <= FEW || (count <= MANY && !sparse) {
                return readable;
            }
            readable.fold();
        }
    }

    /// What happened in about the last second before `now`, the slot under way left out
    /// if there is another.
    pub(super) fn lately(&self, now: Duration) -> (Slot, Duration) {
        let under_way = self.index(now).min(self.slots.len());
        let count = usize::try_from(1_000 / self.width.as_millis().max(1)).unwrap_or(1).max(1);
        let from = under_way.saturating_sub(count);
        let whole = self.slots.get(from..under_way).filter(|slots| !slots.is_empty());
        let slots = whole.unwrap_or(&self.slots);
        let mut sum = Slot::new(self.targets);
        for slot in slots {
            sum.add(slot);
        }
        (sum, self.width * u32::try_from(slots.len()).unwrap_or(1))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_sketch_tells_times_apart_to_an_eighth() {
        for micros in [0, 1, 7, 8, 9, 15, 16, 100, 999, 12_345, 1_000_000, 600_000_000] {
            let mut sketch = Sketch::new();
            sketch.record(micros);
            let read = sketch.at(0.5).unwrap() * 1000.0;
            #[allow(clippy::cast_precision_loss)]
            let off = (read - micros as f64).abs();
            #[allow(clippy::cast_precision_loss)]
            let most = (micros as f64 / 8.0).max(0.5);
            assert!(off <= most, "{micros} is read as {read}");
        }
        let mut sketch = Sketch::new();
        assert_eq!(sketch.at(0.5), None);
        (0..99).for_each(|_| sketch.record(1_000));
        sketch.record(64_000);
        sketch.record(u64::MAX);
        assert!(sketch.at(0.5).unwrap() < 1.2 && sketch.at(0.985).unwrap() > 55.0);
    }

    #[test]
    fn a_storm_of_any_length_fits_and_nothing_is_lost_when_slots_are_folded() {
        let mut series = Series::new(2);
        for second in 0..10_000_u64 {
            let slot = series.at(Duration::from_secs(second));
            slot.due += 1;
            slot.request(1, second);
            slot.left = Some(second);
        }
        assert!(series.slots().len() <= SLOTS && series.slots().len() > SLOTS / 2);
        assert!(series.width() * 120 >= Duration::from_secs(10_000));
        let sum = |of: fn(&Slot) -> u64| series.slots().iter().map(of).sum::<u64>();
        assert_eq!(
            (sum(|s| s.due), sum(|s| s.answers), sum(|s| s.targets[1])),
            (10_000, 10_000, 10_000)
        );
        assert_eq!(series.slots().iter().map(|slot| slot.requests.total).sum::<u64>(), 10_000);
        assert_eq!(series.slots().last().unwrap().left, Some(9_999));
    }

    #[test]
    fn few_visits_make_few_slots_and_many_make_not_too_many() {
        let readable = |each: u64| {
            let mut series = Series::new(1);
            for tenth in 0..100 {
                (0..each).for_each(|_| series.at(Duration::from_millis(tenth * 100)).visit(1_000));
            }
            let readable = series.readable();
            assert_eq!(readable.slots().iter().map(|slot| slot.gone).sum::<u64>(), each * 100);
            readable.slots().len()
        };
        assert_eq!([readable(1), readable(20), readable(1_000)], [13, 25, 50]);
    }

    #[test]
    fn lately_is_about_the_last_second() {
        let mut series = Series::new(1);
        for tenth in 0..50 {
            series.at(Duration::from_millis(tenth * 100)).due += tenth;
        }
        let (slot, over) = series.lately(Duration::from_millis(4_950));
        assert_eq!((slot.due, over), ((39..49).sum(), Duration::from_secs(1)));
        let (slot, _) = Series::new(1).lately(Duration::ZERO);
        assert_eq!(slot.due, 0);
    }
}
