//! `sloe org budget`: an org's API calls, and how many of them are Sloe's.

use clap::Args;
use serde_json::{Value, json};

use super::{At, text, when};
use crate::cmd::Failure;
use crate::cmd::ask::ask;

#[derive(Args)]
pub(crate) struct Budget {
    #[command(flatten)]
    at: At,
    /// Id or slug of the org.
    org: String,
    /// Of the allowance of 24 hours, what Sloe may use, in percent: 1 to 80, at first 15.
    #[arg(long, value_name = "PERCENT")]
    share: Option<u8>,
    /// Of the allowance, what Sloe leaves alone whoever used the rest, in percent: 5 to 80, at
    /// first 20.
    #[arg(long, value_name = "PERCENT")]
    reserve: Option<u8>,
    /// Calls at the same time: 1 to 15, at first 4; never more than 2 in a developer org.
    #[arg(long, value_name = "N")]
    at_once: Option<u8>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(budget: Budget) -> Result<(), Failure> {
    let body = json!({
        "org": budget.org,
        "share": budget.share,
        "reserve": budget.reserve,
        "at_once": budget.at_once,
    });
    let calls = ask(&budget.at, "orgs/budget", &body, sloe_web::admin::choose_budget).await?;
    if budget.json {
        println!("{calls}");
    } else {
        println!("{}", describe(&calls));
    }
    Ok(())
}

fn describe(calls: &Value) -> String {
    let of = |key: &str| calls.get(key).and_then(Value::as_u64).unwrap_or_default();
    let (share, reserve, left) = (of("share"), of("reserve"), of("left"));
    let mut lines = vec![match calls.get("max").and_then(Value::as_u64) {
        Some(max) => format!("{} of {max} API calls of 24 hours are used.", of("used")),
        None => {
            "The org has not told its allowance yet; Sloe takes it for the smallest.".to_owned()
        }
    }];
    lines.push(format!(
        "Sloe made {} of them. It may use {share} percent and leaves the last {reserve} percent \
         alone: {left} calls are left for it.",
        of("by_sloe")
    ));
    let (at_once, most) = (of("at_once"), of("most_at_once"));
    lines.push(if at_once < most {
        format!("At once it makes {at_once} now, {most} at most.")
    } else {
        format!("At once it makes {most} at most.")
    });
    if !text(calls, "waits_until").is_empty() {
        let until = when(calls, "waits_until");
        lines.push(format!(
            "Nothing is written to the org now; Sloe looks again at {until} at the latest. \
             Registrations go on, and none is lost."
        ));
    }
    lines.join("\n")
}
