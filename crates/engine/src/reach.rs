//! Whether the store answers. Claims find out by themselves; this is for
//! whoever asks how the node is, and asks the store once a second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sloe_core::time::Timestamp;
use sloe_store::key::Key;

use crate::engine::Engine;
use crate::worker::stored;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(3);

/// Since when the store does not answer, if so.
#[derive(Default)]
pub(crate) struct Reach(Mutex<Option<Timestamp>>);

impl Engine {
    /// Since when the store does not answer, if so. What is in memory is served
    /// meanwhile.
    #[must_use]
    pub fn store_away_since(&self) -> Option<Timestamp> {
        *self.reach().0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the store for a document that is not there.
pub(crate) async fn look(engine: Engine) -> Result<(), String> {
    let asked = stored(&engine, |store| store.get(&Key::platform("reach")));
    let answer = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the store does not answer".to_owned()),
    };
    let mut since = engine.reach().0.lock().unwrap_or_else(PoisonError::into_inner);
    match &answer {
        Ok(()) => *since = None,
        Err(_) => *since = since.or(Some(engine.now())),
    }
    metrics::gauge!("sloe_store_reachable").set(if answer.is_ok() { 1.0 } else { 0.0 });
    answer
}
