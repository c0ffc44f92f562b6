//! One node: an engine of its own, behind its own clock and its own way to
//! the store, that may end at any moment and start anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sloe_core::ids::OrgId;
use sloe_engine::engine::{Engine, Options, StartError};
use sloe_engine::seal::Key;
use sloe_engine::steps::Steps;
use sloe_engine::worker::{self, Outbox};

use super::clock::NodeClock;
use super::line::{Exchange, Inbox};
use super::port::{Port, Weather};
use super::stage::Stage;

/// A node, alive or not.
pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) port: Arc<Port>,
    pub(crate) clock: Arc<NodeClock>,
    pub(crate) life: Option<Life>,
    /// Counts its starts: what was due in an earlier life does not happen in a later one.
    pub(crate) lives: u64,
    /// It stands still until then, and knows nothing of it.
    pub(crate) frozen_until: i64,
}

/// What a node has in memory.
pub(crate) struct Life {
    pub(crate) engine: Engine,
    pub(crate) steps: Steps,
    /// A commit is about to be made.
    pub(crate) committing: bool,
    /// Outboxes of orgs that are not looking at this moment.
    pub(crate) boxes: BTreeMap<OrgId, Box<Outbox>>,
    /// Orgs whose outbox looks.
    pub(crate) looking: Vec<OrgId>,
    /// Tasks of the node's own that are under way, by name.
    pub(crate) busy: Vec<&'static str>,
}

impl Node {
    pub(crate) fn new(number: usize, port: Arc<Port>, clock: Arc<NodeClock>) -> Self {
        Self { number, port, clock, life: None, lives: 0, frozen_until: 0 }
    }

    /// Starts the node; the store must answer.
    pub(crate) fn start(&mut self, stage: &Stage) -> Result<(), StartError> {
        self.port.revive(Weather::default());
        let settings = worker::Settings {
            gather: Duration::ZERO,
            figures_every: Duration::ZERO,
            bulk_from: stage.bulk_from,
            ..worker::Settings::default()
        };
        let (engine, mut steps) = Engine::stepped(Options {
            store: Arc::clone(&self.port) as Arc<dyn sloe_store::api::Store>,
            master_key: Key::new([7; 32]),
            world: Arc::clone(&self.clock) as Arc<dyn sloe_engine::clock::World>,
            ledger_bytes: stage.ledger_bytes,
            workers: Some(settings),
        })?;
        steps.write_checkpoints(stage.checkpoint_facts);
        self.port.set_name(steps.node());
        self.lives += 1;
        self.life = Some(Life {
            engine,
            steps,
            committing: false,
            boxes: BTreeMap::new(),
            looking: Vec::new(),
            busy: Vec::new(),
        });
        Ok(())
    }

    /// Takes up the outbox of an org, if its work is this node's.
    pub(crate) fn take_outbox(&mut self, org: OrgId, inbox: &Inbox) -> Option<Box<Outbox>> {
        let life = self.life.as_mut()?;
        if life.looking.contains(&org) {
            return None;
        }
        if let Some(known) = life.boxes.remove(&org)
            && !known.is_over()
        {
            life.looking.push(org);
            return Some(known);
        }
        let exchange = Exchange { node: self.number, inbox: inbox.clone() };
        let outbox = life.steps.outbox(org, Arc::new(exchange))?;
        // Read once, and in vain never: how it goes on when it can't be read is a pause.
        let weather = self.port.calm();
        let opened = now(outbox.open());
        self.port.set_weather(weather);
        opened?;
        life.looking.push(org);
        Some(Box::new(outbox))
    }
}

/// What comes of a future that waits for nothing.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
