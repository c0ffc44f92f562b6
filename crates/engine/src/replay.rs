//! An event's history, told from its journal alone: what happened when, and
//! what was left then. The journal holds no personal data, so neither does this.

use std::fmt;
use std::io::Write;

use sloe_core::fact::{Actor, Batch, Fact, Standing, Terms};
use sloe_core::ids::{EventRef, PublicId, SfId};
use sloe_core::ledger::{Ledger, PoolCount, PoolKey};
use sloe_core::time::Timestamp;
use sloe_store::api::{Store, StoreError};

/// Batches read at a time.
const PAGE: usize = 64;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The commit it was part of.
    pub version: u64,
    /// When that was decided.
    pub at: Timestamp,
    /// What happened, in words.
    pub what: String,
    /// Seats of the event on hold after it.
    pub held: u32,
    /// Seats in orders after it.
    pub sold: u32,
    /// What may be claimed after it; `None` is unlimited.
    pub left: Option<u32>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.left.map_or("unlimited".to_owned(), |left| left.to_string());
        let Self { version, at, what, held, sold, .. } = self;
        write!(f, "{version:>6}  {at}  {what}  [held {held}, sold {sold}, left {left}]")
    }
}

/// Why an event's history can't be told.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No journal has this name.
    #[error("no event {0} has a journal here; give its public id or its Salesforce id")]
    Unknown(String),
    /// Several orgs have a record with this id.
    #[error("{0} is an event of several orgs; give the public id of one: {1}")]
    Ambiguous(String, String),
    /// The history can't be written out.
    #[error("the history can't be written: {0}")]
    Output(#[from] std::io::Error),
}

/// The history of `event`, a line for each fact; ends after the first error.
pub fn replay(
    store: &dyn Store,
    event: EventRef,
) -> impl Iterator<Item = Result<Line, StoreError>> + '_ {
    let mut ledger = Ledger::default();
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        match page(store, event, &mut ledger) {
            Ok(lines) if lines.is_empty() => None,
            Ok(lines) => Some(lines.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => {
                ended = true;
                Some(vec![Err(error)])
            }
        }
    })
    .flatten()
}

/// Writes the history of the event called `name`: its public id, or its
/// Salesforce id if only one org has it.
///
/// # Errors
/// [`ReplayError`].
pub fn print(store: &dyn Store, name: &str, out: &mut dyn Write) -> Result<(), ReplayError> {
    let event = find(store, name)?;
    writeln!(out, "Event {} of org {}, public id {}", event.event, event.org, event.public_id())?;
    for line in replay(store, event) {
        writeln!(out, "{}", line?)?;
    }
    Ok(())
}

fn find(store: &dyn Store, name: &str) -> Result<EventRef, ReplayError> {
    let public = PublicId::parse(name);
    let record = SfId::parse(name).ok();
    let is = |event: &EventRef| Some(event.public_id()) == public || Some(event.event) == record;
    let journals = store.journals()?.into_iter().map(|(event, _)| event);
    let found: Vec<EventRef> = journals.filter(is).collect();
    match found.as_slice() {
        [] => Err(ReplayError::Unknown(name.to_owned())),
        [event] => Ok(*event),
        several => {
            let ids: Vec<_> = several.iter().map(|e| e.public_id().to_string()).collect();
            Err(ReplayError::Ambiguous(name.to_owned(), ids.join(", ")))
        }
    }
}

fn page(store: &dyn Store, event: EventRef, ledger: &mut Ledger) -> Result<Vec<Line>, StoreError> {
    let mut lines = Vec::new();
    for batch in store.read(event, ledger.version(), PAGE)? {
        tell(&batch, ledger, &mut lines)?;
    }
    Ok(lines)
}

fn tell(batch: &Batch, ledger: &mut Ledger, lines: &mut Vec<Line>) -> Result<(), StoreError> {
    let damaged = |error: sloe_core::ledger::Inconsistent| StoreError::Damaged(error.to_string());
    for fact in &batch.facts {
        ledger.apply(fact, batch.at).map_err(damaged)?;
        let event = ledger.counts().next();
        let figure = |of: fn(&PoolCount) -> u32| event.as_ref().map_or(0, of);
        lines.push(Line {
            version: batch.version,
            at: batch.at,
            what: words(fact, ledger),
            held: figure(|count| count.held),
            sold: figure(|count| count.sold),
            left: event.and_then(|count| count.left()),
        });
    }
    ledger.close(batch.at, batch.nonce);
    Ok(())
}

fn words(fact: &Fact, ledger: &Ledger) -> String {
    let order = |claim: &sloe_core::ids::ClaimId| claim.reference();
    match fact {
        Fact::TermsSet(terms) => terms_in_words(terms),
        Fact::Held { claim, expires_at, places, .. } => {
            let seats = seats(places, ledger);
            format!("{} held until {expires_at}: {seats}", order(claim))
        }
        Fact::Confirmed { claim, places, .. } => {
            format!("{} confirmed: {}", order(claim), seats(places, ledger))
        }
        Fact::Released { claim } => format!("{} given back", order(claim)),
        Fact::Expired { claim } => format!("{} expired", order(claim)),
        Fact::Cancelled { claim, place, actor } => {
            let by = match actor {
                Actor::Registrant => "its holder",
                Actor::Org => "the organizer",
                Actor::Staff => "staff",
            };
            format!("{} place {place} cancelled by {by}", order(claim))
        }
        Fact::Erased { claim, place } => {
            format!("{} place {place}: personal data erased", order(claim))
        }
    }
}

fn terms_in_words(terms: &Terms) -> String {
    let standing = match terms.standing {
        Standing::Published => "published",
        Standing::Unpublished => "not published",
        Standing::Cancelled => "called off",
    };
    let limit = |limit: Option<u32>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
    let mut pools = vec![format!("event {}", limit(terms.limit))];
    let items = terms.items.iter().map(|item| ("item", &item.pool));
    let sessions = terms.sessions.iter().map(|session| ("session", &session.pool));
    for (kind, pool) in items.chain(sessions) {
        pools.push(format!("{kind} {} {}", pool.record, limit(pool.limit)));
    }
    let external = terms.external;
    format!("terms: {standing}, {external} taken in Salesforce, limits: {}", pools.join(", "))
}

/// Units by pool: `2 × item a01…, 1 × session a02…`.
fn seats(places: &[sloe_core::fact::Selection], ledger: &Ledger) -> String {
    let keys: Vec<PoolKey> = ledger.counts().map(|count| count.pool).collect();
    let mut units: Vec<(PoolKey, u32)> = Vec::new();
    for ix in places.iter().flat_map(|p| std::iter::once(&p.item).chain(&p.sessions)) {
        let Some(key) = keys.get(usize::from(ix.0)) else { continue };
        match units.iter_mut().find(|(known, _)| known == key) {
            Some((_, count)) => *count += 1,
            None => units.push((*key, 1)),
        }
    }
    units.sort_unstable();
    let name = |(key, count): &(PoolKey, u32)| match key {
        PoolKey::Event => format!("{count} × event"),
        PoolKey::Item(id) => format!("{count} × item {id}"),
        PoolKey::Session(id) => format!("{count} × session {id}"),
    };
    units.iter().map(name).collect::<Vec<_>>().join(", ")
}
