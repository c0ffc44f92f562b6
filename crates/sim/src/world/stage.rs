//! What a world has at its beginning: orgs, events, and how much goes wrong.

use std::collections::BTreeMap;

use sloe_core::ids::{EventRef, OrgId, SfId};
use sloe_core::inbound::{Field, RawEvent, RawRecord, Value};
use sloe_core::time::Timestamp;

use super::clock::BEGIN;
use super::dice::Dice;
use super::port::Weather;
use crate::auditor::Limits;

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// An event as its organizer has it in Salesforce.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) event: EventRef,
    pub(crate) limit: Option<u32>,
    pub(crate) items: Vec<(SfId, Option<u32>)>,
    pub(crate) sessions: Vec<(SfId, Option<u32>)>,
    /// Attendees made in Salesforce: of the first item, and in the first session.
    pub(crate) external: u32,
    hold_minutes: u32,
}

/// How a world is, drawn from its seed.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) nodes: usize,
    pub(crate) orgs: Vec<OrgId>,
    pub(crate) events: Vec<Event>,
    pub(crate) visitors: usize,
    /// For how long things go wrong, in milliseconds.
    pub(crate) storm: i64,
    /// How much does, from 0 to 3.
    pub(crate) harm: u64,
    /// Bytes for ledgers in memory.
    pub(crate) ledger_bytes: usize,
    /// Facts after which a checkpoint is due.
    pub(crate) checkpoint_facts: usize,
    /// Rows from which a job is worth it.
    pub(crate) bulk_from: usize,
}

impl Stage {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let nodes = 1 + dice.index(4);
        let orgs: Vec<_> = (1..=1 + dice.below(2)).filter_map(|n| org(n).ok()).collect();
        let count = 1 + dice.below(4);
        let events = (1..=count).filter_map(|n| {
            let org = *orgs.get(dice.index(orgs.len()))?;
            Event::draw(org, n, dice)
        });
        let events: Vec<_> = events.collect();
        Self {
            nodes,
            visitors: 15 + dice.index(25),
            storm: dice.between(40_000, 140_000),
            harm: dice.below(4),
            ledger_bytes: if dice.chance(300) { 9 * 1024 } else { 1 << 20 },
            checkpoint_facts: 1 + dice.index(12),
            bulk_from: 2 + dice.index(8),
            orgs,
            events,
        }
    }

    /// How the store behaves for a while.
    pub(crate) fn weather(&self, dice: &mut Dice) -> Weather {
        let harm = self.harm;
        let mut share = || dice.below(1 + 12 * harm);
        Weather {
            refused: share(),
            request_lost: share(),
            answer_lost: share(),
            delayed: share(),
            doubled: share(),
            unread: share() / 4,
        }
    }
}

fn org(n: u64) -> Result<OrgId, sloe_core::ids::IdError> {
    OrgId::parse(&format!("00D0000000000{n:02}"))
}

fn record(kind: &str, n: u64) -> Option<SfId> {
    SfId::parse(&format!("{kind}{n:012}")).ok()
}

impl Event {
    fn draw(org: OrgId, n: u64, dice: &mut Dice) -> Option<Self> {
        let event = EventRef { org, event: record("a00", n)? };
        let mut limit = |most: u64, unlimited: u64| {
            let seats = u32::try_from(1 + dice.below(most)).unwrap_or(1);
            (!dice.chance(unlimited)).then_some(seats)
        };
        let items = [record("a01", n * 10 + 1)?, record("a01", n * 10 + 2)?];
        let items = items.map(|id| (id, limit(14, 400))).to_vec();
        let sessions = [record("a02", n * 10 + 1)?, record("a02", n * 10 + 2)?];
        let sessions = sessions.map(|id| (id, limit(10, 300))).to_vec();
        let limit = limit(25, 150);
        let hold_minutes = 1 + u32::try_from(dice.below(2)).unwrap_or(0);
        Some(Self { event, limit, items, sessions, external: 0, hold_minutes })
    }

    /// The organizer changes something; what, in words.
    pub(crate) fn change(&mut self, dice: &mut Dice) -> String {
        let seats = Some(u32::try_from(dice.below(24)).unwrap_or(0));
        match dice.below(4) {
            0 => self.limit = seats,
            1 => {
                let at = dice.index(self.items.len());
                self.items[at].1 = seats;
            }
            2 => {
                let at = dice.index(self.sessions.len());
                self.sessions[at].1 = seats;
            }
            _ => self.external += 1,
        }
        format!("limits {:?} {:?} {:?} +{}", self.limit, self.items, self.sessions, self.external)
    }

    /// What its records say now.
    pub(crate) fn limits(&self) -> Limits {
        let counted = |all: &[(SfId, Option<u32>)]| {
            let with = |(at, (id, limit)): (usize, &(SfId, Option<u32>))| {
                // Attendees made in Salesforce have the first of each.
                (Some(*id), (*limit, if at == 0 { self.external } else { 0 }))
            };
            all.iter().enumerate().map(with).collect::<Vec<_>>()
        };
        let records = counted(&self.items).into_iter().chain(counted(&self.sessions));
        records.chain([(None, (self.limit, self.external))]).collect()
    }

    /// The event as it would be read now.
    pub(crate) fn read(&self, now: i64, cancelled: Vec<String>) -> RawEvent {
        let text = |text: String| Value::Text(text);
        let at = |days: i64| text(Timestamp(BEGIN + days * DAY).to_rfc3339());
        let limited = |name: String, limit: Option<u32>| {
            let limit = limit.map(|seats| (Field::Limit, Value::Number(seats.into())));
            let fields = [(Field::Name, text(name))];
            fields.into_iter().chain(limit).collect::<BTreeMap<_, _>>()
        };
        let items = self.items.iter().map(|(id, limit)| RawRecord {
            id: *id,
            fields: limited(format!("Item {id}"), *limit),
        });
        let sessions = self.sessions.iter().map(|(id, limit)| {
            let mut fields = limited(format!("Session {id}"), *limit);
            fields.extend([(Field::StartsAt, at(30)), (Field::EndsAt, at(31))]);
            RawRecord { id: *id, fields }
        });
        let mut fields = limited(format!("Event {}", self.event.event), self.limit);
        fields.extend([
            (Field::StartsAt, at(30)),
            (Field::EndsAt, at(31)),
            (Field::Published, Value::Bool(true)),
            (Field::HoldMinutes, Value::Number(self.hold_minutes.into())),
        ]);
        let by = |all: &[(SfId, Option<u32>)]| {
            all.first().map(|(id, _)| (*id, self.external)).into_iter().collect()
        };
        RawEvent {
            event: RawRecord { id: self.event.event, fields },
            items: items.collect(),
            sessions: sessions.collect(),
            external_total: self.external,
            external_by_item: by(&self.items),
            external_by_session: by(&self.sessions),
            cancelled,
            as_of: Timestamp(now),
        }
    }
}
