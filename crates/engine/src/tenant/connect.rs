//! Connecting an org: who answers the login, does it have what the mapping
//! names, and only then is it written down. The demo, the command line and
//! the admin API all come through here.

use std::sync::{Arc, PoisonError};

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sloe_core::ids::OrgId;
use sloe_salesforce::{
    Credentials, Finding, Flow, Gate, Mapping, MappingFault, Options, Org as Client, Severity,
};
use sloe_store::api::{Store, StoreError};

use super::{HookSecrets, Org, OrgError, ProfileChange};
use crate::engine::Engine;
use crate::mapping::{Moved, told};
use crate::nodes::PLATFORM;
use crate::worker::budget::{self, Tally};
use crate::worker::stored;

/// A new org, or a change of a connected one.
#[derive(Clone, Debug)]
pub struct Connect {
    /// How it looks.
    pub profile: ProfileChange,
    /// Where it is and how to sign in.
    pub credentials: Credentials,
    /// The org it must be, if the caller knows: protects against signing in
    /// to another one by mistake.
    pub expected: Option<OrgId>,
    /// The text of its mapping; `None` leaves it as it is: at first Sloe's own package.
    pub mapping: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    profile: ProfileChange,
    login_url: String,
    expected: Option<String>,
    #[serde(default)]
    mapping: Option<String>,
    #[serde(flatten)]
    flow: WireFlow,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "flow", rename_all = "snake_case")]
enum WireFlow {
    ClientCredentials { client_id: String, client_secret: String },
    JwtBearer { client_id: String, username: String, private_key: String, audience: String },
}

impl Connect {
    /// As the command line sends it to a running platform; holds secrets.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let flow = match &self.credentials.flow {
            Flow::ClientCredentials { client_id, client_secret } => WireFlow::ClientCredentials {
                client_id: client_id.clone(),
                client_secret: client_secret.expose_secret().to_owned(),
            },
            Flow::JwtBearer { client_id, username, private_key_pem, audience } => {
                WireFlow::JwtBearer {
                    client_id: client_id.clone(),
                    username: username.clone(),
                    private_key: private_key_pem.expose_secret().to_owned(),
                    audience: audience.clone(),
                }
            }
        };
        let wire = Wire {
            profile: self.profile.clone(),
            login_url: self.credentials.login_url.clone(),
            expected: self.expected.map(|org| org.to_string()),
            mapping: self.mapping.clone(),
            flow,
        };
        serde_json::to_value(wire).unwrap_or_default()
    }

    /// Reads what [`Connect::to_json`] wrote.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn from_json(value: serde_json::Value) -> Result<Self, String> {
        let wire: Wire = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let flow = match wire.flow {
            WireFlow::ClientCredentials { client_id, client_secret } => {
                Flow::ClientCredentials { client_id, client_secret: client_secret.into() }
            }
            WireFlow::JwtBearer { client_id, username, private_key, audience } => Flow::JwtBearer {
                client_id,
                username,
                private_key_pem: private_key.into(),
                audience,
            },
        };
        let expected = wire.expected.map(|org| OrgId::parse(&org)).transpose();
        Ok(Self {
            profile: wire.profile,
            credentials: Credentials { login_url: wire.login_url, flow },
            expected: expected.map_err(|error| error.to_string())?,
            mapping: wire.mapping,
        })
    }
}

/// A connected org and what Salesforce must be told.
#[derive(Debug)]
pub struct Connected {
    /// The org.
    pub org: Arc<Org>,
    /// The hook's secrets; told only here.
    pub hook: HookSecrets,
    /// What isn't as it should be, but keeps nothing from working.
    pub findings: Vec<Finding>,
}

/// Why an org was not connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Salesforce could not be asked, or refused.
    #[error("{}", told(.0))]
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
    #[error("the org is not ready:\n{}", list(.0))]
    NotReady(Vec<Finding>),
    /// Every fault of the mapping.
    #[error("the mapping can't be used:\n{}", faults(.0))]
    Mapping(Vec<MappingFault>),
    /// The org holds records under the names before.
    #[error(transparent)]
    Moved(#[from] Moved),
    /// The profile or the store.
    #[error(transparent)]
    Org(#[from] OrgError),
}

fn list(findings: &[Finding]) -> String {
    let blockers = findings.iter().filter(|finding| finding.severity == Severity::Blocker);
    let lines: Vec<String> =
        blockers.map(|finding| format!("- {} {}", finding.what, finding.fix)).collect();
    lines.join("\n")
}

fn faults(faults: &[MappingFault]) -> String {
    let lines: Vec<String> = faults.iter().map(|fault| format!("- {fault}")).collect();
    lines.join("\n")
}

impl Engine {
    /// Signs in to an org, checks that it has what Sloe needs, and connects it.
    ///
    /// # Errors
    /// [`ConnectError`]; then nothing is written.
    pub async fn connect_org(&self, connect: Connect) -> Result<Connected, ConnectError> {
        let mapping = connect.mapping.as_deref().map(Mapping::parse).transpose();
        let mapping = mapping.map_err(ConnectError::Mapping)?;
        let tally = Arc::new(Tally::default());
        let gate: Arc<dyn Gate> = Arc::<Tally>::clone(&tally);
        let options = Options { gate: Some(gate), ..Options::default() };
        let client = Client::new(connect.credentials.clone(), Mapping::default(), options)?;
        let found = client.identify().await?.org;
        let connected = self.connect_found(connect, mapping, client, found).await;
        // They were made, whatever came of them.
        budget::charge(self, found, &tally).await;
        connected
    }

    async fn connect_found(
        &self,
        connect: Connect,
        mapping: Option<Mapping>,
        client: Client,
        found: OrgId,
    ) -> Result<Connected, ConnectError> {
        if let Some(expected) = connect.expected
            && expected != found
        {
            return Err(ConnectError::OtherOrg { expected, found });
        }
        let before = self.registry().by_id(found);
        let profile = before.as_ref().map(|org| org.profile.clone()).unwrap_or_default();
        let profile = connect.profile.of(profile);
        let known = before.as_ref().and_then(|org| org.mapping.mapping.clone());
        if let (Some(new), Some(old), Some(org)) = (&mapping, &known, &before) {
            self.may_move(org, old, new).await?;
        }
        let wanted = mapping.clone().or(known).unwrap_or_default();
        let wanted = wanted.or_time_zone(&profile.time_zone);
        let findings = client.with_mapping(wanted)?.check().await?;
        if findings.iter().any(|finding| finding.severity == Severity::Blocker) {
            return Err(ConnectError::NotReady(findings));
        }
        // What is left of it from before goes first. Where another node deletes that, only it
        // knows when it is done.
        while self.registry().is_leaving(found) && self.nodes().holds(PLATFORM) {
            let gone = self.finish_removals().await;
            gone.map_err(|why| OrgError::Store(StoreError::Unavailable(why)))?;
        }
        let (org, hook) =
            self.registry().connect(&**self.store(), found, profile, connect.credentials)?;
        if before.is_none() {
            // It may have been removed in this process's time.
            self.desk().open(found);
            self.fold_orders(found).await.map_err(OrgError::from)?;
        }
        let org = match mapping.zip(connect.mapping) {
            Some((mapping, text)) => {
                self.keep_mapping(&org, mapping, text).await.map_err(OrgError::from)?
            }
            None => org,
        };
        Ok(Connected { org, hook, findings })
    }

    /// Lets the orders of an org that comes back be made of its journals again.
    async fn fold_orders(&self, org: OrgId) -> Result<(), StoreError> {
        let journals = stored(self, Store::journals).await?;
        let events = journals.into_iter().map(|(event, _)| event).filter(|e| e.org == org);
        let reorder = &self.news().reorder;
        reorder.lock().unwrap_or_else(PoisonError::into_inner).extend(events);
        self.news().orders.notify_one();
        Ok(())
    }
}
