//! What a mapping file and Sloe's own package call Sloe's fields, what kind of
//! value each holds, and which it can't do without.

use sloe_core::inbound::Field;

use super::Column;

/// What a field that Sloe reads holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Flag,
    Moment,
    Number,
}

impl Kind {
    /// Salesforce's types that hold it.
    pub(crate) fn types(self) -> &'static [&'static str] {
        match self {
            Self::Text => &[
                "string",
                "textarea",
                "picklist",
                "multipicklist",
                "combobox",
                "email",
                "phone",
                "url",
            ],
            Self::Flag => &["boolean"],
            Self::Moment => &["datetime", "date"],
            Self::Number => &["double", "currency", "int", "long", "percent"],
        }
    }

    /// In an administrator's words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Flag => "a checkbox",
            Self::Moment => "a date, or a date and time",
            Self::Number => "a number",
        }
    }
}

/// A field that Sloe reads.
pub(crate) struct ReadKey {
    pub(crate) field: Field,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) needed: bool,
    /// What Sloe's own package calls it.
    pub(super) package: &'static str,
}

type Name = &'static str;

const fn read(field: Field, name: Name, kind: Kind, package: Name) -> ReadKey {
    ReadKey { field, name, kind, needed: false, package }
}

const fn needed(field: Field, name: Name, kind: Kind, package: Name) -> ReadKey {
    ReadKey { field, name, kind, needed: true, package }
}

pub(crate) const EVENT: &[ReadKey] = &[
    needed(Field::Name, "name", Kind::Text, "Name"),
    read(Field::Slug, "slug", Kind::Text, "Slug__c"),
    needed(Field::Published, "published", Kind::Flag, "Published__c"),
    read(Field::Status, "status", Kind::Text, "Status__c"),
    read(Field::Summary, "summary", Kind::Text, "Summary__c"),
    read(Field::Description, "description", Kind::Text, "Description__c"),
    needed(Field::StartsAt, "starts_at", Kind::Moment, "Starts_At__c"),
    needed(Field::EndsAt, "ends_at", Kind::Moment, "Ends_At__c"),
    read(Field::TimeZone, "time_zone", Kind::Text, "Time_Zone__c"),
    read(Field::VenueName, "venue_name", Kind::Text, "Venue_Name__c"),
    read(Field::VenueAddress, "venue_address", Kind::Text, "Venue_Address__c"),
    read(Field::OnlineUrl, "online_url", Kind::Text, "Online_URL__c"),
    read(Field::ImageUrl, "image_url", Kind::Text, "Image_URL__c"),
    read(Field::Limit, "capacity", Kind::Number, "Capacity__c"),
    read(Field::OpensAt, "opens_at", Kind::Moment, "Registration_Opens_At__c"),
    read(Field::ClosesAt, "closes_at", Kind::Moment, "Registration_Closes_At__c"),
    read(Field::HoldMinutes, "hold_minutes", Kind::Number, "Hold_Minutes__c"),
    read(Field::MaxPerOrder, "max_per_order", Kind::Number, "Max_Per_Order__c"),
    read(Field::PrivacyUrl, "privacy_url", Kind::Text, "Privacy_URL__c"),
    read(Field::OrganizerName, "organizer_name", Kind::Text, "Organizer_Name__c"),
    read(Field::OrganizerEmail, "organizer_email", Kind::Text, "Organizer_Email__c"),
];

pub(crate) const ITEM: &[ReadKey] = &[
    needed(Field::Name, "name", Kind::Text, "Name"),
    read(Field::Description, "description", Kind::Text, "Description__c"),
    read(Field::Price, "price", Kind::Number, "Price__c"),
    read(Field::Currency, "currency", Kind::Text, "Currency__c"),
    read(Field::Limit, "capacity", Kind::Number, "Quantity__c"),
    read(Field::OpensAt, "opens_at", Kind::Moment, "Opens_At__c"),
    read(Field::ClosesAt, "closes_at", Kind::Moment, "Closes_At__c"),
    read(Field::MaxPerOrder, "max_per_order", Kind::Number, "Max_Per_Order__c"),
    read(Field::Position, "position", Kind::Number, "Position__c"),
    read(Field::Active, "active", Kind::Flag, "Active__c"),
];

pub(crate) const SESSION: &[ReadKey] = &[
    needed(Field::Name, "name", Kind::Text, "Name"),
    read(Field::Description, "description", Kind::Text, "Description__c"),
    read(Field::Track, "track", Kind::Text, "Track__c"),
    read(Field::Speaker, "speaker", Kind::Text, "Speaker__c"),
    read(Field::Room, "room", Kind::Text, "Room__c"),
    read(Field::StartsAt, "starts_at", Kind::Moment, "Starts_At__c"),
    read(Field::EndsAt, "ends_at", Kind::Moment, "Ends_At__c"),
    read(Field::Limit, "capacity", Kind::Number, "Capacity__c"),
    read(Field::Position, "position", Kind::Number, "Position__c"),
    read(Field::Active, "active", Kind::Flag, "Active__c"),
];

/// A field that Sloe writes.
pub(crate) struct WriteKey {
    pub(crate) column: Column,
    pub(crate) name: &'static str,
    pub(crate) needed: bool,
    /// What Sloe's own package calls it.
    pub(super) package: &'static str,
}

const fn write(column: Column, name: Name, needed: bool, package: Name) -> WriteKey {
    WriteKey { column, name, needed, package }
}

pub(crate) const ATTENDEE: &[WriteKey] = &[
    write(Column::Event, "event", true, "Event__c"),
    write(Column::Item, "item", false, "Item__c"),
    write(Column::FirstName, "first_name", false, "First_Name__c"),
    write(Column::LastName, "last_name", true, "Last_Name__c"),
    write(Column::Email, "email", true, "Email__c"),
    write(Column::Status, "status", true, "Registration_Status__c"),
    write(Column::OrderReference, "order_reference", false, "Order_Reference__c"),
    write(Column::RegisteredAt, "registered_at", false, "Registered_At__c"),
    write(Column::Contact, "contact", false, "Contact__c"),
    write(Column::Lead, "lead", false, "Lead__c"),
];

pub(crate) const SESSION_ATTENDEE: &[WriteKey] = &[
    write(Column::Attendee, "attendee", true, "Attendee__c"),
    write(Column::Session, "session", true, "Session__c"),
    write(Column::Status, "status", true, "Registration_Status__c"),
];

/// The known word that `word` is most likely a typing error of.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &str| distance(&word.to_ascii_lowercase(), &other.to_ascii_lowercase());
    let near = known.into_iter().map(|other| (distance(other), other)).min()?;
    let bound = 1 + word.len().min(near.1.len()) / 4;
    (near.0 <= bound).then_some(near.1)
}

/// Letters to add, drop or change to make one word of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut before = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (to, above) in b.iter().zip(row.iter().skip(1)) {
            left = (before + usize::from(from != *to)).min(above + 1).min(left + 1);
            before = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_what_was_meant_and_another_word_finds_nothing() {
        let known = ["starts_at", "ends_at", "status", "summary"];
        assert_eq!(closest("start_at", known), Some("starts_at"));
        assert_eq!(closest("Sumary", known), Some("summary"));
        assert_eq!(closest("statsu", known), Some("status"));
        assert_eq!(closest("venue", known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
