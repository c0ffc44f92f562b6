//! What each org calls its objects and fields: the text that its staff wrote,
//! the mapping it makes, and the one before it. A stored text that can't be
//! read any more, after a downgrade for instance, leaves the last good one in
//! force and says so.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sloe_core::time::Timestamp;
use sloe_core::words::counted;
use sloe_salesforce::map::preset;
use sloe_salesforce::{Mapping, MappingFault};
use sloe_store::api::Document;

/// The mapping of an org that nobody gave one.
const PRESET: &str = "sloe";

/// A mapping's text, and when it was put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingText {
    /// The text as it was written.
    pub text: String,
    /// Milliseconds since 1970.
    since: i64,
}

impl MappingText {
    pub(crate) fn new(text: String, since: Timestamp) -> Self {
        Self { text, since: since.0 }
    }

    /// Since when.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        Timestamp(self.since)
    }
}

/// As it lies in the store.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u8,
    current: MappingText,
    before: Option<MappingText>,
}

/// An org's mapping, as this process uses it.
#[derive(Debug)]
pub struct OrgMapping {
    /// What is in force; `None` when nothing stored can be read and nothing
    /// good is remembered. Then the org is neither read nor written.
    pub(crate) mapping: Option<Mapping>,
    /// Its text; `None` is Sloe's own package, which needs no file.
    pub current: Option<MappingText>,
    /// The one before it, if there was one.
    pub before: Option<MappingText>,
    /// Counts the changes, from 1; 0 for none ever stored.
    pub(crate) version: u64,
    /// What is wrong with what is stored.
    pub trouble: Option<String>,
}

impl Default for OrgMapping {
    /// Sloe's own package.
    fn default() -> Self {
        Self {
            mapping: Some(Mapping::default()),
            current: None,
            before: None,
            version: 0,
            trouble: None,
        }
    }
}

impl OrgMapping {
    /// Whether the org is read and written at all, be it by the last good one.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.mapping.is_some()
    }

    /// A new mapping in the place of this one.
    pub(crate) fn replaced(&self, mapping: Mapping, current: Option<MappingText>) -> Self {
        Self {
            mapping: Some(mapping),
            current,
            before: Some(self.current.clone().unwrap_or_else(unwritten)),
            version: self.version + 1,
            trouble: None,
        }
    }

    /// The text in force, with its comments.
    #[must_use]
    pub fn text(&self) -> &str {
        match &self.current {
            Some(current) => &current.text,
            None => preset(PRESET).unwrap_or_default(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let current = self.current.clone().unwrap_or_else(unwritten);
        let stored = Stored { format: 1, current, before: self.before.clone() };
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// What a document makes of the mapping that is in force, if one is.
    pub(crate) fn take(document: &Document, held: Option<&Arc<Self>>) -> Self {
        let version = document.version;
        let stored: Stored = match serde_json::from_slice(&document.body) {
            Ok(stored) => stored,
            Err(error) => return Self::kept(held, version, &format!("it is damaged ({error})")),
        };
        let Stored { format: 1, current, before } = stored else {
            return Self::kept(held, version, &format!("its format is {}", stored.format));
        };
        match Mapping::parse(&current.text) {
            Ok(mapping) => Self {
                mapping: Some(mapping),
                current: Some(current),
                before,
                version,
                trouble: None,
            },
            Err(faults) => {
                let why = first(&faults);
                let Some(before) = before else { return Self::kept(held, version, &why) };
                match (held.and_then(|held| held.mapping.as_ref()), Mapping::parse(&before.text)) {
                    (None, Ok(mapping)) => Self {
                        mapping: Some(mapping),
                        current: Some(before),
                        before: None,
                        version,
                        trouble: Some(trouble(&why, true)),
                    },
                    _ => Self::kept(held, version, &why),
                }
            }
        }
    }

    /// The last good one stays.
    fn kept(held: Option<&Arc<Self>>, version: u64, why: &str) -> Self {
        let held = held.filter(|held| held.mapping.is_some());
        Self {
            mapping: held.and_then(|held| held.mapping.clone()),
            current: held.and_then(|held| held.current.clone()),
            before: held.and_then(|held| held.before.clone()),
            version,
            trouble: Some(trouble(why, held.is_some())),
        }
    }
}

fn unwritten() -> MappingText {
    MappingText::new(preset(PRESET).unwrap_or_default().to_owned(), Timestamp(0))
}

fn first(faults: &[MappingFault]) -> String {
    let one = faults.first().map(ToString::to_string).unwrap_or_default();
    format!("{one}; {} in all", counted(faults.len(), "fault"))
}

fn trouble(why: &str, kept: bool) -> String {
    let stays = match kept {
        true => "The last good one stays in force.",
        false => "Until there is a good one, the org is neither read nor written.",
    };
    format!(
        "The stored mapping can't be used: {why}. {stays} Store a good one: \
         sloe org mapping ORG --file FILE, or --back."
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn document(current: &str, before: Option<&str>) -> Document {
        let text = |text: &str| MappingText::new(text.to_owned(), Timestamp(5));
        let stored = Stored { format: 1, current: text(current), before: before.map(text) };
        Document { version: 7, body: serde_json::to_vec(&stored).unwrap() }
    }

    fn blackthorn() -> &'static str {
        preset("blackthorn").unwrap()
    }

    #[test]
    fn what_is_stored_is_read_back_with_its_comments() {
        let sloe = OrgMapping::default();
        let text = MappingText::new(blackthorn().to_owned(), Timestamp(9));
        let next = sloe.replaced(Mapping::parse(blackthorn()).unwrap(), Some(text));
        let document = Document { version: next.version, body: next.encode() };
        let read = OrgMapping::take(&document, None);
        assert_eq!(read.mapping, next.mapping);
        assert_eq!(read.text(), blackthorn());
        assert_eq!(read.current.unwrap().since(), Timestamp(9));
        assert_eq!(read.before.unwrap().text, preset("sloe").unwrap());
        assert_eq!((read.version, read.trouble), (1, None));
    }

    #[test]
    fn a_bad_text_leaves_the_last_good_one_and_after_a_start_the_one_before() {
        let held = Arc::new(OrgMapping::take(&document(blackthorn(), None), None));
        let bad = document("format = 2", Some(preset("sloe").unwrap()));
        let kept = OrgMapping::take(&bad, Some(&held));
        assert_eq!(kept.mapping, held.mapping);
        assert!(kept.trouble.unwrap().contains("format is 2"));
        let started = OrgMapping::take(&bad, None);
        assert_eq!(started.mapping, Some(Mapping::default()));
        assert!(started.trouble.unwrap().contains("The last good one stays in force"));
    }

    #[test]
    fn with_nothing_good_anywhere_there_is_no_mapping_rather_than_a_wrong_one() {
        for body in [b"{".to_vec(), br#"{"format":9,"current":{"text":"","since":0}}"#.to_vec()] {
            let read = OrgMapping::take(&Document { version: 1, body }, None);
            assert_eq!(read.mapping, None);
            assert!(read.trouble.unwrap().contains("neither read nor written"));
        }
    }
}
