//! The inputs of a record's form: which kind each field gets, what it offers and what is said about it.

use sloe_core::ids::SfId;

use super::form::{self, Values};
use super::view::{Link, linked, title};
use crate::org::data::{Database, RowError};
use crate::org::schema::{Field, Kind, Object, Reference};

/// A reference to one of so many records is chosen from a list; beyond that its id is typed.
const CHOICES: usize = 100;

/// Fields in the order a person fills them in; others follow in the schema's order.
const ORDER: [&str; 34] = [
    "Name",
    "FirstName",
    "First_Name__c",
    "LastName",
    "Last_Name__c",
    "Email__c",
    "Event__c",
    "Item__c",
    "Attendee__c",
    "Session__c",
    "Status__c",
    "Registration_Status__c",
    "Published__c",
    "Active__c",
    "Slug__c",
    "Starts_At__c",
    "Ends_At__c",
    "Time_Zone__c",
    "Capacity__c",
    "Quantity__c",
    "Max_Per_Order__c",
    "Hold_Minutes__c",
    "Summary__c",
    "Description__c",
    "Track__c",
    "Room__c",
    "Speaker__c",
    "Venue_Name__c",
    "Venue_Address__c",
    "Online_URL__c",
    "Price__c",
    "Currency__c",
    "Registration_Opens_At__c",
    "Registration_Closes_At__c",
];

/// One of the values an input offers.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
}

/// One field of a form.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) help: String,
    pub(super) kind: &'static str,
    pub(super) value: String,
    pub(super) required: bool,
    pub(super) wide: bool,
    pub(super) choices: Vec<Choice>,
    pub(super) error: String,
    pub(super) link: Option<Link>,
}

impl Input {
    /// Whether anything is said about it.
    pub(super) fn is_explained(&self) -> bool {
        !self.error.is_empty() || !self.help.is_empty() || self.link.is_some()
    }

    /// Its attributes beyond name and value. A field's name needs no quotes, so that nothing here is escaped.
    pub(super) fn state(&self) -> String {
        let mut out = String::new();
        if self.required && self.kind != "checkbox" {
            out.push_str(" required");
        }
        if !self.error.is_empty() {
            out.push_str(" aria-invalid=true");
        }
        if self.is_explained() {
            out.push_str(" aria-describedby=about-");
            out.push_str(&self.name);
        }
        out
    }
}

/// Sorts fields as a person fills them in.
pub(super) fn in_order(fields: &mut [&Field]) {
    fields.sort_by_key(|field| {
        ORDER.iter().position(|name| *name == field.name).unwrap_or(ORDER.len())
    });
}

/// The input of a field.
pub(super) fn input(
    database: &Database,
    field: &Field,
    values: &Values,
    errors: &[RowError],
) -> Input {
    let value = values.get(&field.name).cloned().unwrap_or_default();
    let choices = choices(database, field, &value);
    let kind = match &field.kind {
        Kind::Picklist { .. } => "select",
        _ if !choices.is_empty() => "select",
        Kind::LongText(_) => "textarea",
        Kind::Checkbox => "checkbox",
        Kind::DateTime => "datetime-local",
        Kind::Date => "date",
        Kind::Number(..) | Kind::Currency(..) => "number",
        Kind::Email => "email",
        Kind::Url => "url",
        _ => "text",
    };
    let link = field.reference().and_then(|r| linked(database, &r.to, SfId::parse(&value).ok()?));
    let error = errors.iter().find(|error| error.fields.contains(&field.name));
    Input {
        name: field.name.clone(),
        label: field.label.clone(),
        help: help(database, field, kind),
        kind,
        value,
        required: field.required,
        wide: matches!(field.kind, Kind::LongText(_))
            || matches!(field.kind, Kind::Text(n) if n >= 255),
        choices,
        error: error.map_or_else(String::new, |error| error.message.clone()),
        link,
    }
}

fn help(database: &Database, field: &Field, kind: &str) -> String {
    let mut help = field.help.clone();
    if field.kind == Kind::DateTime
        && let Some(name) = form::zone(database).iana_name()
    {
        help = format!("{help} In {name} time.");
    }
    if let Some(reference) = field.reference().filter(|_| kind != "select") {
        let what = database
            .schema()
            .get(&reference.to)
            .map_or_else(String::new, |object| object.label.to_lowercase());
        let article = if what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        help = format!("{help} The id of {article} {what}.");
    }
    help.trim().to_owned()
}

/// What a select offers; nothing where another input is better.
fn choices(database: &Database, field: &Field, value: &str) -> Vec<Choice> {
    match (&field.kind, field.reference()) {
        (Kind::Picklist { values, .. }, _) => {
            let each = values.iter().map(|(value, _)| value.clone());
            each.map(|value| Choice { label: value.clone(), value }).collect()
        }
        (_, Some(reference)) => records(database, reference, value),
        _ => Vec::new(),
    }
}

/// The records a reference may point to, by name; none if there are too many or what is typed isn't one of them.
fn records(database: &Database, reference: &Reference, value: &str) -> Vec<Choice> {
    let Some(number) = database.schema().find(&reference.to) else { return Vec::new() };
    let (object, table) = (database.object(number), database.table(number));
    if table.live() > CHOICES {
        return Vec::new();
    }
    let rows = table.rows().filter(|row| !row.deleted);
    let mut out: Vec<Choice> = rows
        .map(|row| {
            let event = event_of(object, row).and_then(|id| linked(database, "Sloe_Event__c", id));
            let name = title(database, object, row);
            let label =
                event.map_or_else(|| name.clone(), |event| format!("{name} · {}", event.name));
            Choice { value: row.id.to_string(), label }
        })
        .collect();
    if !value.is_empty() && out.iter().all(|choice| choice.value != value) {
        return Vec::new();
    }
    out.sort_by(|a, b| a.label.cmp(&b.label));
    out
}

/// The event a record belongs to: two events may have an item of the same name.
fn event_of(object: &Object, row: &crate::org::data::Row) -> Option<SfId> {
    row.get(object.field("Event__c")?.slot).id()
}
