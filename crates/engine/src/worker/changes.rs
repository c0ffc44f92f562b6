//! Following an org's change events: what changed waits for its refresh like
//! anything else, and only then is it written down that it was told. So a
//! change is acted upon at least once, whatever ends this process.

pub(crate) mod file;
#[cfg(feature = "pubsub")]
mod follow;
#[cfg(feature = "pubsub")]
mod target;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sloe_core::ids::OrgId;
use sloe_store::api::StoreError;
use sloe_store::key::Key;
use tokio::sync::Notify;

use super::orgs::{OrgWork, ensure, lock};
use super::stored;
#[cfg(feature = "pubsub")]
use crate::changes::Part;
use crate::changes::{Changes, Source};
use crate::engine::Engine;
use crate::tenant::Org;

/// How soon the store is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// How much rarer looks for changes are while the org tells of them.
const RARER: u32 = 5;

/// What is known of one org's change events.
#[derive(Default)]
pub(crate) struct Watch {
    state: Mutex<Changes>,
    /// The switch was turned.
    turned: Notify,
    /// Something may have gone untold: look for changes soon rather than when it is due.
    look: Notify,
}

impl Watch {
    pub(crate) fn state(&self) -> Changes {
        lock(&self.state).clone()
    }

    /// How far apart looks for changes are to be, if `every` without change events.
    pub(super) fn every(&self, every: Duration) -> Duration {
        if lock(&self.state).healthy() { every * RARER } else { every }
    }

    /// Returns when something may have gone untold.
    pub(super) async fn untold(&self) {
        self.look.notified().await;
    }

    /// Lets changes be looked for soon.
    fn look(&self) {
        self.look.notify_one();
    }

    #[cfg(feature = "pubsub")]
    fn set(&self, name: &'static str, part: Part) {
        self.change(|state| drop(state.parts.insert(name, part)));
    }

    fn change(&self, change: impl FnOnce(&mut Changes)) {
        let mut state = lock(&self.state);
        let healthy = state.healthy();
        change(&mut state);
        if healthy && !state.healthy() {
            self.look();
        }
    }
}

/// Lets the switch be looked at.
pub(crate) fn wake(engine: &Engine, org: OrgId) {
    if let Some(work) = ensure(engine, org) {
        work.changes.turned.notify_one();
    }
}

/// Where an org's change events come from, as it was last switched.
pub(crate) async fn source(engine: &Engine, org: &Org) -> Result<Option<Source>, StoreError> {
    let key = Key::change_events(org.scope, file::SWITCH);
    let document = stored(engine, move |store| store.get(&key)).await?;
    document.map_or(Ok(None), |document| file::read_switch(&document.body))
}

/// One org's change events, until the engine stops.
pub(super) async fn run(engine: Engine, work: Arc<OrgWork>) {
    let stopping = engine.workers().stopping.clone();
    loop {
        let Some(org) = engine.registry().by_id(work.org) else { return };
        let source = match source(&engine, &org).await {
            Ok(source) => source,
            Err(error) => {
                tracing::error!(org = %work.org, %error, "the switch of change events can't be read");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        work.changes.change(|state| {
            state.source.clone_from(&source);
            state.parts.clear();
        });
        let following = async {
            match &source {
                Some(source) => Box::pin(follow(&engine, &work, &org, source)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // What was told and not written down is told again.
            () = stopping.cancelled() => return,
            () = work.changes.turned.notified() => {}
            () = following => {}
        }
    }
}

#[cfg(feature = "pubsub")]
use follow::follow;

/// A build without the Pub/Sub API leaves it at looking; its trouble says so.
#[cfg(not(feature = "pubsub"))]
async fn follow(_: &Engine, work: &OrgWork, _: &Org, _: &Source) {
    tracing::warn!(org = %work.org, "{}", crate::changes::UNSUPPORTED);
    std::future::pending::<()>().await;
}
