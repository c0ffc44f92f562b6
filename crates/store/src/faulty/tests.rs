//! The planned faults do what they say, and a fault of each kind can be told
//! from the others by the journal alone.

#![allow(clippy::unwrap_used, clippy::panic)]

use sloe_core::ids::SfId;
use sloe_core::time::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::embedded::Embedded;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Box<dyn Store> {
        Box::new(self.faulty(Plan::new()))
    }

    fn faulty(&self, plan: Plan) -> Faulty<Embedded> {
        Faulty::new(Embedded::open(self.0.path()).unwrap(), plan)
    }
}

/// Without a plan it is a store like any other.
mod conformance {
    use super::Place;
    crate::conformance_tests!(Place::new());
}

fn event() -> EventRef {
    EventRef {
        org: OrgId::parse("00D000000000001").unwrap(),
        event: SfId::parse("a00000000000001").unwrap(),
    }
}

fn append(version: u64, nonce: u128) -> Append {
    let batch = Batch { version, at: Timestamp(0), nonce, facts: vec![] };
    Append { event: event(), batch, sealed: vec![], destinations: vec![] }
}

/// Nonces of the journal, in order.
fn journal(store: &impl Store) -> Vec<u128> {
    store.read(event(), 0, 100).unwrap().iter().map(|batch| batch.nonce).collect()
}

#[test]
fn each_fault_meets_its_call_only() {
    use Fault::{AnswerLost, Refused, RequestLost, Twice};
    let place = Place::new();
    let plan = Plan::new()
        .at(Call::Append, 1, Refused)
        .at(Call::Append, 2, RequestLost)
        .at(Call::Append, 3, AnswerLost)
        .at(Call::Append, 4, Twice);
    let store = place.faulty(plan);
    assert!(matches!(store.append(&[append(1, 1)]), Err(StoreError::Unavailable(_))));
    assert!(matches!(store.append(&[append(1, 2)]), Err(StoreError::OutcomeUnknown(_))));
    assert_eq!(journal(&store), [0; 0]);
    assert!(matches!(store.append(&[append(1, 3)]), Err(StoreError::OutcomeUnknown(_))));
    assert_eq!(journal(&store), [3]);
    assert_eq!(store.append(&[append(2, 4)]).unwrap(), [Appended::Conflict]);
    assert_eq!(journal(&store), [3, 4]);
    assert_eq!(store.append(&[append(3, 5)]).unwrap(), [Appended::Committed]);
    assert_eq!(store.calls(Call::Append), 5);
}

#[test]
fn without_the_check_a_batch_that_comes_too_late_is_written_all_the_same() {
    let place = Place::new();
    let store = place.faulty(Plan::new().always(Call::Append, Fault::Unchecked));
    for nonce in 1..=3 {
        assert_eq!(store.append(&[append(1, nonce)]).unwrap(), [Appended::Committed]);
    }
    assert_eq!(journal(&store), [1, 2, 3]);
    store.set_plan(Plan::new());
    assert_eq!(store.append(&[append(1, 4)]).unwrap(), [Appended::Conflict]);
}

#[test]
fn a_delayed_call_lets_others_pass() {
    let place = Place::new();
    let store = place.faulty(Plan::new().at(Call::Append, 1, Fault::Delayed));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| store.append(&[append(1, 1)]));
        store.wait_until_delayed(1);
        assert_eq!(store.append(&[append(1, 2)]).unwrap(), [Appended::Committed]);
        store.release();
        assert_eq!(slow.join().unwrap().unwrap(), [Appended::Conflict]);
    });
    assert_eq!(journal(&store), [2]);
}

#[test]
fn a_store_that_is_away_answers_nothing() {
    let place = Place::new();
    let store = place.faulty(Plan::new());
    store.set_away(true);
    assert!(matches!(store.read(event(), 0, 1), Err(StoreError::Unavailable(_))));
    assert!(matches!(store.append(&[append(1, 1)]), Err(StoreError::Unavailable(_))));
    store.set_away(false);
    assert_eq!(store.append(&[append(1, 1)]).unwrap(), [Appended::Committed]);
}
