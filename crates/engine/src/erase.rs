//! Destroying personal data: one person's on request, everybody's once an
//! event's retention has ended. Seats, orders and figures stay.

use std::sync::Arc;

use sloe_core::fact::Fact;
use sloe_core::ids::{ClaimId, EventRef, OrgId, base32};
use sloe_core::ledger::{Command, Refusal};
use sloe_core::time::Timestamp;
use sloe_store::api::{Sealed, Store, StoreError, Write};
use sloe_store::key::{Collection, Key, Range};
use sloe_store::scope::OrgScope;
use zeroize::Zeroizing;

use crate::claims;
use crate::engine::Engine;
use crate::error::Denied;
use crate::ledger::Unanswered;
use crate::tenant::Org;
use crate::view::Attendee;
use crate::worker::outbox::file::{self, Dead};

/// Batches of a journal looked through at a time.
const PAGE: usize = 8;
/// Entries destroyed at once when a retention ends.
const AT_ONCE: usize = 200;

/// What was erased, for the person who asked: it names nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Names this erasure.
    pub id: String,
    /// Of which org.
    pub org: OrgId,
    /// When it was done.
    pub at: Timestamp,
    /// Orders that named the person.
    pub orders: usize,
    /// Attendees erased in them.
    pub attendees: usize,
    /// Those orders' short names.
    pub references: Vec<String>,
}

/// One order that names a person.
struct Found {
    event: EventRef,
    claim: ClaimId,
    people: Vec<Option<Attendee>>,
    places: Vec<u16>,
}

impl Engine {
    /// Destroys the personal data of all attendees of an org who have this
    /// e-mail address, upper and lower case alike, and tells what was done.
    /// What the org has already received is the org's own. An event that is
    /// damaged keeps no other event's data.
    ///
    /// # Errors
    /// [`Denied`]; what was erased until then stays erased: ask again.
    pub async fn erase_person(&self, org: OrgId, email: &str) -> Result<Receipt, Denied> {
        // One at a time: each rewrites entries it has read.
        let _turn = self.workers().erasing.lock().await;
        let org = self.registry().by_id(org).ok_or(Denied::NotFound)?;
        let email = Zeroizing::new(email.trim().to_lowercase());
        let (mut references, mut attendees, mut denied) = (Vec::new(), 0, None);
        for (event, _) in self.blocking(Store::journals).await? {
            if event.org != org.id() {
                continue;
            }
            let erased = self.erase_person_of(&org, event, &email, |found| {
                attendees += found.places.len();
                references.push(found.claim.reference());
            });
            if let Err(why) = erased.await {
                tracing::warn!(?event, %why, "personal data of an event can't be erased now");
                denied = Some(why);
            }
        }
        if let Some(denied) = denied {
            return Err(denied);
        }
        let id = base32::encode(&self.world().id().to_be_bytes());
        let receipt = Receipt {
            id,
            org: org.id(),
            at: self.now(),
            orders: references.len(),
            attendees,
            references,
        };
        tracing::info!(org = %receipt.org, receipt = receipt.id, attendees, "personal data erased");
        Ok(receipt)
    }

    /// Destroys the person's data in one event, and tells of each order before.
    async fn erase_person_of(
        &self,
        org: &Arc<Org>,
        event: EventRef,
        email: &Zeroizing<String>,
        mut tell: impl FnMut(&Found),
    ) -> Result<(), Denied> {
        let mut cursor = 0;
        loop {
            let (found, reached) = self.find_person(org, event, cursor, email).await?;
            for found in found {
                tell(&found);
                self.erase_found(org, found).await?;
            }
            if reached == cursor {
                return Ok(());
            }
            cursor = reached;
        }
    }

    /// Orders confirmed in the journal's next batches that name the person,
    /// and the version reached; at the journal's end that is `cursor` again.
    async fn find_person(
        &self,
        org: &Arc<Org>,
        event: EventRef,
        cursor: u64,
        email: &Zeroizing<String>,
    ) -> Result<(Vec<Found>, u64), Denied> {
        let (key, email) = (org.vault_key(), email.clone());
        self.blocking(move |store| {
            let (entries, reached) = entries(store, event, cursor)?;
            let found = entries.into_iter().filter_map(|(claim, body)| {
                let Some(people) = claims::unseal(&key, event, claim, &body) else {
                    tracing::error!(?event, ?claim, "a vault entry can't be opened");
                    return None;
                };
                let same = |person: &Option<Attendee>| {
                    person.as_ref().is_some_and(|p| p.email.to_lowercase() == **email)
                };
                let numbered = (1_u16..).zip(&people);
                let places: Vec<u16> = numbered.filter(|(_, p)| same(p)).map(|(n, _)| n).collect();
                (!places.is_empty()).then_some(Found { event, claim, people, places })
            });
            Ok((found.collect(), reached))
        })
        .await
    }

    async fn erase_found(&self, org: &Arc<Org>, found: Found) -> Result<(), Denied> {
        let Found { event, claim, mut people, places } = found;
        for place in &places {
            if let Some(person) = people.get_mut(usize::from(*place) - 1) {
                *person = None;
            }
            let sealed = if people.iter().all(Option::is_none) {
                Sealed { claim, body: None }
            } else {
                claims::seal(&org.vault_key(), self.world(), event, claim, &people)?
            };
            let command = Command::Erase { claim, place: Some(*place) };
            let done = self.desk().run(event, command, Some(sealed)).await;
            erased(done.map(drop))?;
        }
        let scope = org.scope;
        self.blocking(move |store| {
            for place in places {
                forget_words(store, scope, &claim.attendee_key(place))?;
            }
            Ok(())
        })
        .await
    }

    /// Destroys all personal data of an event; how many orders had some.
    pub(crate) async fn erase_event(
        &self,
        scope: OrgScope,
        event: EventRef,
    ) -> Result<usize, Denied> {
        let (mut count, mut cursor) = (0, 0);
        loop {
            let _turn = self.workers().erasing.lock().await;
            let (entries, reached) =
                self.blocking(move |store| entries(store, event, cursor)).await?;
            count += entries.len();
            for some in entries.chunks(AT_ONCE) {
                let mut running = tokio::task::JoinSet::new();
                for claim in some.iter().map(|(claim, _)| *claim) {
                    let desk = self.desk().clone();
                    let command = Command::Erase { claim, place: None };
                    let sealed = Some(Sealed { claim, body: None });
                    running.spawn(async move { desk.run(event, command, sealed).await });
                }
                while let Some(done) = running.join_next().await {
                    done.map_err(|_| Denied::OutcomeUnknown)?.map_err(|why| unwilling(&why))?;
                }
            }
            let claims: Vec<_> = entries.iter().map(|(claim, _)| *claim).collect();
            self.blocking(move |store| {
                claims.iter().try_for_each(|claim| forget_words(store, scope, &claim.text()))
            })
            .await?;
            if reached == cursor {
                return Ok(count);
            }
            cursor = reached;
        }
    }
}

/// A vault entry: whose it is, and the sealed bytes.
type Entry = (ClaimId, Vec<u8>);

/// Vault entries of orders confirmed in the batches after `cursor`, and the
/// version reached.
fn entries(
    store: &dyn Store,
    event: EventRef,
    cursor: u64,
) -> Result<(Vec<Entry>, u64), StoreError> {
    let (mut entries, mut reached) = (Vec::new(), cursor);
    for batch in store.read(event, cursor, PAGE)? {
        reached = batch.version;
        let confirmed = batch.facts.iter().filter_map(|fact| match fact {
            Fact::Confirmed { claim, .. } => Some(*claim),
            _ => None,
        });
        let claims: Vec<_> = confirmed.collect();
        let sealed = store.sealed_of(event, &claims)?;
        entries.extend(
            claims.into_iter().zip(sealed).filter_map(|(claim, body)| Some((claim, body?))),
        );
    }
    Ok((entries, reached))
}

fn erased(done: Result<(), Unanswered>) -> Result<(), Denied> {
    match done {
        // There is no such attendee any more to be erased.
        Ok(()) | Err(Unanswered::Refused(Refusal::UnknownClaim | Refusal::UnknownPlace)) => Ok(()),
        Err(why) => Err(unwilling(&why)),
    }
}

/// Why the combiner did not do what no visitor asked for.
pub(crate) fn unwilling(why: &Unanswered) -> Denied {
    match why {
        Unanswered::Refused(_) | Unanswered::Quarantined(_) => Denied::Quarantined,
        Unanswered::Shed => Denied::crowded(),
        Unanswered::NotAccepted => Denied::not_now(),
        Unanswered::OutcomeUnknown => Denied::OutcomeUnknown,
    }
}

/// The org's words about a person's rows may quote the person. `of` is what
/// the rows' external ids begin with.
fn forget_words(store: &dyn Store, scope: OrgScope, of: &str) -> Result<(), StoreError> {
    let mut writes = Vec::new();
    each_letter(store, scope, of, |key, version, dead| {
        let ours =
            key.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        if ours && dead.sealed_message.is_some() {
            let body = Some(file::encode(&Dead { sealed_message: None, ..dead }));
            let key = Key::dead_letter(scope, key);
            writes.push(Write { key, version: version + 1, body });
        }
        key.starts_with(of)
    })?;
    store.put(&writes)
}

/// Gives the letters from external id `from` on, with their versions, until
/// `see` says no more.
fn each_letter(
    store: &dyn Store,
    scope: OrgScope,
    from: &str,
    mut see: impl FnMut(&str, u64, Dead) -> bool,
) -> Result<(), StoreError> {
    let at = Key::dead_letter(scope, from);
    let range = Range::Org(Collection::DeadLetters, scope);
    let first = store.get(&at)?.map(|document| (at.clone(), document));
    let mut after = at;
    let mut page: Vec<_> = first.into_iter().collect();
    loop {
        for (key, document) in &page {
            let Ok(dead) = Dead::read(document) else { continue };
            if !see(key.local_id(), document.version, dead) {
                return Ok(());
            }
        }
        page = store.scan(range, Some(&after), PAGE)?;
        match page.last() {
            Some((last, _)) => after = last.clone(),
            None => return Ok(()),
        }
    }
}
