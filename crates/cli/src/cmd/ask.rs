//! What an operator's command asks: the platform that runs on a store, or the
//! store itself where none does.

use std::path::Path;

use serde_json::Value;
use sloe_engine::engine::Engine;

use super::Failure;
use crate::boot;
use crate::platform::Running;

/// The running platform's answer, or else that of an engine on its own.
pub(super) async fn ask(
    data: &Path,
    path: &str,
    body: &Value,
    alone: impl AsyncFnOnce(&Engine, &Value) -> Result<Value, String>,
) -> Result<Value, Failure> {
    match Running::find(data).await {
        Some(running) => running.ask(path, body).await,
        None => {
            let engine = boot::start_engine_alone(data)?;
            let answer = alone(&engine, body).await;
            engine.stop().await;
            answer.map_err(Failure::new)
        }
    }
}
