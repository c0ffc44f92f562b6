//! `sloe sync` as an operator types it, against a running demo.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

struct Demo {
    child: Child,
    ready: Value,
}

impl Demo {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
        command.args(["demo", "--json", "--port", "0", "--data"]).arg(directory);
        command.env("SLOE_LOG", "error").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(directory: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
    let store = format!("embedded:{}", directory.join("platform").display());
    command.arg("sync").args(args).args(["--store", &store]).output().unwrap()
}

/// What `sloe sync` prints.
fn sync(directory: &Path, args: &[&str]) -> String {
    let done = run(directory, args);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

async fn eventually(mut so: impl AsyncFnMut() -> Result<(), String>) {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(30);
    while let Err(why) = so().await {
        assert!(tokio::time::Instant::now() < give_up, "{why}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The demo's first org, asked as its administrator.
struct Org {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Org {
    async fn of(http: &reqwest::Client, ready: &Value) -> Self {
        let url = ready["url"].as_str().unwrap().to_owned();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", ready["client_id"].as_str().unwrap()),
            ("client_secret", ready["client_secret"].as_str().unwrap()),
        ];
        let asked = http.post(format!("{url}/services/oauth2/token")).form(&form);
        let answer: Value = asked.send().await.unwrap().json().await.unwrap();
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Self { http: http.clone(), url, token }
    }

    async fn attendees(&self, last_name: &str) -> Vec<Value> {
        let soql = format!("SELECT Id FROM Sloe_Attendee__c WHERE Last_Name__c = '{last_name}'");
        let asked = self.http.get(format!("{}/services/data/v62.0/query", self.url));
        let asked = asked.query(&[("q", soql)]).bearer_auth(&self.token);
        let answer: Value = asked.send().await.unwrap().json().await.unwrap();
        answer["records"].as_array().unwrap().clone()
    }

    async fn cancel(&self, attendee: &Value) {
        let id = attendee["Id"].as_str().unwrap();
        let url = format!("{}/services/data/v62.0/sobjects/Sloe_Attendee__c/{id}", self.url);
        let body = json!({ "Registration_Status__c": "Cancelled" });
        let asked = self.http.patch(url).json(&body).bearer_auth(&self.token);
        assert!(asked.send().await.unwrap().status().is_success());
    }
}

/// Registers somebody for the keynote; its id, and how many seats it had before.
async fn register(demo: &Demo, http: &reqwest::Client, slug: &str) -> (String, Value) {
    let site = demo.ready["site"].as_str().unwrap();
    let orgs = demo.ready["orgs"].as_array().unwrap();
    let events = &orgs.iter().find(|org| org["slug"] == slug).unwrap()["events"];
    let mut events = events.as_array().unwrap().iter();
    let event = events.find(|event| event["slug"] == "keynote-live").unwrap()["id"].clone();
    let event = event.as_str().unwrap().to_owned();
    let url = format!("{site}/api/v1/events/{event}");
    let read: Value = http.get(&url).send().await.unwrap().json().await.unwrap();
    let person = json!({
        "item": read["items"][0]["id"], "sessions": [],
        "first_name": "Ada", "last_name": "Byron-Sync", "email": "ada@example.org",
    });
    let posted = http.post(format!("{url}/registrations")).header("Idempotency-Key", "1");
    let posted = posted.json(&json!({ "attendees": [person] }));
    assert_eq!(posted.send().await.unwrap().status(), 201);
    (event, read["left"].clone())
}

#[tokio::test]
async fn an_operator_sees_how_far_an_org_is_compares_it_and_is_told_what_differs() {
    let directory = tempfile::tempdir().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let demo = Demo::start(directory.path());
    let (http, site) = (reqwest::Client::new(), demo.ready["site"].as_str().unwrap());
    let slug = "meridian";
    let (event, before) = register(&demo, &http, slug).await;
    let org = Org::of(&http, &demo.ready["orgs"][0]).await;
    eventually(async || match org.attendees("Byron-Sync").await.len() {
        1 => Ok(()),
        other => Err(format!("{other} attendees in the org")),
    })
    .await;
    eventually(async || {
        let told = sync(directory.path(), &["status", slug, "--json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        let org = &told["orgs"][0];
        let done = org["drained"] == true && org["dead_letters"] == 0;
        if done { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
    let status = sync(directory.path(), &["status"]);
    assert!(status.contains(slug) && status.contains("harbor"), "{status}");

    let compared = sync(directory.path(), &["verify", slug]);
    assert!(compared.contains("The org holds what it was sent."), "{compared}");
    org.cancel(&org.attendees("Byron-Sync").await[0]).await;
    let compared = sync(directory.path(), &["verify", slug]);
    // Unless the poll has seen it before.
    let seen = compared.contains("the org cancelled the registration");
    assert!(seen || compared.contains("The org holds what it was sent."), "{compared}");
    let left = format!("{site}/api/v1/events/{event}/availability");
    eventually(async || {
        let now: Value = http.get(&left).send().await.unwrap().json().await.unwrap();
        if now["left"] == before { Ok(()) } else { Err(format!("{now} is not {before}")) }
    })
    .await;

    nothing_to_replay(directory.path(), slug);
    metrics_tell(&demo).await;
}

fn nothing_to_replay(directory: &Path, slug: &str) {
    assert_eq!(sync(directory, &["letters", slug]).trim(), "No letters.");
    let waiting = sync(directory, &["letters", slug, "--waiting"]);
    assert_eq!(waiting.trim(), "No row waits to be sent again.");
    let replayed = sync(directory, &["replay", slug, "nonsense-1"]);
    assert!(replayed.contains("nonsense-1 is none of the org's letters."), "{replayed}");
    assert_eq!(sync(directory, &["replay", slug, "--all"]).trim(), "0 rows are sent again.");
    // Everything is meant only if it is said.
    assert!(!run(directory, &["replay", slug]).status.success());
    let unknown = run(directory, &["letters", "nobody"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && said.contains("no org \"nobody\""), "{said}");
}

async fn metrics_tell(demo: &Demo) {
    let (site, token) = (&demo.ready["site"], demo.ready["token"].as_str().unwrap());
    let url = format!("{}/metrics", site.as_str().unwrap());
    let asked = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
    let metrics = asked.text().await.unwrap();
    for name in [
        "sloe_org_dead_letters{org=\"00D",
        "sloe_org_conflicts{org=\"00D",
        "sloe_org_retrying{org=\"00D",
        "sloe_org_outbox_pending{org=\"00D",
        "sloe_org_outbox_age_seconds",
        "sloe_org_differences{org=\"00D",
        "sloe_org_sync_lag_seconds_bucket{org=\"00D",
    ] {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
}

#[test]
fn without_a_platform_a_command_says_where_it_looked() {
    let directory = tempfile::tempdir().unwrap();
    let done = run(directory.path(), &["status"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains("no platform runs on"), "{said}");
}
