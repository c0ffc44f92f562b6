//! A simulated Salesforce org on a socket: the parts of the platform's API that Sloe and common clients use.
//!
//! What it doesn't have it refuses in Salesforce's own error form; it never pretends.
//! Its objects come from the SFDX files in `salesforce/`, its content from a [`Seed`].
//! Beside the API it has a page for people (`/`) and a control API for faults and limits (`/__control`).

mod api;
mod codes;
mod data;
mod events;
mod faults;
mod formula;
mod kept;
mod knobs;
mod license;
mod limits;
mod maintenance;
mod page;
mod schema;
mod seed;
mod server;
mod soql;
mod sosl;
mod state;
mod tls;
mod traffic;
mod work;

pub use seed::Seed;
pub use server::{Doors, Options, Running, start, start_with};
pub use tls::Tls;

/// Why an org can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The seed can't be used.
    #[error("the seed can't be used: {0}")]
    Seed(String),
    /// The address can't be listened on.
    #[error("{address} can't be listened on: {source}; choose another with {option}")]
    Listen {
        /// Which address.
        address: std::net::SocketAddr,
        /// The option that names it.
        option: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate or its key can't be used.
    #[error("the certificate can't be used: {0}")]
    Tls(String),
    /// This build has no Pub/Sub API.
    #[error(
        "this build has no Pub/Sub API: build it with `--features full`, or leave --pubsub-listen out"
    )]
    NoPubSub,
    /// The data directory can't be used.
    #[error("{0}")]
    Data(String),
    /// Something this machine should have and hasn't.
    #[error("{0}")]
    Machine(String),
}
