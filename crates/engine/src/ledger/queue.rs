//! Who is next: tasks wait by org, and orgs take turns, so that one org's
//! spike can't make the others' claims wait behind it.

use std::collections::{HashMap, VecDeque};

use sloe_core::ids::OrgId;

use super::ask::Task;

/// Tasks that wait for the next commit.
#[derive(Default)]
pub(super) struct Queue {
    by_org: HashMap<OrgId, VecDeque<Box<Task>>>,
    turns: VecDeque<OrgId>,
    len: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, task: Box<Task>) {
        let org = task.event.org;
        let waiting = self.by_org.entry(org).or_default();
        if waiting.is_empty() {
            self.turns.push_back(org);
        }
        waiting.push_back(task);
        self.len += 1;
    }

    /// Up to `most` tasks, one from each org in turn, that make `bytes` of
    /// facts and sealed details at most, but one in any case.
    pub(super) fn take(&mut self, most: usize, bytes: usize) -> Vec<Box<Task>> {
        let mut taken = Vec::with_capacity(most.min(self.len));
        let mut sum = 0;
        while taken.len() < most
            && let Some(org) = self.turns.pop_front()
        {
            let Some(waiting) = self.by_org.get_mut(&org) else { continue };
            sum += waiting.front().map_or(0, |task| task.bytes());
            if sum > bytes && !taken.is_empty() {
                self.turns.push_front(org);
                break;
            }
            taken.extend(waiting.pop_front());
            if waiting.is_empty() {
                self.by_org.remove(&org);
            } else {
                self.turns.push_back(org);
            }
        }
        self.len -= taken.len();
        taken
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ledger::Way;
    use sloe_core::ids::{ClaimId, EventRef, SfId};
    use sloe_core::ledger::Command;
    use sloe_store::api::Sealed;

    fn task(org: &str, n: u128) -> Box<Task> {
        let org = OrgId::parse(org).unwrap();
        let event = EventRef { org, event: SfId::parse("a00000000000001").unwrap() };
        let command = Command::Release { claim: ClaimId(n) };
        Box::new(Task::new(Way::Leader, event, command, None).0)
    }

    #[test]
    fn a_busy_org_does_not_keep_a_quiet_one_waiting() {
        let (busy, quiet) = ("00D000000000001", "00D000000000002");
        let mut queue = Queue::default();
        for n in 0..1_000 {
            queue.push(task(busy, n));
        }
        queue.push(task(quiet, 1_000));
        let first = queue.take(2, usize::MAX);
        assert_eq!(first[1].event.org, OrgId::parse(quiet).unwrap());
        assert_eq!((first.len(), queue.len()), (2, 999));
        assert_eq!(queue.take(5_000, usize::MAX).len(), 999);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn long_details_make_a_batch_of_fewer_tasks_and_the_longest_goes_alone() {
        let mut queue = Queue::default();
        for n in 0..10 {
            let mut task = task("00D000000000001", n);
            task.sealed = Some(Sealed { claim: ClaimId(n), body: Some(vec![0; 1_000]) });
            queue.push(task);
        }
        assert_eq!(queue.take(100, 5_000).len(), 4);
        assert_eq!(queue.take(100, 1).len(), 1);
        assert_eq!((queue.take(100, usize::MAX).len(), queue.len()), (5, 0));
    }
}
