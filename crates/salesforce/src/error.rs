//! What can go wrong between Sloe and an org, what to do then, and how to say it.
//!
//! Two voices: [`std::fmt::Display`] is for logs and names codes and states
//! only; [`Error::means`] and [`Error::remedy`] are for the people who run the
//! org. What the org itself wrote may quote a registrant's data: it travels as
//! [`Private`], which never prints itself.

use std::fmt;
use std::time::Duration;

use sloe_core::ids::OrgId;
use sloe_core::time::Timestamp;

use crate::error::codes::facts;
use crate::limits::Exhausted;
use crate::row::{Rejection, RowOutcome};

pub mod codes;

/// Text that the org wrote, which may quote personal data. Shown to that
/// org's staff only; logs get its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Private(String);

impl Private {
    /// Takes `text` into custody, cut to a length that staff can still read.
    #[must_use]
    pub fn new(text: &str) -> Self {
        const KEPT_CHARS: usize = 2_000;
        Self(text.chars().take(KEPT_CHARS).collect())
    }

    /// The text, for the eyes of the org's own staff.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes from the org>", self.0.len())
    }
}

/// A code that came from outside, as logs and the store may have it in the
/// clear. What no code can be is not repeated, as it may quote a person:
/// `unreadable` stands for it.
pub(crate) fn plain_code(text: &str) -> String {
    const LONGEST: usize = 80;
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let plain = (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_plain);
    if plain { text.to_owned() } else { "unreadable".to_owned() }
}

/// What to do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// The same again, after a short and growing pause.
    Retry,
    /// An allowance is used up: nothing more to this org for minutes, then the same again.
    Wait,
    /// The session is gone. The client has already logged in again once when a caller sees this.
    Reauthenticate,
    /// This row will never be taken as it is: set it aside for a person.
    DeadLetter,
    /// Nothing will be taken until a person has changed something in the org or in Sloe's settings.
    Stop,
}

/// Who can put it right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Whoever keeps the events in Salesforce.
    Organizer,
    /// The administrator of the Salesforce org.
    Admin,
    /// Whoever runs Sloe.
    Operator,
    /// Nobody has to: it passes.
    Nobody,
}

impl Owner {
    /// In one word: `organizer`, `admin`, `operator` or `nobody`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Organizer => "organizer",
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Nobody => "nobody",
        }
    }
}

/// What to do when only the org's budget keeps a call.
pub const BUDGET_REMEDY: &str = "Nothing to do: registrations go on, nothing is lost, and Sloe \
    writes to Salesforce again by itself. If it lasts, see which integration uses the org's API calls.";

/// Why a call to the org came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The org answered with an error of its own kind.
    #[error("{call}: the org refused with {code} (HTTP {status})")]
    Refused {
        /// What Sloe was doing.
        call: &'static str,
        /// HTTP status, 0 inside a Bulk job.
        status: u16,
        /// Salesforce's error code.
        code: String,
        /// Salesforce's own words.
        message: Private,
    },
    /// The org, or something before it, answered with an HTTP error and no code.
    #[error("{call}: HTTP {status} without an error code")]
    Status {
        /// What Sloe was doing.
        call: &'static str,
        /// HTTP status.
        status: u16,
    },
    /// No connection, or it broke off.
    #[error("{call}: the org cannot be reached: {reason}")]
    Unreachable {
        /// What Sloe was doing.
        call: &'static str,
        /// What the network said; holds no address.
        reason: String,
    },
    /// No answer in time. Whether the call took effect is unknown.
    #[error("{call}: no answer within {after:?}")]
    Deadline {
        /// What Sloe was doing.
        call: &'static str,
        /// How long it waited.
        after: Duration,
    },
    /// The call was not made: others took so long that it had no turn.
    #[error("{call}: not sent, it had no turn beside other calls within {after:?}")]
    NoTurn {
        /// What Sloe was about to do.
        call: &'static str,
        /// How long it waited.
        after: Duration,
    },
    /// An answer that isn't what the API promises.
    #[error("{call}: the answer is not understood: {what}")]
    Malformed {
        /// What Sloe was doing.
        call: &'static str,
        /// What is wrong with it; holds nothing of its content.
        what: String,
    },
    /// The login was refused.
    #[error("login: refused with {code} (HTTP {status})")]
    Login {
        /// HTTP status.
        status: u16,
        /// The OAuth error code (RFC 6749, section 5.2, and Salesforce's own).
        code: String,
        /// The org's own words.
        description: Private,
    },
    /// The credentials lead to another org than they used to.
    #[error("login: leads to org {found} instead of {expected}")]
    WrongOrg {
        /// The org that these credentials belong to.
        expected: OrgId,
        /// The org that answered.
        found: OrgId,
    },
    /// The org was not called: Sloe's share of its allowance does not permit it now.
    #[error("{call}: put off until {until} at the latest, to keep to the org's budget")]
    Budget {
        /// What Sloe was about to do.
        call: &'static str,
        /// When it may be tried again at the latest.
        until: Timestamp,
        /// Whether the share is used up; otherwise this is only a pause.
        closed: bool,
    },
    /// Settings that cannot work.
    #[error("settings: {0}")]
    Settings(String),
}

impl Error {
    /// Whether a whole Bulk job was refused or failed, so that no row is named.
    #[must_use]
    pub fn is_of_a_job(&self) -> bool {
        matches!(self, Self::Refused { status: 0, .. })
    }

    /// Whether the org takes no more Bulk jobs today. It may still take rows by other calls.
    #[must_use]
    pub fn is_out_of_jobs(&self) -> bool {
        self.code().is_some_and(|code| code.eq_ignore_ascii_case("ExceededQuota"))
    }

    /// What to do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            // Room comes back in seconds, unlike a day's allowance.
            _ if self.exhausted() == Some(Exhausted::AtOnce) => Advice::Retry,
            Self::Refused { code, status, .. } => {
                facts(code).map_or_else(|| for_status(*status), |facts| facts.call)
            }
            Self::Status { status, .. } => for_status(*status),
            Self::Unreachable { .. }
            | Self::Deadline { .. }
            | Self::NoTurn { .. }
            | Self::Malformed { .. } => Advice::Retry,
            Self::Login { description, .. } if is_login_rate(description) => Advice::Wait,
            Self::Login { code, status, .. } => match code.as_str() {
                "rate_limit_exceeded" => Advice::Wait,
                "temporarily_unavailable" | "server_error" | "unknown_error" => Advice::Retry,
                _ if *status >= 500 => Advice::Retry,
                _ => Advice::Stop,
            },
            Self::Budget { .. } => Advice::Wait,
            Self::WrongOrg { .. } | Self::Settings(_) => Advice::Stop,
        }
    }

    /// Which of the org's allowances is used up, if that is why.
    pub(crate) fn exhausted(&self) -> Option<Exhausted> {
        match self {
            Self::Refused { code, message, .. } => Exhausted::read(code, message.reveal()),
            _ => None,
        }
    }

    /// Whether a call that came to nothing here may have taken effect in the org
    /// all the same. A refusal in the org's own words took none.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Deadline { .. } | Self::Malformed { .. } => true,
            // From something between; 503 comes before anything is done.
            Self::Status { status, .. } => matches!(status, 408 | 500 | 502 | 504),
            _ => false,
        }
    }

    /// Whether one row of a call may be why the whole call was refused: a
    /// trigger that breaks on it, or a value that the org can't even read.
    pub(crate) fn may_be_one_row(&self) -> bool {
        match self {
            Self::Refused { code, status: 400 | 413 | 500, .. } => facts(code)
                .is_none_or(|known| known.owner == Owner::Operator || code == "UNKNOWN_EXCEPTION"),
            Self::Status { status: 400 | 413 | 500, .. } => true,
            _ => false,
        }
    }

    /// What a refusal comes to for the one row that it was for; `others` tells whether the org took
    /// any others meanwhile.
    pub(crate) fn of_one_row(self, others: bool) -> RowOutcome {
        let retry = matches!(self.advice(), Advice::Retry | Advice::Wait);
        if self.may_have_arrived() {
            return RowOutcome::retry(RowOutcome::NOT_REPORTED);
        }
        match self {
            Self::Refused { .. } if retry && !others => RowOutcome::retry(RowOutcome::ALONE),
            Self::Refused { code, .. } if retry => RowOutcome::Retry { code },
            Self::Refused { code, message, .. } => {
                RowOutcome::Rejected(Rejection { code, fields: Vec::new(), message })
            }
            _ => RowOutcome::retry("refused-alone"),
        }
    }

    /// Salesforce's code, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } | Self::Login { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The org's own words, for its staff only.
    #[must_use]
    pub fn message(&self) -> Option<&Private> {
        match self {
            Self::Refused { message, .. } => Some(message),
            Self::Login { description, .. } => Some(description),
            _ => None,
        }
    }

    /// What this means, in a sentence for the org's staff.
    #[must_use]
    pub fn means(&self) -> String {
        match self {
            _ if self.exhausted() == Some(Exhausted::AtOnce) => {
                "Too many long API calls run in the org at the same time, whoever's they are."
                    .to_owned()
            }
            Self::Refused { code, .. } => match facts(code) {
                Some(facts) => facts.means.to_owned(),
                None => format!("Salesforce refused with {code}."),
            },
            Self::Status { status, .. } => format!(
                "Salesforce, or a proxy before it, answered with HTTP status {status} and no reason."
            ),
            Self::Unreachable { .. } => "Salesforce can't be reached.".to_owned(),
            Self::Deadline { after, .. } => {
                format!("Salesforce gave no answer within {} seconds.", after.as_secs())
            }
            Self::NoTurn { after, .. } => format!(
                "Sloe's other calls to the org took so long that this one had no turn within {} \
                 seconds.",
                after.as_secs()
            ),
            Self::Malformed { .. } => "Salesforce's answer makes no sense.".to_owned(),
            Self::Login { status, .. } if self.advice() == Advice::Retry => {
                format!("Salesforce's login does not work at the moment (HTTP {status}).")
            }
            Self::Login { code, .. } => format!("Salesforce refuses Sloe's login ({code})."),
            Self::WrongOrg { expected, found } => format!(
                "The login leads to the org {found}, but this connection belongs to {expected}."
            ),
            Self::Budget { until, closed: true, .. } => format!(
                "No API calls of the org are left for Sloe; it looks again at {} at the latest.",
                until.to_words()
            ),
            Self::Budget { until, .. } => format!(
                "Few of the org's API calls are left for Sloe; it goes slowly, next at {}.",
                until.to_words()
            ),
            Self::Settings(what) => format!("The connection's settings can't work: {what}."),
        }
    }

    /// What to do about it, in a sentence for the org's staff.
    #[must_use]
    pub fn remedy(&self) -> String {
        let text = match self {
            _ if self.exhausted() == Some(Exhausted::AtOnce) => {
                "Nothing to do: Sloe makes fewer calls at once and tries again by itself. If it \
                 lasts, look in Setup, API Usage, which integration makes long calls."
            }
            Self::Refused { code, .. } => match facts(code) {
                Some(facts) => facts.fix,
                None => "Look the code up in Salesforce's documentation, or ask Sloe's operator.",
            },
            Self::Status { .. } | Self::Unreachable { .. } | Self::Deadline { .. } => {
                "Nothing to do: Sloe tries again by itself and loses nothing meanwhile. If it \
                 lasts, look at status.salesforce.com and at the network between."
            }
            Self::NoTurn { .. } => {
                "Nothing to do: Sloe tries again by itself. If it lasts, look at \
                 status.salesforce.com, or let Sloe make more calls at once (sloe org budget \
                 --at-once)."
            }
            Self::Malformed { .. } => {
                "Check that the login address is the org's My Domain and that no proxy changes \
                 its answers. Sloe tries again by itself."
            }
            Self::Budget { .. } => BUDGET_REMEDY,
            Self::Login { description, .. } if is_login_rate(description) => {
                login_remedy("rate_limit_exceeded")
            }
            Self::Login { .. } if self.advice() == Advice::Retry => {
                "Nothing to do: Sloe tries again by itself."
            }
            Self::Login { code, .. } => login_remedy(code),
            Self::WrongOrg { .. } => {
                "Connect the other org as a new one (sloe org add), or correct the login address."
            }
            Self::Settings(_) => "Correct them and connect the org again (sloe org add).",
        };
        text.to_owned()
    }

    /// Who can put it right.
    #[must_use]
    pub fn owner(&self) -> Owner {
        match self {
            Self::Refused { code, .. } => facts(code).map_or(Owner::Operator, |facts| facts.owner),
            Self::Login { .. } if self.advice() == Advice::Stop => Owner::Admin,
            Self::WrongOrg { .. } | Self::Settings(_) => Owner::Operator,
            _ => Owner::Nobody,
        }
    }
}

/// What an HTTP status alone advises (REST API Developer Guide, "Status Codes
/// and Error Responses"; 420 and 502 come from Salesforce's edge routing).
fn for_status(status: u16) -> Advice {
    match status {
        401 => Advice::Reauthenticate,
        429 => Advice::Wait,
        408 | 409 | 412 | 420 | 500..=599 => Advice::Retry,
        _ => Advice::Stop,
    }
}

/// Whether the user has signed in too often this hour, which Salesforce calls an invalid grant.
fn is_login_rate(description: &Private) -> bool {
    description.reveal().eq_ignore_ascii_case("login rate exceeded")
}

fn login_remedy(code: &str) -> &'static str {
    match code {
        "invalid_grant" => {
            "Check that the user exists and is active, that the app is approved in advance for \
             that user, that the certificate belongs to the app, and that the clocks agree."
        }
        "invalid_client" | "invalid_client_id" | "invalid_client_credentials" => {
            "Check the client id and the secret or key of the connected app; after the app was \
             made it can take ten minutes until they work."
        }
        "inactive_user" => "Activate the integration user in Salesforce.",
        "inactive_org" => "The org is locked or expired: talk to Salesforce.",
        "invalid_app_access" => "Assign the connected app to the integration user.",
        "unsupported_grant_type" | "invalid_request" => {
            "Use the org's My Domain address as login address and allow this OAuth flow in the \
             connected app."
        }
        "rate_limit_exceeded" => "Nothing to do: Sloe tries again later.",
        _ => "Check the connected app, its OAuth policies and the integration user.",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn refused(status: u16, code: &str) -> Error {
        let message = Private::new("jane@example.com is taken");
        Error::Refused { call: "query", status, code: code.into(), message }
    }

    #[test]
    fn a_used_up_allowance_means_waiting_and_a_lost_session_a_new_login() {
        assert_eq!(refused(403, "REQUEST_LIMIT_EXCEEDED").advice(), Advice::Wait);
        assert_eq!(refused(401, "INVALID_SESSION_ID").advice(), Advice::Reauthenticate);
        assert_eq!(refused(400, "UNABLE_TO_LOCK_ROW").advice(), Advice::Retry);
        assert_eq!(refused(400, "INVALID_FIELD").advice(), Advice::Stop);
    }

    #[test]
    fn an_unknown_code_is_judged_by_its_http_status() {
        assert_eq!(refused(503, "SOMETHING_NEW").advice(), Advice::Retry);
        assert_eq!(refused(400, "SOMETHING_NEW").advice(), Advice::Stop);
    }

    #[test]
    fn neither_voice_for_the_log_repeats_what_the_org_wrote() {
        let error = refused(400, "DUPLICATE_VALUE");
        assert!(!format!("{error} {error:?}").contains("jane"), "{error:?}");
        assert!(error.message().is_some_and(|m| m.reveal().contains("jane")));
    }

    #[test]
    fn a_refused_login_stops_unless_the_login_server_is_at_fault() {
        let login = |status, code: &str| Error::Login {
            status,
            code: code.into(),
            description: Private::new(""),
        };
        assert_eq!(login(400, "invalid_grant").advice(), Advice::Stop);
        assert_eq!(login(400, "rate_limit_exceeded").advice(), Advice::Wait);
        let away = login(503, "unreadable");
        assert_eq!((away.advice(), away.owner()), (Advice::Retry, Owner::Nobody));
        assert!(away.remedy().starts_with("Nothing to do"), "{}", away.remedy());
        assert!(!away.means().contains("unreadable"), "{}", away.means());
        assert_eq!(login(400, "invalid_grant").owner(), Owner::Admin);
    }

    #[test]
    fn a_user_who_signed_in_too_often_is_waited_for() {
        let error = Error::Login {
            status: 400,
            code: "invalid_grant".into(),
            description: Private::new("login rate exceeded"),
        };
        assert_eq!((error.advice(), error.owner()), (Advice::Wait, Owner::Nobody));
    }
}
