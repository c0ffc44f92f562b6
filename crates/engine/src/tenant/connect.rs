//! Connecting an org: who answers the login, does it have what the mapping
//! names, and only then is it written down. The demo, the command line and
//! the admin API all come through here.

use std::sync::Arc;

use sloe_core::ids::OrgId;
use sloe_core::license::License;
use sloe_salesforce::{Credentials, Mapping, Missing, Options, Org as Client};

use super::{Org, OrgError, Profile};
use crate::engine::Engine;

/// A new org, or a change of a connected one.
#[derive(Clone, Debug)]
pub struct Connect {
    /// How it looks.
    pub profile: Profile,
    /// Where it is and how to sign in.
    pub credentials: Credentials,
    /// The org it must be, if the caller knows: protects against signing in
    /// to another one by mistake.
    pub expected: Option<OrgId>,
}

/// A connected org and what Salesforce must be told.
#[derive(Debug)]
pub struct Connected {
    /// The org.
    pub org: Arc<Org>,
    /// The hook's secret; told only here.
    pub hook_secret: String,
}

/// Why an org was not connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Salesforce could not be asked, or refused.
    #[error(transparent)]
    Salesforce(#[from] sloe_salesforce::Error),
    /// The login is another org's.
    #[error("the login belongs to org {found}, not to {expected}")]
    OtherOrg {
        /// Who was meant.
        expected: OrgId,
        /// Who answered.
        found: OrgId,
    },
    /// The org lacks what the mapping names.
    #[error("the org is not ready: {}", list(.0))]
    Missing(Vec<Missing>),
    /// The profile or the store.
    #[error(transparent)]
    Org(#[from] OrgError),
}

fn list(missing: &[Missing]) -> String {
    let each = missing.iter().map(|missing| format!("{} {}", missing.what, missing.fix));
    each.collect::<Vec<_>>().join("; ")
}

impl Engine {
    /// Signs in to an org, checks that it has what Sloe needs, and connects it.
    ///
    /// # Errors
    /// [`ConnectError`]; then nothing is written.
    pub async fn connect_org(&self, connect: Connect) -> Result<Connected, ConnectError> {
        let client =
            Client::new(connect.credentials.clone(), Mapping::default(), Options::default())?;
        let found = client.identify().await?.org;
        if let Some(expected) = connect.expected
            && expected != found
        {
            return Err(ConnectError::OtherOrg { expected, found });
        }
        let missing = client.check().await?;
        if !missing.is_empty() {
            return Err(ConnectError::Missing(missing));
        }
        let (org, hook_secret) = self.registry().connect(
            &**self.store(),
            found,
            connect.profile,
            connect.credentials,
        )?;
        Ok(Connected { org, hook_secret })
    }

    /// Replaces what is known of an org's licenses.
    ///
    /// # Errors
    /// The store does not take it; then nothing changed.
    pub fn set_licenses(&self, org: OrgId, licenses: &[License]) -> Result<(), OrgError> {
        Ok(self.registry().licenses.replace(&**self.store(), org, licenses)?)
    }
}
