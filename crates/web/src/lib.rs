//! Sloe's face: pages, API and hooks over HTTP, and nothing else. What is
//! asked goes to the engine; no file here knows a store or Salesforce.
//!
//! [`routes`] is the one table of addresses, [`stack`] what every request
//! passes, [`error`] the only place that knows status codes.

pub mod admin;
mod api;
pub mod entrance;
pub mod error;
mod extract;
pub mod health;
mod hooks;
pub mod mailbox;
mod openapi;
mod patience;
pub mod peer;
mod problems;
pub mod routes;
pub mod serve;
pub mod site;
pub mod stack;
pub mod staff;
pub mod state;

pub use entrance::Entrance;
pub use routes::{admin_app, app};
pub use serve::serve;
pub use site::present::confirmation as order_mail;
