//! The aggregate of all pools of one event: takes seats all or none, never
//! more than there are.
//!
//! [`Ledger::decide`] is pure: a command in, facts or a refusal out.
//! [`Ledger::apply`] rolls facts forward and never decides. A committer does
//! both, one command after the other, then makes the facts durable as one
//! batch; if that fails it throws the ledger away and loads it anew.

mod apply;
mod command;
mod decide;
mod image;
#[cfg(test)]
mod model;
mod state;
#[cfg(test)]
mod tests;
mod undo;

pub use apply::Inconsistent;
pub use command::{
    Blocked, ClaimStatus, ClaimView, Command, Decision, PlaceRequest, PlaceView, PoolCount,
    PoolKey, Refusal, Reply, RequestFault,
};
pub use image::{ClaimImage, Image, RequestImage};
pub use state::Ledger;
