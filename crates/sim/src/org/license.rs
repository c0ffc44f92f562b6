//! How the License Management App changes a license: by its own form, under
//! its own rules. The page and the control API both come through here.

use std::collections::BTreeMap;

use jiff::civil::Date;
use sloe_core::ids::SfId;

use super::data::{Assign, Database, RowError, Value};
use super::schema::lma::{LICENSE, MODIFIED, STATUSES};
use super::seed::user_id;

/// Seats that a license may have, at most.
const MOST_SEATS: u64 = 99_000_000;
const SITE: &str = "Site License";
const TRIAL: &str = "Trial";

/// Status, seats and expiration as a person writes them; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) status: Option<String>,
    pub(crate) seats: Option<String>,
    /// Empty is never.
    pub(crate) expiration: Option<String>,
}

impl Terms {
    /// What the form's inputs say.
    pub(crate) fn typed(values: &BTreeMap<String, String>) -> Self {
        let [status, seats, expiration] = MODIFIED.map(|name| values.get(name).cloned());
        Self { status, seats, expiration }
    }
}

/// The number of the license object, if this org has the app.
pub(crate) fn object(database: &Database) -> Option<usize> {
    database.schema().find(LICENSE)
}

/// The license of this number or id.
pub(crate) fn find(database: &Database, name: &str) -> Option<SfId> {
    let object = object(database)?;
    let table = database.table(object);
    if let Some(row) = SfId::parse(name).ok().and_then(|id| table.get_live(id)) {
        return Some(row.id);
    }
    let slot = database.object(object).field("Name")?.slot;
    let mut rows = table.rows().filter(|row| !row.deleted);
    rows.find(|row| row.get(slot).text() == Some(name)).map(|row| row.id)
}

/// What the terms assign to a license, new or stored, with the fields that repeat them.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn assigns(
    database: &Database,
    id: Option<SfId>,
    terms: &Terms,
) -> Result<Vec<Assign>, Vec<RowError>> {
    let Some(number) = object(database) else { return Err(Vec::new()) };
    let shape = database.object(number);
    let before = id.and_then(|id| database.table(number).get_live(id)).and_then(|row| {
        Some(row.get(shape.field("sfLma__License_Status__c")?.slot).text()?.to_owned())
    });
    let mut errors = Vec::new();
    let mut facts: Vec<(&str, String)> = Vec::new();
    let [status_field, seats_field, expiration_field] = MODIFIED;
    if let Some(status) = &terms.status {
        match status_of(status, before.as_deref()) {
            Ok(()) => {
                facts
                    .extend([(status_field, status.clone()), ("sfLma__Status__c", status.clone())]);
            }
            Err(message) => errors.push(refused(status_field, message)),
        }
    }
    if let Some(seats) = &terms.seats {
        match seats_of(seats) {
            Ok((words, number)) => {
                facts.extend([(seats_field, words), ("sfLma__Seats__c", number)]);
            }
            Err(message) => errors.push(refused(seats_field, message)),
        }
    }
    if let Some(expiration) = terms.expiration.as_deref().map(str::trim) {
        if expiration.is_empty() || expiration.parse::<Date>().is_ok() {
            let words = if expiration.is_empty() { "Does not expire" } else { expiration };
            facts.extend([
                (expiration_field, expiration.to_owned()),
                ("sfLma__Expiration_Date__c", words.to_owned()),
            ]);
        } else {
            errors.push(refused(expiration_field, "A day such as 2027-01-31, or nothing."));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    set(database, &facts)
}

/// Assigns texts to fields of a license.
///
/// # Errors
/// A text that is no value of its field.
pub(crate) fn set(
    database: &Database,
    facts: &[(&str, String)],
) -> Result<Vec<Assign>, Vec<RowError>> {
    let Some(number) = object(database) else { return Err(Vec::new()) };
    let shape = database.object(number);
    let assign = |(name, text): &(&str, String)| {
        let index = shape.find(name)?;
        let field = shape.fields.get(index)?;
        Some(Value::from_text(field, text).map(|value| Assign::Set(index, value)))
    };
    facts.iter().filter_map(assign).collect::<Result<_, _>>().map_err(|error| vec![error])
}

/// Who the app writes as when nobody uses its form.
pub(crate) fn app_user(database: &Database) -> SfId {
    SfId::parse(&user_id(database, 1)).unwrap_or_else(|_| database.org())
}

fn refused(field: &str, message: impl Into<String>) -> RowError {
    RowError::at("FIELD_CUSTOM_VALIDATION_EXCEPTION", field, message)
}

fn status_of(status: &str, before: Option<&str>) -> Result<(), String> {
    if !STATUSES.contains(&status) {
        return Err(format!("The status is one of {}.", STATUSES.join(", ")));
    }
    if status == TRIAL && before.is_some_and(|before| before != TRIAL) {
        return Err("A license that is no trial can't become one again.".to_owned());
    }
    Ok(())
}

/// The seats in words, and as a number: -1 for a site.
fn seats_of(seats: &str) -> Result<(String, String), String> {
    let seats = seats.trim();
    if seats.is_empty() || seats.eq_ignore_ascii_case(SITE) {
        return Ok((SITE.to_owned(), "-1".to_owned()));
    }
    match seats.parse::<u64>() {
        Ok(count @ 1..=MOST_SEATS) => Ok((count.to_string(), count.to_string())),
        _ => Err("A number from 1 to 99000000, or Site License.".to_owned()),
    }
}
