//! What a look takes for news: nothing that is as it was read, and everything else once.
#![allow(clippy::unwrap_used)]

use sloe_core::inbound::{Field, RawRecord, Value};

use super::*;
use crate::refresh::{Outcome, Refresh};
use crate::testing::{org_id, raw};
use crate::worker::budget::Budget;
use crate::worker::reads::Seen;

fn id(n: u32) -> SfId {
    SfId::parse(&format!("a00{n:012}")).unwrap()
}

fn item(n: u32, name: &str) -> RawRecord {
    let fields = [(Field::Name, Value::Text(name.to_owned()))];
    RawRecord { id: SfId::parse(&format!("a01{n:012}")).unwrap(), fields: fields.into() }
}

/// An org of which event 1 was read, with item 1.
fn work() -> OrgWork {
    let work = OrgWork::new(org_id(), Budget::new(Arc::new(crate::clock::Machine)));
    let mut read = raw("Event");
    read.items.push(item(1, "Pass"));
    let refresh = Refresh { event: Some(id(1)), at: Timestamp(1), outcome: Outcome::Gone };
    work.reads.note(refresh, Some(Seen::of(&read)));
    work
}

fn change(of: Watched, record: RawRecord, event: Option<SfId>) -> Changed {
    let (stamp, deleted, edited) = (Timestamp(2), false, false);
    Changed { of, stamp, event, deleted, edited, record, key: None }
}

/// Whether a change is acted upon, and which events it is news of.
fn news(change: &Changed) -> (bool, Vec<SfId>) {
    let mut found = Found::default();
    let acted = judge(&work(), change, &mut found);
    (acted, found.events.into_iter().collect())
}

#[test]
fn a_record_that_is_as_it_was_read_is_no_news_and_any_other_is() {
    let same = change(Watched::Item, item(1, "Pass"), Some(id(1)));
    assert_eq!(news(&same), (false, vec![]));
    let renamed = change(Watched::Item, item(1, "Day pass"), Some(id(1)));
    assert_eq!(news(&renamed), (true, vec![id(1)]));
    let new = change(Watched::Item, item(2, "Pass"), Some(id(1)));
    assert_eq!(news(&new), (true, vec![id(1)]));
    let event = change(Watched::Event, raw("Event").event, Some(id(1)));
    assert_eq!(news(&event), (false, vec![]));
    let renamed = change(Watched::Event, raw("Other").event, Some(id(1)));
    assert_eq!(news(&renamed), (true, vec![id(1)]));
}

#[test]
fn a_record_that_moved_is_news_of_both_events_although_it_says_the_same() {
    let moved = change(Watched::Item, item(1, "Pass"), Some(id(2)));
    assert_eq!(news(&moved), (true, vec![id(1), id(2)]));
    let cleared = change(Watched::Item, item(1, "Pass"), None);
    assert_eq!(news(&cleared), (true, vec![id(1)]));
}

#[test]
fn a_deleted_record_is_news_while_it_is_known_and_never_after() {
    let deleted = |record| Changed { deleted: true, ..change(Watched::Item, record, Some(id(1))) };
    // It says the same in the recycle bin.
    assert_eq!(news(&deleted(item(1, "Pass"))), (true, vec![id(1)]));
    assert_eq!(news(&deleted(item(2, "Pass"))), (false, vec![]));
}

#[test]
fn attendees_are_sloe_s_own_to_cancel_or_the_org_s_to_count() {
    let person = |event| change(Watched::Attendee, item(7, ""), event);
    let ours = Changed { key: Some("key".to_owned()), ..person(Some(id(1))) };
    let mut found = Found::default();
    assert!(judge(&work(), &ours, &mut found));
    assert_eq!(found.cancelled, BTreeMap::from([(id(1), vec!["key".to_owned()])]));
    assert!(found.events.is_empty() && !found.moved);
    // Nobody knows the event of one whose lookup is empty.
    let lost = Changed { event: None, ..ours };
    assert_eq!(news(&lost), (false, vec![]));

    assert_eq!(news(&person(Some(id(1)))), (true, vec![id(1)]));
    // An event that is not read has no seats here.
    assert_eq!(news(&person(Some(id(9)))), (true, vec![]));
    let edited = Changed { edited: true, ..person(None) };
    let mut found = Found::default();
    assert!(judge(&work(), &edited, &mut found));
    assert!(found.moved, "it may have been another event's");
}
