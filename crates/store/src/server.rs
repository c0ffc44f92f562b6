//! The store on a server, by its address: MongoDB, where this build has it.
//! An address holds a password, so only [`shown`] of it is for people.

use std::sync::Arc;

use crate::api::{Store, StoreError};

/// Whether this build has the store on MongoDB (feature `mongo`).
pub const SUPPORTED: bool = cfg!(feature = "mongo");

/// The database of an address that names none.
pub const DATABASE: &str = "sloe";

/// How long a server may take until the store on it is open.
#[cfg(feature = "mongo")]
const OPENING: std::time::Duration = std::time::Duration::from_secs(15);

/// Whether an address is one of MongoDB.
#[must_use]
pub fn is_address(text: &str) -> bool {
    text.starts_with("mongodb://") || text.starts_with("mongodb+srv://")
}

/// Of an address only where it leads, hosts and database: for people and logs.
#[must_use]
pub fn shown(address: &str) -> String {
    hosts_and_database(address).unwrap_or_else(|| "MongoDB".to_owned())
}

fn hosts_and_database(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("://")?;
    // A password should have its @, / and ? escaped. Where that is in doubt, nothing is shown.
    let place = match rest.rsplit_once('@') {
        Some((before, _)) if before.contains('?') => return None,
        Some((_, place)) => place,
        None => rest,
    };
    let place = place.split('?').next().unwrap_or_default().trim_end_matches('/');
    let (hosts, database) = place.split_once('/').unwrap_or((place, DATABASE));
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
    let named = |text: &str| !text.is_empty() && text.chars().all(plain);
    // What stands behind a host's colon is a port, or somebody forgot the host.
    let port = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == ']');
    let host = |host: &str| named(host) && host.rsplit_once(':').is_none_or(|(_, p)| port(p));
    let good = hosts.split(',').all(host) && named(database) && !database.contains(':');
    good.then(|| format!("MongoDB {hosts}, database {database}"))
}

/// Opens the store at `address`.
///
/// # Errors
/// [`StoreError::Unavailable`]: it does not answer now. [`StoreError::Unusable`]
/// says what is wrong with it and what to do.
#[cfg(feature = "mongo")]
pub fn open(address: &str) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(crate::mongo::Bounded::open(address, OPENING)?))
}

/// Makes what is missing of the collections and indexes at `address`; what was
/// made, in words.
///
/// # Errors
/// As [`open`].
#[cfg(feature = "mongo")]
pub fn migrate(address: &str) -> Result<Vec<String>, StoreError> {
    crate::mongo::Mongo::migrate(address)
}

/// This build can't.
///
/// # Errors
/// [`StoreError::Unusable`], always.
#[cfg(not(feature = "mongo"))]
pub fn open(_: &str) -> Result<Arc<dyn Store>, StoreError> {
    Err(absent())
}

/// This build can't.
///
/// # Errors
/// [`StoreError::Unusable`], always.
#[cfg(not(feature = "mongo"))]
pub fn migrate(_: &str) -> Result<Vec<String>, StoreError> {
    Err(absent())
}

#[cfg(not(feature = "mongo"))]
fn absent() -> StoreError {
    StoreError::Unusable(
        "this build has no MongoDB store: build it with --features mongo, or use embedded:DIR"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_and_database_of_an_address_are_shown() {
        for (address, told) in [
            ("mongodb://localhost", "MongoDB localhost, database sloe"),
            ("mongodb://localhost:27017/", "MongoDB localhost:27017, database sloe"),
            (
                "mongodb://u:p@a.example,b.example:1/events?w=1",
                "MongoDB a.example,b.example:1, database events",
            ),
            (
                "mongodb+srv://u:p%40ss@cluster0.example.net/sloe",
                "MongoDB cluster0.example.net, database sloe",
            ),
            ("mongodb://u:p@ss@h/db", "MongoDB h, database db"),
            ("mongodb://u:p/w@h/db", "MongoDB h, database db"),
            // Whatever is in doubt.
            ("mongodb://u:secret?x@h/db", "MongoDB"),
            ("mongodb://h/db?tlsCertificateKeyFilePassword=a@secret", "MongoDB"),
            ("mongodb://u:secret", "MongoDB"),
            ("mongodb://", "MongoDB"),
        ] {
            assert_eq!(shown(address), told, "{address}");
        }
    }
}
