//! What an error of MongoDB means to the caller.

use mongodb::error::{
    Error, ErrorKind, RETRYABLE_WRITE_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

use super::setup::TOO_OLD;
use crate::api::StoreError;

/// The code of a unique index that has the value already.
pub(super) const DUPLICATE: i32 = 11_000;

/// Of a read, or of anything before the first write.
#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(super) fn explain(error: Error) -> StoreError {
    match error.kind.as_ref() {
        ErrorKind::Authentication { .. } => StoreError::Unusable(
            "MongoDB does not know the user or its password: look at the address".into(),
        ),
        // The driver's words may repeat a part of the password.
        ErrorKind::InvalidArgument { .. } => StoreError::Unusable(
            "the address of MongoDB can't be used: it is mongodb://USER:PASSWORD@HOST/DATABASE, \
             where / ? # [ ] @ : and % of a password are written %2F %3F %23 %5B %5D %40 %3A and %25"
                .into(),
        ),
        ErrorKind::ServerSelection { message, .. } if message.contains("reports wire version") => {
            StoreError::Unusable(TOO_OLD.into())
        }
        _ => StoreError::Unavailable(words(&error)),
    }
}

/// Of a write: where the answer is missing, nobody knows whether it was done.
#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(super) fn explain_write(error: Error) -> StoreError {
    if may_be_done(&error) { StoreError::OutcomeUnknown(words(&error)) } else { explain(error) }
}

/// Whether a write may have been done all the same.
pub(super) fn may_be_done(error: &Error) -> bool {
    if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) {
        return true;
    }
    match error.kind.as_ref() {
        // No server was there to be asked.
        ErrorKind::ServerSelection { .. } => error.contains_label(RETRYABLE_WRITE_ERROR),
        ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::Authentication { .. } => false,
        // It was done on one server; whether it stays is not said.
        ErrorKind::Write(WriteFailure::WriteConcernError(_)) => true,
        ErrorKind::Write(_) | ErrorKind::InvalidArgument { .. } => false,
        ErrorKind::Command(command) => {
            error.contains_label(RETRYABLE_WRITE_ERROR) || command.code == 50
        }
        _ => true,
    }
}

/// Whether a single write failed because of a unique index.
pub(super) fn is_duplicate(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.code == DUPLICATE,
        ErrorKind::InsertMany(many) => {
            many.write_errors.iter().flatten().any(|write| write.code == DUPLICATE)
        }
        _ => false,
    }
}

/// The driver's words hold no value of a document: what a duplicate was of is left out.
fn words(error: &Error) -> String {
    match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(write)) => {
            format!("MongoDB refused a write (code {})", write.code)
        }
        // What the driver knows of the servers is long, and says little to most.
        ErrorKind::ServerSelection { message, .. } => {
            let why = message.split_once("Kind: ").map(|(_, why)| why).unwrap_or_default();
            let why = why.split(", labels:").next().unwrap_or_default();
            let none = "no server of MongoDB that takes writes was found";
            if why.is_empty() { none.into() } else { format!("{none} ({why})") }
        }
        ErrorKind::InsertMany(_) | ErrorKind::BulkWrite(_) => "MongoDB refused writes".into(),
        kind => format!("MongoDB: {kind}"),
    }
}
