//! Loads, asks the core, commits; owns the workers. Knows nothing of HTTP.
//!
//! [`engine::Engine`] is the handle; [`ledger`] the combiner behind every
//! claim; [`catalog`] what readers see; [`tenant`] the orgs.

mod asks;
pub mod calendar;
pub mod catalog;
pub mod changes;
pub mod claims;
pub mod clock;
pub mod damage;
pub mod doctor;
pub mod engine;
pub mod erase;
pub mod error;
pub mod invitation;
mod keys;
pub mod ledger;
pub mod licensing;
pub mod mail;
pub mod mapping;
mod nodes;
pub mod peers;
mod reach;
pub mod refresh;
pub mod remove;
pub mod replay;
pub mod seal;
pub mod staff;
pub mod steps;
pub mod sync;
pub mod tenant;
#[cfg(test)]
mod testing;
pub mod token;
pub mod verify;
pub mod view;
pub mod worker;
