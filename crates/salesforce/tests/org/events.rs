//! Events as read: one by one and the whole org.

use serde_json::{Value as Json, json};
use sloe_core::inbound::{Field, Value};
use sloe_core::time::Timestamp;
use sloe_salesforce::{Advice, Error, Options};

use crate::fake::{Fake, Reply, Seen, id, quick};

const EVENT: &str = "a00000000000001AAA";
const ITEM: &str = "a01000000000001AAA";
const SESSION: &str = "a02000000000001AAA";
const DATE: &str = "Mon, 23 Nov 2026 14:49:00 GMT";
const EMPTY: &[Json] = &[];

fn page(records: &[Json]) -> Json {
    json!({ "totalSize": records.len(), "done": true, "records": records })
}

fn event(at: &str) -> Json {
    json!({
        "attributes": { "type": "Sloe_Event__c" },
        "Id": at,
        "Name": "Rust in Łódź",
        "Capacity__c": 120.0,
        "Published__c": true,
        "Slug__c": null,
        "Starts_At__c": "2026-12-01T09:00:00.000+0000",
        "Items__r": page(&[json!({ "Id": ITEM, "Name": "Standard", "Price__c": 12.5 })]),
        "Sessions__r": null,
    })
}

/// The usual composite answer: the parts in their order.
fn composite(parts: &[Json]) -> Reply {
    let response: Vec<Json> = parts
        .iter()
        .map(|body| json!({ "body": body, "httpStatusCode": 200, "httpHeaders": {}, "referenceId": "r" }))
        .collect();
    Reply::json(&json!({ "compositeResponse": response })).with("date", DATE)
}

fn grouped(event: &str, item: Option<&str>, total: u32) -> Json {
    json!({ "attributes": { "type": "AggregateResult" }, "Event__c": event, "Item__c": item, "total": total })
}

#[tokio::test]
async fn an_event_comes_with_everything_in_one_call() {
    let fake = Fake::start(|_| {
        let mut record = event(EVENT);
        record["Sessions__r"] = page(&[json!({ "Id": SESSION, "Name": "Keynote" })]);
        composite(&[
            page(&[record]),
            page(&[grouped(EVENT, Some(ITEM), 4), grouped(EVENT, None, 2)]),
            page(&[json!({ "Session__c": SESSION, "total": 3 })]),
            page(&[json!({ "Event__c": EVENT, "Sloe_Id__c": "k1" })]),
        ])
    })
    .await;
    let since = Timestamp::parse("2026-11-20T00:00:00Z");
    let read = fake.org().fetch_event(id(EVENT), since).await.unwrap().unwrap();
    assert_eq!(read.event.id, id(EVENT));
    let field = |name| read.event.fields.get(&name).cloned();
    assert_eq!(field(Field::Name), Some(Value::Text("Rust in Łódź".into())));
    assert_eq!(field(Field::Limit), Some(Value::Number(120.0)));
    assert_eq!(field(Field::Published), Some(Value::Bool(true)));
    assert_eq!(field(Field::Slug), Some(Value::Null));
    assert_eq!(read.items[0].fields.get(&Field::Price), Some(&Value::Number(12.5)));
    assert_eq!(read.sessions[0].id, id(SESSION));
    assert_eq!(read.external_total, 6);
    assert_eq!(read.external_by_item, [(id(ITEM), 4)]);
    assert_eq!(read.external_by_session, [(id(SESSION), 3)]);
    assert_eq!(read.cancelled, ["k1"]);
    assert_eq!(Some(read.as_of), Timestamp::parse("2026-11-23T14:49:00Z"));

    let calls = fake.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (calls[0].method.as_str(), calls[0].path.as_str()),
        ("POST", "/services/data/v62.0/composite")
    );
    let parts = calls[0].json()["compositeRequest"].as_array().unwrap().clone();
    assert_eq!(parts.len(), 4, "at most five of a composite may be queries");
    let last = parts[3]["url"].as_str().unwrap();
    assert!(last.starts_with("/services/data/v62.0/queryAll?q=SELECT+"), "{last}");
    assert!(last.contains("SystemModstamp+%3E%3D+2026-11-20T00%3A00%3A00Z"), "{last}");
}

#[tokio::test]
async fn an_event_that_the_org_does_not_have_is_none() {
    let fake =
        Fake::start(|_| composite(&[page(EMPTY), page(EMPTY), page(EMPTY), page(EMPTY)])).await;
    assert_eq!(fake.org().fetch_event(id(EVENT), None).await.unwrap(), None);
}

#[tokio::test]
async fn children_and_cancellations_beyond_a_page_are_read_on() {
    let more = "/services/data/v62.0/query/01g000000000001AAA-2000";
    let fake = Fake::start(move |seen: &Seen| {
        if seen.path == more {
            return Reply::json(&page(&[json!({ "Id": "a01000000000002AAA", "Name": "Late" })]));
        }
        if seen.path.ends_with("-9") {
            return Reply::json(&page(&[json!({ "Event__c": EVENT, "Sloe_Id__c": "k2" })]));
        }
        let mut record = event(EVENT);
        record["Items__r"]["done"] = json!(false);
        record["Items__r"]["nextRecordsUrl"] = json!(more);
        let cancelled = json!({
            "done": false, "nextRecordsUrl": "/services/data/v62.0/query/01g000000000002AAA-9",
            "records": [{ "Event__c": EVENT, "Sloe_Id__c": "k1" }],
        });
        composite(&[page(&[record]), page(EMPTY), page(EMPTY), cancelled])
    })
    .await;
    let read = fake.org().fetch_event(id(EVENT), None).await.unwrap().unwrap();
    assert_eq!(read.items.len(), 2);
    assert_eq!(read.cancelled, ["k1", "k2"]);
    assert_eq!(fake.calls().len(), 3);
}

#[tokio::test]
async fn a_part_that_fails_fails_the_event_with_its_own_code() {
    let fake = Fake::start(|_| {
        let error =
            json!([{ "errorCode": "INVALID_FIELD", "message": "No such column 'Slug__c'" }]);
        Reply::json(&json!({ "compositeResponse": [
            { "body": error, "httpStatusCode": 400, "httpHeaders": {}, "referenceId": "events" },
        ]}))
        .with("date", DATE)
    })
    .await;
    let error = fake.org().fetch_event(id(EVENT), None).await.unwrap_err();
    assert_eq!((error.code(), error.advice()), (Some("INVALID_FIELD"), Advice::Stop));
}

#[tokio::test]
async fn odd_event_answers_are_faults_not_panics() {
    let with = |change: fn(&mut Json)| {
        let mut record = event(EVENT);
        change(&mut record);
        [page(&[record]), page(EMPTY), page(EMPTY), page(EMPTY)]
    };
    let cases: Vec<Vec<Json>> = vec![
        vec![],
        vec![page(EMPTY)],
        vec![json!({ "records": [] }), page(EMPTY), page(EMPTY), page(EMPTY)],
        with(|r| r["Id"] = json!(null)).to_vec(),
        with(|r| r["Id"] = json!("not an id")).to_vec(),
        with(|r| r["Name"] = json!({ "street": "compound" })).to_vec(),
        with(|r| r["Items__r"] = json!(7)).to_vec(),
        with(|r| r["Items__r"] = json!({ "done": false, "records": [] })).to_vec(),
        vec![
            page(&[event(EVENT)]),
            page(&[grouped(EVENT, Some("?"), 1)]),
            page(EMPTY),
            page(EMPTY),
        ],
        vec![
            page(&[event(EVENT)]),
            page(&[json!({ "Event__c": EVENT, "total": -1 })]),
            page(EMPTY),
            page(EMPTY),
        ],
    ];
    for case in cases {
        let parts = case.clone();
        let fake = Fake::start(move |_| composite(&parts)).await;
        let error = fake.org().fetch_event(id(EVENT), None).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{case:?}: {error:?}");
    }
}

/// An org of `count` events, answering pages by keyset and counts for all.
fn org_of(count: usize) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let ids: Vec<String> = (1..=count).map(|n| id(&format!("a00{n:012}")).to_string()).collect();
    move |seen| {
        if seen.method == "POST" {
            return composite(&[page(&[grouped(&ids[0], None, 5)]), page(EMPTY), page(EMPTY)]);
        }
        let limit: usize = seen.path.rsplit_once("LIMIT ").unwrap().1.parse().unwrap();
        let after = seen.path.split_once("Id > '").map_or("", |(_, rest)| &rest[..18]);
        let next: Vec<Json> =
            ids.iter().filter(|id| id.as_str() > after).take(limit).map(|id| event(id)).collect();
        Reply::json(&page(&next)).with("date", DATE)
    }
}

#[tokio::test]
async fn the_whole_org_comes_in_pages_of_two_calls_each() {
    let fake = Fake::start(org_of(5)).await;
    let org = fake.org_with(Options { page_events: 2, ..quick() });
    let mut pages = org.fetch_all(None);
    let mut sizes = Vec::new();
    let mut first = None;
    loop {
        let page = pages.next_page().await.unwrap();
        first = first.or_else(|| page.first().cloned());
        sizes.push(page.len());
        if page.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [2, 2, 1, 0]);
    assert_eq!(fake.calls().len(), 6, "two calls for each page that holds anything");
    assert_eq!(first.unwrap().external_total, 5);
}

#[tokio::test]
async fn an_org_without_events_takes_one_call() {
    let fake = Fake::start(org_of(0)).await;
    let mut pages = fake.org().fetch_all(None);
    assert!(pages.next_page().await.unwrap().is_empty());
    assert!(pages.next_page().await.unwrap().is_empty());
    assert_eq!(fake.calls().len(), 1);
}

#[tokio::test]
async fn a_page_that_failed_is_read_again_without_a_gap() {
    let fail = std::sync::atomic::AtomicBool::new(true);
    let answer = org_of(3);
    let fake = Fake::start(move |seen| {
        let second = seen.path.contains("Id > ");
        if second && fail.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Reply::error(503, "SERVER_UNAVAILABLE", "busy");
        }
        answer(seen)
    })
    .await;
    let org = fake.org_with(Options { page_events: 2, ..quick() });
    let mut pages = org.fetch_all(None);
    assert_eq!(pages.next_page().await.unwrap().len(), 2);
    assert_eq!(pages.next_page().await.unwrap_err().advice(), Advice::Retry);
    assert_eq!(pages.next_page().await.unwrap().len(), 1);
}

/// An org of five events that answers Bulk queries: of their results, the
/// second page of the events is `second`, whenever it is asked for.
fn in_bulk(second: &Reply) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let (by_rest, second) = (org_of(5), second.clone());
    move |seen| {
        let Some((_, job)) = seen.path.split_once("/jobs/query") else { return by_rest(seen) };
        let of_events = "750000000000001AAA";
        if seen.method == "POST" {
            let events = seen.json()["query"].as_str().unwrap().contains(" FROM Sloe_Event__c");
            let id = if events { of_events } else { "750000000000002AAA" };
            return Reply::json(&json!({ "id": id, "state": "UploadComplete" })).with("date", DATE);
        }
        let empty = "Id,Event__c\n".to_owned();
        match job.split_once("/results") {
            None => Reply::json(&json!({ "id": of_events, "state": "JobComplete" })),
            Some((_, page)) if page.contains("locator=") => second.clone(),
            Some(_) if job.contains(of_events) => {
                let rows = [3, 4].map(|n| format!("{}\n", id(&format!("a00{n:012}"))));
                Reply::csv(&format!("Id\n{}", rows.concat())).with("sforce-locator", "next")
            }
            Some(_) => Reply::csv(&empty),
        }
    }
}

#[tokio::test]
async fn a_page_that_never_comes_in_bulk_is_read_by_rest_and_so_are_those_behind_it() {
    let cut_off = Reply::csv("Id\n").with("sforce-numberofrecords", "1");
    for second in [Reply::error(500, "UNKNOWN_EXCEPTION", "no"), cut_off] {
        let fake = Fake::start(in_bulk(&second)).await;
        let org = fake.org_with(Options { page_events: 2, bulk_events: 2, ..quick() });
        let mut pages = org.fetch_all(None);
        let mut read = Vec::new();
        loop {
            let page = pages.next_page().await.unwrap();
            if page.is_empty() {
                break;
            }
            read.extend(page.into_iter().map(|raw| raw.event.id));
        }
        let all: Vec<_> = (1..=5).map(|n| id(&format!("a00{n:012}"))).collect();
        assert_eq!(read, all);
        let jobs = fake.calls().into_iter().filter(|call| call.method == "POST");
        assert_eq!(jobs.filter(|call| call.path.ends_with("/jobs/query")).count(), 3);
    }
}

#[tokio::test]
async fn counts_with_too_many_groups_are_asked_for_half_the_events_at_a_time() {
    let answer = org_of(4);
    let fake = Fake::start(move |seen| {
        // Four events in one count are too many.
        if seen.method == "POST" && seen.text().matches("a00").count() > 6 {
            return Reply::error(
                400,
                "EXCEEDED_ID_LIMIT",
                "aggregate query does not support queryMore()",
            );
        }
        answer(seen)
    })
    .await;
    assert_eq!(fake.org().fetch_all(None).next_page().await.unwrap().len(), 4);
    assert_eq!(fake.calls().len(), 4, "the events, the count refused, and its halves");
}

#[test]
fn reading_can_be_done_on_any_thread() {
    fn send<T: Send>(_: T) {}
    fn all(org: &sloe_salesforce::Org, mut pages: sloe_salesforce::EventPages) {
        send(org.fetch_event(id(EVENT), None));
        send(org.bulk_abort(&sloe_salesforce::JobId::parse(EVENT).unwrap()));
        send(org.upsert(sloe_salesforce::RowKind::Attendee, &[]));
        send(org.update_figures(&mut []));
        send(pages.next_page());
    }
    let _ = all;
}
