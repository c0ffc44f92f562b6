//! What a mapping file says of fields: their names, what the org's words mean,
//! and the org's own fields with fixed values.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sloe_core::inbound::{Field, Value};
use sloe_core::money::Currency;
use sloe_core::time;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{File, join, no_name, no_word, wrong};
use super::keys::{Kind, ReadKey, WriteKey, closest};
use super::{Column, WriteNames, is_api_name};

impl File<'_> {
    /// The names of fields that Sloe reads.
    pub(super) fn read_fields(
        &mut self,
        table: &DeTable<'_>,
        place: &str,
        known: &[ReadKey],
    ) -> BTreeMap<Field, String> {
        let at = join(place, "fields");
        let Some(table) = self.table(table, place, "fields", true) else {
            return BTreeMap::new();
        };
        self.known(table, &at, &known.iter().map(|key| key.name).collect::<Vec<_>>());
        let named =
            known.iter().filter_map(|key| Some((key.field, self.name(table, &at, key.name)?)));
        named.collect()
    }

    /// The names of fields that Sloe writes.
    pub(super) fn write_fields(
        &mut self,
        table: &DeTable<'_>,
        place: &str,
        known: &[WriteKey],
    ) -> BTreeMap<Column, String> {
        let at = join(place, "fields");
        let Some(table) = self.table(table, place, "fields", true) else {
            return BTreeMap::new();
        };
        self.known(table, &at, &known.iter().map(|key| key.name).collect::<Vec<_>>());
        for key in known.iter().filter(|key| key.needed && !table.contains_key(key.name)) {
            self.missing(&at, key.name, "is missing: Sloe can't do without it");
        }
        let named =
            known.iter().filter_map(|key| Some((key.column, self.name(table, &at, key.name)?)));
        named.collect()
    }

    /// Fields said to be absent: known ones, not named elsewhere, not needed.
    pub(super) fn absent(&mut self, table: &DeTable<'_>, place: &str, known: &[(&str, bool)]) {
        for word in self.texts(table, place, "absent").unwrap_or_default() {
            let problem = match known.iter().find(|(name, _)| *name == word) {
                None => match closest(&word, known.iter().map(|(name, _)| *name)) {
                    Some(meant) => format!("holds {word:?}; did you mean {meant}?"),
                    None => format!("holds {word:?}, which Sloe doesn't know"),
                },
                Some(_) if self.mentions(table, "fields", &word) => {
                    format!("holds {word:?}, which fields names")
                }
                Some((_, true)) if !self.mentions(table, "fallback", &word) => {
                    format!("holds {word:?}, which Sloe can't do without")
                }
                Some(_) => continue,
            };
            self.fault(table, place, "absent", problem);
        }
    }

    /// What holds where a field is absent or empty.
    pub(super) fn fallback(
        &mut self,
        table: &DeTable<'_>,
        place: &str,
        known: &[ReadKey],
    ) -> BTreeMap<Field, Value> {
        let at = join(place, "fallback");
        let Some(table) = self.table(table, place, "fallback", false) else {
            return BTreeMap::new();
        };
        self.known(table, &at, &known.iter().map(|key| key.name).collect::<Vec<_>>());
        let mut found = BTreeMap::new();
        for key in known {
            if let Some(value) = table.get(key.name)
                && let Some(value) = self.meaning(value, &join(&at, key.name), key)
            {
                found.insert(key.field, value);
            }
        }
        found
    }

    /// What the org's words mean.
    pub(super) fn values(
        &mut self,
        table: &DeTable<'_>,
        place: &str,
        known: &[ReadKey],
    ) -> BTreeMap<Field, BTreeMap<String, Value>> {
        let at = join(place, "values");
        let Some(values) = self.table(table, place, "values", false) else {
            return BTreeMap::new();
        };
        self.known(values, &at, &known.iter().map(|key| key.name).collect::<Vec<_>>());
        let mut found = BTreeMap::new();
        for key in known {
            let here = join(&at, key.name);
            let Some(words) = self.table(values, &at, key.name, false) else { continue };
            if !self.mentions(table, "fields", key.name) {
                self.fault(values, &at, key.name, "translates a field that fields doesn't name");
            }
            let mut meanings = BTreeMap::new();
            for (word, value) in words {
                if let Some(value) = self.meaning(value, &join(&here, word.get_ref()), key) {
                    meanings.insert(word.get_ref().to_string(), value);
                }
            }
            found.insert(key.field, meanings);
        }
        found
    }

    /// A value as Sloe means it; an empty text is an empty field.
    fn meaning(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        place: &str,
        key: &ReadKey,
    ) -> Option<Value> {
        let (span, value) = (value.span(), value.get_ref());
        let problem = match (key.kind, value) {
            (_, DeValue::String(text)) if text.is_empty() => return Some(Value::Null),
            (Kind::Text, DeValue::String(text)) => match no_meaning(key.field, text) {
                None => return Some(Value::Text(text.to_string())),
                Some(problem) => problem,
            },
            (Kind::Flag, DeValue::Boolean(yes)) => return Some(Value::Bool(*yes)),
            (Kind::Number, value) => match number(value) {
                Some(number) => return Some(Value::Number(number)),
                None => wrong(value, key.kind.words()),
            },
            (Kind::Moment, _) => {
                "is a date or time, which can neither be translated nor assumed".to_owned()
            }
            (Kind::Flag, value) => wrong(value, "true or false"),
            (Kind::Text, value) => wrong(value, key.kind.words()),
        };
        self.at(&span, place.to_owned(), problem);
        None
    }

    /// The org's own fields with fixed values.
    pub(super) fn own(
        &mut self,
        table: &DeTable<'_>,
        place: &str,
        key: &str,
    ) -> BTreeMap<String, Json> {
        let at = join(place, key);
        let Some(table) = self.table(table, place, key, false) else {
            return BTreeMap::new();
        };
        let mut found = BTreeMap::new();
        for (name, value) in table {
            let here = join(&at, name.get_ref());
            if !is_api_name(name.get_ref()) {
                self.at(&name.span(), here.clone(), no_name(name.get_ref()));
            }
            let constant = match value.get_ref() {
                DeValue::String(text) => match no_word(text) {
                    None => Ok(Json::from(text.as_ref())),
                    Some(problem) => Err(problem),
                },
                DeValue::Boolean(yes) => Ok(Json::from(*yes)),
                DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
                    .map(Json::from)
                    .map_err(|_| "is a number beyond counting".to_owned()),
                DeValue::Float(_) => number(value.get_ref())
                    .and_then(serde_json::Number::from_f64)
                    .map(Json::Number)
                    .ok_or_else(|| "is no number that Salesforce could take".to_owned()),
                other => Err(wrong(other, "a text, a number, true or false")),
            };
            match constant {
                Ok(constant) => {
                    found.insert(name.get_ref().to_string(), constant);
                }
                Err(problem) => self.at(&value.span(), here, problem),
            }
        }
        found
    }

    /// No field of the org may be written from two sources.
    pub(super) fn written_twice(
        &mut self,
        table: &DeTable<'_>,
        place: &str,
        known: &[WriteKey],
        names: &WriteNames,
    ) {
        let key_of = |column: Column| known.iter().find(|key| key.column == column);
        let head = [("external_id", &names.key)].into_iter();
        let head = head.chain(names.version.iter().map(|name| ("version", name)));
        let fields = names
            .columns
            .iter()
            .filter_map(|(column, name)| key_of(*column).map(|key| (key.name, name)));
        let constants = names.constants.keys().map(|name| ("constants", name));
        let defaults = names.defaults.keys().map(|name| ("defaults", name));
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (key, name) in head.chain(fields).chain(constants).chain(defaults) {
            if name.is_empty() {
                continue;
            }
            if let Some(other) = seen.insert(name.to_ascii_lowercase(), key) {
                let problem = format!("writes {name}, which {other} writes already");
                let below = table.get("fields").and_then(|value| value.get_ref().as_table());
                match below.filter(|below| below.contains_key(key)) {
                    Some(below) => self.fault(below, &join(place, "fields"), key, problem),
                    None => self.fault(table, place, key, problem),
                }
            }
        }
    }
}

/// Why a text can't be a field's value in Sloe.
fn no_meaning(field: Field, text: &str) -> Option<String> {
    match field {
        Field::Status if !matches!(text, "Scheduled" | "Cancelled") => {
            Some(format!("is {text:?}; to Sloe an event is Scheduled or Cancelled"))
        }
        Field::TimeZone if !time::is_time_zone(text) => {
            Some(format!("is {text:?}, which is no IANA time zone such as Europe/Berlin"))
        }
        Field::Currency if Currency::parse(text).is_none() => {
            Some(format!("is {text:?}, which is no currency code such as EUR"))
        }
        _ => no_word(text),
    }
}

#[allow(clippy::cast_precision_loss, reason = "beyond 2^53 no seat or price is meant")]
fn number(value: &DeValue<'_>) -> Option<f64> {
    let number = match value {
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).ok()? as f64,
        DeValue::Float(n) => n.as_str().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}
