//! What a comparison with the org found, put right by the task that writes to
//! it: only it changes what is known of a record.

use std::collections::BTreeMap;

use sloe_core::ids::EventRef;
use sloe_core::time::Timestamp;
use sloe_core::verify::RecordKey;
use sloe_store::api::Write;
use sloe_store::key::Key;

use super::books::Lettered;
use super::file::{self, Dead, Delivered, Retry, Seen};
use super::{Drain, Halt, letter};
use crate::tenant::Org;
use crate::worker::orgs::lock;
use crate::worker::stored;

/// Records mended in one commit, so that claims get their turn in between.
const AT_ONCE: usize = 250;
/// Why a row waits that a comparison found.
const COMPARED: &str = "found-by-comparison";

/// How a difference is put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mend {
    /// The row goes again: by its id if that is known, else by its key.
    Resend,
    /// The org deleted it: it never comes back, and staff are told.
    Gone,
    /// The org deleted it after it was cancelled, or nobody knows any more whom
    /// it names: it never comes back, and there is nothing to tell.
    LeftOut,
    /// Staff must say who is right.
    Ask(&'static str),
    /// Nothing differs any more: the letter that said so goes.
    Settled,
}

/// One record to be mended.
#[derive(Clone, Debug)]
pub(crate) struct Repair {
    pub(crate) key: RecordKey,
    pub(crate) event: EventRef,
    pub(crate) confirmed_at: Timestamp,
    /// What the org was known to hold when it was compared.
    pub(crate) seen: Option<Seen>,
    /// The version that changed the order last.
    pub(crate) version: u64,
    pub(crate) mend: Mend,
}

type Known = BTreeMap<String, (u64, Delivered)>;

impl Repair {
    /// The version of the state that it is about.
    fn state(&self) -> u64 {
        self.seen.map_or(self.version, |seen| seen.version)
    }
}

impl Drain {
    /// Mends what comparisons found, unless the record has changed since.
    pub(super) async fn mend(&mut self, org: &Org) -> Result<(), Halt> {
        let accepted = std::mem::take(&mut *lock(&self.work.accepted));
        let accepting = self.accept(org, accepted.iter().cloned().collect()).await;
        if accepting.is_err() {
            lock(&self.work.accepted).extend(accepted);
            return accepting;
        }
        // What is lost of these by a failure, the next comparison finds again.
        let repairs = std::mem::take(&mut *lock(&self.work.repairs));
        for some in repairs.chunks(AT_ONCE) {
            let keys: Vec<_> = some.iter().map(|repair| repair.key.text()).collect();
            let known = self.known(org, keys).await?;
            let now = self.engine.now();
            let mut writes = Vec::new();
            for repair in some {
                let key = repair.key.text();
                let found = known.get(&key);
                let now_known = found.map(|(version, known)| Seen::of(*version, known));
                if now_known == repair.seen {
                    writes.extend(self.mend_one(org, now, &key, repair, found));
                }
            }
            stored(&self.engine, move |store| store.put(&writes)).await?;
        }
        Ok(())
    }

    fn mend_one(
        &mut self,
        org: &Org,
        now: Timestamp,
        key: &str,
        repair: &Repair,
        found: Option<&(u64, Delivered)>,
    ) -> Vec<Write> {
        if found.is_some_and(|(_, delivered)| delivered.theirs) {
            return Vec::new();
        }
        match repair.mend {
            Mend::Resend if self.books.retries.contains_key(key) => Vec::new(),
            Mend::Resend => {
                let retry = Retry {
                    event: repair.event.partition(),
                    claim: repair.key.claim.text(),
                    place: repair.key.place,
                    version: repair.state(),
                    confirmed_at: Some(repair.confirmed_at.0),
                    attempts: 0,
                    not_before: now.0,
                    since: None,
                    code: COMPARED.to_owned(),
                    forced: true,
                };
                vec![self.books.remember_retry(org, key, now, retry)]
            }
            Mend::Gone | Mend::LeftOut => {
                let id = found.and_then(|(_, delivered)| delivered.id.clone());
                let gone = Delivered { id, gone: true, theirs: false, resent: 0 };
                let known = replace(org, key, repair.state(), &gone);
                let letter = match repair.mend {
                    Mend::Gone => self.ask_staff(org, now, key, repair, letter::DELETED),
                    _ => self.books.forget_dead(org, key),
                };
                known.into_iter().chain(letter).collect()
            }
            Mend::Ask(code) => self.ask_staff(org, now, key, repair, code).into_iter().collect(),
            // The row may have been refused meanwhile: then a letter says that.
            Mend::Settled if !self.books.is_compared(key) => Vec::new(),
            Mend::Settled => self.books.forget_dead(org, key).into_iter().collect(),
        }
    }

    /// A letter, unless there is one already.
    fn ask_staff(
        &mut self,
        org: &Org,
        now: Timestamp,
        key: &str,
        repair: &Repair,
        code: &str,
    ) -> Option<Write> {
        if self.books.dead.contains_key(key) {
            return None;
        }
        tracing::warn!(org = %org.id(), code, "the org holds something else than it was sent");
        let state = repair.state();
        let dead = Dead {
            event: repair.event.partition(),
            claim: repair.key.claim.text(),
            place: repair.key.place,
            at: now.0,
            since: Some(now.0),
            tries: 1,
            code: code.to_owned(),
            fields: Vec::new(),
            state,
            confirmed_at: Some(repair.confirmed_at.0),
            conflict: true,
            forced: true,
            there: false,
            accepted: false,
            unlinked: false,
            sealed_message: None,
        };
        self.books.dead.insert(key.to_owned(), Lettered::of(&dead));
        let body = Some(file::encode(&dead));
        Some(Write { key: Key::dead_letter(org.scope, key), version: state.max(1), body })
    }

    /// Leaves records to the org that staff accepted as they are there.
    async fn accept(&mut self, org: &Org, keys: Vec<String>) -> Result<(), Halt> {
        for some in keys.chunks(AT_ONCE) {
            let known = self.known(org, some.to_vec()).await?;
            let mut writes = Vec::new();
            for key in some {
                self.books.dead.remove(key);
                let letter = Key::dead_letter(org.scope, key);
                writes.push(Write { key: letter, version: letter::ANY, body: None });
                writes.extend(self.books.forget_retry(org, key));
                if let Some((version, delivered)) = known.get(key) {
                    let theirs = Delivered { theirs: true, ..delivered.clone() };
                    writes.extend(replace(org, key, *version, &theirs));
                }
            }
            stored(&self.engine, move |store| store.put(&writes)).await?;
        }
        Ok(())
    }

    async fn known(&self, org: &Org, keys: Vec<String>) -> Result<Known, Halt> {
        let scope = org.scope;
        let read = move |store: &dyn sloe_store::api::Store| {
            let mut known = Known::new();
            for key in keys {
                let Some(found) = store.get(&Key::delivered(scope, &key))? else { continue };
                match file::decode::<Delivered>(&found.body) {
                    Ok(delivered) => drop(known.insert(key, (found.version, delivered))),
                    // It must not hold up the others.
                    Err(error) => {
                        tracing::error!(org = %scope.org(), %error, "what the org has of a row can't be read");
                    }
                }
            }
            Ok(known)
        };
        Ok(stored(&self.engine, read).await?)
    }
}

/// Puts another document in the place of one at the same version.
fn replace(org: &Org, key: &str, version: u64, delivered: &Delivered) -> [Write; 2] {
    let key = Key::delivered(org.scope, key);
    let away = Write { key: key.clone(), version: letter::ANY, body: None };
    [away, Write { key, version, body: Some(file::encode(delivered)) }]
}
