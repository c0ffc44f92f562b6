//! What the templates show, gathered from the database.

pub(super) mod events;

use askama::Template;
use sloe_core::ids::SfId;

use super::form::{self, Values};
use super::input::{Input, in_order, input};
use super::update;
use crate::org::data::{Database, Row, RowError, Value, format_time};
use crate::org::schema::{Field, Kind, Object, Slot, lma};
use crate::org::state::{State as Org, lock};

/// How many rows a list shows.
const ROWS: usize = 100;
/// How many children a record shows of each kind.
const CHILDREN: usize = 20;
/// How many columns a list has.
const COLUMNS: usize = 6;

/// What Sloe writes: shown, not edited, as the package's layouts have it.
const FIGURES: [&str; 5] = ["Sold__c", "Held__c", "Remaining__c", "Sloe_Id__c", "Sloe_Version__c"];

/// What the frame calls the page of change events; no object is called so.
const EVENTS: &str = "events";

/// What a title is made of.
const NAMES: [&str; 5] = ["Name", "FirstName", "LastName", "First_Name__c", "Last_Name__c"];

/// A message on top of a page.
pub(super) struct Notice {
    pub(super) tone: &'static str,
    pub(super) text: String,
}

impl Notice {
    pub(super) fn good(text: &str) -> Self {
        Self { tone: "good", text: text.to_owned() }
    }

    pub(super) fn bad(text: &str) -> Self {
        Self { tone: "bad", text: text.to_owned() }
    }
}

pub(super) struct NavObject {
    pub(super) name: String,
    pub(super) plural: String,
    pub(super) count: String,
}

/// What every page has around its content.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) org: String,
    pub(super) used: String,
    pub(super) daily: String,
    pub(super) exhausted: bool,
    pub(super) faults: String,
    pub(super) maintenance: String,
    pub(super) objects: Vec<NavObject>,
    pub(super) current: String,
    pub(super) notice: Option<Notice>,
}

/// A page with one sentence.
#[derive(Template)]
#[template(path = "org/message.html")]
pub(super) struct Message {
    pub(super) frame: Frame,
    pub(super) text: String,
}

struct ListRow {
    id: String,
    cells: Vec<String>,
}

/// An object's records.
#[derive(Template)]
#[template(path = "org/list.html")]
pub(super) struct List {
    frame: Frame,
    label: String,
    /// How many records there are, and which of them are shown if not all.
    total: String,
    columns: Vec<String>,
    rows: Vec<ListRow>,
    /// Where the neighboring pages begin.
    newer: Option<usize>,
    older: Option<usize>,
    creatable: bool,
    updatable: bool,
    hook: String,
}

struct Fault {
    field: String,
    /// What the field is called.
    label: String,
    text: String,
}

/// A record by name.
pub(super) struct Link {
    pub(super) id: String,
    pub(super) name: String,
}

struct Fact {
    label: String,
    value: String,
}

struct Related {
    name: String,
    label: String,
    total: String,
    entries: Vec<Link>,
    /// How many are not shown.
    hidden: usize,
}

/// One record's form.
#[derive(Template)]
#[template(path = "org/record.html")]
pub(super) struct Record {
    frame: Frame,
    label: String,
    id: String,
    changed: String,
    errors: Vec<Fault>,
    inputs: Vec<Input>,
    facts: Vec<Fact>,
    related: Vec<Related>,
    writable: bool,
    /// Whether an app's own form changes it.
    managed: bool,
    deletable: bool,
    updatable: bool,
}

/// The frame of a page.
pub(super) fn frame(
    org: &Org,
    database: &Database,
    title: &str,
    current: &str,
    notice: Option<Notice>,
) -> Frame {
    // People come to the vendor's org for its licenses.
    let is_source = database.schema().find(lma::LICENSE).is_some();
    let objects = database.schema().objects().iter().enumerate();
    let mut objects: Vec<NavObject> = objects
        .filter(|(_, object)| if is_source { object.managed } else { object.writable })
        .map(|(number, object)| NavObject {
            name: object.name.clone(),
            plural: object.plural.clone(),
            count: grouped(&database.table(number).live().to_string()),
        })
        .collect();
    // The org's own objects first.
    objects.sort_by_key(|object| !object.name.ends_with("__c"));
    let daily = lock(&org.meter).allowance.daily;
    let used = org.used();
    Frame {
        title: title.to_owned(),
        org: org.name.clone(),
        used: grouped(&used.to_string()),
        daily: grouped(&daily.to_string()),
        exhausted: used >= daily,
        faults: org.faults.borrow().summary(),
        maintenance: maintenance(org, database),
        objects,
        current: current.to_owned(),
        notice,
    }
}

/// What is to be said about a maintenance window; empty if there is none.
fn maintenance(org: &Org, database: &Database) -> String {
    let Some(window) = org.window() else { return String::new() };
    let (from, until) = window.span();
    let [from, until] = [from, until].map(|at| moment(database, at.as_millisecond()));
    if window.is_on((org.now)()) {
        format!("Maintenance until {until}: every call is answered 503.")
    } else {
        format!("Maintenance from {from} to {until}: every call will be answered 503.")
    }
}

/// What a person calls the record.
pub(super) fn title(database: &Database, object: &Object, row: &Row) -> String {
    let text = |name: &str| {
        object
            .field(name)
            .map(|f| row.get(f.slot).to_text().into_owned())
            .filter(|text| !text.is_empty())
    };
    let person = [text("First_Name__c"), text("Last_Name__c")]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ");
    if !person.is_empty() {
        return person;
    }
    // A session attendee is best known by its attendee.
    let master = object.fields.iter().find(|f| f.name == "Attendee__c").and_then(|f| {
        let to = database.schema().find(&f.reference()?.to)?;
        database.table(to).get_live(row.get(f.slot).id()?).map(|row| (to, row))
    });
    match master {
        Some((to, row)) => title(database, database.object(to), row),
        None => text("Name").unwrap_or_else(|| row.id.to_string()),
    }
}

fn cell(database: &Database, field: &Field, row: &Row) -> String {
    let value = row.get(field.slot);
    match (value.as_ref(), field.reference()) {
        (Value::Id(id), Some(reference)) => {
            linked(database, &reference.to, *id).map_or_else(|| id.to_string(), |l| l.name)
        }
        (Value::Time(ms), _) => moment(database, *ms),
        (Value::Number(n), _) => grouped(&n.to_string()),
        (Value::Bool(b), _) => if *b { "Yes" } else { "No" }.to_owned(),
        (other, _) => other.to_text().into_owned(),
    }
}

/// A moment in the organization's zone.
pub(super) fn moment(database: &Database, ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(
        |_| format_time(ms, "Z"),
        |stamp| stamp.to_zoned(form::zone(database)).strftime("%-d %b %Y, %H:%M").to_string(),
    )
}

/// A number with its thousands apart: `50,000`.
pub(super) fn grouped(number: &str) -> String {
    let (sign, digits) = number.split_at(usize::from(number.starts_with('-')));
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut out = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

/// A live record by name.
pub(super) fn linked(database: &Database, object: &str, id: SfId) -> Option<Link> {
    let number = database.schema().find(object)?;
    let row = database.table(number).get_live(id)?;
    Some(Link { id: id.to_string(), name: title(database, database.object(number), row) })
}

/// The fields a list shows beside the title.
fn columns(object: &Object) -> Vec<&Field> {
    const FIRST: [&str; 17] = [
        "sfLma__Package__c",
        "sfLma__Subscriber_Org_ID__c",
        "sfLma__License_Status__c",
        "sfLma__Expiration__c",
        "sfLma__Licensed_Seats__c",
        "Event__c",
        "Session__c",
        "Item__c",
        "Status__c",
        "Registration_Status__c",
        "Published__c",
        "Starts_At__c",
        "Capacity__c",
        "Quantity__c",
        "Sold__c",
        "Remaining__c",
        "Email__c",
    ];
    let known = FIRST.iter().filter_map(|name| object.field(name));
    // The title has a record's names, and what only Sloe reads tells people nothing.
    let told = |name: &str| NAMES.contains(&name) || FIGURES.contains(&name);
    let others = object
        .fields
        .iter()
        .filter(|f| form::editable(f) && matches!(f.kind, Kind::Text(_) | Kind::Email));
    let mut out: Vec<&Field> = Vec::new();
    for field in known.chain(others.filter(|f| !told(&f.name))) {
        if out.len() < COLUMNS && !out.iter().any(|known| known.name == field.name) {
            out.push(field);
        }
    }
    out
}

/// An object's list, from this place on.
pub(super) fn list(
    org: &Org,
    database: &Database,
    number: usize,
    (from, notice): (usize, Option<Notice>),
) -> List {
    let object = database.object(number);
    let table = database.table(number);
    let fields = columns(object);
    let rows = table.newest().filter(|row| !row.deleted).skip(from).take(ROWS).map(|row| {
        let lead = title(database, object, row);
        let cells =
            std::iter::once(lead).chain(fields.iter().map(|field| cell(database, field, row)));
        ListRow { id: row.id.to_string(), cells: cells.collect() }
    });
    let rows: Vec<ListRow> = rows.collect();
    let hook = lock(&org.hook).as_ref().map(|hook| update::address(&hook.url, org.org));
    let total = table.live();
    let end = from + rows.len();
    List {
        frame: frame(org, database, &object.plural, &object.name, notice),
        label: object.label.to_lowercase(),
        total: counted(total, from, end),
        columns: std::iter::once(lead_label(object))
            .chain(fields.iter().map(|f| f.label.clone()))
            .collect(),
        rows,
        newer: (from > 0).then(|| from.saturating_sub(ROWS)),
        older: (end < total).then_some(end),
        creatable: object.writable,
        updatable: object.name == "Sloe_Event__c",
        hook: hook.unwrap_or_default(),
    }
}

/// `285 records`, `101 to 200 of 285 records`.
fn counted(total: usize, from: usize, end: usize) -> String {
    let grouped = |n: usize| grouped(&n.to_string());
    let what = if total == 1 { "record" } else { "records" };
    if from < end && end - from < total {
        format!("{} to {} of {} {what}", grouped(from + 1), grouped(end), grouped(total))
    } else {
        format!("{} {what}", grouped(total))
    }
}

/// What the column of the titles is called.
fn lead_label(object: &Object) -> String {
    let person = ["Last_Name__c", "Attendee__c"].iter().any(|name| object.field(name).is_some());
    let name = object.field("Name").filter(|_| !person);
    name.map_or_else(|| object.label.clone(), |field| field.label.clone())
}

/// A record's form, new or stored, with what is wrong with what was typed.
pub(super) fn record(
    org: &Org,
    database: &Database,
    number: usize,
    id: Option<SfId>,
    (values, errors, notice): (&Values, &[RowError], Option<Notice>),
) -> Record {
    let object = database.object(number);
    let row = id.and_then(|id| database.table(number).get_live(id));
    let heading = row.map_or_else(
        || format!("New {}", object.label.to_lowercase()),
        |row| title(database, object, row),
    );
    let (figures, mut inputs): (Vec<&Field>, Vec<&Field>) =
        object.fields.iter().filter(|field| form::editable(field)).partition(|field| {
            let name = field.name.as_str();
            FIGURES.contains(&name) || (object.managed && !lma::MODIFIED.contains(&name))
        });
    in_order(&mut inputs);
    let facts = figures.into_iter().filter_map(|field| {
        let value = row.map(|row| cell(database, field, row)).filter(|value| !value.is_empty())?;
        Some(Fact { label: field.label.clone(), value })
    });
    let faults = errors.iter().flat_map(|error| {
        let fields =
            if error.fields.is_empty() { vec![String::new()] } else { error.fields.clone() };
        fields.into_iter().map(|field| {
            let label = object.field(&field).map_or_else(|| field.clone(), |f| f.label.clone());
            let lead = format!("{label}: ");
            let text = error.message.strip_prefix(&lead).unwrap_or(&error.message).to_owned();
            Fault { field, label, text }
        })
    });
    Record {
        frame: frame(org, database, &heading, &object.name, notice),
        label: object.label.clone(),
        id: id.map_or_else(String::new, |id| id.to_string()),
        changed: row.map_or_else(String::new, |row| moment(database, row.modified)),
        errors: faults.collect(),
        inputs: inputs.into_iter().map(|field| input(database, field, values, errors)).collect(),
        facts: facts.collect(),
        related: id.map_or_else(Vec::new, |id| related(database, object, id)),
        writable: modifiable(object),
        managed: object.managed,
        deletable: object.writable && id.is_some(),
        updatable: object.name == "Sloe_Event__c" && id.is_some(),
    }
}

/// Whether a person may change records of this object here.
pub(super) fn modifiable(object: &Object) -> bool {
    object.writable || object.name == lma::LICENSE
}

fn related(database: &Database, object: &Object, id: SfId) -> Vec<Related> {
    let references = database.schema().references_to(&object.name);
    let each = references.filter_map(|(child, index)| {
        let shape = database.object(child);
        let field = shape.fields.get(index).filter(|f| matches!(f.slot, Slot::Stored(_)))?;
        field.reference()?.children.as_ref()?;
        let table = database.table(child);
        let mut children: Vec<SfId> = table.children(index, id)?.collect();
        let total = children.len();
        if total > CHILDREN {
            // The newest say most.
            children.drain(..total - CHILDREN);
            children.reverse();
        }
        let entries = children
            .iter()
            .filter_map(|id| table.get_live(*id))
            .map(|row| Link { id: row.id.to_string(), name: title(database, shape, row) });
        Some(Related {
            name: shape.name.clone(),
            label: shape.plural.clone(),
            total: grouped(&total.to_string()),
            entries: entries.collect(),
            hidden: total.saturating_sub(CHILDREN),
        })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_their_thousands_apart() {
        let all = ["7", "-700", "50000", "-1234567.25", "1000000"].map(grouped);
        assert_eq!(all, ["7", "-700", "50,000", "-1,234,567.25", "1,000,000"]);
    }

    #[test]
    fn a_list_says_which_of_how_many_it_shows() {
        let all = [counted(1, 0, 1), counted(285, 100, 200), counted(7, 0, 7), counted(7, 9, 9)];
        assert_eq!(all, ["1 record", "101 to 200 of 285 records", "7 records", "7 records"]);
    }
}
