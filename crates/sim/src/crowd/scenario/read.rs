//! Reading a scenario file entry by entry, so that every fault of it is named
//! at once, each with its line.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::super::report::grouped;
use super::{RATES, Scenario, ScenarioError, ScenarioFault};

/// What a rate must be, in words.
pub(super) fn rates() -> String {
    let (least, most) = (RATES.start(), RATES.end());
    format!("a number from {least} to {most}, visitors a second")
}

/// The file being read, and what is wrong with it so far.
pub(super) struct Reader<'t> {
    text: &'t str,
    faults: Vec<ScenarioFault>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, faults: Vec::new() }
    }

    pub(super) fn not_toml(mut self, error: &toml::de::Error) -> ScenarioError {
        let line = error.span().map(|span| self.line(&span));
        let problem = format!("this is not TOML: {}", error.message());
        self.faults.push(ScenarioFault { line, place: String::new(), problem });
        ScenarioError(self.faults)
    }

    pub(super) fn finish(mut self, scenario: Scenario) -> Result<Scenario, ScenarioError> {
        if self.faults.is_empty() {
            return Ok(scenario);
        }
        self.faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        Err(ScenarioError(self.faults))
    }

    /// How many faults there are so far.
    pub(super) fn count(&self) -> usize {
        self.faults.len()
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    fn at(&mut self, span: &Range<usize>, place: String, problem: impl Into<String>) {
        let line = Some(self.line(span));
        self.faults.push(ScenarioFault { line, place, problem: problem.into() });
    }

    /// A fault of what isn't there.
    pub(super) fn missing(&mut self, place: &str, problem: &str) {
        let (place, problem) = (place.to_owned(), problem.to_owned());
        self.faults.push(ScenarioFault { line: None, place, problem });
    }

    /// A fault of an entry that is there.
    pub(super) fn fault(
        &mut self,
        table: Option<&DeTable<'_>>,
        place: &str,
        key: &str,
        problem: String,
    ) {
        if let Some(value) = table.and_then(|table| table.get(key)) {
            self.at(&value.span(), join(place, key), problem);
        }
    }

    /// Names every entry that isn't one of these.
    pub(super) fn known(&mut self, table: &DeTable<'_>, place: &str, known: &[&str]) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let hint = match closest(name, known) {
                    Some(meant) => format!("is not known; did you mean `{meant}`?"),
                    None => format!("is not known; there are {}", known.join(", ")),
                };
                // Whatever is in it, it must be seen.
                let name = match name {
                    "" => "\"\"".to_owned(),
                    name => name.escape_debug().to_string(),
                };
                self.at(&key.span(), join(place, &name), hint);
            }
        }
    }

    /// The table under a key, all of whose entries must be known.
    pub(super) fn table<'a, 'i>(
        &mut self,
        top: &'a DeTable<'i>,
        key: &str,
        known: &[&str],
    ) -> Option<&'a DeTable<'i>> {
        let value = top.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => {
                self.known(table, key, known);
                Some(table)
            }
            other => {
                let problem = wrong(other, "a table");
                self.at(&value.span(), key.to_owned(), problem);
                None
            }
        }
    }

    pub(super) fn text(&mut self, table: &DeTable<'_>, key: &str, most: usize) -> Option<String> {
        let value = table.get(key)?;
        let problem = match value.get_ref() {
            DeValue::String(text) if text.chars().count() > most => {
                format!("has more than {most} characters")
            }
            DeValue::String(text) if text.trim().is_empty() => {
                "must not be empty; leave it out instead".to_owned()
            }
            DeValue::String(text) => return Some(text.to_string()),
            other => wrong(other, "a text"),
        };
        self.at(&value.span(), key.to_owned(), problem);
        None
    }

    /// One of several words.
    pub(super) fn one_of<'w>(
        &mut self,
        table: &DeTable<'_>,
        place: &str,
        key: &str,
        words: &[&'w str],
    ) -> Option<&'w str> {
        let value = table.get(key)?;
        let problem = match value.get_ref() {
            DeValue::String(text) => match words.iter().find(|word| *word == text) {
                Some(word) => return Some(word),
                None => match closest(text, words) {
                    Some(meant) => format!("is {text:?}; did you mean {meant:?}?"),
                    None => format!("is {text:?}; it must be one of {}", words.join(", ")),
                },
            },
            other => wrong(other, "a text"),
        };
        self.at(&value.span(), join(place, key), problem);
        None
    }

    /// A whole number within a range; the other value where there is no entry.
    pub(super) fn whole(
        &mut self,
        table: Option<&DeTable<'_>>,
        place: &str,
        key: &str,
        range: RangeInclusive<u64>,
        other: u64,
    ) -> u64 {
        let Some(value) = table.and_then(|table| table.get(key)) else { return other };
        let problem = match value.get_ref() {
            DeValue::Integer(number) => {
                let read = i128::from_str_radix(number.as_str(), number.radix()).ok();
                let fits = read.and_then(|read| u64::try_from(read).ok());
                match fits.filter(|read| range.contains(read)) {
                    Some(read) => return read,
                    None => {
                        let (least, most) = (grouped(*range.start()), grouped(*range.end()));
                        let told = read.map_or_else(|| number.to_string(), |read| read.to_string());
                        format!("must be from {least} to {most}, not {told}")
                    }
                }
            }
            wrong_value => wrong(wrong_value, "a whole number"),
        };
        self.at(&value.span(), join(place, key), problem);
        other
    }

    pub(super) fn seconds(
        &mut self,
        table: Option<&DeTable<'_>>,
        place: &str,
        key: &str,
        (range, other): (RangeInclusive<u64>, u64),
    ) -> Duration {
        Duration::from_secs(self.whole(table, place, key, range, other))
    }

    /// Visitors a second, with or without a fraction.
    pub(super) fn rate(&mut self, table: &DeTable<'_>, place: &str, key: &str) -> Option<f64> {
        let value = table.get(key)?;
        let read: Option<f64> = match value.get_ref() {
            DeValue::Integer(number) => {
                let whole = i64::from_str_radix(number.as_str(), number.radix()).ok();
                whole.and_then(|whole| i32::try_from(whole).ok()).map(f64::from)
            }
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let read = read.filter(|rate| RATES.contains(rate));
        if read.is_none() {
            self.at(&value.span(), join(place, key), format!("must be {}", rates()));
        }
        read
    }
}

fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

fn wrong(found: &DeValue<'_>, wanted: &str) -> String {
    let found = match found {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    format!("must be {wanted}, not {found}")
}

/// The word that was probably meant: one that differs in two letters at most.
fn closest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let with = known.iter().map(|candidate| (distance(word, candidate), *candidate));
    with.min().filter(|(distance, _)| *distance <= 2).map(|(_, meant)| meant)
}

/// How many letters must be changed, added or left out.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut before = at;
        let mut left = at + 1;
        for (cell, against) in row.iter_mut().skip(1).zip(&other) {
            let changed = before + usize::from(letter != *against);
            before = *cell;
            *cell = changed.min(before + 1).min(left + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_nearly_right_is_recognized() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("bots", "bots"), 0);
        assert_eq!(closest("looker", &["lookers", "bots"]), Some("lookers"));
        assert_eq!(closest("people", &["lookers", "bots"]), None);
    }
}
