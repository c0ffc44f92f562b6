//! The orgs that Sloe serves, all in memory: profile, keys, connection,
//! license. Whoever holds an [`Org`] may ask about that org only.

mod connect;
mod hook;
pub(crate) mod license;
mod mapping;
mod registry;
mod stored;

use std::sync::Arc;

use sloe_core::budget::Rules;
use sloe_core::ids::OrgId;
use sloe_core::time::Timestamp;
use sloe_salesforce::Credentials;
use sloe_store::scope::OrgScope;

use crate::seal::Key;

pub use connect::{Connect, ConnectError, Connected};
pub use hook::{Heard, HookSecrets, Signed, Unheard};
pub use license::Licenses;
pub use mapping::{MappingText, OrgMapping};
pub(crate) use registry::Leaving;
pub use registry::{OrgError, Registry};
pub use stored::{Profile, ProfileChange};

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// A connected org.
#[derive(Clone, Debug)]
pub struct Org {
    pub(crate) scope: OrgScope,
    /// How it looks and whom to ask.
    pub profile: Profile,
    pub(crate) connection: Arc<Credentials>,
    /// Seals the org's personal data and secrets; wrapped by the master key at rest.
    pub(crate) key: Key,
    /// SHA-256 of the hook secrets in force: two at once while one is rotated.
    pub(crate) hook_secrets: Vec<[u8; 32]>,
    /// What it calls its objects and fields.
    pub mapping: Arc<OrgMapping>,
    /// How much of its API allowance Sloe may take.
    pub budget: Rules,
    /// Until when no node takes claims, as one is about to remove it.
    pub(crate) closed_until: Option<Timestamp>,
    /// Counts changes of this document.
    pub(crate) version: u64,
}

impl Org {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> OrgId {
        self.scope.org()
    }

    /// Its address in Salesforce.
    #[must_use]
    pub fn login_url(&self) -> &str {
        &self.connection.login_url
    }

    /// The key that the keys of its events' requests are wrapped by.
    #[must_use]
    pub(crate) fn event_keys_key(&self) -> Key {
        self.key.derive("event keys")
    }

    /// The key that an event's personal data is sealed with.
    #[must_use]
    pub(crate) fn vault_key(&self) -> Key {
        self.key.derive("vault")
    }

    /// Until when personal data of an event is kept that ends at `ends_at`.
    #[must_use]
    pub(crate) fn kept_until(&self, ends_at: Timestamp) -> Timestamp {
        ends_at.plus_millis(self.profile.retention_days.saturating_mul(DAY_MILLIS))
    }
}
