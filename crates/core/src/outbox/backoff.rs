//! When a row that failed for now goes again: later each time, and not at the
//! same moment as others that failed beside it.

/// How often a row is sent before a person must look at it.
pub const TRIES: u32 = 12;
/// The longest pause, in milliseconds.
pub const LONGEST_MILLIS: i64 = 15 * 60 * 1_000;
/// The first pause at most.
const FIRST_MILLIS: i64 = 10_000;

/// The pause after the `tries`th failure, from 1, in milliseconds: twice as
/// long each time, up to [`LONGEST_MILLIS`], of which `draw` takes off up to a
/// half. The caller draws it by chance: rows that ran into each other's locks
/// are then apart.
#[must_use]
pub fn pause_millis(tries: u32, draw: u16) -> i64 {
    let doublings = tries.saturating_sub(1).min(16);
    let whole = (FIRST_MILLIS << doublings).min(LONGEST_MILLIS);
    whole - whole / 2 * i64::from(draw) / i64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pause_grows_with_each_try_and_is_never_too_long(
            tries in any::<u32>(), draw in any::<u16>(),
        ) {
            let pause = pause_millis(tries, draw);
            prop_assert!((FIRST_MILLIS / 2..=LONGEST_MILLIS).contains(&pause));
            // Whatever was drawn, the next one is no shorter than the shortest of its own.
            prop_assert!(pause_millis(tries.saturating_add(1), u16::MAX) * 2 >= pause);
            prop_assert!(pause_millis(tries.saturating_add(1), draw) >= pause);
        }
    }

    #[test]
    fn rows_that_failed_together_do_not_come_back_together() {
        assert_eq!((pause_millis(1, 0), pause_millis(1, u16::MAX)), (10_000, 5_000));
        assert_eq!((pause_millis(3, 0), pause_millis(3, u16::MAX)), (40_000, 20_000));
    }
}
