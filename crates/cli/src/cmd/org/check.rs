//! `sloe org check`: does an org have what its mapping names, and may Sloe use it?

use clap::Args;
use comfy_table::{ContentArrangement, Table};
use serde_json::{Value, json};

use super::{At, text};
use crate::cmd::Failure;
use crate::cmd::ask::ask;

pub(super) const EXAMPLES: &str = "\
Examples:
  sloe org check acme           what the org lacks, the worst first; fails if it can't go live
  sloe org check acme --json    the same for scripts";

#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    at: At,
    /// Id or slug of the org.
    org: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(check: Check) -> Result<(), Failure> {
    let body = json!({ "org": check.org });
    let data = check.at.store.directory();
    let answer = ask(data, "orgs/check", &body, sloe_web::admin::check_org).await?;
    let ready = answer.get("ready").and_then(Value::as_bool).unwrap_or(false);
    if check.json {
        println!("{answer}");
    } else {
        print_findings(&answer);
        if ready {
            println!("The org {} has what Sloe needs.", check.org);
        }
    }
    if ready { Ok(()) } else { Err(Failure::new(format!("the org {} is not ready", check.org))) }
}

/// An answer's findings as a table; nothing without any.
pub(super) fn print_findings(answer: &Value) {
    let found = answer.get("findings").and_then(Value::as_array);
    let Some(found) = found.filter(|found| !found.is_empty()) else { return };
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["", "what", "what to do"]);
    for finding in found {
        table.add_row(["severity", "what", "fix"].map(|key| text(finding, key)));
    }
    println!("{table}");
}
