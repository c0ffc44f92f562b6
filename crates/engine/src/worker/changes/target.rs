//! From changes to what is to be read again.

use std::collections::BTreeSet;

use sloe_core::ids::SfId;
use sloe_salesforce::events::{Change, ChangeKind, Entity};

/// Changed events from which the whole org is read at once.
const MANY: usize = 100;

/// What changes ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What to read again; `None` is the whole org, alone then.
    pub(super) targets: BTreeSet<Option<SfId>>,
    /// Whether to look for changes: a record changed of which nobody knows what
    /// event it is of. It may be none of Sloe's, so it is not worth a reading
    /// of the whole org.
    pub(super) look: bool,
    /// Changes that ask for nothing.
    pub(super) passed_over: u64,
}

/// What to read again after `changes`; `event_of` knows which event a record
/// was last read with.
pub(super) fn wanted(changes: &[Change], event_of: impl Fn(SfId) -> Option<SfId>) -> Wanted {
    let mut wanted = Wanted::default();
    for change in changes {
        // Sloe writes nothing that the public sees: if its own figures come with such a field, what
        // the org does after they were written has changed it.
        let own = change.own && change.kind != ChangeKind::Update;
        if own || !change.public {
            wanted.passed_over += 1;
            continue;
        }
        if change.kind == ChangeKind::Overflow || change.records.is_empty() {
            wanted.targets.insert(None);
            continue;
        }
        for record in &change.records {
            if change.entity == Entity::Event {
                wanted.targets.insert(Some(*record));
                continue;
            }
            // A record that moved is news of both events.
            let known = event_of(*record);
            if known.is_none() && change.event.is_none() {
                match change.kind {
                    // What was changed straight in the database may show in no look.
                    ChangeKind::Gap => drop(wanted.targets.insert(None)),
                    _ => wanted.look = true,
                }
            }
            wanted.targets.extend(known.into_iter().chain(change.event).map(Some));
        }
    }
    if wanted.targets.contains(&None) || wanted.targets.len() > MANY {
        wanted.targets = BTreeSet::from([None]);
    }
    wanted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sloe_core::time::Timestamp;
    use sloe_salesforce::events::ReplayId;

    use super::*;

    fn id(kind: &str, n: usize) -> SfId {
        SfId::parse(&format!("{kind}{n:012}")).unwrap()
    }

    fn change(entity: Entity, kind: ChangeKind, records: &[SfId]) -> Change {
        Change {
            entity,
            kind,
            records: records.to_vec(),
            event: None,
            own: false,
            fields: Vec::new(),
            public: true,
            at: Timestamp(0),
            replay: ReplayId::new(&[1]),
        }
    }

    fn targets(changes: &[Change]) -> Vec<Option<SfId>> {
        let known = |record: SfId| (record == id("a01", 1)).then(|| id("a00", 1));
        wanted(changes, known).targets.into_iter().collect()
    }

    #[test]
    fn a_change_of_a_part_is_news_of_the_event_it_is_of() {
        let update = |entity, record| change(entity, ChangeKind::Update, &[record]);
        let (one, two) = (Some(id("a00", 1)), Some(id("a00", 2)));
        assert_eq!(targets(&[update(Entity::Event, id("a00", 2))]), [two]);
        assert_eq!(targets(&[update(Entity::Item, id("a01", 1))]), [one]);
        let moved = Change { event: two, ..update(Entity::Item, id("a01", 1)) };
        assert_eq!(targets(&[moved]), [one, two]);
        let new =
            Change { event: two, ..change(Entity::Item, ChangeKind::Create, &[id("a01", 9)]) };
        assert_eq!(targets(&[new]), [two]);
        let gap = change(Entity::Item, ChangeKind::Gap, &[id("a01", 1)]);
        assert_eq!(targets(&[gap]), [one]);
    }

    #[test]
    fn what_can_t_be_told_apart_is_news_of_the_whole_org() {
        let event = change(Entity::Event, ChangeKind::Update, &[id("a00", 2)]);
        let unknown = change(Entity::Session, ChangeKind::Gap, &[id("a02", 9)]);
        assert_eq!(targets(&[event.clone(), unknown]), [None]);
        assert_eq!(targets(&[event, change(Entity::Item, ChangeKind::Overflow, &[])]), [None]);
        let all: Vec<SfId> = (0..=MANY).map(|n| id("a00", n)).collect();
        assert_eq!(targets(&[change(Entity::Event, ChangeKind::Update, &all)]), [None]);
    }

    #[test]
    fn a_record_of_no_known_event_is_looked_for_however_often_it_changes() {
        for kind in [ChangeKind::Create, ChangeKind::Update, ChangeKind::Delete] {
            let wanted = wanted(&[change(Entity::Item, kind, &[id("a01", 9)])], |_| None);
            assert_eq!(wanted, Wanted { look: true, ..Wanted::default() });
        }
    }

    #[test]
    fn what_nobody_sees_is_passed_over_and_our_own_writes_unless_the_org_adds_to_them() {
        let event = |kind| change(Entity::Event, kind, &[id("a00", 2)]);
        let own = |kind, public| Change { own: true, public, ..event(kind) };
        let figures = Change { public: false, ..event(ChangeKind::Update) };
        let unseen = [own(ChangeKind::Update, false), own(ChangeKind::Gap, true), figures];
        let none = wanted(&unseen, |_| None);
        assert_eq!(none, Wanted { passed_over: 3, ..Wanted::default() });
        assert_eq!(targets(&[own(ChangeKind::Update, true)]), [Some(id("a00", 2))]);
    }
}
