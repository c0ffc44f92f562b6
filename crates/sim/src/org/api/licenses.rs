//! `/__control/licenses`: what the License Management App does by itself (a
//! package is installed, a trial is converted, a row goes), for tests and tools.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use sloe_core::ids::{OrgId, SfId};

use super::control::{Answer, ok, read, refuse, refuse_all};
use super::reply::Reply;
use crate::org::data::{Assign, Database, RowError, Value};
use crate::org::license::{self, Terms};
use crate::org::schema::lma::PACKAGE;
use crate::org::state::{State as Org, lock};

/// The addresses.
pub(super) fn routes() -> Router<Arc<Org>> {
    Router::new()
        .route("/__control/licenses", get(list).post(install))
        .route("/__control/licenses/{license}", get(show).patch(change).delete(remove))
}

/// What the body of a change says; what it leaves out stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    seats: Option<Json>,
    /// A day, or null for never.
    #[serde(default, with = "given")]
    expiration: Option<Option<String>>,
}

/// A new license.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Install {
    /// The subscriber's id, of 15 or 18 characters.
    org: String,
    status: String,
    #[serde(default)]
    seats: Option<Json>,
    #[serde(default)]
    expiration: Option<String>,
    #[serde(default)]
    sandbox: bool,
    /// The package's record, id (033…) or name; the first one unless given.
    #[serde(default)]
    package: Option<String>,
}

/// Tells null from nothing.
mod given {
    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<String>>, D::Error> {
        Option::<String>::deserialize(deserializer).map(Some)
    }
}

fn seats(seats: Option<Json>) -> Option<String> {
    seats.map(|seats| seats.as_str().map_or_else(|| seats.to_string(), str::to_owned))
}

fn nothing() -> Answer {
    let words =
        json!({ "error": "there is no such license, or this org has no License Management App" });
    Reply::json(StatusCode::NOT_FOUND.as_u16(), &words).into_response()
}

fn refusal(errors: &[RowError]) -> Answer {
    let words: Vec<_> = errors.iter().map(|error| error.message.clone()).collect();
    refuse_all(&words)
}

/// A license as the control API shows it.
fn shown(database: &Database, id: SfId) -> Json {
    let Some(object) = license::object(database) else { return Json::Null };
    let shape = database.object(object);
    let Some(row) = database.table(object).get_live(id) else { return Json::Null };
    let text = |name: &str| {
        shape
            .field(name)
            .map(|field| row.get(field.slot).to_text().into_owned())
            .unwrap_or_default()
    };
    let expiration = text("sfLma__Expiration__c");
    json!({
        "id": id.as_str(),
        "number": text("Name"),
        "org": text("sfLma__Subscriber_Org_ID__c"),
        "status": text("sfLma__License_Status__c"),
        "seats": text("sfLma__Licensed_Seats__c"),
        "expiration": (!expiration.is_empty()).then_some(expiration),
        "sandbox": text("sfLma__Is_Sandbox__c") == "true",
        "package": text("sfLma__Package__c"),
    })
}

async fn list(State(org): State<Arc<Org>>) -> Answer {
    let database = lock(&org.database);
    let Some(object) = license::object(&database) else { return nothing() };
    let rows = database.table(object).rows().filter(|row| !row.deleted);
    let rows: Vec<Json> = rows.map(|row| shown(&database, row.id)).collect();
    ok(&json!({ "licenses": rows }))
}

async fn show(State(org): State<Arc<Org>>, Path(name): Path<String>) -> Answer {
    let database = lock(&org.database);
    let Some(id) = license::find(&database, &name) else { return nothing() };
    ok(&shown(&database, id))
}

/// Commits what `work` does to the licenses, and shows the one it answers.
fn write(
    org: &Org,
    work: impl FnOnce(&mut Database, usize) -> Result<SfId, Vec<RowError>>,
) -> Answer {
    let mut database = lock(&org.database);
    let Some(object) = license::object(&database) else { return nothing() };
    let mark = database.begin();
    match work(&mut database, object) {
        Ok(id) => match org.commit(&mut database) {
            Ok(()) => ok(&shown(&database, id)),
            Err(message) => refuse(&message),
        },
        Err(errors) => {
            database.roll_back(mark);
            refusal(&errors)
        }
    }
}

async fn install(State(org): State<Arc<Org>>, body: Bytes) -> Answer {
    let install: Install = match read(&body) {
        Ok(install) => install,
        Err(refused) => return *refused,
    };
    let Ok(subscriber) = OrgId::parse(&install.org) else {
        return refuse("org is an org's id of 15 or 18 characters");
    };
    write(&org, |database, object| {
        let package = package(database, install.package.as_deref())?;
        let terms = Terms {
            status: Some(install.status),
            seats: Some(seats(install.seats).unwrap_or_default()),
            expiration: Some(install.expiration.unwrap_or_default()),
        };
        let mut assigns = license::assigns(database, None, &terms)?;
        let sandbox = install.sandbox.to_string();
        assigns.extend(license::set(
            database,
            &[
                ("sfLma__Subscriber_Org_ID__c", subscriber.short().to_owned()),
                ("sfLma__Is_Sandbox__c", sandbox.clone()),
                ("sfLma__Subscriber_Org_Is_Sandbox__c", sandbox),
            ],
        )?);
        if let Some(field) = database.object(object).find("sfLma__Package__c") {
            assigns.push(Assign::Set(field, Value::Id(package)));
        }
        let user = license::app_user(database);
        database.insert(object, &assigns, user).map(|saved| saved.id)
    })
}

async fn change(State(org): State<Arc<Org>>, Path(name): Path<String>, body: Bytes) -> Answer {
    let change: Change = match read(&body) {
        Ok(change) => change,
        Err(refused) => return *refused,
    };
    let Some(id) = license::find(&lock(&org.database), &name) else { return nothing() };
    let terms = Terms {
        status: change.status,
        seats: seats(change.seats),
        expiration: change.expiration.map(Option::unwrap_or_default),
    };
    write(&org, |database, object| {
        let assigns = license::assigns(database, Some(id), &terms)?;
        let user = license::app_user(database);
        database.update(object, id, &assigns, user).map(|saved| saved.id)
    })
}

async fn remove(State(org): State<Arc<Org>>, Path(name): Path<String>) -> Answer {
    let Some(id) = license::find(&lock(&org.database), &name) else { return nothing() };
    write(&org, |database, object| {
        let user = license::app_user(database);
        database.delete(object, id, user).map(|()| id)
    })
}

/// The package that a new license is of.
fn package(database: &Database, name: Option<&str>) -> Result<SfId, Vec<RowError>> {
    let unknown = || vec![RowError::new("NOT_FOUND", "there is no such package")];
    let object = database.schema().find(PACKAGE).ok_or_else(unknown)?;
    let shape = database.object(object);
    let mut rows = database.table(object).rows().filter(|row| !row.deleted);
    let Some(name) = name else { return rows.next().map(|row| row.id).ok_or_else(unknown) };
    let is = |row: &&crate::org::data::Row| {
        let same = |field: &str| {
            shape.field(field).is_some_and(|field| row.get(field.slot).text() == Some(name))
        };
        row.id.as_str() == name || same("Name") || same("sfLma__Package_ID__c")
    };
    rows.find(is).map(|row| row.id).ok_or_else(unknown)
}
