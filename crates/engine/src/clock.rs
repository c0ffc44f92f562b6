//! The one place of the engine that reads the clock and draws randomness.

use sloe_core::time::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

/// Where time and new ids come from; tests bring their own.
pub trait World: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// A new time-ordered id (UUIDv7).
    fn id(&self) -> u128;
    /// Fresh random bytes.
    ///
    /// # Errors
    /// The system has none to give.
    fn random(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error>;
    /// The time of a clock that nobody sets: only the time between two of its times means
    /// anything.
    fn steady(&self) -> Instant {
        Instant::now()
    }
}

/// The machine's own clock and randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl World for Machine {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }

    fn id(&self) -> u128 {
        Uuid::now_v7().as_u128()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        getrandom::fill(bytes)
    }
}
