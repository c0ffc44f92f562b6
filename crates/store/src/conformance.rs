//! What every store must do, as one suite. A test file of a store says
//! `sloe_store::conformance_tests!(Place::new())`, where `Place` has a method
//! `open(&self) -> Box<dyn Store>`; opened again after the last store was
//! dropped, it finds what that one left. Each behavior becomes a test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod documents;
pub mod journal;
pub mod outbox;
pub mod sharing;

use std::sync::atomic::{AtomicU64, Ordering};

use sloe_core::fact::{Actor, Batch, Fact, PoolIx, Request, Selection};
use sloe_core::ids::{ClaimId, EventRef, OrgId, SfId};
use sloe_core::time::Timestamp;

use crate::api::{Append, Appended, Destination, Sealed, Store};

/// Opens the store under test; all that are opened in one test share their data.
pub type Open<'a> = &'a dyn Fn() -> Box<dyn Store>;

/// Makes a test of each behavior, on a fresh place each.
#[macro_export]
macro_rules! conformance_tests {
    ($place:expr) => {
        $crate::conformance_tests! { @each $place;
            journal::a_batch_reads_back_as_it_was_written
            journal::a_batch_out_of_turn_is_a_conflict_and_leaves_nothing
            journal::a_conflict_does_not_disturb_the_other_events
            journal::the_same_record_in_two_orgs_has_two_journals
            journal::a_stretch_is_read_in_order_and_within_its_limit
            journal::a_claim_is_found_where_it_first_appeared
            journal::a_claim_brought_in_twice_is_refused_with_its_whole_batch
            journal::a_commit_of_many_claims_is_written_whole
            journal::every_journal_is_listed_with_its_last_version
            journal::exactly_one_of_many_writers_gets_a_version
            journal::sealed_details_stand_and_fall_with_their_batch
            journal::destroyed_details_are_gone
            journal::a_checkpoint_reads_back_and_only_a_newer_one_replaces_it
            journal::everything_is_there_after_reopening
            documents::only_a_newer_version_replaces_a_document
            documents::of_many_documents_each_is_written_only_if_it_is_newer
            documents::a_document_is_removed_by_a_newer_version_only
            documents::documents_are_listed_by_id_page_by_page
            documents::an_org_sees_its_own_documents_only
            documents::an_org_is_opened_once_it_is_known
            documents::discarding_projections_leaves_the_truth
            outbox::news_is_pending_until_the_cursor_has_passed
            outbox::a_cursor_never_goes_back
            outbox::a_cursor_does_not_skip_what_is_still_to_come
            outbox::documents_are_written_with_the_cursor
            sharing::what_is_written_under_a_lease_is_taken_only_while_it_is_held
            sharing::a_cursor_moves_under_a_lease_only_while_it_is_held
            sharing::a_lease_that_is_taken_over_while_its_holder_writes_is_one_or_the_other
            sharing::versions_tell_what_has_changed
            sharing::journals_that_went_on_are_told
        }
    };
    (@each $place:expr; $($module:ident::$name:ident)*) => { $(
        #[test]
        fn $name() {
            let place = $place;
            $crate::conformance::$module::$name(&|| place.open());
        }
    )* };
}

/// The moment at which the suite's batches were decided.
const AT: Timestamp = Timestamp(1_800_000_000_000);

fn org(n: u8) -> OrgId {
    OrgId::parse(&format!("00D0000000000{n:02}")).unwrap()
}

/// Record `n` of org `o`: the same record id in every org, as in a full sandbox.
fn event(o: u8, n: u8) -> EventRef {
    EventRef { org: org(o), event: SfId::parse(&format!("a000000000000{n:02}")).unwrap() }
}

fn place() -> Selection {
    Selection { item: PoolIx(1), sessions: [PoolIx(2)].into_iter().collect() }
}

fn held(claim: u128) -> Fact {
    Fact::Held {
        claim: ClaimId(claim),
        request: Request { key: claim, body: 1 },
        expires_at: AT.plus_millis(600_000),
        places: vec![place()],
    }
}

fn confirmed(claim: u128) -> Fact {
    Fact::Confirmed {
        claim: ClaimId(claim),
        request: Request { key: claim, body: 2 },
        places: vec![place(), place()],
    }
}

fn cancelled(claim: u128) -> Fact {
    Fact::Cancelled { claim: ClaimId(claim), place: 1, actor: Actor::Registrant }
}

/// Each call's batch is another one, also where all that it says is the same.
fn append(event: EventRef, version: u64, facts: Vec<Fact>) -> Append {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let nonce = u128::from(version) << 64 | u128::from(CALLS.fetch_add(1, Ordering::Relaxed));
    let batch = Batch { version, at: AT, nonce, facts };
    Append { event, batch, sealed: vec![], destinations: vec![] }
}

fn sealed(claim: u128, body: Option<&[u8]>) -> Sealed {
    Sealed { claim: ClaimId(claim), body: body.map(<[u8]>::to_vec) }
}

/// Appends batches that must all be committed.
fn commit(store: &dyn Store, appends: &[Append]) {
    let answers = store.append(appends).unwrap();
    assert_eq!(answers, vec![Appended::Committed; appends.len()]);
}

fn marked(event: EventRef, version: u64, destinations: &[Destination]) -> Append {
    let mut append = append(event, version, vec![confirmed(u128::from(version))]);
    append.destinations = destinations.to_vec();
    append
}
