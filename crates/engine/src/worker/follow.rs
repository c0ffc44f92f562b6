//! What other nodes changed: orgs, pages, and what is left. Looked at once a
//! second by every node, whatever its role, and as soon as the store tells of
//! it; on a store of one process there is nothing to follow.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sloe_core::ids::EventRef;
use sloe_store::api::{News, StoreError};
use sloe_store::key::{Collection, Key, Range};
use tokio::sync::Notify;

use super::orgs::lock;
use super::stored;
use crate::engine::Engine;
use crate::nodes;
use crate::tenant::OrgError;

/// How close looks follow each other, however much is told.
const APART: Duration = Duration::from_millis(20);
/// Journals that are asked for at once: each alone would wait for a commit of its own, and all
/// together would keep claims waiting.
const AT_ONCE: usize = 16;

/// What was told of and not looked at yet.
#[derive(Default)]
pub(crate) struct Told {
    state: Mutex<Pending>,
    pub(crate) news: Notify,
}

#[derive(Default)]
struct Pending {
    orgs: bool,
    pages: BTreeSet<Key>,
    events: BTreeSet<EventRef>,
}

impl Told {
    /// Takes in what the store tells; whether it concerns this node.
    fn take(&self, engine: &Engine, news: News) {
        let mut pending = lock(&self.state);
        match news {
            News::Batch(event, version) => {
                let known = engine.availability_now(event);
                match known {
                    Some(known) if known.version < version => drop(pending.events.insert(event)),
                    Some(_) => {}
                    // Nobody follows it here yet: whoever tells its org figures does from now on.
                    None if engine.nodes().holds(&nodes::of_org(event.org)) => {
                        lock(&engine.news().recount).insert(event);
                    }
                    None => {}
                }
                // Whoever does the event's org's work, or sends mail, has something to do.
                if engine.nodes().holds_anything() {
                    engine.news().org.notify_one();
                    engine.news().mail.notify_one();
                }
            }
            News::Document(key) => match key.collection() {
                Collection::Snapshots => drop(pending.pages.insert(key)),
                Collection::Asks => engine.news().org.notify_one(),
                _ => pending.orgs = true,
            },
            News::Anything => pending.orgs = true,
            News::None => return,
        }
        let some = pending.orgs || !pending.pages.is_empty() || !pending.events.is_empty();
        drop(pending);
        if some {
            self.news.notify_one();
        }
    }
}

/// Listens to the store for as long as the engine runs, on a thread of its own.
pub(super) fn listen(engine: Engine) -> std::io::Result<()> {
    if !engine.nodes().shared() {
        return Ok(());
    }
    let thread = std::thread::Builder::new().name("sloe-watch".into());
    thread.spawn(move || {
        let stopping = engine.workers().stopping();
        let store = Arc::clone(engine.store());
        while !stopping.is_cancelled() {
            let told = store.watch(&mut |news| {
                engine.told().take(&engine, news);
                !stopping.is_cancelled()
            });
            match told {
                Ok(true) => {}
                // It tells of nothing: looking once a second is all there is.
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "changes are not told now; they are looked for");
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        }
    })?;
    Ok(())
}

/// Looks at what was told, as soon as it is, until the engine stops.
pub(super) async fn hear(engine: Engine) {
    let stopping = engine.workers().stopping();
    while stopping.run_until_cancelled(engine.told().news.notified()).await.is_some() {
        let pending = std::mem::take(&mut *lock(&engine.told().state));
        if let Err(error) = look_at(&engine, pending).await {
            tracing::debug!(%error, "what was told can't be read now; the next look does");
        }
        if stopping.run_until_cancelled(tokio::time::sleep(APART)).await.is_none() {
            return;
        }
    }
}

async fn look_at(engine: &Engine, pending: Pending) -> Result<(), StoreError> {
    if pending.orgs {
        return step(engine).await;
    }
    read_pages(engine, pending.pages).await?;
    load(engine, pending.events).await;
    Ok(())
}

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
        let known = engine.registry().by_id(org);
        engine.desk().follow(org, known.as_ref().and_then(|org| org.closed_until));
        if let (Some(known), Some(work)) = (known, engine.workers().known(org)) {
            work.budget.set_rules(known.budget);
        }
    }
    Ok(())
}

async fn pages(engine: &Engine) -> Result<(), StoreError> {
    let versions =
        stored(engine, |store| store.versions(Range::All(Collection::Snapshots))).await?;
    let changed = versions
        .into_iter()
        .filter(|(key, version)| engine.catalog().is_older(key, *version))
        .map(|(key, _)| key);
    read_pages(engine, changed.collect()).await
}

async fn read_pages(engine: &Engine, changed: BTreeSet<Key>) -> Result<(), StoreError> {
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
    load(engine, news.into_iter().collect()).await;
    Ok(())
}

async fn load(engine: &Engine, news: BTreeSet<EventRef>) {
    let all: Vec<EventRef> = news.iter().copied().collect();
    for some in all.chunks(AT_ONCE) {
        let begun: Vec<_> = some.iter().map(|event| engine.desk().begin_load(*event)).collect();
        for loaded in begun {
            // A damaged journal is told of where it is loaded.
            let _ = loaded.await;
        }
    }
    // Their figures are news here, too, for whoever of us tells them.
    lock(&engine.news().recount).extend(&news);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{engine, event};

    #[tokio::test]
    async fn figures_are_told_of_an_event_that_only_other_nodes_have_in_memory() {
        let (engine, _org, _directory) = engine(None);
        engine.told().take(&engine, News::Batch(event(), 3));
        assert!(lock(&engine.news().recount).contains(&event()));
        engine.stop().await;
    }
}
