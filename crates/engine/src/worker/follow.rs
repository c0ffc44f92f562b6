//! What other nodes changed: orgs, pages, and what is left. Looked at once a
//! second by every node, whatever its role; on a store of one process there is
//! nothing to follow.

use std::collections::BTreeSet;

use sloe_core::ids::EventRef;
use sloe_store::api::StoreError;
use sloe_store::key::{Collection, Range};

use super::orgs::lock;
use super::stored;
use crate::engine::Engine;
use crate::tenant::OrgError;

/// Looks at what other nodes changed.
pub(super) async fn look(engine: Engine) -> Result<(), String> {
    if !engine.nodes().shared() {
        return Ok(());
    }
    step(&engine).await.map_err(|error| error.to_string())
}

/// One look.
pub(crate) async fn step(engine: &Engine) -> Result<(), StoreError> {
    orgs(engine).await?;
    pages(engine).await?;
    left(engine).await
}

async fn orgs(engine: &Engine) -> Result<(), StoreError> {
    let of = engine.clone();
    let followed = stored(engine, move |store| match of.registry().follow(store) {
        Ok(followed) => Ok(followed),
        Err(OrgError::Store(error)) => Err(error),
        Err(error) => Err(StoreError::Damaged(error.to_string())),
    });
    let followed = followed.await?;
    for org in followed.gone {
        tracing::info!(%org, "another node removed this org");
        engine.workers().forget(org);
        engine.forget_events(org);
    }
    for org in followed.changed {
        tracing::info!(%org, "another node changed this org");
    }
    Ok(())
}

async fn pages(engine: &Engine) -> Result<(), StoreError> {
    let versions =
        stored(engine, |store| store.versions(Range::All(Collection::Snapshots))).await?;
    let changed: Vec<_> = versions
        .into_iter()
        .filter(|(key, version)| engine.catalog().is_older(key, *version))
        .map(|(key, _)| key)
        .collect();
    for key in changed {
        let of = engine.clone();
        // What can't be read is that event's trouble only; its last good page stays.
        match stored(engine, move |_| of.catalog().read_again(&key)).await {
            Err(StoreError::Damaged(why)) => tracing::error!(why, "a page can't be read"),
            done => done?,
        }
    }
    Ok(())
}

/// Ledgers in memory, and what is told to be left, follow the journals.
async fn left(engine: &Engine) -> Result<(), StoreError> {
    let known = engine.known_versions();
    if known.is_empty() {
        return Ok(());
    }
    let news = stored(engine, move |store| store.beyond(&known)).await?;
    let news: BTreeSet<EventRef> = news.into_iter().collect();
    for event in &news {
        // A damaged journal is told of where it is loaded.
        let _ = engine.desk().load(*event).await;
    }
    // Their orders and figures are news here, too, for whoever of us sees to them.
    lock(&engine.news().recount).extend(&news);
    Ok(())
}
