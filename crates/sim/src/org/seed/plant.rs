//! Puts a seed's users and records into an empty database.

use std::collections::HashMap;

use sloe_core::ids::SfId;

use super::{RecordFacts, Seed, when};
use crate::org::data::{Assign, Database, RowError, Value};
use crate::org::schema::{Field, Kind, Object};

/// The profile of all users.
const PROFILE: &str = "System Administrator";

/// Stores the organization, the users and all records, in the seed's order.
///
/// # Errors
/// A sentence naming the record and what the org has against it.
pub(crate) fn plant(seed: &Seed, database: &mut Database) -> Result<(), String> {
    let org = database.org();
    let first = SfId::parse(&user_id(database, 1)).map_err(|e| e.to_string())?;
    let organization = [
        ("Name", seed.org.name.as_str()),
        ("OrganizationType", seed.org.edition.as_str()),
        ("InstanceName", "SIM1"),
        ("IsSandbox", "false"),
        ("TimeZoneSidKey", seed.org.time_zone.as_str()),
        ("LanguageLocaleKey", "en_US"),
        ("DefaultLocaleSidKey", "en_US"),
    ];
    store(database, "Organization", Some(org), &organization, first)?;
    // Nobody is kept from anything here, as of those whom this profile has.
    let facts = [("Name", PROFILE), ("UserType", "Standard")];
    let profile = store(database, "Profile", None, &facts, first)?;
    for (number, user) in seed.users.iter().enumerate() {
        let id = SfId::parse(&user_id(database, number + 1)).map_err(|e| e.to_string())?;
        let alias: String = user.username.chars().take_while(|c| *c != '@').take(8).collect();
        let facts = [
            ("Username", user.username.as_str()),
            ("FirstName", user.first_name.as_str()),
            ("LastName", user.last_name.as_str()),
            ("Email", user.email.as_str()),
            ("IsActive", "true"),
            ("Alias", alias.as_str()),
            ("TimeZoneSidKey", seed.org.time_zone.as_str()),
            ("LocaleSidKey", "en_US"),
            ("EmailEncodingKey", "UTF-8"),
            ("LanguageLocaleKey", "en_US"),
            ("UserType", "Standard"),
            ("ProfileId", profile.as_str()),
        ];
        store(database, "User", Some(id), &facts, first)?;
    }
    let mut names = HashMap::new();
    for (number, record) in seed.records.iter().enumerate() {
        for round in 0..record.times.unwrap_or(1) {
            let what = record.r#ref.clone().unwrap_or_else(|| format!("number {}", number + 1));
            let id = plant_record(database, record, round, &names, first)
                .map_err(|e| format!("record {what} ({}): {e}", record.object))?;
            if let Some(name) = &record.r#ref {
                names.insert(name.clone(), id);
            }
        }
    }
    Ok(())
}

/// Users' ids are the same every time, so that a restart knows them.
pub(crate) fn user_id(database: &Database, number: usize) -> String {
    let instance = database.org().as_str().get(3..5).unwrap_or("00").to_owned();
    format!("005{instance}0{number:09}")
}

fn store(
    database: &mut Database,
    object: &str,
    id: Option<SfId>,
    facts: &[(&str, &str)],
    user: SfId,
) -> Result<SfId, String> {
    let number = database.schema().find(object).ok_or_else(|| format!("no object {object}"))?;
    let shape = database.object(number).clone();
    let mut assigns = Vec::new();
    for (name, text) in facts {
        let (index, field) = field_of(&shape, name)?;
        assigns.push(Assign::Set(index, Value::from_text(field, text).map_err(|e| e.message)?));
    }
    let saved = database.insert_as(number, id, &assigns, user).map_err(|errors| words(&errors))?;
    Ok(saved.id)
}

fn words(errors: &[RowError]) -> String {
    errors.iter().map(|e| format!("{}: {}", e.code, e.message)).collect::<Vec<_>>().join("; ")
}

fn field_of<'a>(object: &'a Object, name: &str) -> Result<(usize, &'a Field), String> {
    let index = object.find(name).ok_or_else(|| format!("{} has no field {name}", object.name))?;
    object
        .fields
        .get(index)
        .map(|field| (index, field))
        .ok_or_else(|| format!("{} has no field {name}", object.name))
}

fn plant_record(
    database: &mut Database,
    record: &RecordFacts,
    round: usize,
    names: &HashMap<String, SfId>,
    user: SfId,
) -> Result<SfId, String> {
    let number = database.schema().find(&record.object).ok_or("there is no such object")?;
    let shape = database.object(number).clone();
    let id = match &record.id {
        Some(text) => {
            let id = SfId::parse(text).map_err(|e| format!("id {text}: {e}"))?;
            if !id.as_str().starts_with(&shape.prefix) {
                return Err(format!("id {id}: ids of {} begin with {}", shape.name, shape.prefix));
            }
            if database.table(number).get(id).is_some() {
                return Err(format!("id {id} is taken"));
            }
            Some(id)
        }
        None => None,
    };
    let mut assigns = Vec::new();
    for (name, value) in &record.fields {
        let (index, field) = field_of(&shape, name)?;
        let value = pick(value, round);
        let text = text_of(value)
            .ok_or_else(|| format!("{name}: a text, a number, true or false is wanted"))?;
        let value =
            if let Some(wanted) = text.strip_prefix('$') {
                Value::Id(*names.get(wanted).ok_or_else(|| {
                    format!("{name}: no record before this one is called {wanted}")
                })?)
            } else if let Some(moment) = when::resolve(&text, (database.clock())()) {
                let moment = moment?;
                if field.kind == Kind::Date {
                    Value::Date(moment.to_zoned(jiff::tz::TimeZone::UTC).date())
                } else {
                    Value::Time(moment.as_second() * 1000)
                }
            } else {
                Value::from_text(field, &text.replace("{n}", &(round + 1).to_string()))
                    .map_err(|e| e.message)?
            };
        assigns.push(Assign::Set(index, value));
    }
    let saved = database.insert_as(number, id, &assigns, user).map_err(|errors| words(&errors))?;
    Ok(saved.id)
}

/// A list gives one of its values each round.
fn pick(value: &toml::Value, round: usize) -> &toml::Value {
    match value.as_array() {
        Some(list) if !list.is_empty() => list.get(round % list.len()).unwrap_or(value),
        _ => value,
    }
}

fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Float(n) => Some(n.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        toml::Value::Datetime(at) => Some(at.to_string()),
        toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}
