//! Nodes on one store, each asked by its share of those who wait. They run in
//! one process, each with its own connections, and hand claims over by HTTP on
//! this machine, through the same handlers as in a server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use sloe_core::ids::EventRef;
use sloe_core::time::Timestamp;
use sloe_engine::claims::RequestId;
use sloe_engine::clock::{Machine, World};
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::peers::{Peering, Posted};
use sloe_engine::view::Choice;
use sloe_engine::worker;
use sloe_store::api::Store;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::stage::{self, Failure, Times};

/// How long nodes find their ways, before anything is measured.
const WARM: Duration = Duration::from_secs(3);
/// How long a visitor who was told to come back does something else.
const PAUSE: Duration = Duration::from_millis(5);
/// The bits of an id that name the node.
const NODE: u128 = 0xff;

/// A machine's world, whose ids tell which node made them: a batch's too.
struct Marked(u128);

impl World for Marked {
    fn now(&self) -> Timestamp {
        Machine.now()
    }

    fn id(&self) -> u128 {
        Machine.id() & !NODE | self.0
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        Machine.random(bytes)
    }
}

pub(super) async fn run(
    stores: &[Arc<dyn Store>],
    led: bool,
    duration: Duration,
    waiting: u64,
) -> Result<Value, Failure> {
    // The way between nodes is plain, but its client wants to know.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let mut nodes = Vec::new();
    for (n, store) in (0_u128..).zip(stores) {
        nodes.push(start(n, Arc::clone(store), led).await?);
    }
    let (first, store) = (nodes.first(), stores.first());
    let (first, store) = first.zip(store).ok_or("there is no node")?;
    stage::connect(first, &**store)?;
    let at = stage::event(1)?;
    first.apply_refresh(at.org, stage::raw(1, "Hot", 2)?).await?;
    let choice = stage::everything(first, at)?;
    known(&nodes, at).await?;
    crowd(&nodes, (at, &choice), waiting, WARM).await?;
    let before = (Counts::read(&metrics), first.availability(at).await?.version);
    let began = Instant::now();
    let (mut shares, mut times, mut again) = (vec![0; nodes.len()], Times::default(), 0);
    for (node, some, tries) in crowd(&nodes, (at, &choice), waiting, duration).await? {
        if let Some(share) = shares.get_mut(node) {
            *share += some.len();
        }
        times.append(some);
        again += tries;
    }
    let seconds = began.elapsed().as_secs_f64();
    let counts = Counts::read(&metrics);
    let batches = batches(store, at, before.1).await?;
    for node in &nodes {
        node.stop().await;
    }
    let claims = times.len();
    Ok(json!({
        "claims": claims, "per_second": claims as f64 / seconds,
        "of_nodes": shares, "batches_of_nodes": batches.values().collect::<Vec<_>>(),
        "batches": batches.values().sum::<u64>(),
        "conflicts": counts.conflicts - before.0.conflicts,
        "handed_over": counts.handed_over - before.0.handed_over,
        "told_to_come_back": again,
        "p50_ms": times.quantile(500), "p99_ms": times.quantile(990),
    }))
}

async fn start(n: u128, store: Arc<dyn Store>, led: bool) -> Result<Engine, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let post = move |to: String, body: Vec<u8>| -> Posted {
        let call = client.post(to).body(body);
        Box::pin(async move {
            let answer = call.send().await.map_err(|error| error.to_string())?;
            let answer = answer.error_for_status().map_err(|error| error.to_string())?;
            answer.bytes().await.map(|body| body.to_vec()).map_err(|error| error.to_string())
        })
    };
    let peering = led.then(|| Peering { address, post: Arc::new(post) });
    let settings = worker::Settings { peering, ..worker::Settings::default() };
    let engine = stage::start(store, Arc::new(Marked(n)), Some(settings))?;
    let app = sloe_web::peer::app(engine.clone());
    tokio::spawn(sloe_web::serve(listener, app, std::future::pending()));
    Ok(engine)
}

/// Waits until every node has the event, and the org's license.
async fn known(nodes: &[Engine], at: EventRef) -> Result<(), Failure> {
    let give_up = Instant::now() + Duration::from_secs(60);
    let serves = |node: &Engine| node.event(at.public_id()).is_ok() && node.is_live(at.org);
    while !nodes.iter().all(serves) {
        if Instant::now() > give_up {
            return Err("not every node learns of the event".into());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Registrations for so long; of each visitor the node, the times, and how often it was
/// told to come back.
async fn crowd(
    nodes: &[Engine],
    (at, choice): (EventRef, &Choice),
    waiting: u64,
    duration: Duration,
) -> Result<Vec<(usize, Times, u64)>, Failure> {
    let (number, end) = (Arc::new(AtomicU64::new(0)), Instant::now() + duration);
    let mut visitors = JoinSet::new();
    for (node, engine) in (0..nodes.len()).zip(nodes).cycle().take(usize::try_from(waiting)?) {
        let (engine, choice, number) = (engine.clone(), choice.clone(), Arc::clone(&number));
        visitors.spawn(async move {
            let (mut times, mut again) = (Times::default(), 0);
            while Instant::now() < end {
                let person = stage::person(number.fetch_add(1, Ordering::Relaxed));
                let people = [(choice.clone(), person)];
                let id = RequestId::Given(format!("{:032x}", Machine.id()));
                let asked = Instant::now();
                loop {
                    match engine.register(at.public_id(), &id, &people).await {
                        Ok(_) => break,
                        Err(Denied::NotAccepted { .. } | Denied::OutcomeUnknown) => {
                            again += 1;
                            tokio::time::sleep(PAUSE).await;
                        }
                        Err(denied) => return Err(Failure::from(denied)),
                    }
                }
                times.push(asked.elapsed());
            }
            Ok((node, times, again))
        });
    }
    let mut all = Vec::new();
    while let Some(done) = visitors.join_next().await {
        all.push(done??);
    }
    Ok(all)
}

/// How many batches of the event's journal are each node's, after a version.
async fn batches(
    store: &Arc<dyn Store>,
    at: EventRef,
    mut after: u64,
) -> Result<BTreeMap<u128, u64>, Failure> {
    let store = Arc::clone(store);
    let counted = tokio::task::spawn_blocking(move || {
        let mut counted = BTreeMap::new();
        loop {
            let some = store.read(at, after, 256)?;
            let Some(last) = some.last() else { return Ok::<_, Failure>(counted) };
            after = last.version;
            for batch in &some {
                *counted.entry(batch.nonce & NODE).or_default() += 1;
            }
        }
    });
    counted.await?
}

/// What the nodes counted together.
struct Counts {
    conflicts: u64,
    handed_over: u64,
}

impl Counts {
    fn read(metrics: &PrometheusHandle) -> Self {
        let text = metrics.render();
        let of = |name: &str| {
            let lines =
                text.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
            lines.sum()
        };
        Self {
            conflicts: of("sloe_conflicts_total"),
            handed_over: of("sloe_claims_forwarded_total"),
        }
    }
}
