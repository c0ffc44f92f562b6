//! The two clients of the benchmarks over HTTP: bare load, and the storm, which
//! proves what came of it.

use std::process::Command;

use serde_json::Value;

use super::process::{self, number};
use super::world::World;
use crate::cargo;

/// Connections of both.
const CONNECTIONS: &str = "256";
/// How long bare load lasts.
const SECONDS: &str = "4";

/// What bare load came to.
pub(super) struct Load {
    pub(super) answers: f64,
    pub(super) per_second: f64,
}

/// Requests as fast as they are answered, as `words` say; every answer must be the expected one.
pub(super) fn load(target: &str, words: &[String]) -> Result<Load, String> {
    let mut command = process::ceiling();
    command.args(["load", "--target", target, "--connections", CONNECTIONS, "--seconds", SECONDS]);
    let measured = process::read_json(command.args(words))?;
    let others = measured.get("others").and_then(Value::as_u64).unwrap_or(u64::MAX);
    if others > 0 {
        return Err(format!("{target} gave {others} answers that are not what they must be"));
    }
    Ok(Load {
        answers: number(&measured, "answers")?,
        per_second: number(&measured, "per_second")?,
    })
}

/// A storm of so many visitors, each for themselves; how they come is to be added.
pub(super) fn storm(world: &World, event: &str, visitors: u64) -> Command {
    let mut command = process::sloe();
    let visitors = visitors.to_string();
    command.args(["storm", "--target", &world.site, "--event", event, "--visitors", &visitors]);
    command.args(["--connections", CONNECTIONS, "--sessions", "0"]);
    command
}

/// Holds a storm and gives its report; a broken invariant ends everything.
pub(super) fn held(command: &mut Command, report: &std::path::Path) -> Result<Value, String> {
    cargo::run(command)?;
    let text = std::fs::read(report).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// What everybody registers for at an event.
pub(super) fn first_item(event: &Value) -> Result<String, String> {
    let item = event.pointer("/items/0/id").and_then(Value::as_str).map(str::to_owned);
    item.ok_or_else(|| "the event has no item".to_owned())
}
