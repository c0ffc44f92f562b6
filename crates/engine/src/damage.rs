//! What is stored of events and can't be read back: which events are set
//! aside, and why. Everybody else's go on.

use std::sync::Arc;

use dashmap::DashMap;
use sloe_core::ids::{EventRef, OrgId};

use sloe_store::api::Store;

use crate::engine::Engine;

/// Events on which nothing is decided any more, and why.
pub(crate) type Quarantined = Arc<DashMap<EventRef, String>>;

/// What of an event can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Its journal: nobody gets a seat, or sees an order.
    Journal,
    /// Its page: it is not shown, or as it was last.
    Page,
}

/// An event of which something can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Which.
    pub event: EventRef,
    /// Its name, if that is known.
    pub name: Option<String>,
    /// What of it.
    pub part: Part,
    /// Why not.
    pub reason: String,
}

impl Damage {
    /// What that means, in a sentence.
    #[must_use]
    pub fn says(&self) -> String {
        let id = self.event.event;
        let event = match &self.name {
            Some(name) => format!("“{name}” ({id})"),
            None => format!("The event {id}"),
        };
        let reason = &self.reason;
        match self.part {
            Part::Journal => {
                format!("{event} is out of order: its journal can't be read ({reason}).")
            }
            Part::Page => {
                format!("{event} can't be shown as it is now: its page can't be read ({reason}).")
            }
        }
    }

    /// What to do about it, in a sentence.
    #[must_use]
    pub fn todo(&self) -> String {
        match self.part {
            Part::Journal => "Put that journal's documents back from a backup, then start Sloe \
                              again; other events are not concerned."
                .to_owned(),
            Part::Page => {
                let (org, event) = (self.event.org, self.event.event);
                format!("Have it read again: sloe event refresh --org {org} {event}")
            }
        }
    }
}

impl Engine {
    /// Events of an org of which something can't be read, as far as that was
    /// noticed since the start.
    #[must_use]
    pub fn damages(&self, org: OrgId) -> Vec<Damage> {
        let damage = |event: EventRef, part, reason: String| {
            let name = self.catalog().listing(event).map(|listing| listing.name.clone());
            Damage { event, name, part, reason }
        };
        let journals = self.quarantined().iter();
        let journals = journals.map(|entry| (*entry.key(), Part::Journal, entry.value().clone()));
        let pages = self.catalog().unreadable();
        let pages = pages.map(|(event, reason)| (event, Part::Page, reason));
        let mut all: Vec<_> = journals.chain(pages).filter(|(e, ..)| e.org == org).collect();
        all.sort_by_key(|(event, part, _)| (*event, *part));
        all.into_iter().map(|(event, part, reason)| damage(event, part, reason)).collect()
    }

    /// Tries all journals, for a tool on a store at rest: what is damaged is known then.
    pub(crate) async fn try_journals(&self) {
        let Ok(journals) = self.blocking(Store::journals).await else { return };
        for (event, _) in journals {
            // What can't be read now is no damage, and told elsewhere.
            let _ = self.desk().load(event).await;
        }
    }
}
