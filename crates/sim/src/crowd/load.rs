//! Bare load: the same kind of request over and over, counted and nothing
//! proved. The benchmarks measure Sloe and its ceilings with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;

use super::StormError;
use super::report::Latency;
use super::wire::{Client, Target};

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Answers with the expected status.
    pub answers: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// Answers a second.
    pub per_second: f64,
    /// Anything else that came back, trouble included.
    pub others: u64,
    /// Bytes of one body.
    pub body_bytes: usize,
    /// From request to answer.
    pub latency_ms: Latency,
}

/// Sends the requests that `write` makes (by their number) over so many
/// connections for so long, as fast as the answers come.
///
/// # Errors
/// [`StormError`]: a task of ours failed.
pub async fn run(
    target: Arc<Target>,
    connections: usize,
    duration: Duration,
    expected: u16,
    write: impl Fn(u64, &mut Vec<u8>) + Send + Sync + 'static,
) -> Result<Measured, StormError> {
    let write = Arc::new(write);
    let number = Arc::new(AtomicU64::new(0));
    let (began, end) = (Instant::now(), Instant::now() + duration);
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (target, write, number) =
            (Arc::clone(&target), Arc::clone(&write), Arc::clone(&number));
        tasks.spawn(async move {
            let mut client = Client::new(target, Duration::from_secs(10));
            let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000, 2)
                .map_err(|error| StormError::Figures(error.to_string()))?;
            let (mut request, mut others, mut body) = (Vec::new(), 0_u64, 0);
            while Instant::now() < end {
                write(number.fetch_add(1, Ordering::Relaxed), &mut request);
                let sent = Instant::now();
                if client.exchange(&request).await == Ok(expected) {
                    let took = sent.elapsed().as_micros();
                    times.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
                    body = client.reply().body.len();
                } else {
                    others += 1;
                }
            }
            Ok::<_, StormError>((times, others, body))
        });
    }
    let mut all = Histogram::<u64>::new_with_bounds(1, 60_000_000, 2)
        .map_err(|error| StormError::Figures(error.to_string()))?;
    let (mut others, mut body_bytes) = (0, 0);
    while let Some(done) = tasks.join_next().await {
        let (times, other, body) = done??;
        all.add(times).map_err(|error| StormError::Figures(error.to_string()))?;
        others += other;
        body_bytes = body_bytes.max(body);
    }
    let (answers, seconds) = (all.len(), began.elapsed().as_secs_f64());
    // Counts are far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    let per_second = answers as f64 / seconds;
    let latency_ms = Latency::of(&all);
    Ok(Measured { answers, seconds, per_second, others, body_bytes, latency_ms })
}
