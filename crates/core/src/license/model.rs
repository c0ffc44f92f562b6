//! The rule against a naive reading of it, and the words it is told in.

use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400_000;

fn license(number: &str, status: Status, expires_at: Option<i64>) -> License {
    License { number: number.into(), status, expires_at: expires_at.map(Timestamp) }
}

fn one(status: Status, end: Option<i64>, knowledge: Knowledge, now: i64) -> bool {
    is_live(&[license("L-00001", status, end)], knowledge, Timestamp(now))
}

/// The rule as the contract says it, one sentence a line.
fn naive(rows: &[License], knowledge: Knowledge, now: Timestamp) -> bool {
    let mut live = false;
    for row in rows {
        if row.status == Status::Active {
            live = true;
        }
        if row.status == Status::Trial {
            let Some(end) = row.expires_at else {
                live = true;
                continue;
            };
            let past = now.0 > end.0;
            let dark_since_before = match knowledge {
                Knowledge::Recorded => false,
                Knowledge::Read(None) => true,
                Knowledge::Read(Some(at)) => at.0 <= end.0,
            };
            if !past || (dark_since_before && now.0 - end.0 <= 7 * DAY) {
                live = true;
            }
        }
    }
    live
}

fn row() -> impl Strategy<Value = License> {
    let end = prop_oneof![Just(None), (0..20_i64 * DAY).prop_map(Some)];
    (0..100_u32, prop::sample::select(Status::ALL.to_vec()), end)
        .prop_map(|(n, status, end)| license(&format!("L-{n:05}"), status, end))
}

fn knowledge() -> impl Strategy<Value = Knowledge> {
    prop_oneof![
        Just(Knowledge::Recorded),
        Just(Knowledge::Read(None)),
        (0..40 * DAY).prop_map(|at| Knowledge::Read(Some(Timestamp(at)))),
    ]
}

proptest! {
    #[test]
    fn the_rule_is_the_contract_s(
        rows in prop::collection::vec(row(), 0..6),
        knowledge in knowledge(),
        now in 0..40 * DAY,
    ) {
        let now = Timestamp(now);
        let live = is_live(&rows, knowledge, now);
        prop_assert_eq!(live, naive(&rows, knowledge, now));
        let answer = answer(&rows, knowledge, now);
        prop_assert_eq!(answer.is_live(), live);
        prop_assert_eq!(answer.by.is_none(), rows.is_empty());
        if let Some((row, _)) = &answer.by {
            prop_assert!(rows.contains(row));
            prop_assert!(answer.to_string().contains(&row.number));
        }
        let begins = if live { "Live" } else { "Not live" };
        prop_assert!(answer.to_string().starts_with(begins));
    }

    #[test]
    fn another_row_never_takes_an_org_down(
        rows in prop::collection::vec(row(), 0..5),
        more in row(),
        knowledge in knowledge(),
        now in 0..40 * DAY,
    ) {
        let before = is_live(&rows, knowledge, Timestamp(now));
        let all: Vec<_> = rows.into_iter().chain([more]).collect();
        prop_assert!(!before || is_live(&all, knowledge, Timestamp(now)));
    }

    #[test]
    fn a_dark_source_org_alone_takes_nobody_down_within_a_week(
        rows in prop::collection::vec(row(), 0..6),
        read in 0..20 * DAY,
        dark in 0..=7 * DAY,
    ) {
        let knowledge = Knowledge::Read(Some(Timestamp(read)));
        let before = is_live(&rows, knowledge, Timestamp(read));
        prop_assert!(!before || is_live(&rows, knowledge, Timestamp(read + dark)));
    }

    #[test]
    fn the_order_of_rows_does_not_matter(
        rows in prop::collection::vec(row(), 0..6),
        knowledge in knowledge(),
        now in 0..40 * DAY,
    ) {
        let mut back = rows.clone();
        back.reverse();
        let told = |rows: &[License]| answer(rows, knowledge, Timestamp(now)).by;
        let standing = |by: Option<(License, Standing)>| by.map(|(row, standing)| (row.number, standing));
        prop_assert_eq!(standing(told(&rows)), standing(told(&back)));
    }
}

#[test]
fn an_expiry_counts_to_the_end_of_its_day_in_utc() {
    let end = end_of_day("2027-01-31").unwrap();
    assert_eq!(end, Timestamp::parse("2027-01-31T23:59:59.999Z").unwrap());
    assert_eq!(end_of_day(" 2028-02-29 ").unwrap().to_rfc3339(), "2028-02-29T23:59:59.999Z");
    for text in ["", "2027-02-29", "31.01.2027", "Does not expire", "99999-01-01"] {
        assert_eq!(end_of_day(text), None, "{text}");
    }
    let read_after = Knowledge::Read(Some(end.plus_millis(1)));
    assert!(one(Status::Trial, Some(end.0), read_after, end.0));
    assert!(!one(Status::Trial, Some(end.0), read_after, end.0 + 1));
}

#[test]
fn an_expiry_that_passes_in_the_dark_has_seven_days_and_not_a_moment_more() {
    let read = Knowledge::Read(Some(Timestamp(0)));
    let end = 10 * DAY;
    assert!(one(Status::Trial, Some(end), read, end + 7 * DAY));
    assert!(!one(Status::Trial, Some(end), read, end + 7 * DAY + 1));
    // Read again after it: the vendor did not renew.
    let read = Knowledge::Read(Some(Timestamp(end + 1)));
    assert!(!one(Status::Trial, Some(end), read, end + 2));
    // By hand, there is nobody to be dark.
    assert!(!one(Status::Trial, Some(end), Knowledge::Recorded, end + 1));
    // What is no expiry has no grace, and needs none.
    assert!(!one(Status::Suspended, Some(end), Knowledge::Read(None), 0));
    assert!(one(Status::Active, Some(end), Knowledge::Read(None), end + 1_000 * DAY));
}

#[test]
fn the_words_name_the_row_the_age_and_the_grace() {
    let rows = [license("L-00007", Status::Trial, Some(end_of_day("2027-01-31").unwrap().0))];
    let at = |text| Timestamp::parse(text).unwrap();
    let read = Knowledge::Read(Some(at("2027-01-30T00:00:00Z")));
    let told = answer(&rows, read, at("2027-02-02T06:00:00Z")).to_string();
    assert_eq!(
        told,
        "Live until 2027-02-07 23:59:59 UTC at most: the trial of license L-00007 ended on \
         2027-01-31, but the source org was not read since, so it may have been renewed. The \
         source org was read 3 days ago, at 2027-01-30 00:00:00 UTC."
    );
    let none = answer(&[], Knowledge::Read(None), at("2027-02-02T06:00:00Z")).to_string();
    assert_eq!(none, "Not live: there is no license for this org. The source org was never read.");
    assert_eq!([999, 120_000].map(|age| Age(age).ago()), ["just now", "2 minutes ago"]);
    let ages = [0, 1_000, 119_000, 120_000, 7_200_000, 172_800_000].map(|age| Age(age).to_string());
    assert_eq!(ages, ["0 seconds", "1 second", "119 seconds", "2 minutes", "2 hours", "2 days"]);
}

#[test]
fn a_status_is_read_in_any_case_and_nothing_else_is_one() {
    assert_eq!(Status::parse(" active "), Some(Status::Active));
    assert_eq!(Status::parse("Uninstalled"), Some(Status::Uninstalled));
    assert_eq!(Status::parse("Expired"), None);
    for status in Status::ALL {
        assert_eq!(Status::parse(status.name()), Some(status));
    }
}
