//! The client against a fake that answers as told: what Salesforce, a proxy
//! or a broken network may say, and what the client makes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod bulk;
mod compare;
mod events;
mod fake;
mod gate;
mod large;
mod login;
mod mapping;
mod poison;
mod rows;
mod setup;
mod together;
