//! A simulated org and the questions that tests ask of it behind Sloe's back.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use sloe_core::ids::{EventRef, OrgId, SfId};
use sloe_engine::engine::Engine;
use sloe_engine::tenant::Profile;
use sloe_engine::worker;
use sloe_salesforce::{Credentials, Flow, Options};
use sloe_sim::org::{Doors, Options as SimOptions, Running, Seed, start_with};
use sloe_store::api::Store;

const SEED: &str = r#"
[org]
id = "00D5g000000Test"
name = "Test Org"

[[user]]
username = "sloe@test.example"
last_name = "Sloe"
email = "sloe@test.example"

[[app]]
name = "Sloe"
client_id = "client"
client_secret = "secret"
run_as = "sloe@test.example"

[[rule]]
object = "Sloe_Attendee__c"
name = "No_Poison"
formula = 'Last_Name__c = "Poison"'
message = "Nobody is called Poison: poison@example.org."
field = "Last_Name__c"

[[record]]
object = "Sloe_Event__c"
ref = "event"
id = "a005g0000000001"
[record.fields]
Name = "First Event"
Published__c = true
Starts_At__c = "today+5d 09:00 Europe/Berlin"
Ends_At__c = "today+5d 17:00 Europe/Berlin"
Time_Zone__c = "Europe/Berlin"
Capacity__c = 1000

[[record]]
object = "Sloe_Item__c"
ref = "item"
[record.fields]
Event__c = "$event"
Name = "Pass"

[[record]]
object = "Sloe_Session__c"
ref = "talk"
[record.fields]
Event__c = "$event"
Name = "Talk"
Starts_At__c = "today+5d 10:00 Europe/Berlin"
Ends_At__c = "today+5d 11:00 Europe/Berlin"

[[record]]
object = "Sloe_Session__c"
ref = "workshop"
[record.fields]
Event__c = "$event"
Name = "Workshop"
Starts_At__c = "today+5d 12:00 Europe/Berlin"
Ends_At__c = "today+5d 13:00 Europe/Berlin"
"#;

pub struct Org {
    pub running: Running,
    seed: String,
    /// Keeps the records of an org that is started anew.
    data: Option<tempfile::TempDir>,
    http: reqwest::Client,
    token: String,
}

/// Workers that don't dawdle, and look at nothing by themselves but once: a
/// test that takes long counts no calls but its own.
pub fn hasty(bulk_from: usize) -> worker::Settings {
    worker::Settings {
        salesforce: Options {
            poll_first: Duration::from_millis(5),
            poll_longest: Duration::from_millis(50),
            ..Options::default()
        },
        gather: Duration::ZERO,
        bulk_from,
        figures_every: Duration::ZERO,
        poll_every: Duration::from_secs(3_600),
        verify_soon: Duration::from_secs(3_600),
        ..worker::Settings::default()
    }
}

impl Org {
    pub async fn start() -> Self {
        Self::limited(None).await
    }

    /// An org that allows so many calls a day.
    pub async fn limited(daily_limit: Option<u64>) -> Self {
        Self::begin(SEED, "127.0.0.1:0".parse().unwrap(), None, daily_limit).await
    }

    /// Another org, with records of the same ids, as a sandbox has.
    pub async fn other() -> Self {
        let seed = SEED.replace("00D5g000000Test", "00D5g000000Else");
        Self::begin(&seed, "127.0.0.1:0".parse().unwrap(), None, None).await
    }

    /// An org that can be started anew.
    pub async fn lasting() -> Self {
        let data = Some(tempfile::tempdir().unwrap());
        Self::begin(SEED, "127.0.0.1:0".parse().unwrap(), data, None).await
    }

    /// An org that tells of changes, over its Pub/Sub API.
    pub async fn telling() -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        Self::open(SEED, any, None, None, Doors { tls: None, pubsub: Some(any) }).await
    }

    /// An org with objects of its own, that can be started anew.
    pub async fn seeded(seed: &str) -> Self {
        let data = Some(tempfile::tempdir().unwrap());
        Self::begin(seed, "127.0.0.1:0".parse().unwrap(), data, None).await
    }

    /// The same org with the same records, its administrator having changed its setup.
    pub async fn changed(self, change: impl Fn(&str) -> String) -> Self {
        let at = self.running.addr();
        self.running.shutdown().await;
        Self::begin(&change(&self.seed), at, self.data, None).await
    }

    async fn begin(
        seed: &str,
        listen: std::net::SocketAddr,
        data: Option<tempfile::TempDir>,
        daily_limit: Option<u64>,
    ) -> Self {
        Self::open(seed, listen, data, daily_limit, Doors::default()).await
    }

    async fn open(
        seed: &str,
        listen: std::net::SocketAddr,
        data: Option<tempfile::TempDir>,
        daily_limit: Option<u64>,
        doors: Doors,
    ) -> Self {
        let options = SimOptions {
            listen,
            seed: Seed::parse(seed).unwrap(),
            data: data.as_ref().map(|data| data.path().to_owned()),
            daily_limit,
            concurrent_limit: None,
            now: jiff::Timestamp::now,
        };
        let running = start_with(options, doors).await.unwrap();
        let http = reqwest::Client::new();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "client"),
            ("client_secret", "secret"),
        ];
        let url = format!("{}/services/oauth2/token", running.url());
        let body: Json = http.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        let token = body["access_token"].as_str().unwrap().to_owned();
        Self { running, seed: seed.to_owned(), data, http, token }
    }

    pub fn id(&self) -> OrgId {
        OrgId::parse(&self.running.org_id()).unwrap()
    }

    pub fn event(&self) -> EventRef {
        EventRef { org: self.id(), event: SfId::parse("a005g0000000001").unwrap() }
    }

    pub fn connect(&self, engine: &Engine, store: &dyn Store) {
        self.connect_as(engine, store, "test");
    }

    pub fn connect_as(&self, engine: &Engine, store: &dyn Store, slug: &str) {
        let profile =
            Profile { slug: slug.to_owned(), name: "Test".to_owned(), ..Profile::default() };
        engine.registry().connect(store, self.id(), profile, self.credentials()).unwrap();
        super::license(engine, store, self.id());
    }

    /// Lets an engine serve the org's event, under a clock that can be turned.
    pub async fn served(&self, place: &super::Place) -> (Engine, Arc<super::Clock>) {
        let clock = Arc::<super::Clock>::default();
        let engine = super::start_under(place, &clock, Some(hasty(2_000)));
        self.connect(&engine, &*place.store);
        self.shown(&engine).await;
        (engine, clock)
    }

    /// How Sloe signs in.
    pub fn credentials(&self) -> Credentials {
        let flow = Flow::ClientCredentials {
            client_id: "client".to_owned(),
            client_secret: "secret".to_owned().into(),
        };
        Credentials { login_url: self.running.url(), flow }
    }

    pub async fn records(&self, soql: &str) -> Vec<Json> {
        let mut url = format!("{}/services/data/v62.0/query", self.running.url());
        let mut query = vec![("q", soql)];
        let mut all = Vec::new();
        loop {
            let request = self.http.get(&url).query(&query).bearer_auth(&self.token);
            let body: Json = request.send().await.unwrap().json().await.unwrap();
            all.extend(body["records"].as_array().unwrap_or_else(|| panic!("{body}")).clone());
            let Some(next) = body["nextRecordsUrl"].as_str() else { return all };
            url = format!("{}{next}", self.running.url());
            query.clear();
        }
    }

    /// An object as the org describes it.
    pub async fn describe(&self, object: &str) -> Json {
        let url = format!("{}/services/data/v62.0/sobjects/{object}/describe", self.running.url());
        let request = self.http.get(url).bearer_auth(&self.token);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// The org's Bulk jobs by id, and their states.
    pub async fn jobs(&self) -> Vec<(String, String)> {
        let body = self.job_call(reqwest::Method::GET, "", Json::Null).await;
        let jobs = body["records"].as_array().unwrap_or_else(|| panic!("{body}"));
        let field = |job: &Json, name: &str| job[name].as_str().unwrap().to_owned();
        let both = |job| (field(job, "id"), field(job, "state"));
        jobs.iter().map(both).collect()
    }

    /// How many rows all Bulk jobs together did and did not write.
    pub async fn bulk_rows(&self) -> (u64, u64) {
        let (mut written, mut failed) = (0, 0);
        for (id, _) in self.jobs().await {
            let job = self.job_call(reqwest::Method::GET, &format!("/{id}"), Json::Null).await;
            let count = |name: &str| job[name].as_u64().unwrap();
            failed += count("numberRecordsFailed");
            written += count("numberRecordsProcessed") - count("numberRecordsFailed");
        }
        (written, failed)
    }

    /// Completes a job that was left open; how many rows it held.
    pub async fn rows_of_open_job(&self, id: &str) -> u64 {
        let close = serde_json::json!({ "state": "UploadComplete" });
        self.job_call(reqwest::Method::PATCH, &format!("/{id}"), close).await;
        let mut job = Json::Null;
        until("the job is complete", async || {
            job = self.job_call(reqwest::Method::GET, &format!("/{id}"), Json::Null).await;
            job["state"] == "JobComplete"
        })
        .await;
        job["numberRecordsProcessed"].as_u64().unwrap()
    }

    /// Aborts the job that runs, as an admin may; its id.
    pub async fn abort_job(&self) -> String {
        let mut jobs = self.jobs().await;
        jobs.retain(|(_, state)| state == "UploadComplete" || state == "InProgress");
        let [(id, _)] = jobs.as_slice() else { panic!("not one job runs: {jobs:?}") };
        let abort = serde_json::json!({ "state": "Aborted" });
        let job = self.job_call(reqwest::Method::PATCH, &format!("/{id}"), abort).await;
        assert_eq!(job["state"], "Aborted", "{job}");
        id.clone()
    }

    /// Lets the org forget a job that has ended.
    pub async fn forget_job(&self, id: &str) {
        let url = format!("{}/services/data/v62.0/jobs/ingest/{id}", self.running.url());
        let call = self.http.delete(url).bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(call.status(), 204);
    }

    async fn job_call(&self, method: reqwest::Method, path: &str, body: Json) -> Json {
        let url = format!("{}/services/data/v62.0/jobs/ingest{path}", self.running.url());
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if !body.is_null() {
            request = request.json(&body);
        }
        request.send().await.unwrap().json().await.unwrap()
    }

    pub async fn attendees(&self) -> Vec<Json> {
        self.records(
            "SELECT Id, Sloe_Id__c, Sloe_Version__c, Last_Name__c, Registration_Status__c \
             FROM Sloe_Attendee__c",
        )
        .await
    }

    pub async fn change(&self, object: &str, id: &str, fields: Json) {
        let url = format!("{}/services/data/v62.0/sobjects/{object}/{id}", self.running.url());
        let request = self.http.patch(url).json(&fields).bearer_auth(&self.token);
        assert!(request.send().await.unwrap().status().is_success());
    }

    pub async fn create(&self, object: &str, fields: Json) -> String {
        let url = format!("{}/services/data/v62.0/sobjects/{object}", self.running.url());
        let request = self.http.post(url).json(&fields).bearer_auth(&self.token);
        let body: Json = request.send().await.unwrap().json().await.unwrap();
        body["id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    }

    /// Makes many records, 200 a call; their ids in order.
    pub async fn create_many(&self, object: &str, records: &[Json]) -> Vec<String> {
        let url = format!("{}/services/data/v62.0/composite/sobjects", self.running.url());
        let mut ids = Vec::new();
        for some in records.chunks(200) {
            let typed = some.iter().map(|record| {
                let mut record = record.clone();
                record["attributes"] = json!({ "type": object });
                record
            });
            let body = json!({ "allOrNone": true, "records": typed.collect::<Vec<_>>() });
            let request = self.http.post(&url).json(&body).bearer_auth(&self.token);
            let answer: Json = request.send().await.unwrap().json().await.unwrap();
            let saved = answer.as_array().unwrap_or_else(|| panic!("{answer}"));
            ids.extend(
                saved.iter().map(|saved| {
                    saved["id"].as_str().unwrap_or_else(|| panic!("{saved}")).to_owned()
                }),
            );
        }
        ids
    }

    pub async fn delete(&self, object: &str, id: &str) {
        let url = format!("{}/services/data/v62.0/sobjects/{object}/{id}", self.running.url());
        let request = self.http.delete(url).bearer_auth(&self.token);
        assert!(request.send().await.unwrap().status().is_success());
    }

    /// Deletes an event and what keeps it from being deleted.
    pub async fn delete_event(&self, event: SfId) {
        for object in ["Sloe_Item__c", "Sloe_Session__c"] {
            let soql = format!("SELECT Id FROM {object} WHERE Event__c = '{event}'");
            for record in self.records(&soql).await {
                self.delete(object, record["Id"].as_str().unwrap()).await;
            }
        }
        self.delete("Sloe_Event__c", event.as_str()).await;
    }

    /// Faults as the control API takes them; `{}` is a healthy org.
    pub async fn faults(&self, faults: Json) {
        let url = format!("{}/__control/faults", self.running.url());
        assert!(self.http.put(url).json(&faults).send().await.unwrap().status().is_success());
    }

    /// How many calls the first of the faults has hit.
    pub async fn hits(&self) -> u64 {
        let url = format!("{}/__control/faults", self.running.url());
        let faults: Json = self.http.get(url).send().await.unwrap().json().await.unwrap();
        faults["faults"][0]["hits"].as_u64().unwrap()
    }

    /// Sets how change events are made and told, as the control API takes it.
    pub async fn event_knobs(&self, knobs: Json) {
        self.control(reqwest::Method::PUT, "events", knobs).await;
    }

    /// Any other call of the control API.
    pub async fn control(&self, method: reqwest::Method, path: &str, body: Json) {
        let url = format!("{}/__control/{path}", self.running.url());
        let answer = self.http.request(method, url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    /// Changes the org's limits and use, as the control API takes them; how they stand then.
    pub async fn limits(&self, limits: Json) -> Json {
        let url = format!("{}/__control/limits", self.running.url());
        self.http.put(url).json(&limits).send().await.unwrap().json().await.unwrap()
    }

    /// Composite calls so far: each refresh of an event is one.
    pub async fn composites(&self) -> u64 {
        self.calls("composite").await
    }

    /// Those of them that only read: refreshes, and looks for changes.
    pub async fn composite_reads(&self) -> u64 {
        let stats = self.stats().await;
        let calls = |kind: &str| stats["calls"][kind].as_u64().unwrap_or(0);
        calls("composite") - calls("composite_write")
    }

    /// Calls of a kind so far.
    pub async fn calls(&self, kind: &str) -> u64 {
        self.stats().await["calls"][kind].as_u64().unwrap_or(0)
    }

    /// Calls that faults have hit since the start; one whose answer is late is
    /// counted once it is carried out.
    pub async fn faulted(&self) -> u64 {
        self.stats().await["faulted"].as_u64().unwrap()
    }

    async fn stats(&self) -> Json {
        let url = format!("{}/__control/stats", self.running.url());
        let mut stats: Json = self.http.get(url).send().await.unwrap().json().await.unwrap();
        stats["stats"].take()
    }

    /// A client of its own, as tools have.
    pub fn client(&self) -> sloe_salesforce::Org {
        self.client_with(Options::default())
    }

    pub fn client_with(&self, options: Options) -> sloe_salesforce::Org {
        let options = Options { poll_first: Duration::from_millis(5), ..options };
        sloe_salesforce::Org::new(self.credentials(), sloe_salesforce::Mapping::default(), options)
            .unwrap()
    }

    /// Waits until the event is on the pages.
    pub async fn shown(&self, engine: &Engine) {
        until("the event is shown", async || engine.event(self.event().public_id()).is_ok()).await;
    }

    /// Waits until the outbox has tried in vain with everything that there is
    /// now: what was under way has come to nothing, and what came with it too.
    pub async fn tried_in_vain(&self, engine: &Engine) {
        for _ in 0..2 {
            let now = engine.now();
            until("the outbox has tried in vain", async || {
                let fault = engine.sync_state(self.id()).await.unwrap().fault;
                fault.is_some_and(|fault| fault.at > now)
            })
            .await;
        }
    }

    /// Waits until the org has everything.
    pub async fn drained(&self, engine: &Engine) {
        until("the outbox is empty", async || {
            engine.sync_state(self.id()).await.unwrap().is_drained()
        })
        .await;
    }
}

/// Looks again and again until it is so; two minutes without are a failure.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(120);
    while !so().await {
        assert!(tokio::time::Instant::now() < give_up, "{what}: not within two minutes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn status(text: &str) -> Json {
    json!({ "Registration_Status__c": text })
}
