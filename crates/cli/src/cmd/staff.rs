//! `sloe staff`: who may look at the console.

use clap::Subcommand;
use serde_json::json;

use super::Failure;
use super::org::{text, when};
use crate::at::At;

#[derive(Subcommand)]
pub(crate) enum Staff {
    /// Print an address that signs in to the console once, within 15 minutes.
    #[command(after_help = "Example:\n  sloe staff link --store embedded:./sloe-data")]
    Link {
        #[command(flatten)]
        at: At,
    },
}

pub(crate) async fn run(staff: Staff) -> Result<(), Failure> {
    let Staff::Link { at } = staff;
    let answer = at.ask("staff/link", &json!({})).await?;
    println!("{}", text(&answer, "url"));
    eprintln!("It signs in once, until {}.", when(&answer, "until"));
    Ok(())
}
