//! Virtual time, and each node's idea of it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sloe_core::time::Timestamp;
use sloe_engine::clock::World;
use tokio::time::Instant;

use super::dice::Dice;

/// When a world begins: an ordinary day, in milliseconds since 1970.
pub(crate) const BEGIN: i64 = 1_800_000_000_000;

/// The world's own time.
#[derive(Clone, Debug)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(BEGIN)))
    }

    pub(crate) fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, now: i64) {
        self.0.store(now, Ordering::Relaxed);
    }
}

/// A node's clock, which may be wrong, and its randomness, which is the seed's.
#[derive(Debug)]
pub(crate) struct NodeClock {
    clock: Clock,
    /// Milliseconds that it is fast.
    skew: AtomicI64,
    dice: Mutex<Dice>,
    /// Only the time between two of these means anything.
    began: Instant,
}

impl NodeClock {
    pub(crate) fn new(clock: Clock, skew: i64, dice: Dice) -> Self {
        let began = Instant::now();
        Self { clock, skew: AtomicI64::new(skew), dice: Mutex::new(dice), began }
    }

    pub(crate) fn skew(&self) -> i64 {
        self.skew.load(Ordering::Relaxed)
    }

    pub(crate) fn jump_to(&self, skew: i64) {
        self.skew.store(skew, Ordering::Relaxed);
    }

    fn roll(&self) -> u64 {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).roll()
    }
}

impl World for NodeClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now() + self.skew())
    }

    fn id(&self) -> u128 {
        let time = u128::from(self.now().0.unsigned_abs() & 0xFFFF_FFFF_FFFF) << 80;
        let chance = u128::from(self.roll() & 0xFFF) << 64 | u128::from(self.roll() >> 2);
        time | 7 << 76 | 2 << 62 | chance
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
        Ok(())
    }

    fn steady(&self) -> Instant {
        let passed = u64::try_from(self.clock.now() - BEGIN).unwrap_or(0);
        self.began + Duration::from_millis(passed)
    }
}
