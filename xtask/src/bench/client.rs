//! The two sides of the platform as a benchmark sees them: an org that
//! somebody else signs in to, and a registrant.

use serde_json::{Value, json};

use super::process;
use super::world::{World, field};

const API: &str = "/services/data/v62.0";

/// Somebody who is signed in to the org. The calls are counted there like any.
pub(super) struct OrgClient {
    url: String,
    header: String,
}

impl OrgClient {
    /// With the app of the benchmarks' seeds.
    pub(super) fn sign_in(url: &str) -> Result<Self, String> {
        let form =
            "grant_type=client_credentials&client_id=bench.client&client_secret=bench-secret";
        let call = ("POST", url, "/services/oauth2/token");
        let header = "Content-Type: application/x-www-form-urlencoded";
        let told = process::ask(call, header, form)?.json()?;
        let header = format!("Authorization: Bearer {}", field(&told, "access_token"));
        Ok(Self { url: url.to_owned(), header })
    }

    /// All records of a query.
    pub(super) fn query(&self, soql: &str) -> Result<Vec<Value>, String> {
        let soql = soql.replace('%', "%25").replace(' ', "+").replace('=', "%3D");
        let mut path = format!("{API}/query?q={soql}");
        let mut records = Vec::new();
        loop {
            let page = process::ask(("GET", &self.url, &path), &self.header, "")?.json()?;
            records
                .extend(page.get("records").and_then(Value::as_array).cloned().unwrap_or_default());
            match page.get("nextRecordsUrl").and_then(Value::as_str) {
                Some(next) => next.clone_into(&mut path),
                None => return Ok(records),
            }
        }
    }

    /// Changes fields of up to 200 records of an object.
    pub(super) fn change(&self, object: &str, records: &[(String, Value)]) -> Result<(), String> {
        let record = |(id, fields): &(String, Value)| {
            let mut record = fields.clone();
            if let Some(map) = record.as_object_mut() {
                map.insert("attributes".to_owned(), json!({ "type": object }));
                map.insert("id".to_owned(), id.as_str().into());
            }
            record
        };
        let records: Vec<Value> = records.iter().map(record).collect();
        let body = json!({ "allOrNone": true, "records": records }).to_string();
        let path = format!("{API}/composite/sobjects");
        let told = process::ask(("PATCH", &self.url, &path), &self.header, &body)?.json()?;
        let mut rows = told.as_array().into_iter().flatten();
        match rows.find(|row| row.get("success") != Some(&Value::Bool(true))) {
            Some(row) => Err(format!("a record of {object} was not changed: {row}")),
            None => Ok(()),
        }
    }
}

/// What registrants may choose at one event.
pub(super) struct Offer {
    path: String,
    item: String,
    sessions: Vec<String>,
}

impl Offer {
    pub(super) fn read(world: &World, slug: &str) -> Result<Self, String> {
        let event = world.event(slug)?;
        let path = format!("/api/v1/events/{}", field(&event, "id"));
        let event = process::get_json(&world.site, &path)?;
        let ids = |list: &str| -> Vec<String> {
            let list = event.get(list).and_then(Value::as_array).into_iter().flatten();
            list.map(|one| field(one, "id").to_owned()).collect()
        };
        let item = ids("items").into_iter().next().ok_or("the event has no item")?;
        Ok(Self { path: format!("{path}/registrations"), item, sessions: ids("sessions") })
    }

    /// Registers people by their numbers, each for two sessions if there are
    /// two; gives the order's id once it is acknowledged.
    pub(super) fn register(
        &self,
        site: &str,
        key: &str,
        people: &[String],
    ) -> Result<String, String> {
        let sessions: Vec<&String> = self.sessions.iter().take(2).collect();
        let attendee = |name: &String| {
            json!({
                "item": self.item, "sessions": sessions, "first_name": "Ada",
                "last_name": name, "email": format!("{name}@bench.example"),
            })
        };
        let attendees: Vec<Value> = people.iter().map(attendee).collect();
        let body = json!({ "attendees": attendees }).to_string();
        let header = format!("Idempotency-Key: {key}");
        let answer = process::ask(("POST", site, &self.path), &header, &body)?;
        Ok(field(&answer.json()?, "order").to_owned())
    }
}
