//! `sloe sync` as an operator types it, against a running demo.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::{Demo, attendee, eventually};

const OURS: &str = "Sloe_Attendee__c WHERE Last_Name__c = 'Byron-Sync'";

fn run(data: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
    let store = format!("embedded:{}", data.join("platform").display());
    command.arg("sync").args(args).args(["--store", &store]).output().unwrap()
}

/// What `sloe sync` prints.
fn sync(data: &Path, args: &[&str]) -> String {
    let done = run(data, args);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test]
async fn an_operator_sees_how_far_an_org_is_compares_it_and_is_told_what_differs() {
    let demo = Demo::start_to_keep().await;
    let (data, slug) = (demo.data(), "meridian");
    let org = demo.org(slug);
    let event = org.event("keynote-live");
    let before = demo.left(event).await;
    let item = demo.event(event).await["items"][0]["id"].as_str().unwrap().to_owned();
    let ada = attendee(&item, &[], ("Ada", "Byron-Sync"));
    assert_eq!(demo.register(event, &[ada]).await.0, 201);
    eventually(async || match org.count(OURS).await {
        1 => Ok(()),
        other => Err(format!("{other} attendees in the org")),
    })
    .await;
    eventually(async || {
        let told = sync(&data, &["status", slug, "--json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        let org = &told["orgs"][0];
        let done = org["drained"] == true && org["dead_letters"] == 0;
        if done { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
    let status = sync(&data, &["status"]);
    assert!(status.contains(slug) && status.contains("harbor"), "{status}");

    let compared = sync(&data, &["verify", slug]);
    assert!(compared.contains("The org holds what it was sent."), "{compared}");
    let cancelled = json!({ "Registration_Status__c": "Cancelled" });
    org.patch("Sloe_Attendee__c", &org.record(OURS).await, &cancelled).await;
    let compared = sync(&data, &["verify", slug]);
    // Unless the poll has seen it before.
    let seen = compared.contains("the org cancelled the registration");
    assert!(seen || compared.contains("The org holds what it was sent."), "{compared}");
    eventually(async || {
        let now = demo.left(event).await;
        if now == before { Ok(()) } else { Err(format!("{now:?} is not {before:?}")) }
    })
    .await;

    nothing_to_replay(&data, slug);
    metrics_tell(&demo).await;
}

fn nothing_to_replay(data: &Path, slug: &str) {
    assert_eq!(sync(data, &["letters", slug]).trim(), "No letters.");
    let waiting = sync(data, &["letters", slug, "--waiting"]);
    assert_eq!(waiting.trim(), "No row waits to be sent again.");
    let replayed = sync(data, &["replay", slug, "nonsense-1"]);
    assert!(replayed.contains("nonsense-1 is none of the org's letters."), "{replayed}");
    assert_eq!(sync(data, &["replay", slug, "--all"]).trim(), "0 rows are sent again.");
    // Everything is meant only if it is said.
    assert!(!run(data, &["replay", slug]).status.success());
    let unknown = run(data, &["letters", "nobody"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && said.contains("no org \"nobody\""), "{said}");
}

async fn metrics_tell(demo: &Demo) {
    let asked = demo.client().get(demo.url("/metrics")).bearer_auth(demo.token());
    let metrics = asked.send().await.unwrap().text().await.unwrap();
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
