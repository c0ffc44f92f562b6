//! What the templates show, gathered from the database.

use askama::Template;
use sloe_core::ids::SfId;

use super::form::{self, Values};
use super::update;
use crate::org::data::{Database, Row, RowError, Value, format_time};
use crate::org::schema::{Field, Kind, Object, Slot};
use crate::org::state::{State as Org, lock};

/// How many rows a list shows.
const ROWS: usize = 100;
/// How many children a record shows of each kind.
const CHILDREN: usize = 20;
/// How many columns a list has.
const COLUMNS: usize = 6;

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
/// What Sloe writes: shown, not edited, as the package's layouts have it.
const FIGURES: [&str; 5] = ["Sold__c", "Held__c", "Remaining__c", "Sloe_Id__c", "Sloe_Version__c"];

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

struct NavObject {
    name: String,
    plural: String,
    count: usize,
}

/// What every page has around its content.
pub(super) struct Frame {
    title: String,
    org: String,
    used: u64,
    daily: u64,
    objects: Vec<NavObject>,
    current: String,
    notice: Option<Notice>,
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
    total: usize,
    columns: Vec<String>,
    rows: Vec<ListRow>,
    creatable: bool,
    updatable: bool,
    hook: String,
}

struct Fault {
    field: String,
    text: String,
}

struct Link {
    id: String,
    name: String,
}

struct Input {
    name: String,
    label: String,
    help: String,
    kind: &'static str,
    value: String,
    required: bool,
    wide: bool,
    choices: Vec<String>,
    error: String,
    link: Option<Link>,
}

struct Fact {
    label: String,
    value: String,
}

struct Related {
    name: String,
    label: String,
    total: usize,
    entries: Vec<Link>,
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
    let objects = database.schema().objects().iter().enumerate();
    let mut objects: Vec<NavObject> = objects
        .filter(|(_, object)| object.writable)
        .map(|(number, object)| NavObject {
            name: object.name.clone(),
            plural: object.plural.clone(),
            count: database.table(number).live(),
        })
        .collect();
    // The org's own objects first.
    objects.sort_by_key(|object| !object.name.ends_with("__c"));
    let daily = lock(&org.meter).allowance.daily;
    Frame {
        title: title.to_owned(),
        org: org.name.clone(),
        used: org.used(),
        daily,
        objects,
        current: current.to_owned(),
        notice,
    }
}

/// What a person calls the record.
fn title(database: &Database, object: &Object, row: &Row) -> String {
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
        (Value::Number(n), _) => n.to_string(),
        (Value::Bool(b), _) => if *b { "Yes" } else { "No" }.to_owned(),
        (other, _) => other.to_text().into_owned(),
    }
}

/// A moment in the organization's zone.
fn moment(database: &Database, ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(
        |_| format_time(ms, "Z"),
        |stamp| stamp.to_zoned(form::zone(database)).strftime("%-d %b %Y, %H:%M").to_string(),
    )
}

fn linked(database: &Database, object: &str, id: SfId) -> Option<Link> {
    let number = database.schema().find(object)?;
    let row = database.table(number).get_live(id)?;
    Some(Link { id: id.to_string(), name: title(database, database.object(number), row) })
}

/// The fields a list shows beside the title.
fn columns(object: &Object) -> Vec<&Field> {
    const FIRST: [&str; 12] = [
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
    let others = object
        .fields
        .iter()
        .filter(|f| form::editable(f) && matches!(f.kind, Kind::Text(_) | Kind::Email));
    let mut out: Vec<&Field> = Vec::new();
    for field in known.chain(others.filter(|f| f.name != "Name")) {
        if out.len() < COLUMNS && !out.iter().any(|known| known.name == field.name) {
            out.push(field);
        }
    }
    out
}

/// An object's list.
pub(super) fn list(org: &Org, database: &Database, number: usize, notice: Option<Notice>) -> List {
    let object = database.object(number);
    let table = database.table(number);
    let fields = columns(object);
    let rows = table.newest().filter(|row| !row.deleted).take(ROWS).map(|row| {
        let lead = title(database, object, row);
        let cells =
            std::iter::once(lead).chain(fields.iter().map(|field| cell(database, field, row)));
        ListRow { id: row.id.to_string(), cells: cells.collect() }
    });
    let name_label =
        object.field("Name").map_or_else(|| object.label.clone(), |field| field.label.clone());
    let hook = lock(&org.hook).as_ref().map(|hook| update::address(&hook.url, org.org));
    List {
        frame: frame(org, database, &object.plural, &object.name, notice),
        label: object.label.to_lowercase(),
        total: table.live(),
        columns: std::iter::once(name_label)
            .chain(fields.iter().map(|f| f.label.clone()))
            .collect(),
        rows: rows.collect(),
        creatable: object.writable,
        updatable: object.name == "Sloe_Event__c",
        hook: hook.unwrap_or_default(),
    }
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
    let (figures, mut inputs): (Vec<&Field>, Vec<&Field>) = object
        .fields
        .iter()
        .filter(|field| form::editable(field))
        .partition(|field| FIGURES.contains(&field.name.as_str()));
    inputs.sort_by_key(|field| {
        ORDER.iter().position(|name| *name == field.name).unwrap_or(ORDER.len())
    });
    let facts = figures.into_iter().filter_map(|field| {
        let value = row.map(|row| cell(database, field, row)).filter(|value| !value.is_empty())?;
        Some(Fact { label: field.label.clone(), value })
    });
    let faults = errors.iter().flat_map(|error| {
        let fields =
            if error.fields.is_empty() { vec![String::new()] } else { error.fields.clone() };
        fields.into_iter().map(|field| Fault { field, text: error.message.clone() })
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
        writable: object.writable,
        deletable: object.writable && id.is_some(),
        updatable: object.name == "Sloe_Event__c" && id.is_some(),
    }
}

fn input(database: &Database, field: &Field, values: &Values, errors: &[RowError]) -> Input {
    let kind = match &field.kind {
        Kind::LongText(_) => "textarea",
        Kind::Picklist { .. } => "select",
        Kind::Checkbox => "checkbox",
        Kind::DateTime => "datetime-local",
        Kind::Date => "date",
        Kind::Number(..) | Kind::Currency(..) => "number",
        Kind::Email => "email",
        Kind::Url => "url",
        _ => "text",
    };
    let choices = match &field.kind {
        Kind::Picklist { values, .. } => values.iter().map(|(value, _)| value.clone()).collect(),
        _ => Vec::new(),
    };
    let zone = form::zone(database);
    let mut help = field.help.clone();
    if let (Kind::DateTime, Some(name)) = (&field.kind, zone.iana_name()) {
        help = format!("{help} In {name} time.").trim().to_owned();
    }
    if let Some(reference) = field.reference() {
        let what = database
            .schema()
            .get(&reference.to)
            .map_or_else(String::new, |object| object.label.to_lowercase());
        help = format!(
            "{help} The id of {} {what}.",
            if what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
        );
    }
    let value = values.get(&field.name).cloned().unwrap_or_default();
    let link = field.reference().and_then(|r| linked(database, &r.to, SfId::parse(&value).ok()?));
    let error = errors.iter().find(|error| error.fields.contains(&field.name));
    Input {
        name: field.name.clone(),
        label: field.label.clone(),
        help,
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

fn related(database: &Database, object: &Object, id: SfId) -> Vec<Related> {
    let references = database.schema().references_to(&object.name);
    let each = references.filter_map(|(child, index)| {
        let shape = database.object(child);
        let field = shape.fields.get(index).filter(|f| matches!(f.slot, Slot::Stored(_)))?;
        field.reference()?.children.as_ref()?;
        let table = database.table(child);
        let total = table.children(index, id)?.count();
        let first = table.children(index, id)?.take(CHILDREN).filter_map(|id| table.get_live(id));
        let entries =
            first.map(|row| Link { id: row.id.to_string(), name: title(database, shape, row) });
        Some(Related {
            name: shape.name.clone(),
            label: shape.plural.clone(),
            total,
            entries: entries.collect(),
        })
    });
    each.collect()
}
