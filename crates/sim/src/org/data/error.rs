//! What is wrong with one record, in Salesforce's own codes and words.

use serde::Serialize;

use crate::org::codes::{self, Code};

/// One fault of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RowError {
    /// Salesforce's status code, such as `REQUIRED_FIELD_MISSING`.
    #[serde(rename = "statusCode")]
    pub(crate) code: &'static str,
    /// What Salesforce says about it.
    pub(crate) message: String,
    /// The fields it stands at.
    pub(crate) fields: Vec<String>,
}

impl RowError {
    /// A fault of the whole record.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: Vec::new() }
    }

    /// A fault in its usual words.
    pub(crate) fn known(code: &Code) -> Self {
        Self::new(code.code, code.message)
    }

    /// A fault of one field.
    pub(crate) fn at(code: &'static str, field: &str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: vec![field.to_owned()] }
    }

    /// The HTTP status of the single-record resources for this fault.
    pub(crate) fn status(&self) -> u16 {
        codes::find(self.code).map_or(400, |known| known.status)
    }

    /// `CODE:message:fields --`, as the Bulk API's failed results have it.
    pub(crate) fn bulk(&self) -> String {
        let fields = self.fields.join(",");
        let space = if fields.is_empty() { "" } else { " " };
        format!("{}:{}:{fields}{space}--", self.code, self.message)
    }
}
