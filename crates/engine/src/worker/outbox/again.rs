//! Rows that go once more: their time has come, staff asked for it, or a
//! comparison with the org did. Each goes in its order's newest state.

use std::collections::BTreeMap;
use std::sync::Arc;

use sloe_core::ids::{ClaimId, EventRef};
use sloe_core::outbox::{News, Plan, Record};
use sloe_core::time::Timestamp;
use sloe_store::key::Key;

use super::file::{self, Retry};
use super::plan::VIEWS;
use super::send::Work;
use super::{Drain, Halt};
use crate::ledger::Unanswered;
use crate::refresh::RefreshError;
use crate::tenant::Org;
use crate::worker::orgs::lock;
use crate::worker::stored;

/// Retries sent in one go.
const RETRIES: usize = 10_000;

/// The rows of one event that are due.
type OfEvent = Vec<(String, ClaimId, Retry)>;

impl Drain {
    /// Takes in the retries that others have written down for this task.
    pub(super) async fn take_asked(&mut self, org: &Org) -> Result<(), Halt> {
        let asked = std::mem::take(&mut *lock(&self.work.asked));
        if asked.is_empty() {
            return Ok(());
        }
        let (scope, keys) = (org.scope, asked.clone());
        let read = stored(&self.engine, move |store| {
            let read = |key: String| {
                let Some(found) = store.get(&Key::retry(scope, &key))? else { return Ok(None) };
                match file::decode::<Retry>(&found.body) {
                    Ok(retry) => Ok(Some((key, (found.version, retry)))),
                    // It must not hold up the others.
                    Err(error) => {
                        tracing::error!(org = %scope.org(), %error, "a row to be sent again can't be read");
                        Ok(None)
                    }
                }
            };
            keys.into_iter().map(read).collect::<Result<Vec<_>, _>>()
        });
        match read.await {
            Ok(found) => {
                self.books.retries.extend(found.into_iter().flatten());
                Ok(())
            }
            Err(error) => {
                lock(&self.work.asked).extend(asked);
                Err(error.into())
            }
        }
    }

    /// Whether a row's time has come, and its event is in order.
    pub(super) fn may_go(&self, retry: &Retry, now: Timestamp) -> bool {
        retry.due(now) && retry.event().is_none_or(|event| !self.stuck.contains(&event))
    }

    /// The rows to be sent again by `now`, as their orders stand.
    pub(super) async fn due(
        &mut self,
        org: &Arc<Org>,
        now: Timestamp,
    ) -> Result<(Vec<Work>, Vec<Work>), Halt> {
        let (mut attendees, mut sessions, mut moot) = (Vec::new(), Vec::new(), Vec::new());
        let mut events: BTreeMap<EventRef, OfEvent> = BTreeMap::new();
        let due = self.books.retries.iter().filter(|(_, (_, retry))| self.may_go(retry, now));
        for (key, (_, retry)) in due.take(RETRIES) {
            match (retry.event(), retry.claim()) {
                (Some(event), Some(claim)) => {
                    events.entry(event).or_default().push((key.clone(), claim, retry.clone()));
                }
                _ => moot.push(key.clone()),
            }
        }
        for (event, rows) in events {
            for some in rows.chunks(VIEWS) {
                let claims = some.iter().map(|(_, claim, _)| *claim).collect();
                let views = match self.engine.desk().views(event, claims).await {
                    Ok(views) => views,
                    // A damaged event's rows wait with it, and none behind them.
                    Err(Unanswered::Quarantined(_)) => {
                        self.stuck.insert(event);
                        break;
                    }
                    Err(_) => return Err(Halt::Ledger(RefreshError::Unavailable)),
                };
                for ((key, _, retry), view) in some.iter().zip(views) {
                    let mut plan = Plan::default();
                    if let Some(view) = view {
                        let news = News::of(retry.place, retry.confirmed_at.map(Timestamp));
                        plan.add(&org.id(), &news, &view);
                    }
                    let before = attendees.len() + sessions.len();
                    let work = |record| Work {
                        event,
                        version: retry.version,
                        record,
                        forced: retry.forced,
                    };
                    let same = |record: &Record| record.key == *key;
                    attendees.extend(plan.attendees.into_iter().filter(same).map(work));
                    sessions.extend(plan.sessions.into_iter().filter(same).map(work));
                    if attendees.len() + sessions.len() == before {
                        // The org cancelled it meanwhile: there is nothing to write back.
                        moot.push(key.clone());
                    }
                }
            }
        }
        self.drop_moot(org, moot).await?;
        Ok((attendees, sessions))
    }

    /// Rows that have nothing left to say are no retries any more, and no letters either.
    async fn drop_moot(&mut self, org: &Org, moot: Vec<String>) -> Result<(), Halt> {
        let mut writes = Vec::new();
        for key in moot {
            writes.extend(self.books.forget_retry(org, &key));
            writes.extend(self.books.forget_dead(org, &key));
        }
        Ok(stored(&self.engine, move |store| store.put(&writes)).await?)
    }
}
