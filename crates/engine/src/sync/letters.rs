//! Rows that failed for good or wait to be sent again, for the org's staff.

use std::collections::BTreeMap;

use sloe_core::ids::{ClaimId, EventRef, OrgId, SfId};
use sloe_core::time::Timestamp;
use sloe_store::api::{Document, Store, StoreError};
use sloe_store::key::{Collection, Key, Range};
use sloe_store::scope::OrgScope;

use super::{PAGE, is_mail};
use crate::engine::Engine;
use crate::error::Denied;
use crate::tenant::Org;
use crate::worker::outbox::file::{self, Dead, Retry};
use crate::worker::outbox::letter;

/// What a letter or a waiting row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LetterKind {
    /// An attendee.
    Attendee,
    /// An attendee's place in a session.
    SessionAttendee,
    /// A confirmation mail.
    Mail,
}

impl LetterKind {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Attendee, Self::SessionAttendee, Self::Mail];

    /// In words: `attendee`, `session attendee` or `mail`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Attendee => "attendee",
            Self::SessionAttendee => "session attendee",
            Self::Mail => "mail",
        }
    }

    /// Reads [`LetterKind::word`] back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    fn of(key: &str) -> Self {
        if is_mail(key) {
            Self::Mail
        } else if ClaimId::parse_attendee_key(key).is_some() {
            Self::Attendee
        } else {
            Self::SessionAttendee
        }
    }
}

/// A row that failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The record's external id in the org.
    pub key: String,
    /// What the record is.
    pub kind: LetterKind,
    /// Its event.
    pub event: EventRef,
    /// The order's short name.
    pub reference: String,
    /// The attendee, from 1.
    pub place: u16,
    /// When it was given up first.
    pub since: Timestamp,
    /// When it was given up last.
    pub at: Timestamp,
    /// How often it was sent.
    pub tries: u32,
    /// Salesforce's code, or a word of Sloe's own in lower case.
    pub code: String,
    /// The fields it blames.
    pub fields: Vec<String>,
    /// Whether the org deleted or changed the record, rather than refused it.
    pub conflict: bool,
    /// Whether it is about to be sent again.
    pub replaying: bool,
    /// What it means.
    pub means: String,
    /// What to do.
    pub fix: String,
    /// Who can do it: `organizer`, `admin` or `operator`.
    pub owner: &'static str,
    /// The org's own words without the person's; may still say too much, so
    /// not for logs.
    pub message: Option<String>,
}

/// Which letters are wanted; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Of this event.
    pub event: Option<SfId>,
    /// With this code.
    pub code: Option<String>,
    /// That blame this field.
    pub field: Option<String>,
    /// That blame these fields, in this order, and no others: a pile's.
    pub fields: Option<Vec<String>>,
    /// About records of this kind.
    pub kind: Option<LetterKind>,
    /// Conflicts only, or refusals only.
    pub conflict: Option<bool>,
}

impl LetterFilter {
    pub(super) fn wants(&self, key: &str, dead: &Dead) -> bool {
        let event = || EventRef::from_partition(&dead.event).map(|event| event.event);
        self.event.is_none_or(|wanted| event() == Some(wanted))
            && self.code.as_ref().is_none_or(|code| code.eq_ignore_ascii_case(&dead.code))
            && self.field.as_ref().is_none_or(|field| {
                dead.fields.iter().any(|blamed| blamed.eq_ignore_ascii_case(field))
            })
            && self.fields.as_ref().is_none_or(|fields| *fields == dead.fields)
            && self.kind.is_none_or(|kind| kind == LetterKind::of(key))
            && self.conflict.is_none_or(|conflict| conflict == dead.conflict)
    }
}

/// Some letters, and where the next ones begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterPage {
    /// By external id.
    pub letters: Vec<Letter>,
    /// What to give as `after` for the next ones; `None` at the end.
    pub next: Option<String>,
}

/// Letters of one kind, counted: what is wrong once is often wrong many times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pile {
    /// The code.
    pub code: String,
    /// The fields it blames.
    pub fields: Vec<String>,
    /// What the records are.
    pub kind: LetterKind,
    /// Whether these are conflicts.
    pub conflict: bool,
    /// How many.
    pub count: usize,
    /// When the first was given up.
    pub since: Timestamp,
    /// What it means.
    pub means: String,
    /// What to do.
    pub fix: String,
    /// Who can do it.
    pub owner: &'static str,
}

/// A row that waits to be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The record's external id in the org.
    pub key: String,
    /// What the record is.
    pub kind: LetterKind,
    /// Its event.
    pub event: EventRef,
    /// The order's short name.
    pub reference: String,
    /// The attendee, from 1.
    pub place: u16,
    /// How often it was sent since it last stood in the org or was asked for.
    pub tries: u32,
    /// When it failed first; `None` if it only was asked for.
    pub since: Option<Timestamp>,
    /// When it goes next, at the earliest.
    pub next_try: Timestamp,
    /// Why it was not taken.
    pub code: String,
}

/// Some waiting rows, and where the next ones begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingPage {
    /// By external id.
    pub rows: Vec<Waiting>,
    /// What to give as `after` for the next ones; `None` at the end.
    pub next: Option<String>,
}

/// What the letters of a pile have in common.
type PileOf = (String, Vec<String>, LetterKind, bool);

impl Pile {
    /// Whether a letter is one of them.
    #[must_use]
    pub fn holds(&self, letter: &Letter) -> bool {
        (&self.code, &self.fields, self.kind, self.conflict)
            == (&letter.code, &letter.fields, letter.kind, letter.conflict)
    }

    /// What its letters, and no others, have in common.
    #[must_use]
    pub fn filter(&self) -> LetterFilter {
        LetterFilter {
            event: None,
            code: Some(self.code.clone()),
            field: None,
            fields: Some(self.fields.clone()),
            kind: Some(self.kind),
            conflict: Some(self.conflict),
        }
    }
}

impl Engine {
    /// Rows of an org that failed for good, by external id: up to `limit`
    /// (at most 500) after `after`.
    ///
    /// # Errors
    /// [`Denied::NotFound`] for an org that is not connected; the store's.
    pub async fn letters(
        &self,
        org: OrgId,
        filter: &LetterFilter,
        after: Option<String>,
        limit: usize,
    ) -> Result<LetterPage, Denied> {
        let org = self.registry().by_id(org).ok_or(Denied::NotFound)?;
        let (scope, filter, limit) = (org.scope, filter.clone(), limit.clamp(1, 500));
        self.blocking(move |store| {
            let mut page = LetterPage::default();
            each_letter(store, scope, after.as_deref(), |key, dead| {
                if !filter.wants(key, &dead) {
                    return Ok(true);
                }
                if page.letters.len() == limit {
                    page.next = page.letters.last().map(|letter: &Letter| letter.key.clone());
                    return Ok(false);
                }
                let replaying = store.get(&Key::retry(scope, key))?.is_some();
                page.letters.extend(letter_of(&org, key, dead, replaying));
                Ok(true)
            })?;
            Ok(page)
        })
        .await
    }

    /// The first of each pile, up to `each` of one, by external id.
    ///
    /// # Errors
    /// As [`Engine::letters`].
    pub async fn first_letters(&self, org: OrgId, each: usize) -> Result<Vec<Letter>, Denied> {
        let org = self.registry().by_id(org).ok_or(Denied::NotFound)?;
        self.blocking(move |store| {
            let mut seen: BTreeMap<PileOf, usize> = BTreeMap::new();
            let mut letters = Vec::new();
            each_letter(store, org.scope, None, |key, dead| {
                let pile =
                    (dead.code.clone(), dead.fields.clone(), LetterKind::of(key), dead.conflict);
                let count = seen.entry(pile).or_default();
                if *count < each {
                    *count += 1;
                    let replaying = store.get(&Key::retry(org.scope, key))?.is_some();
                    letters.extend(letter_of(&org, key, dead, replaying));
                }
                Ok(true)
            })?;
            Ok(letters)
        })
        .await
    }

    /// The same, counted by kind, the largest pile first.
    ///
    /// # Errors
    /// As [`Engine::letters`].
    pub async fn piles(&self, org: OrgId, filter: &LetterFilter) -> Result<Vec<Pile>, Denied> {
        let org = self.registry().by_id(org).ok_or(Denied::NotFound)?;
        let (scope, filter) = (org.scope, filter.clone());
        let counted = self.blocking(move |store| {
            let mut piles = BTreeMap::new();
            each_letter(store, scope, None, |key, dead| {
                if filter.wants(key, &dead) {
                    let since = Timestamp(dead.since.unwrap_or(dead.at));
                    let kind = LetterKind::of(key);
                    let entry = piles
                        .entry((dead.code, dead.fields, kind, dead.conflict))
                        .or_insert((0, since));
                    *entry = (entry.0 + 1, entry.1.min(since));
                }
                Ok(true)
            })?;
            Ok(piles)
        });
        let pile = |((code, fields, kind, conflict), (count, since)): (PileOf, _)| {
            let letter::Words { means, fix, owner } =
                letter::words(&code, &fields, about(&org, kind, &fields));
            let owner = owner.word();
            Pile { code, fields, kind, conflict, count, since, means, fix, owner }
        };
        let mut piles: Vec<_> = counted.await?.into_iter().map(pile).collect();
        piles.sort_by_key(|pile| std::cmp::Reverse(pile.count));
        Ok(piles)
    }

    /// Rows of an org that wait to be sent again, by external id: up to `limit`
    /// (at most 500) after `after`.
    ///
    /// # Errors
    /// As [`Engine::letters`].
    pub async fn waiting_rows(
        &self,
        org: OrgId,
        after: Option<String>,
        limit: usize,
    ) -> Result<WaitingPage, Denied> {
        let org = self.registry().by_id(org).ok_or(Denied::NotFound)?;
        let (scope, limit) = (org.scope, limit.clamp(1, 500));
        self.blocking(move |store| {
            let after = after.map(|after| Key::retry(scope, &after));
            let range = Range::Org(Collection::Retries, scope);
            let found = store.scan(range, after.as_ref(), limit + 1)?;
            let next = found.get(limit).and_then(|_| found.get(limit - 1));
            let next = next.map(|(key, _)| key.local_id().to_owned());
            let rows = found.iter().take(limit).filter_map(waiting).collect();
            Ok(WaitingPage { rows, next })
        })
        .await
    }
}

/// Gives an org's letters that staff have not accepted after `after` one by one, until `see` says no more.
pub(super) fn each_letter(
    store: &dyn Store,
    scope: OrgScope,
    after: Option<&str>,
    see: impl FnMut(&str, Dead) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    each_letter_by(PAGE, store, scope, after, see)
}

/// The same, so many read at a time: few where few are wanted.
pub(super) fn each_letter_by(
    page: usize,
    store: &dyn Store,
    scope: OrgScope,
    after: Option<&str>,
    mut see: impl FnMut(&str, Dead) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let range = Range::Org(Collection::DeadLetters, scope);
    let mut after = after.map(|after| Key::dead_letter(scope, after));
    loop {
        let found = store.scan(range, after.as_ref(), page)?;
        for (key, document) in &found {
            // One that can't be read must not hide the others.
            let Ok(dead) = Dead::read(document) else {
                tracing::error!(org = %scope.org(), "a dead letter can't be read");
                continue;
            };
            if !dead.accepted && !see(key.local_id(), dead)? {
                return Ok(());
            }
        }
        match found.into_iter().nth(page - 1) {
            Some((last, _)) => after = Some(last),
            None => return Ok(()),
        }
    }
}

fn letter_of(org: &Org, key: &str, dead: Dead, replaying: bool) -> Option<Letter> {
    let message = dead.sealed_message.as_deref().and_then(|sealed| {
        let sealed = sloe_core::ids::base32::decode(sealed)?;
        let plain = org.vault_key().open(key.as_bytes(), &sealed).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    });
    let kind = LetterKind::of(key);
    let letter::Words { means, fix, owner } =
        letter::words(&dead.code, &dead.fields, about(org, kind, &dead.fields));
    Some(Letter {
        key: key.to_owned(),
        kind,
        event: EventRef::from_partition(&dead.event)?,
        reference: ClaimId::parse(&dead.claim)?.reference(),
        place: dead.place,
        since: Timestamp(dead.since.unwrap_or(dead.at)),
        at: Timestamp(dead.at),
        tries: dead.tries.max(1),
        code: dead.code,
        fields: dead.fields,
        conflict: dead.conflict,
        replaying,
        means,
        fix,
        owner: owner.word(),
        message,
    })
}

/// What a letter is about that blames these fields.
fn about(org: &Org, kind: LetterKind, fields: &[String]) -> letter::About {
    match kind {
        LetterKind::Mail => letter::About::Mail,
        LetterKind::Attendee if letter::blames_invitee(org, fields) => letter::About::Invitee,
        _ => letter::About::Row,
    }
}

fn waiting((key, document): &(Key, Document)) -> Option<Waiting> {
    let key = key.local_id();
    let retry = file::decode::<Retry>(&document.body).ok()?;
    Some(Waiting {
        key: key.to_owned(),
        kind: LetterKind::of(key),
        event: retry.event()?,
        reference: retry.claim()?.reference(),
        place: retry.place,
        tries: retry.attempts,
        since: retry.since.map(Timestamp),
        next_try: Timestamp(retry.not_before),
        code: retry.code,
    })
}
