//! What runs on a node until it is done: polled by the world and nobody else,
//! in the order in which it was begun.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sloe_core::ids::OrgId;
use sloe_engine::worker::Outbox;

use super::visitor::Heard;

/// What came of a task.
pub(crate) enum Done {
    /// A visitor was answered.
    Visitor(Heard),
    /// An outbox looked, and wants to be left alone for so long.
    Looked(OrgId, Box<Outbox>, Duration),
    /// A node did something of its own; how it ended, in words.
    Other(&'static str, String),
}

/// A future that is the world's.
pub(crate) type Run = Pin<Box<dyn Future<Output = Done>>>;

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A future and where it runs.
pub(crate) struct Task {
    pub(crate) node: usize,
    /// Whose visit it is, by number.
    pub(crate) visit: Option<u64>,
    run: Run,
    flag: Arc<Flag>,
    waker: Waker,
}

impl Task {
    pub(crate) fn new(node: usize, visit: Option<u64>, run: Run) -> Self {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        Self { node, visit, run, flag, waker }
    }

    /// Goes on if there is reason to; what came of it if it is done.
    pub(crate) fn poll(&mut self) -> Option<Done> {
        if !self.flag.0.swap(false, Ordering::Relaxed) {
            return None;
        }
        match self.run.as_mut().poll(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.flag.0.load(Ordering::Relaxed)
    }
}
