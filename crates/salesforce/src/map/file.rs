//! One mapping file's tables and values, with its faults as they are found.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value as Json;
use sloe_core::inbound::{Field, Value};
use sloe_core::money::Currency;
use sloe_core::time;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Kind, ReadKey, WriteKey, closest};
use super::parse::MappingFault;
use super::{Column, WriteNames, is_api_name};

/// Faults named at once.
const MOST_FAULTS: usize = 200;
/// Longest word or constant, in characters: what a Salesforce text field holds.
const LONGEST_WORD: usize = 255;

/// The file being read, and what is wrong with it so far.
pub(super) struct File<'t> {
    text: &'t str,
    faults: Vec<MappingFault>,
}

impl<'t> File<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, faults: Vec::new() }
    }

    /// The faults by line, what is missing last.
    pub(super) fn into_faults(mut self) -> Vec<MappingFault> {
        self.faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        self.faults.dedup();
        self.faults.truncate(MOST_FAULTS);
        self.faults
    }

    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let line = error.span().map(|span| self.line(&span));
        let problem = format!("this is not TOML: {}", error.message());
        self.faults.push(MappingFault { line, place: String::new(), problem });
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    fn at(&mut self, span: &Range<usize>, place: String, problem: impl Into<String>) {
        let line = Some(self.line(span));
        self.faults.push(MappingFault { line, place, problem: problem.into() });
    }

    /// A fault of an entry, at the line of its value if it is there.
    pub(super) fn fault(
        &mut self,
        table: &DeTable<'_>,
        place: &str,
        key: &str,
        problem: impl Into<String>,
    ) {
        match table.get(key) {
            Some(value) => self.at(&value.span(), join(place, key), problem),
            None => self.missing(place, key, problem),
        }
    }

    /// A fault of what isn't there.
    pub(super) fn missing(&mut self, place: &str, key: &str, problem: impl Into<String>) {
        let fault = MappingFault { line: None, place: join(place, key), problem: problem.into() };
        self.faults.push(fault);
    }

    /// Names every entry that isn't one of these.
    pub(super) fn known(&mut self, table: &DeTable<'_>, place: &str, known: &[&str]) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let hint = match closest(name, known.iter().copied()) {
                    Some(meant) => format!("is not known; did you mean {meant}?"),
                    None => format!("is not known; there are {}", known.join(", ")),
                };
                self.at(&key.span(), join(place, name), hint);
            }
        }
    }

    /// The table under a key; a fault if it is something else, or needed and missing.
    pub(super) fn table<'a, 'i>(
        &mut self,
        table: &'a DeTable<'i>,
        place: &str,
        key: &str,
        needed: bool,
    ) -> Option<&'a DeTable<'i>> {
        match table.get(key).map(|value| (value, value.get_ref())) {
            Some((_, DeValue::Table(found))) => Some(found),
            Some((value, other)) => {
                let problem = wrong(other, "a table");
                self.at(&value.span(), join(place, key), problem);
                None
            }
            None => {
                if needed {
                    self.missing(place, key, "is missing altogether");
                }
                None
            }
        }
    }

    /// Whether a table below `table` has an entry, good or bad.
    pub(super) fn mentions(&self, table: &DeTable<'_>, below: &str, key: &str) -> bool {
        let below = table.get(below).and_then(|value| value.get_ref().as_table());
        below.is_some_and(|below| below.contains_key(key))
    }

    pub(super) fn text(&mut self, table: &DeTable<'_>, place: &str, key: &str) -> Option<String> {
        let value = table.get(key)?;
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.at(&value.span(), join(place, key), wrong(value.get_ref(), "a text"));
        }
        text
    }

    pub(super) fn flag(&mut self, table: &DeTable<'_>, place: &str, key: &str) -> Option<bool> {
        let value = table.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.at(&value.span(), join(place, key), wrong(value.get_ref(), "true or false"));
        }
        flag
    }

    pub(super) fn integer(&mut self, table: &DeTable<'_>, place: &str, key: &str) -> Option<i64> {
        let value = table.get(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).ok(),
            _ => None,
        };
        if number.is_none() {
            self.at(&value.span(), join(place, key), wrong(value.get_ref(), "a whole number"));
        }
        number
    }

    /// A list of texts.
    pub(super) fn texts(
        &mut self,
        table: &DeTable<'_>,
        place: &str,
        key: &str,
    ) -> Option<Vec<String>> {
        let value = table.get(key)?;
        let Some(list) = value.get_ref().as_array() else {
            self.at(&value.span(), join(place, key), wrong(value.get_ref(), "a list of texts"));
            return None;
        };
        let mut texts: Vec<String> = Vec::new();
        for entry in list {
            match entry.get_ref().as_str() {
                Some(text) if texts.iter().any(|known| known == text) => {
                    self.at(&entry.span(), join(place, key), format!("holds {text:?} twice"));
                }
                Some(text) => texts.push(text.to_owned()),
                None => {
                    let problem = wrong(entry.get_ref(), "a text");
                    self.at(&entry.span(), join(place, key), problem);
                }
            }
        }
        Some(texts)
    }

    /// A word of the org, for a picklist or a text field.
    pub(super) fn word(&mut self, table: &DeTable<'_>, place: &str, key: &str) -> Option<String> {
        let word = self.text(table, place, key)?;
        if let Some(problem) = no_word(&word) {
            self.fault(table, place, key, problem);
            return None;
        }
        Some(word)
    }

    /// A list of words, not empty.
    pub(super) fn words(
        &mut self,
        table: &DeTable<'_>,
        place: &str,
        key: &str,
    ) -> Option<Vec<String>> {
        let words = self.texts(table, place, key)?;
        if words.is_empty() {
            self.fault(table, place, key, "is an empty list; leave it out, or name a word");
            return None;
        }
        for word in &words {
            if let Some(problem) = no_word(word) {
                self.fault(table, place, key, problem);
            }
        }
        Some(words)
    }

    /// An API name.
    pub(super) fn name(&mut self, table: &DeTable<'_>, place: &str, key: &str) -> Option<String> {
        let name = self.text(table, place, key)?;
        if !is_api_name(&name) {
            self.fault(table, place, key, no_name(&name));
            return None;
        }
        Some(name)
    }

    pub(super) fn needed_name(
        &mut self,
        table: &DeTable<'_>,
        place: &str,
        key: &str,
    ) -> Option<String> {
        if !table.contains_key(key) {
            self.missing(place, key, "is missing: Sloe can't do without it");
        }
        self.name(table, place, key)
    }

    /// A list of API names.
    pub(super) fn names(
        &mut self,
        table: &DeTable<'_>,
        place: &str,
        key: &str,
    ) -> Option<Vec<String>> {
        let names = self.texts(table, place, key)?;
        for name in names.iter().filter(|name| !is_api_name(name)) {
            self.fault(table, place, key, no_name(name));
        }
        Some(names)
    }

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

fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

fn wrong(value: &DeValue<'_>, wanted: &str) -> String {
    format!("must be {wanted}, but is of type {}", value.type_str())
}

fn no_name(name: &str) -> String {
    let shown: String = name.chars().take(100).collect();
    format!(
        "is {shown:?}, which no Salesforce org can have: an API name is letters, digits and \
         underscores, begins with a letter, and has at most 80"
    )
}

fn no_word(word: &str) -> Option<String> {
    if word.trim().is_empty() {
        return Some("is empty".to_owned());
    }
    if word.chars().count() > LONGEST_WORD {
        return Some(format!("is longer than {LONGEST_WORD} characters"));
    }
    word.chars().any(char::is_control).then(|| "holds control characters".to_owned())
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
