//! How many calls to an org go at the same time. An org refuses every call
//! while too many long ones run, whoever's they are, so Sloe makes room at
//! once when it is told so, and comes back slowly.

use super::{Rules, Timestamp};

/// Allowances up to this belong to Developer and trial orgs, which let five
/// long calls run at once instead of 25 (the same limits page as
/// [`Rules::AT_ONCE`] cites).
const SMALL_ORG: u64 = 15_000;
/// Calls at once in such an org.
const SMALL_ORG_CALLS: u8 = 2;
/// How long Sloe stays at a narrower number before it takes one call more.
const WIDEN_MILLIS: i64 = 60 * 1_000;

/// The number of calls at once that an org was found to bear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lanes {
    narrowed: Option<(u8, Timestamp)>,
}

impl Lanes {
    /// How many may go together now: at least one.
    pub(super) fn open(self, rules: Rules, max: Option<u64>, now: Timestamp) -> u8 {
        let small = max.is_some_and(|max| max <= SMALL_ORG);
        let most = if small { rules.at_once().min(SMALL_ORG_CALLS) } else { rules.at_once() };
        let Some((lanes, since)) = self.narrowed else { return most };
        // A clock that was set back must not keep the org narrow for as long.
        let age = now.millis_since(since);
        if age < 0 {
            return most;
        }
        let more = u8::try_from(age / WIDEN_MILLIS).unwrap_or(u8::MAX);
        lanes.saturating_add(more).clamp(1, most)
    }

    /// The org refused a call because too many run: half as many from now on.
    pub(super) fn narrow(&mut self, open: u8, now: Timestamp) {
        self.narrowed = Some(((open / 2).max(1), now));
    }
}
