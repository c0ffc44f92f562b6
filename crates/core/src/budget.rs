//! How much of an org's API allowance Sloe takes, and when its next call may
//! go. The allowance is one for everybody in the org, counted over a rolling
//! 24 hours, so Sloe keeps to a share of its own and leaves a reserve alone
//! however the rest was used. It slows down well before either ends.
//!
//! All fractions are exact: less allowance never means more calls, not even by
//! a rounding.

use std::collections::BTreeMap;

use crate::time::Timestamp;

use lanes::Lanes;
pub use rules::Rules;

mod lanes;
mod rules;
#[cfg(test)]
mod tests;

/// Before that line, where Sloe begins to slow down, in hundredths.
const APPROACH: u128 = 10;
/// Calls of a day kept for looking at the allowance, if a quarter of the share holds them.
const LOOKS: u128 = 96;
/// The shortest time between two looks.
const LOOK_MILLIS: i64 = 15 * 60 * 1_000;
/// What is believed of an org that has told nothing: the smallest allowance there is.
const UNTOLD: u64 = 15_000;
const HOUR_MILLIS: i64 = 60 * 60 * 1_000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;
/// The longest pause between two calls while any is left.
const LONGEST_MILLIS: i64 = HOUR_MILLIS;
/// What must be left when a stretch of calls begins, so that it can end: one that stops in the
/// middle is begun again, and its calls were for nothing.
const STRETCH: u128 = 6;
/// Calls are counted in fractions of which the share's quarter and a purpose's part are whole.
const SCALE: u128 = 40_000;

/// What a call is for; what comes first may use more of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A refresh: somebody pressed Update and looks at the page.
    Refresh,
    /// Rows for the org.
    Outbox,
    /// Looking for changes that nobody told of.
    Poll,
    /// Figures, which lose nothing by waiting.
    Figures,
    /// Comparing what the org holds with what it was sent: last of all.
    Verify,
}

impl Purpose {
    /// All, the first one first.
    pub const ALL: [Self; 5] =
        [Self::Refresh, Self::Outbox, Self::Poll, Self::Figures, Self::Verify];

    /// How much of Sloe's share it may use, and how far before the line it stops, in hundredths.
    fn parts(self) -> (u128, u128) {
        match self {
            Self::Refresh => (100, 0),
            Self::Outbox => (90, 1),
            Self::Poll => (75, 3),
            Self::Figures => (60, 5),
            Self::Verify => (50, 7),
        }
    }
}

/// What a caller may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// Make one call.
    Go,
    /// Read the org's limits, by one call, and ask again: what is known is too old to wait by.
    Look,
    /// Wait.
    Wait {
        /// When to ask again at the latest.
        until: Timestamp,
        /// Whether no call is left at all; otherwise it is only a pause between two.
        closed: bool,
    },
}

/// Calls of a rolling 24 hours by everybody, as the org told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Calls made, by Sloe too.
    pub used: u64,
    /// Calls allowed.
    pub max: u64,
    /// When the org told so.
    pub at: Timestamp,
}

/// What is known of one org's allowance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Our own calls by hours since 1970.
    hours: BTreeMap<i64, u64>,
    told: Option<Told>,
    under_way: u64,
    last: Option<Timestamp>,
    looked: Option<Timestamp>,
    /// Used and allowed by Sloe's app alone, where the org limits it.
    app: Option<(u64, u64)>,
    rules: Rules,
    lanes: Lanes,
}

impl Book {
    /// What was known when it was written down: our calls by hours since 1970,
    /// and what the org told last.
    #[must_use]
    pub fn restore(hours: impl IntoIterator<Item = (i64, u64)>, told: Option<Told>) -> Self {
        Self { hours: hours.into_iter().collect(), told, ..Self::default() }
    }

    /// Goes by the org's own rules from now on.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// How many calls may go at the same time, at least one.
    #[must_use]
    pub fn at_once(&self, now: Timestamp) -> usize {
        self.lanes.open(self.rules, self.told.map(|told| told.max), now).into()
    }

    /// The org refused a call because too many run at the same time.
    pub fn refuse_at_once(&mut self, now: Timestamp) {
        let open = self.lanes.open(self.rules, self.told.map(|told| told.max), now);
        self.lanes.narrow(open, now);
    }

    /// The org refused a call because the day's allowance is gone, whatever it counts.
    pub fn refuse_daily(&mut self, now: Timestamp) {
        let max = self.told.map_or(UNTOLD, |told| told.max);
        let used = self.told.map_or(max, |told| told.used).max(max);
        self.told = Some(Told { used, max, at: now });
    }

    /// Our calls by hours since 1970; a day's, and some hours more at most.
    #[must_use]
    pub fn hours(&self) -> Vec<(i64, u64)> {
        self.hours.iter().map(|(hour, calls)| (*hour, *calls)).collect()
    }

    /// What the org told last, with our calls since.
    #[must_use]
    pub fn told(&self) -> Option<Told> {
        self.told
    }

    /// Our calls of the last 24 hours and of the begun hour before.
    #[must_use]
    pub fn ours(&self, now: Timestamp) -> u64 {
        let counted = self.hours.range(hour(now) - 24..).map(|(_, calls)| *calls);
        counted.fold(0, u64::saturating_add)
    }

    /// Whole calls that `purpose` may still make, as things stand.
    #[must_use]
    pub fn left(&self, purpose: Purpose, now: Timestamp) -> u64 {
        let room = self.room(purpose, now);
        u64::try_from(room.share.left.min(room.line.left) / SCALE).unwrap_or(u64::MAX)
    }

    /// Whether calls for `purpose` may begin that belong together, such as
    /// those of a refresh: what is left is enough for some, and the last call
    /// is long enough ago.
    #[must_use]
    pub fn may_start(&self, purpose: Purpose, now: Timestamp) -> May {
        let room = self.room(purpose, now);
        match self.check(&room, STRETCH, now) {
            May::Go => {}
            other => return other,
        }
        let pause = room.share.pause(room.share.whole).max(room.line.pause(room.share.whole));
        let Some(last) = self.last else { return May::Go };
        let since = now.millis_since(last);
        // A clock that was set back must not stop the org for as long.
        if since < 0 || since >= pause {
            May::Go
        } else {
            May::Wait { until: last.plus_millis(pause), closed: false }
        }
    }

    /// Whether one more call for `purpose` may go now. If so it is counted, as
    /// a look is.
    pub fn begin(&mut self, purpose: Purpose, now: Timestamp) -> May {
        let may = self.check(&self.room(purpose, now), 1, now);
        match may {
            May::Wait { .. } => return may,
            May::Go => self.last = Some(now),
            May::Look => self.look(now),
        }
        self.count(now);
        may
    }

    fn check(&self, room: &Room, calls: u128, now: Timestamp) -> May {
        let left = room.share.left.min(room.line.left);
        if (self.told.is_none() || left < STRETCH * SCALE) && self.look_due(now) {
            return May::Look;
        }
        if left >= calls * SCALE {
            return May::Go;
        }
        let opens =
            if room.line.left < calls * SCALE { None } else { self.opens(room, calls, now) };
        May::Wait { until: opens.unwrap_or_else(|| self.next_look(now)), closed: true }
    }

    /// Notes that the org's limits are looked at. What was told at a time still to
    /// come, by a clock that was set back since, is taken as told now: it would be
    /// too old to wait by, whatever the look tells, until that time is reached.
    fn look(&mut self, now: Timestamp) {
        self.looked = Some(now);
        if let Some(told) = &mut self.told {
            told.at = told.at.min(now);
        }
    }

    /// Counts a call that goes without asking, as the second try after a new login does.
    pub fn count(&mut self, now: Timestamp) {
        let hour = hour(now);
        self.hours.retain(|of, _| *of >= hour - 24);
        let calls = self.hours.entry(hour).or_default();
        *calls = calls.saturating_add(1);
        self.under_way = self.under_way.saturating_add(1);
        if let Some(told) = &mut self.told {
            told.used = told.used.saturating_add(1);
        }
        if let Some((used, _)) = &mut self.app {
            *used = used.saturating_add(1);
        }
    }

    /// A call that was counted is over.
    pub fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Takes in what the org tells with the answer to a call that is not over
    /// yet: of everybody's calls, and of its app's own if the org limits them.
    pub fn follow(&mut self, used: u64, max: u64, app: Option<(u64, u64)>, now: Timestamp) {
        // Others under way may not be in the org's count.
        let others = self.under_way.saturating_sub(1);
        self.told = Some(Told { used: used.saturating_add(others), max, at: now });
        self.app = app.map(|(used, max)| (used.saturating_add(others), max));
    }

    fn max(&self) -> u128 {
        // No org has more; so no product below can overflow.
        self.told.map_or(UNTOLD, |told| told.max).min(u64::from(u32::MAX)).into()
    }

    fn share(&self) -> u128 {
        self.rules.share().into()
    }

    fn room(&self, purpose: Purpose, now: Timestamp) -> Room {
        let (part, before) = purpose.parts();
        let max = self.max();
        let share = max * self.share() * SCALE / 100;
        let whole = (share - (share / 4).min(LOOKS * SCALE)) / 100 * part;
        let ours = u128::from(self.ours(now)).saturating_mul(SCALE);
        let used = self.told.map_or(0, |told| u128::from(told.used)).saturating_mul(SCALE);
        let line =
            max * (100 - u128::from(self.rules.reserve())).saturating_sub(before) * SCALE / 100;
        let approach = max * APPROACH * SCALE / 100;
        let share = Zone { left: whole.saturating_sub(ours), slow: whole / 2, whole };
        let line = line.saturating_sub(used);
        // The app's limit is Sloe's alone, so it needs no reserve.
        let app = self.app.map_or(line, |(used, max)| u128::from(max.saturating_sub(used)) * SCALE);
        let line = Zone { left: line.min(app), slow: approach, whole };
        Room { share, line }
    }

    /// When enough of our own calls are a day old, if that helps at all.
    fn opens(&self, room: &Room, calls: u128, now: Timestamp) -> Option<Timestamp> {
        let mut ours = u128::from(self.ours(now));
        for (of, made) in self.hours.range(hour(now) - 24..) {
            ours = ours.saturating_sub(u128::from(*made));
            if (ours + calls) * SCALE <= room.share.whole {
                return Some(Timestamp((of + 25).saturating_mul(HOUR_MILLIS)));
            }
        }
        None
    }

    /// How long what is known may be waited by, in milliseconds.
    fn look_pause(&self) -> i64 {
        let looks = (self.max() * self.share() / 400).clamp(1, LOOKS);
        LOOK_MILLIS.max(DAY_MILLIS / i64::try_from(looks).unwrap_or(1))
    }

    fn known_at(&self) -> Option<Timestamp> {
        self.told.map(|told| told.at).max(self.looked)
    }

    fn look_due(&self, now: Timestamp) -> bool {
        let Some(at) = self.known_at() else { return true };
        let age = now.millis_since(at);
        let fits = (u128::from(self.ours(now)) + 1) * 100 <= self.max() * self.share();
        !(0..DAY_MILLIS).contains(&age) || (fits && age >= self.look_pause())
    }

    fn next_look(&self, now: Timestamp) -> Timestamp {
        let fits = (u128::from(self.ours(now)) + 1) * 100 <= self.max() * self.share();
        let pause = if fits { self.look_pause() } else { DAY_MILLIS };
        self.known_at().unwrap_or(now).plus_millis(pause)
    }
}

/// What is left for a purpose: of Sloe's share, and before everybody's line.
struct Room {
    share: Zone,
    line: Zone,
}

/// Calls left, in [`SCALE`]s, and below how many the pauses begin.
struct Zone {
    left: u128,
    slow: u128,
    whole: u128,
}

impl Zone {
    /// The pause between two calls, in milliseconds: none at the zone's
    /// beginning, and without end towards the last call. Halfway down, calls
    /// are as far apart as if `whole` of them were spread over a day.
    fn pause(&self, whole: u128) -> i64 {
        if self.left >= self.slow {
            return 0;
        }
        let day = DAY_MILLIS.unsigned_abs();
        let above = u128::from(day) * SCALE * (self.slow - self.left);
        let below = (whole * self.left).max(1);
        i64::try_from(above / below).unwrap_or(i64::MAX).min(LONGEST_MILLIS)
    }
}

fn hour(now: Timestamp) -> i64 {
    now.0.div_euclid(HOUR_MILLIS)
}
