//! What a visitor chose on the event's page, read from its form.

use std::collections::{HashMap, HashSet};

use sloe_core::catalog::Snapshot;
use sloe_core::ids::PublicId;
use sloe_engine::view::Choice;

use super::form::SiteForm;
use super::view::Fault;

/// Faults that a page names; a form that is not ours can have thousands.
const MAX_FAULTS: usize = 100;

/// Tickets and sessions chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// How many of each item.
    pub quantities: HashMap<PublicId, u32>,
    /// For everyone.
    pub sessions: HashSet<PublicId>,
    /// The token of the visitor's hold, where the form carries it.
    pub hold: Option<String>,
    /// What a person can put right.
    pub faults: Vec<Fault>,
}

impl Selection {
    /// Reads `form`.
    ///
    /// # Errors
    /// Everything that none of our forms says, in words.
    pub(super) fn read(snapshot: &Snapshot, form: &SiteForm) -> Result<Self, Vec<String>> {
        let mut out = Self::default();
        let mut foreign = Vec::new();
        let mut named = HashSet::new();
        for (name, value) in &form.0 {
            if let Some(id) = name.strip_prefix("qty-") {
                if named.insert(id) {
                    out.read_quantity(snapshot, id, value, &mut foreign);
                } else {
                    foreign.push("A quantity stands twice.".to_owned());
                }
            } else if name == "session" {
                match PublicId::parse(value) {
                    Some(id) => _ = out.sessions.insert(id),
                    None => foreign.push("“session” names no session.".to_owned()),
                }
            } else if name == "hold" {
                out.hold = Some(value.clone());
            } else {
                foreign.push(format!(
                    "“{}” is not a field of this form.",
                    name.chars().take(40).collect::<String>()
                ));
            }
        }
        if !foreign.is_empty() {
            foreign.truncate(20);
            return Err(foreign);
        }
        out.check(snapshot);
        Ok(out)
    }

    fn read_quantity(
        &mut self,
        snapshot: &Snapshot,
        id: &str,
        value: &str,
        foreign: &mut Vec<String>,
    ) {
        let Some(id) = PublicId::parse(id) else {
            foreign.push("A quantity names no ticket.".to_owned());
            return;
        };
        let value = value.trim();
        // An emptied field means none.
        let quantity = if value.is_empty() { Ok(0) } else { value.parse::<u32>() };
        let most =
            snapshot.item(id).map_or(0, |item| item.max_per_order.min(snapshot.max_per_order));
        let name = snapshot.item(id).map_or("This ticket", |item| item.name.as_str());
        let message = match quantity {
            Ok(0) => None,
            Ok(_) if snapshot.item(id).is_none() => {
                Some("A ticket you chose is not offered any more.".to_owned())
            }
            Ok(quantity) if quantity > most => {
                Some(format!("{name}: at most {most} in one order."))
            }
            Ok(_) => None,
            Err(_) => Some(format!("{name}: enter a whole number from 0 to {most}.")),
        };
        match (message, quantity) {
            (Some(message), _) if self.faults.len() < MAX_FAULTS => {
                self.faults.push(Fault { field: format!("qty-{id}"), message });
            }
            (None, Ok(quantity)) if quantity > 0 => _ = self.quantities.insert(id, quantity),
            _ => {}
        }
    }

    fn check(&mut self, snapshot: &Snapshot) {
        let unknown = self.sessions.iter().filter(|id| snapshot.session(**id).is_none()).count();
        if unknown > 0 {
            let message = "A session you chose is not offered any more.".to_owned();
            self.faults.push(Fault { field: "program".to_owned(), message });
            self.sessions.retain(|id| snapshot.session(*id).is_some());
        }
        let total: u32 =
            self.quantities.values().fold(0, |sum, quantity| sum.saturating_add(*quantity));
        if total > snapshot.max_per_order {
            let message = format!(
                "One order can have at most {} people; you chose {total}.",
                snapshot.max_per_order
            );
            self.faults.push(Fault { field: "tickets".to_owned(), message });
        }
        if total == 0 && self.faults.is_empty() {
            let first = snapshot.items.iter().find(|item| item.price.is_none());
            let field = first.map_or("tickets".to_owned(), |item| format!("qty-{}", item.id));
            self.faults.push(Fault { field, message: "Choose at least one ticket.".to_owned() });
        }
    }

    /// One choice per person, in the organizer's order, so that the same
    /// selection always asks the same.
    pub(super) fn choices(&self, snapshot: &Snapshot) -> Vec<Choice> {
        let sessions: Vec<_> = snapshot
            .sessions
            .iter()
            .map(|session| session.id)
            .filter(|id| self.sessions.contains(id))
            .collect();
        let units =
            |item: &sloe_core::catalog::Item| self.quantities.get(&item.id).copied().unwrap_or(0);
        let of = |item: &sloe_core::catalog::Item| {
            let choice = Choice { item: item.id, sessions: sessions.clone() };
            std::iter::repeat_n(choice, units(item) as usize)
        };
        snapshot.items.iter().flat_map(of).collect()
    }
}
