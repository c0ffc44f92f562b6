//! What an operator's command asks: the platform that runs on a store, or the
//! store itself where none does.

use serde_json::Value;
use sloe_engine::engine::Engine;

use super::Failure;
use crate::at::At;
use crate::boot;

/// The running platform's answer, or else that of an engine on its own.
pub(super) async fn ask(
    at: &At,
    path: &str,
    body: &Value,
    alone: impl AsyncFnOnce(&Engine, &Value) -> Result<Value, String>,
) -> Result<Value, Failure> {
    match at.running().await? {
        Some(running) => running.ask(path, body).await,
        None => {
            let engine = boot::start_engine_alone(&at.store()?).await?;
            let answer = alone(&engine, body).await;
            engine.stop().await;
            answer.map_err(Failure::new)
        }
    }
}
