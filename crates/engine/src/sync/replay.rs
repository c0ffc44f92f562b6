//! Sending rows again that failed for good, or accepting that they did.
//!
//! A replay writes the row down among the retries, due at once, and leaves the
//! letter where it is: it goes away only when the row has succeeded. The row
//! then goes in its order's newest state, by the way all rows go. Asking twice
//! is asking once.

use std::collections::BTreeSet;

use sloe_core::ids::{ClaimId, OrgId};
use sloe_core::time::Timestamp;
use sloe_store::api::{Store, StoreError, Write};
use sloe_store::key::Key;
use sloe_store::scope::OrgScope;

use super::is_mail;
use super::letters::{LetterFilter, each_letter, each_letter_by};
use crate::asks::Ask;
use crate::engine::Engine;
use crate::error::Denied;
use crate::worker::mail::Again;
use crate::worker::outbox::file::{self, Dead, Retry};
use crate::worker::outbox::letter::{ANY, PARENT};

/// Rows written down in one commit, so that claims get their turn in between.
const AT_ONCE: usize = 500;
/// Letters read at a time of one attendee's sessions; few have more.
const CHILDREN: usize = 20;
/// Why a row waits that staff asked for.
const ASKED: &str = "asked-for";

/// Which letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// These, by external id; rows that wait to be sent again, too.
    Rows(Vec<String>),
    /// All that the filter wants.
    All(LetterFilter),
}

/// What came of asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Rows that go again.
    pub rows: usize,
    /// External ids that were named and have no letter and no waiting row.
    pub unknown: Vec<String>,
}

impl Engine {
    /// Sends rows and mails again that failed for good. Their letters go away
    /// once they have succeeded. Where no mail is sent, none is sent again.
    ///
    /// # Errors
    /// [`Denied::NotFound`] for an org that is not connected; the store's.
    pub async fn replay(&self, org: OrgId, which: Which) -> Result<Replayed, Denied> {
        let org = self.registry().by_id(org).ok_or(Denied::NotFound)?;
        let (scope, now) = (org.scope, self.now());
        let mail = self.workers().sends_mail();
        let done = self.blocking(move |store| ask(store, scope, now, (which, mail))).await;
        let (replayed, keys) = done?;
        tracing::info!(org = %org.id(), rows = replayed.rows, "rows are sent again, as staff asked");
        if keys.iter().any(|key| is_mail(key)) {
            self.ask_org(org.id(), &Ask::Mail);
        }
        let keys: Vec<_> = keys.into_iter().filter(|key| !is_mail(key)).collect();
        if !keys.is_empty() {
            self.ask_org(org.id(), &Ask::Rows(keys));
        }
        Ok(replayed)
    }

    /// Forgets conflicts that are meant to be: the org deleted or changed the records, and
    /// stay as they are there. Letters that are no conflicts stay.
    ///
    /// # Errors
    /// As [`Engine::replay`].
    pub async fn accept_conflicts(&self, org: OrgId, which: Which) -> Result<Replayed, Denied> {
        let org = self.registry().by_id(org).ok_or(Denied::NotFound)?;
        let scope = org.scope;
        let done = self.blocking(move |store| {
            let named = matches!(which, Which::Rows(_));
            let (letters, mut unknown) = wanted(store, scope, which, false)?;
            let (conflicts, others): (Vec<_>, Vec<_>) =
                letters.into_iter().partition(|(_, dead)| dead.conflict);
            // Of all letters only the conflicts are meant.
            unknown.extend(others.into_iter().filter(|_| named).map(|(key, _)| key));
            // The outbox notes it with what it knows of the record; until then the letter stands
            // as accepted, also over a restart.
            for some in conflicts.chunks(AT_ONCE) {
                let mut writes = Vec::with_capacity(some.len());
                for (key, dead) in some {
                    let key = Key::dead_letter(scope, key);
                    let version = store.get(&key)?.map_or(0, |found| found.version) + 1;
                    let accepted = Dead { accepted: true, ..dead.clone() };
                    writes.push(Write { key, version, body: Some(file::encode(&accepted)) });
                }
                store.put(&writes)?;
            }
            let keys: Vec<_> = conflicts.into_iter().map(|(key, _)| key).collect();
            Ok((Replayed { rows: keys.len(), unknown }, keys))
        });
        let (accepted, keys) = done.await?;
        if !keys.is_empty() {
            self.ask_org(org.id(), &Ask::Accepted(keys));
        }
        Ok(accepted)
    }

    /// Forgets mails that were given up, once staff have seen to them; how
    /// many. The orders and their pages stand without.
    ///
    /// # Errors
    /// As [`Engine::replay`].
    pub async fn put_mails_aside(&self, org: OrgId, which: Which) -> Result<usize, Denied> {
        let scope = self.registry().by_id(org).ok_or(Denied::NotFound)?.scope;
        self.blocking(move |store| {
            let mails = given_up(store, scope, which)?;
            for some in mails.chunks(AT_ONCE) {
                let gone = |key: &String| Write {
                    key: Key::dead_letter(scope, key),
                    version: ANY,
                    body: None,
                };
                store.put(&some.iter().map(gone).collect::<Vec<_>>())?;
            }
            Ok(mails.len())
        })
        .await
    }
}

/// Documents of mails that were given up, by key.
fn given_up(store: &dyn Store, scope: OrgScope, which: Which) -> Result<Vec<String>, StoreError> {
    let mut mails = Vec::new();
    match which {
        Which::Rows(keys) => {
            for key in keys.into_iter().filter(|key| is_mail(key)) {
                if store.get(&Key::dead_letter(scope, &key))?.is_some() {
                    mails.push(key);
                }
            }
        }
        Which::All(filter) => each_letter(store, scope, None, |key, dead| {
            if is_mail(key) && filter.wants(key, &dead) {
                mails.push(key.to_owned());
            }
            Ok(true)
        })?,
    }
    Ok(mails)
}

/// Writes down that rows go again, and says which.
fn ask(
    store: &dyn Store,
    scope: OrgScope,
    now: Timestamp,
    (which, mail): (Which, bool),
) -> Result<(Replayed, Vec<String>), StoreError> {
    let (mut letters, unnamed) = wanted(store, scope, which, mail)?;
    add_children(store, scope, &mut letters)?;
    let mut keys = Vec::with_capacity(letters.len());
    for some in letters.chunks(AT_ONCE) {
        let mut writes = Vec::with_capacity(some.len());
        for (key, dead) in some {
            let at = Key::retry(scope, key);
            let before = store.get(&at)?.map_or(0, |document| document.version);
            let body = if is_mail(key) {
                file::encode(&Again::asked(dead, now))
            } else {
                file::encode(&asked(dead, now))
            };
            let version = (before + 1).max(now.0.unsigned_abs());
            writes.push(Write { key: at, version, body: Some(body) });
            keys.push(key.clone());
        }
        store.put(&writes)?;
    }
    let mut unknown = Vec::new();
    for key in unnamed {
        let at = Key::retry(scope, &key);
        let Some(document) = store.get(&at)? else {
            unknown.push(key);
            continue;
        };
        let Ok(retry) = file::decode::<Retry>(&document.body) else { continue };
        let body = Some(file::encode(&Retry { not_before: now.0, ..retry }));
        let version = (document.version + 1).max(now.0.unsigned_abs());
        store.put(&[Write { key: at, version, body }])?;
        keys.push(key);
    }
    Ok((Replayed { rows: keys.len(), unknown }, keys))
}

/// A row that staff want sent although it was given up.
fn asked(dead: &Dead, now: Timestamp) -> Retry {
    Retry {
        event: dead.event.clone(),
        claim: dead.claim.clone(),
        place: dead.place,
        version: dead.state,
        confirmed_at: dead.confirmed_at,
        attempts: 0,
        not_before: now.0,
        since: dead.since,
        code: ASKED.to_owned(),
        forced: dead.forced,
    }
}

/// Adds what was not sent because a parent among `letters` was refused.
fn add_children(
    store: &dyn Store,
    scope: OrgScope,
    letters: &mut Letters,
) -> Result<(), StoreError> {
    let known: BTreeSet<String> = letters.iter().map(|(key, _)| key.clone()).collect();
    let mut children = Vec::new();
    for parent in known.iter().filter(|key| ClaimId::parse_attendee_key(key).is_some()) {
        let prefix = format!("{parent}-");
        // They stand right behind their parent.
        each_letter_by(CHILDREN, store, scope, Some(parent), |key, dead| {
            let is_child = key.starts_with(&prefix);
            if is_child && dead.code == PARENT && !known.contains(key) {
                children.push((key.to_owned(), dead));
            }
            Ok(is_child)
        })?;
    }
    letters.extend(children);
    Ok(())
}

type Letters = Vec<(String, Dead)>;

/// The letters wanted, those of mails only if `mail`, and what was named and is none.
fn wanted(
    store: &dyn Store,
    scope: OrgScope,
    which: Which,
    mail: bool,
) -> Result<(Letters, Vec<String>), StoreError> {
    let may = |key: &str| mail || !is_mail(key);
    let (mut letters, mut unknown) = (Vec::new(), Vec::new());
    match which {
        Which::Rows(keys) => {
            for key in keys {
                let found = store.get(&Key::dead_letter(scope, &key))?;
                let dead = found.and_then(|found| Dead::read(&found).ok());
                match dead.filter(|dead| may(&key) && !dead.accepted) {
                    Some(dead) => letters.push((key, dead)),
                    None => unknown.push(key),
                }
            }
        }
        Which::All(filter) => each_letter(store, scope, None, |key, dead| {
            if may(key) && filter.wants(key, &dead) {
                let dead = Dead { sealed_message: None, ..dead };
                letters.push((key.to_owned(), dead));
            }
            Ok(true)
        })?,
    }
    Ok((letters, unknown))
}
