//! What waits to be read of one org. Repeats while one waits are that one, and
//! the same is not begun twice within a second: a hundred Updates of an event
//! in a second are two refreshes, the first of them at once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use sloe_core::ids::SfId;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::orgs::lock;

/// Events that may wait one by one; more are read with the whole org.
const WAITING: usize = 1_000;
/// How far apart two refreshes of the same begin.
const APART: Duration = Duration::from_secs(1);

/// What waits to be read; `None` is the whole org.
#[derive(Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Default)]
struct Waiting {
    due: BTreeMap<Option<SfId>, Due>,
    /// When each was last begun, for as long as that matters.
    begun: BTreeMap<Option<SfId>, Instant>,
    /// What is being read: if whoever reads ends by a panic, it waits again.
    under_way: Option<Turn>,
    /// The org's allowance is used up until then, whoever asks.
    closed_until: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Due {
    at: Instant,
    /// Failures in a row.
    failures: u32,
    /// When somebody asked for it who looks at the page.
    asked: Option<Instant>,
}

/// Something whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) target: Option<SfId>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// When somebody asked for it who looks at the page.
    pub(super) asked: Option<Instant>,
}

impl Waiting {
    /// The first time that a target may begin again.
    fn earliest(&self, target: Option<SfId>, now: Instant) -> Instant {
        self.begun.get(&target).map_or(now, |begun| now.max(*begun + APART))
    }

    fn begin(&mut self, target: Option<SfId>, now: Instant) -> Option<Turn> {
        let Due { failures, asked, .. } = self.due.remove(&target)?;
        self.begun.retain(|_, begun| *begun + APART > now);
        self.begun.insert(target, now);
        let turn = Turn { target, failures, asked };
        self.under_way = Some(turn);
        Some(turn)
    }
}

impl Inbox {
    /// Lets a target wait, unless it does already. `looked_at` is whether
    /// somebody looks at the page for it.
    pub(crate) fn push(&self, target: Option<SfId>, looked_at: bool) {
        self.push_at(Instant::now(), target, looked_at);
    }

    fn push_at(&self, now: Instant, target: Option<SfId>, looked_at: bool) {
        let mut waiting = lock(&self.waiting);
        let known = waiting.due.get(&target).copied();
        let full = waiting.due.len() >= WAITING && known.is_none();
        let target = if full { None } else { target };
        let asked = known.and_then(|due| due.asked).or(looked_at.then_some(now));
        let at = waiting.earliest(target, now);
        waiting.due.insert(target, Due { at, failures: 0, asked });
        self.news.notify_one();
    }

    /// Lets the whole org wait, unless it is being read already.
    pub(crate) fn push_first(&self) {
        let under_way = lock(&self.waiting).under_way.is_some_and(|turn| turn.target.is_none());
        if !under_way {
            self.push(None, false);
        }
    }

    /// Lets a target that failed wait for its next turn, unless it was asked for anew.
    pub(super) fn again(&self, turn: Turn, pause: Duration) {
        let due = Due {
            at: Instant::now() + pause,
            failures: turn.failures.saturating_add(1),
            asked: turn.asked,
        };
        lock(&self.waiting).due.entry(turn.target).or_insert(due);
    }

    /// Lets nothing go for a while.
    pub(super) fn close(&self, pause: Duration) {
        lock(&self.waiting).closed_until = Some(Instant::now() + pause);
    }

    /// What was begun is over, well or not.
    pub(super) fn end(&self) {
        lock(&self.waiting).under_way = None;
    }

    /// What was begun and never ended, as after a panic.
    pub(super) fn left_over(&self) -> Option<Turn> {
        lock(&self.waiting).under_way.take()
    }

    /// Everything that waits or is under way.
    pub(super) fn targets(&self) -> Vec<Option<SfId>> {
        let waiting = lock(&self.waiting);
        let under_way = waiting.under_way.map(|turn| turn.target);
        let mut all: Vec<_> = waiting.due.keys().copied().chain(under_way).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Takes out what is due, or says when to look again.
    fn take(&self, now: Instant) -> Result<Turn, Option<Instant>> {
        let mut waiting = lock(&self.waiting);
        if let Some(until) = waiting.closed_until.filter(|until| *until > now) {
            return Err(Some(until));
        }
        let next = waiting.due.iter().min_by_key(|(_, due)| due.at).map(|(t, due)| (*t, due.at));
        let (target, at) = next.ok_or(None)?;
        if at > now {
            return Err(Some(at));
        }
        waiting.begin(target, now).ok_or(None)
    }

    /// Takes out an event that is due while the whole org is being read, which
    /// stays what is under way.
    pub(super) fn take_event(&self) -> Option<Turn> {
        let now = Instant::now();
        let mut waiting = lock(&self.waiting);
        if waiting.closed_until.is_some_and(|until| until > now) {
            return None;
        }
        let due = waiting.due.iter().filter(|(target, due)| target.is_some() && due.at <= now);
        let target = due.min_by_key(|(_, due)| due.at).map(|(target, _)| *target)?;
        let whole = waiting.under_way;
        let turn = waiting.begin(target, now);
        waiting.under_way = whole;
        turn
    }

    /// What is due next, once it is.
    pub(super) async fn next(&self) -> Turn {
        loop {
            let news = self.news.notified();
            match self.take(Instant::now()) {
                Ok(turn) => return turn,
                Err(None) => news.await,
                Err(Some(until)) => {
                    let _ = tokio::time::timeout_at(until, news).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn event(n: u8) -> Option<SfId> {
        Some(SfId::parse(&format!("a00000000000{n:03}")).unwrap())
    }

    #[test]
    fn a_hundred_requests_within_a_second_are_two_turns_the_first_at_once() {
        let (inbox, start) = (Inbox::default(), Instant::now());
        let mut turns = Vec::new();
        for n in 0..100 {
            let now = start + Duration::from_millis(10) * n;
            inbox.push_at(now, event(1), true);
            if let Ok(turn) = inbox.take(now) {
                turns.push(now - start);
                assert_eq!((turn.target, turn.asked), (event(1), Some(now)));
                inbox.end();
            }
        }
        let last = inbox.take(start + APART).unwrap();
        turns.push(APART);
        assert_eq!(turns, [Duration::ZERO, APART]);
        // Measured from the first request that the turn answers.
        assert_eq!(last.asked, Some(start + Duration::from_millis(10)));
        assert_eq!(inbox.take(start + APART * 2), Err(None));
    }

    #[test]
    fn one_event_does_not_wait_for_another_ones_second() {
        let (inbox, start) = (Inbox::default(), Instant::now());
        inbox.push_at(start, event(1), false);
        inbox.take(start).unwrap();
        inbox.push_at(start, event(1), false);
        inbox.push_at(start, event(2), false);
        assert_eq!(inbox.take(start).unwrap().target, event(2));
        assert_eq!(inbox.take(start), Err(Some(start + APART)));
    }

    #[test]
    fn too_many_events_are_the_whole_org() {
        let inbox = Inbox::default();
        for n in 0..=WAITING {
            inbox.push(Some(SfId::parse(&format!("a00{n:012}")).unwrap()), false);
        }
        assert_eq!(inbox.targets().len(), WAITING + 1);
        assert_eq!(inbox.targets()[0], None);
    }

    #[test]
    fn an_event_has_its_turn_while_the_whole_org_is_read_which_stays_under_way() {
        let inbox = Inbox::default();
        inbox.push(None, false);
        let whole = inbox.take(Instant::now()).unwrap();
        assert_eq!(inbox.take_event(), None);
        inbox.push(event(1), true);
        assert_eq!(inbox.take_event().unwrap().target, event(1));
        assert_eq!(inbox.left_over(), Some(whole));
    }

    #[test]
    fn what_was_under_way_at_a_panic_is_not_forgotten() {
        let inbox = Inbox::default();
        inbox.push(event(1), false);
        let turn = inbox.take(Instant::now()).unwrap();
        assert_eq!(inbox.targets(), [event(1)]);
        assert_eq!(inbox.left_over(), Some(turn));
        inbox.again(turn, Duration::from_secs(5));
        let again = inbox.take(Instant::now() + Duration::from_secs(6)).unwrap();
        assert_eq!(again.failures, 1);
        inbox.end();
        assert!(inbox.targets().is_empty());
    }
}
