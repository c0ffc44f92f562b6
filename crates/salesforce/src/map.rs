//! What the org calls Sloe's objects and fields. Data, not code: an org with
//! other objects has another [`Mapping`].

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sloe_core::inbound::{Field, Value};

use crate::error::Error;
use crate::row::Figure;

mod entries;
mod file;
pub(crate) mod keys;
mod package;
mod parse;
mod preset;
pub(crate) mod translate;

pub use parse::MappingFault;
pub use preset::{PRESETS, preset};

/// The objects that Sloe writes attendees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKind {
    /// A person with a ticket.
    Attendee,
    /// An attendee's place in a session: a child of the attendee.
    SessionAttendee,
}

/// The fields that Sloe writes to them, whatever the org calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// The attendee's event, by Salesforce id.
    Event,
    /// The attendee's item, by Salesforce id.
    Item,
    /// The session, by Salesforce id.
    Session,
    /// The attendee whose session it is, by Sloe's external id.
    Attendee,
    /// Given name.
    FirstName,
    /// Family name.
    LastName,
    /// E-mail address.
    Email,
    /// Registered or cancelled.
    Status,
    /// The order's short name.
    OrderReference,
    /// When the order was confirmed.
    RegisteredAt,
    /// The invited Contact, by Salesforce id.
    Contact,
    /// The invited Lead, by Salesforce id.
    Lead,
}

impl Column {
    /// Whether it names another record.
    pub(crate) fn is_lookup(self) -> bool {
        matches!(
            self,
            Self::Event | Self::Item | Self::Session | Self::Attendee | Self::Contact | Self::Lead
        )
    }
}

/// An object that Sloe reads.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadNames {
    /// API name of the object.
    pub object: String,
    /// API names of its fields; a field that the org lacks is absent.
    pub fields: BTreeMap<Field, String>,
    /// The lookup to the event; `None` on the event itself.
    pub event: Option<String>,
    /// What an event's query calls these children; `None` on the event itself.
    pub children: Option<String>,
    /// Where Sloe writes what is sold, held and left.
    pub figures: FigureNames,
    /// What the org's words mean, by field: `"*"` stands for any other word,
    /// `""` for an empty field.
    pub values: BTreeMap<Field, BTreeMap<String, Value>>,
    /// What holds where a field is absent or empty.
    pub fallback: BTreeMap<Field, Value>,
}

/// The fields for the figures of an event, item or session; those the org
/// lacks are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FigureNames {
    /// Seats sold, those of attendees made in Salesforce included.
    pub sold: Option<String>,
    /// Seats held by open checkouts.
    pub held: Option<String>,
    /// Seats left; empty when unlimited.
    pub remaining: Option<String>,
}

impl FigureNames {
    /// Those that the org has.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.sold.iter().chain(&self.held).chain(&self.remaining)
    }
}

/// An org's words for whether somebody comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusWords {
    /// Written for somebody who comes.
    pub registered: String,
    /// Written for somebody who doesn't.
    pub cancelled: String,
    /// Read as: takes a seat. Never empty.
    pub seated: Vec<String>,
    /// Read as: cancelled in the org, the seat is free. Never empty.
    pub freed: Vec<String>,
}

impl Default for StatusWords {
    fn default() -> Self {
        Self::of("Registered", "Cancelled")
    }
}

impl StatusWords {
    /// One word each, both ways.
    #[must_use]
    pub fn of(registered: &str, cancelled: &str) -> Self {
        Self {
            registered: registered.to_owned(),
            cancelled: cancelled.to_owned(),
            seated: vec![registered.to_owned()],
            freed: vec![cancelled.to_owned()],
        }
    }
}

/// Which attendees made in Salesforce take a seat: those without Sloe's
/// external id whose status says so, and that this rule lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalRule {
    /// Whether any do.
    pub count: bool,
    /// Fields that must hold these values besides.
    pub only: BTreeMap<String, Json>,
}

impl Default for ExternalRule {
    fn default() -> Self {
        Self { count: true, only: BTreeMap::new() }
    }
}

/// An object that Sloe writes rows to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteNames {
    /// API name of the object.
    pub object: String,
    /// The external id field.
    pub key: String,
    /// The field for the row's version; without it the org can't refuse an
    /// older state that comes late.
    pub version: Option<String>,
    /// API names of the fields; a field that the org lacks is absent.
    pub columns: BTreeMap<Column, String>,
    /// The parent's relationship name, for naming it by external id.
    pub parent: Option<String>,
    /// The lookups that are master-detail, or that a roll-up counts over: the
    /// org locks these parents while it writes a row.
    pub masters: Vec<Column>,
    /// Whether somebody comes, in the org's words.
    pub statuses: StatusWords,
    /// Which of these records, if made in Salesforce, take a seat.
    pub external: ExternalRule,
    /// The org's own fields that every row sets to a fixed value.
    pub constants: BTreeMap<String, Json>,
    /// The org's own fields that a record's first row sets, for what the org
    /// requires and Sloe doesn't know.
    pub defaults: BTreeMap<String, Json>,
}

impl WriteNames {
    /// Whether rows of different attendees lock one and the same record, so
    /// that they must not be written side by side.
    #[must_use]
    pub fn parent_locks(&self) -> bool {
        self.masters.iter().any(|column| *column != Column::Attendee)
    }

    /// The org's own fields that a row sets; a record's first row sets more.
    pub(crate) fn own(&self, first: bool) -> impl Iterator<Item = (&String, &Json)> {
        self.constants.iter().chain(self.defaults.iter().filter(move |_| first))
    }
}

/// What an org's date-times mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// Moments, as Salesforce means them.
    #[default]
    Utc,
    /// Wall clock times of the event's time zone that were stored as if they were UTC.
    Wall,
}

/// All names of one org, and what its words mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Events.
    pub event: ReadNames,
    /// Items: ticket types.
    pub item: ReadNames,
    /// Sessions.
    pub session: ReadNames,
    /// Attendees.
    pub attendee: WriteNames,
    /// Attendees' sessions.
    pub session_attendee: WriteNames,
    /// How its date-times are read.
    pub times: Times,
}

impl Mapping {
    /// The same names as a managed package installs them: `NS__` before every
    /// custom name that has no namespace yet.
    #[must_use]
    pub fn with_namespace(self, namespace: &str) -> Self {
        self.with_namespace_except(namespace, &[])
    }

    fn with_namespace_except(mut self, namespace: &str, except: &[String]) -> Self {
        self.each_name(&mut |name| {
            let stem = name.strip_suffix("__c").or_else(|| name.strip_suffix("__r"));
            if stem.is_some_and(|stem| !stem.contains("__")) && !except.contains(name) {
                *name = format!("{namespace}__{name}");
            }
        });
        self
    }

    /// The zone of events that name none, unless the mapping says.
    #[must_use]
    pub fn or_time_zone(mut self, zone: &str) -> Self {
        let known = self.event.fallback.entry(Field::TimeZone);
        known.or_insert_with(|| Value::Text(zone.to_owned()));
        self
    }

    /// The names of the object that rows of `kind` go to.
    #[must_use]
    pub fn rows(&self, kind: RowKind) -> &WriteNames {
        match kind {
            RowKind::Attendee => &self.attendee,
            RowKind::SessionAttendee => &self.session_attendee,
        }
    }

    /// The names of the object that figures of this kind go to.
    pub(crate) fn read(&self, of: Figure) -> &ReadNames {
        match of {
            Figure::Event => &self.event,
            Figure::Item => &self.item,
            Figure::Session => &self.session,
        }
    }

    /// Whether the org has a field for any figure of this kind.
    #[must_use]
    pub fn has_figures(&self, of: Figure) -> bool {
        self.read(of).figures.all().next().is_some()
    }

    /// Refuses names that no Salesforce org can have: they are written into
    /// queries and addresses as they stand.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let mut bad = Vec::new();
        let mut see = |name: &mut String| {
            if !is_api_name(name) {
                bad.push(name.clone());
            }
        };
        let mut copy = self.clone();
        copy.each_name(&mut see);
        for write in [&self.attendee, &self.session_attendee] {
            let own = write.constants.keys().chain(write.defaults.keys());
            own.chain(write.external.only.keys()).for_each(|name| see(&mut name.clone()));
        }
        let need_children =
            [&self.item, &self.session].iter().any(|n| n.event.is_none() || n.children.is_none());
        if need_children {
            bad.push("(items and sessions need a lookup to the event and a child name)".into());
        }
        if bad.is_empty() {
            return Ok(());
        }
        Err(Error::Settings(format!("the mapping holds names that can't be: {}", bad.join(", "))))
    }

    fn each_name(&mut self, see: &mut dyn FnMut(&mut String)) {
        for read in [&mut self.event, &mut self.item, &mut self.session] {
            see(&mut read.object);
            read.fields.values_mut().for_each(&mut *see);
            read.event.iter_mut().for_each(&mut *see);
            read.children.iter_mut().for_each(&mut *see);
            let FigureNames { sold, held, remaining } = &mut read.figures;
            [sold, held, remaining].into_iter().flatten().for_each(&mut *see);
        }
        for write in [&mut self.attendee, &mut self.session_attendee] {
            see(&mut write.object);
            see(&mut write.key);
            write.version.iter_mut().for_each(&mut *see);
            write.columns.values_mut().for_each(&mut *see);
            write.parent.iter_mut().for_each(&mut *see);
        }
    }
}

/// Whether Salesforce could have a name like this.
pub(crate) fn is_api_name(name: &str) -> bool {
    name.len() <= 80
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The relationship that goes with a lookup field: `Event__c` gives `Event__r`,
/// a standard `ContactId` gives `Contact`.
pub(crate) fn relationship(lookup: &str) -> String {
    match lookup.strip_suffix("__c") {
        Some(stem) => format!("{stem}__r"),
        None => lookup.strip_suffix("Id").unwrap_or(lookup).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_goes_before_custom_names_only() {
        let mapping = Mapping::default().with_namespace("sloe");
        assert_eq!(mapping.event.object, "sloe__Sloe_Event__c");
        assert_eq!(mapping.event.fields.get(&Field::Name).map(String::as_str), Some("Name"));
        assert_eq!(mapping.item.children.as_deref(), Some("sloe__Items__r"));
        assert_eq!(mapping.session_attendee.parent.as_deref(), Some("sloe__Attendee__r"));
        assert_eq!(mapping.attendee.statuses.registered, "Registered");
        assert_eq!(mapping.clone().with_namespace("other"), mapping);
    }

    #[test]
    fn a_name_that_could_end_a_query_is_refused() {
        assert!(Mapping::default().validate().is_ok());
        let mut mapping = Mapping::default();
        mapping.event.object = "X WHERE Name != ''".into();
        assert!(matches!(mapping.validate(), Err(Error::Settings(text)) if text.contains("WHERE")));
    }

    #[test]
    fn a_lookup_knows_its_relationship() {
        assert_eq!(relationship("Session__c"), "Session__r");
        assert_eq!(relationship("ContactId"), "Contact");
    }
}
