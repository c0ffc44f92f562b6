//! The main job from end to end, in a real browser: what an organizer edits in
//! the org is what a visitor sees, and whom a visitor registers is in the org.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::{Browser, Demo, Look};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_is_ready_with_every_event_of_both_orgs() {
    let demo = Demo::start().await;
    let phone = Browser::open(Look::PHONE).await;
    for slug in ["meridian", "harbor"] {
        let org = demo.org(slug);
        let public = "SELECT Slug__c FROM Sloe_Event__c WHERE Published__c = true";
        for event in org.query(public).await {
            let event = event["Slug__c"].as_str().unwrap();
            let known = demo.event(org.event(event)).await;
            phone.goto(&demo.url(&format!("/{slug}/{event}"))).await;
            assert_eq!(phone.text("h1").await, known["name"].as_str().unwrap());
        }
    }
    assert_eq!(phone.complaints().await, Vec::<String>::new());
}
