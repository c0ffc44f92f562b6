//! How many durable claims a second the engine takes, without HTTP: holds over
//! so many pools of one event, on the embedded store on this disk, so many
//! waiting at any time; and how long the event takes to load after a restart.
//!
//! `cargo run --release -p sloe-engine --example claim_rate [POOLS] [LIVE] [SECONDS] [WAITING]`
//! (defaults: 4 pools, none live before, 5 s, 512 waiting). Prints one JSON object.

mod stage;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sloe_core::ids::EventRef;
use sloe_engine::claims::RequestId;
use sloe_engine::clock::Machine;
use sloe_engine::engine::Engine;
use sloe_engine::view::Choice;
use sloe_store::api::Store;
use sloe_store::embedded::Embedded;
use stage::{Failure, Times};
use tokio::task::JoinSet;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| args.next().map_or(Ok(default), |text| text.parse());
    let (pools, live) = (number(4)?, number(0)?);
    let (seconds, waiting) = (number(5)?, number(512)?);
    let directory = tempfile::tempdir_in(".")?;
    let runtime = tokio::runtime::Runtime::new()?;
    let told = runtime.block_on(async {
        let at = stage::event(1)?;
        let (engine, store) = open(directory.path())?;
        stage::connect(&engine, &*store)?;
        engine.apply_refresh(at.org, stage::raw(1, "Hot", usize::try_from(pools)?)?).await?;
        let choice = stage::everything(&engine, at)?;
        let crowd = Crowd { engine, at, choice };
        crowd.engine.availability(at).await?;
        let idle = stage::memory()?.0;
        crowd.claim(waiting, live, None).await?;
        let before = crowd.engine.availability(at).await?.version;
        let began = Instant::now();
        let end = began + Duration::from_secs(seconds);
        let mut times = crowd.claim(waiting, u64::MAX, Some(end)).await?;
        let took = began.elapsed().as_secs_f64();
        let most = stage::memory()?.1;
        let left = crowd.engine.availability(at).await?;
        crowd.engine.stop().await;
        drop((crowd, store));
        let loaded = load(directory.path(), at, left.held).await?;
        let claims = times.len();
        Ok::<_, Failure>(serde_json::json!({
            "pools": pools, "live_before": live, "live": left.held, "claims": claims,
            "per_second": claims as f64 / took, "batches": left.version - before,
            "p50_ms": times.quantile(500), "p99_ms": times.quantile(990),
            "idle_bytes": idle, "most_bytes": most, "load_seconds": loaded,
        }))
    })?;
    println!("{told}");
    Ok(())
}

fn open(directory: &Path) -> Result<(Engine, Arc<dyn Store>), Failure> {
    let store: Arc<dyn Store> = Arc::new(Embedded::open(directory)?);
    let engine = stage::start(Arc::clone(&store), Arc::new(Machine), None)?;
    Ok((engine, store))
}

/// Starts anew on what is stored; seconds until the event's ledger is there.
async fn load(directory: &Path, at: EventRef, held: u32) -> Result<f64, Failure> {
    let began = Instant::now();
    let (engine, _store) = open(directory)?;
    let left = engine.availability(at).await?;
    let took = began.elapsed().as_secs_f64();
    engine.stop().await;
    if left.held == held { Ok(took) } else { Err("holds were lost by the restart".into()) }
}

/// Those who want the same of one event.
struct Crowd {
    engine: Engine,
    at: EventRef,
    choice: Choice,
}

impl Crowd {
    /// Makes claims, so many waiting at any time, up to a number or a moment;
    /// how long each waited.
    async fn claim(&self, waiting: u64, most: u64, end: Option<Instant>) -> Result<Times, Failure> {
        let left = Arc::new(AtomicU64::new(most));
        let mut visitors = JoinSet::new();
        for _ in 0..waiting {
            let (engine, event) = (self.engine.clone(), self.at.public_id());
            let (choice, left) = ([self.choice.clone()], Arc::clone(&left));
            visitors.spawn(async move {
                let mut times = Times::default();
                let one = || {
                    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                };
                while end.is_none_or(|end| Instant::now() < end) && one().is_ok() {
                    let asked = Instant::now();
                    engine.hold(event, &RequestId::Fresh, &choice).await?;
                    times.push(asked.elapsed());
                }
                Ok::<_, Failure>(times)
            });
        }
        let mut all = Times::default();
        while let Some(done) = visitors.join_next().await {
            all.append(done??);
        }
        Ok(all)
    }
}
