//! A task that ends by a panic is begun again: one bad record must not end an
//! org's refreshes for good.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sloe_core::ids::OrgId;
use sloe_core::time::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::Engine;

/// The longest pause after a panic.
const LONGEST: Duration = Duration::from_secs(60);
/// A task that ran so long is taken for sound again.
const SOUND: Duration = Duration::from_secs(10 * 60);

/// The panics of one org's task since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stumbles {
    /// The task.
    pub worker: &'static str,
    /// How many.
    pub count: u64,
    /// The last one.
    pub at: Timestamp,
}

/// Panics of all orgs' tasks.
#[derive(Default)]
pub(crate) struct Stumbled(Mutex<BTreeMap<(OrgId, &'static str), Stumbles>>);

impl Stumbled {
    fn note(&self, org: OrgId, worker: &'static str, at: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.entry((org, worker)).or_insert(Stumbles { worker, count: 0, at });
        of.count += 1;
        of.at = at;
    }

    /// Those of one org.
    pub(crate) fn of(&self, org: OrgId) -> Vec<Stumbles> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|((of, _), _)| *of == org).map(|(_, stumbles)| stumbles.clone()).collect()
    }
}

/// Runs an org's task until it ends by itself or the engine stops.
pub(super) async fn supervise<F>(
    engine: Engine,
    org: OrgId,
    worker: &'static str,
    work: impl Fn() -> F + Send,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let stopping = engine.workers().stopping.clone();
    let again = |count: u32| {
        tracing::error!(%org, worker, count, "a task ended by a panic; it is begun again");
        metrics::counter!("sloe_worker_panics_total", "worker" => worker).increment(1);
        engine.workers().stumbled.note(org, worker, engine.now());
    };
    endure(work, again, pause_after, stopping).await;
}

fn pause_after(panics: u32) -> Duration {
    LONGEST.min(Duration::from_secs(1 << panics.min(6)))
}

/// Begins `work` again after every panic, after a growing pause.
async fn endure<F>(
    work: impl Fn() -> F,
    panicked: impl Fn(u32),
    pause: impl Fn(u32) -> Duration,
    stopping: CancellationToken,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut count: u32 = 0;
    loop {
        let began = Instant::now();
        // Ended with whoever waits for it.
        match AbortOnDropHandle::new(tokio::spawn(work())).await {
            Err(error) if error.is_panic() => {}
            Ok(()) | Err(_) => return,
        }
        count = if began.elapsed() < SOUND { count.saturating_add(1) } else { 1 };
        panicked(count);
        tokio::select! {
            () = tokio::time::sleep(pause(count)) => {}
            () = stopping.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_begun_again_with_growing_pauses_until_it_ends_well() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Mutex::new(Vec::new());
        let work = || {
            let runs = Arc::clone(&runs);
            async move {
                assert!(runs.fetch_add(1, Ordering::SeqCst) >= 3, "a bad record");
            }
        };
        let note = |count| counted.lock().unwrap().push(count);
        let asked = Mutex::new(Vec::new());
        let pause = |panics| {
            asked.lock().unwrap().push(pause_after(panics).as_secs());
            Duration::ZERO
        };
        endure(work, note, pause, CancellationToken::new()).await;
        assert_eq!(runs.load(Ordering::SeqCst), 4);
        assert_eq!(*counted.lock().unwrap(), [1, 2, 3]);
        assert_eq!(*asked.lock().unwrap(), [2, 4, 8]);
    }

    #[tokio::test]
    async fn a_task_ends_with_whoever_waits_for_it() {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let work = move || {
            let held = Arc::clone(&held);
            async move {
                let _held = held;
                std::future::pending::<()>().await;
            }
        };
        let waiting = tokio::spawn(endure(work, |_| {}, pause_after, CancellationToken::new()));
        tokio::task::yield_now().await;
        assert!(Arc::strong_count(&alive) > 1);
        waiting.abort();
        let _ = waiting.await;
        while Arc::strong_count(&alive) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
