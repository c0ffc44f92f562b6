//! What one node asks of whichever node does an org's work: to read an event,
//! to send rows again, to compare. Where that is this node itself it is done at
//! once; else it is left in the store, and found there within a second.
//!
//! All of these are hints that may be followed twice. What has to happen in any
//! case is stored by itself: these only say that it should be soon.

use serde::{Deserialize, Serialize};
use sloe_core::ids::{OrgId, SfId};
use sloe_core::time::Timestamp;
use sloe_store::api::{StoreError, Write};
use sloe_store::key::{Collection, Key, Range};

use crate::engine::Engine;
use crate::nodes::PLATFORM;
use crate::worker::orgs::{self, OrgWork};
use crate::worker::stored;

/// Asks that are taken up in one look.
const AT_ONCE: usize = 1_000;
/// After so long what nobody understands goes, and what is asked of an org that is not connected.
const LAPSES_MILLIS: u64 = 60_000;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Read an event, or the whole org; and whether somebody looks at the page for it.
    Refresh { event: Option<String>, looked_at: bool },
    /// Read an org that was just connected.
    First,
    /// Take up rows that were put among the retries, by external id.
    Rows(Vec<String>),
    /// Forget conflicts that staff accepted, by external id.
    Accepted(Vec<String>),
    /// Compare the org with what it was sent.
    Verify,
    /// Look at the switch of change events.
    Changes,
    /// Look at the mails that are to be sent again.
    Mail,
}

impl Ask {
    pub(crate) fn refresh(event: Option<SfId>, looked_at: bool) -> Self {
        Self::Refresh { event: event.map(|event| event.to_string()), looked_at }
    }

    /// Asks of one name are one: the newest.
    fn name(&self, engine: &Engine) -> String {
        match self {
            Self::Refresh { event: Some(event), .. } => format!("refresh {event}"),
            Self::Refresh { event: None, .. } | Self::First => "refresh".to_owned(),
            Self::Verify => "verify".to_owned(),
            Self::Changes => "changes".to_owned(),
            Self::Mail => "mail".to_owned(),
            Self::Rows(_) | Self::Accepted(_) => format!("rows {:032x}", engine.world().id()),
        }
    }

    fn follow(self, work: &OrgWork) {
        match self {
            Self::Refresh { event: None, looked_at } => work.inbox.push(None, looked_at),
            Self::Refresh { event: Some(event), looked_at } => {
                if let Ok(event) = SfId::parse(&event) {
                    work.inbox.push(Some(event), looked_at);
                }
            }
            Self::First => work.inbox.push_first(),
            Self::Rows(keys) => work.ask(keys),
            Self::Accepted(keys) => work.accept(keys),
            Self::Verify => work.verify.notify_one(),
            Self::Changes => work.changes.turned(),
            Self::Mail => {}
        }
    }
}

impl Engine {
    /// Asks whoever does an org's work; `false` if the org is not connected, or
    /// nobody would ever follow it.
    pub(crate) fn ask_org(&self, org: OrgId, ask: &Ask) -> bool {
        let Some(known) = self.registry().by_id(org) else { return false };
        let here = if *ask == Ask::Mail {
            let here = self.nodes().holds(PLATFORM) && !self.workers().at_rest();
            if here {
                self.workers().ask_mail();
                self.news().mail.notify_one();
            }
            here
        } else {
            let work = orgs::ensure(self, org);
            work.map(|work| ask.clone().follow(&work)).is_some()
        };
        if here || !self.nodes().shared() {
            return here;
        }
        // Of two at the same moment, whichever is newer: they ask the same.
        let version = version_at(self.now(), self.draw());
        let key = Key::ask(known.scope, &ask.name(self));
        let body = serde_json::to_vec(ask).unwrap_or_default();
        let store = std::sync::Arc::clone(self.store());
        // Nobody waits for it: what it asks for comes in time without it, too.
        self.workers().aside(move || {
            if let Err(error) = store.put(&[Write { key, version, body: Some(body) }]) {
                tracing::warn!(%org, %error, "another node can't be asked now; it looks by itself later");
            }
        });
        true
    }
}

/// The version of what is asked at a time, by the clock of whoever asks.
fn version_at(now: Timestamp, chance: u16) -> u64 {
    (now.0.unsigned_abs() << 16) | u64::from(chance)
}

/// Takes up what other nodes ask of the work that this one does.
pub(crate) async fn look(engine: &Engine) -> Result<(), StoreError> {
    if !engine.nodes().shared() {
        return Ok(());
    }
    let all = Range::All(Collection::Asks);
    for (key, found) in stored(engine, move |store| store.scan(all, None, AT_ONCE)).await? {
        let org = key.id().split_once('/').and_then(|(org, _)| OrgId::parse(org).ok());
        let org = org.filter(|org| engine.registry().by_id(*org).is_some());
        let ask: Option<Ask> = serde_json::from_slice(&found.body).ok();
        let done = match org.zip(ask) {
            Some((_, Ask::Mail)) if engine.nodes().holds(PLATFORM) => {
                engine.workers().ask_mail();
                engine.news().mail.notify_one();
                true
            }
            Some((_, Ask::Mail)) => false,
            Some((org, ask)) => orgs::ensure(engine, org).map(|work| ask.follow(&work)).is_some(),
            // Another node may know it already, or a newer one understand it.
            None => found.version.saturating_add(LAPSES_MILLIS << 16) < version_at(engine.now(), 0),
        };
        if done {
            // One that was asked again meanwhile stays.
            let gone = Write { key, version: found.version + 1, body: None };
            stored(engine, move |store| store.put(&[gone])).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use sloe_store::api::Store;
    use sloe_store::memory::Memory;

    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn what_is_asked_of_an_org_that_a_node_does_not_know_yet_is_left_for_a_while() {
        let store = Memory::default();
        let engine = testing::engine_on(Arc::new(store.clone()), None);
        let scope = store.add_org(testing::org_id(), 1, b"{".to_vec()).unwrap();
        let now = engine.now();
        let ask = |name: &str, at: Timestamp, body: &str| {
            let body = Some(body.as_bytes().to_vec());
            store.put(&[Write { key: Key::ask(scope, name), version: version_at(at, 7), body }])
        };
        let long_ago = now.plus_millis(-61_000);
        ask("verify", now, r#""verify""#).unwrap();
        ask("what is new", now, r#""what_is_new""#).unwrap();
        ask("refresh", long_ago, r#""first""#).unwrap();
        ask("what was new", long_ago, r#""what_was_new""#).unwrap();
        look(&engine).await.unwrap();
        let left = store.scan(Range::All(Collection::Asks), None, 9).unwrap();
        let left: Vec<_> = left.iter().map(|(key, _)| key.local_id()).collect();
        assert_eq!(left, ["verify", "what is new"]);
        engine.stop().await;
    }
}
