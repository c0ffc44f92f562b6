//! Makes batches durable. The journal of an event is the truth; everything
//! else here can be made anew from it, but for the vault (sealed personal
//! data beside the journal) and the documents that copy Salesforce.
//!
//! [`api::Store`] is all that the rest of Sloe sees of a store.

pub mod api;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod embedded;
#[cfg(any(test, feature = "testing"))]
pub mod faulty;
pub mod fenced;
pub mod key;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
#[cfg(feature = "mongo")]
pub mod mongo;
pub mod record;
pub mod scope;
pub mod server;
