//! What the org calls Sloe's objects and fields. Data, not code: an org with
//! other objects has another [`Mapping`].

use std::collections::BTreeMap;

use sloe_core::inbound::Field;

use crate::error::Error;

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
}

/// An object that Sloe reads.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// The fields for the figures of an event, item or session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FigureNames {
    /// Seats sold, those of attendees made in Salesforce included.
    pub sold: String,
    /// Seats held by open checkouts.
    pub held: String,
    /// Seats left; empty when unlimited.
    pub remaining: String,
}

/// An object that Sloe writes rows to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteNames {
    /// API name of the object.
    pub object: String,
    /// The external id field.
    pub key: String,
    /// The field for the row's version.
    pub version: String,
    /// API names of the fields.
    pub columns: BTreeMap<Column, String>,
    /// The parent's relationship name, for naming it by external id.
    pub parent: Option<String>,
}

/// All names of one org.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The status of somebody who comes.
    pub registered: String,
    /// The status of somebody who doesn't.
    pub cancelled: String,
}

impl Default for Mapping {
    /// Sloe's own package, without a namespace.
    fn default() -> Self {
        Self {
            event: event_names(),
            item: item_names(),
            session: session_names(),
            attendee: attendee_names(),
            session_attendee: session_attendee_names(),
            registered: "Registered".into(),
            cancelled: "Cancelled".into(),
        }
    }
}

impl Mapping {
    /// The same names as a managed package installs them: `NS__` before every custom name.
    #[must_use]
    pub fn with_namespace(mut self, namespace: &str) -> Self {
        self.each_name(&mut |name| {
            if name.ends_with("__c") || name.ends_with("__r") {
                *name = format!("{namespace}__{name}");
            }
        });
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

    /// Refuses names that no Salesforce org can have: they are written into
    /// queries and addresses as they stand.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let mut bad = Vec::new();
        self.clone().each_name(&mut |name| {
            let fits = name.len() <= 80
                && name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !fits {
                bad.push(name.clone());
            }
        });
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
            [sold, held, remaining].into_iter().for_each(&mut *see);
        }
        for write in [&mut self.attendee, &mut self.session_attendee] {
            see(&mut write.object);
            see(&mut write.key);
            see(&mut write.version);
            write.columns.values_mut().for_each(&mut *see);
            write.parent.iter_mut().for_each(&mut *see);
        }
    }
}

/// The relationship that goes with a lookup field: `Event__c` gives `Event__r`,
/// a standard `ContactId` gives `Contact`.
pub(crate) fn relationship(lookup: &str) -> String {
    match lookup.strip_suffix("__c") {
        Some(stem) => format!("{stem}__r"),
        None => lookup.strip_suffix("Id").unwrap_or(lookup).to_owned(),
    }
}

fn figures() -> FigureNames {
    FigureNames { sold: "Sold__c".into(), held: "Held__c".into(), remaining: "Remaining__c".into() }
}

fn fields(names: &[(Field, &str)]) -> BTreeMap<Field, String> {
    names.iter().map(|(field, name)| (*field, (*name).to_owned())).collect()
}

fn event_names() -> ReadNames {
    ReadNames {
        object: "Sloe_Event__c".into(),
        event: None,
        children: None,
        figures: figures(),
        fields: fields(&[
            (Field::Name, "Name"),
            (Field::Slug, "Slug__c"),
            (Field::Published, "Published__c"),
            (Field::Status, "Status__c"),
            (Field::Summary, "Summary__c"),
            (Field::Description, "Description__c"),
            (Field::StartsAt, "Starts_At__c"),
            (Field::EndsAt, "Ends_At__c"),
            (Field::TimeZone, "Time_Zone__c"),
            (Field::VenueName, "Venue_Name__c"),
            (Field::VenueAddress, "Venue_Address__c"),
            (Field::OnlineUrl, "Online_URL__c"),
            (Field::ImageUrl, "Image_URL__c"),
            (Field::Limit, "Capacity__c"),
            (Field::OpensAt, "Registration_Opens_At__c"),
            (Field::ClosesAt, "Registration_Closes_At__c"),
            (Field::HoldMinutes, "Hold_Minutes__c"),
            (Field::MaxPerOrder, "Max_Per_Order__c"),
            (Field::PrivacyUrl, "Privacy_URL__c"),
            (Field::OrganizerName, "Organizer_Name__c"),
            (Field::OrganizerEmail, "Organizer_Email__c"),
        ]),
    }
}

fn item_names() -> ReadNames {
    ReadNames {
        object: "Sloe_Item__c".into(),
        event: Some("Event__c".into()),
        children: Some("Items__r".into()),
        figures: figures(),
        fields: fields(&[
            (Field::Name, "Name"),
            (Field::Description, "Description__c"),
            (Field::Price, "Price__c"),
            (Field::Currency, "Currency__c"),
            (Field::Limit, "Quantity__c"),
            (Field::OpensAt, "Opens_At__c"),
            (Field::ClosesAt, "Closes_At__c"),
            (Field::MaxPerOrder, "Max_Per_Order__c"),
            (Field::Position, "Position__c"),
            (Field::Active, "Active__c"),
        ]),
    }
}

fn session_names() -> ReadNames {
    ReadNames {
        object: "Sloe_Session__c".into(),
        event: Some("Event__c".into()),
        children: Some("Sessions__r".into()),
        figures: figures(),
        fields: fields(&[
            (Field::Name, "Name"),
            (Field::Description, "Description__c"),
            (Field::Track, "Track__c"),
            (Field::Speaker, "Speaker__c"),
            (Field::Room, "Room__c"),
            (Field::StartsAt, "Starts_At__c"),
            (Field::EndsAt, "Ends_At__c"),
            (Field::Limit, "Capacity__c"),
            (Field::Position, "Position__c"),
            (Field::Active, "Active__c"),
        ]),
    }
}

fn columns(names: &[(Column, &str)]) -> BTreeMap<Column, String> {
    names.iter().map(|(column, name)| (*column, (*name).to_owned())).collect()
}

fn attendee_names() -> WriteNames {
    WriteNames {
        object: "Sloe_Attendee__c".into(),
        key: "Sloe_Id__c".into(),
        version: "Sloe_Version__c".into(),
        parent: None,
        columns: columns(&[
            (Column::Event, "Event__c"),
            (Column::Item, "Item__c"),
            (Column::FirstName, "First_Name__c"),
            (Column::LastName, "Last_Name__c"),
            (Column::Email, "Email__c"),
            (Column::Status, "Registration_Status__c"),
            (Column::OrderReference, "Order_Reference__c"),
            (Column::RegisteredAt, "Registered_At__c"),
        ]),
    }
}

fn session_attendee_names() -> WriteNames {
    WriteNames {
        object: "Sloe_Session_Attendee__c".into(),
        key: "Sloe_Id__c".into(),
        version: "Sloe_Version__c".into(),
        parent: Some("Attendee__r".into()),
        columns: columns(&[
            (Column::Attendee, "Attendee__c"),
            (Column::Session, "Session__c"),
            (Column::Status, "Registration_Status__c"),
        ]),
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
        assert_eq!(mapping.registered, "Registered");
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
