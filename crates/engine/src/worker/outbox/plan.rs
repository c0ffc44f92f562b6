//! From journals to records: which stretches a drain takes, and what they mean.

use std::sync::Arc;

use sloe_core::ids::{EventRef, OrgId};
use sloe_core::outbox::{Plan, Record, Stretch};
use sloe_store::api::{Destination, Pending, StoreError};
use zeroize::Zeroizing;

use crate::claims;
use crate::engine::Engine;
use crate::ledger::Unanswered;
use crate::tenant::Org;
use crate::view::Attendee;
use crate::worker::stored;

/// Rows that one drain takes on: one Bulk job, and some tens of megabytes.
const ROWS: usize = 25_000;
/// Batches read from a journal at a time.
const BATCHES: usize = 16;
/// Orders whose state is asked of the combiner at a time, so that claims get
/// their turn in between.
pub(super) const VIEWS: usize = 250;

/// A part of one journal on its way to the org.
pub(super) struct Part {
    pub(super) event: EventRef,
    pub(super) cursor: u64,
    pub(super) stretch: Stretch,
}

/// What one drain takes on.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) parts: Vec<Part>,
    /// Events whose journal can't be read: left out.
    pub(super) damaged: Vec<EventRef>,
    /// More is pending than one drain takes on.
    pub(super) full: bool,
}

/// The journals of an org that have news, the fullest last.
pub(super) async fn pending(engine: &Engine, org: OrgId) -> Result<Vec<Pending>, StoreError> {
    let mut all = stored(engine, |store| store.pending(Destination::Org)).await?;
    all.retain(|pending| pending.event.org == org);
    // A quiet event doesn't wait behind a busy one.
    all.sort_by_key(|pending| pending.latest - pending.cursor);
    Ok(all)
}

/// As much of the pending journals (event, cursor, newest version) as one
/// drain takes on.
pub(super) async fn take(
    engine: &Engine,
    pending: Vec<(EventRef, u64, u64)>,
) -> Result<Taken, StoreError> {
    stored(engine, move |store| {
        let (mut taken, mut rows) = (Taken::default(), 0);
        'events: for (event, cursor, upto) in pending {
            let mut stretch = Stretch::after(cursor);
            while stretch.upto() < upto && rows + stretch.rows() < ROWS {
                let batches = match store.read(event, stretch.upto(), BATCHES) {
                    Ok(batches) => batches,
                    Err(StoreError::Damaged(reason)) => {
                        tracing::error!(?event, reason, "a journal can't be read; it goes nowhere");
                        taken.damaged.push(event);
                        continue 'events;
                    }
                    Err(error) => return Err(error),
                };
                if batches.is_empty() {
                    break;
                }
                for batch in &batches {
                    if stretch.upto() < upto && rows + stretch.rows() < ROWS {
                        stretch.follow(batch);
                    }
                }
            }
            rows += stretch.rows();
            if stretch.upto() > cursor {
                taken.parts.push(Part { event, cursor, stretch });
            }
            taken.full = rows >= ROWS;
            if taken.full {
                break;
            }
        }
        Ok(taken)
    })
    .await
}

/// What a part means: its orders' newest states.
pub(super) async fn plan(engine: &Engine, part: &Part, plan: &mut Plan) -> Result<(), Unanswered> {
    let claims: Vec<_> = part.stretch.claims().collect();
    for some in claims.chunks(VIEWS) {
        let ids = some.iter().map(|(claim, _)| *claim).collect();
        let views = engine.desk().views(part.event, ids).await?;
        for ((_, news), view) in some.iter().zip(views) {
            if let Some(view) = view {
                plan.add(&part.event.org, news, &view);
            }
        }
    }
    Ok(())
}

/// What is stored of an attendee.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Details {
    Of(Attendee),
    /// They were destroyed or never were.
    None,
    /// They are there, and can't be opened: damaged, or sealed with another key.
    Unreadable,
}

impl Details {
    pub(super) fn person(self) -> Option<Attendee> {
        match self {
            Self::Of(person) => Some(person),
            Self::None | Self::Unreadable => None,
        }
    }
}

/// Attendees' details of `records` (all of one event), unsealed, in their order.
pub(super) async fn details(
    engine: &Engine,
    org: &Arc<Org>,
    event: EventRef,
    records: &[Record],
) -> Result<Vec<Details>, StoreError> {
    let wanted: Vec<_> = records.iter().map(|record| (record.claim, record.place)).collect();
    let key = org.vault_key();
    stored(engine, move |store| {
        let mut out = Vec::with_capacity(wanted.len());
        for some in wanted.chunk_by(|(a, _), (b, _)| a == b).collect::<Vec<_>>().chunks(VIEWS) {
            let ids: Vec<_> =
                some.iter().filter_map(|of_one| of_one.first()).map(|w| w.0).collect();
            let sealed = store.sealed_of(event, &ids)?;
            for ((claim, of_one), sealed) in ids.iter().zip(some).zip(sealed) {
                let sealed = sealed.map(Zeroizing::new);
                let people = sealed.map(|body| claims::unseal(&key, event, *claim, &body));
                out.extend(of_one.iter().map(|(_, place)| match &people {
                    None => Details::None,
                    Some(None) => Details::Unreadable,
                    Some(Some(people)) => {
                        let person = people.get(usize::from(*place) - 1).cloned().flatten();
                        person.map_or(Details::None, Details::Of)
                    }
                }));
            }
        }
        Ok(out)
    })
    .await
}
