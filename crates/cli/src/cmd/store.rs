//! `sloe store`: looks after a store at rest.

use clap::Subcommand;

use super::Failure;
use super::org::At;

#[derive(Subcommand)]
pub(crate) enum Store {
    /// Make every projection and checkpoint anew from the journal.
    #[command(after_help = "Example, while nothing runs on it:\n  \
                            sloe store rebuild --store embedded:./sloe-data")]
    Rebuild {
        #[command(flatten)]
        at: At,
    },
}

pub(crate) fn run(store: &Store) -> Result<(), Failure> {
    let Store::Rebuild { at } = store;
    let embedded = sloe_store::embedded::Embedded::open(at.store.directory())?;
    sloe_engine::worker::rebuild(&embedded)?;
    println!("Every projection was made anew from the journal.");
    Ok(())
}
