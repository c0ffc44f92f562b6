//! Why one org's task stops short, and what its staff are told of it.

use sloe_core::ids::OrgId;
use sloe_core::time::Timestamp;
use sloe_salesforce::Error;
use sloe_store::api::StoreError;

use crate::refresh::RefreshError;
use crate::sync::SyncFault;

/// Why an org's task stops short. What was done before is written down.
#[derive(Debug)]
pub(super) enum Halt {
    Org(Error),
    Store(StoreError),
    Ledger(RefreshError),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Org(error)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<RefreshError> for Halt {
    fn from(error: RefreshError) -> Self {
        Self::Ledger(error)
    }
}

impl Halt {
    /// Says so in the log, and what it means to the org's staff.
    pub(super) fn tell(&self, org: OrgId, at: Timestamp, task: &'static str) -> SyncFault {
        let (means, remedy) = match self {
            Self::Org(error) => {
                if matches!(error, Error::Budget { .. }) {
                    tracing::info!(%org, task, %error, "it waits for the org");
                } else {
                    tracing::warn!(%org, task, %error, "it waits for the org");
                }
                return of_org(at, error);
            }
            Self::Store(error) => {
                tracing::error!(%org, task, %error, "it can't use the store");
                ("Sloe's store does not answer.".to_owned(), "Look at Sloe's log.")
            }
            Self::Ledger(error) => {
                tracing::warn!(%org, task, %error, "it waits for a ledger");
                (error.to_string(), "Sloe tries again by itself.")
            }
        };
        SyncFault { at, means, remedy: remedy.to_owned() }
    }
}

/// An org's error for its staff.
pub(super) fn of_org(at: Timestamp, error: &Error) -> SyncFault {
    SyncFault { at, means: error.means(), remedy: error.remedy() }
}
