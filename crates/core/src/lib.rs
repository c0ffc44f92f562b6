//! What Sloe decides. Pure, total and deterministic: no I/O, no clock, no
//! randomness; time and ids come in as arguments, refusals go out as values.
//!
//! Start with [`ledger`], which takes seats and cannot oversell; [`fact`] is
//! the closed list of what may be made durable, [`catalog`] what the public
//! may see, [`inbound`] how Salesforce's records become both, [`outbox`] what
//! a stretch of the journal means for the org, [`verify`] whether the org holds
//! what it was sent, [`budget`] when it may be called.

pub mod budget;
pub mod catalog;
pub mod fact;
pub mod ids;
pub mod inbound;
pub mod lease;
pub mod ledger;
pub mod license;
pub mod limits;
pub mod money;
pub mod outbox;
#[cfg(feature = "planted")]
pub mod planted;
/// Whether a bug is planted in this thread.
#[cfg(feature = "planted")]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is($crate::planted::Bug::$bug)
    };
}
/// Whether a bug is planted in this thread: never, in what is shipped.
#[cfg(not(feature = "planted"))]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}
pub mod time;
pub mod verify;
pub mod words;
