//! What the demo says while it starts, if that takes a while.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A start that takes no longer says nothing.
const QUIET: Duration = Duration::from_secs(1);

/// Tells the step under way on standard error, once the start takes longer than a second.
pub(super) struct Progress {
    step: watch::Sender<String>,
    telling: JoinHandle<()>,
}

impl Progress {
    /// Begins to wait; `silent` never says anything.
    pub(super) fn start(silent: bool) -> Self {
        let (step, mut steps) = watch::channel(String::new());
        let telling = tokio::spawn(async move {
            if silent || tokio::time::timeout(QUIET, ended(&mut steps.clone())).await.is_ok() {
                return;
            }
            loop {
                let step = steps.borrow_and_update().clone();
                eprintln!("  {step} …");
                if steps.changed().await.is_err() {
                    return;
                }
            }
        });
        Self { step, telling }
    }

    /// What is done from now on.
    pub(super) fn step(&self, step: String) {
        self.step.send_replace(step);
    }

    /// The start is over; nothing is said after this.
    pub(super) async fn end(self) {
        drop(self.step);
        // It has nothing left to do but to end.
        let _ = self.telling.await;
    }
}

async fn ended(steps: &mut watch::Receiver<String>) {
    while steps.changed().await.is_ok() {}
}
