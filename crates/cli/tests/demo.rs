//! `sloe demo` as a script drives it: ready means that everything is there,
//! also where an org can't be read at a second start.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

struct Demo {
    child: Child,
    ready: Value,
}

impl Demo {
    /// Starts a demo on a directory; returns once it says that it is ready.
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
        command.args(["demo", "--json", "--port", "0", "--data"]).arg(directory);
        command.env("SLOE_LOG", "error").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    /// `org/event` of everything that it offers.
    fn events(&self) -> BTreeSet<String> {
        let orgs = self.ready["orgs"].as_array().unwrap().iter();
        let events = orgs.flat_map(|org| {
            let slug = org["slug"].as_str().unwrap();
            let events = org["events"].as_array().unwrap().iter();
            events.map(move |event| format!("{slug}/{}", event["slug"].as_str().unwrap()))
        });
        events.collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command prints of a demo's platform.
fn sloe(directory: &Path, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
    let store = format!("embedded:{}", directory.join("platform").display());
    let done = command.args(args).args(["--store", &store]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// An org tells of its changes by itself once it is asked to.
async fn follow_changes(directory: &Path, org: &Value) {
    let (slug, pubsub) = (org["slug"].as_str().unwrap(), org["pubsub"].as_str().unwrap());
    sloe(directory, &["org", "changes", slug, "--on", "--pubsub-url", pubsub]);
    let give_up = tokio::time::Instant::now() + std::time::Duration::from_secs(120);
    loop {
        let told = sloe(directory, &["org", "changes", slug]);
        if told.matches("followed since").count() == 3 && !told.contains("not followed") {
            return;
        }
        assert!(tokio::time::Instant::now() < give_up, "{told}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_demo_is_ready_with_every_published_event_also_when_an_org_can_not_be_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let demo = Demo::start(directory.path());
    let events = demo.events();
    let http = reqwest::Client::new();
    for event in &events {
        let url = format!("{}/{event}", demo.ready["site"].as_str().unwrap());
        assert_eq!(http.get(&url).send().await.unwrap().status(), 200, "{event}");
    }
    for event in ["meridian/keynote-live", "meridian/systems-days", "harbor/harbor-gala"] {
        assert!(events.contains(event), "{event} is not in {events:?}");
    }
    // Which of them are published is for the orgs to say.
    for org in demo.ready["orgs"].as_array().unwrap() {
        let url = org["url"].as_str().unwrap();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", org["client_id"].as_str().unwrap()),
            ("client_secret", org["client_secret"].as_str().unwrap()),
        ];
        let token = http.post(format!("{url}/services/oauth2/token")).form(&form);
        let token: Value = token.send().await.unwrap().json().await.unwrap();
        let published = "SELECT COUNT() FROM Sloe_Event__c WHERE Published__c = TRUE";
        let count = http
            .get(format!("{url}/services/data/v62.0/query"))
            .query(&[("q", published)])
            .bearer_auth(token["access_token"].as_str().unwrap());
        let count: Value = count.send().await.unwrap().json().await.unwrap();
        assert_eq!(count["totalSize"], org["events"].as_array().unwrap().len(), "{org}");
    }
    follow_changes(directory.path(), &demo.ready["orgs"][1]).await;
    // Nobody is needed, and it says so by how it ends.
    let told = sloe(directory.path(), &["doctor"]);
    assert!(told.contains("meridian (00D") && told.contains("ok  connection"), "{told}");
    // All calls of the day are used, and the org remembers it.
    let org = demo.ready["orgs"][0]["url"].as_str().unwrap();
    let limits = http.put(format!("{org}/__control/limits")).json(&json!({ "used": 100_000 }));
    assert_eq!(limits.send().await.unwrap().status(), 200);
    // The org says so at the next call, and people are told until when Sloe waits.
    let slug = demo.ready["orgs"][0]["slug"].as_str().unwrap().to_owned();
    let told = format!("{slug}: Sloe keeps to its share of the org's API calls (0 left)");
    sloe(directory.path(), &["event", "refresh", "--org", &slug]);
    let give_up = tokio::time::Instant::now() + std::time::Duration::from_secs(120);
    loop {
        let list = sloe(directory.path(), &["org", "list"]);
        if list.contains("100000 of 100000") && list.contains(&told) {
            break;
        }
        assert!(tokio::time::Instant::now() < give_up, "{list}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let store = format!("embedded:{}", directory.path().join("platform").display());
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_sloe"));
    let doctor = doctor.args(["doctor", "--store", &store]).output().unwrap();
    let told = String::from_utf8(doctor.stdout).unwrap();
    assert!(!doctor.status.success() && told.contains("!!  API budget"), "{told}");
    drop(demo);
    assert_eq!(Demo::start(directory.path()).events(), events);
}
