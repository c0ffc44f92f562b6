//! Who is hit and how long a call takes: the same for the same rule and the same order of calls.

/// How much longer a call takes, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Latency {
    /// From so much to so much, each as likely.
    Uniform(f64, f64),
    /// As most real answers: half take less than `p50`, one in a hundred more than `p99`.
    LogNormal { p50: f64, p99: f64 },
}

/// No call takes longer than ten minutes, as in a real org.
pub(crate) const LONGEST_MS: f64 = 600_000.0;

impl Latency {
    /// Whether it does anything.
    pub(crate) fn is_any(self) -> bool {
        !matches!(self, Latency::Uniform(_, most) if most <= 0.0)
    }

    /// One draw.
    pub(crate) fn draw(self, luck: &mut Luck) -> f64 {
        match self {
            Latency::Uniform(least, most) => least + (most - least) * luck.unit(),
            Latency::LogNormal { p50, p99 } => {
                // 2.326 standard deviations are the 99th percentile.
                let sigma = (p99 / p50).ln() / 2.326_347_9;
                (p50 * (sigma * luck.normal()).exp()).min(LONGEST_MS)
            }
        }
    }
}

/// A seeded source of draws (SplitMix64), and how far each share has come.
#[derive(Debug)]
pub(crate) struct Luck {
    state: u64,
    /// Whether shares are drawn; else they are met evenly.
    drawn: bool,
    due: Vec<f64>,
}

impl Luck {
    /// Without a seed, shares are met exactly and evenly: 0.5 picks every second one.
    pub(crate) fn new(seed: Option<u64>, shares: usize) -> Self {
        Self { state: seed.unwrap_or(1), drawn: seed.is_some(), due: vec![0.0; shares] }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        // The upper 53 bits: as many as a double holds.
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }

    /// Around 0, with a standard deviation of 1 (Box-Muller).
    fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.unit(), self.unit());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    /// Whether this share is hit this time.
    pub(crate) fn hits(&mut self, share: f64) -> bool {
        self.pick(std::iter::once(share)).is_some()
    }

    /// Which of these shares, together at most 1, is hit this time, if any.
    pub(crate) fn pick(&mut self, shares: impl Iterator<Item = f64>) -> Option<usize> {
        if self.drawn {
            let (mut at, unit) = (0.0, self.unit());
            return shares.into_iter().position(|share| {
                at += share;
                unit < at
            });
        }
        let mut picked: Option<usize> = None;
        for (place, (due, share)) in self.due.iter_mut().zip(shares).enumerate() {
            *due += share;
            // Sums of tenths come a little short of 1.
            if *due > 1.0 - 1e-9 && picked.is_none() {
                picked = Some(place);
            }
        }
        if let Some(due) = picked.and_then(|place| self.due.get_mut(place)) {
            *due -= 1.0;
        }
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(luck: &mut Luck, shares: &[f64], which: usize) -> usize {
        (0..1000).filter(|_| luck.pick(shares.iter().copied()) == Some(which)).count()
    }

    #[test]
    fn shares_without_a_seed_are_met_exactly_also_beside_each_other() {
        assert_eq!(count(&mut Luck::new(None, 1), &[0.25], 0), 250);
        assert_eq!(count(&mut Luck::new(None, 1), &[0.0], 0), 0);
        assert_eq!(count(&mut Luck::new(None, 1), &[1.0], 0), 1000);
        for which in 0..3 {
            let counted = count(&mut Luck::new(None, 3), &[0.1, 0.2, 0.3], which);
            assert!(counted.abs_diff([100, 200, 300][which]) <= 1, "{which}: {counted}");
        }
    }

    #[test]
    fn a_seed_draws_about_the_share_and_the_same_each_time() {
        let drawn = |seed| {
            let mut luck = Luck::new(Some(seed), 1);
            (0..1000).map(|_| luck.pick([0.25].into_iter()).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        let hit = drawn(7).into_iter().filter(|hit| *hit).count();
        assert!((200..300).contains(&hit), "{hit}");
    }

    #[test]
    fn latencies_keep_to_their_percentiles() {
        let mut luck = Luck::new(Some(3), 0);
        let latency = Latency::LogNormal { p50: 100.0, p99: 900.0 };
        let mut all: Vec<f64> = (0..20_000).map(|_| latency.draw(&mut luck)).collect();
        all.sort_by(f64::total_cmp);
        assert!((95.0..105.0).contains(&all[10_000]), "{}", all[10_000]);
        assert!((800.0..1000.0).contains(&all[19_800]), "{}", all[19_800]);
        let uniform = Latency::Uniform(5.0, 7.0);
        assert!((0..1000).all(|_| (5.0..7.0).contains(&uniform.draw(&mut luck))));
    }
}
