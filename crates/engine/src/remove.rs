//! Disconnecting an org for good. At once, and in one commit, nobody sees it
//! any more and its key is destroyed: no page, no hook, no call, and its
//! personal data can't be opened. Then what is stored of it is deleted, little
//! by little and again after a crash, until nothing but its journals is left:
//! they name nobody, and say which seats were sold should the org come back.

use std::time::Duration;

use sloe_core::ids::OrgId;
use sloe_core::time::Timestamp;
use sloe_core::words::counted;
use sloe_store::api::{Destination, Store, StoreError, Write};
use sloe_store::key::{Collection, Key, Range};
use sloe_store::scope::OrgScope;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::erase::unwilling;
use crate::error::Denied;
use crate::sync::is_mail;
use crate::tenant::{Leaving, OrgError};
use crate::worker::outbox::letter::ANY;
use crate::worker::stored;

/// Documents deleted in one commit: claims get their turn in between.
const AT_ONCE: usize = 500;
/// How long an org that takes no registrations any more may take to get the last ones.
const LAST_ROWS: Duration = Duration::from_secs(10);
/// So long the other nodes take nothing of an org that one is about to remove, should that one die.
const CLOSED_MILLIS: i64 = 60_000;
/// So long may it take until an org is gone once it has everything.
const LEAVING_MILLIS: i64 = 15_000;
/// After so long every other node knows, and what it had begun to commit is over: one second
/// until it looks, and eight that the store may take.
const FOLLOWED: Duration = Duration::from_secs(10);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(100);
/// What the metrics show of an org.
const GAUGES: [&str; 11] = [
    "sloe_org_api_calls_at_once",
    "sloe_org_api_calls_by_sloe",
    "sloe_org_api_calls_left",
    "sloe_org_api_calls_max",
    "sloe_org_api_calls_used",
    "sloe_org_conflicts",
    "sloe_org_dead_letters",
    "sloe_org_differences",
    "sloe_org_outbox_age_seconds",
    "sloe_org_outbox_pending",
    "sloe_org_retrying",
];

/// What goes with an org, and what of it Salesforce does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belongings {
    /// Events on its pages, unpublished ones too.
    pub events: usize,
    /// Events with news that the org has not got yet.
    pub unsent_events: usize,
    /// Rows that wait to be sent again.
    pub retrying: usize,
    /// Rows that were refused, conflicts included.
    pub letters: usize,
    /// Events with confirmations that were not mailed, and mails to be sent again.
    pub unsent_mails: usize,
}

impl Belongings {
    /// Whether the org has everything that is meant for it.
    #[must_use]
    pub fn has_all_rows(&self) -> bool {
        self.unsent_events + self.retrying + self.letters == 0
    }

    /// The same, and its attendees have their mails.
    #[must_use]
    pub fn all_sent(&self) -> bool {
        self.has_all_rows() && self.unsent_mails == 0
    }
}

/// Why an org stays connected.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Sloe serves no such org.
    #[error("the org is not connected")]
    NotFound,
    /// Registrations would be lost to it.
    #[error(
        "not everything is sent yet: {} with news for the org, {} to be sent again, {} refused, {} to \
         be mailed",
        counted(.0.unsent_events, "event"), counted(.0.retrying, "row"),
        counted(.0.letters, "row"), counted(.0.unsent_mails, "confirmation")
    )]
    Unsent(Belongings),
    /// What is still to be sent can't be told.
    #[error("{0}")]
    Denied(#[from] Denied),
    /// The store does not take it.
    #[error(transparent)]
    Org(#[from] OrgError),
}

impl Engine {
    /// What would go with an org.
    ///
    /// # Errors
    /// [`RemoveError::NotFound`]; the store's.
    pub async fn belongings(&self, org: OrgId) -> Result<Belongings, RemoveError> {
        let known = self.registry().by_id(org).ok_or(RemoveError::NotFound)?;
        let sync = self.sync_state(org).await?;
        let scope = known.scope;
        // Where no mail is sent, nobody waits for one.
        let discarded = self.workers().works() && !self.workers().sends_mail();
        let unsent_mails = if discarded {
            0
        } else {
            self.blocking(move |store| unsent_mails(store, scope)).await?
        };
        Ok(Belongings {
            events: self.events(&known).len(),
            unsent_events: sync.pending_events,
            retrying: sync.retrying,
            letters: sync.dead_letters + sync.conflicts,
            unsent_mails,
        })
    }

    /// Disconnects an org for good; what goes with it. Unless `force`, only if
    /// the org has got everything: nobody can register any more before that is
    /// looked at for the last time. What is stored of it is deleted after this,
    /// see [`Engine::finish_removals`].
    ///
    /// # Errors
    /// [`RemoveError`]; then nothing changed.
    pub async fn remove_org(&self, org: OrgId, force: bool) -> Result<Belongings, RemoveError> {
        let gone = self.belongings(org).await?;
        if !gone.has_all_rows() && !force {
            return Err(RemoveError::Unsent(gone));
        }
        let engine = self.clone();
        // It ends what it began, although whoever asked may go away.
        let removing = tokio::spawn(async move { engine.close_and_remove(org, force).await });
        removing.await.map_err(|_| Denied::OutcomeUnknown)?
    }

    async fn close_and_remove(&self, org: OrgId, force: bool) -> Result<Belongings, RemoveError> {
        let _turn = self.workers().removing.lock().await;
        self.desk().close(org).await.map_err(|why| unwilling(&why))?;
        let removed = match self.close_elsewhere(org, force).await {
            Ok(until) => self.remove_closed(org, force, until).await,
            Err(error) => Err(error),
        };
        if removed.is_ok() {
            // What is under way of it comes to nothing, and should it come back it is open.
            self.desk().lapse(org, self.now().plus_millis(CLOSED_MILLIS));
            return removed;
        }
        self.desk().open(org);
        if let Err(error) = self.tell_closed(org, None).await {
            tracing::warn!(%org, %error, "other nodes may take nothing of the org for a minute");
        }
        removed
    }

    /// Has the other nodes take nothing of an org either; until when they do. Unless `force`,
    /// what they took before is durable when this returns.
    async fn close_elsewhere(&self, org: OrgId, force: bool) -> Result<Timestamp, RemoveError> {
        let until = self.now().plus_millis(CLOSED_MILLIS);
        if self.nodes().shared() {
            self.tell_closed(org, Some(until)).await?;
            if !force {
                tokio::time::sleep(FOLLOWED).await;
            }
        }
        Ok(until)
    }

    async fn tell_closed(&self, org: OrgId, until: Option<Timestamp>) -> Result<(), RemoveError> {
        if !self.nodes().shared() {
            return Ok(());
        }
        let engine = self.clone();
        let tell = move || engine.registry().close_until(&**engine.store(), org, until);
        let told = self.workers().blocking(tell).await.map_err(|_| Denied::OutcomeUnknown)?;
        told?.map(drop).ok_or(RemoveError::NotFound)
    }

    async fn remove_closed(
        &self,
        org: OrgId,
        force: bool,
        closed_until: Timestamp,
    ) -> Result<Belongings, RemoveError> {
        let gone = self.last_rows_sent(org, force).await?;
        let ends = self.now().plus_millis(LEAVING_MILLIS);
        if self.nodes().shared() && !force && ends > closed_until {
            // Others may take registrations of it again before it is gone: nobody would get them.
            return Err(Denied::not_now().into());
        }
        let engine = self.clone();
        let leave = move || engine.registry().leave(&**engine.store(), org);
        let left = self.workers().blocking(leave).await.map_err(|_| Denied::OutcomeUnknown)?;
        left?.ok_or(RemoveError::NotFound)?;
        self.workers().forget(org);
        self.forget_events(org);
        tracing::warn!(%org, "the org is disconnected; its key is destroyed, its data is deleted");
        self.news().removals.notify_one();
        Ok(gone)
    }

    /// Waits for what came in just before the org was closed to reach it.
    async fn last_rows_sent(&self, org: OrgId, force: bool) -> Result<Belongings, RemoveError> {
        let give_up = Instant::now() + LAST_ROWS;
        loop {
            let gone = self.belongings(org).await?;
            if force || gone.all_sent() {
                return Ok(gone);
            }
            let unreached = self.sync_state(org).await?.fault.is_some();
            if unreached || self.workers().at_rest() || Instant::now() >= give_up {
                return Err(RemoveError::Unsent(gone));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Deletes more of what is stored of removed orgs; whether something may be
    /// left. What was under way when an org was removed may write once more, so
    /// an org is done with only when a later look has found nothing of it.
    ///
    /// # Errors
    /// The store's, or why personal data is still there: ask again.
    pub async fn finish_removals(&self) -> Result<bool, String> {
        // One at a time: whoever connects such an org anew must find that nobody deletes it any more.
        let _turn = self.workers().removing.lock().await;
        let mut left = false;
        for leaving in self.registry().all_leaving() {
            left |= self.finish_removal(leaving).await?;
        }
        Ok(left)
    }

    async fn finish_removal(&self, Leaving { scope, version }: Leaving) -> Result<bool, String> {
        let org = scope.org();
        // Again: a refresh may have been just about to publish.
        self.forget_events(org);
        let mut deleted = self.erase_all(scope).await?;
        let swept = stored(self, move |store| {
            pass_all(store, org)?;
            sweep(store, scope)
        });
        deleted += swept.await.map_err(|error| error.to_string())?;
        if deleted > 0 {
            return Ok(true);
        }
        let gone = |key, version| Write { key, version, body: None };
        let read = gone(Key::platform(&format!("read {org}")), ANY);
        let last = gone(Key::org(org), version + 1);
        let done = stored(self, move |store| store.put(&[read, last])).await;
        done.map_err(|error| error.to_string())?;
        self.registry().has_left(org);
        for name in GAUGES {
            // It can't be withdrawn, and what was last shown would raise alarms for ever.
            metrics::gauge!(name, "org" => org.to_string()).set(f64::NAN);
        }
        tracing::info!(%org, "nothing of the removed org is left but journals that name nobody");
        Ok(false)
    }

    /// Empties the vaults of an org's events; how many orders had details.
    async fn erase_all(&self, scope: OrgScope) -> Result<usize, String> {
        let mut orders = 0;
        let journals = stored(self, Store::journals).await.map_err(|error| error.to_string())?;
        for (event, _) in journals.into_iter().filter(|(event, _)| event.org == scope.org()) {
            match self.erase_event(scope, event).await {
                Ok(erased) => orders += erased,
                // Nobody can open it, as its key is gone. Other events go on.
                Err(Denied::Quarantined) => {
                    tracing::warn!(?event, "a damaged event's details stay, and can't be opened");
                }
                Err(denied) => return Err(format!("details of {event:?} are there: {denied}")),
            }
        }
        Ok(orders)
    }
}

/// Events of an org whose confirmations are still to be mailed, and mails that
/// wait to be sent again.
fn unsent_mails(store: &dyn Store, scope: OrgScope) -> Result<usize, StoreError> {
    let pending = store.pending(Destination::Mail)?.into_iter();
    let mut unsent = pending.filter(|pending| pending.event.org == scope.org()).count();
    let mut after = None;
    loop {
        let page = store.scan(Range::Org(Collection::Retries, scope), after.as_ref(), AT_ONCE)?;
        unsent += page.iter().filter(|(key, _)| is_mail(key.local_id())).count();
        match page.into_iter().nth(AT_ONCE - 1) {
            Some((last, _)) => after = Some(last),
            None => return Ok(unsent),
        }
    }
}

/// Nothing is sent any more, also not should the org come back: the details are gone.
fn pass_all(store: &dyn Store, org: OrgId) -> Result<(), StoreError> {
    for destination in [Destination::Org, Destination::Mail] {
        let pending = store.pending(destination)?.into_iter().filter(|p| p.event.org == org);
        for pending in pending {
            store.advance(destination, pending.event, pending.latest, &[])?;
        }
    }
    Ok(())
}

/// Deletes an org's documents but its own, and its licenses, which are the
/// vendor's; how many.
fn sweep(store: &dyn Store, scope: OrgScope) -> Result<usize, StoreError> {
    let kept = [Collection::Orgs, Collection::Licenses, Collection::Platform, Collection::Staff];
    let mut deleted = 0;
    for collection in Collection::ALL.into_iter().filter(|one| !kept.contains(one)) {
        loop {
            let page = store.scan(Range::Org(collection, scope), None, AT_ONCE)?;
            if page.is_empty() {
                break;
            }
            deleted += page.len();
            let delete = |(key, document): (Key, sloe_store::api::Document)| Write {
                key,
                version: document.version + 1,
                body: None,
            };
            store.put(&page.into_iter().map(delete).collect::<Vec<_>>())?;
        }
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use sloe_core::fact::Actor;
    use sloe_core::ids::ClaimId;
    use sloe_core::ledger::Command;
    use sloe_store::memory::Memory;

    use super::*;
    use crate::ledger::Unanswered;
    use crate::testing::{connect, engine_on, event, org_id};
    use crate::worker::follow;

    #[tokio::test]
    async fn what_one_node_is_about_to_remove_is_closed_on_all_until_it_is_done() {
        let store = Memory::default();
        let [a, b] = [(); 2].map(|()| engine_on(Arc::new(store.clone()), None));
        connect(&a, &store);
        let other = async |b: &Engine| {
            follow::step(b).await.unwrap();
            let (claim, actor) = (ClaimId(1), Actor::Registrant);
            let cancel = Command::Cancel { claim, place: None, actor };
            b.desk().run(event(), cancel, None).await.unwrap_err()
        };
        let is_open = |why: &Unanswered| matches!(why, Unanswered::Refused(_));
        assert!(is_open(&other(&b).await));
        let until = |engine: &Engine| Some(engine.now().plus_millis(CLOSED_MILLIS));
        a.tell_closed(org_id(), until(&a)).await.unwrap();
        assert_eq!(other(&b).await, Unanswered::NotAccepted);
        // Also one that starts meanwhile.
        let c = engine_on(Arc::new(store.clone()), None);
        assert_eq!(other(&c).await, Unanswered::NotAccepted);
        a.tell_closed(org_id(), None).await.unwrap();
        assert!(is_open(&other(&b).await) && is_open(&other(&c).await));
        // It is removed by one node, and connected again by another.
        a.remove_org(org_id(), true).await.unwrap();
        while a.finish_removals().await.unwrap() {}
        follow::step(&b).await.unwrap();
        connect(&b, &store);
        assert!(is_open(&other(&a).await) && is_open(&other(&b).await));
        for engine in [a, b, c] {
            engine.stop().await;
        }
    }
}
