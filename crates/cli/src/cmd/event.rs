//! `sloe event`: looks after one event.

mod invite;

use clap::Subcommand;
use serde_json::json;

use super::Failure;
use crate::at::{At, Place};
use crate::boot;

const REFRESH_EXAMPLES: &str = "\
Examples:
  sloe event refresh --org acme a005g0000000001AAA    as the Update button does
  sloe event refresh --org acme                       the whole org";

#[derive(Subcommand)]
pub(crate) enum Event {
    /// Read an event (or all of an org) from Salesforce again.
    #[command(after_help = REFRESH_EXAMPLES)]
    Refresh {
        #[command(flatten)]
        at: At,
        /// Id or slug of the org.
        #[arg(long)]
        org: String,
        /// The event's Salesforce id; all events if left out.
        event: Option<String>,
    },
    /// Print personal links to an event for Contacts and Leads, as CSV.
    Invite(invite::Args),
    /// Print an event's history from its journal, without personal data.
    #[command(after_help = "Example:\n  sloe event replay 4c6x8d0qk2y7h1m9v3t5w8z0ab")]
    Replay {
        #[command(flatten)]
        place: Place,
        /// The event's public id, or its Salesforce id if only one org has it.
        event: String,
    },
}

pub(crate) async fn run(event: Event) -> Result<(), Failure> {
    match event {
        Event::Refresh { at, org, event } => {
            at.ask("refresh", &json!({ "org": org, "event": event })).await?;
            println!("Asked for. The pages show what Salesforce says as soon as it has answered.");
            Ok(())
        }
        Event::Invite(args) => invite::run(args).await,
        Event::Replay { place, event } => {
            let store = boot::open_to_read(&place.store()?).await?;
            sloe_engine::replay::print(&*store, &event, &mut std::io::stdout().lock())
                .map_err(|error| Failure::new(error.to_string()))
        }
    }
}
