//! Reads what the control API is sent, and names everything that is wrong with it, not only the first fault.

use serde_json::{Map, Value as Json};

/// The members of one JSON object, taken out one by one; what is left at the end is unknown.
pub(crate) struct Knobs {
    map: Map<String, Json>,
    /// What stands before a member's name in messages: nothing, or `faults[1].`.
    place: String,
    known: Vec<&'static str>,
    wrong: Vec<String>,
}

impl Knobs {
    /// The members of this value, which must be an object.
    pub(crate) fn of(value: Json, place: impl Into<String>) -> Self {
        let place = place.into();
        let (map, wrong) = match value {
            Json::Object(map) => (map, Vec::new()),
            other => (Map::new(), vec![format!("{place}an object is expected, not {other}")]),
        };
        Self { map, place, known: Vec::new(), wrong }
    }

    /// The members of this text.
    pub(crate) fn parse(body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(value) => Self::of(value, ""),
            Err(error) => {
                let mut knobs = Self::of(Json::Object(Map::new()), "");
                knobs.wrong.push(format!("the body is no JSON: {error}"));
                knobs
            }
        }
    }

    /// Adds a fault of this member.
    pub(crate) fn fault(&mut self, name: &str, message: impl std::fmt::Display) {
        self.wrong.push(format!("{}{name} {message}", self.place));
    }

    /// Whether there is such a member still.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// The member as it is; null is as good as nothing.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Json> {
        self.known.push(name);
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// A whole number from 0 to `most`.
    pub(crate) fn whole(&mut self, name: &'static str, most: u64) -> Option<u64> {
        let value = self.take(name)?;
        let number = value.as_u64().filter(|n| *n <= most);
        if number.is_none() {
            self.fault(name, format!("is a whole number from 0 to {most}, not {value}"));
        }
        number
    }

    /// A number from 0 to `most`.
    pub(crate) fn number(&mut self, name: &'static str, most: f64) -> Option<f64> {
        let value = self.take(name)?;
        let number = value.as_f64().filter(|n| (0.0..=most).contains(n));
        if number.is_none() {
            self.fault(name, format!("is a number from 0 to {most}, not {value}"));
        }
        number
    }

    /// A share from 0 to 1; 0 if it isn't there.
    pub(crate) fn share(&mut self, name: &'static str) -> f64 {
        let Some(value) = self.take(name) else { return 0.0 };
        self.as_share(name, &value)
    }

    fn as_share(&mut self, name: &str, value: &Json) -> f64 {
        let share = value.as_f64().filter(|n| (0.0..=1.0).contains(n));
        if share.is_none() {
            self.fault(name, format!("is a share from 0 to 1, not {value}"));
        }
        share.unwrap_or(0.0)
    }

    /// Shares by name: `{"SERVER_UNAVAILABLE": 0.1}`.
    pub(crate) fn shares(&mut self, name: &'static str) -> Vec<(String, f64)> {
        let mut out = Vec::new();
        match self.take(name) {
            None => {}
            Some(Json::Object(map)) => {
                for (key, value) in map {
                    let share = self.as_share(&format!("{name}.{key}"), &value);
                    out.push((key, share));
                }
            }
            Some(other) => {
                self.fault(name, format!("is an object of shares by code, not {other}"));
            }
        }
        out
    }

    /// True or false; false if it isn't there.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        let Some(value) = self.take(name) else { return false };
        value.as_bool().unwrap_or_else(|| {
            self.fault(name, format!("is true or false, not {value}"));
            false
        })
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Json::String(text) => Some(text),
            other => {
                self.fault(name, format!("is a text, not {other}"));
                None
            }
        }
    }

    /// A text that has to be there; empty if it isn't.
    pub(crate) fn needed(&mut self, name: &'static str) -> String {
        let before = self.wrong.len();
        let text = self.text(name);
        if text.is_none() && self.wrong.len() == before {
            self.fault(name, "is missing");
        }
        text.unwrap_or_default()
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, name: &'static str) -> Vec<String> {
        let Some(value) = self.take(name) else { return Vec::new() };
        let texts = value.as_array().and_then(|list| {
            list.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        texts.unwrap_or_else(|| {
            self.fault(name, format!("is a list of texts, not {value}"));
            Vec::new()
        })
    }

    /// A member that is an object itself; what is wrong in it comes back by [`Knobs::close`].
    pub(crate) fn inner(&mut self, name: &'static str) -> Option<Knobs> {
        let value = self.take(name)?;
        Some(Knobs::of(value, format!("{}{name}.", self.place)))
    }

    /// Ends an inner object: what is wrong in it is wrong here.
    pub(crate) fn close(&mut self, inner: Knobs) {
        self.wrong.extend(inner.end());
    }

    /// Everything that is wrong.
    pub(crate) fn end(mut self) -> Vec<String> {
        let unknown: Vec<String> = self.map.keys().cloned().collect();
        for name in unknown {
            let known = self.known.join(", ");
            self.fault(&name, format!("is unknown; there are {known}"));
        }
        self.wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_and_not_only_the_first() {
        let mut knobs = Knobs::parse(b"{\"share\": 2, \"many\": -1, \"flag\": 1, \"other\": 1}");
        assert_eq!(
            (knobs.share("share"), knobs.whole("many", 9), knobs.flag("flag")),
            (0.0, None, false)
        );
        let wrong = knobs.end();
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert_eq!(
            wrong.last().map(String::as_str),
            Some("other is unknown; there are share, many, flag")
        );
        assert_eq!(Knobs::parse(b"[]").end(), ["an object is expected, not []"]);
        assert_eq!(Knobs::parse(b"{").end().len(), 1);
    }
}
