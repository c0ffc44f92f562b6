//! What can be set about change events at run time, and what is wrong with a setting.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::org::knobs::Knobs as Wanted;
use crate::org::schema::Schema;

/// How many objects an org without an add-on may select.
pub(crate) const SELECTABLE: usize = 5;
/// No time is set longer than ten years.
const LONGEST_MS: u64 = 10 * 366 * 24 * 3600 * 1000;
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

    /// These with what a request names changed; the request takes note of its faults.
    pub(crate) fn changed(self, wanted: &mut Wanted) -> Self {
        let texts = |wanted: &mut Wanted, name, now: Vec<String>| match wanted.has(name) {
            true => wanted.texts(name),
            false => now,
        };
        let retention = wanted.whole("retention_ms", LONGEST_MS);
        let subscribers = wanted.whole("subscribers", 1_000_000);
        Self {
            selected: texts(wanted, "selected", self.selected),
            channels: channels(wanted).unwrap_or(self.channels),
            retention_ms: retention
                .and_then(|ms| i64::try_from(ms).ok())
                .unwrap_or(self.retention_ms),
            keepalive_ms: wanted.whole("keepalive_ms", LONGEST_MS).unwrap_or(self.keepalive_ms),
            idle_ms: wanted.whole("idle_ms", LONGEST_MS).unwrap_or(self.idle_ms),
            daily: wanted.whole("daily", u64::MAX).unwrap_or(self.daily),
            subscribers: subscribers
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(self.subscribers),
            gap_rate: wanted.number("gap_rate", 1.0).unwrap_or(self.gap_rate),
            duplicate_rate: wanted.number("duplicate_rate", 1.0).unwrap_or(self.duplicate_rate),
            reorder: if wanted.has("reorder") { wanted.flag("reorder") } else { self.reorder },
        }
    }

    /// Everything that is wrong with them in this org.
    pub(crate) fn check(&self, schema: &Schema) -> Vec<String> {
        let mut wrong = Vec::new();
        let all: BTreeSet<&String> =
            self.selected.iter().chain(self.channels.values().flatten()).collect();
        for unknown in all.iter().filter(|name| schema.get(name).is_none()) {
            wrong.push(format!("this org has no object {unknown}"));
        }
        if all.len() > SELECTABLE {
            let count = all.len();
            wrong.push(format!(
                "{count} objects are selected for change data capture; this org may select {SELECTABLE}"
            ));
        }
        for name in self.channels.keys().filter(|name| !name.ends_with("__chn")) {
            wrong.push(format!("a channel's name ends with __chn, unlike {name}"));
        }
        for (name, ms) in [("keepalive_ms", self.keepalive_ms), ("idle_ms", self.idle_ms)] {
            if ms == 0 {
                wrong.push(format!("{name} is at least 1"));
            }
        }
        wrong
    }
}

/// `{"Sloe__chn": ["Sloe_Event__c"]}`.
fn channels(wanted: &mut Wanted) -> Option<BTreeMap<String, Vec<String>>> {
    let value = wanted.take("channels")?;
    let read = serde_json::from_value(value).ok();
    if read.is_none() {
        wanted.fault("channels", "has a list of objects by a channel's name");
    }
    read
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
