//! Once an engine has stopped and its handles are gone, nothing of it uses the
//! store any more: the same process may open it again at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::org::{hasty, until};
use common::{connect, event, org_id, person, raw, start_on};
use sloe_engine::claims::RequestId;
use sloe_engine::clock::Machine;
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_store::api::Store;
use sloe_store::embedded::Embedded;
use sloe_store::faulty::{Call, Fault, Faulty, Plan};

const ROUNDS: usize = 40;
/// Facts after which a checkpoint is due.
const DUE: usize = 2_000;

/// Fails unless the store is used by nobody else, then closes it.
fn close<S>(store: Arc<S>) {
    let holders = Arc::strong_count(&store);
    assert!(Arc::into_inner(store).is_some(), "{holders} hold the store");
}

async fn hold(engine: &Engine) -> Result<(), Denied> {
    let (choice, _) = person(engine, event(org_id(1)), 1);
    let held = engine.hold(event(org_id(1)).public_id(), &RequestId::Fresh, &[choice]).await;
    held.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_can_be_opened_again_as_soon_as_its_engine_has_stopped() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let store = Embedded::open(directory.path()).unwrap_or_else(|error| panic!("{error}"));
        let store = Arc::new(store);
        let workers = (round % 2 == 0).then(|| hasty(2_000));
        let engine = start_on(Arc::clone(&store) as Arc<dyn Store>, Arc::new(Machine), workers);
        if round == 0 {
            connect(&engine, &*store, org_id(1), "acme", "http://127.0.0.1:9");
        }
        let read = raw(1, &format!("Round {round}"), None, 1);
        engine.apply_refresh(org_id(1), read).await.unwrap();
        hold(&engine).await.unwrap();
        engine.stop().await;
        drop(engine);
        close(store);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_stops_only_when_its_checkpoint_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let plan = Plan::new().always(Call::Checkpoint, Fault::Delayed);
    let store = Arc::new(Faulty::new(Embedded::open(directory.path()).unwrap(), plan));
    let engine = start_on(Arc::clone(&store) as Arc<dyn Store>, Arc::new(Machine), None);
    connect(&engine, &*store, org_id(1), "acme", "http://127.0.0.1:9");
    engine.apply_refresh(org_id(1), raw(1, "Event", None, 0)).await.unwrap();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..DUE {
        let engine = engine.clone();
        running.spawn(async move { hold(&engine).await.unwrap() });
    }
    running.join_all().await;
    let delayed = Arc::clone(&store);
    tokio::task::spawn_blocking(move || delayed.wait_until_delayed(1)).await.unwrap();
    let stopping = tokio::spawn({
        let engine = engine.clone();
        async move { engine.stop().await }
    });
    until("the combiner takes nothing more", async || hold(&engine).await.is_err()).await;
    assert!(!stopping.is_finished());
    store.release();
    stopping.await.unwrap();
    assert!(store.inner().checkpoint(event(org_id(1))).unwrap().is_some());
    drop(engine);
    close(store);
}
