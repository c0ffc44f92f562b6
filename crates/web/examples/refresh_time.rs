//! How long a change of an event takes to its page: from the moment before its
//! commits begin until the page is new, on one node with the embedded store and
//! on three nodes with a shared one; and whether other events' entries stay.
//!
//! `cargo run --release -p sloe-web --example refresh_time [ROUNDS] [EVENTS] [URI]`
//! (defaults: 100 rounds, 50 other events; the three nodes are on a MongoDB
//! database if one is named, or else on a store in memory). Prints one JSON object.

#[path = "../../engine/examples/stage/mod.rs"]
mod stage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use sloe_core::catalog::Snapshot;
use sloe_engine::clock::Machine;
use sloe_engine::engine::Engine;
use sloe_engine::worker;
use sloe_store::api::Store;
use sloe_store::embedded::Embedded;
use sloe_store::memory::Memory;
use sloe_store::mongo::{Bounded, Mongo};
use sloe_web::state::{AppState, Settings};
use stage::{Failure, Times};
use tower::ServiceExt;

/// The event that is changed.
const CHANGED: usize = 1;
/// How long a page may take to be new.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pages are asked for so often on each node.
const LOOK: Duration = Duration::from_millis(1);

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: usize| args.next().map_or(Ok(default), |text| text.parse());
    let (rounds, events) = (number(100)?, number(50)?);
    let directory = tempfile::tempdir_in(".")?;
    let alone: Vec<Arc<dyn Store>> = vec![Arc::new(Embedded::open(directory.path())?)];
    // The driver's own runtime must not be begun or ended within another one.
    let shared: Vec<Arc<dyn Store>> = match args.next() {
        Some(uri) => {
            Mongo::migrate(&uri)?;
            let open = |()| Ok(Arc::new(Bounded::new(Mongo::open(&uri)?)) as Arc<dyn Store>);
            [(); 3].map(open).into_iter().collect::<Result<_, Failure>>()?
        }
        None => {
            let memory = Memory::default();
            [(); 3].map(|()| Arc::new(memory.clone()) as Arc<dyn Store>).to_vec()
        }
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let told = runtime.block_on(async {
        let one = measure(&alone, rounds, events).await?;
        let three = measure(&shared, rounds, events).await?;
        Ok::<_, Failure>(json!({ "one": one, "three": three }))
    })?;
    drop((runtime, alone, shared));
    println!("{told}");
    Ok(())
}

struct Node {
    engine: Engine,
    app: Router,
}

impl Node {
    fn start(store: &Arc<dyn Store>) -> Result<Self, Failure> {
        // It serves and follows; there is no org to call.
        let workers = worker::Settings { works: false, ..worker::Settings::default() };
        let engine = stage::start(Arc::clone(store), Arc::new(Machine), Some(workers))?;
        let settings = Settings { rate: None, ..Settings::default() };
        let app = sloe_web::app(AppState::new(engine.clone(), settings, None));
        Ok(Self { engine, app })
    }

    /// The page of an event as it is sent; nothing while there is none.
    async fn page(&self, n: usize) -> Result<Option<Bytes>, Failure> {
        let request = Request::get(format!("/bench/{}", slug(n))).body(Body::empty())?;
        let response = self.app.clone().oneshot(request).await?;
        let there = response.status() == StatusCode::OK;
        let body = to_bytes(response.into_body(), usize::MAX).await?;
        Ok(there.then_some(body))
    }

    /// Asks for a page until it says this; when it did.
    async fn shows(&self, n: usize, text: &str) -> Result<Instant, Failure> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let page = self.page(n).await?.unwrap_or_default();
            if page.windows(text.len()).any(|some| some == text.as_bytes()) {
                return Ok(Instant::now());
            }
            if Instant::now() > give_up {
                return Err(format!("the page of event {n} never says {text}").into());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the org's license is known here.
    async fn licensed(&self) -> Result<(), Failure> {
        let give_up = Instant::now() + PATIENCE;
        while !self.engine.is_live(stage::org()?) {
            if Instant::now() > give_up {
                return Err("a node never learns of the license".into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// What is kept of an event: its entry in the catalog, and its page.
    async fn kept(&self, n: usize) -> Result<(Arc<Snapshot>, Bytes), Failure> {
        let (_, snapshot) = self.engine.event(stage::event(n)?.public_id())?;
        Ok((snapshot, self.page(n).await?.ok_or("a page is gone")?))
    }
}

fn slug(n: usize) -> String {
    format!("event-{n}")
}

async fn measure(
    stores: &[Arc<dyn Store>],
    rounds: usize,
    events: usize,
) -> Result<Value, Failure> {
    let nodes = stores.iter().map(Node::start).collect::<Result<Vec<_>, _>>()?;
    let (first, store) = nodes.first().zip(stores.first()).ok_or("there is no node")?;
    stage::connect(&first.engine, &**store)?;
    for n in CHANGED..=CHANGED + events {
        change(&first.engine, n, &format!("Before {n} of all")).await?;
    }
    let mut kept = Vec::new();
    for node in &nodes {
        // The license is on every page: it must have come before they are compared.
        node.licensed().await?;
        for n in CHANGED..=CHANGED + events {
            node.shows(n, &format!("Before {n} of all")).await?;
        }
        for n in CHANGED + 1..=CHANGED + events {
            kept.push((node, n, node.kept(n).await?));
        }
    }
    let mut times = Times::default();
    for round in 0..rounds {
        let name = format!("Round {round} of all");
        let began = Instant::now();
        change(&first.engine, CHANGED, &name).await?;
        let mut last = began;
        for shown in nodes.iter().map(|node| node.shows(CHANGED, &name)) {
            last = last.max(shown.await?);
        }
        times.push(last - began);
    }
    let mut dropped = 0;
    for (node, n, (snapshot, page)) in &kept {
        let now = node.kept(*n).await?;
        let same = Arc::ptr_eq(&now.0, snapshot) && now.1.as_ptr() == page.as_ptr();
        dropped += usize::from(!same);
    }
    for node in &nodes {
        node.engine.stop().await;
    }
    Ok(json!({
        "nodes": nodes.len(), "rounds": times.len(), "others": kept.len(), "dropped": dropped,
        "p50_ms": times.quantile(500), "p99_ms": times.quantile(990),
    }))
}

async fn change(engine: &Engine, n: usize, name: &str) -> Result<(), Failure> {
    engine.apply_refresh(stage::org()?, stage::raw(n, name, 3)?).await?;
    Ok(())
}
