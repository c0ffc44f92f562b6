//! `sloe org changes`: whether an org tells of changes by itself.

use clap::Args;
use serde_json::{Value, json};

use super::{At, text, when};
use crate::cmd::Failure;
use crate::cmd::ask::ask;

#[derive(Args)]
pub(crate) struct Changes {
    #[command(flatten)]
    at: At,
    /// Id or slug of the org.
    org: String,
    /// Follow the org's change events from now on.
    #[arg(long, conflicts_with = "off")]
    on: bool,
    /// Follow them no more; Sloe looks for changes by itself.
    #[arg(long)]
    off: bool,
    #[command(flatten)]
    from: From,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Where change events come from.
#[derive(Args, Clone)]
pub(crate) struct From {
    /// Address of the Pub/Sub API, unless it is Salesforce's own.
    #[arg(long, value_name = "URL")]
    pub(super) pubsub_url: Option<String>,
}

pub(super) async fn run(changes: Changes) -> Result<(), Failure> {
    let on = match (changes.on, changes.off) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    if changes.from.pubsub_url.is_some() && on != Some(true) {
        return Err(Failure::new("--pubsub-url goes with --on"));
    }
    let told = switch(&changes.at, &changes.org, on, &changes.from).await?;
    if changes.json {
        println!("{told}");
    } else {
        println!("{}", describe(&told));
    }
    Ok(())
}

/// Switches them, if told to; how they stand then.
pub(super) async fn switch(
    at: &At,
    org: &str,
    on: Option<bool>,
    from: &From,
) -> Result<Value, Failure> {
    let body = json!({ "org": org, "on": on, "url": from.pubsub_url });
    ask(at, "orgs/changes", &body, sloe_web::admin::switch_changes).await
}

pub(super) fn describe(changes: &Value) -> String {
    let is = |key: &str| changes.get(key).and_then(Value::as_bool).unwrap_or_default();
    let of = |key: &str| changes.get(key).and_then(Value::as_u64).unwrap_or_default();
    if !is("on") {
        return "Change events are off: Sloe looks for changes by itself, once a minute."
            .to_owned();
    }
    let mut lines = vec![format!("Change events are on, from {}.", text(changes, "url"))];
    let parts = changes.get("parts").and_then(Value::as_object);
    if parts.is_none_or(serde_json::Map::is_empty) {
        lines.push("They are followed within seconds where Sloe runs: ask again.".to_owned());
    }
    for (name, part) in parts.into_iter().flatten() {
        let (state, since) = (text(part, "state"), when(part, "since"));
        lines.push(match state.as_str() {
            "healthy" => format!("  {name}s: followed since {since}"),
            "down" => format!(
                "  {name}s: not followed since {since}, next try at {}",
                when(part, "again")
            ),
            _ => format!("  {name}s: {state}"),
        });
    }
    if of("told") > 0 {
        lines.push(format!(
            "{} changes were told, the last at {}; {} of them were Sloe's own or of nothing public.",
            of("told"),
            when(changes, "last"),
            of("passed_over")
        ));
    }
    let trouble = text(changes, "trouble");
    if !trouble.is_empty() {
        lines.push(trouble);
    }
    lines.join("\n")
}
