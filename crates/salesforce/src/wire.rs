//! The JSON that Salesforce and Sloe exchange, as the API writes it. Unknown
//! keys are ignored: Salesforce adds some every release.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A successful answer of the token endpoint.
#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    pub(crate) access_token: String,
    pub(crate) instance_url: String,
    /// `https://HOST/id/ORG/USER`.
    pub(crate) id: String,
}

/// A refusal of the token endpoint.
#[derive(Deserialize)]
pub(crate) struct TokenRefusal {
    pub(crate) error: String,
    #[serde(default)]
    pub(crate) error_description: String,
}

/// One entry of the array that every refused REST call answers with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiError {
    pub(crate) error_code: String,
    #[serde(default)]
    pub(crate) message: String,
}

/// One page of a query. Records stay maps: their keys are the mapping's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    pub(crate) done: bool,
    #[serde(default)]
    pub(crate) records: Vec<Map<String, Value>>,
    #[serde(default)]
    pub(crate) next_records_url: Option<String>,
}

/// Several calls in one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Composite {
    pub(crate) all_or_none: bool,
    pub(crate) composite_request: Vec<Subrequest>,
}

/// One of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subrequest {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) reference_id: &'static str,
}

/// The answers to a [`Composite`], in its order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CompositeAnswer {
    pub(crate) composite_response: Vec<Subanswer>,
}

/// One of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subanswer {
    pub(crate) body: Value,
    pub(crate) http_status_code: u16,
}

/// Rows for a collections call.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Collection<'a> {
    pub(crate) all_or_none: bool,
    pub(crate) records: &'a [Map<String, Value>],
}

/// What became of one row of a collections call.
#[derive(Deserialize)]
pub(crate) struct Saved {
    #[serde(default)]
    pub(crate) id: Option<String>,
    pub(crate) success: bool,
    #[serde(default)]
    pub(crate) created: bool,
    #[serde(default)]
    pub(crate) errors: Vec<SaveError>,
}

/// Why a row was refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SaveError {
    pub(crate) status_code: String,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) fields: Vec<String>,
}

/// A Bulk API 2.0 ingest job to be made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewJob<'a> {
    pub(crate) object: &'a str,
    pub(crate) operation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) external_id_field_name: Option<&'a str>,
    pub(crate) content_type: &'static str,
    pub(crate) line_ending: &'static str,
}

/// A Bulk API 2.0 query job to be made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewQueryJob<'a> {
    pub(crate) operation: &'static str,
    pub(crate) query: &'a str,
    pub(crate) content_type: &'static str,
    pub(crate) line_ending: &'static str,
}

/// The state to bring a job to.
#[derive(Serialize)]
pub(crate) struct JobChange {
    pub(crate) state: &'static str,
}

/// A job as Salesforce sees it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobInfo {
    pub(crate) id: String,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) error_message: Option<String>,
}

/// One allowance of `/limits`; some have further keys below them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LimitEntry {
    pub(crate) max: i64,
    pub(crate) remaining: i64,
}

/// All of `/limits`; entries of another shape are skipped.
pub(crate) type LimitsAnswer = BTreeMap<String, Value>;

/// An API version that the org offers.
#[derive(Deserialize)]
pub(crate) struct Version {
    pub(crate) version: String,
}

/// What an object of the org looks like.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Describe {
    #[serde(default)]
    pub(crate) createable: bool,
    #[serde(default)]
    pub(crate) updateable: bool,
    pub(crate) fields: Vec<DescribedField>,
    #[serde(default)]
    pub(crate) child_relationships: Vec<ChildRelationship>,
}

/// All objects of the org, in short.
#[derive(Deserialize)]
pub(crate) struct DescribedOrg {
    pub(crate) sobjects: Vec<DescribedObject>,
}

/// One of them.
#[derive(Deserialize)]
pub(crate) struct DescribedObject {
    pub(crate) name: String,
}

/// A validation rule, as the Tooling API tells it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ValidationRule {
    pub(crate) validation_name: String,
    #[serde(default)]
    pub(crate) error_display_field: Option<String>,
    #[serde(default)]
    pub(crate) entity_definition: Option<EntityName>,
}

/// The object that a rule is for.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EntityName {
    pub(crate) qualified_api_name: String,
}

/// A field of an object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribedField {
    pub(crate) name: String,
    /// `string`, `picklist`, `reference` …
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) length: u32,
    /// Worked out by the org: a formula or a roll-up.
    #[serde(default)]
    pub(crate) calculated: bool,
    #[serde(default)]
    pub(crate) reference_to: Vec<String>,
    /// What leads from a lookup to the record it names.
    #[serde(default)]
    pub(crate) relationship_name: Option<String>,
    /// Whether a query may ask for records by it.
    #[serde(default)]
    pub(crate) filterable: Option<bool>,
    /// There on the lookups of a detail to its master only.
    #[serde(default)]
    pub(crate) relationship_order: Option<i64>,
    #[serde(default)]
    pub(crate) nillable: bool,
    #[serde(default)]
    pub(crate) defaulted_on_create: bool,
    #[serde(default)]
    pub(crate) createable: bool,
    #[serde(default)]
    pub(crate) updateable: bool,
    #[serde(default)]
    pub(crate) external_id: bool,
    #[serde(default)]
    pub(crate) unique: bool,
    #[serde(default)]
    pub(crate) restricted_picklist: bool,
    #[serde(default)]
    pub(crate) picklist_values: Vec<PicklistValue>,
}

/// A choice of a picklist field.
#[derive(Deserialize)]
pub(crate) struct PicklistValue {
    pub(crate) value: String,
    #[serde(default)]
    pub(crate) active: bool,
}

/// How an object's children are named in a query.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChildRelationship {
    #[serde(default)]
    pub(crate) relationship_name: Option<String>,
    #[serde(rename = "childSObject", default)]
    pub(crate) child_object: String,
    /// The child's lookup.
    #[serde(default)]
    pub(crate) field: String,
}
