//! What can be set about change events at run time, and what is wrong with a setting.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::org::schema::Schema;

/// How many objects an org without an add-on may select.
pub(crate) const SELECTABLE: usize = 5;
/// What Sloe's package would select.
const SELECTED: [&str; 3] = ["Sloe_Event__c", "Sloe_Item__c", "Sloe_Session__c"];

/// How change events are made, kept and told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Knobs {
    /// Objects whose changes the channel `ChangeEvents` carries.
    pub(crate) selected: Vec<String>,
    /// The org's own channels, by name (`Sloe__chn`), and whose changes they carry.
    pub(crate) channels: BTreeMap<String, Vec<String>>,
    /// How long events are kept: 72 hours.
    pub(crate) retention_ms: i64,
    /// A subscriber that waits gets an empty answer this often: 270 s.
    pub(crate) keepalive_ms: u64,
    /// A subscriber that asks for nothing is cut off after this long: 60 s.
    pub(crate) idle_ms: u64,
    /// Events that may be delivered in 24 hours, over all subscribers.
    pub(crate) daily: u64,
    /// Subscriptions at once.
    pub(crate) subscribers: u32,
    /// The share of changes that become gap events, 0 to 1.
    pub(crate) gap_rate: f64,
    /// The share of events that are delivered twice, 0 to 1.
    pub(crate) duplicate_rate: f64,
    /// Whether the events of one answer come in another order.
    pub(crate) reorder: bool,
}

impl Knobs {
    /// As an org of this edition has it.
    pub(crate) fn of(edition: &str) -> Self {
        let daily = match edition.split(' ').next().unwrap_or_default() {
            "Unlimited" | "Performance" => 50_000,
            "Developer" => 10_000,
            _ => 25_000,
        };
        Self {
            selected: SELECTED.map(str::to_owned).to_vec(),
            channels: BTreeMap::new(),
            retention_ms: 72 * 3600 * 1000,
            keepalive_ms: 270_000,
            idle_ms: 60_000,
            daily,
            subscribers: 1_000,
            gap_rate: 0.0,
            duplicate_rate: 0.0,
            reorder: false,
        }
    }

    /// Whether changes of this object become events.
    pub(crate) fn captures(&self, object: &str) -> bool {
        self.selected.iter().chain(self.channels.values().flatten()).any(|name| name == object)
    }

    /// What is wrong with them, if anything.
    pub(crate) fn check(&self, schema: &Schema) -> Result<(), String> {
        let all: BTreeSet<&String> =
            self.selected.iter().chain(self.channels.values().flatten()).collect();
        if let Some(unknown) = all.iter().find(|name| schema.get(name).is_none()) {
            return Err(format!("this org has no object {unknown}"));
        }
        if all.len() > SELECTABLE {
            let count = all.len();
            return Err(format!(
                "{count} objects are selected for change data capture; this org may select {SELECTABLE}"
            ));
        }
        if let Some(name) = self.channels.keys().find(|name| !name.ends_with("__chn")) {
            return Err(format!("a channel's name ends with __chn, unlike {name}"));
        }
        for (name, rate) in [("gap_rate", self.gap_rate), ("duplicate_rate", self.duplicate_rate)] {
            if !(0.0..=1.0).contains(&rate) {
                return Err(format!("{name} is a share from 0 to 1, not {rate}"));
            }
        }
        if self.keepalive_ms == 0 || self.idle_ms == 0 || self.retention_ms < 0 {
            return Err(
                "keepalive_ms and idle_ms are at least 1, retention_ms at least 0".to_owned()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edition_has_its_allowance() {
        let daily = |edition| Knobs::of(edition).daily;
        assert_eq!(daily("Unlimited Edition"), 50_000);
        assert_eq!(daily("Enterprise Edition"), 25_000);
        assert_eq!(daily("Developer Edition"), 10_000);
    }
}
