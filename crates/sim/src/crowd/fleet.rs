//! The targets, and going from one to the next: what a load balancer would do
//! for visitors of several nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::StormError;
use super::wire::{Client, Reply, Target, Trouble};

/// How long nobody goes to a target that did not answer.
const REST: Duration = Duration::from_millis(500);

/// All targets.
pub(super) struct Fleet {
    targets: Vec<Node>,
    began: Instant,
}

struct Node {
    target: Arc<Target>,
    /// Until when it is left alone, in milliseconds after the begin.
    rests: AtomicU64,
}

/// Where the next request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) target: usize,
    /// The target whose turn it was, if it is left alone at the moment.
    pub(super) instead_of: Option<usize>,
}

impl Fleet {
    /// Looks all of them up.
    pub(super) async fn resolve(urls: &[String]) -> Result<Self, StormError> {
        let mut targets = Vec::new();
        for url in urls {
            let target = Arc::new(Target::resolve(url).await?);
            targets.push(Node { target, rests: AtomicU64::new(0) });
        }
        if targets.is_empty() {
            return Err(StormError::NoTarget);
        }
        Ok(Self { targets, began: Instant::now() })
    }

    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Scheme, host and port of each.
    pub(super) fn origins(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(|node| node.target.origin.as_str())
    }

    /// The first one, whose name all of them hear, as behind a load balancer.
    pub(super) fn name(&self) -> &Target {
        // There is one at least: `resolve` sees to it.
        &self.targets[0].target
    }

    /// Whose turn it is at this step: the next one, past those that rest.
    pub(super) fn pick(&self, step: u64) -> Pick {
        let count = self.targets.len() as u64;
        let turn = usize::try_from(step % count.max(1)).unwrap_or(0);
        if count < 2 {
            return Pick { target: turn, instead_of: None };
        }
        let now = self.millis();
        let awake = |at: &usize| {
            self.targets.get(*at).is_some_and(|node| node.rests.load(Ordering::Relaxed) <= now)
        };
        let found = (turn..self.targets.len()).chain(0..turn).find(awake);
        let target = found.unwrap_or(turn);
        Pick { target, instead_of: (target != turn).then_some(turn) }
    }

    /// A target did not answer: others take its turns for a moment.
    pub(super) fn rest(&self, target: usize) {
        if let Some(node) = self.targets.get(target) {
            let until = self.millis() + u64::try_from(REST.as_millis()).unwrap_or(0);
            node.rests.store(until, Ordering::Relaxed);
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A connection to each target, made when needed.
pub(super) struct Clients {
    clients: Vec<Client>,
    last: usize,
}

impl Clients {
    pub(super) fn new(fleet: &Fleet, patience: Duration) -> Self {
        let clients =
            fleet.targets.iter().map(|node| Client::new(Arc::clone(&node.target), patience));
        Self { clients: clients.collect(), last: 0 }
    }

    /// Asks one target; [`Clients::reply`] is its answer then.
    pub(super) async fn exchange(&mut self, target: usize, request: &[u8]) -> Result<u16, Trouble> {
        self.last = target;
        match self.clients.get_mut(target) {
            Some(client) => client.exchange(request).await,
            None => Err(Trouble::Connect),
        }
    }

    /// Asks one after the other, beginning with this one, until one answers.
    pub(super) async fn somewhere(&mut self, first: usize, request: &[u8]) -> Result<u16, Trouble> {
        let count = self.clients.len();
        let mut last = Err(Trouble::Connect);
        for at in 0..count {
            last = self.exchange((first + at) % count, request).await;
            if last.is_ok() {
                break;
            }
        }
        last
    }

    /// The last answer.
    pub(super) fn reply(&self) -> Reply<'_> {
        // `last` is the index of a client that was asked.
        self.clients[self.last].reply()
    }

    /// Gives the last connection up: what was sent on it was not a whole request.
    pub(super) fn hang_up(&mut self) {
        if let Some(client) = self.clients.get_mut(self.last) {
            client.hang_up();
        }
    }

    /// Gives all connections up, so that nobody inherits what was done to them.
    pub(super) fn hang_up_all(&mut self) {
        self.clients.iter_mut().for_each(Client::hang_up);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn fleet(count: u16) -> Fleet {
        let urls: Vec<String> = (1..=count).map(|n| format!("http://127.0.0.1:{n}")).collect();
        Fleet::resolve(&urls).await.unwrap()
    }

    #[tokio::test]
    async fn every_step_goes_to_the_next_target_and_past_one_that_rests() {
        let fleet = fleet(3).await;
        let targets = |fleet: &Fleet| (0..6).map(|s| fleet.pick(s).target).collect::<Vec<_>>();
        assert_eq!(targets(&fleet), [0, 1, 2, 0, 1, 2]);
        fleet.rest(1);
        assert_eq!(targets(&fleet), [0, 2, 2, 0, 2, 2]);
        assert_eq!(fleet.pick(1), Pick { target: 2, instead_of: Some(1) });
        // Where nobody answers, somebody must be asked all the same.
        fleet.rest(0);
        fleet.rest(2);
        assert_eq!(targets(&fleet), [0, 1, 2, 0, 1, 2]);
    }

    #[tokio::test]
    async fn the_only_target_never_rests_and_none_is_refused() {
        let fleet = fleet(1).await;
        fleet.rest(0);
        assert_eq!(fleet.pick(7), Pick { target: 0, instead_of: None });
        assert!(matches!(Fleet::resolve(&[]).await, Err(StormError::NoTarget)));
    }
}
