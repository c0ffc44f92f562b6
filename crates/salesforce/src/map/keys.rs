//! What a mapping file calls Sloe's fields, what kind of value each holds, and
//! which it can't do without.

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
}

const fn read(field: Field, name: &'static str, kind: Kind) -> ReadKey {
    ReadKey { field, name, kind, needed: false }
}

const fn needed(field: Field, name: &'static str, kind: Kind) -> ReadKey {
    ReadKey { field, name, kind, needed: true }
}

pub(crate) const EVENT: &[ReadKey] = &[
    needed(Field::Name, "name", Kind::Text),
    read(Field::Slug, "slug", Kind::Text),
    needed(Field::Published, "published", Kind::Flag),
    read(Field::Status, "status", Kind::Text),
    read(Field::Summary, "summary", Kind::Text),
    read(Field::Description, "description", Kind::Text),
    needed(Field::StartsAt, "starts_at", Kind::Moment),
    needed(Field::EndsAt, "ends_at", Kind::Moment),
    read(Field::TimeZone, "time_zone", Kind::Text),
    read(Field::VenueName, "venue_name", Kind::Text),
    read(Field::VenueAddress, "venue_address", Kind::Text),
    read(Field::OnlineUrl, "online_url", Kind::Text),
    read(Field::ImageUrl, "image_url", Kind::Text),
    read(Field::Limit, "capacity", Kind::Number),
    read(Field::OpensAt, "opens_at", Kind::Moment),
    read(Field::ClosesAt, "closes_at", Kind::Moment),
    read(Field::HoldMinutes, "hold_minutes", Kind::Number),
    read(Field::MaxPerOrder, "max_per_order", Kind::Number),
    read(Field::PrivacyUrl, "privacy_url", Kind::Text),
    read(Field::OrganizerName, "organizer_name", Kind::Text),
    read(Field::OrganizerEmail, "organizer_email", Kind::Text),
];

pub(crate) const ITEM: &[ReadKey] = &[
    needed(Field::Name, "name", Kind::Text),
    read(Field::Description, "description", Kind::Text),
    read(Field::Price, "price", Kind::Number),
    read(Field::Currency, "currency", Kind::Text),
    read(Field::Limit, "capacity", Kind::Number),
    read(Field::OpensAt, "opens_at", Kind::Moment),
    read(Field::ClosesAt, "closes_at", Kind::Moment),
    read(Field::MaxPerOrder, "max_per_order", Kind::Number),
    read(Field::Position, "position", Kind::Number),
    read(Field::Active, "active", Kind::Flag),
];

pub(crate) const SESSION: &[ReadKey] = &[
    needed(Field::Name, "name", Kind::Text),
    read(Field::Description, "description", Kind::Text),
    read(Field::Track, "track", Kind::Text),
    read(Field::Speaker, "speaker", Kind::Text),
    read(Field::Room, "room", Kind::Text),
    read(Field::StartsAt, "starts_at", Kind::Moment),
    read(Field::EndsAt, "ends_at", Kind::Moment),
    read(Field::Limit, "capacity", Kind::Number),
    read(Field::Position, "position", Kind::Number),
    read(Field::Active, "active", Kind::Flag),
];

/// A field that Sloe writes.
pub(crate) struct WriteKey {
    pub(crate) column: Column,
    pub(crate) name: &'static str,
    pub(crate) needed: bool,
}

const fn write(column: Column, name: &'static str, needed: bool) -> WriteKey {
    WriteKey { column, name, needed }
}

pub(crate) const ATTENDEE: &[WriteKey] = &[
    write(Column::Event, "event", true),
    write(Column::Item, "item", false),
    write(Column::FirstName, "first_name", false),
    write(Column::LastName, "last_name", true),
    write(Column::Email, "email", true),
    write(Column::Status, "status", true),
    write(Column::OrderReference, "order_reference", false),
    write(Column::RegisteredAt, "registered_at", false),
];

pub(crate) const SESSION_ATTENDEE: &[WriteKey] = &[
    write(Column::Attendee, "attendee", true),
    write(Column::Session, "session", true),
    write(Column::Status, "status", true),
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
