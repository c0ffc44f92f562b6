//! A simulated org as a program may ask it, whoever started it.

use std::collections::BTreeMap;

use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// A simulated org as it tells of itself, or the demo of it.
#[derive(Deserialize)]
pub(super) struct ReadyOrg {
    #[serde(default)]
    slug: String,
    org_id: String,
    url: String,
    /// Null where it does not tell of changes.
    pubsub: Option<String>,
    client_id: String,
    client_secret: String,
    #[serde(default)]
    events: Vec<ReadyEvent>,
}

#[derive(Deserialize)]
struct ReadyEvent {
    id: String,
    slug: String,
}

/// A simulated org of the demo.
pub(crate) struct Org {
    /// First part of its pages' addresses.
    pub(crate) slug: String,
    /// Its id in Salesforce, 18 characters.
    pub(crate) id: String,
    /// Where it answers, people and programs alike.
    pub(crate) url: String,
    /// Where it tells of changes; empty if it does not.
    pub(crate) pubsub: String,
    client_id: String,
    client_secret: String,
    /// Sloe's ids of the events there were at the start, by slug.
    events: BTreeMap<String, String>,
    client: Client,
    token: OnceCell<String>,
}

impl Org {
    pub(super) fn new(ready: ReadyOrg, client: &Client) -> Self {
        Self {
            slug: ready.slug,
            id: ready.org_id,
            url: ready.url,
            pubsub: ready.pubsub.unwrap_or_default(),
            client_id: ready.client_id,
            client_secret: ready.client_secret,
            events: ready.events.into_iter().map(|event| (event.slug, event.id)).collect(),
            client: client.clone(),
            token: OnceCell::new(),
        }
    }

    /// Sloe's id of an event that there was at the start.
    pub(crate) fn event(&self, slug: &str) -> &str {
        self.events.get(slug).unwrap_or_else(|| panic!("{slug} is no event of {}", self.slug))
    }

    /// The slugs of the events that there were at the start.
    pub(crate) fn events(&self) -> impl Iterator<Item = &str> {
        self.events.keys().map(String::as_str)
    }

    /// The app that Sloe signs in by.
    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The secret that Sloe signs in with.
    pub(crate) fn client_secret(&self) -> &str {
        &self.client_secret
    }

    /// The page of a record.
    pub(crate) fn page(&self, record: &str) -> String {
        format!("{}/r/{record}", self.url)
    }

    /// The rows that a query finds.
    pub(crate) async fn query(&self, soql: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut answer = self.ask(soql).await;
        loop {
            rows.append(answer["records"].as_array_mut().unwrap());
            let Some(next) = answer["nextRecordsUrl"].as_str() else { return rows };
            let request = self.client.get(format!("{}{next}", self.url));
            answer = json_of(request.bearer_auth(self.token().await)).await;
        }
    }

    /// The one row that a query finds.
    pub(crate) async fn one(&self, soql: &str) -> Value {
        let mut rows = self.query(soql).await;
        assert_eq!(rows.len(), 1, "{soql}: {rows:?}");
        rows.remove(0)
    }

    /// How many rows there are; `from` begins with the object.
    pub(crate) async fn count(&self, from: &str) -> u64 {
        let answer = self.ask(&format!("SELECT COUNT() FROM {from}")).await;
        answer["totalSize"].as_u64().unwrap()
    }

    /// The id of the one row; `from` begins with the object.
    pub(crate) async fn record(&self, from: &str) -> String {
        text(&self.one(&format!("SELECT Id FROM {from}")).await["Id"])
    }

    /// Makes a record; answers its id.
    pub(crate) async fn create(&self, object: &str, fields: &Value) -> String {
        let request = self.client.post(self.data(&format!("sobjects/{object}")));
        text(&json_of(request.json(fields).bearer_auth(self.token().await)).await["id"])
    }

    /// Changes fields of a record.
    pub(crate) async fn patch(&self, object: &str, record: &str, fields: &Value) {
        let request = self.client.patch(self.data(&format!("sobjects/{object}/{record}")));
        let answer = request.json(fields).bearer_auth(self.token().await).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{object} {record}: {status} {:?}", answer.text().await);
    }

    /// Makes it misbehave from now on, in place of what it did before.
    pub(crate) async fn misbehave(&self, faults: &Value) {
        json_of(self.client.put(format!("{}/__control/faults", self.url)).json(faults)).await;
    }

    /// Lets it be as it should be.
    pub(crate) async fn behave(&self) {
        let asked = self.client.delete(format!("{}/__control/faults", self.url)).send().await;
        assert!(asked.unwrap().status().is_success());
    }

    /// Presses Update on an event's page, as a program may.
    pub(crate) async fn press_update(&self, record: &str) {
        let request = self.client.post(format!("{}/update", self.url)).form(&[("event", record)]);
        let answer = json_of(request.header("accept", "application/json")).await;
        assert_eq!(answer["update"], "accepted", "{answer}");
    }

    async fn ask(&self, soql: &str) -> Value {
        let request = self.client.get(self.data("query")).query(&[("q", soql)]);
        json_of(request.bearer_auth(self.token().await)).await
    }

    fn data(&self, resource: &str) -> String {
        format!("{}/services/data/v62.0/{resource}", self.url)
    }

    async fn token(&self) -> &str {
        let sign_in = async || {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", &self.client_id),
                ("client_secret", &self.client_secret),
            ];
            let request = self.client.post(format!("{}/services/oauth2/token", self.url));
            text(&json_of(request.form(&form)).await["access_token"])
        };
        self.token.get_or_init(sign_in).await
    }
}

/// The JSON of an answer that must be a success.
pub(super) async fn json_of(request: RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (status, url) = (answer.status(), answer.url().clone());
    let body = answer.text().await.unwrap();
    assert!(status.is_success(), "{url}: {status} {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{url}: {error}: {body}"))
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
