//! Whether the store answers, and whether its clock and this node's agree. The
//! store is asked once a second: for whoever asks how the node is, and for the
//! combiner, which decides nothing by a clock that is off.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sloe_core::time::Timestamp;
use sloe_store::key::Key;

use crate::engine::Engine;
use crate::worker::stored;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(3);

/// How far this node's clock may be off the store's, in milliseconds, beside
/// what the question itself takes.
const OFF_MILLIS: i64 = 1_000;

/// How the store answers, and by which clock.
#[derive(Default)]
pub(crate) struct Reach {
    away_since: Mutex<Option<Timestamp>>,
    /// By how much this node's clock is ahead of the store's, if that is too much.
    off: Mutex<Option<i64>>,
    /// The same for whoever decides.
    is_off: Arc<AtomicBool>,
}

impl Reach {
    /// Whether this node's clock is too far off to decide anything.
    pub(crate) fn clock_off(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_off)
    }

    fn learn(&self, before: Timestamp, after: Timestamp, store: Option<Timestamp>) {
        let Some(store) = store else { return };
        let asking = after.millis_since(before);
        let ahead = after.millis_since(store) - asking / 2;
        let off = (ahead.abs() > OFF_MILLIS + asking / 2).then_some(ahead);
        let mut known = self.off.lock().unwrap_or_else(PoisonError::into_inner);
        if off.is_some() && known.is_none() {
            tracing::error!(
                ahead,
                "this node's clock is off the store's: it decides nothing until that is put right"
            );
        }
        *known = off;
        self.is_off.store(off.is_some(), Ordering::Release);
    }
}

impl Engine {
    /// Since when the store does not answer, if so. What is in memory is served
    /// meanwhile.
    #[must_use]
    pub fn store_away_since(&self) -> Option<Timestamp> {
        *self.reach().away_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By how many milliseconds this node's clock is ahead of the store's, if
    /// that is so much that it takes no claims. Others do.
    #[must_use]
    pub fn clock_ahead(&self) -> Option<i64> {
        *self.reach().off.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the store for a document that is not there.
pub(crate) async fn look(engine: Engine) -> Result<(), String> {
    let world = engine.shared_world();
    let asked = stored(&engine, move |store| {
        store.get(&Key::platform("reach"))?;
        let before = world.now();
        let clock = store.clock()?;
        Ok((before, world.now(), clock))
    });
    let answer = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok((before, after, clock))) => {
            engine.reach().learn(before, after, clock);
            Ok(())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the store does not answer".to_owned()),
    };
    let mut since = engine.reach().away_since.lock().unwrap_or_else(PoisonError::into_inner);
    match &answer {
        Ok(()) => *since = None,
        Err(_) => *since = since.or(Some(engine.now())),
    }
    metrics::gauge!("sloe_store_reachable").set(if answer.is_ok() { 1.0 } else { 0.0 });
    answer
}
