//! One mapping file's tables and values, with its faults as they are found.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::is_api_name;
use super::keys::closest;
use super::parse::MappingFault;

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

    /// A fault at a place of the text.
    pub(super) fn at(&mut self, span: &Range<usize>, place: String, problem: impl Into<String>) {
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
}

pub(super) fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

pub(super) fn wrong(value: &DeValue<'_>, wanted: &str) -> String {
    format!("must be {wanted}, but is of type {}", value.type_str())
}

pub(super) fn no_name(name: &str) -> String {
    let shown: String = name.chars().take(100).collect();
    format!(
        "is {shown:?}, which no Salesforce org can have: an API name is letters, digits and \
         underscores, begins with a letter, and has at most 80"
    )
}

pub(super) fn no_word(word: &str) -> Option<String> {
    if word.trim().is_empty() {
        return Some("is empty".to_owned());
    }
    if word.chars().count() > LONGEST_WORD {
        return Some(format!("is longer than {LONGEST_WORD} characters"));
    }
    word.chars().any(char::is_control).then(|| "holds control characters".to_owned())
}
