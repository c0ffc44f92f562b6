//! Turns between nodes that want the same event. Whoever wins a version has
//! the next batch ready before the others have read what they lost to, and
//! would win again and again. So a winner stands back for about as long as a
//! commit takes, once for each of the others; claims gather meanwhile.
//!
//! A winner learns of no loser. Now and then it stands back to see whether
//! somebody else is there; for as long as others' batches come in between, it
//! does so after every win.

use std::collections::BTreeMap;

use sloe_core::ids::EventRef;
use sloe_core::time::Timestamp;

use super::ask::Task;

/// A win in so many stands back where nobody else was seen.
const LOOK_EVERY: u32 = 16;
/// For how long others are expected after they were seen.
const CONTENDED_MILLIS: i64 = 2_000;
/// The longest that one stands back: claims wait for it.
const LONGEST_MILLIS: i64 = 50;

/// An event that several nodes may want.
#[derive(Default)]
struct Turn {
    /// When another node's batch was last met.
    met: Option<Timestamp>,
    wins: u32,
    /// When this node last won.
    won: Option<Timestamp>,
    until: Option<Timestamp>,
    waiting: Vec<Box<Task>>,
}

/// Which events this node leaves to others for the moment.
#[derive(Default)]
pub(super) struct Rest {
    turns: BTreeMap<EventRef, Turn>,
    waiting: usize,
}

impl Rest {
    /// Tasks that wait for their event's turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Another node's batch was met in an event's journal.
    pub(super) fn meet(&mut self, event: EventRef, now: Timestamp) {
        let turn = self.turns.entry(event).or_default();
        turn.met = Some(now);
    }

    /// This node won a version in so many milliseconds, and `others` may want the next.
    pub(super) fn win(&mut self, event: EventRef, now: Timestamp, millis: i64, others: usize) {
        if others == 0 {
            return;
        }
        let turn = self.turns.entry(event).or_default();
        turn.wins = turn.wins.wrapping_add(1);
        turn.won = Some(now);
        let met = turn.met.is_some_and(|met| now.millis_since(met) < CONTENDED_MILLIS);
        if met || turn.wins.is_multiple_of(LOOK_EVERY) {
            let others = i64::try_from(others).unwrap_or(1);
            let rest = millis.max(1).saturating_mul(others).min(LONGEST_MILLIS);
            turn.until = Some(now.plus_millis(rest));
        }
    }

    /// The task, unless its event is left to others now: then it waits.
    pub(super) fn admit(&mut self, task: Box<Task>, now: Timestamp) -> Option<Box<Task>> {
        let Some(turn) = self.turns.get_mut(&task.event) else { return Some(task) };
        if turn.until.is_none_or(|until| until <= now) {
            return Some(task);
        }
        turn.waiting.push(task);
        self.waiting += 1;
        None
    }

    /// The tasks whose turn has come.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Box<Task>> {
        let mut due = Vec::new();
        for turn in self.turns.values_mut() {
            if turn.until.is_some_and(|until| until <= now) {
                turn.until = None;
                due.append(&mut turn.waiting);
            }
        }
        self.waiting -= due.len();
        due
    }

    /// When the next turn comes.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let waiting = self.turns.values().filter(|turn| !turn.waiting.is_empty());
        waiting.filter_map(|turn| turn.until).min()
    }

    /// Forgets events that nobody wants any more.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        let lately =
            |at: Option<Timestamp>| at.is_some_and(|at| now.millis_since(at) < CONTENDED_MILLIS);
        self.turns
            .retain(|_, turn| !turn.waiting.is_empty() || lately(turn.met) || lately(turn.won));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sloe_core::ids::{ClaimId, OrgId, SfId};
    use sloe_core::ledger::Command;

    use super::*;
    use crate::ledger::Way;

    fn event() -> EventRef {
        let org = OrgId::parse("00D000000000001").unwrap();
        EventRef { org, event: SfId::parse("a00000000000001").unwrap() }
    }

    fn task() -> Box<Task> {
        let command = Command::Release { claim: ClaimId(1) };
        Box::new(Task::new(Way::Leader, event(), command, None).0)
    }

    #[test]
    fn a_winner_stands_back_once_for_each_other_node_while_others_are_there() {
        let (mut rest, start) = (Rest::default(), Timestamp(0));
        rest.meet(event(), start);
        rest.win(event(), start, 3, 2);
        assert!(rest.admit(task(), start).is_none());
        assert_eq!((rest.waiting(), rest.next()), (1, Some(Timestamp(6))));
        assert!(rest.due(Timestamp(5)).is_empty());
        assert_eq!(rest.due(Timestamp(6)).len(), 1);
        assert!(rest.admit(task(), Timestamp(6)).is_some());
        assert_eq!((rest.waiting(), rest.next()), (0, None));
        // A slow store must not keep claims waiting for long.
        rest.win(event(), Timestamp(6), 4_000, 2);
        assert!(rest.admit(task(), Timestamp(6)).is_none());
        assert_eq!(rest.due(Timestamp(6 + LONGEST_MILLIS)).len(), 1);
    }

    #[test]
    fn where_nobody_else_was_seen_one_win_in_many_stands_back() {
        let (mut rest, now) = (Rest::default(), Timestamp(1_000_000));
        let mut stood_back = 0;
        for _ in 0..LOOK_EVERY * 4 {
            rest.win(event(), now, 1, 2);
            stood_back += u32::from(rest.admit(task(), now).is_none());
            rest.due(Timestamp(i64::MAX));
        }
        assert_eq!(stood_back, 4);
        // And nobody does where there is nobody else.
        rest.meet(event(), now);
        rest.win(event(), now, 1, 0);
        assert!(rest.admit(task(), now).is_some());
    }
}
