//! What an org's task has in memory of the store's retries, dead letters and
//! rows whose answer was lost.

use std::collections::{BTreeMap, BTreeSet};

use sloe_core::ids::EventRef;
use sloe_core::time::Timestamp;
use sloe_store::api::{StoreError, Write};
use sloe_store::key::{Collection, Key, Range};
use sloe_store::scope::OrgScope;

use super::file::{self, Asked, Dead, Retry};
use super::letter;
use crate::engine::Engine;
use crate::sync::is_mail;
use crate::tenant::Org;
use crate::worker::stored;

/// What an org's task has in memory of the store's retries and dead letters.
#[derive(Default)]
pub(super) struct Books {
    /// With the version of the document.
    pub(super) retries: BTreeMap<String, (u64, Retry)>,
    pub(super) dead: BTreeMap<String, Lettered>,
    /// Rows that the org was asked to make without an answer so far: it may have
    /// made them, and may have deleted them again.
    unsure: BTreeSet<String>,
    /// Events of which nobody could say which rows those were, and up to which version.
    unsure_events: BTreeMap<EventRef, u64>,
    /// The version of their document.
    unsure_version: u64,
    /// Rows settled in the org since the start.
    pub(super) delivered: u64,
}

/// What an earlier process left to do.
#[derive(Default)]
pub(super) struct Left {
    /// Letters that staff have accepted since.
    pub(super) accepted: Vec<String>,
    /// Nobody knows any more which rows the org may have made without saying so.
    pub(super) forgotten: bool,
}

/// What is known of a letter without reading it.
#[derive(Clone, Copy)]
pub(super) struct Lettered {
    pub(super) conflict: bool,
    /// The org has the record, or may well have it.
    there: bool,
    /// It waits for its parent only.
    orphan: bool,
    /// A comparison found it to differ.
    compared: bool,
    /// The org may have refused it for the Contact or Lead that it names.
    unlinked: bool,
    /// The journal's version of the state that failed.
    state: u64,
}

impl Lettered {
    pub(super) fn of(dead: &Dead) -> Self {
        let compared = letter::is_compared(&dead.code);
        Self {
            conflict: dead.conflict,
            there: dead.there || compared,
            orphan: dead.code == letter::PARENT,
            compared,
            unlinked: dead.unlinked,
            state: dead.state,
        }
    }
}

impl Books {
    /// Books in which nothing of what is stored has been read.
    pub(super) fn unread(&self) -> Self {
        Self { delivered: self.delivered, ..Self::default() }
    }

    /// Reads what an earlier process left.
    pub(super) async fn load(
        &mut self,
        engine: &Engine,
        scope: OrgScope,
    ) -> Result<Left, StoreError> {
        let read = stored(engine, move |store| {
            let all = |collection| store.scan(Range::Org(collection, scope), None, usize::MAX);
            let asked = store.get(&unsure_key(scope))?;
            Ok((all(Collection::Retries)?, all(Collection::DeadLetters)?, asked))
        });
        let (retries, dead, asked) = read.await?;
        for (key, document) in retries {
            // Mail's retries are mail's.
            if let Ok(retry) = file::decode::<Retry>(&document.body) {
                self.retries.insert(key.local_id().to_owned(), (document.version, retry));
            }
        }
        let mut left = Left::default();
        for (key, document) in dead {
            if let Ok(dead) = file::decode::<Dead>(&document.body)
                && !is_mail(key.local_id())
            {
                if dead.accepted {
                    left.accepted.push(key.local_id().to_owned());
                }
                self.dead.insert(key.local_id().to_owned(), Lettered::of(&dead));
            }
        }
        if let Some(document) = asked {
            self.unsure_version = document.version;
            match file::decode::<Asked>(&document.body) {
                Ok(asked) => {
                    let event = |(name, upto): (String, u64)| {
                        Some((EventRef::from_partition(&name)?, upto))
                    };
                    self.unsure = asked.keys;
                    self.unsure_events = asked.events.into_iter().filter_map(event).collect();
                }
                Err(error) => {
                    tracing::error!(org = %scope.org(), %error, "which rows may be in the org can't be read");
                    left.forgotten = true;
                }
            }
        }
        Ok(left)
    }

    /// Whether the org may have made a row without saying so.
    pub(super) fn is_unsure(&self, event: EventRef, key: &str) -> bool {
        self.unsure.contains(key) || self.unsure_events.contains_key(&event)
    }

    /// Notes that the org was asked to make rows of events that can't be read
    /// now, up to the version of each.
    pub(super) fn ask_events(
        &mut self,
        org: &Org,
        events: impl IntoIterator<Item = (EventRef, u64)>,
    ) -> Option<Write> {
        let before = self.unsure_events.clone();
        for (event, upto) in events {
            let known = self.unsure_events.entry(event).or_default();
            *known = upto.max(*known);
        }
        (self.unsure_events != before).then(|| self.note_unsure(org))
    }

    /// Notes that all rows of an event up to a version are known to be there or not.
    pub(super) fn event_answered(
        &mut self,
        org: &Org,
        event: EventRef,
        upto: u64,
    ) -> Option<Write> {
        if self.unsure_events.get(&event).is_none_or(|unsure| *unsure > upto) {
            return None;
        }
        self.unsure_events.remove(&event);
        Some(self.note_unsure(org))
    }

    /// Notes that the org is asked to make rows. Whoever reads this before the
    /// answer is known must not make them without a look.
    pub(super) fn ask(
        &mut self,
        org: &Org,
        keys: impl IntoIterator<Item = String>,
    ) -> Option<Write> {
        let before = self.unsure.len();
        self.unsure.extend(keys);
        (self.unsure.len() > before).then(|| self.note_unsure(org))
    }

    /// Notes that it is known what became of rows, or that none of them was made.
    pub(super) fn answered<'a>(
        &mut self,
        org: &Org,
        keys: impl IntoIterator<Item = &'a str>,
    ) -> Option<Write> {
        let before = self.unsure.len();
        for key in keys {
            self.unsure.remove(key);
        }
        (self.unsure.len() < before).then(|| self.note_unsure(org))
    }

    fn note_unsure(&mut self, org: &Org) -> Write {
        self.unsure_version += 1;
        let events = self.unsure_events.iter().map(|(event, upto)| (event.partition(), *upto));
        let asked = Asked { keys: self.unsure.clone(), events: events.collect() };
        let body = (asked != Asked::default()).then(|| file::encode(&asked));
        Write { key: unsure_key(org.scope), version: self.unsure_version, body }
    }

    /// How often a row was sent in vain, and since when.
    pub(super) fn attempts(&self, key: &str) -> (u32, Option<i64>) {
        let known = self.retries.get(key).map(|(_, retry)| (retry.attempts, retry.since));
        known.unwrap_or_default()
    }

    pub(super) fn remember_retry(
        &mut self,
        org: &Org,
        key: &str,
        now: Timestamp,
        retry: Retry,
    ) -> Write {
        // Staff may have asked for the same row meanwhile: newer than that, too.
        let before = self.retries.get(key).map_or(0, |(version, _)| *version);
        let version = (before + 1).max(now.0.unsigned_abs());
        let body = Some(file::encode(&retry));
        self.retries.insert(key.to_owned(), (version, retry));
        Write { key: Key::retry(org.scope, key), version, body }
    }

    pub(super) fn forget_retry(&mut self, org: &Org, key: &str) -> Option<Write> {
        self.retries.remove(key)?;
        Some(Write { key: Key::retry(org.scope, key), version: letter::ANY, body: None })
    }

    /// Whether a row is not in the org, and a letter says so.
    pub(super) fn is_absent(&self, key: &str) -> bool {
        self.dead.get(key).is_some_and(|letter| !letter.there)
    }

    /// Whether a row goes without the Contact or Lead that it would name.
    pub(super) fn is_unlinked(&self, key: &str) -> bool {
        self.dead.get(key).is_some_and(|letter| letter.unlinked)
    }

    /// Whether what a row has to say since this version of the journal stands among the retries that
    /// are not due yet, or among the letters: it has been sent, and its own time or a person decides
    /// when it goes again.
    pub(super) fn is_set_aside(&self, key: &str, changed: u64, now: Timestamp) -> bool {
        let retry = self.retries.get(key).map(|(_, retry)| retry);
        retry.is_some_and(|retry| retry.version >= changed && !retry.due(now))
            || retry.is_none() && self.dead.get(key).is_some_and(|dead| dead.state >= changed)
    }

    /// Whether a letter says that a comparison found it to differ.
    pub(super) fn is_compared(&self, key: &str) -> bool {
        self.dead.get(key).is_some_and(|letter| letter.compared)
    }

    /// Rows with a letter that wait for this attendee only, and are not about to go.
    pub(super) fn orphans(&self, attendee: &str) -> Vec<String> {
        let prefix = format!("{attendee}-");
        let after = self.dead.range(prefix.clone()..);
        let children = after.take_while(|(key, _)| key.starts_with(&prefix));
        let waiting = children
            .filter(|(key, letter)| letter.orphan && !self.retries.contains_key(key.as_str()));
        waiting.map(|(key, _)| key.clone()).collect()
    }

    pub(super) fn forget_dead(&mut self, org: &Org, key: &str) -> Option<Write> {
        self.dead.remove(key)?;
        Some(Write { key: Key::dead_letter(org.scope, key), version: letter::ANY, body: None })
    }
}

fn unsure_key(scope: OrgScope) -> Key {
    Key::send(scope, "rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(version: u64, not_before: i64) -> (u64, Retry) {
        let retry = Retry {
            event: String::new(),
            claim: String::new(),
            place: 1,
            version,
            confirmed_at: None,
            attempts: 1,
            not_before,
            since: None,
            code: "UNABLE_TO_LOCK_ROW".to_owned(),
            forced: false,
        };
        (1, retry)
    }

    #[test]
    fn what_was_sent_waits_its_time_or_for_a_person_and_what_is_newer_does_not() {
        let letter = Lettered {
            conflict: false,
            there: false,
            orphan: false,
            compared: false,
            unlinked: false,
            state: 5,
        };
        let mut books = Books::default();
        books.retries.insert("waits".to_owned(), retry(5, 100));
        books.dead.insert("refused".to_owned(), letter);
        books.dead.insert("replayed".to_owned(), letter);
        books.retries.insert("replayed".to_owned(), retry(5, 0));
        let aside = |key: &str, changed: u64| books.is_set_aside(key, changed, Timestamp(50));
        // The journal has gone on to version 9 meanwhile, with news of others.
        assert!(aside("waits", 5) && aside("refused", 5) && aside("waits", 3));
        assert!(!aside("waits", 9) && !aside("refused", 9));
        assert!(!aside("replayed", 5) && !aside("unknown", 5));
        assert!(!books.is_set_aside("waits", 5, Timestamp(100)), "its time has come");
    }
}
