//! The License Management App's objects (`sfLma__…`), for an org that has it.
//! The app alone writes them: an integration may read, a person changes a
//! license by its Modify License form.

use super::{Field, Kind, Object, OnDelete, Reference};

/// The object of licenses.
pub(crate) const LICENSE: &str = "sfLma__License__c";
/// The object of packages.
pub(crate) const PACKAGE: &str = "sfLma__Package__c";
/// The statuses of a license.
pub(crate) const STATUSES: [&str; 4] = ["Active", "Suspended", "Trial", "Uninstalled"];
/// What the Modify License form changes.
pub(crate) const MODIFIED: [&str; 3] =
    ["sfLma__License_Status__c", "sfLma__Licensed_Seats__c", "sfLma__Expiration__c"];

/// License, package and package version.
pub(crate) fn objects() -> Vec<Object> {
    vec![license(), package(), version()]
}

fn text(name: &str, label: &str, length: usize) -> Field {
    Field::new(&format!("sfLma__{name}__c"), label, Kind::Text(length))
}

fn field(name: &str, label: &str, kind: Kind) -> Field {
    Field::new(&format!("sfLma__{name}__c"), label, kind)
}

fn lookup(name: &str, label: &str, to: &str, children: Option<&str>) -> Field {
    let reference = Reference {
        to: to.to_owned(),
        relationship: format!("sfLma__{name}__r"),
        children: children.map(|children| format!("sfLma__{children}__r")),
        on_delete: OnDelete::Clear,
    };
    field(name, label, Kind::Reference(reference))
}

fn status(name: &str, label: &str) -> Field {
    let values = STATUSES.iter().map(|value| ((*value).to_owned(), false)).collect();
    field(name, label, Kind::Picklist { values, restricted: true })
}

fn helped(mut field: Field, help: &str) -> Field {
    help.clone_into(&mut field.help);
    field
}

fn object(names: [&str; 3], prefix: &str, name: Field, fields: Vec<Field>) -> Object {
    let [api, label, plural] = names;
    let mut object = Object::new(api, label, plural, prefix);
    object.push_stored(name);
    for field in fields {
        object.push_stored(field);
    }
    object.push_stamps(true);
    object.writable = false;
    object.managed = true;
    object
}

fn named(label: &str) -> Field {
    let mut name = Field::new("Name", label, Kind::Text(80));
    name.required = true;
    name
}

fn package() -> Object {
    let fields = vec![
        text("Package_ID", "Package ID", 18),
        text("Developer_Name", "Developer Name", 80),
        text("Developer_Org_ID", "Developer Org ID", 18),
        field("Last_License_Refresh", "Last License Refresh", Kind::DateTime),
    ];
    object([PACKAGE, "Package", "Packages"], "a1P", named("Package Name"), fields)
}

fn version() -> Object {
    let fields = vec![
        lookup("Package", "Package", PACKAGE, Some("Package_Versions")),
        text("Version_ID", "Version ID", 18),
        text("Version_Number", "Version Number", 40),
        field("Release_Date", "Release Date", Kind::Date),
    ];
    let names = ["sfLma__Package_Version__c", "Package Version", "Package Versions"];
    object(names, "a1V", named("Package Version Name"), fields)
}

fn license() -> Object {
    let mut number = Field::new("Name", "License Number", Kind::AutoNumber("L-".to_owned(), 5));
    number.writable = false;
    let seats = "A number, or Site License for as many as there are.";
    let expiration = "The last day of the license; empty is never.";
    let fields = vec![
        status("License_Status", "License Status"),
        status("Status", "Status (legacy)"),
        helped(text("Licensed_Seats", "Licensed Seats", 40), seats),
        field("Seats", "Seats", Kind::Number(18, 0)),
        field("Used_Licenses", "Used Licenses", Kind::Number(18, 0)),
        helped(field("Expiration", "Expiration", Kind::Date), expiration),
        text("Expiration_Date", "Expiration Date", 40),
        field("Install_Date", "Install Date", Kind::Date),
        text("Subscriber_Org_ID", "Subscriber Org ID", 15),
        field("Is_Sandbox", "Sandbox", Kind::Checkbox),
        field("Subscriber_Org_Is_Sandbox", "Subscriber Org Is Sandbox", Kind::Checkbox),
        text("Org_Edition", "Org Edition", 80),
        text("Org_Instance", "Org Instance", 40),
        text("Instance", "Instance", 40),
        text("Org_Status", "Org Status", 40),
        text("Org_Type", "Org Type", 40),
        field("Org_Trial_Expiration", "Org Trial Expiration", Kind::Date),
        field("Trial_Expiration_Date", "Trial Expiration Date", Kind::Date),
        lookup("Package", "Package", PACKAGE, Some("Licenses")),
        lookup("Package_Version", "Package Version", "sfLma__Package_Version__c", Some("Licenses")),
        text("Package_Version_Number", "Package Version Number", 40),
        text("Version_Number", "Version Number", 40),
        lookup("Account", "Account", "Account", None),
        lookup("Contact", "Contact", "Contact", None),
        lookup("Lead", "Lead", "Lead", None),
        text("License_Type", "License Type (legacy)", 40),
        text("Package_License_ID", "Package License ID", 18),
        field("Last_Modified", "Last Modified", Kind::DateTime),
    ];
    object([LICENSE, "License", "Licenses"], "a1L", number, fields)
}
