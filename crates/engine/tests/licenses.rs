//! Licenses come from the source org, and the public never waits for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::org::until;
use common::source::{Source, connect, day, shared};
use common::{Clock, Place, event, org_id, person, place, raw, start_on};
use serde_json::json;
use sloe_core::ids::OrgId;
use sloe_core::license::Standing;
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::tenant::Profile;
use sloe_engine::worker::Settings;
use sloe_salesforce::{Credentials, Flow};
use sloe_store::api::Store;

const HOUR: i64 = 3_600_000;

fn node(place: &Place, clock: &Arc<Clock>, settings: Settings) -> Engine {
    start_on(Arc::clone(&place.store) as Arc<dyn Store>, shared(clock), Some(settings))
}

async fn live(engine: &Engine, org: OrgId, wanted: bool) {
    until("the license is known", async || engine.is_live(org) == wanted).await;
}

fn standing(engine: &Engine, org: OrgId) -> Option<Standing> {
    engine.licensed_org(org).answer.by.map(|(_, standing)| standing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_a_new_and_a_deleted_row_are_known_on_every_node() {
    let (source, place, clock) = (Source::start().await, place(), Arc::new(Clock::default()));
    let first = source.give(org_id(1), "Active").await;
    let nodes = [node(&place, &clock, source.settings()), node(&place, &clock, source.settings())];
    for engine in &nodes {
        live(engine, org_id(1), true).await;
        assert!(!engine.is_live(org_id(2)));
    }
    source.change(&first, json!({ "status": "Suspended" })).await;
    let second = source.give(org_id(2), "Trial").await;
    for engine in &nodes {
        live(engine, org_id(1), false).await;
        live(engine, org_id(2), true).await;
        assert_eq!(standing(engine, org_id(1)), Some(Standing::Suspended));
        let why = engine.licensed_org(org_id(2)).why();
        assert!(why.contains(&second) && why.contains("trial"), "{why}");
    }
    source.delete(&second).await;
    for engine in &nodes {
        live(engine, org_id(2), false).await;
        assert_eq!(standing(engine, org_id(2)), None);
        let why = engine.licensed_org(org_id(2)).why();
        assert!(why.contains(org_id(2).as_str()) && why.contains(org_id(2).short()), "{why}");
        assert_eq!(engine.license_source().troubles(), Vec::<String>::new());
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_rows_only_those_of_the_package_and_the_org_count() {
    let (source, place, clock) = (Source::start().await, place(), Arc::new(Clock::default()));
    let (org, sandbox) = (org_id(1), org_id(2));
    let old = source.give(org, "Suspended").await;
    let other = json!({ "org": org.short(), "status": "Active", "package": "Badge Printer" });
    source.install(other).await;
    let of_sandbox = json!({ "org": sandbox.short(), "status": "Active", "sandbox": true });
    source.install(of_sandbox).await;
    let engine = node(&place, &clock, source.settings());
    live(&engine, sandbox, true).await;
    assert!(!engine.is_live(org), "its sandbox and another package are licensed, it is not");
    assert_eq!(engine.licensed_org(org).rows.len(), 1);
    // A second row brings it up, and the first takes nothing away.
    let new = source.give(org, "Active").await;
    live(&engine, org, true).await;
    assert_eq!(engine.licensed_org(org).rows.len(), 2);
    assert!(engine.licensed_org(org).why().contains(&new));
    source.change(&new, json!({ "status": "Uninstalled" })).await;
    live(&engine, org, false).await;
    assert!(engine.licensed_org(org).why().contains(&old), "Suspended is told first");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_is_over_after_its_last_day() {
    let (source, place, clock) = (Source::start().await, place(), Arc::new(Clock::default()));
    let ends = day(&*clock, 3);
    let trial = json!({ "org": org_id(1).short(), "status": "Trial", "expiration": ends });
    let number = source.install(trial).await;
    let engine = node(&place, &clock, source.settings());
    live(&engine, org_id(1), true).await;
    clock.advance_days(4);
    live(&engine, org_id(1), false).await;
    assert_eq!(standing(&engine, org_id(1)), Some(Standing::Expired));
    assert!(engine.licensed_org(org_id(1)).why().contains(&ends));
    source.change(&number, json!({ "expiration": null })).await;
    live(&engine, org_id(1), true).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dark_source_org_leaves_what_is_known_warns_after_a_day_and_gives_a_week_of_grace() {
    let (source, place, clock) = (Source::start().await, place(), Arc::new(Clock::default()));
    source.give(org_id(1), "Active").await;
    source.give(org_id(2), "Suspended").await;
    let ends = day(&*clock, 2);
    let trial = json!({ "org": org_id(3).short(), "status": "Trial", "expiration": ends });
    source.install(trial).await;
    let engine = node(&place, &clock, source.settings());
    live(&engine, org_id(3), true).await;
    source.faults(json!({ "outage": true })).await;
    until("it is dark", async || engine.license_source().fault.is_some()).await;
    clock.advance(23 * HOUR);
    assert!(!engine.license_source().alarm());
    clock.advance(2 * HOUR);
    assert!(engine.license_source().alarm());
    let told = engine.license_source().troubles().join(" ");
    assert!(told.contains("25 hours ago") && told.contains("7 days' grace"), "{told}");
    assert!(engine.is_live(org_id(1)) && !engine.is_live(org_id(2)) && engine.is_live(org_id(3)));
    // The trial's last day passes in the dark.
    clock.advance_days(3);
    assert_eq!(standing(&engine, org_id(3)), Some(Standing::Grace));
    let until_told = engine.licensed_org(org_id(3)).answer.grace_until();
    assert!(until_told.is_some_and(|until| until > engine.now()), "{until_told:?}");
    clock.advance_days(7);
    assert!(!engine.is_live(org_id(3)) && engine.is_live(org_id(1)));
    assert_eq!(standing(&engine, org_id(3)), Some(Standing::Expired));
    source.faults(json!({})).await;
    until("it is read again", async || engine.license_source().fault.is_none()).await;
    assert!(!engine.license_source().alarm() && engine.license_source().troubles().is_empty());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grace_ends_as_soon_as_the_source_org_says_that_nothing_was_renewed() {
    let (source, place, clock) = (Source::start().await, place(), Arc::new(Clock::default()));
    let trial = |n, days| {
        let ends = day(&*clock, days);
        json!({ "org": org_id(n).short(), "status": "Trial", "expiration": ends })
    };
    source.install(trial(1, 1)).await;
    let renewed = source.install(trial(2, 1)).await;
    let engine = node(&place, &clock, source.settings());
    live(&engine, org_id(2), true).await;
    source.faults(json!({ "outage": true })).await;
    until("it is dark", async || engine.license_source().fault.is_some()).await;
    source.change(&renewed, json!({ "expiration": day(&*clock, 90) })).await;
    clock.advance_days(3);
    for org in [org_id(1), org_id(2)] {
        assert_eq!(standing(&engine, org), Some(Standing::Grace));
    }
    source.faults(json!({})).await;
    live(&engine, org_id(1), false).await;
    assert_eq!(standing(&engine, org_id(2)), Some(Standing::Trial));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_while_the_source_org_is_dark_knows_what_was_known() {
    let (source, place, clock) = (Source::start().await, place(), Arc::new(Clock::default()));
    source.give(org_id(1), "Active").await;
    let engine = node(&place, &clock, source.settings());
    live(&engine, org_id(1), true).await;
    let read_at = engine.license_source().read_at;
    assert!(read_at.is_some());
    engine.stop().await;
    let settings = source.settings();
    source.running.shutdown().await;
    clock.advance(30 * HOUR);
    let engine = node(&place, &clock, settings);
    assert!(engine.is_live(org_id(1)), "at once");
    until("it is dark", async || engine.license_source().fault.is_some()).await;
    let source = engine.license_source();
    assert!(source.alarm() && source.read_at >= read_at, "{source:?}");
    assert!(engine.licensed_org(org_id(1)).why().contains("30 hours ago"));
    engine.stop().await;
    // A tool beside the store says the same, and keeps a person from writing what would not last.
    let alone = start_on(Arc::clone(&place.store) as Arc<dyn Store>, shared(&clock), None);
    assert!(alone.is_live(org_id(1)) && alone.license_source().alarm());
    let refused = alone.set_licenses(org_id(1), &[]).unwrap_err().to_string();
    assert!(refused.contains("read from the source org http://127.0.0.1"), "{refused}");
    // Started without a source org, it is for people to say.
    let engine = node(&place, &clock, common::org::hasty(2_000));
    until("by hand", async || engine.license_source().source.is_none()).await;
    assert!(engine.is_live(org_id(1)));
    engine.set_licenses(org_id(1), &[]).unwrap();
    assert!(!engine.is_live(org_id(1)));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_and_a_wrong_package_take_nobody_down_and_are_told() {
    let (source, place, clock) = (Source::start().await, place(), Arc::new(Clock::default()));
    common::license(
        &start_on(Arc::clone(&place.store) as _, shared(&clock), None),
        &*place.store,
        org_id(1),
    );
    for (secret, package, told) in [
        ("wrong", common::source::PACKAGE, "login: refused with invalid_client"),
        ("secret", "033000000000009", "no license of this package"),
    ] {
        let engine = node(&place, &clock, source.settings_with(secret, package));
        until("it fails", async || {
            engine.license_source().fault.is_some_and(|fault| fault.contains(told))
        })
        .await;
        assert!(engine.is_live(org_id(1)), "what was recorded by hand stands");
        let troubles = engine.license_source().troubles().join(" ");
        assert!(troubles.contains("was never read"), "{troubles}");
        engine.stop().await;
    }
    // A row of its own, and the source org is believed.
    source.give(org_id(2), "Active").await;
    let engine = node(&place, &clock, source.settings());
    live(&engine, org_id(2), true).await;
    assert!(!engine.is_live(org_id(1)) && engine.license_source().fault.is_none());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_deleted_while_nobody_looked_is_found_by_the_comparison() {
    let (source, place, clock) = (Source::start().await, place(), Arc::new(Clock::default()));
    let only = source.give(org_id(1), "Active").await;
    let engine = node(&place, &clock, source.settings());
    live(&engine, org_id(1), true).await;
    engine.stop().await;
    source.delete(&only).await;
    // All rows that there were are gone: the bin tells that this is meant.
    let engine = node(&place, &clock, source.settings());
    live(&engine, org_id(1), false).await;
    assert_eq!(engine.license_source().rows, 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_registrations_cost_the_source_org_no_call() {
    let (source, place, clock) = (Source::start().await, place(), Arc::new(Clock::default()));
    source.give(org_id(1), "Active").await;
    let mut settings = source.settings();
    let licenses = settings.licenses.as_mut().unwrap();
    licenses.every = std::time::Duration::from_secs(3_600);
    let engine = node(&place, &clock, settings);
    connect(&engine, &*place.store, org_id(1), "acme");
    engine.apply_refresh(org_id(1), raw(1, "Event", Some(2_000), 1)).await.unwrap();
    live(&engine, org_id(1), true).await;
    let before = source.calls().await;
    let at = event(org_id(1));
    for n in 0..1_000 {
        let people = [person(&engine, at, n)];
        engine.register(at.public_id(), &RequestId::Fresh, &people).await.unwrap();
    }
    assert_eq!(engine.availability(at).await.unwrap().left, Some(1_000));
    assert_eq!(source.calls().await, before);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lapse_refuses_new_holds_and_leaves_open_holds_and_orders_alone() {
    let (source, place, clock) = (Source::start().await, place(), Arc::new(Clock::default()));
    let number = source.give(org_id(1), "Active").await;
    let engine = node(&place, &clock, source.settings());
    connect(&engine, &*place.store, org_id(1), "acme");
    engine.apply_refresh(org_id(1), raw(1, "Event", Some(50), 1)).await.unwrap();
    live(&engine, org_id(1), true).await;
    let at = event(org_id(1));
    let (choice, input) = person(&engine, at, 1);
    let hold = async || {
        engine.hold(at.public_id(), &RequestId::Fresh, std::slice::from_ref(&choice)).await
    };
    let open = hold().await.unwrap();
    source.change(&number, json!({ "status": "Suspended" })).await;
    live(&engine, org_id(1), false).await;
    assert_eq!(hold().await.unwrap_err(), Denied::LicenseInactive);
    let order = engine.confirm(&open.token, &RequestId::Fresh, &[input], None).await.unwrap();
    assert!(engine.order_by_token(&order.token).await.is_ok());
    assert!(engine.cancel(&order.token, None).await.is_ok());
    source.change(&number, json!({ "status": "Active" })).await;
    live(&engine, org_id(1), true).await;
    assert!(hold().await.is_ok());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_org_s_allowance_is_used_in_part_only() {
    let source = Source::with("127.0.0.1:0".parse().unwrap(), Some(200), None).await;
    let (place, clock) = (place(), Arc::new(Clock::default()));
    source.give(org_id(1), "Active").await;
    let engine = node(&place, &clock, source.settings());
    live(&engine, org_id(1), true).await;
    let looks = || engine.runs().get("license-source").map_or(0, |run| run.count);
    let begun = looks();
    until("it has looked often", async || {
        clock.advance(2_000);
        looks() >= begun + 20
    })
    .await;
    // Three quarters of Sloe's share of 30 calls, and a look would have used one each time.
    let used = source.used().await;
    assert!((2..=16).contains(&used), "{used}");
    let fault = engine.license_source().fault;
    assert!(fault.is_none_or(|fault| fault.contains("share of that org's API calls")));
    assert!(engine.is_live(org_id(1)));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_org_that_is_connected_too_has_one_share_of_its_allowance_for_sloe() {
    let (source, place, clock) = (Source::start().await, place(), Arc::new(Clock::default()));
    let id = OrgId::parse(&source.running.org_id()).unwrap();
    source.give(id, "Active").await;
    let alone = start_on(Arc::clone(&place.store) as _, shared(&clock), None);
    let flow = Flow::ClientCredentials {
        client_id: "client".to_owned(),
        client_secret: "secret".to_owned().into(),
    };
    let credentials = Credentials { login_url: source.running.url(), flow };
    let profile = Profile { slug: "vendor".into(), name: "Vendor".into(), ..Profile::default() };
    alone.registry().connect(&*place.store, id, profile, credentials).unwrap();
    alone.stop().await;
    let engine = node(&place, &clock, source.settings());
    live(&engine, id, true).await;
    until("events and licenses are read, and every call is counted in one place", async || {
        let ours = engine.calls(id).await.unwrap().ours;
        let used = source.used().await;
        used >= 4 && !engine.refreshes(id).is_empty() && ours == used
    })
    .await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_source_org_hangs_hears_what_another_node_read() {
    let (source, place, clock) = (Source::start().await, place(), Arc::new(Clock::default()));
    let hanging = Source::start().await;
    hanging.faults(json!({ "stall": true })).await;
    let mut patient = hanging.settings();
    patient.salesforce.deadline = std::time::Duration::from_secs(3_600);
    let waits = node(&place, &clock, patient);
    let number = source.give(org_id(1), "Active").await;
    let reads = node(&place, &clock, source.settings());
    live(&waits, org_id(1), true).await;
    source.change(&number, json!({ "status": "Suspended" })).await;
    live(&waits, org_id(1), false).await;
    for engine in [reads, waits] {
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_rows_than_an_answer_holds_are_read_page_by_page() {
    let many = r#"
[[record]]
object = "sfLma__Package__c"
ref = "own"
[record.fields]
Name = "Many"

[[record]]
object = "sfLma__License__c"
times = 4100
[record.fields]
sfLma__Package__c = "$own"
sfLma__Subscriber_Org_ID__c = ORGS
sfLma__License_Status__c = "Active"
"#;
    let orgs = |n: usize| format!("\"00D{n:012}\"");
    let orgs = (0..4_100).map(orgs).collect::<Vec<_>>().join(", ");
    let many = many.replace("ORGS", &format!("[{orgs}]"));
    let source = Source::seeded(&many).await;
    let (place, clock) = (place(), Arc::new(Clock::default()));
    let engine = node(&place, &clock, source.settings_with("secret", "Many"));
    until("all are read", async || engine.license_source().rows == 4_100).await;
    let last = OrgId::parse("00D000000004099").unwrap();
    assert!(engine.is_live(last));
    // All were made within the overlap, so the changes have three pages too.
    let rows = source.numbers().await;
    source.change(&rows[4_099], json!({ "status": "Suspended" })).await;
    source.change(&rows[0], json!({ "status": "Suspended" })).await;
    live(&engine, last, false).await;
    live(&engine, OrgId::parse("00D000000000000").unwrap(), false).await;
    assert_eq!(engine.license_source().rows, 4_100);
    engine.stop().await;
}
