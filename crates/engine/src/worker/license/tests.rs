//! What is read becomes what is known, and only what differs is written.
#![allow(clippy::unwrap_used)]

use sloe_core::ids::SfId;
use sloe_core::license::Status;

use super::*;
use crate::tenant::license::Held;

fn org(n: u8) -> OrgId {
    OrgId::parse(&format!("00D0000000000{n:02}")).unwrap()
}

fn license(n: u32, status: Status) -> License {
    License { number: format!("L-{n:05}"), status, expires_at: None }
}

fn row(n: u32, of: u8, status: Status) -> LicenseRow {
    LicenseRow {
        number: format!("L-{n:05}"),
        position: Position {
            stamp: Timestamp(i64::from(n)),
            id: SfId::parse(&format!("a1L{n:012}")).unwrap(),
        },
        deleted: false,
        says: Ok((org(of), license(n, status))),
    }
}

fn held(all: &[(u8, &[License])]) -> Rows {
    let each = all.iter();
    each.map(|(of, rows)| (org(*of), Held { version: 4, rows: rows.to_vec() })).collect()
}

#[test]
fn a_change_touches_its_row_and_a_deleted_row_goes() {
    let known = held(&[
        (1, &[license(1, Status::Active), license(2, Status::Trial)]),
        (2, &[license(3, Status::Active)]),
    ]);
    let gone = LicenseRow { deleted: true, ..row(3, 2, Status::Active) };
    let next =
        apply(&known, vec![row(2, 1, Status::Suspended), row(4, 3, Status::Trial), gone], false);
    assert_eq!(next.rows[&org(1)], [license(1, Status::Active), license(2, Status::Suspended)]);
    assert_eq!(next.rows[&org(3)], [license(4, Status::Trial)]);
    assert!(!next.rows.contains_key(&org(2)));
    let writes = differences(&known, &next.rows).unwrap();
    let told: Vec<_> = writes
        .iter()
        .map(|write| (write.key.clone(), write.version, write.body.is_some()))
        .collect();
    let key = |n| Key::licenses(org(n));
    assert_eq!(told, [(key(1), 5, true), (key(3), 1, true), (key(2), 5, false)]);
}

#[test]
fn a_comparison_forgets_what_is_not_there_and_writes_nothing_that_is_the_same() {
    let known = held(&[(1, &[license(1, Status::Active)]), (2, &[license(2, Status::Active)])]);
    let same = apply(&known, vec![row(2, 2, Status::Active), row(1, 1, Status::Active)], true);
    assert!(differences(&known, &same.rows).unwrap().is_empty());
    let fewer = apply(&known, vec![row(1, 1, Status::Active)], true);
    let writes = differences(&known, &fewer.rows).unwrap();
    assert_eq!(writes.len(), 1);
    assert!(writes[0].key == Key::licenses(org(2)) && writes[0].body.is_none());
}

#[test]
fn a_row_that_can_not_be_understood_keeps_its_last_known_state_and_is_told() {
    let known = held(&[(1, &[license(1, Status::Active)])]);
    let bad =
        |n| LicenseRow { says: Err("\"Odd\" is no status".into()), ..row(n, 1, Status::Active) };
    for full in [true, false] {
        let next = apply(&known, vec![bad(1), bad(9)], full);
        assert_eq!(next.rows[&org(1)], [license(1, Status::Active)]);
        assert_eq!(next.rows.len(), 1);
        assert_eq!(
            next.unreadable,
            ["L-00001: \"Odd\" is no status", "L-00009: \"Odd\" is no status"]
        );
    }
}

#[test]
fn a_row_that_moves_to_another_org_leaves_the_first() {
    let known = held(&[(1, &[license(1, Status::Active)])]);
    let next = apply(&known, vec![row(1, 2, Status::Active)], false);
    assert_eq!(next.rows.keys().copied().collect::<Vec<_>>(), [org(2)]);
    assert_eq!(differences(&known, &next.rows).unwrap().len(), 2);
}

#[test]
fn what_is_due_is_due_again_when_the_clock_was_set_back() {
    let every = Duration::from_secs(60);
    assert!(is_due(None, every, Timestamp(0)));
    assert!(!is_due(Some(1_000), every, Timestamp(60_999)));
    assert!(is_due(Some(1_000), every, Timestamp(61_000)));
    assert!(is_due(Some(1_000), every, Timestamp(999)));
}
