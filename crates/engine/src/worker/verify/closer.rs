//! Events whose counts differ, looked at row by row: as many together as
//! memory allows, and an event of more rows than that in parts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sloe_core::ids::EventRef;
use sloe_core::verify::Ours;
use sloe_salesforce::{Org as Client, RowKind};

use super::detail::{Detail, Part, Rows, Whole};
use super::ours::{self, Enough, Standing};
use super::{Pass, repair};
use crate::worker::halt::Halt;
use crate::worker::outbox::mend::Mend;

/// Rows of ours in memory at a time: some 200 bytes each. The org is asked for
/// all rows of an event once for each of its parts.
const AT_ONCE: u64 = 200_000;

/// Events, with about how many rows each has.
type Events = BTreeMap<EventRef, u64>;

/// The next events that are compared together.
fn some_of(events: &mut Events, most: u64) -> Events {
    let (mut some, mut rows) = (Events::new(), 0);
    while let Some(next) = events.first_entry() {
        rows += *next.get();
        if rows > most && !some.is_empty() {
            break;
        }
        let (event, about) = next.remove_entry();
        some.insert(event, about);
    }
    some
}

impl Pass<'_> {
    /// Compares events row by row.
    pub(super) async fn closer(
        &mut self,
        client: &Client,
        standing: &Arc<Standing>,
        kind: RowKind,
        mut events: Events,
    ) -> Result<(), Halt> {
        self.settle_letters(standing, kind, &events).await?;
        let most = self.engine.workers().settings.compared_at_once.unwrap_or(AT_ONCE);
        loop {
            let some = some_of(&mut events, most);
            if some.is_empty() {
                return Ok(());
            }
            let wanted = Arc::new(some.keys().copied().collect::<BTreeSet<_>>());
            let (engine, work, org) = (self.engine, self.work, self.org);
            let detail = |(event, about)| {
                let whole = Whole::default();
                (event, Detail { engine, work, org, client, kind, event, about, whole })
            };
            let mut details: BTreeMap<_, _> = some.into_iter().map(detail).collect();
            // Of several events each is compared as a whole, so that it is asked for once.
            let in_parts = details.len() == 1;
            let mut part = Part::default();
            loop {
                let (mut rows, mut count) = (BTreeMap::<_, Rows>::new(), 0);
                let see = |row: ours::Known| {
                    if row.kind() == kind {
                        count += 1;
                        rows.entry(row.event).or_default().add(&row);
                    }
                    if in_parts && count >= most { Enough::Yes } else { Enough::No }
                };
                part.upto = standing.each(engine, &wanted, part.after, see).await?;
                for (event, detail) in &mut details {
                    let rows = rows.remove(event).unwrap_or_default();
                    detail.compare(part, rows, self.verified).await?;
                    if part.upto.is_none() {
                        detail.end().await?;
                    }
                }
                match part.upto {
                    Some(last) => part.after = Some(last),
                    None => break,
                }
            }
        }
    }

    /// Letters that only a comparison settles, of events whose counts agree.
    async fn settle_letters(
        &self,
        standing: &Arc<Standing>,
        kind: RowKind,
        differ: &Events,
    ) -> Result<(), Halt> {
        let keys: Vec<_> = standing.compared().filter(|key| ours::kind(key) == kind).collect();
        let found = standing.look_at(self.engine, &keys).await?;
        let settled = found.iter().flatten().filter(|known| {
            !differ.contains_key(&known.event) && matches!(known.ours, Ours::Sent { .. })
        });
        self.work.mend(settled.map(|known| repair(known, Mend::Settled)).collect());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sloe_core::ids::{OrgId, SfId};

    use super::*;

    #[test]
    fn events_go_together_as_far_as_memory_allows_and_a_large_one_goes_alone() {
        let org = OrgId::parse("00D000000000001").unwrap();
        let event = |n| EventRef { org, event: SfId::parse(&format!("a00{n:012}")).unwrap() };
        let sizes = [4, 5, 100, 1, 9, 2];
        let mut events: Events = (0..).zip(sizes).map(|(n, rows)| (event(n), rows)).collect();
        let mut batches = Vec::new();
        while !events.is_empty() {
            batches.push(some_of(&mut events, 10).into_values().collect::<Vec<_>>());
        }
        assert_eq!(batches, [vec![4, 5], vec![100], vec![1, 9], vec![2]]);
    }
}
