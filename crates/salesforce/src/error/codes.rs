//! Salesforce's error codes: what each advises for a whole call and for a
//! row, what it means, what helps and who can do it.
//!
//! Sources: REST API Developer Guide ("Status Codes and Error Responses"),
//! SOAP API guide ("`StatusCode`"), Bulk API 2.0 guide ("Errors"), and messages
//! that public clients report.

use super::{Advice, Owner};

/// What is known about one code.
pub struct CodeFacts {
    /// The code as Salesforce writes it.
    pub code: &'static str,
    /// What to do when a whole call is refused with it.
    pub call: Advice,
    /// What to do when one row is refused with it; never
    /// [`Advice::Reauthenticate`] or [`Advice::Stop`].
    pub row: Advice,
    /// Who can put it right.
    pub owner: Owner,
    /// What it means, for the org's staff.
    pub means: &'static str,
    /// What helps, for the org's staff.
    pub fix: &'static str,
}

/// The facts about `code`, if it is a known one.
#[must_use]
pub fn facts(code: &str) -> Option<&'static CodeFacts> {
    CODES.iter().find(|facts| facts.code == code)
}

const fn known(
    code: &'static str,
    (call, row, owner): (Advice, Advice, Owner),
    means: &'static str,
    fix: &'static str,
) -> CodeFacts {
    CodeFacts { code, call, row, owner, means, fix }
}

/// Passes by itself.
const PASSES: (Advice, Advice, Owner) = (Advice::Retry, Advice::Retry, Owner::Nobody);
/// An allowance of the org is used up.
const USED_UP: (Advice, Advice, Owner) = (Advice::Wait, Advice::Retry, Owner::Admin);
/// The org doesn't take this row.
const ROW: (Advice, Advice, Owner) = (Advice::Stop, Advice::DeadLetter, Owner::Admin);
/// The org doesn't take this row, and whoever keeps its events can tell why.
const VALUE: (Advice, Advice, Owner) = (Advice::Stop, Advice::DeadLetter, Owner::Organizer);
/// The org and the mapping, or the integration user's rights, don't fit.
const SETUP: (Advice, Advice, Owner) = (Advice::Stop, Advice::DeadLetter, Owner::Admin);
/// Sloe asked for something impossible.
const OURS: (Advice, Advice, Owner) = (Advice::Stop, Advice::DeadLetter, Owner::Operator);

const AGAIN: &str = "Nothing to do: Sloe tries again by itself.";
const CHECK: &str = "Run sloe org check: it names what the org and Sloe's mapping disagree on.";
const RIGHTS: &str = "Assign the permission set Sloe Integration to the integration user, and check the app's policies.";
const OUR_FAULT: &str = "Tell Sloe's operator: this is a fault of Sloe.";
const CORRECT: &str = "Correct the value or relax the rule in Salesforce, then send the row again from the dead letters.";

const NO_JOBS: &str = "The org's daily allowance of Bulk jobs is used up.";
const JOBS: &str = "Nothing is lost: Sloe sends fewer rows at a time until Salesforce allows jobs again. If it happens often, find out which integration makes the jobs (Setup, Bulk Data Load Jobs).";

static CODES: &[CodeFacts] = &[
    known(
        "REQUEST_LIMIT_EXCEEDED",
        USED_UP,
        "The org's allowance of API calls is used up.",
        "Nothing is lost: Sloe sends on when Salesforce allows it. If it happens often, find out which app uses the calls (Setup, Company Information) or buy more.",
    ),
    known(
        "LIMIT_EXCEEDED",
        USED_UP,
        "One of the org's daily allowances is used up.",
        "Nothing is lost: Sloe sends on when Salesforce allows it.",
    ),
    known(
        "STORAGE_LIMIT_EXCEEDED",
        USED_UP,
        "The org's data storage is full.",
        "Free storage or buy more; Sloe keeps the rows and sends on.",
    ),
    known(
        "TXN_SECURITY_METERING_ERROR",
        (Advice::Stop, Advice::Retry, Owner::Admin),
        "A transaction security policy of the org blocks Sloe.",
        "Exempt the integration user from that policy (Setup, Transaction Security Policies).",
    ),
    known("SERVER_UNAVAILABLE", PASSES, "Salesforce is too busy or under maintenance.", AGAIN),
    known("UNKNOWN_EXCEPTION", PASSES, "Salesforce failed inside.", AGAIN),
    known("UNABLE_TO_LOCK_ROW", PASSES, "Another process is changing the same records.", AGAIN),
    known(
        "QUERY_TIMEOUT",
        PASSES,
        "The org took too long to answer a query.",
        "Sloe tries again by itself. If it lasts, ask Salesforce for an index on the queried lookup fields.",
    ),
    known("INVALID_QUERY_LOCATOR", PASSES, "A query's continuation has expired.", AGAIN),
    known(
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        PASSES,
        "Another row of the same call failed.",
        AGAIN,
    ),
    known("PROCESSING_HALTED", PASSES, "An earlier part of the same call failed.", AGAIN),
    known("JOB_NOT_COMPLETE", PASSES, "The job is still running.", AGAIN),
    known(
        "INVALID_SESSION_ID",
        (Advice::Reauthenticate, Advice::Retry, Owner::Nobody),
        "Sloe's session in the org has ended.",
        "Nothing to do: Sloe logs in again by itself.",
    ),
    known(
        "INVALID_AUTH_HEADER",
        (Advice::Reauthenticate, Advice::Retry, Owner::Nobody),
        "The org didn't accept Sloe's session.",
        "Nothing to do: Sloe logs in again by itself.",
    ),
    known(
        "API_DISABLED_FOR_ORG",
        SETUP,
        "The org's edition has no API access.",
        "Turn on API access, or talk to Salesforce.",
    ),
    known("API_CURRENTLY_DISABLED", PASSES, "The org's API is switched off for now.", AGAIN),
    known(
        "FUNCTIONALITY_NOT_ENABLED",
        SETUP,
        "A feature that Sloe needs is not enabled in the org.",
        RIGHTS,
    ),
    known("INSUFFICIENT_ACCESS", SETUP, "The integration user may not do this.", RIGHTS),
    known(
        "INSUFFICIENT_ACCESS_OR_READONLY",
        SETUP,
        "The integration user may not change this record.",
        RIGHTS,
    ),
    known(
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        SETUP,
        "The integration user may not see a record that this one refers to.",
        RIGHTS,
    ),
    known("FORBIDDEN", SETUP, "The integration user may not do this.", RIGHTS),
    known("MALFORMED_QUERY", SETUP, "The org doesn't understand Sloe's query.", CHECK),
    known(
        "INVALID_FIELD",
        SETUP,
        "A field that Sloe uses is missing in the org, or hidden from the integration user.",
        CHECK,
    ),
    known(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        SETUP,
        "A field that Sloe writes is read-only in the org.",
        CHECK,
    ),
    known(
        "INVALID_TYPE",
        SETUP,
        "An object that Sloe uses is missing in the org, or hidden from the integration user.",
        CHECK,
    ),
    known("INVALIDENTITY", SETUP, "An object that Sloe uses is not open to the Bulk API.", CHECK),
    known("InvalidBatch", SETUP, "The columns that Sloe wrote don't fit the org's fields.", CHECK),
    known("NOT_FOUND", SETUP, "Something that Sloe asked for isn't there.", CHECK),
    known("METHOD_NOT_ALLOWED", OURS, "The org doesn't offer a call that Sloe made.", CHECK),
    known(
        "UNSUPPORTED_API_VERSION",
        OURS,
        "The org no longer offers the API version that Sloe speaks.",
        "Update Sloe.",
    ),
    known(
        "EXCEEDED_MAX_SIZE_REQUEST",
        OURS,
        "Sloe sent more in one call than Salesforce takes.",
        OUR_FAULT,
    ),
    known(
        "EXCEEDED_ID_LIMIT",
        OURS,
        "Sloe asked for more in one call than Salesforce counts.",
        "An event can have at most 2,000 items and 2,000 sessions.",
    ),
    known("JSON_PARSER_ERROR", OURS, "Salesforce couldn't read what Sloe sent.", OUR_FAULT),
    known("MALFORMED_ID", OURS, "An id that Sloe sent is not one of this org.", OUR_FAULT),
    known(
        "DUPLICATE_VALUE",
        VALUE,
        "Another record already has a value that must be unique.",
        "Merge or correct the other record, then send the row again from the dead letters.",
    ),
    known(
        "DUPLICATES_DETECTED",
        ROW,
        "A duplicate rule of the org refuses the record.",
        "Let the rule allow or only report duplicates for the integration user, then send the row again from the dead letters.",
    ),
    known(
        "REQUIRED_FIELD_MISSING",
        ROW,
        "The org requires a field that Sloe doesn't fill.",
        "Make the field optional or give it a default in Salesforce, then send the row again from the dead letters.",
    ),
    known(
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        ROW,
        "A validation rule of the org refuses the record.",
        CORRECT,
    ),
    known("FIELD_INTEGRITY_EXCEPTION", ROW, "A value doesn't fit the field's own rules.", CORRECT),
    known(
        "FIELD_FILTER_VALIDATION_EXCEPTION",
        ROW,
        "A lookup filter of the org refuses the record.",
        CORRECT,
    ),
    known(
        "STRING_TOO_LONG",
        ROW,
        "A text is longer than the field in Salesforce.",
        "Lengthen the field in Salesforce or shorten the text, then send the row again from the dead letters.",
    ),
    known(
        "NUMBER_OUTSIDE_VALID_RANGE",
        ROW,
        "A number doesn't fit into the field in Salesforce.",
        CORRECT,
    ),
    known("INVALID_EMAIL_ADDRESS", VALUE, "Salesforce doesn't take this e-mail address.", CORRECT),
    known(
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        ROW,
        "A picklist in Salesforce lacks the value.",
        "Add the value to the picklist, then send the row again from the dead letters.",
    ),
    known(
        "INVALID_CROSS_REFERENCE_KEY",
        VALUE,
        "A record that this one refers to doesn't exist any more.",
        "Restore the event, item or session in Salesforce, then send the row again from the dead letters.",
    ),
    known(
        "ENTITY_IS_DELETED",
        VALUE,
        "The record was deleted in Salesforce.",
        "Restore it from the recycle bin if it should live on.",
    ),
    known(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        ROW,
        "A trigger or flow of the org failed on the record.",
        "Correct the trigger or flow, then send the row again from the dead letters.",
    ),
    known(
        "CANNOT_EXECUTE_FLOW_TRIGGER",
        ROW,
        "A flow of the org failed on the record.",
        "Correct the flow, then send the row again from the dead letters.",
    ),
    known(
        "APEX_ERROR",
        ROW,
        "Apex code of the org failed on the record.",
        "Correct the Apex code, then send the row again from the dead letters.",
    ),
    known(
        "INACTIVE_OWNER_OR_USER",
        SETUP,
        "The user who should own the record is inactive.",
        "Activate the integration user, or change who owns new records.",
    ),
    known(
        "TOO_MANY_APEX_REQUESTS",
        PASSES,
        "Apex code of the org runs too often at the same time.",
        AGAIN,
    ),
    known(
        "DELETE_FAILED",
        ROW,
        "The org doesn't let the record be deleted.",
        "Find out in Salesforce what holds it, then send the row again from the dead letters.",
    ),
    // What the message of a Bulk job that failed begins with.
    known(
        "TooManyLockFailure",
        PASSES,
        "Other processes were changing the records that a Bulk job changes.",
        AGAIN,
    ),
    known("InternalServerError", PASSES, "Salesforce failed inside.", AGAIN),
    known("Timeout", PASSES, "The org took too long over a Bulk job.", AGAIN),
    known("ExceededQuota", USED_UP, NO_JOBS, JOBS),
    known("EXCEEDEDQUOTA", USED_UP, NO_JOBS, JOBS),
    known("INVALIDJOB", PASSES, "The Bulk job doesn't exist any more.", AGAIN),
    known("INVALIDJOBSTATE", PASSES, "The Bulk job is in another state than expected.", AGAIN),
    known("INVALIDBATCH", OURS, "The Bulk job's rows can't be read by the org.", CHECK),
    known(
        "FEATURENOTENABLED",
        SETUP,
        "The integration user may not use the Bulk API.",
        "Give it the permission API Enabled.",
    ),
    known("INVALID_OPERATION", OURS, "Sloe asked for what the org can't do.", CHECK),
    known(
        "UNSUPPORTED_MEDIA_TYPE",
        OURS,
        "The org doesn't take what Sloe sends in this form.",
        "Tell Sloe's operator: this is a fault of Sloe, or a proxy changes its calls.",
    ),
    known("INVALID_ID_FIELD", OURS, "Sloe named a record in a way the org doesn't take.", CHECK),
    known("MISSING_ARGUMENT", OURS, "Sloe left out the key of a record.", OUR_FAULT),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_once_and_speaks_in_sentences() {
        for (i, entry) in CODES.iter().enumerate() {
            assert!(!CODES.iter().skip(i + 1).any(|e| e.code == entry.code), "{}", entry.code);
            for text in [entry.means, entry.fix] {
                assert!(text.ends_with('.') && text.starts_with(char::is_uppercase), "{text}");
            }
        }
    }

    #[test]
    fn a_row_is_either_tried_again_or_set_aside() {
        for entry in CODES {
            assert!(matches!(entry.row, Advice::Retry | Advice::DeadLetter), "{}", entry.code);
        }
    }
}
