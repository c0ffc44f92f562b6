//! Who does what only one node at a time may do, when many nodes run on one
//! store and any of them may die at any moment.
//!
//! Every node counts up a beat of its own in the store. Nobody compares
//! clocks: a node counts as dead to another one once that one has seen its
//! beat stand still for [`LAPSE_MILLIS`] by its own clock. A lease names its
//! holder and has an epoch, one more with each holder. Time decides only who
//! tries: what a holder writes is taken by the store only at its own epoch.
//! A node whose beat was not taken for [`STOP_MILLIS`] ends its work by itself,
//! before anybody else begins it.

use std::collections::{BTreeMap, BTreeSet};

/// How often a node's beat is counted up, in milliseconds.
pub const BEAT_MILLIS: u64 = 1_000;
/// After so long without a taken beat a node does nothing any more that one node at a time does.
pub const STOP_MILLIS: u64 = 4_000;
/// A node whose beat others saw stand still for so long is dead to them.
pub const LAPSE_MILLIS: u64 = 6_000;

// A holder looks at its own beat at least once a beat, and so do those who wait for it to lapse: it
// has ended its work before another begins, which it does within ten seconds of the holder's death.
const _: () = assert!(STOP_MILLIS + BEAT_MILLIS < LAPSE_MILLIS);
const _: () = assert!(LAPSE_MILLIS + 2 * BEAT_MILLIS < 10_000);

/// A node: one run of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u128);

impl NodeId {
    /// As 32 hexadecimal digits.
    #[must_use]
    pub fn text(self) -> String {
        format!("{:032x}", self.0)
    }

    /// What [`NodeId::text`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        plain.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

/// A lease as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// One more with each holder, and when it is given back; 0 before the first.
    pub epoch: u64,
    /// Who holds it; `None` if it was given back.
    pub holder: Option<NodeId>,
}

/// What a node has seen of the others' beats.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    /// Each node's last beat, and since when that is what is seen, in
    /// milliseconds of a clock that only goes forward.
    seen: BTreeMap<NodeId, (u64, u64)>,
}

impl Pulse {
    /// Takes in all beats as they are stored at `now`.
    pub fn see(&mut self, beats: &[(NodeId, u64)], now: u64) {
        let there: BTreeSet<NodeId> = beats.iter().map(|(node, _)| *node).collect();
        self.seen.retain(|node, _| there.contains(node));
        for (node, beat) in beats {
            let seen = self.seen.entry(*node).or_insert((*beat, now));
            if seen.0 != *beat {
                *seen = (*beat, now);
            }
        }
    }

    /// Whether a node's beat was seen to move, or is known for not longer than the lapse.
    #[must_use]
    pub fn is_alive(&self, node: NodeId, now: u64) -> bool {
        self.still_for(node, now).is_some_and(|still| still < LAPSE_MILLIS)
    }

    /// For how long a node's beat was seen to stand still.
    #[must_use]
    pub fn still_for(&self, node: NodeId, now: u64) -> Option<u64> {
        self.seen.get(&node).map(|(_, since)| now.saturating_sub(*since))
    }
}

/// What a node does about a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Try to become its holder at this epoch; whoever writes it first is.
    Take(String, u64),
    /// Let another node have it.
    Give(String),
}

/// What `me` does about the leases of all `work` there is, so that everything
/// has a holder and nobody holds much more than its share. `nodes` are those
/// that can work and are alive, `mine` what this node holds.
#[must_use]
pub fn plan(
    me: NodeId,
    nodes: &BTreeSet<NodeId>,
    work: &BTreeSet<String>,
    leases: &BTreeMap<String, Lease>,
    mine: &BTreeSet<String>,
) -> Vec<Step> {
    let others = nodes.iter().filter(|node| **node != me).count();
    let share = work.len().div_ceil(others + 1);
    let held = mine.intersection(work).count();
    let idle = mine.difference(work).cloned().map(Step::Give);
    // The store has it as this node's, and this node does not: an answer was lost. Nobody else
    // would take it from one that lives, so it takes it anew, however much it has.
    let epoch = |name: &str| leases.get(name).map_or(0, |lease| lease.epoch);
    let is_lost = |name: &&String| {
        let holder = leases.get(*name).and_then(|lease| lease.holder);
        !mine.contains(*name) && holder == Some(me) && !crate::planted!(LostLease)
    };
    let lost: Vec<&String> = work.iter().filter(is_lost).collect();
    let again = lost.iter().map(|name| Step::Take((*name).clone(), epoch(name) + 1));
    let idle = idle.chain(again);
    let held = held + lost.len();
    if held > share {
        // One at a time: each has to come to its end, and to be begun elsewhere.
        let surplus = mine.intersection(work).last().cloned().map(Step::Give);
        return idle.chain(surplus).collect();
    }
    let is_free = |name: &&String| {
        let holder = leases.get(*name).and_then(|lease| lease.holder);
        !mine.contains(*name)
            && !lost.contains(name)
            && holder.is_none_or(|holder| !nodes.contains(&holder))
    };
    let free: Vec<&String> = work.iter().filter(is_free).collect();
    // Nodes that look at the same moment begin at different places.
    let place = nodes.iter().position(|node| *node == me).unwrap_or(0);
    let first = place * free.len() / (others + 1);
    let turn = free.iter().cycle().skip(first).take(free.len());
    let take = turn.take(share - held);
    let take = take.map(|name| Step::Take((*name).clone(), epoch(name) + 1));
    idle.chain(take).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn names(n: usize) -> BTreeSet<String> {
        (0..n).map(|n| format!("org/{n:03}")).collect()
    }

    fn nodes(ids: impl IntoIterator<Item = u128>) -> BTreeSet<NodeId> {
        ids.into_iter().map(NodeId).collect()
    }

    #[test]
    fn a_node_is_dead_once_its_beat_was_seen_to_stand_still_long_enough() {
        let (one, other) = (NodeId(1), NodeId(2));
        let mut pulse = Pulse::default();
        pulse.see(&[(one, 7), (other, 1)], 1_000);
        pulse.see(&[(one, 8), (other, 1)], 5_000);
        let after = 1_000 + LAPSE_MILLIS;
        assert!(pulse.is_alive(one, after) && !pulse.is_alive(other, after));
        assert!(pulse.is_alive(other, after - 1));
        assert_eq!(pulse.still_for(one, after), Some(after - 5_000));
        // It was only slow; and one that is gone is no node.
        pulse.see(&[(other, 2)], after);
        assert!(pulse.is_alive(other, after) && !pulse.is_alive(one, after));
    }

    #[test]
    fn what_a_dead_node_held_is_taken_at_the_next_epoch_and_what_a_living_one_holds_is_not() {
        let work = names(2);
        let lease = |holder| Lease { epoch: 4, holder: Some(NodeId(holder)) };
        let leases = [("org/000", lease(2)), ("org/001", lease(3))];
        let leases = leases.map(|(name, lease)| (name.to_owned(), lease)).into();
        let steps = plan(NodeId(1), &nodes([1, 3]), &work, &leases, &BTreeSet::new());
        assert_eq!(steps, [Step::Take("org/000".into(), 5)]);
    }

    #[test]
    fn what_the_store_has_as_a_node_s_own_is_taken_anew_however_much_it_has() {
        let (work, mine) = (names(2), BTreeSet::from(["org/000".to_owned()]));
        let lease = |epoch| Lease { epoch, holder: Some(NodeId(1)) };
        let leases = [("org/000", lease(3)), ("org/001", lease(8))];
        let leases = leases.map(|(name, lease)| (name.to_owned(), lease)).into();
        // Its share is one. The answer to its taking of the other one was lost.
        let steps = plan(NodeId(1), &nodes([1, 2]), &work, &leases, &mine);
        let again = Step::Take("org/001".into(), 9);
        assert_eq!(steps, [again, Step::Give("org/000".into())]);
    }

    #[test]
    fn what_there_is_no_work_for_any_more_is_given_back() {
        let mine = BTreeSet::from(["org/gone".to_owned()]);
        let steps = plan(NodeId(1), &nodes([1]), &names(0), &BTreeMap::new(), &mine);
        assert_eq!(steps, [Step::Give("org/gone".into())]);
    }

    #[test]
    fn a_node_has_a_name_that_reads_back() {
        let node = NodeId(0x1234_5678 << 90);
        assert_eq!(NodeId::parse(&node.text()), Some(node));
        assert_eq!(NodeId::parse("12"), None);
        assert_eq!(NodeId::parse(&"+".repeat(32)), None);
    }

    proptest! {
        /// Nodes that come, die and look in any order: one holder at a time, and
        /// after everybody has looked often enough everything has one, evenly.
        #[test]
        fn everything_has_one_living_holder_and_nobody_much_more_than_a_share(
            works in 0..30_usize,
            events in proptest::collection::vec((0..4_u8, 0..5_u128), 0..60),
        ) {
            let work = names(works);
            let mut alive = nodes([0]);
            let mut leases: BTreeMap<String, Lease> = BTreeMap::new();
            let mut mine: BTreeMap<NodeId, BTreeSet<String>> = BTreeMap::new();
            let look = |me: NodeId, alive: &BTreeSet<NodeId>, leases: &mut BTreeMap<String, Lease>, mine: &mut BTreeMap<NodeId, BTreeSet<String>>| {
                let own = mine.entry(me).or_default();
                for step in plan(me, alive, &work, leases, own) {
                    match step {
                        Step::Take(name, epoch) => {
                            let before = leases.get(&name).copied().unwrap_or_default();
                            assert_eq!(before.epoch + 1, epoch);
                            let may = |holder| holder == me || !alive.contains(&holder);
                            assert!(before.holder.is_none_or(may));
                            leases.insert(name.clone(), Lease { epoch, holder: Some(me) });
                            own.insert(name);
                        }
                        Step::Give(name) => {
                            let lease = leases.get_mut(&name).unwrap();
                            *lease = Lease { epoch: lease.epoch + 1, holder: None };
                            own.remove(&name);
                        }
                    }
                }
            };
            for (what, id) in events {
                let node = NodeId(id);
                match what {
                    0 => { alive.insert(node); }
                    1 if alive.len() > 1 => { alive.remove(&node); mine.remove(&node); }
                    _ if alive.contains(&node) => look(node, &alive, &mut leases, &mut mine),
                    _ => {}
                }
            }
            for _ in 0..works + 2 {
                for node in alive.clone() {
                    look(node, &alive, &mut leases, &mut mine);
                }
            }
            let share = works.div_ceil(alive.len());
            for name in &work {
                let holder = leases[name].holder.unwrap();
                prop_assert!(alive.contains(&holder) && mine[&holder].contains(name));
            }
            prop_assert!(alive.iter().all(|node| mine[node].len() <= share));
        }
    }
}
