//! `sloe demo` as a script drives it: ready means that everything is there,
//! also where an org can't be read at a second start.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::json;
use support::{Demo, eventually};

/// `org/event` of everything that a demo offers.
fn events(demo: &Demo) -> BTreeSet<String> {
    let of = |slug: &'static str| {
        demo.org(slug).events().map(move |event| format!("{slug}/{event}")).collect::<Vec<_>>()
    };
    ["meridian", "harbor"].into_iter().flat_map(of).collect()
}

#[tokio::test]
async fn a_demo_is_ready_with_every_published_event_also_when_an_org_can_not_be_read_again() {
    let demo = Demo::start_to_keep().await;
    let all = events(&demo);
    for event in &all {
        let page = demo.client().get(demo.url(&format!("/{event}"))).send().await.unwrap();
        assert_eq!(page.status(), 200, "{event}");
    }
    for event in ["meridian/keynote-live", "meridian/systems-days", "harbor/harbor-gala"] {
        assert!(all.contains(event), "{event} is not in {all:?}");
    }
    // Which of them are published is for the orgs to say.
    let mut published = 0;
    for slug in ["meridian", "harbor"] {
        published += demo.org(slug).count("Sloe_Event__c WHERE Published__c = TRUE").await;
    }
    assert_eq!(published, all.len() as u64);
    // Nobody is needed, and it says so by how it ends.
    let told = demo.sloe(&["doctor"]);
    assert!(told.contains("meridian (00D") && told.contains("ok  connection"), "{told}");
    // All calls of the day are used, and the org remembers it.
    let url = format!("{}/__control/limits", demo.org("meridian").url);
    let limits = demo.client().put(url).json(&json!({ "used": 100_000 }));
    assert_eq!(limits.send().await.unwrap().status(), 200);
    // The org says so at the next call, and people are told until when Sloe waits.
    let told = "meridian: Sloe keeps to its share of the org's API calls (0 left)";
    demo.sloe(&["event", "refresh", "--org", "meridian"]);
    eventually(async || {
        let list = demo.sloe(&["org", "list"]);
        let both = list.contains("100000 of 100000") && list.contains(told);
        if both { Ok(()) } else { Err(list) }
    })
    .await;
    let store = format!("embedded:{}", demo.data().join("platform").display());
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_sloe"));
    let doctor = doctor.args(["doctor", "--store", &store]).output().unwrap();
    let told = String::from_utf8(doctor.stdout).unwrap();
    assert!(!doctor.status.success() && told.contains("!!  API budget"), "{told}");
    assert_eq!(events(&demo.restart().await), all);
}
