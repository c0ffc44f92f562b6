//! A combiner that whoever holds it runs step by step, on their own time: for
//! simulations, where nothing may happen by itself.

use std::sync::Arc;

use sloe_store::api::Store;

use super::combiner::{Combiner, Settings};
use super::desk::Desk;
use super::thread::{Inbox, open, take_in, write_checkpoint};

/// What a combiner's two threads do, one step at a time.
pub(crate) struct Stepper {
    store: Arc<dyn Store>,
    inbox: Inbox,
    combiner: Combiner,
}

impl Stepper {
    pub(crate) fn new(settings: Settings) -> (Desk, Self) {
        let store = Arc::clone(&settings.store);
        let (desk, inbox, combiner) = open(settings);
        (desk, Self { store, inbox, combiner })
    }

    /// Whether anything waits to be decided.
    pub(crate) fn is_idle(&self) -> bool {
        self.inbox.asks.is_empty() && self.combiner.waiting() == 0
    }

    /// One commit of what waits, and of what is due by itself if `sweeping`.
    pub(crate) fn step(&mut self, sweeping: bool) {
        take_in(&mut self.combiner, &self.inbox.asks);
        self.combiner.commit_next(sweeping);
    }

    /// Writes the checkpoints that became due; `due_after` so many facts from now on.
    pub(crate) fn write_checkpoints(&mut self, due_after: usize) {
        self.combiner.checkpoint_after(due_after);
        for (event, image) in self.combiner.due_checkpoints() {
            write_checkpoint(&*self.store, event, &image);
        }
    }
}
