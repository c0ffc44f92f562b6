//! Change events as a subscriber to the Pub/Sub API meets them.

mod faults;
mod subscriber;

use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::Method;
use serde_json::{Value as Json, json};
use sloe_sim::org::Options;
use tonic::Code;

use self::subscriber::{Field, Subscriber, error_code, open, open_in, subscribe, told};
use crate::client::{EVENT, Org, options};
use crate::restart::left_behind;

const ALL: &str = "/data/ChangeEvents";
const EVENTS: &str = "/data/Sloe_Event__ChangeEvent";

/// Sets knobs; they must be good.
async fn knobs(org: &Org, knobs: Json) -> Json {
    let (status, body) = org.send(Method::PUT, "/__control/events", knobs).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn rename(org: &Org, name: &str) {
    let body = json!({ "Name": name });
    let (status, body) = org.patch(&format!("/sobjects/Sloe_Event__c/{EVENT}"), body).await;
    assert_eq!(status, 204, "{body}");
}

#[tokio::test]
async fn every_kind_of_change_is_told_with_what_changed_and_by_whom() {
    let org = open().await;
    let mut all = subscribe(&org, ALL, Subscriber::latest(100)).await;
    let item = json!({ "Name": "Late pass", "Event__c": EVENT, "Quantity__c": 5 });
    let (_, made) = org.post("/sobjects/Sloe_Item__c", item).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("/sobjects/Sloe_Item__c/{id}");
    let change = json!({ "Quantity__c": null, "Name": "Last pass" });
    let request = org.request(Method::PATCH, &path).json(&change);
    request.header("Sforce-Call-Options", "client=sloe").send().await.unwrap();
    org.delete(&path).await;
    let events = all.events(3).await;
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["CREATE", "UPDATE", "DELETE"]);
    assert!(events.iter().all(|event| event.entity == "Sloe_Item__c" && event.records == [id]));
    let [create, update, delete] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(create.body["Quantity__c"], Field::Number(5.0));
    assert_eq!(create.body["Event__c"], Field::Text(format!("{EVENT}AAA")));
    assert_eq!(create.origin, "com/salesforce/api/rest/62.0");
    assert_eq!(update.origin, "com/salesforce/api/rest/62.0;client=sloe");
    assert!(update.changed.contains(&"Name".to_owned()), "{update:?}");
    assert_eq!(update.nulled, ["Quantity__c"]);
    assert_eq!(update.body["Name"], Field::Text("Last pass".to_owned()));
    assert!(!update.body.contains_key("Event__c"), "unchanged fields stay out: {update:?}");
    assert!(delete.body.is_empty(), "{delete:?}");
    let ids: Vec<u64> = events.iter().map(|event| event.replay).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    org.running.shutdown().await;
}

#[tokio::test]
async fn of_a_long_text_only_the_difference_is_told_and_in_what_field() {
    let org = open().await;
    let mut events = subscribe(&org, EVENTS, Subscriber::latest(100)).await;
    let lines: Vec<String> =
        (0..50).map(|n| format!("Paragraph {n} of a description of some length.")).collect();
    let old = lines.join("\n");
    let new = old.replace("Paragraph 7 ", "Chapter 7 ");
    for text in [&old, &new, &"Short.".to_owned()] {
        let body = json!({ "Description__c": text });
        org.patch(&format!("/sobjects/Sloe_Event__c/{EVENT}"), body).await;
    }
    let told = events.events(3).await;
    let texts: Vec<&Field> = told.iter().map(|event| &event.body["Description__c"]).collect();
    assert_eq!((&told[0].differ, texts[0]), (&Vec::new(), &Field::Text(old)));
    assert_eq!(told[1].differ, ["Description__c"]);
    assert!(told[1].changed.contains(&"Description__c".to_owned()), "{:?}", told[1]);
    let Field::Text(difference) = texts[1] else { panic!("{texts:?}") };
    let end = "@@ -8,1 +8,1 @@\n-Paragraph 7 of a description of some length.\n+Chapter 7 of a \
               description of some length.\n";
    assert!(difference.starts_with("--- \n+++ ") && difference.ends_with(end), "{difference}");
    assert_eq!((&told[2].differ, texts[2]), (&Vec::new(), &Field::Text("Short.".to_owned())));
    org.running.shutdown().await;
}

#[tokio::test]
async fn the_page_bulk_jobs_and_collections_are_told_of_alike() {
    let org = open().await;
    let mut items = subscribe(&org, "/data/Sloe_Item__ChangeEvent", Subscriber::latest(100)).await;
    let form = [("Name", "From the page"), ("Event__c", EVENT)];
    let url = format!("{}/o/Sloe_Item__c/new", org.running.url());
    org.http.post(url).form(&form).send().await.unwrap();
    let page = items.events(1).await;
    assert_eq!((page[0].kind.as_str(), page[0].origin.as_str()), ("CREATE", ""));
    let record = |name: &str| json!({ "attributes": { "type": "Sloe_Item__c" }, "Name": name, "Event__c": EVENT });
    let body = json!({ "records": [record("One"), record("Two")] });
    let (_, made) = org.post("/composite/sobjects", body).await;
    let ids: Vec<&str> =
        made.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    let made = items.events(2).await;
    assert_eq!((made[0].sequence, made[1].sequence), (1, 2));
    assert_eq!(made[0].transaction, made[1].transaction);
    // The same change of several records in one transaction is one event.
    let change =
        |id: &str| json!({ "attributes": { "type": "Sloe_Item__c" }, "id": id, "Quantity__c": 7 });
    let body = json!({ "records": ids.iter().map(|id| change(id)).collect::<Vec<_>>() });
    org.patch("/composite/sobjects", body).await;
    let merged = items.events(1).await;
    assert_eq!(merged[0].records, ids);
    let job = json!({ "object": "Sloe_Item__c", "operation": "update" });
    let job = crate::bulk::open(&org, job).await;
    crate::bulk::upload(&org, &job, format!("Id,Name\n{},Bulk\n", ids[0])).await;
    crate::bulk::finish(&org, &job).await;
    let bulk = items.events(1).await;
    assert_eq!(bulk[0].origin, "com/salesforce/api/bulkapi/62.0");
    assert_eq!(bulk[0].body["Name"], Field::Text("Bulk".to_owned()));
    org.running.shutdown().await;
}

#[tokio::test]
async fn a_subscriber_gets_as_many_as_it_asks_for_and_an_empty_answer_while_it_waits() {
    let org = open().await;
    knobs(&org, json!({ "keepalive_ms": 20 })).await;
    let mut two = subscribe(&org, EVENTS, Subscriber::latest(2)).await;
    for n in 0..3 {
        rename(&org, &format!("Name {n}")).await;
    }
    assert_eq!(two.events(2).await.len(), 2);
    assert_eq!(two.pending, 0);
    two.ask(EVENTS, 5).await;
    assert_eq!(two.events(1).await.len(), 1);
    assert_eq!(two.pending, 4);
    let empty = two.answer().await.unwrap();
    assert!(empty.events.is_empty());
    assert_eq!(empty.pending_num_requested, 4);
    assert_eq!(empty.latest_replay_id.len(), 8);
    // Never more than a hundred at once.
    two.ask(EVENTS, 99).await;
    while two.pending < 100 {
        two.answer().await.unwrap();
    }
    assert_eq!(two.pending, 100);
    two.ask("/data/ChangeEvents", 1).await;
    let status = two.failure().await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    org.running.shutdown().await;
}

#[tokio::test]
async fn one_who_asks_for_nothing_is_cut_off() {
    let org = open().await;
    knobs(&org, json!({ "idle_ms": 1 })).await;
    let mut one = subscribe(&org, EVENTS, Subscriber::latest(1)).await;
    rename(&org, "News").await;
    one.events(1).await;
    assert_eq!(one.failure().await.code(), Code::DeadlineExceeded);
    org.running.shutdown().await;
}

#[tokio::test]
async fn a_subscription_goes_on_after_its_replay_id_also_after_the_org_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let org = open_in(Some(directory.path().to_owned())).await;
    for name in ["One", "Two", "Three"] {
        rename(&org, name).await;
    }
    let names = |events: &[subscriber::Told]| -> Vec<Field> {
        events.iter().map(|event| event.body["Name"].clone()).collect()
    };
    let text = |name: &str| Field::Text(name.to_owned());
    let mut all = subscribe(&org, ALL, Subscriber::earliest(100)).await;
    let events = all.events(3).await;
    assert_eq!(names(&events), ["One", "Two", "Three"].map(text));
    let first = events[0].replay;
    let mut rest = subscribe(&org, ALL, Subscriber::after(first, 100)).await;
    assert_eq!(names(&rest.events(2).await), ["Two", "Three"].map(text));
    // What a killed org leaves behind, in the middle of its life.
    let left = left_behind(directory.path());
    let again = open_in(Some(left.path().to_owned())).await;
    rename(&again, "Four").await;
    let mut rest = subscribe(&again, EVENTS, Subscriber::after(first, 100)).await;
    let later = rest.events(3).await;
    assert_eq!(names(&later), ["Two", "Three", "Four"].map(text));
    assert!(later[2].replay > events[2].replay, "ids grow over a restart");
    again.running.shutdown().await;
    // And what a clean stop leaves, whose log was rewritten.
    org.running.shutdown().await;
    let org = open_in(Some(directory.path().to_owned())).await;
    let mut rest = subscribe(&org, ALL, Subscriber::after(first, 100)).await;
    assert_eq!(names(&rest.events(2).await), ["Two", "Three"].map(text));
    org.running.shutdown().await;
}

#[tokio::test]
async fn a_replay_id_that_is_not_kept_or_is_none_is_refused() {
    let org = open().await;
    rename(&org, "One").await;
    let replay = {
        let mut all = subscribe(&org, ALL, Subscriber::earliest(1)).await;
        all.events(1).await[0].replay
    };
    rename(&org, "Two").await;
    let (_, shown) = org.delete("/__control/events").await;
    assert_eq!(shown["kept"], 0);
    let failed = "subscription.fetch.replayid.validation.failed";
    for (start, code) in [
        (Subscriber::after(replay, 1), failed),
        (Subscriber::after(u64::MAX, 1), failed),
        (
            Subscriber { replay_id: vec![1, 2, 3], ..Subscriber::after(0, 1) },
            "subscription.fetch.replayid.corrupted",
        ),
    ] {
        let status = subscribe(&org, ALL, start).await.failure().await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(error_code(&status), Some(code));
        assert!(status.metadata().get("rpc-id").is_some());
    }
    // Earliest always works, and says where it stands.
    let mut all = subscribe(&org, ALL, Subscriber::earliest(1)).await;
    rename(&org, "Three").await;
    assert_eq!(all.events(1).await[0].body["Name"], Field::Text("Three".to_owned()));
    // Events end with their retention.
    knobs(&org, json!({ "retention_ms": 0 })).await;
    rename(&org, "Four").await;
    let late = subscribe(&org, ALL, Subscriber::after(replay + 1, 1)).await.failure().await;
    assert_eq!(error_code(&late), Some(failed));
    org.running.shutdown().await;
}

#[tokio::test]
async fn who_has_no_session_of_this_org_gets_nothing_and_loses_what_it_has() {
    let org = open().await;
    knobs(&org, json!({ "keepalive_ms": 20 })).await;
    let other = "00D000000000001AAA".to_owned();
    for (token, url, tenant) in [
        ("nonsense".to_owned(), org.running.url(), org.running.org_id()),
        (org.token.clone(), "https://elsewhere.example".to_owned(), org.running.org_id()),
        (org.token.clone(), org.running.url(), other),
    ] {
        let status =
            subscriber::call(&org, ALL, Subscriber::latest(1), [&token, &url, &tenant]).await;
        let status = status.err().unwrap();
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_eq!(error_code(&status), Some("service.auth.error"));
    }
    let mut all = subscribe(&org, ALL, Subscriber::latest(1)).await;
    org.send(Method::DELETE, "/__control/tokens", Json::Null).await;
    assert_eq!(error_code(&all.failure().await), Some("service.auth.error"));
    org.running.shutdown().await;
}

#[tokio::test]
async fn places_and_deliveries_are_counted_and_end() {
    let org = open().await;
    let shown = knobs(&org, json!({ "subscribers": 1, "daily": 2 })).await;
    assert_eq!(shown["subscribed"], 0);
    let mut one = subscribe(&org, ALL, Subscriber::latest(100)).await;
    rename(&org, "One").await;
    one.events(1).await;
    let status = subscribe(&org, ALL, Subscriber::latest(1)).await.failure().await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(error_code(&status), Some("concurrent.client.limit.exceeded"));
    rename(&org, "Two").await;
    one.events(1).await;
    let (_, limits) = org.get("/limits").await;
    assert_eq!(limits["DailyDeliveredPlatformEvents"], json!({ "Max": 2, "Remaining": 0 }));
    rename(&org, "Three").await;
    assert_eq!(error_code(&one.failure().await), Some("subscription.limit.exceeded"));
    knobs(&org, json!({ "delivered": 0 })).await;
    let mut one = subscribe(&org, ALL, Subscriber::earliest(100)).await;
    one.events(1).await;
    org.running.shutdown().await;
}

#[tokio::test]
async fn topics_carry_what_is_selected_for_them_and_five_objects_at_most() {
    let org = open().await;
    knobs(&org, json!({ "selected": ["Sloe_Event__c"], "channels": { "Sloe__chn": ["Contact"] } }))
        .await;
    let mut events = subscribe(&org, ALL, Subscriber::latest(100)).await;
    let mut people = subscribe(&org, "/data/Sloe__chn", Subscriber::latest(100)).await;
    let mut items = subscribe(&org, "/data/Sloe_Item__ChangeEvent", Subscriber::latest(100)).await;
    org.post("/sobjects/Contact", json!({ "LastName": "Doe" })).await;
    org.post("/sobjects/Sloe_Item__c", json!({ "Name": "Unseen", "Event__c": EVENT })).await;
    rename(&org, "Seen").await;
    assert_eq!(events.events(1).await[0].entity, "Sloe_Event__c");
    assert_eq!(people.events(1).await[0].entity, "Contact");
    knobs(&org, json!({ "selected": ["Sloe_Item__c"] })).await;
    org.post("/sobjects/Sloe_Item__c", json!({ "Name": "Seen", "Event__c": EVENT })).await;
    assert_eq!(items.events(1).await[0].body["Name"], Field::Text("Seen".to_owned()));
    let six = json!({ "selected": ["User", "Contact", "Lead", "Sloe_Event__c", "Sloe_Item__c", "Sloe_Session__c"] });
    let (status, body) = org.send(Method::PUT, "/__control/events", six).await;
    assert_eq!(status, 422);
    assert!(body["error"].as_str().unwrap().contains("may select 5"), "{body}");
    for unknown in ["/data/NopeChangeEvent", "/event/Nope__e"] {
        let status = subscribe(&org, unknown, Subscriber::latest(1)).await.failure().await;
        assert_eq!(status.code(), Code::NotFound);
    }
    org.running.shutdown().await;
}

#[tokio::test]
async fn gaps_repeats_and_another_order_are_had_for_the_asking() {
    let org = open().await;
    knobs(&org, json!({ "gap_rate": 1.0 })).await;
    rename(&org, "Gap").await;
    knobs(&org, json!({ "gap_rate": 0.0 })).await;
    org.post("/__control/events/overflow", json!({ "object": "Sloe_Event__c" })).await;
    rename(&org, "Last").await;
    let mut all = subscribe(&org, ALL, Subscriber::earliest(100)).await;
    let events = all.events(3).await;
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["GAP_UPDATE", "GAP_OVERFLOW", "UPDATE"]);
    assert!(events[0].body.is_empty() && events[0].changed.is_empty());
    assert!(events[1].records[0].ends_with('*'), "{events:?}");
    knobs(&org, json!({ "duplicate_rate": 1.0, "reorder": true })).await;
    let mut all = subscribe(&org, ALL, Subscriber::earliest(100)).await;
    let events = all.events(6).await;
    let ids: Vec<u64> = events.iter().map(|event| event.replay).collect();
    assert!(ids.windows(2).all(|two| two[0] >= two[1]), "{ids:?}");
    assert_eq!((ids[0], ids[2]), (ids[1], ids[3]));
    org.running.shutdown().await;
}

#[tokio::test]
async fn an_outage_and_a_cut_end_subscriptions_and_the_page_shows_what_there_was() {
    let org = open().await;
    let mut all = subscribe(&org, ALL, Subscriber::latest(100)).await;
    rename(&org, "Shown").await;
    all.events(1).await;
    org.post("/__control/events/cut", Json::Null).await;
    assert_eq!(all.failure().await.message(), "RST_STREAM closed stream");
    let mut all = subscribe(&org, ALL, Subscriber::latest(100)).await;
    let outage = json!({ "outage": true, "kinds": ["pubsub"] });
    org.send(Method::PUT, "/__control/faults", outage).await;
    assert_eq!(error_code(&all.failure().await), Some("service.unavailable"));
    org.delete("/__control/faults").await;
    let mut all = subscribe(&org, ALL, Subscriber::latest(100)).await;
    org.send(Method::PUT, "/__control/maintenance", json!({})).await;
    assert_eq!(error_code(&all.failure().await), Some("service.unavailable"));
    let url = format!("{}/events", org.running.url());
    let page = org.http.get(url).send().await.unwrap().text().await.unwrap();
    for word in ["UPDATE", "Sloe_Event__c", EVENT, "com/salesforce/api/rest/62.0"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    org.running.shutdown().await;
}

static NOW: AtomicI64 = AtomicI64::new(1_795_000_000);

fn set_clock() -> jiff::Timestamp {
    jiff::Timestamp::from_second(NOW.load(Ordering::Relaxed)).unwrap()
}

#[tokio::test]
async fn a_planned_maintenance_window_ends_subscriptions_when_it_begins() {
    let org = subscriber::open_with(Options { now: set_clock, ..options() }).await;
    let from = set_clock() + jiff::SignedDuration::from_hours(1);
    let window = json!({ "from": from.to_string() });
    org.send(Method::PUT, "/__control/maintenance", window).await;
    let mut all = subscribe(&org, ALL, Subscriber::latest(100)).await;
    rename(&org, "Before").await;
    all.events(1).await;
    NOW.fetch_add(3600, Ordering::Relaxed);
    assert_eq!(error_code(&all.failure().await), Some("service.unavailable"));
    org.running.shutdown().await;
}

#[tokio::test]
async fn the_api_is_encrypted_where_the_org_is() {
    let org = subscriber::open_secure().await;
    let url = org.running.pubsub_url().unwrap();
    assert!(url.starts_with("https://"), "{url}");
    let mut all = subscribe(&org, ALL, Subscriber::latest(100)).await;
    rename(&org, "Secret").await;
    assert_eq!(told(&all.events(1).await), [("UPDATE", "Sloe_Event__c")]);
    org.running.shutdown().await;
}
