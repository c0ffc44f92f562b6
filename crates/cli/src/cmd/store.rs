//! `sloe store`: looks after a store.

use clap::Subcommand;
use sloe_store::server;

use super::Failure;
use crate::at::{Place, StoreAt};
use crate::boot;

#[derive(Subcommand)]
pub(crate) enum Store {
    /// Make every projection and checkpoint anew from the journal; beside nodes on a MongoDB too.
    #[command(after_help = REBUILD_EXAMPLES)]
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

const REBUILD_EXAMPLES: &str = "\
Examples:
  sloe store rebuild --store embedded:./sloe-data     while nothing runs on it
  sloe store rebuild --store mongodb://localhost/sloe";

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
    let (address, place) = (address.clone(), at.clone());
    let migrate = move || {
        server::migrate(address.whole()).map_err(|error| Failure::new(boot::told(&place, &error)))
    };
    let made = boot::aside(migrate).await?;
    match made.len() {
        0 => println!("{at} has all that is needed; nothing was done."),
        _ => println!("Made in {at}:"),
    }
    for made in made {
        println!("  {made}");
    }
    Ok(())
}
