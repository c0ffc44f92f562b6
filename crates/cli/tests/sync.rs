//! `sloe sync` as an operator types it, against a running demo.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{Demo, attendee, eventually};

const SLUG: &str = "meridian";
const EVENT: &str = "keynote-live";
const NAMED: &str = "Sloe_Attendee__c WHERE Last_Name__c = 'Byron-Sync'";

/// Registers somebody for the keynote.
async fn register(demo: &Demo) {
    let event = demo.org(SLUG).event(EVENT).to_owned();
    let item = demo.event(&event).await["items"][0]["id"].as_str().unwrap().to_owned();
    let ada = [attendee(&item, &[], ("Ada", "Byron-Sync"))];
    assert_eq!(demo.register(&event, &ada).await.0, 201);
}

/// How the org stands, once it stands so.
async fn status(demo: &Demo, so: impl Fn(&Value) -> bool) -> Value {
    eventually(async || {
        let told: Value =
            serde_json::from_str(&demo.sloe(&["sync", "status", SLUG, "--json"])).unwrap();
        let org = told["orgs"][0].clone();
        if so(&org) { Ok(org) } else { Err(org.to_string()) }
    })
    .await
}

#[tokio::test]
async fn an_operator_sees_how_far_an_org_is_compares_it_and_is_told_what_differs() {
    let demo = Demo::start_to_keep().await;
    let event = demo.org(SLUG).event(EVENT).to_owned();
    let before = demo.left(&event).await;
    register(&demo).await;
    status(&demo, |org| org["drained"] == true && org["dead_letters"] == 0).await;
    let org = demo.org(SLUG);
    assert_eq!(org.count(NAMED).await, 1);
    let told = demo.sloe(&["sync", "status"]);
    assert!(told.contains(SLUG) && told.contains("harbor"), "{told}");

    // Figures go once a minute: until they have gone nobody says that all is there.
    let well = |compared: &str| {
        compared.contains("The org holds what it was sent.")
            || compared.contains("What was compared is as it was sent.")
    };
    let compared = demo.sloe(&["sync", "verify", SLUG]);
    assert!(well(&compared), "{compared}");
    let cancelled = json!({ "Registration_Status__c": "Cancelled" });
    org.patch("Sloe_Attendee__c", &org.record(NAMED).await, &cancelled).await;
    let compared = demo.sloe(&["sync", "verify", SLUG]);
    // Unless the poll has seen it before.
    let seen = compared.contains("the org cancelled the registration");
    assert!(seen || well(&compared), "{compared}");
    eventually(async || {
        let now = demo.left(&event).await;
        if now == before { Ok(()) } else { Err(format!("{now:?} is not {before:?}")) }
    })
    .await;
    metrics_tell(&demo).await;
}

#[tokio::test]
async fn an_operator_reads_why_a_row_was_refused_and_sends_it_again() {
    let demo = Demo::start_to_keep().await;
    let org = demo.org(SLUG);
    nothing_to_replay(&demo);
    let poison = json!({
        "row_errors": { "STRING_TOO_LONG": 1.0 }, "objects": ["Sloe_Attendee__c"],
    });
    org.misbehave(&poison).await;
    register(&demo).await;
    status(&demo, |org| org["dead_letters"] == 1).await;
    let told = demo.sloe(&["sync", "status", SLUG]);
    assert!(told.contains("see sloe sync letters meridian"), "{told}");
    let letters = demo.sloe(&["sync", "letters", SLUG]);
    for part in ["attendee", "STRING_TOO_LONG", "longer than the field", "Who can: the admin."] {
        assert!(letters.contains(part), "{part:?} is not in\n{letters}");
    }
    let all: Value =
        serde_json::from_str(&demo.sloe(&["sync", "letters", SLUG, "--json"])).unwrap();
    let id = all["letters"][0]["id"].as_str().unwrap();
    // It is refused, not deleted: nothing to accept.
    let accepted = demo.sloe(&["sync", "accept", SLUG, id]);
    assert!(accepted.contains(&format!("{id} is none of the org's conflicts")), "{accepted}");
    assert_eq!(demo.sloe(&["sync", "accept", SLUG, "--all"]).trim(), "Nothing is accepted.");
    let again = demo.sloe(&["sync", "replay", SLUG, id]);
    assert!(again.contains("1 row is sent again"), "{again}");
    // In vain while the reason is there.
    eventually(async || {
        let told = demo.sloe(&["sync", "letters", SLUG, "--json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        let letter = &told["letters"][0];
        let tried = letter["tries"] == 2 && letter["replaying"] == false;
        if tried { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
    org.behave().await;
    let of_kind = ["--kind", "attendee", "--code", "STRING_TOO_LONG"];
    demo.sloe(&[&["sync", "replay", SLUG], &of_kind[..]].concat());
    status(&demo, |org| org["drained"] == true && org["dead_letters"] == 0).await;
    assert_eq!(org.count(NAMED).await, 1);
}

fn nothing_to_replay(demo: &Demo) {
    assert_eq!(demo.sloe(&["sync", "letters", SLUG]).trim(), "No letters.");
    let waiting = demo.sloe(&["sync", "letters", SLUG, "--waiting"]);
    assert_eq!(waiting.trim(), "No row waits to be sent again.");
    let replayed = demo.sloe(&["sync", "replay", SLUG, "nonsense-1"]);
    assert!(replayed.contains("nonsense-1 is none of the org's letters."), "{replayed}");
    assert_eq!(demo.sloe(&["sync", "replay", SLUG, "--all"]).trim(), "Nothing is sent again.");
    // Everything is meant only if it is said.
    demo.refused(&["sync", "replay", SLUG]);
    let (_, said) = demo.refused(&["sync", "letters", "nobody"]);
    assert!(said.contains("no org \"nobody\""), "{said}");
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
    let store = format!("embedded:{}", directory.path().join("platform").display());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sloe"));
    let done = command.args(["sync", "status", "--store", &store]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains("no platform runs on"), "{said}");
    // Nor is one begun by looking.
    for asked in [&["org", "list"][..], &["license", "why", "acme"], &["doctor"]] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sloe"));
        let done = command.args(asked).args(["--store", &store]).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && said.contains("there is no store in"), "{said}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
