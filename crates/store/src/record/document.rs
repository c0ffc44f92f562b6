//! What JSON forms share: the `format` beside the fields, moments as RFC 3339,
//! ids as text.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sloe_core::ids::{ClaimId, OrgId, PublicId, SfId};
use sloe_core::time::Timestamp;

use super::DocumentError;

/// The bytes of `form`, whose first field is its format.
pub(super) fn write<T: Serialize>(form: &T) -> Vec<u8> {
    // Only a map whose keys are no strings has no JSON form, and no form here
    // holds a map: the round trips would show it.
    serde_json::to_vec(form).unwrap_or_default()
}

/// The form in `bytes`, if it is of the one format there is.
pub(super) fn read<T: DeserializeOwned>(format: u32, bytes: &[u8]) -> Result<T, DocumentError> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let damaged = |error: serde_json::Error| DocumentError::Form(error.to_string());
    // The format first: only then is a field that is missing a fault.
    let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
    if head.format != format {
        return Err(DocumentError::Format(head.format));
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// Gives a value of the core a text as its stored form.
macro_rules! text {
    ($name:ident, $value:ty, $write:expr, $read:expr, $what:literal) => {
        #[derive(Clone, Copy, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub(super) struct $name(pub(super) $value);

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                let write: fn($value) -> String = $write;
                write(value.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let read: fn(&str) -> Option<$value> = $read;
                read(&text).map(Self).ok_or_else(|| format!("{text:?} is no {}", $what))
            }
        }
    };
}

text!(Moment, Timestamp, Timestamp::to_rfc3339, Timestamp::parse, "moment in RFC 3339");
text!(Record, SfId, |id| id.to_string(), |text| SfId::parse(text).ok(), "record id");
text!(Org, OrgId, |id| id.to_string(), |text| OrgId::parse(text).ok(), "org id");
text!(Public, PublicId, |id| id.to_string(), PublicId::parse, "public id");
text!(Claim, ClaimId, |id| id.text(), ClaimId::parse, "claim id");
