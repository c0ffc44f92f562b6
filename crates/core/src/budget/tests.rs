//! The budget under every allowance, use and time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

const START: i64 = 1_800_000_000_000;

fn at(millis: i64) -> Timestamp {
    Timestamp(START + millis)
}

/// A book in which `ours` of `used` calls are Sloe's, told now.
fn book(max: u64, used: u64, ours: u64, last: Option<i64>) -> Book {
    let mut book = Book::restore([(hour(at(0)), ours)], Some(Told { used, max, at: at(0) }));
    book.last = last.map(at);
    book
}

/// When a call may go: 0 is now, and never is later than anything.
fn wait(may: May) -> i64 {
    match may {
        May::Go => 0,
        May::Wait { until, closed: false } => until.millis_since(at(0)),
        May::Look | May::Wait { closed: true, .. } => i64::MAX,
    }
}

fn purpose() -> impl Strategy<Value = Purpose> {
    proptest::sample::select(Purpose::ALL.to_vec())
}

/// What an org may choose.
fn rules() -> impl Strategy<Value = Rules> {
    (Rules::SHARE, Rules::RESERVE, Rules::AT_ONCE)
        .prop_filter_map("more than the allowance", |(s, r, n)| Rules::new(s, r, n).ok())
}

/// Allowances from none to more than there are, small ones often.
fn allowance() -> impl Strategy<Value = u64> {
    prop_oneof![0..200_u64, 0..20_000_u64, 0..5_000_000_u64, any::<u64>()]
}

/// A tenth of thousandths of `max`.
fn thousandths(max: u64, n: u64) -> u64 {
    u64::try_from(u128::from(max) * u128::from(n) / 1_000).unwrap_or(u64::MAX)
}

proptest! {
    #[test]
    fn a_call_goes_only_within_the_share_and_before_the_line(
        (max, ours, others) in (allowance(), 0..200_u64, 0..1_000_u64),
        (purpose, rules) in (purpose(), rules()),
    ) {
        let ours = thousandths(max, ours);
        let used = ours.saturating_add(thousandths(max, others));
        let mut book = book(max, used, ours, None);
        book.set_rules(rules);
        let max = u128::from(max);
        if book.begin(purpose, at(0)) == May::Go {
            let (share, reserve) = (u128::from(rules.share()), u128::from(rules.reserve()));
            prop_assert!((u128::from(ours) + 1) * 100 <= max * share);
            prop_assert!((u128::from(used) + 1) * 100 <= max * (100 - reserve));
            prop_assert_eq!(book.ours(at(0)), ours + 1);
        }
    }

    #[test]
    fn less_allowance_never_means_more_calls(
        max in allowance(),
        (ours, others) in (0..200_u64, 0..1_000_u64),
        (less, more_ours, more_others) in (0..3_u64, 0..3_u64, 0..3_u64),
        (far, purpose, rules) in (any::<bool>(), purpose(), rules()),
    ) {
        let step = if far { thousandths(max, 13).max(1) } else { 1 };
        let ours = thousandths(max, ours);
        let used = ours.saturating_add(thousandths(max, others));
        let mut worse = book(
            max.saturating_sub(less * step),
            used.saturating_add((more_ours + more_others) * step),
            ours.saturating_add(more_ours * step),
            Some(0),
        );
        let mut before = book(max, used, ours, Some(0));
        worse.set_rules(rules);
        before.set_rules(rules);
        prop_assert!(wait(worse.may_start(purpose, at(0))) >= wait(before.may_start(purpose, at(0))));
        prop_assert!(worse.left(purpose, at(0)) <= before.left(purpose, at(0)));
    }

    #[test]
    fn what_comes_first_never_waits_longer(
        (max, ours, others) in (allowance(), 0..200_u64, 0..1_000_u64),
    ) {
        let ours = thousandths(max, ours);
        let book = book(max, ours.saturating_add(thousandths(max, others)), ours, Some(0));
        let waits: Vec<_> = Purpose::ALL.iter().map(|p| wait(book.may_start(*p, at(0)))).collect();
        prop_assert!(waits.is_sorted(), "{waits:?}");
    }

    /// An org by the minute for three days: others use it as they like, and
    /// Sloe always wants more.
    #[test]
    fn no_24_hours_hold_more_than_the_share_however_much_is_wanted(
        max in 7..3_000_u64,
        others in proptest::collection::vec(0..4_u64, 72),
        (minutes, jump) in (1..30_i64, 0..50_000_i64),
        purpose in purpose(),
    ) {
        let mut book = Book::default();
        let (mut calls, mut by_others): (Vec<i64>, Vec<(i64, u64)>) = (Vec::new(), Vec::new());
        for minute in (0..72 * 60).step_by(usize::try_from(minutes).unwrap()) {
            let now = minute * 60_000 + jump;
            let recent = |time: &i64| *time > now - DAY_MILLIS;
            if minute % 60 < minutes {
                let n = others[usize::try_from(minute / 60).unwrap()];
                by_others.push((now, n * max / 60));
            }
            let mut started = false;
            for _ in 0..3 {
                started |= !matches!(book.may_start(purpose, at(now)), May::Wait { .. });
                if !started {
                    break;
                }
                let used: u64 = by_others.iter().filter(|(t, _)| recent(t)).map(|(_, n)| n).sum();
                let used = used + u64::try_from(calls.iter().filter(|t| recent(t)).count()).unwrap();
                match book.begin(purpose, at(now)) {
                    May::Wait { .. } => break,
                    May::Go => {
                        // What others did since the last answer, nobody could know.
                        let told = book.told().unwrap();
                        prop_assert!(told.used * 100 <= max * 80);
                    }
                    May::Look => {}
                }
                calls.push(now);
                book.follow(used + 1, max, None, at(now));
                book.end();
                let ours = calls.iter().filter(|t| recent(t)).count();
                prop_assert!(ours as u64 * 100 <= (max * 15).max(100), "{ours} of {max}");
            }
        }
        prop_assert!(!calls.is_empty());
        prop_assert!(book.hours().len() <= 26);
    }
}

#[test]
fn the_pause_grows_smoothly_from_nothing_while_the_share_shrinks() {
    let whole = book(100_000, 0, 0, Some(0)).left(Purpose::Outbox, at(0));
    assert_eq!(whole, 13_413);
    let mut before = 0;
    let last = whole - 6;
    for ours in 0..=last {
        let pause = wait(book(100_000, ours, ours, Some(0)).may_start(Purpose::Outbox, at(0)));
        assert!(pause >= before, "{ours}: {pause} after {before}");
        let may_grow = 100 + before / 2;
        assert!(
            pause - before <= may_grow || ours + 30 > whole,
            "{ours}: from {before} to {pause} in one step"
        );
        before = pause;
    }
    assert_eq!(before, LONGEST_MILLIS);
    let too_few = book(100_000, 0, last + 1, Some(0)).may_start(Purpose::Outbox, at(0));
    assert!(matches!(too_few, May::Wait { closed: true, .. }));
    let half = book(100_000, 0, whole / 2, Some(0));
    assert_eq!(half.may_start(Purpose::Outbox, at(0)), May::Go);
}

#[test]
fn an_org_that_has_told_nothing_is_looked_at_first_and_then_believed_small() {
    let mut book = Book::default();
    assert_eq!(book.begin(Purpose::Refresh, at(0)), May::Look);
    // It did not tell: an ordinary call may.
    book.end();
    assert_eq!(book.begin(Purpose::Refresh, at(1)), May::Go);
    assert_eq!((book.ours(at(1)), book.left(Purpose::Refresh, at(1))), (2, 2_152));
}

#[test]
fn when_others_use_the_allowance_up_sloe_looks_again_every_quarter_of_an_hour() {
    let mut book = book(100_000, 99_000, 10, None);
    let May::Wait { until, closed: true } = book.begin(Purpose::Refresh, at(0)) else { panic!() };
    assert_eq!(until, at(LOOK_MILLIS));
    assert_eq!(book.begin(Purpose::Refresh, until), May::Look);
    book.follow(99_001, 100_000, None, until);
    book.end();
    assert!(matches!(book.begin(Purpose::Refresh, until), May::Wait { closed: true, .. }));
    assert_eq!(book.begin(Purpose::Outbox, until.plus_millis(LOOK_MILLIS)), May::Look);
    book.follow(100, 100_000, None, until.plus_millis(LOOK_MILLIS));
    assert_eq!(book.begin(Purpose::Outbox, until.plus_millis(LOOK_MILLIS)), May::Go);
}

#[test]
fn a_clock_that_was_set_back_costs_one_look_although_the_look_tells_nothing() {
    let mut book = book(15_000, 15_000, 0, None);
    let now = at(-3 * DAY_MILLIS);
    assert_eq!(book.begin(Purpose::Outbox, now), May::Look);
    book.end();
    for minute in 0..15 {
        let may = book.begin(Purpose::Outbox, now.plus_millis(minute * 60_000));
        assert!(matches!(may, May::Wait { closed: true, .. }), "{minute}: {may:?}");
    }
    assert_eq!(book.begin(Purpose::Outbox, now.plus_millis(LOOK_MILLIS)), May::Look);
}

#[test]
fn a_share_that_is_used_up_opens_when_its_oldest_calls_are_a_day_old() {
    let now = hour(at(0));
    let told = Some(Told { used: 15_000, max: 100_000, at: at(0) });
    let hours = [(now - 20, 10), (now - 2, 14_990)];
    let book = Book::restore(hours, told);
    let May::Wait { until, closed: true } = book.may_start(Purpose::Refresh, at(0)) else {
        panic!()
    };
    assert_eq!(until, Timestamp((now - 2 + 25) * HOUR_MILLIS));
    assert!(book.left(Purpose::Refresh, until) > 0);
    assert_eq!(book.left(Purpose::Refresh, until.plus_millis(-1)), 0);
}

#[test]
fn a_restart_forgets_neither_our_calls_nor_what_the_org_told() {
    let mut book = book(1_000, 10, 3, None);
    assert_eq!(book.begin(Purpose::Outbox, at(0)), May::Go);
    let again = Book::restore(book.hours(), book.told());
    assert_eq!(again.ours(at(0)), 4);
    assert_eq!(again.told(), Some(Told { used: 11, max: 1_000, at: at(0) }));
    assert_eq!(again.ours(at(26 * HOUR_MILLIS)), 0);
}

#[test]
fn an_org_that_bears_fewer_calls_at_once_gets_half_and_then_one_more_a_minute() {
    let mut book = book(100_000, 0, 0, None);
    assert_eq!(book.at_once(at(0)), 4);
    book.refuse_at_once(at(0));
    assert_eq!(book.at_once(at(0)), 2);
    book.refuse_at_once(at(1));
    book.refuse_at_once(at(2));
    assert_eq!(book.at_once(at(2)), 1);
    assert_eq!(book.at_once(at(2 + 60_000)), 2);
    assert_eq!(book.at_once(at(2 + 600_000)), 4);
    // A clock that was set back.
    assert_eq!(book.at_once(at(-60_000)), 4);
}

#[test]
fn a_developer_org_is_called_twice_at_once_at_most() {
    assert_eq!(book(15_000, 0, 0, None).at_once(at(0)), 2);
    assert_eq!(book(15_001, 0, 0, None).at_once(at(0)), 4);
}

#[test]
fn a_refusal_of_the_day_counts_more_than_what_the_org_told() {
    let mut book = book(100_000, 20, 10, None);
    book.refuse_daily(at(1));
    let May::Wait { until, closed: true } = book.begin(Purpose::Refresh, at(1)) else { panic!() };
    assert_eq!(until, at(1 + LOOK_MILLIS));
    assert_eq!(book.begin(Purpose::Refresh, until), May::Look);
}

#[test]
fn a_larger_share_of_its_own_lets_sloe_make_more_calls() {
    let mut book = book(100_000, 0, 0, None);
    let before = book.left(Purpose::Refresh, at(0));
    book.set_rules(Rules::new(30, 10, 4).unwrap());
    assert_eq!((before, book.left(Purpose::Refresh, at(0))), (14_904, 29_904));
}

#[test]
fn a_limit_of_the_app_s_own_stops_sloe_although_the_org_has_plenty() {
    let mut book = book(100_000, 0, 0, None);
    assert_eq!(book.begin(Purpose::Refresh, at(0)), May::Go);
    book.follow(1, 100_000, Some((249, 250)), at(0));
    book.end();
    assert_eq!(book.begin(Purpose::Refresh, at(0)), May::Go);
    book.end();
    assert!(matches!(book.begin(Purpose::Refresh, at(0)), May::Wait { closed: true, .. }));
    assert_eq!(book.left(Purpose::Refresh, at(0)), 0);
}
