//! Problem documents as programs read them (RFC 9457).

use serde::Serialize;
use utoipa::ToSchema;

use super::{FieldFault, Place};

/// A refusal: what happened, what it means, what to do.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem, examples(json!({
    "type": "/problems/sold-out",
    "title": "Not enough seats are left",
    "status": 409,
    "detail": "At least one of the event, its ticket types or its sessions has fewer seats left than were asked for.",
    "request_id": "0198b0f2c6f37a52b0a3f2f1a5f0c001",
    "pools": [{"pool": "session", "id": "2v8m6k0r7q3x9d1c5h4n8b2t6w", "name": "Workshop", "asked": 2, "left": 1}]
})))]
pub struct ProblemDocument {
    /// `/problems/` and a stable name; a page at that address explains it.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, in a few words.
    pub title: String,
    /// The answer's status.
    pub status: u16,
    /// What happened, what it means and what to do, for people.
    pub detail: String,
    /// Names this request in Sloe's logs.
    pub request_id: String,
    /// Every fault of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FaultDocument>,
    /// Every pool that has too little left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub pools: Vec<PoolDocument>,
    /// When registration opens, if that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub opens_at: Option<String>,
}

/// One fault.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ProblemError)]
pub struct FaultDocument {
    /// Where in the body: a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Which query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// A stable code, `required` for instance.
    pub code: &'static str,
    /// What is wrong and what it should be.
    pub message: String,
}

impl From<&FieldFault> for FaultDocument {
    fn from(fault: &FieldFault) -> Self {
        let (pointer, parameter) = match &fault.at {
            Place::Pointer(pointer) => (Some(pointer.clone()), None),
            Place::Parameter(name) => (None, Some(name.clone())),
        };
        Self { pointer, parameter, code: fault.code, message: fault.message.clone() }
    }
}

/// What a pool counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PoolKind {
    /// The seats of the event as a whole.
    Event,
    /// Those of a ticket type.
    Item,
    /// Those of a session.
    Session,
}

/// A pool that has too little left.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ProblemPool)]
pub struct PoolDocument {
    /// What it counts.
    pub pool: PoolKind,
    /// The item's or session's id; absent for the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name; absent for the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Seats asked for.
    pub asked: u32,
    /// Seats left.
    pub left: u32,
}
