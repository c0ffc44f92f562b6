//! What can be asked about licenses: who may be live and why, and how well
//! the source org is read.

use std::sync::Arc;

use sloe_core::ids::OrgId;
use sloe_core::license::{Age, Answer, License};
use sloe_core::time::Timestamp;

use crate::engine::Engine;
use crate::tenant::{Org, OrgError};

/// For how long the source org may be dark before it is an alarm.
pub const ALARM_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// An org that a license speaks of, or that is connected, or both.
#[derive(Clone, Debug)]
pub struct Licensed {
    /// Which.
    pub org: OrgId,
    /// Where it is connected, if it is.
    pub connected: Option<Arc<Org>>,
    /// Its rows.
    pub rows: Vec<License>,
    /// May it be live?
    pub answer: Answer,
}

impl Licensed {
    /// The whole answer in words. Without a row it says which subscriber's
    /// was looked for.
    #[must_use]
    pub fn why(&self) -> String {
        let looked = match self.answer.by {
            Some(_) => String::new(),
            None => format!(
                " Looked for were rows of subscriber {}, which is {} in 18 characters; a sandbox is \
                 an org of its own.",
                self.org.short(),
                self.org
            ),
        };
        format!("{}{looked}", self.answer)
    }
}

/// How the source org of licenses is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStanding {
    /// Its address and the package; `None` when licenses are recorded by hand.
    pub source: Option<(String, String)>,
    /// When it was read last.
    pub read_at: Option<Timestamp>,
    /// When all rows were compared last.
    pub compared_at: Option<Timestamp>,
    /// For how long nothing was heard of it; 0 without one.
    pub dark_millis: i64,
    /// Rows that are known.
    pub rows: usize,
    /// Why the last read failed.
    pub fault: Option<String>,
    /// Rows that can't be understood.
    pub unreadable: Vec<String>,
}

impl SourceStanding {
    /// Whether nothing was heard of it for so long that somebody must look.
    #[must_use]
    pub fn alarm(&self) -> bool {
        self.dark_millis >= ALARM_MILLIS
    }

    /// What is wrong with it, for whoever runs Sloe.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let Some((url, _)) = &self.source else { return Vec::new() };
        let mut troubles = Vec::new();
        if self.fault.is_some() || self.alarm() {
            let since = match self.read_at {
                Some(_) => format!("was last read {}", Age(self.dark_millis).ago()),
                None => format!("was never read in {}", Age(self.dark_millis)),
            };
            let why = self.fault.as_deref().unwrap_or("no node reads it");
            troubles.push(format!(
                "The source org of licenses, {url}, {since}: {why} What is known stands; a trial that \
                 ends meanwhile has 7 days' grace."
            ));
        }
        if !self.unreadable.is_empty() {
            troubles.push(format!(
                "License rows that can't be understood keep their last known state: {}.",
                self.unreadable.join("; ")
            ));
        }
        troubles
    }
}

impl Engine {
    /// May an org be live, and why.
    #[must_use]
    pub fn licensed_org(&self, org: OrgId) -> Licensed {
        let licenses = &self.registry().licenses;
        Licensed {
            org,
            connected: self.registry().by_id(org),
            rows: licenses.of(org),
            answer: licenses.answer(org, self.now()),
        }
    }

    /// The same for every org that is connected or has a row: connected ones
    /// by slug, then the others by id.
    #[must_use]
    pub fn licensed_orgs(&self) -> Vec<Licensed> {
        let connected = self.registry().all();
        let mut others: Vec<OrgId> = self.registry().licenses.rows().keys().copied().collect();
        others.retain(|org| self.registry().by_id(*org).is_none());
        others.sort();
        let ids = connected.iter().map(|org| org.id()).chain(others);
        ids.map(|org| self.licensed_org(org)).collect()
    }

    /// How the source org of licenses is read.
    #[must_use]
    pub fn license_source(&self) -> SourceStanding {
        let (state, _) = self.registry().licenses.source();
        let rows = self.registry().licenses.rows().values().map(|held| held.rows.len()).sum();
        let since = state.read_at.unwrap_or(state.since);
        let dark = self.now().millis_since(Timestamp(since)).max(0);
        SourceStanding {
            dark_millis: if state.source.is_some() { dark } else { 0 },
            source: state.source.map(|source| (source.url, source.package)),
            read_at: state.read_at.map(Timestamp),
            compared_at: state.compared_at.map(Timestamp),
            rows,
            fault: state.fault,
            unreadable: state.unreadable,
        }
    }

    /// Records an org's licenses by hand, in place of what is known.
    ///
    /// # Errors
    /// [`OrgError::Sourced`] while a source org is configured; the store does
    /// not take it. Then nothing changed.
    pub fn set_licenses(&self, org: OrgId, licenses: &[License]) -> Result<(), OrgError> {
        let (state, _) = self.registry().licenses.source();
        let configured = self.workers().license_source().map(|org| &org.credentials.login_url);
        if let Some(url) = configured.or(state.source.as_ref().map(|source| &source.url)) {
            return Err(OrgError::Sourced(url.clone()));
        }
        Ok(self.registry().licenses.replace(&**self.store(), org, licenses)?)
    }
}
