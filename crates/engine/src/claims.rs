//! What a visitor may do: take seats, confirm, look, give back, cancel. Each
//! is one question to the combiner between translating public ids in and out.

mod attendees;
mod confirm;
mod deny;
mod hold;
mod order;
mod repeat;
mod translate;

pub(crate) use attendees::{open as unseal, seal};
pub use confirm::Confirmed;
pub use hold::Visitor;

use sloe_core::catalog::Snapshot;
use sloe_core::fact::Request;
use sloe_core::ids::{ClaimId, EventRef};

use crate::engine::Engine;
use crate::error::{Denied, Fault};
use crate::seal::Key;
use crate::view::{AttendeeInput, Choice};

/// A request's id: repeats get the same answer for as long as the object lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestId {
    /// Chosen by the caller; scoped to event and operation.
    Given(String),
    /// None was given: every call is a new request.
    Fresh,
}

/// The journal's form of a request: HMACs, so that neither key nor body can
/// be told from it once the event's key is gone.
pub(crate) fn request(
    key: &Key,
    operation: &str,
    id: &RequestId,
    fresh: u128,
    body: &[&[u8]],
) -> Request {
    let key_mac = match id {
        RequestId::Given(text) => {
            key.hmac(&[b"request\0", operation.as_bytes(), b"\0", text.as_bytes()])
        }
        RequestId::Fresh => {
            key.hmac(&[b"fresh\0", operation.as_bytes(), b"\0", &fresh.to_be_bytes()])
        }
    };
    let mut parts: Vec<&[u8]> = vec![b"body\0"];
    parts.extend_from_slice(body);
    let body_mac = key.hmac(&parts);
    let (key_half, _) = key_mac.split_at(16);
    let (body_half, _) = body_mac.split_at(8);
    Request {
        key: u128::from_be_bytes(key_half.try_into().unwrap_or_default()),
        body: u64::from_be_bytes(body_half.try_into().unwrap_or_default()),
    }
}

/// Whose a vault entry is: bound into the seal.
pub(crate) fn owner(event: EventRef, claim: ClaimId) -> Vec<u8> {
    [event.org.as_bytes().as_slice(), event.event.as_bytes(), &claim.0.to_be_bytes()].concat()
}

/// A combiner's silence in the public's words.
pub(crate) fn denied(snapshot: &Snapshot, why: crate::ledger::Unanswered) -> Denied {
    deny::unanswered(snapshot, why)
}

impl Engine {
    /// What is wrong with attendees' details, whatever else a request has:
    /// callers that found faults of their own tell these with them.
    #[must_use]
    pub fn attendee_faults(&self, snapshot: &Snapshot, inputs: &[AttendeeInput]) -> Vec<Fault> {
        faults(self.people(snapshot, inputs))
    }
}

/// The same of choices: ids that the event does not have.
#[must_use]
pub fn choice_faults(snapshot: &Snapshot, choices: &[Choice]) -> Vec<Fault> {
    faults(translate::places(snapshot, choices))
}

fn faults<T>(checked: Result<T, Denied>) -> Vec<Fault> {
    match checked {
        Err(Denied::Invalid(faults)) => faults,
        _ => Vec::new(),
    }
}
