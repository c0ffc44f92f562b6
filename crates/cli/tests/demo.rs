//! `sloe demo` as a script drives it: ready means that everything is there,
//! also where an org can't be read at a second start.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;

use serde_json::json;
use support::{Demo, Org, eventually};

/// `org/event` of everything that it offers.
fn offered(demo: &Demo) -> BTreeSet<String> {
    demo.orgs().iter().flat_map(Org::events).collect()
}

#[tokio::test]
async fn a_demo_is_ready_with_every_published_event_also_when_an_org_can_not_be_read_again() {
    let demo = Demo::start_to_keep().await;
    let events = offered(&demo);
    for event in &events {
        let page = demo.client().get(demo.url(&format!("/{event}"))).send();
        assert_eq!(page.await.unwrap().status(), 200, "{event}");
    }
    for event in ["meridian/keynote-live", "meridian/systems-days", "harbor/harbor-gala"] {
        assert!(events.contains(event), "{event} is not in {events:?}");
    }
    // Which of them are published is for the orgs to say.
    for org in demo.orgs() {
        let published = org.count("Sloe_Event__c WHERE Published__c = TRUE").await;
        assert_eq!(published, org.events().count() as u64, "{}", org.slug);
    }
    // Nobody is needed, and it says so by how it ends.
    let told = demo.sloe(&["doctor"]);
    assert!(told.contains("meridian (00D") && told.contains("ok  connection"), "{told}");
    // All calls of the day are used, and the org remembers it.
    let org = &demo.orgs()[0];
    let used = demo.client().put(format!("{}/__control/limits", org.url));
    let used = used.json(&json!({ "used": 100_000 })).send().await.unwrap();
    assert_eq!(used.status(), 200);
    // The org says so at the next call, and people are told until when Sloe waits.
    let told = format!("{}: Sloe keeps to its share of the org's API calls (0 left)", org.slug);
    demo.sloe(&["event", "refresh", "--org", &org.slug]);
    eventually(async || {
        let list = demo.sloe(&["org", "list"]);
        let so = list.contains("100000 of 100000") && list.contains(&told);
        if so { Ok(()) } else { Err(list) }
    })
    .await;
    let (told, _) = demo.refused(&["doctor"]);
    assert!(told.contains("!!  API budget"), "{told}");
    let demo = demo.restart().await;
    assert_eq!(offered(&demo), events);
}
