//! What Sloe's own package calls everything: the mapping of an org that has no other.

use std::collections::BTreeMap;

use sloe_core::inbound::Field;

use super::{Column, ExternalRule, FigureNames, ReadNames, StatusWords, WriteNames};

fn figures() -> FigureNames {
    FigureNames {
        sold: Some("Sold__c".into()),
        held: Some("Held__c".into()),
        remaining: Some("Remaining__c".into()),
    }
}

fn fields(names: &[(Field, &str)]) -> BTreeMap<Field, String> {
    names.iter().map(|(field, name)| (*field, (*name).to_owned())).collect()
}

pub(super) fn event_names() -> ReadNames {
    ReadNames {
        object: "Sloe_Event__c".into(),
        event: None,
        children: None,
        figures: figures(),
        values: BTreeMap::new(),
        fallback: BTreeMap::new(),
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

pub(super) fn item_names() -> ReadNames {
    ReadNames {
        object: "Sloe_Item__c".into(),
        event: Some("Event__c".into()),
        children: Some("Items__r".into()),
        figures: figures(),
        values: BTreeMap::new(),
        fallback: BTreeMap::new(),
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

pub(super) fn session_names() -> ReadNames {
    ReadNames {
        object: "Sloe_Session__c".into(),
        event: Some("Event__c".into()),
        children: Some("Sessions__r".into()),
        figures: figures(),
        values: BTreeMap::new(),
        fallback: BTreeMap::new(),
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

pub(super) fn attendee_names() -> WriteNames {
    WriteNames {
        object: "Sloe_Attendee__c".into(),
        key: "Sloe_Id__c".into(),
        version: Some("Sloe_Version__c".into()),
        parent: None,
        masters: Vec::new(),
        statuses: StatusWords::default(),
        external: ExternalRule::default(),
        constants: BTreeMap::new(),
        defaults: BTreeMap::new(),
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

pub(super) fn session_attendee_names() -> WriteNames {
    WriteNames {
        object: "Sloe_Session_Attendee__c".into(),
        key: "Sloe_Id__c".into(),
        version: Some("Sloe_Version__c".into()),
        parent: Some("Attendee__r".into()),
        masters: vec![Column::Attendee],
        statuses: StatusWords::default(),
        external: ExternalRule::default(),
        constants: BTreeMap::new(),
        defaults: BTreeMap::new(),
        columns: columns(&[
            (Column::Attendee, "Attendee__c"),
            (Column::Session, "Session__c"),
            (Column::Status, "Registration_Status__c"),
        ]),
    }
}
