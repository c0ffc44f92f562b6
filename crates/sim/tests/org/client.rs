//! A started org and the few calls every test makes.

use std::path::PathBuf;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value as Json, json};
use sloe_sim::org::{Options, Running, Seed, start};

/// A small org with one event, one item and one session.
pub(crate) const SEED: &str = r#"
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

[[record]]
object = "Sloe_Event__c"
ref = "event"
id = "a005g0000000001"
[record.fields]
Name = "First Event"
Slug__c = "first"
Starts_At__c = "today+5d 09:00 Europe/Berlin"
Ends_At__c = "today+5d 17:00 Europe/Berlin"
Time_Zone__c = "Europe/Berlin"
Capacity__c = 100

[[record]]
object = "Sloe_Item__c"
ref = "item"
[record.fields]
Event__c = "$event"
Name = "Pass"

[[record]]
object = "Sloe_Session__c"
ref = "session"
[record.fields]
Event__c = "$event"
Name = "Talk"
Starts_At__c = "today+5d 10:00 Europe/Berlin"
Ends_At__c = "today+5d 11:00 Europe/Berlin"
"#;

pub(crate) const EVENT: &str = "a005g0000000001";

pub(crate) struct Org {
    pub(crate) running: Running,
    pub(crate) http: reqwest::Client,
    pub(crate) token: String,
}

pub(crate) fn options() -> Options {
    Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        seed: Seed::parse(SEED).unwrap(),
        data: None,
        daily_limit: None,
        concurrent_limit: None,
        now: jiff::Timestamp::now,
    }
}

impl Org {
    pub(crate) async fn start() -> Self {
        Self::with(options()).await
    }

    pub(crate) async fn kept_in(directory: PathBuf) -> Self {
        Self::with(Options { data: Some(directory), ..options() }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let running = start(options).await.unwrap();
        let http = reqwest::Client::new();
        let mut org = Self { running, http, token: String::new() };
        org.token = org.sign_in().await;
        org
    }

    pub(crate) async fn sign_in(&self) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "client"),
            ("client_secret", "secret"),
        ];
        let url = format!("{}/services/oauth2/token", self.running.url());
        let body: Json =
            self.http.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let path = if path.starts_with("/services") || path.starts_with("/__") {
            path.to_owned()
        } else {
            format!("/services/data/v62.0{path}")
        };
        self.http.request(method, format!("{}{path}", self.running.url())).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Json) {
        unpack(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Json) -> (StatusCode, Json) {
        unpack(self.request(method, path).json(&body).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Json) -> (StatusCode, Json) {
        self.send(Method::POST, path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Json) -> (StatusCode, Json) {
        self.send(Method::PATCH, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (StatusCode, Json) {
        unpack(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    pub(crate) async fn query(&self, soql: &str) -> (StatusCode, Json) {
        let request = self.request(Method::GET, "/query").query(&[("q", soql)]);
        unpack(request.send().await.unwrap()).await
    }

    /// The records of a query that must succeed.
    pub(crate) async fn records(&self, soql: &str) -> Vec<Json> {
        let (status, body) = self.query(soql).await;
        assert_eq!(status, 200, "{soql}: {body}");
        body["records"].as_array().unwrap().clone()
    }

    /// Creates an attendee and gives its id.
    pub(crate) async fn attendee(&self, sloe_id: &str) -> String {
        let record = json!({ "Sloe_Id__c": sloe_id, "Sloe_Version__c": 1, "Last_Name__c": "Doe", "Event__c": EVENT });
        let (status, body) = self.post("/sobjects/Sloe_Attendee__c", record).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn unpack(response: Response) -> (StatusCode, Json) {
    let status = response.status();
    let text = response.text().await.unwrap();
    let body = if text.is_empty() {
        Json::Null
    } else {
        serde_json::from_str(&text).unwrap_or(Json::String(text))
    };
    (status, body)
}
