//! `sloe org remove`: disconnects an org for good.

use clap::Args;
use serde_json::{Value, json};
use sloe_core::words::counted;

use super::{At, text};
use crate::boot;
use crate::cmd::Failure;

pub(super) const EXAMPLES: &str = "\
Examples:
  sloe org remove acme                  what would go with it; nothing is done
  sloe org remove acme --yes            disconnects it, once Salesforce has everything
  sloe org remove acme --yes --force    although Salesforce does not: those rows are lost

What goes: its pages and API, its credentials, hook secrets and mapping, its snapshots, orders and
letters, and its key, without which nothing personal of it can be read.
What stays: what Salesforce has; its events' journals, which name nobody and keep sold seats sold
should the org come back; its license rows. A backup made before still holds the key, under the
master key: delete it as well, or let it age.";

#[derive(Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    at: At,
    /// Id or slug of the org.
    org: String,
    /// Do it: this can't be undone.
    #[arg(long)]
    yes: bool,
    /// Also if registrations or cancellations have not reached Salesforce.
    #[arg(long, requires = "yes")]
    force: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(remove: Remove) -> Result<(), Failure> {
    let body = json!({ "org": remove.org, "really": remove.yes, "force": remove.force });
    let answer = match remove.at.running().await? {
        Some(running) => running.ask("orgs/remove", &body).await?,
        None => {
            let engine = boot::start_engine_alone(&remove.at.store()?).await?;
            let removed = sloe_web::admin::remove_org(&engine, &body).await;
            // Nothing runs beside it that would delete the rest later.
            let rest = async {
                while engine.finish_removals().await? {}
                Ok(())
            };
            let rest: Result<(), String> = rest.await;
            engine.stop().await;
            let removed = removed.map_err(Failure::new)?;
            rest.map_err(Failure::new)?;
            removed
        }
    };
    if remove.json {
        println!("{answer}");
    } else {
        println!("{}", describe(&answer));
    }
    let removed = answer.get("removed").and_then(Value::as_bool).unwrap_or(false);
    match (removed, remove.yes) {
        (true, _) => Ok(()),
        (false, true) => Err(Failure::new(
            "nothing was done: see sloe sync status and sloe sync letters, or add --force",
        )),
        (false, false) => Err(Failure::new("nothing was done: add --yes to do it")),
    }
}

fn describe(answer: &Value) -> String {
    let of = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or_default();
    let is = |key: &str| answer.get(key).and_then(Value::as_bool).unwrap_or_default();
    let (name, id) = (text(answer, "name"), text(answer, "org_id"));
    let mut lines = Vec::new();
    if is("removed") {
        lines.push(format!(
            "{name} ({id}) is disconnected: its pages are gone ({}), and its key is destroyed. \
             What is stored of it is being deleted.",
            counted(of("events"), "event")
        ));
        lines.push(
            "In Salesforce, delete the external client app and deactivate the integration user."
                .to_owned(),
        );
    } else {
        lines.push(format!(
            "{name} ({id}) has {}. Its pages go, and with them its orders and all personal data \
             that Sloe has of it.",
            counted(of("events"), "event")
        ));
    }
    if !is("all_sent") {
        let lost = if is("removed") { "is lost" } else { "would be lost" };
        let what = [
            ("unsent_events", "event", "with news that was not sent"),
            ("retrying", "row", "to be sent again"),
            ("letters", "row", "that could not be delivered"),
            ("unsent_mails", "confirmation", "not mailed"),
        ];
        let what = what.into_iter().filter(|(key, ..)| of(key) > 0);
        let what: Vec<_> =
            what.map(|(key, noun, why)| format!("{} {why}", counted(of(key), noun))).collect();
        let what = what.join(", ");
        lines.push(format!("Not everything was sent. What {lost}: {what}."));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_lost_is_told_and_nothing_that_would_not() {
        let mut answer = json!({
            "name": "Acme", "org_id": "00D000000000001", "removed": false, "events": 2,
            "all_sent": false, "unsent_events": 1, "retrying": 0, "letters": 3, "unsent_mails": 2,
        });
        let told = describe(&answer);
        assert!(told.contains("has 2 events. Its pages go"), "{told}");
        let lost = "What would be lost: 1 event with news that was not sent, 3 rows that \
                    could not be delivered, 2 confirmations not mailed.";
        assert!(told.ends_with(lost), "{told}");
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("all_sent".to_owned(), json!(true));
        }
        assert!(!describe(&answer).contains("lost"));
    }
}
