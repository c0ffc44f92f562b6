//! What is missing, in words a registrant can act on.

use sloe_engine::error::{PoolRef, Shortage};
use sloe_engine::view::HeldPlace;

use crate::site::view::Fault;

/// A shortage as its visitor sees it: the ledger counts what is asked beyond
/// the seats they hold, they count those in.
#[must_use]
pub fn credited(shortage: &Shortage, own: &[HeldPlace]) -> Shortage {
    let held = match &shortage.pool {
        PoolRef::Event => own.len(),
        PoolRef::Item { id, .. } => own.iter().filter(|place| place.item == *id).count(),
        PoolRef::Session { id, .. } => {
            own.iter().filter(|place| place.sessions.contains(id)).count()
        }
    };
    let held = u32::try_from(held).unwrap_or(u32::MAX);
    Shortage {
        pool: shortage.pool.clone(),
        asked: shortage.asked.saturating_add(held),
        left: shortage.left.saturating_add(held),
    }
}

/// One sentence about a pool that has too little.
#[must_use]
pub fn sentence(shortage: &Shortage) -> String {
    let Shortage { pool, asked, left } = shortage;
    let seats = if *left == 1 { "seat is" } else { "seats are" };
    match pool {
        PoolRef::Event if *left == 0 => "The event is sold out.".to_owned(),
        PoolRef::Event => format!("Only {left} {seats} left; you asked for {asked}."),
        PoolRef::Item { name, .. } if *left == 0 => format!("“{name}” is sold out."),
        PoolRef::Item { name, .. } => format!(
            "Only {left} of “{name}” {} left; you asked for {asked}.",
            if *left == 1 { "is" } else { "are" }
        ),
        PoolRef::Session { name, .. } if *left == 0 => format!("The session “{name}” is full."),
        PoolRef::Session { name, .. } => format!(
            "The session “{name}” has only {left} {} left; you asked for {asked}.",
            if *left == 1 { "seat" } else { "seats" }
        ),
    }
}

/// The same as a fault of the event's form, with what to do.
#[must_use]
pub fn fault_of(shortage: &Shortage) -> Fault {
    let (field, advice) = match &shortage.pool {
        PoolRef::Event => {
            ("tickets".to_owned(), if shortage.left == 0 { "" } else { " Choose fewer." })
        }
        PoolRef::Item { id, .. } => (
            format!("qty-{id}"),
            if shortage.left == 0 { " Choose another ticket." } else { " Choose fewer." },
        ),
        PoolRef::Session { id, .. } => (
            format!("session-{id}"),
            if shortage.left == 0 { " Untick it." } else { " Untick it, or choose fewer people." },
        ),
    };
    Fault { field, message: sentence(shortage) + advice }
}
