//! A simulated org with the License Management App, and what its vendor does there.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use sloe_core::ids::OrgId;
use sloe_engine::clock::World;
use sloe_engine::engine::Engine;
use sloe_engine::tenant::Profile;
use sloe_engine::worker::{self, SourceOrg};
use sloe_salesforce::{Credentials, Flow};
use sloe_sim::org::{Options, Running, Seed, start};
use sloe_store::api::Store;

use super::org::hasty;

pub const PACKAGE: &str = "0333k000000Sloe";

const SEED: &str = r#"
[org]
id = "00D3k000000Srce"
name = "Licenses"
license_management = true

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
object = "sfLma__Package__c"
[record.fields]
Name = "Sloe"
sfLma__Package_ID__c = "0333k000000Sloe"

[[record]]
object = "sfLma__Package__c"
[record.fields]
Name = "Badge Printer"
sfLma__Package_ID__c = "0333k000000Bdge"
"#;

pub struct Source {
    pub running: Running,
    http: reqwest::Client,
}

impl Source {
    pub async fn start() -> Self {
        Self::with("127.0.0.1:0".parse().unwrap(), None, None).await
    }

    /// With so many calls a day, at an address, on a directory.
    pub async fn with(listen: SocketAddr, daily: Option<u64>, data: Option<PathBuf>) -> Self {
        Self::of(SEED, listen, daily, data).await
    }

    /// With more records, as a seed has them.
    pub async fn seeded(more: &str) -> Self {
        Self::of(&format!("{SEED}{more}"), "127.0.0.1:0".parse().unwrap(), None, None).await
    }

    async fn of(seed: &str, listen: SocketAddr, daily: Option<u64>, data: Option<PathBuf>) -> Self {
        let options = Options {
            listen,
            seed: Seed::parse(seed).unwrap(),
            data,
            daily_limit: daily,
            concurrent_limit: None,
            now: jiff::Timestamp::now,
        };
        Self { running: start(options).await.unwrap(), http: reqwest::Client::new() }
    }

    /// As `sloe serve` is told it; read whenever a node looks.
    pub fn settings(&self) -> worker::Settings {
        self.settings_with("secret", PACKAGE)
    }

    pub fn settings_with(&self, secret: &str, package: &str) -> worker::Settings {
        let flow = Flow::ClientCredentials {
            client_id: "client".to_owned(),
            client_secret: secret.to_owned().into(),
        };
        let credentials = Credentials { login_url: self.running.url(), flow };
        let source = SourceOrg::new(credentials, package.parse().unwrap());
        let licenses = Some(SourceOrg { every: Duration::ZERO, ..source });
        worker::Settings { licenses, ..hasty(2_000) }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/__control/{path}", self.running.url())
    }

    /// An org installs a package: the license's number.
    pub async fn install(&self, license: Json) -> String {
        let sent = self.http.post(self.url("licenses")).json(&license).send().await.unwrap();
        let body: Json = sent.json().await.unwrap();
        body["number"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    }

    /// The same for an org with a status.
    pub async fn give(&self, org: OrgId, status: &str) -> String {
        self.install(json!({ "org": org.to_string(), "status": status })).await
    }

    pub async fn change(&self, number: &str, change: Json) {
        let url = self.url(&format!("licenses/{number}"));
        let sent = self.http.patch(url).json(&change).send().await.unwrap();
        assert!(sent.status().is_success(), "{:?}", sent.text().await);
    }

    pub async fn delete(&self, number: &str) {
        let url = self.url(&format!("licenses/{number}"));
        assert!(self.http.delete(url).send().await.unwrap().status().is_success());
    }

    /// Faults as the control API takes them; `{}` is a healthy org.
    pub async fn faults(&self, faults: Json) {
        let sent = self.http.put(self.url("faults")).json(&faults).send().await.unwrap();
        assert!(sent.status().is_success());
    }

    /// All numbers, by id.
    pub async fn numbers(&self) -> Vec<String> {
        let sent = self.http.get(self.url("licenses")).send().await.unwrap();
        let body: Json = sent.json().await.unwrap();
        let rows = body["licenses"].as_array().unwrap().iter();
        rows.map(|row| row["number"].as_str().unwrap().to_owned()).collect()
    }

    /// Calls that count against the allowance.
    pub async fn used(&self) -> u64 {
        let sent = self.http.get(self.url("limits")).send().await.unwrap();
        let body: Json = sent.json().await.unwrap();
        body["used"].as_u64().unwrap()
    }

    /// Calls that were let in, whatever they were about.
    pub async fn calls(&self) -> u64 {
        let sent = self.http.get(self.url("stats")).send().await.unwrap();
        let body: Json = sent.json().await.unwrap();
        body["stats"]["calls"].as_object().unwrap().values().filter_map(Json::as_u64).sum()
    }
}

/// Connects an org that nobody answers for, and leaves its license to the source org.
pub fn connect(engine: &Engine, store: &dyn Store, org: OrgId, slug: &str) {
    let profile = Profile { slug: slug.to_owned(), name: slug.to_owned(), ..Profile::default() };
    let flow = Flow::ClientCredentials {
        client_id: "sloe".to_owned(),
        client_secret: "secret".to_owned().into(),
    };
    let credentials = Credentials { login_url: "http://127.0.0.1:9".to_owned(), flow };
    engine.registry().connect(store, org, profile, credentials).unwrap();
}

/// A day as the License Management App writes it, so many from now.
pub fn day(clock: &dyn World, days: i64) -> String {
    clock.now().plus_millis(days * 86_400_000).to_date()
}

pub fn shared(clock: &Arc<super::Clock>) -> Arc<dyn World> {
    Arc::clone(clock) as _
}
