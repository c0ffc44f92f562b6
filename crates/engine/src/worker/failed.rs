//! Why nothing came of reading an org, and what that means for its staff and
//! for the next try.

use std::time::Duration;

use sloe_core::ids::OrgId;
use sloe_salesforce::{Advice, Error};
use sloe_store::api::StoreError;

use crate::refresh::RefreshError;

/// The longest pause after a failure that passes by itself.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// The pause after a failure that a person must mend.
pub(super) const MENDING: Duration = Duration::from_secs(5 * 60);

/// What to do when an org shows none of its events.
const ALL_GONE_REMEDY: &str = "Check in Salesforce that the integration user still has its \
    permission set and sees the events. If they are really to go, unpublish them there, or, once \
    they are deleted, refresh each by itself: sloe event refresh --org ORG EVENT.";

/// Why nothing came of a refresh, or of a look for changes.
pub(super) enum Failed {
    Org(Error),
    Here(RefreshError),
    Store(StoreError),
    /// Not one of so many published events is in the org any more.
    AllGone(usize),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Org(error)
    }
}

/// A failure in words.
pub(super) struct Told {
    pub(super) advice: Advice,
    /// What happened, for the org's staff.
    pub(super) means: String,
    /// What to do.
    pub(super) remedy: String,
}

impl Failed {
    /// Logs it and says what it means; `what` came to nothing, `of` names the
    /// event if it was about one.
    pub(super) fn tell(&self, org: OrgId, what: &str, of: Option<&str>) -> Told {
        match self {
            Self::Org(error) => {
                tracing::warn!(%org, event = of, %error, what, "the org could not be read");
                let (means, remedy) = (error.means(), error.remedy());
                Told { advice: error.advice(), means, remedy }
            }
            Self::Here(error) => {
                tracing::warn!(%org, event = of, %error, what, "what was read could not be written");
                let remedy = "Sloe tries again by itself.".to_owned();
                Told { advice: Advice::Retry, means: error.to_string(), remedy }
            }
            Self::Store(error) => {
                tracing::error!(%org, event = of, %error, what, "the store does not answer");
                let means = "Sloe's store does not answer.".to_owned();
                Told { advice: Advice::Retry, means, remedy: "Look at Sloe's log.".to_owned() }
            }
            Self::AllGone(events) => {
                tracing::error!(%org, events, "the org shows none of its events any more; they stay as they are");
                let (means, remedy) = (all_gone(*events), ALL_GONE_REMEDY.to_owned());
                Told { advice: Advice::Stop, means, remedy }
            }
        }
    }
}

/// How long to leave an org alone after a failure.
pub(super) fn pause_after(advice: Advice, failures: u32) -> Duration {
    match advice {
        Advice::Retry => LONGEST.min(Duration::from_secs(1 << failures.min(6))),
        Advice::Wait | Advice::Reauthenticate => LONGEST,
        Advice::Stop | Advice::DeadLetter => MENDING,
    }
}

fn all_gone(events: usize) -> String {
    format!(
        "Salesforce shows none of the org's {events} published events any more. They stay as they \
         were, because a lost permission looks the same."
    )
}
