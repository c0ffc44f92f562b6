//! A share of events that is met exactly and evenly, the same way each time.

/// How far it has come.
#[derive(Debug, Default)]
pub(super) struct Share(f64);

impl Share {
    /// Whether this one is picked.
    pub(super) fn pick(&mut self, rate: f64) -> bool {
        self.0 += rate;
        let picked = self.0 >= 1.0;
        if picked {
            self.0 -= 1.0;
        }
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_met_exactly() {
        let mut share = Share::default();
        assert_eq!((0..1000).filter(|_| share.pick(0.25)).count(), 250);
        assert_eq!((0..1000).filter(|_| share.pick(0.0)).count(), 0);
        assert_eq!((0..1000).filter(|_| share.pick(1.0)).count(), 1000);
    }
}
