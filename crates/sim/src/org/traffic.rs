//! What the org's page tells about the last hour: calls by the minute, and calls of Sloe's hook.

use std::collections::VecDeque;

use sloe_core::ids::SfId;

/// So many minutes are shown.
pub(crate) const MINUTES: usize = 60;
/// So many calls of the hook are remembered.
const HOOKS: usize = 10;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Answered as asked: 2xx and 3xx.
    Good,
    /// Refused: 4xx.
    Refused,
    /// Failed: 5xx.
    Failed,
    /// Not answered, or not to the end.
    Lost,
}

impl Ending {
    /// By the answer's status.
    pub(crate) fn of(status: u16) -> Self {
        match status {
            0..=399 => Ending::Good,
            400..=499 => Ending::Refused,
            _ => Ending::Failed,
        }
    }

    fn place(self) -> usize {
        match self {
            Ending::Good => 0,
            Ending::Refused => 1,
            Ending::Failed => 2,
            Ending::Lost => 3,
        }
    }
}

/// The calls of one minute: good, refused, failed, lost.
pub(crate) type Minute = [u64; 4];

/// Calls by the minute, the last hour's.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Minutes since 1970, oldest first; minutes without calls are left out.
    minutes: VecDeque<(i64, Minute)>,
    hooks: VecDeque<HookCall>,
}

/// One call of Sloe's hook.
#[derive(Clone, Debug)]
pub(crate) struct HookCall {
    /// When, in milliseconds since 1970.
    pub(crate) at: i64,
    /// The event that was to be updated; none for all.
    pub(crate) event: Option<SfId>,
    /// How it ended, in words.
    pub(crate) outcome: String,
    pub(crate) good: bool,
    pub(crate) millis: u64,
}

impl Traffic {
    /// Counts a call of this minute.
    pub(crate) fn count(&mut self, minute: i64, ending: Ending) {
        let oldest = minute - i64::try_from(MINUTES).unwrap_or(0);
        while self.minutes.front().is_some_and(|(of, _)| *of <= oldest) {
            self.minutes.pop_front();
        }
        if self.minutes.back().is_none_or(|(of, _)| *of < minute) {
            self.minutes.push_back((minute, Minute::default()));
        }
        if let Some((_, counts)) = self.minutes.back_mut()
            && let Some(count) = counts.get_mut(ending.place())
        {
            *count += 1;
        }
    }

    /// The last sixty minutes, this one last.
    pub(crate) fn last_hour(&self, minute: i64) -> Vec<Minute> {
        let first = minute + 1 - i64::try_from(MINUTES).unwrap_or(0);
        let mut out = vec![Minute::default(); MINUTES];
        for (of, counts) in &self.minutes {
            let place = usize::try_from(of - first).ok();
            if let Some(slot) = place.and_then(|place| out.get_mut(place)) {
                *slot = *counts;
            }
        }
        out
    }

    /// Remembers a call of the hook.
    pub(crate) fn hook(&mut self, call: HookCall) {
        self.hooks.push_front(call);
        self.hooks.truncate(HOOKS);
    }

    /// The last calls of the hook, the newest first.
    pub(crate) fn hooks(&self) -> impl Iterator<Item = &HookCall> {
        self.hooks.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hour_is_told_by_the_minute_and_older_calls_are_let_go() {
        let mut traffic = Traffic::default();
        for (minute, status) in [(100, 200), (100, 204), (130, 403), (159, 503)] {
            traffic.count(minute, Ending::of(status));
        }
        traffic.count(159, Ending::Lost);
        let hour = traffic.last_hour(159);
        assert_eq!(
            (hour.len(), hour[0], hour[30], hour[59]),
            (60, [2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1])
        );
        assert_eq!(traffic.last_hour(160)[58], [0, 0, 1, 1]);
        assert_eq!(traffic.last_hour(300), vec![Minute::default(); 60]);
        traffic.count(300, Ending::Good);
        assert_eq!(traffic.minutes.len(), 1);
    }
}
