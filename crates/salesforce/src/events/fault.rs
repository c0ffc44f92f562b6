//! What can go wrong with a subscription, and what to do then.

use tonic::{Code, Status};

use crate::error::Error;

/// How Salesforce's codes begin.
const PREFIX: &str = "sfdc.platform.eventbus.grpc.";

/// What to do about a subscription that ended or never began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FeedAdvice {
    /// Subscribe again where it ended, after a short and growing pause.
    Retry,
    /// Changes are lost: subscribe from the earliest, and read the whole org.
    StartOver,
    /// The session is gone, also the one just got.
    Reauthenticate,
    /// The org has no place for another subscriber or no deliveries left: hours may pass.
    Wait,
    /// A person must change something in the org or in Sloe's settings.
    Stop,
}

/// Why there is no news.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FeedError {
    /// The Pub/Sub API refused or broke off.
    #[error("change events: {code:?}{}", .error_code.as_ref().map_or_else(String::new, |c| format!(" ({c})")))]
    Refused {
        /// gRPC's code.
        code: Code,
        /// Salesforce's code, without what they all begin with.
        error_code: Option<String>,
    },
    /// Nothing came for longer than the org promises.
    #[error("change events: no sign of life from the org")]
    Silent,
    /// The subscription ended without a word.
    #[error("change events: the org closed the subscription")]
    Closed,
    /// The login failed, or the settings can't work.
    #[error(transparent)]
    Org(#[from] Error),
}

impl FeedError {
    pub(super) fn of(status: &Status) -> Self {
        let told = status.metadata().get("error-code").and_then(|value| value.to_str().ok());
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let code = |text: &str| {
            text.strip_prefix(PREFIX).unwrap_or(text).chars().filter(plain).take(80).collect()
        };
        Self::Refused { code: status.code(), error_code: told.map(code) }
    }

    /// What to do.
    #[must_use]
    pub fn advice(&self) -> FeedAdvice {
        match self {
            Self::Silent | Self::Closed => FeedAdvice::Retry,
            Self::Org(error) => match error.advice() {
                crate::Advice::Stop | crate::Advice::DeadLetter => FeedAdvice::Stop,
                crate::Advice::Reauthenticate => FeedAdvice::Reauthenticate,
                crate::Advice::Wait => FeedAdvice::Wait,
                crate::Advice::Retry => FeedAdvice::Retry,
            },
            Self::Refused { code, error_code } => match error_code.as_deref() {
                Some("service.auth.error") => FeedAdvice::Reauthenticate,
                Some("concurrent.client.limit.exceeded" | "subscription.limit.exceeded") => {
                    FeedAdvice::Wait
                }
                Some(code) if code.starts_with("subscription.fetch.replayid.") => {
                    FeedAdvice::StartOver
                }
                Some("service.unavailable") => FeedAdvice::Retry,
                _ => for_code(*code),
            },
        }
    }

    /// What this means, in a sentence for the org's staff.
    #[must_use]
    pub fn means(&self) -> String {
        match self {
            Self::Org(error) => error.means(),
            Self::Silent => "Salesforce's change events fell silent.".to_owned(),
            Self::Closed => "Salesforce ended the subscription to change events.".to_owned(),
            Self::Refused { code, error_code } => match error_code.as_deref() {
                Some("subscription.limit.exceeded") => {
                    "The org's change events of the last 24 hours are used up.".to_owned()
                }
                Some("concurrent.client.limit.exceeded") => {
                    "The org has no place for another subscriber to change events.".to_owned()
                }
                Some(code) => format!("Salesforce refused change events with {code}."),
                None if *code == Code::Unavailable => {
                    "The Pub/Sub API, which tells of changes, does not answer.".to_owned()
                }
                None => format!("Salesforce refused change events ({code:?})."),
            },
        }
    }

    /// What to do about it, in a sentence for the org's staff.
    #[must_use]
    pub fn remedy(&self) -> String {
        let text = match (self, self.advice()) {
            (Self::Org(error), _) => return error.remedy(),
            (_, FeedAdvice::Wait) => {
                "Sloe looks for changes by itself meanwhile, and tries again. If it lasts, \
                 have fewer subscribers or buy the add-on for change events."
            }
            (_, FeedAdvice::Stop) => {
                "Check that Change Data Capture is on for Sloe's objects in the org's Setup and \
                 that the integration user may see all of their records, or switch change events \
                 off for this org: sloe org changes."
            }
            (Self::Refused { code: Code::Unavailable, error_code: None }, _) => {
                "Sloe tries again, and looks for changes by itself meanwhile. If it lasts, check \
                 the address and the network between: sloe org changes."
            }
            _ => "Nothing to do: Sloe subscribes again, and looks for changes by itself meanwhile.",
        };
        text.to_owned()
    }
}

fn for_code(code: Code) -> FeedAdvice {
    match code {
        Code::Unauthenticated => FeedAdvice::Reauthenticate,
        Code::ResourceExhausted => FeedAdvice::Wait,
        Code::InvalidArgument | Code::NotFound | Code::PermissionDenied | Code::Unimplemented => {
            FeedAdvice::Stop
        }
        _ => FeedAdvice::Retry,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn refused(code: Code, error_code: Option<&str>) -> FeedError {
        let mut status = Status::new(code, "jane@example.com");
        if let Some(text) = error_code {
            status.metadata_mut().insert("error-code", format!("{PREFIX}{text}").parse().unwrap());
        }
        FeedError::of(&status)
    }

    #[test]
    fn salesforces_code_decides_and_grpc_s_where_there_is_none() {
        let advice = |code, text| refused(code, text).advice();
        assert_eq!(
            advice(Code::Unavailable, Some("service.auth.error")),
            FeedAdvice::Reauthenticate
        );
        let lost = "subscription.fetch.replayid.validation.failed";
        assert_eq!(advice(Code::InvalidArgument, Some(lost)), FeedAdvice::StartOver);
        let full = "concurrent.client.limit.exceeded";
        assert_eq!(advice(Code::ResourceExhausted, Some(full)), FeedAdvice::Wait);
        assert_eq!(advice(Code::InvalidArgument, None), FeedAdvice::Stop);
        assert_eq!(advice(Code::Unavailable, None), FeedAdvice::Retry);
        assert_eq!(advice(Code::Internal, Some("something.new")), FeedAdvice::Retry);
    }

    #[test]
    fn an_address_where_nobody_answers_is_for_a_person_to_check_if_it_lasts() {
        let nobody = refused(Code::Unavailable, None);
        assert_eq!(nobody.advice(), FeedAdvice::Retry);
        let (means, remedy) = (nobody.means(), nobody.remedy());
        assert!(means.contains("does not answer") && remedy.contains("check the address"));
        let told = refused(Code::Unavailable, Some("service.unavailable"));
        assert!(told.means().contains("service.unavailable"), "{}", told.means());
        assert!(told.remedy().starts_with("Nothing to do"), "{}", told.remedy());
    }

    #[test]
    fn the_log_does_not_repeat_what_the_org_wrote() {
        let error = refused(Code::NotFound, Some("x"));
        assert!(!format!("{error} {error:?} {}", error.means()).contains("jane"), "{error:?}");
    }
}
