//! `sloe sync`: what has still to reach the orgs, what failed on the way, and
//! sending it again. Asks the running platform, or the store that many nodes share.

mod show;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sloe_core::time::Timestamp;

use super::Failure;
use super::org::text;
use crate::at::At;

#[derive(Subcommand)]
pub(crate) enum Sync {
    /// Show how far each org is, and what is wrong.
    #[command(after_help = "Examples:\n  sloe sync status\n  sloe sync status acme --json")]
    Status {
        /// Id or slug of an org; all without.
        org: Option<String>,
        #[command(flatten)]
        out: Out,
    },
    /// List rows that an org refused for good, what that means and who can help.
    #[command(after_help = LETTERS_EXAMPLES)]
    Letters {
        /// Id or slug of the org.
        org: String,
        #[command(flatten)]
        kind: Kind,
        /// Rows that wait to be sent again instead.
        #[arg(long, conflicts_with_all = ["event", "code", "field", "kind", "conflicts"])]
        waiting: bool,
        /// How many at most, up to 500.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Those after this id.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        #[command(flatten)]
        out: Out,
    },
    /// Send rows again; a letter goes away once its row has succeeded.
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        out: Out,
    },
    /// Leave conflicts as the org has them: what it deleted or changed stays so.
    #[command(after_help = "Examples:\n  sloe sync accept acme --all\n  sloe sync accept acme ID")]
    Accept {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        out: Out,
    },
    /// Compare what an org holds with what it was sent, and put right what differs.
    #[command(after_help = "Example:\n  sloe sync verify acme")]
    Verify {
        /// Id or slug of the org.
        org: String,
        /// Don't wait for the comparison.
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        out: Out,
    },
}

/// How long `sync verify` waits for the comparison.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Between two looks whether it is done; and where each look opens the store anew.
const LOOK: Duration = Duration::from_millis(250);
const LOOK_ALONE: Duration = Duration::from_secs(2);

const LETTERS_EXAMPLES: &str = "\
Examples:
  sloe sync letters acme
  sloe sync letters acme --code STRING_TOO_LONG --field Last_Name__c
  sloe sync letters acme --conflicts
  sloe sync letters acme --waiting";

const REPLAY_EXAMPLES: &str = "\
Examples:
  sloe sync replay acme 0c1m…-2
  sloe sync replay acme --code FIELD_CUSTOM_VALIDATION_EXCEPTION
  sloe sync replay acme --all";

/// Where to ask, and how to answer.
#[derive(Args)]
pub(crate) struct Out {
    #[command(flatten)]
    at: At,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What letters have in common.
#[derive(Args)]
pub(crate) struct Kind {
    /// Of this event, by its Salesforce id.
    #[arg(long)]
    event: Option<String>,
    /// With this code.
    #[arg(long)]
    code: Option<String>,
    /// That blame this field.
    #[arg(long)]
    field: Option<String>,
    /// About records of this kind.
    #[arg(long, value_parser = ["attendee", "session-attendee", "mail"])]
    kind: Option<String>,
    /// Only conflicts: records that the org deleted or changed.
    #[arg(long)]
    conflicts: bool,
}

impl Kind {
    fn body(&self, org: &str) -> Value {
        json!({
            "org": org,
            "event": self.event,
            "code": self.code,
            "field": self.field,
            "kind": self.kind.as_ref().map(|kind| kind.replace('-', " ")),
            "conflict": self.conflicts.then_some(true),
        })
    }
}

/// Which letters are meant.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("rows").required(true).multiple(true)
    .args(["ids", "event", "code", "field", "kind", "conflicts", "all"]))]
pub(crate) struct Which {
    /// Id or slug of the org.
    org: String,
    /// Their ids.
    #[arg(value_name = "ID", conflicts_with_all = ["event", "code", "field", "kind", "conflicts", "all"])]
    ids: Vec<String>,
    #[command(flatten)]
    kind: Kind,
    /// All of the org's.
    #[arg(long, conflicts_with_all = ["event", "code", "field", "kind", "conflicts"])]
    all: bool,
}

impl Which {
    fn body(&self) -> Value {
        let mut body = self.kind.body(&self.org);
        if let Some(body) = body.as_object_mut() {
            body.insert("ids".to_owned(), json!(self.ids));
            body.insert("all".to_owned(), json!(self.all));
        }
        body
    }
}

pub(crate) async fn run(sync: Sync) -> Result<(), Failure> {
    match sync {
        Sync::Status { org, out } => {
            let answer = ask(&out, "sync/status", json!({ "org": org })).await?;
            print(&out, &answer, show::status);
        }
        Sync::Letters { org, kind, waiting, limit, after, out } => {
            let mut body = kind.body(&org);
            if let Some(body) = body.as_object_mut() {
                body.insert("limit".to_owned(), json!(limit));
                body.insert("after".to_owned(), json!(after));
            }
            if waiting {
                print(&out, &ask(&out, "sync/waiting", body).await?, show::waiting);
            } else {
                let answer = ask(&out, "sync/letters", body).await?;
                print(&out, &answer, |answer| show::letters(answer, &org));
            }
        }
        Sync::Replay { which, out } => {
            let answer = ask(&out, "sync/replay", which.body()).await?;
            print(&out, &answer, show::replayed);
        }
        Sync::Accept { which, out } => {
            let answer = ask(&out, "sync/accept", which.body()).await?;
            print(&out, &answer, show::accepted);
        }
        Sync::Verify { org, no_wait, out } => {
            let asked = ask(&out, "sync/verify", json!({ "org": org })).await?;
            if no_wait {
                print(&out, &asked, |_| "The org is compared soon; see sloe sync status.".into());
            } else {
                print(&out, &verified(&out, &org, &asked).await?, show::verified);
            }
        }
    }
    Ok(())
}

/// The comparison that was asked for, once it is done.
async fn verified(out: &Out, org: &str, asked: &Value) -> Result<Value, Failure> {
    let asked = Timestamp::parse(&text(asked, "asked"));
    let give_up = tokio::time::Instant::now() + PATIENCE;
    let pause = if out.at.running().await?.is_some() { LOOK } else { LOOK_ALONE };
    while tokio::time::Instant::now() < give_up {
        tokio::time::sleep(pause).await;
        let status = ask(out, "sync/status", json!({ "org": org })).await?;
        let last = status.pointer("/orgs/0/last_verify").cloned().unwrap_or_default();
        if !last.is_null() && Timestamp::parse(&text(&last, "began")) >= asked {
            return Ok(last);
        }
    }
    Err(Failure::new("the comparison takes long; see sloe sync status later"))
}

async fn ask(out: &Out, path: &str, body: Value) -> Result<Value, Failure> {
    out.at.ask(path, &body).await
}

fn print(out: &Out, answer: &Value, show: impl Fn(&Value) -> String) {
    if out.json {
        println!("{answer}");
    } else {
        println!("{}", show(answer));
    }
}
