//! Reads a request out of JSON and collects every fault on the way, instead
//! of stopping at the first.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use sloe_core::ids::PublicId;
use sloe_engine::error::Fault;

use super::{Json, Pointer};
use crate::error::{FieldFault, Place, Problem};

/// Faults that one answer names; a body can hold thousands.
const MAX_FAULTS: usize = 100;

/// Collects faults.
#[derive(Default)]
pub(crate) struct Reader {
    faults: Vec<FieldFault>,
    /// Where faults are, so that one value has one fault only.
    places: BTreeSet<String>,
    /// How many were found beyond [`MAX_FAULTS`].
    more: usize,
}

impl Reader {
    /// Whether nothing is wrong so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// Notes a fault.
    pub(crate) fn fault(&mut self, at: &Pointer<'_>, code: &'static str, message: String) {
        self.fault_at(at.to_string(), code, message);
    }

    /// The same, with the pointer as text.
    pub(crate) fn fault_at(&mut self, at: String, code: &'static str, message: String) {
        if self.faults.len() < MAX_FAULTS {
            self.places.insert(at.clone());
        }
        self.push(FieldFault { at: Place::Pointer(at), code, message });
    }

    fn push(&mut self, fault: FieldFault) {
        if self.faults.len() >= MAX_FAULTS {
            self.more += 1;
        } else if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Notes a fault that the engine found, unless its place has one already.
    pub(crate) fn fault_of(&mut self, fault: &Fault, pointer: impl Fn(&Fault) -> String) {
        let at = pointer(fault);
        if !self.places.contains(&at) {
            let message = fault.message.clone();
            self.push(FieldFault { at: Place::Pointer(at), code: fault.code, message });
        }
    }

    /// All faults as one refusal.
    pub(crate) fn problem(mut self) -> Problem {
        if self.more > 0 {
            let message = format!("There are {} more faults like these.", self.more);
            self.faults.push(FieldFault {
                at: Place::Pointer(String::new()),
                code: "more",
                message,
            });
        }
        Problem::invalid(self.faults)
    }

    fn wrong(&mut self, at: &Pointer<'_>, wanted: &str, value: &Json<'_>) {
        self.fault(at, "type", format!("This must be {wanted}, not {}.", value.kind()));
    }

    /// An object with no other fields than `known`, none of them twice.
    pub(crate) fn object<'v>(
        &mut self,
        at: &'v Pointer<'v>,
        value: &'v Json<'v>,
        known: &[&str],
    ) -> Option<Fields<'v>> {
        let Json::Object(fields) = value else {
            self.wrong(at, "an object", value);
            return None;
        };
        for (index, (name, _)) in fields.iter().enumerate() {
            if !known.contains(&name.as_ref()) {
                let message = if known.is_empty() {
                    "No field is known here.".to_owned()
                } else {
                    format!("This field is not known; known are {}.", known.join(", "))
                };
                self.fault(&at.field(name), "unknown-field", message);
            } else if fields.iter().take(index).any(|(before, _)| before == name) {
                self.fault(&at.field(name), "twice", "This field stands twice.".to_owned());
            }
        }
        Some(Fields { fields, at })
    }

    /// A list of at most `max` entries.
    pub(crate) fn list<'v>(
        &mut self,
        at: &Pointer<'_>,
        value: &'v Json<'v>,
        max: usize,
    ) -> Option<&'v [Json<'v>]> {
        match value {
            Json::List(list) if list.len() <= max => Some(list),
            Json::List(list) => {
                let found = list.len();
                self.fault(at, "too-many", format!("At most {max} can stand here, not {found}."));
                None
            }
            other => {
                self.wrong(at, "a list", other);
                None
            }
        }
    }

    /// The id of an item or a session.
    pub(crate) fn id(&mut self, at: &Pointer<'_>, value: &Json<'_>) -> Option<PublicId> {
        let Json::Text(text) = value else {
            self.wrong(at, "an id in quotes", value);
            return None;
        };
        let id = PublicId::parse(text);
        if id.is_none() {
            let message = "This is no id: take it from the event as the API shows it.";
            self.fault(at, "id", message.to_owned());
        }
        id
    }
}

/// An object's fields, on the way to being read.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'v> {
    fields: &'v [(Cow<'v, str>, Json<'v>)],
    at: &'v Pointer<'v>,
}

impl<'v> Fields<'v> {
    /// A field that may be absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'v Json<'v>> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// A field that must be there.
    pub(crate) fn required(&self, read: &mut Reader, name: &str) -> Option<&'v Json<'v>> {
        let value = self.get(name);
        if value.is_none() {
            read.fault(&self.at.field(name), "required", "This field is missing.".to_owned());
        }
        value
    }

    /// A text that may be absent; a fault reads as an empty one.
    pub(crate) fn text(&self, read: &mut Reader, name: &str) -> String {
        match self.get(name) {
            None => String::new(),
            Some(Json::Text(text)) => text.clone().into_owned(),
            Some(other) => {
                read.wrong(&self.at.field(name), "a text", other);
                String::new()
            }
        }
    }

    /// A whole number within `range`.
    pub(crate) fn number(
        &self,
        read: &mut Reader,
        name: &str,
        range: RangeInclusive<u16>,
    ) -> Option<u16> {
        let at = self.at.field(name);
        match self.required(read, name)? {
            Json::Whole(n) => {
                let number = u16::try_from(*n).ok().filter(|n| range.contains(n));
                if number.is_none() {
                    let (from, to) = (range.start(), range.end());
                    read.fault(&at, "range", format!("This must be from {from} to {to}."));
                }
                number
            }
            other => {
                read.wrong(&at, "a whole number", other);
                None
            }
        }
    }

    /// The id of an item.
    pub(crate) fn id(&self, read: &mut Reader, name: &str) -> Option<PublicId> {
        let value = self.required(read, name)?;
        read.id(&self.at.field(name), value)
    }

    /// Ids of sessions, at most `max` and each once; none if the field is absent.
    pub(crate) fn ids(&self, read: &mut Reader, name: &str, max: usize) -> Vec<PublicId> {
        let Some(value) = self.get(name) else { return Vec::new() };
        let at = self.at.field(name);
        let Some(list) = read.list(&at, value, max) else { return Vec::new() };
        let mut ids = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let at = at.entry(index);
            let Some(id) = read.id(&at, value) else { continue };
            if ids.contains(&id) {
                read.fault(&at, "twice", "This id stands twice.".to_owned());
            }
            ids.push(id);
        }
        ids
    }
}
