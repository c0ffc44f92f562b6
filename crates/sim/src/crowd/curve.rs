//! How visitors come over time: shapes that arrivals of people really have,
//! scaled to any number of visitors and any duration.

use std::time::Duration;

use serde::Serialize;

/// How the number of those who come changes over the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// An invitation goes out: a steep rise, a long tail.
    Wave,
    /// Tickets go on sale at a known minute: nobody before it, then everybody at once.
    OnSale,
    /// A day: few in the night, most around noon and in the evening.
    Day,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Wave, Self::OnSale, Self::Day];

    /// Its name in scenarios and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wave => "wave",
            Self::OnSale => "on-sale",
            Self::Day => "day",
        }
    }

    /// How many come at a time between 0 and 1, in no unit.
    fn density(self, at: f64) -> f64 {
        let hump = |middle: f64, width: f64| (-((at - middle) / width).powi(2) / 2.0).exp();
        match self {
            Self::Wave if at < RISE => at / RISE,
            Self::Wave => (-(at - RISE) / 0.22).exp(),
            Self::OnSale if at < OPENS => 0.0,
            Self::OnSale => (-(at - OPENS) / 0.05).exp() + 0.01,
            Self::Day => 0.04 + hump(0.5, 0.09) + 0.8 * hump(0.82, 0.06),
        }
    }
}

/// When an invitation's wave is highest.
const RISE: f64 = 0.08;
/// When an on-sale begins.
const OPENS: f64 = 0.1;
/// Steps in which a curve is added up.
const STEPS: usize = 2_000;

/// When each of so many visitors comes.
#[derive(Clone, Debug)]
pub(super) struct Timetable {
    /// The share that has come by each step; rises from 0 to 1.
    come: Vec<f64>,
    seconds: f64,
    visitors: f64,
}

// Steps and numbers of visitors are far below 2^53.
#[allow(clippy::cast_precision_loss)]
impl Timetable {
    pub(super) fn new(shape: Shape, over: Duration, visitors: u64) -> Self {
        let mut come = vec![0.0];
        let mut sum = 0.0;
        for step in 0..STEPS {
            sum += shape.density((step as f64 + 0.5) / STEPS as f64);
            come.push(sum);
        }
        for share in &mut come {
            *share /= sum;
        }
        Self { come, seconds: over.as_secs_f64(), visitors: visitors.max(1) as f64 }
    }

    /// How many are due before a time after the begin.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn due_before(&self, time: Duration) -> u64 {
        let at = (time.as_secs_f64() / self.seconds.max(1e-9)).clamp(0.0, 1.0) * STEPS as f64;
        let come = |step: usize| self.come.get(step).copied().unwrap_or(1.0);
        let (step, part) = (at.floor() as usize, at.fract());
        let share = come(step) + part * (come(step + 1) - come(step));
        (share * self.visitors + 0.5).floor() as u64
    }

    /// How long after the begin a visitor is due.
    pub(super) fn due(&self, visitor: u64) -> Duration {
        let share = ((visitor as f64 + 0.5) / self.visitors).min(1.0);
        let after = self.come.partition_point(|come| *come < share).clamp(1, STEPS);
        let at = |step: usize| self.come.get(step).copied().unwrap_or(1.0);
        let (low, high) = (at(after - 1), at(after));
        let part = if high > low { (share - low) / (high - low) } else { 0.0 };
        let step = (after - 1) as f64 + part;
        Duration::from_secs_f64(step / STEPS as f64 * self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 10,000 come in each tenth of 100 seconds.
    fn tenths(shape: Shape) -> [u32; 10] {
        let table = Timetable::new(shape, Duration::from_secs(100), 10_000);
        let mut tenths = [0; 10];
        let mut last = Duration::ZERO;
        for visitor in 0..10_000 {
            let due = table.due(visitor);
            assert!(due >= last && due < Duration::from_secs(100), "{shape:?}: {due:?}");
            last = due;
            tenths[usize::try_from(due.as_secs() / 10).unwrap_or(9)] += 1;
        }
        assert_eq!(tenths.iter().sum::<u32>(), 10_000);
        tenths
    }

    #[test]
    fn a_wave_rises_steeply_and_has_a_long_tail() {
        let wave = tenths(Shape::Wave);
        assert!(wave[1] > wave[0] && wave[0] > wave[4], "{wave:?}");
        assert!(wave[1..].windows(2).all(|two| two[0] >= two[1]), "{wave:?}");
        assert!(wave[9] > 0 && wave[9] < wave[1] / 10, "{wave:?}");
    }

    #[test]
    fn at_an_on_sale_nobody_comes_and_then_everybody() {
        let sale = tenths(Shape::OnSale);
        assert_eq!(sale[0], 0, "{sale:?}");
        assert!(sale[1] > 6_000, "{sale:?}");
        assert!(sale[9] > 0, "{sale:?}");
    }

    #[test]
    fn a_day_has_two_humps_and_a_night() {
        let day = tenths(Shape::Day);
        let noon = day[4].max(day[5]);
        let evening = day[7].max(day[8]);
        assert!(noon > day[6] * 2 && evening > day[6] * 2, "{day:?}");
        assert!(day[0] * 10 < noon && day[0] > 0, "{day:?}");
    }

    #[test]
    fn one_visitor_and_no_time_are_fine() {
        for shape in Shape::ALL {
            let one = Timetable::new(shape, Duration::from_secs(10), 1).due(0);
            assert!(one > Duration::ZERO && one < Duration::from_secs(10));
            assert_eq!(Timetable::new(shape, Duration::ZERO, 5).due(4), Duration::ZERO);
        }
    }
}
