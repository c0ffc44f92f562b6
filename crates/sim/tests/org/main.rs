//! The simulated org over real HTTP, as a client meets it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bulk;
mod changes;
mod client;
mod composite;
mod compressed;
mod computed;
mod drift;
#[cfg(feature = "pubsub")]
mod events;
mod faults;
mod handbook;
mod licenses;
mod limits;
mod locks;
mod package;
mod page;
mod query;
mod records;
mod restart;
mod search;
mod sign_in;
mod soql;
mod standard;
mod tls;
mod tree;
