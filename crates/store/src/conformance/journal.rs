//! Journals, claims, the vault and checkpoints.

use std::sync::atomic::{AtomicUsize, Ordering};

use sloe_core::ids::ClaimId;

use super::{Open, append, cancelled, commit, confirmed, event, held, sealed};
use crate::api::{Appended, Checkpoint, Destination};

/// What is appended is what is read.
pub fn a_batch_reads_back_as_it_was_written(open: Open<'_>) {
    let store = open();
    let first = append(event(1, 1), 1, vec![held(1), held(2)]);
    let second = append(event(1, 1), 2, vec![confirmed(1), cancelled(1)]);
    let empty = append(event(1, 1), 3, vec![]);
    for append in [&first, &second, &empty] {
        commit(&*store, std::slice::from_ref(append));
    }
    let read = store.read(event(1, 1), 0, 10).unwrap();
    assert_eq!(read, [first.batch, second.batch, empty.batch]);
}

/// A version is taken once, and none is left out.
pub fn a_batch_out_of_turn_is_a_conflict_and_leaves_nothing(open: Open<'_>) {
    let store = open();
    let at = event(1, 1);
    for version in [0, 2, u64::from(u32::MAX)] {
        let answers = store.append(&[append(at, version, vec![held(1)])]).unwrap();
        assert_eq!(answers, [Appended::Conflict], "version {version} of an empty journal");
    }
    commit(&*store, &[append(at, 1, vec![held(1)])]);
    let mut late = append(at, 1, vec![held(2)]);
    late.sealed = vec![sealed(2, Some(b"late"))];
    late.destinations = vec![Destination::Org];
    assert_eq!(store.append(&[late]).unwrap(), [Appended::Conflict]);
    assert_eq!(store.append(&[append(at, 3, vec![held(3)])]).unwrap(), [Appended::Conflict]);
    assert_eq!(store.read(at, 0, 10).unwrap().len(), 1);
    assert_eq!(store.find(at, ClaimId(2)).unwrap(), None);
    assert_eq!(store.sealed(at, ClaimId(2)).unwrap(), None);
    assert!(store.pending(Destination::Org).unwrap().is_empty());
}

/// One commit serves several events; each is judged by itself.
pub fn a_conflict_does_not_disturb_the_other_events(open: Open<'_>) {
    let store = open();
    commit(&*store, &[append(event(1, 1), 1, vec![held(1)])]);
    let answers = store
        .append(&[
            append(event(1, 2), 1, vec![held(2)]),
            append(event(1, 1), 1, vec![held(3)]),
            append(event(2, 1), 1, vec![held(4)]),
        ])
        .unwrap();
    assert_eq!(answers, [Appended::Committed, Appended::Conflict, Appended::Committed]);
    assert_eq!(store.read(event(1, 2), 0, 10).unwrap()[0].facts, [held(2)]);
    assert_eq!(store.read(event(1, 1), 0, 10).unwrap()[0].facts, [held(1)]);
    assert_eq!(store.read(event(2, 1), 0, 10).unwrap()[0].facts, [held(4)]);
}

/// A full sandbox keeps production's record ids.
pub fn the_same_record_in_two_orgs_has_two_journals(open: Open<'_>) {
    let store = open();
    assert_eq!(event(1, 1).event, event(2, 1).event);
    let mut ours = append(event(1, 1), 1, vec![held(1)]);
    ours.sealed = vec![sealed(1, Some(b"ours"))];
    commit(&*store, &[ours]);
    assert_eq!(store.read(event(2, 1), 0, 10).unwrap(), []);
    assert_eq!(store.find(event(2, 1), ClaimId(1)).unwrap(), None);
    assert_eq!(store.sealed(event(2, 1), ClaimId(1)).unwrap(), None);
    // The same claim id there is another claim.
    commit(&*store, &[append(event(2, 1), 1, vec![held(1)])]);
    assert_eq!(store.find(event(2, 1), ClaimId(1)).unwrap(), Some(1));
}

/// Long journals are read piece by piece.
pub fn a_stretch_is_read_in_order_and_within_its_limit(open: Open<'_>) {
    let store = open();
    for version in 1..=20 {
        commit(&*store, &[append(event(1, 1), version, vec![held(u128::from(version))])]);
        commit(&*store, &[append(event(1, 2), version, vec![])]);
    }
    let versions = |after, limit| -> Vec<u64> {
        let batches = store.read(event(1, 1), after, limit).unwrap();
        batches.iter().map(|batch| batch.version).collect()
    };
    assert_eq!(versions(0, 3), [1, 2, 3]);
    assert_eq!(versions(9, 100), (10..=20).collect::<Vec<_>>());
    assert_eq!(versions(20, 100), [0; 0]);
    assert_eq!(versions(0, 0), [0; 0]);
}

/// The index knows holds and registrations in one step.
pub fn a_claim_is_found_where_it_first_appeared(open: Open<'_>) {
    let store = open();
    let at = event(1, 1);
    commit(&*store, &[append(at, 1, vec![held(1)])]);
    commit(&*store, &[append(at, 2, vec![confirmed(1), confirmed(2), held(3), confirmed(3)])]);
    assert_eq!(store.find(at, ClaimId(1)).unwrap(), Some(1));
    assert_eq!(store.find(at, ClaimId(2)).unwrap(), Some(2));
    assert_eq!(store.find(at, ClaimId(3)).unwrap(), Some(2));
    assert_eq!(store.find(at, ClaimId(4)).unwrap(), None);
    assert_eq!(store.find(event(1, 2), ClaimId(1)).unwrap(), None);
}

/// The net below the version check; the others in the commit are not disturbed.
pub fn a_claim_brought_in_twice_is_refused_with_its_whole_batch(open: Open<'_>) {
    let store = open();
    commit(&*store, &[append(event(1, 1), 1, vec![held(5)])]);
    let mut again = append(event(1, 1), 2, vec![held(6), held(5)]);
    again.sealed = vec![sealed(6, Some(b"no"))];
    again.destinations = vec![Destination::Mail];
    let answers = store
        .append(&[
            append(event(1, 2), 1, vec![held(1)]),
            again,
            append(event(1, 3), 1, vec![held(2)]),
        ])
        .unwrap();
    let taken = Appended::Taken(ClaimId(5));
    assert_eq!(answers, [Appended::Committed, taken, Appended::Committed]);
    assert_eq!(store.read(event(1, 1), 0, 10).unwrap().len(), 1);
    assert_eq!(store.find(event(1, 1), ClaimId(6)).unwrap(), None);
    assert_eq!(store.sealed(event(1, 1), ClaimId(6)).unwrap(), None);
    assert!(store.pending(Destination::Mail).unwrap().is_empty());
    assert_eq!(store.read(event(1, 2), 0, 10).unwrap().len(), 1);
    assert_eq!(store.read(event(1, 3), 0, 10).unwrap().len(), 1);
    // The journal goes on.
    commit(&*store, &[append(event(1, 1), 2, vec![held(6)])]);
}

/// More than any statement takes at once, of several events.
pub fn a_commit_of_many_claims_is_written_whole(open: Open<'_>) {
    let store = open();
    let append = |n: u8, claims: std::ops::Range<u128>| {
        let mut append = append(event(1, n), 1, claims.clone().map(held).collect());
        let text = |claim: u128| Some(claim.to_string().into_bytes());
        append.sealed = claims.map(|claim| sealed(claim, text(claim).as_deref())).collect();
        append.destinations = vec![Destination::Org];
        append
    };
    commit(&*store, &[append(1, 0..150), append(2, 150..151), append(3, 200..210)]);
    for (n, claim) in [(1, 0), (1, 63), (1, 64), (1, 149), (2, 150), (3, 200), (3, 209)] {
        let (at, claim) = (event(1, n), ClaimId(claim));
        assert_eq!(store.find(at, claim).unwrap(), Some(1), "{claim:?}");
        let body = store.sealed(at, claim).unwrap();
        assert_eq!(body, Some(claim.0.to_string().into_bytes()));
    }
    assert_eq!(store.pending(Destination::Org).unwrap().len(), 3);
}

/// For start-up and tools.
pub fn every_journal_is_listed_with_its_last_version(open: Open<'_>) {
    let store = open();
    assert_eq!(store.journals().unwrap(), []);
    commit(&*store, &[append(event(1, 1), 1, vec![]), append(event(2, 1), 1, vec![])]);
    commit(&*store, &[append(event(1, 1), 2, vec![])]);
    // Whatever else is known of an event makes no journal.
    store.advance(Destination::Org, event(1, 9), 4, &[]).unwrap();
    let checkpoint = Checkpoint { version: 1, nonce: 1, chunks: vec![] };
    store.put_checkpoint(event(1, 8), &checkpoint).unwrap();
    let mut journals = store.journals().unwrap();
    journals.sort_unstable();
    assert_eq!(journals, [(event(1, 1), 2), (event(2, 1), 1)]);
}

/// The race that the whole of Sloe stands on.
pub fn exactly_one_of_many_writers_gets_a_version(open: Open<'_>) {
    const WRITERS: u128 = 8;
    const VERSIONS: u64 = 25;
    let store = open();
    let won = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, won) = (&*store, &won);
            scope.spawn(move || {
                for version in 1..=VERSIONS {
                    let mut append = append(event(1, 1), version, vec![]);
                    append.batch.nonce = writer;
                    match store.append(&[append]).unwrap()[0] {
                        Appended::Committed => {
                            won.fetch_add(1, Ordering::Relaxed);
                            let read = store.read(event(1, 1), version - 1, 1).unwrap();
                            assert_eq!(read[0].nonce, writer, "who was told so did win");
                        }
                        // Somebody was faster, or has not got that far.
                        Appended::Conflict => {
                            let next = |s: &dyn crate::api::Store| {
                                s.read(event(1, 1), version - 1, 1).unwrap().len()
                            };
                            while next(store) == 0 {
                                std::thread::yield_now();
                            }
                        }
                        Appended::Taken(claim) => panic!("{claim:?} is in no batch"),
                    }
                }
            });
        }
    });
    assert_eq!(won.into_inner() as u64, VERSIONS);
    assert_eq!(store.journals().unwrap(), [(event(1, 1), VERSIONS)]);
}

/// One commit, or nothing.
pub fn sealed_details_stand_and_fall_with_their_batch(open: Open<'_>) {
    let store = open();
    let at = event(1, 1);
    let mut first = append(at, 1, vec![confirmed(1), confirmed(2)]);
    first.sealed = vec![sealed(1, Some(b"one")), sealed(2, Some(&[0; 20_000]))];
    commit(&*store, std::slice::from_ref(&first));
    assert_eq!(store.sealed(at, ClaimId(1)).unwrap().as_deref(), Some(&b"one"[..]));
    assert_eq!(store.sealed(at, ClaimId(2)).unwrap().map(|body| body.len()), Some(20_000));
    assert_eq!(store.sealed(at, ClaimId(3)).unwrap(), None);
    first.batch.nonce += 1;
    first.sealed = vec![sealed(1, Some(b"two")), sealed(3, Some(b"three"))];
    assert_eq!(store.append(&[first]).unwrap(), [Appended::Conflict]);
    assert_eq!(store.sealed(at, ClaimId(1)).unwrap().as_deref(), Some(&b"one"[..]));
    assert_eq!(store.sealed(at, ClaimId(3)).unwrap(), None);
}

/// Erasing one person leaves the others and the journal.
pub fn destroyed_details_are_gone(open: Open<'_>) {
    let store = open();
    let at = event(1, 1);
    let mut first = append(at, 1, vec![confirmed(1), confirmed(2)]);
    first.sealed = vec![sealed(1, Some(b"one")), sealed(2, Some(b"two"))];
    let mut second = append(at, 2, vec![]);
    second.sealed = vec![sealed(1, None)];
    commit(&*store, &[first]);
    commit(&*store, &[second]);
    assert_eq!(store.sealed(at, ClaimId(1)).unwrap(), None);
    assert_eq!(store.sealed(at, ClaimId(2)).unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(store.find(at, ClaimId(1)).unwrap(), Some(1));
}

/// Checkpoints are copies: an older one is no news.
pub fn a_checkpoint_reads_back_and_only_a_newer_one_replaces_it(open: Open<'_>) {
    let store = open();
    let at = event(1, 1);
    let checkpoint = |version, chunks: &[usize]| Checkpoint {
        version,
        nonce: u128::MAX - u128::from(version),
        chunks: chunks.iter().map(|bytes| vec![7; *bytes]).collect(),
    };
    assert_eq!(store.checkpoint(at).unwrap(), None);
    let big = checkpoint(5, &[4_000_000, 4_000_000, 1]);
    store.put_checkpoint(at, &big).unwrap();
    assert_eq!(store.checkpoint(at).unwrap(), Some(big));
    store.put_checkpoint(at, &checkpoint(4, &[9])).unwrap();
    assert_eq!(store.checkpoint(at).unwrap().map(|c| c.version), Some(5));
    let newer = checkpoint(6, &[10]);
    store.put_checkpoint(at, &newer).unwrap();
    assert_eq!(store.checkpoint(at).unwrap(), Some(newer));
    assert_eq!(store.checkpoint(event(2, 1)).unwrap(), None);
}

/// Durable means durable.
pub fn everything_is_there_after_reopening(open: Open<'_>) {
    let at = event(1, 1);
    let mut append = append(at, 1, vec![confirmed(1)]);
    append.sealed = vec![sealed(1, Some(b"one"))];
    append.destinations = vec![Destination::Org, Destination::Mail];
    let checkpoint = Checkpoint { version: 1, nonce: 3, chunks: vec![vec![1, 2, 3]] };
    {
        let store = open();
        commit(&*store, std::slice::from_ref(&append));
        store.put_checkpoint(at, &checkpoint).unwrap();
        store.advance(Destination::Mail, at, 1, &[]).unwrap();
        store.add_org(at.org, 1, b"org".to_vec()).unwrap();
    }
    let store = open();
    assert_eq!(store.read(at, 0, 10).unwrap(), [append.batch]);
    assert_eq!(store.find(at, ClaimId(1)).unwrap(), Some(1));
    assert_eq!(store.sealed(at, ClaimId(1)).unwrap().as_deref(), Some(&b"one"[..]));
    assert_eq!(store.checkpoint(at).unwrap(), Some(checkpoint));
    assert_eq!(store.pending(Destination::Org).unwrap().len(), 1);
    assert_eq!(store.pending(Destination::Mail).unwrap().len(), 0);
    assert!(store.open_org(at.org).unwrap().is_some());
}
