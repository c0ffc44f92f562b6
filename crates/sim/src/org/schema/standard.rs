//! The standard objects Sloe touches, as far as it touches them.

use super::{Field, Kind, Object, OnDelete, Reference};

/// Organization, User, Contact and Lead.
pub(super) fn objects() -> Vec<Object> {
    vec![organization(), user(), contact(), lead()]
}

fn text(name: &str, label: &str, length: usize) -> Field {
    Field::new(name, label, Kind::Text(length))
}

fn required(mut field: Field) -> Field {
    field.required = true;
    field
}

fn read_only(mut field: Field) -> Field {
    field.writable = false;
    field
}

fn picklist(name: &str, label: &str, values: &[&str]) -> Field {
    let values = values.iter().enumerate().map(|(i, v)| ((*v).to_owned(), i == 0)).collect();
    Field::new(name, label, Kind::Picklist { values, restricted: false })
}

fn organization() -> Object {
    let mut object = Object::new("Organization", "Organization", "Organizations", "00D");
    for field in [
        text("Name", "Name", 80),
        text("OrganizationType", "Edition", 40),
        text("InstanceName", "Instance Name", 5),
        Field::new("IsSandbox", "Is Sandbox", Kind::Checkbox),
        text("NamespacePrefix", "Namespace Prefix", 15),
        Field::new("TrialExpirationDate", "Trial Expiration Date", Kind::DateTime),
        text("TimeZoneSidKey", "Time Zone", 40),
        text("LanguageLocaleKey", "Language", 40),
    ] {
        object.push_stored(field);
    }
    object.push_stamps(false);
    object.writable = false;
    object
}

fn user() -> Object {
    let mut object = Object::new("User", "User", "Users", "005");
    let mut username = required(text("Username", "Username", 80));
    username.unique = true;
    for field in [
        username,
        read_only(Field::new("Name", "Full Name", Kind::FullName)),
        text("FirstName", "First Name", 40),
        required(text("LastName", "Last Name", 80)),
        required(Field::new("Email", "Email", Kind::Email)),
        Field::new("IsActive", "Active", Kind::Checkbox),
    ] {
        object.push_stored(field);
    }
    object.push_stamps(false);
    object.writable = false;
    object
}

fn contact() -> Object {
    let mut object = Object::new("Contact", "Contact", "Contacts", "003");
    let reports_to = Kind::Reference(Reference {
        to: "Contact".to_owned(),
        relationship: "ReportsTo".to_owned(),
        children: None,
        on_delete: OnDelete::Clear,
    });
    for field in [
        read_only(Field::new("Name", "Full Name", Kind::FullName)),
        text("FirstName", "First Name", 40),
        required(text("LastName", "Last Name", 80)),
        Field::new("Email", "Email", Kind::Email),
        Field::new("Phone", "Business Phone", Kind::Phone),
        text("Title", "Title", 128),
        Field::new("ReportsToId", "Reports To ID", reports_to),
    ] {
        object.push_stored(field);
    }
    object.push_stamps(true);
    object
}

fn lead() -> Object {
    let mut object = Object::new("Lead", "Lead", "Leads", "00Q");
    for field in [
        read_only(Field::new("Name", "Full Name", Kind::FullName)),
        text("FirstName", "First Name", 40),
        required(text("LastName", "Last Name", 80)),
        required(text("Company", "Company", 255)),
        Field::new("Email", "Email", Kind::Email),
        Field::new("Phone", "Phone", Kind::Phone),
        picklist(
            "Status",
            "Status",
            &["Open - Not Contacted", "Working - Contacted", "Closed - Converted"],
        ),
    ] {
        object.push_stored(field);
    }
    object.push_stamps(true);
    object
}
