//! The loop that every reconciler of the platform runs in.

use std::time::Duration;

use sloe_core::time::Timestamp;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::Engine;

/// How a worker's last run went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// When it ended.
    pub at: Timestamp,
    /// How many runs there were since the start.
    pub count: u64,
    /// What went wrong, if anything; names nobody.
    pub fault: Option<String>,
}

/// Between two runs, however much news there is: at least, and at most. In between for twice as
/// long as the run took, so that one that takes long is not all that its node and the store do.
const REST: Duration = Duration::from_millis(50);
const LONG_REST: Duration = Duration::from_millis(500);

/// Runs `work` whenever `wake` says so, and every `period` in any case, until
/// the engine stops. What a run doesn't finish, the next one does.
pub(super) fn drive<F>(
    engine: &Engine,
    name: &'static str,
    period: Duration,
    wake: fn(&Engine) -> &Notify,
    work: impl Fn(Engine) -> F + Send + 'static,
) where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let workers = engine.workers();
    let stopping = workers.stopping.clone();
    let engine = engine.clone();
    let task = async move {
        while !stopping.is_cancelled() {
            let began = engine.world().steady();
            // A run of its own task: a panic ends this run, and not all that would follow.
            let run = AbortOnDropHandle::new(tokio::spawn(work(engine.clone())));
            let fault = match run.await {
                Ok(done) => done.err(),
                Err(_) => {
                    metrics::counter!("sloe_worker_panics_total", "worker" => name).increment(1);
                    Some("it ended by a panic".to_owned())
                }
            };
            {
                let mut runs = engine.workers().runs();
                let before = runs.get(name).and_then(|run| run.fault.as_ref());
                if let Some(fault) = fault.as_ref().filter(|fault| before != Some(fault)) {
                    tracing::warn!(
                        worker = name,
                        fault,
                        "a worker's run failed; the next one tries again"
                    );
                }
                let count = runs.get(name).map_or(1, |run| run.count + 1);
                runs.insert(name, Run { at: engine.now(), count, fault });
            }
            // Commits come in hundreds a second, each with news: one look is for all of a moment.
            let took = engine.world().steady().duration_since(began);
            let rest = took.saturating_mul(2).clamp(REST, LONG_REST).min(period);
            let next = async {
                tokio::time::sleep(rest).await;
                tokio::select! {
                    () = wake(&engine).notified() => {}
                    () = tokio::time::sleep(period) => {}
                }
            };
            stopping.run_until_cancelled(next).await;
        }
    };
    workers.spawn(task);
}
