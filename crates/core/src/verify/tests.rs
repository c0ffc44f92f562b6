//! An org that drifts away from what it was sent, against what it was sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn key(n: u8, session: bool) -> RecordKey {
    let session = session.then(|| PublicId::parse(&"0".repeat(26)).unwrap());
    RecordKey { claim: ClaimId(u128::from(n) << 64), place: u16::from(n % 5) + 1, session }
}

/// What happens to one row behind Sloe's back.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Drift {
    None,
    Vanish,
    Bin,
    Older(u64),
    Newer(u64),
    Say(u8),
}

fn drift() -> impl Strategy<Value = Drift> {
    prop_oneof![
        6 => Just(Drift::None),
        1 => Just(Drift::Vanish),
        1 => Just(Drift::Bin),
        1 => (1..5_u64).prop_map(Drift::Older),
        1 => (1..5_u64).prop_map(Drift::Newer),
        2 => (0..3_u8).prop_map(Drift::Say),
    ]
}

fn ours() -> impl Strategy<Value = Ours> {
    prop_oneof![
        8 => (10..20_u64, any::<bool>())
            .prop_map(|(version, registered)| Ours::Sent { version: Some(version), registered }),
        1 => any::<bool>().prop_map(|registered| Ours::Sent { version: None, registered }),
        1 => Just(Ours::Moving),
        1 => Just(Ours::Absent),
        1 => Just(Ours::Theirs),
    ]
}

fn status(n: u8) -> RowStatus {
    [RowStatus::Registered, RowStatus::Cancelled, RowStatus::Other][usize::from(n)]
}

/// What the org holds of a row that went as `ours` and then drifted.
fn held(ours: Ours, drift: Drift) -> Option<Theirs> {
    let (version, registered) = match ours {
        Ours::Sent { version, registered } => (version.unwrap_or(7), registered),
        Ours::Moving | Ours::Theirs => (9, true),
        Ours::Absent => return None,
    };
    let row =
        Theirs { version: Some(version), status: status(u8::from(!registered)), deleted: false };
    match drift {
        Drift::None => Some(row),
        Drift::Vanish => None,
        Drift::Bin => Some(Theirs { deleted: true, ..row }),
        Drift::Older(by) => Some(Theirs { version: Some(version - by), ..row }),
        Drift::Newer(by) => Some(Theirs { version: Some(version + by), ..row }),
        Drift::Say(what) => Some(Theirs { status: status(what), ..row }),
    }
}

fn tally(rows: impl Iterator<Item = Theirs>) -> Tally {
    let mut tally = Tally::default();
    for row in rows.filter(|row| !row.deleted) {
        tally.add(row.status, Group { count: 1, versions: row.version.unwrap_or(0) });
    }
    tally
}

proptest! {
    #[test]
    fn what_drifted_is_found_and_nothing_else(
        rows in proptest::collection::btree_map((any::<u8>(), any::<bool>()), (ours(), drift()), 0..40),
        strangers in proptest::collection::btree_set("[a-z0-9-]{1,40}", 0..4),
    ) {
        let mut comparison = Comparison::default();
        let mut there = Vec::new();
        let mut wanted = BTreeMap::new();
        for ((n, session), (ours, drift)) in &rows {
            let key = key(*n, *session);
            comparison.expect(key, *ours, *n);
            there.extend(held(*ours, *drift).map(|theirs| (key.text(), theirs)));
            let Ours::Sent { version, registered } = *ours else { continue };
            let difference = match *drift {
                Drift::None => None,
                Drift::Vanish => Some(Difference::Missing),
                Drift::Bin => Some(Difference::Deleted),
                Drift::Older(_) => version.map(|_| Difference::Stale),
                Drift::Newer(_) => version.map(|_| Difference::Changed),
                Drift::Say(0) => (!registered).then_some(Difference::Changed),
                Drift::Say(1) => registered.then_some(Difference::Cancelled),
                Drift::Say(_) => Some(Difference::Changed),
            };
            wanted.extend(difference.map(|difference| (key, difference)));
        }
        let row = Theirs { version: None, status: RowStatus::Registered, deleted: false };
        there.extend(strangers.iter().map(|key| (key.clone(), row)));
        for (key, theirs) in &there {
            comparison.see(key, *theirs);
        }
        let mut agreeing = 0;
        let compared = comparison.judged(|_, _, _| agreeing += 1);
        prop_assert_eq!(agreeing + compared.differ.len(), rows.len());
        for row in &compared.differ {
            prop_assert!(rows.keys().any(|(n, session)| key(*n, *session) == row.key && *n == row.note));
        }
        let found: BTreeMap<_, _> = compared.differ.iter().map(|row| (row.key, row.how)).collect();
        prop_assert_eq!(found, wanted);
        prop_assert_eq!(compared.surplus.into_iter().collect::<BTreeSet<_>>(), strangers);
    }

    /// Counts never say yes where rows differ by number, status or one version.
    #[test]
    fn counts_agree_when_nothing_drifted_and_not_when_one_row_did(
        rows in proptest::collection::vec((10..20_u64, any::<bool>()), 1..30),
        at in any::<prop::sample::Index>(),
        drift in drift(),
    ) {
        let sent: Vec<_> = rows
            .iter()
            .map(|(version, registered)| Ours::Sent { version: Some(*version), registered: *registered })
            .collect();
        let mut expected = Expected::default();
        sent.iter().for_each(|ours| expected.add(*ours));
        let clean = tally(sent.iter().filter_map(|ours| held(*ours, Drift::None)));
        prop_assert!(expected.agrees(&clean, None));
        let at = at.index(sent.len());
        let drifted = |n: usize| if n == at { drift } else { Drift::None };
        let there = sent.iter().enumerate().filter_map(|(n, ours)| held(*ours, drifted(n)));
        let there: Vec<_> = there.collect();
        let differs = judge(sent[at], held(sent[at], drift));
        prop_assert_eq!(expected.agrees(&tally(there.into_iter()), None), differs.is_none());
    }

    #[test]
    fn an_external_id_is_read_as_it_was_written(claim in any::<u128>(), place in 1..u16::MAX, session in any::<bool>()) {
        let key = RecordKey { claim: ClaimId(claim), ..key(0, session) };
        let key = RecordKey { place, ..key };
        prop_assert_eq!(RecordKey::parse(&key.text()), Some(key));
        prop_assert_eq!(RecordKey::parse(&format!("{}x", key.text())), None);
        let odd = key.text().replacen('-', "-0", 1);
        prop_assert_eq!(RecordKey::parse(&odd), None);
    }
}

#[test]
fn rows_of_the_org_s_own_are_compared_with_how_they_were_when_nothing_differed() {
    let mut expected = Expected::default();
    expected.add(Ours::Theirs);
    expected.add(Ours::Sent { version: Some(3), registered: true });
    let found = Tally { registered: Group { count: 1, versions: 3 }, ..Tally::default() };
    assert!(!expected.agrees(&found, None));
    assert!(expected.agrees(&found, Some(&(expected, found))));
    let mut later = expected;
    later.add(Ours::Sent { version: Some(4), registered: true });
    assert!(!later.agrees(&found, Some(&(expected, found))));
}

#[test]
fn a_row_that_lives_says_more_than_one_in_the_recycle_bin() {
    let row = Theirs { version: Some(3), status: RowStatus::Registered, deleted: false };
    for order in [[true, false], [false, true]] {
        let mut comparison = Comparison::default();
        comparison.expect(key(1, false), Ours::Sent { version: Some(3), registered: true }, ());
        for deleted in order {
            comparison.see(&key(1, false).text(), Theirs { deleted, ..row });
        }
        let compared = comparison.judged(|_, _, ()| {});
        assert_eq!(compared, Compared { differ: vec![], surplus: vec![] });
    }
}
