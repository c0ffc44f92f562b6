//! `sloe store`: looks after a store at rest.

use clap::Subcommand;
use sloe_store::server;

use super::Failure;
use crate::at::{Place, StoreAt};
use crate::boot;

#[derive(Subcommand)]
pub(crate) enum Store {
    /// Make every projection and checkpoint anew from the journal.
    #[command(after_help = "Example, while nothing runs on it:\n  \
                            sloe store rebuild --store embedded:./sloe-data")]
    Rebuild {
        #[command(flatten)]
        place: Place,
    },
    /// Make what a MongoDB lacks of collections and indexes; can be repeated, beside nodes too.
    #[command(after_help = MIGRATE_EXAMPLES)]
    Migrate {
        #[command(flatten)]
        place: Place,
    },
}

const MIGRATE_EXAMPLES: &str = "\
Examples:
  sloe store migrate --store mongodb://localhost/sloe
  SLOE_STORE=mongodb+srv://… sloe store migrate     where the address has a password";

pub(crate) async fn run(store: Store) -> Result<(), Failure> {
    match store {
        Store::Rebuild { place } => {
            let at = place.store()?;
            boot::aside(move || Ok(sloe_engine::worker::rebuild(&*boot::open(&at)?)?)).await?;
            println!("Every projection was made anew from the journal.");
            Ok(())
        }
        Store::Migrate { place } => migrate(place.store()?).await,
    }
}

async fn migrate(at: StoreAt) -> Result<(), Failure> {
    let StoreAt::Mongo(address) = &at else {
        println!("The embedded store makes all it needs by itself; nothing was done.");
        return Ok(());
    };
    let address = address.clone();
    let made = boot::aside(move || Ok(server::migrate(address.whole())?)).await?;
    match made.len() {
        0 => println!("{at} has all that is needed; nothing was done."),
        _ => println!("Made in {at}:"),
    }
    for made in made {
        println!("  {made}");
    }
    Ok(())
}
