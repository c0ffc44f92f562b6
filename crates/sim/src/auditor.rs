//! Looks on, and believes nothing: a second, naive account of what must be
//! true. It shares no code with the ledger that it audits: it reads facts as
//! anybody could, counts everything anew at each of them, and compares that
//! with what visitors, pages and orgs were told.

mod book;
mod promises;
mod rows;

use std::collections::BTreeMap;

use sloe_core::fact::{Batch, Fact};
use sloe_core::ids::{ClaimId, EventRef, SfId};
use sloe_core::time::Timestamp;
use sloe_engine::view::Availability;

pub use book::{Book, Standing, Ticket};
pub use promises::{Asked, Deed, Told};
pub use rows::{Expected, expected};

use promises::Promises;

/// What must never be, in words.
pub type Violation = String;

/// Seats and external registrations of an event, which has no record, its items and sessions.
pub type Limits = BTreeMap<Option<SfId>, (Option<u32>, u32)>;

/// The account of everything that happened.
#[derive(Debug, Default)]
pub struct Auditor {
    books: BTreeMap<EventRef, Book>,
    promises: BTreeMap<EventRef, Promises>,
    /// What was read of an event in its org, by when.
    readings: BTreeMap<(EventRef, Timestamp), Vec<Limits>>,
    /// What each node showed last and was true.
    shown: BTreeMap<(usize, EventRef), Availability>,
}

impl Auditor {
    /// The versions of an event's journal that were read.
    #[must_use]
    pub fn reach(&self, event: EventRef) -> u64 {
        self.books.get(&event).map_or(0, Book::version)
    }

    /// The account of an event, as far as its journal was read.
    #[must_use]
    pub fn book(&self, event: EventRef) -> Option<&Book> {
        self.books.get(&event)
    }

    /// An event was read in its org, and this is what its records said.
    pub fn reads(&mut self, event: EventRef, as_of: Timestamp, limits: Limits) {
        self.readings.entry((event, as_of)).or_default().push(limits);
    }

    /// Reads the journal's next batch. `has_details` says whether a claim's personal data is there.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn follow(
        &mut self,
        event: EventRef,
        batch: &Batch,
        has_details: impl Fn(ClaimId) -> bool,
    ) -> Result<(), Violation> {
        let book = self.books.entry(event).or_default();
        let news = book.follow(batch).map_err(|what| {
            format!("the journal of {event:?} at version {}: {what}", batch.version)
        })?;
        for fact in &batch.facts {
            let Fact::TermsSet(terms) = fact else { continue };
            let read = self.readings.get(&(event, terms.as_of));
            if !read.is_some_and(|read| read.contains(&book::limits_of(terms))) {
                return Err(format!("{terms:?} is not what was read in the org: {read:?}"));
            }
        }
        let promises = self.promises.entry(event).or_default();
        for confirmed in news {
            if !has_details(confirmed.claim) {
                return Err(format!("{:?} is an order of nobody: no details", confirmed.claim));
            }
            if confirmed.was_hold && !promises.may_confirm(confirmed.claim) {
                let claim = confirmed.claim;
                return Err(format!(
                    "{claim:?} was confirmed although nobody asks for it any more"
                ));
            }
        }
        let (made, may) = (book.made(), promises.may_have_made());
        if made > may {
            return Err(format!(
                "{made} claims were made in {event:?}, and {may} asked for: one that was told to \
                 have come to nothing"
            ));
        }
        Ok(())
    }

    /// A visitor asks for something.
    pub fn asks(&mut self, asked: &Asked) {
        self.promises.entry(asked.event).or_default().asks(asked);
    }

    /// A visitor is told something, by now durable and for good.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn hears(&mut self, asked: &Asked, told: &Told) -> Result<(), Violation> {
        let book = self.books.entry(asked.event).or_default();
        let promises = self.promises.entry(asked.event).or_default();
        promises
            .hears(asked, told, book)
            .map_err(|what| format!("{asked:?} was told {told:?}: {what}"))
    }

    /// A node shows what is left of an event.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn sees(
        &mut self,
        node: usize,
        event: EventRef,
        shown: &Availability,
    ) -> Result<(), Violation> {
        if self.shown.get(&(node, event)) == Some(shown) {
            return Ok(());
        }
        let nothing = Book::default();
        let book = self.books.get(&event).unwrap_or(&nothing);
        book.agrees(event, shown)
            .map_err(|what| format!("node {node} shows of {event:?}: {what}"))?;
        self.shown.insert((node, event), shown.clone());
        Ok(())
    }
}
