//! Change events: whether an org tells by itself what changed of its events,
//! items and sessions, and how that goes. Off until somebody switches it on
//! for the org; Sloe looks for changes by itself in any case, only more rarely
//! while change events are in order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloe_core::ids::OrgId;
use sloe_core::time::Timestamp;
use sloe_store::api::{StoreError, Write};
use sloe_store::key::Key;

use crate::engine::Engine;
use crate::worker::changes::file;

/// Whether this build can follow change events.
pub const SUPPORTED: bool = cfg!(feature = "pubsub");

/// What a build without the feature says.
pub const UNSUPPORTED: &str = "This build of Sloe can't follow change events: build it with \
    `--features full`. Meanwhile Sloe looks for changes by itself once a minute.";

/// Where an org's change events come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The Pub/Sub API's address.
    pub url: String,
}

impl Default for Source {
    fn default() -> Self {
        Self { url: sloe_salesforce::PUBSUB_URL.to_owned() }
    }
}

/// How an org's change events stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Where they come from; `None` while they are switched off.
    pub source: Option<Source>,
    /// By what is followed: `event`, `item`, `session`.
    pub parts: BTreeMap<&'static str, Part>,
    /// When the org last told of a change.
    pub last: Option<Timestamp>,
    /// Changes told since the start.
    pub told: u64,
    /// Those of them that were Sloe's own, or of nothing that the public sees.
    pub passed_over: u64,
}

/// How the changes of one object stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Being subscribed to.
    #[default]
    Connecting,
    /// Followed since then.
    Healthy(Timestamp),
    /// Not followed; in words for the org's staff.
    Down {
        /// What happened.
        means: String,
        /// What to do.
        remedy: String,
        /// Whether it passes by itself.
        passes: bool,
        /// Since when.
        since: Timestamp,
        /// When Sloe tries again.
        again: Timestamp,
    },
}

impl Changes {
    /// Whether every change is told, so that it is enough to look for them rarely.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.source.is_some()
            && !self.parts.is_empty()
            && self.parts.values().all(|part| matches!(part, Part::Healthy(_)))
    }

    /// What is wrong and what to do, for the org's staff; `None` if nothing is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.source.as_ref()?;
        if !SUPPORTED {
            return Some(UNSUPPORTED.to_owned());
        }
        self.down().map(|(means, remedy, _)| format!("{means} {remedy}"))
    }

    /// What happened to the first part that is not followed, what to do, and
    /// whether it passes by itself.
    pub(crate) fn down(&self) -> Option<(&str, &str, bool)> {
        self.parts.values().find_map(|part| match part {
            Part::Down { means, remedy, passes, .. } => {
                Some((means.as_str(), remedy.as_str(), *passes))
            }
            Part::Connecting | Part::Healthy(_) => None,
        })
    }
}

/// Why change events were not switched.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// Sloe serves no such org.
    #[error("the org is not connected")]
    UnknownOrg,
    /// This build can't.
    #[error("{UNSUPPORTED}")]
    Unsupported,
    /// The address can't be one.
    #[error("{0}")]
    Source(String),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Switches an org's change events on, from `source`, or off. Survives
    /// restarts, and takes effect at once.
    ///
    /// # Errors
    /// [`ChangesError`]; then nothing changed.
    pub async fn set_change_events(
        &self,
        org: OrgId,
        source: Option<Source>,
    ) -> Result<(), ChangesError> {
        let org = self.registry().by_id(org).ok_or(ChangesError::UnknownOrg)?;
        if let Some(source) = &source {
            if !SUPPORTED {
                return Err(ChangesError::Unsupported);
            }
            check(source)?;
        }
        let key = Key::change_events(org.scope, file::SWITCH);
        crate::worker::stored(self, move |store| {
            let version = store.get(&key)?.map_or(1, |document| document.version + 1);
            let body = Some(file::switch(source.as_ref()));
            store.put(&[Write { key, version, body }])
        })
        .await?;
        crate::worker::changes::wake(self, org.id());
        Ok(())
    }

    /// How an org's change events stand; for a store at rest, whether they are on.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn changes(&self, org: OrgId) -> Result<Changes, ChangesError> {
        let org = self.registry().by_id(org).ok_or(ChangesError::UnknownOrg)?;
        let source = crate::worker::changes::source(self, &org).await?;
        self.recall_standing(org.id()).await;
        let known = match self.workers().known(org.id()) {
            Some(work) => Some(work.changes.state()),
            None => self.workers().standings.of(org.id()).map(|told| told.changes.clone()),
        };
        Ok(Changes { source, ..known.unwrap_or_default() })
    }
}

fn check(source: &Source) -> Result<(), ChangesError> {
    let wrong = |what: &str| Err(ChangesError::Source(format!("the Pub/Sub API's address {what}")));
    let Some((scheme, rest)) = source.url.split_once("://") else { return wrong("is not a URL") };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    match scheme {
        _ if host.is_empty() || host.contains('@') => wrong("names no host"),
        "https" => Ok(()),
        "http" if matches!(host, "127.0.0.1" | "localhost" | "[::1]") => Ok(()),
        _ => wrong("must begin with https://: the session is sent there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_sent_over_https_or_to_this_machine_only() {
        let check = |url: &str| check(&Source { url: url.to_owned() });
        assert!(check(&Source::default().url).is_ok());
        assert!(check("http://127.0.0.1:7443").is_ok());
        for bad in ["http://pubsub.example", "pubsub.example", "https://", "https://u@x", "ftp://x"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn all_parts_must_be_followed() {
        let healthy = Part::Healthy(Timestamp(1));
        let mut changes = Changes { source: Some(Source::default()), ..Changes::default() };
        assert!(!changes.healthy(), "nothing is followed yet");
        changes.parts.insert("event", healthy.clone());
        assert!(changes.healthy());
        changes.parts.insert("item", Part::Connecting);
        assert!(!changes.healthy());
        changes.parts.insert("item", healthy);
        changes.source = None;
        assert!(!changes.healthy(), "they are switched off");
    }
}
