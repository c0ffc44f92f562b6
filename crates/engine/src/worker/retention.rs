//! Ends the retention of personal data: once an event is so many days over,
//! its vault is emptied and the key of its requests destroyed.

use sloe_store::api::{Store, Write};
use sloe_store::key::Key;

use super::stored;
use crate::engine::Engine;

/// Destroys the key of every event whose time is up, and empties its vault. A
/// journal that had nothing left at its newest version is not looked through
/// again.
pub(super) async fn look(engine: Engine) -> Result<(), String> {
    let keys = engine.destroy_event_keys().await;
    let journals = stored(&engine, Store::journals).await;
    let mut failed = 0;
    for (event, latest) in journals.map_err(|error| error.to_string())? {
        if engine.workers().stopping.is_cancelled() {
            return Ok(());
        }
        let Some(org) = engine.registry().by_id(event.org) else { continue };
        let key = Key::delivered(org.scope, &format!("emptied {}", event.event));
        let mark = key.clone();
        let emptied = stored(&engine, move |store| store.get(&mark)).await;
        let emptied = emptied.map_err(|error| error.to_string())?;
        if emptied.is_some_and(|mark| mark.version >= latest) || !engine.is_past_retention(event) {
            continue;
        }
        match engine.erase_event(event).await {
            Ok(0) => {
                let write = Write { key, version: latest, body: Some(Vec::new()) };
                let put = stored(&engine, move |store| store.put(&[write])).await;
                put.map_err(|error| error.to_string())?;
            }
            Ok(orders) => tracing::info!(?event, orders, "retention ended: personal data erased"),
            Err(error) => {
                tracing::warn!(?event, %error, "personal data past its retention is still there");
                failed += 1;
            }
        }
    }
    keys.map_err(|error| format!("keys of events that are over are still there: {error}"))?;
    if failed == 0 { Ok(()) } else { Err(format!("{failed} events are still to be emptied")) }
}
