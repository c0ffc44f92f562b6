//! `sloe demo` as a script drives it: ready means that everything is there,
//! also where an org can't be read at a second start.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::json;
use support::{Demo, eventually};

const ORGS: [&str; 2] = ["meridian", "harbor"];

/// `org/event` of everything that a demo offers.
fn events(demo: &Demo) -> BTreeSet<String> {
    let of = |slug: &str| demo.org(slug).events().map(|event| format!("{slug}/{event}")).collect();
    ORGS.into_iter().flat_map(|slug| -> Vec<String> { of(slug) }).collect()
}

/// An org tells of its changes by itself once it is asked to.
async fn follow_changes(demo: &Demo, slug: &str) {
    let pubsub = &demo.org(slug).pubsub;
    demo.sloe(&["org", "changes", slug, "--on", "--pubsub-url", pubsub]);
    eventually(async || {
        let told = demo.sloe(&["org", "changes", slug]);
        let all = told.matches("followed since").count() == 3 && !told.contains("not followed");
        if all { Ok(()) } else { Err(told) }
    })
    .await;
}

#[tokio::test]
async fn a_demo_is_ready_with_every_published_event_also_when_an_org_can_not_be_read_again() {
    let demo = Demo::start_to_keep().await;
    let offered = events(&demo);
    for event in &offered {
        let page = demo.client().get(demo.url(&format!("/{event}"))).send().await.unwrap();
        assert_eq!(page.status(), 200, "{event}");
    }
    for event in ["meridian/keynote-live", "meridian/systems-days", "harbor/harbor-gala"] {
        assert!(offered.contains(event), "{event} is not in {offered:?}");
    }
    // Which of them are published is for the orgs to say.
    for slug in ORGS {
        let org = demo.org(slug);
        let published = org.count("Sloe_Event__c WHERE Published__c = TRUE").await;
        assert_eq!(published, org.events().count() as u64, "{slug}");
    }
    follow_changes(&demo, "harbor").await;
    // Nobody is needed, and it says so by how it ends.
    let told = demo.sloe(&["doctor"]);
    assert!(told.contains("meridian (00D") && told.contains("ok  connection"), "{told}");
    // Whoever names the demo's own folder means the store in it.
    let mut named = Command::new(env!("CARGO_BIN_EXE_sloe"));
    let folder = format!("embedded:{}", demo.data().display());
    let named = named.args(["license", "why", "meridian", "--store", &folder]).output().unwrap();
    assert!(String::from_utf8_lossy(&named.stdout).starts_with("Live: "), "{named:?}");
    // A proxy of this machine's is not asked, least of all for what nobody else may know.
    let mut list = Command::new(env!("CARGO_BIN_EXE_sloe"));
    let store = format!("embedded:{}", demo.data().join("platform").display());
    list.args(["org", "list", "--store", &store]);
    let list = list.env("HTTP_PROXY", "http://127.0.0.1:9").env("http_proxy", "http://127.0.0.1:9");
    assert!(list.output().unwrap().status.success(), "the platform is found");
    // All calls of the day are used, and the org remembers it.
    let limits = format!("{}/__control/limits", demo.org("meridian").url);
    let limits = demo.client().put(limits).json(&json!({ "used": 100_000 }));
    assert_eq!(limits.send().await.unwrap().status(), 200);
    // The org says so at the next call, and people are told until when Sloe waits.
    let wanted = "meridian: The org's API calls are used up but for the part that Sloe leaves alone. \
                  Sloe looks again at 2";
    demo.sloe(&["event", "refresh", "--org", "meridian"]);
    eventually(async || {
        let list = demo.sloe(&["org", "list"]);
        let told = list.contains("100000 of 100000") && list.contains(wanted);
        let told = told && list.contains(" UTC at the latest.");
        if told { Ok(()) } else { Err(list) }
    })
    .await;
    let (told, _) = demo.refused(&["doctor"]);
    assert!(told.contains("!!  API budget"), "{told}");
    assert_eq!(events(&demo.restart().await), offered);
}
