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
#[cfg(feature = "pubsub")]
use sloe_core::time::Timestamp;
use sloe_store::api::StoreError;
use sloe_store::key::Key;
use tokio::sync::Notify;

use super::orgs::{OrgWork, lock};
use super::stored;
use crate::asks::Ask;
#[cfg(feature = "pubsub")]
use crate::changes::Part;
use crate::changes::{Changes, Source};
use crate::engine::Engine;
use crate::tenant::Org;

/// How soon the store is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// How much rarer looks for changes are while the org tells of them.
const RARER: u32 = 5;

#[derive(Default)]
struct State {
    changes: Changes,
    /// A subscription began with what happens from then on: what happened
    /// before, and was not looked for, nobody tells.
    anew: bool,
}

/// What is known of one org's change events.
#[derive(Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
    /// The switch was turned.
    turned: Notify,
    /// Something may have gone untold: look for changes soon rather than when it is due.
    look: Notify,
}

impl Watch {
    pub(crate) fn state(&self) -> Changes {
        lock(&self.state).changes.clone()
    }

    /// How far apart looks for changes are to be, if `every` without change events.
    pub(super) fn every(&self, every: Duration) -> Duration {
        if lock(&self.state).changes.healthy() { every * RARER } else { every }
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
        self.change(|state| drop(state.changes.parts.insert(name, part)));
    }

    /// Notes that an object's changes are told; those of before, too, unless
    /// the subscription began `anew`.
    #[cfg(feature = "pubsub")]
    fn stands(&self, name: &'static str, since: Timestamp, anew: bool) {
        self.change(|state| {
            state.changes.parts.insert(name, Part::Healthy(since));
            state.anew |= anew;
        });
    }

    /// The switch may have been turned.
    pub(crate) fn turned(&self) {
        self.turned.notify_one();
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        let before = state.changes.healthy();
        change(&mut state);
        let after = state.changes.healthy();
        // One look for all subscriptions, once the last of them stands: it sees what each missed.
        if (before && !after) || (after && std::mem::take(&mut state.anew)) {
            self.look();
        }
    }
}

/// Lets the switch be looked at.
pub(crate) fn wake(engine: &Engine, org: OrgId) {
    engine.ask_org(org, &Ask::Changes);
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
            state.changes.source.clone_from(&source);
            state.changes.parts.clear();
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

#[cfg(all(test, feature = "pubsub"))]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    /// Whether a look was asked for since this was asked last.
    fn asked(watch: &Watch) -> bool {
        pin!(watch.untold()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn down() -> Part {
        let (since, again) = (Timestamp(2), Timestamp(3));
        let words = || "Not now.".to_owned();
        Part::Down { means: words(), remedy: words(), passes: true, since, again }
    }

    #[test]
    fn what_happened_before_is_looked_for_once_when_the_last_subscription_stands() {
        let watch = Watch::default();
        watch.change(|state| state.changes.source = Some(Source::default()));
        for name in ["event", "item", "session"] {
            watch.set(name, Part::Connecting);
        }
        watch.stands("event", Timestamp(1), true);
        watch.stands("session", Timestamp(1), true);
        assert!(!asked(&watch), "a look now would miss what the third one misses");
        watch.stands("item", Timestamp(1), true);
        assert!(asked(&watch));
        assert!(!asked(&watch));
        // What goes on where it was misses nothing, once it was looked for what came meanwhile.
        watch.set("item", down());
        assert!(asked(&watch));
        watch.stands("item", Timestamp(4), false);
        assert!(!asked(&watch));
        watch.set("item", down());
        assert!(asked(&watch));
        watch.stands("item", Timestamp(4), true);
        assert!(asked(&watch));
    }
}
