//! The org's page: what a person sees, edits and sends.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use reqwest::{Method, Response};
use serde_json::{Value as Json, json};

use crate::client::{EVENT, Org};

fn browser() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

fn location(response: &Response) -> String {
    assert_eq!(response.status(), 303);
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// What a form would send for the event as it stands, with changes.
fn event_form(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut form = vec![
        ("Name".to_owned(), "First Event".to_owned()),
        ("Time_Zone__c".to_owned(), "Europe/Berlin".to_owned()),
        ("Capacity__c".to_owned(), "100".to_owned()),
    ];
    for (name, value) in changes {
        form.retain(|(known, _)| known != name);
        form.push(((*name).to_owned(), (*value).to_owned()));
    }
    form
}

#[tokio::test]
async fn lists_and_records_are_shown_escaped_and_under_a_strict_policy() {
    let org = Org::start().await;
    let path = format!("/sobjects/Sloe_Event__c/{EVENT}");
    org.patch(&path, json!({ "Name": "<script>alert(1)</script>" })).await;
    for path in [
        "/".to_owned(),
        "/o/Sloe_Item__c".to_owned(),
        format!("/r/{EVENT}"),
        "/o/Contact/new".to_owned(),
    ] {
        let response = org.http.get(format!("{}{path}", org.running.url())).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"));
        let html = response.text().await.unwrap();
        assert!(!html.contains("<script>alert"), "{path}");
        assert!(html.contains("<h1>"));
    }
    let lost =
        org.http.get(format!("{}/r/a03000000000000AAA", org.running.url())).send().await.unwrap();
    assert_eq!(lost.status(), 404);
}

#[tokio::test]
async fn a_saved_form_changes_the_record_and_a_faulty_one_says_what_is_wrong() {
    let org = Org::start().await;
    let url = format!("{}/r/{EVENT}", org.running.url());
    let form = event_form(&[
        ("Name", "Renamed"),
        ("Published__c", "true"),
        ("Starts_At__c", "2026-06-01T09:30"),
    ]);
    let response = browser().post(&url).form(&form).send().await.unwrap();
    let back = location(&response);
    let html = org
        .http
        .get(format!("{}{back}", org.running.url()))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        html.contains("Saved.")
            && html.contains("value=\"Renamed\"")
            && html.contains("value=\"2026-06-01T09:30\"")
    );
    let (_, event) = org.get(&format!("/sobjects/Sloe_Event__c/{EVENT}")).await;
    assert_eq!((&event["Name"], &event["Published__c"]), (&json!("Renamed"), &json!(true)));
    assert_eq!(event["Starts_At__c"], "2026-06-01T09:30:00.000+0000");

    for (changes, words) in [
        ([("Name", ""), ("Capacity__c", "100")], "Required fields are missing: [Name]"),
        ([("Name", "Kept"), ("Capacity__c", "many")], "Capacity: value not of required type: many"),
        (
            [("Name", "Kept"), ("Ends_At__c", "2020-01-01T00:00")],
            "The event ends before it begins.",
        ),
    ] {
        let response = browser().post(&url).form(&event_form(&changes)).send().await.unwrap();
        assert_eq!(response.status(), 422);
        let html = response.text().await.unwrap();
        assert!(html.contains(words) && html.contains("role=\"alert\""), "{words}");
        assert!(changes[0].1.is_empty() || html.contains("value=\"Kept\""), "what was typed stays");
    }
    assert_eq!(org.get(&format!("/sobjects/Sloe_Event__c/{EVENT}")).await.1["Name"], "Renamed");
}

#[tokio::test]
async fn records_are_made_and_deleted_by_form_and_never_from_another_site() {
    let org = Org::start().await;
    let base = org.running.url();
    let form = [("FirstName", "Jane"), ("LastName", "Doe")];
    let foreign = browser()
        .post(format!("{base}/o/Contact/new"))
        .header("sec-fetch-site", "cross-site")
        .form(&form);
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    assert_eq!(org.records("SELECT Id FROM Contact").await.len(), 0);
    let made = browser().post(format!("{base}/o/Contact/new")).form(&form).send().await.unwrap();
    let record = location(&made).split('?').next().unwrap().to_owned();
    assert_eq!(org.records("SELECT Name FROM Contact").await[0]["Name"], "Jane Doe");
    let asked = page(&org, &format!("{record}/delete")).await;
    assert!(asked.contains("<h1>Delete Jane Doe?</h1>") && asked.contains("method=\"post\""));
    assert_eq!(org.records("SELECT Id FROM Contact").await.len(), 1, "asking deletes nothing");
    let gone = browser().post(format!("{base}{record}/delete")).send().await.unwrap();
    assert_eq!(location(&gone), "/o/Contact");
    assert_eq!(org.records("SELECT Id FROM Contact").await.len(), 0);
    let kept = browser().post(format!("{base}/r/{EVENT}/delete")).send().await.unwrap();
    assert_eq!(kept.status(), 409, "an event with items stays");
    let asked = page(&org, &format!("/r/{EVENT}/delete")).await;
    assert!(asked.contains("1 item belongs to it, and must be deleted first."), "{asked}");
    assert!(!asked.contains("id=\"delete\""), "what can't be done isn't offered");
    org.attendee("one").await;
    let asked = page(&org, &format!("/r/{EVENT}/delete")).await;
    assert!(asked.contains("1 attendee has an empty Event afterwards."), "{asked}");
}

async fn page(org: &Org, path: &str) -> String {
    let response = org.http.get(format!("{}{path}", org.running.url())).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.text().await.unwrap()
}

#[tokio::test]
async fn long_lists_have_pages_and_a_reference_is_chosen_by_name_where_there_are_few() {
    let org = Org::start().await;
    let contact =
        |i| json!({ "attributes": { "type": "Contact" }, "LastName": format!("Doe {i:03}") });
    let records: Vec<Json> = (0..101).map(contact).collect();
    org.post("/composite/sobjects", json!({ "records": records })).await;
    let first = page(&org, "/o/Contact").await;
    assert!(first.contains("1 to 100 of 101 records") && first.contains("Doe 100"));
    assert!(first.contains("?from=100\">Older") && !first.contains("Newer"));
    let second = page(&org, "/o/Contact?from=100").await;
    assert!(second.contains("101 to 101 of 101 records") && second.contains("?from=0\">Newer"));
    assert!(second.contains("Doe 000") && !second.contains("Older"));

    let blank = page(&org, "/o/Sloe_Attendee__c/new").await;
    let choice = format!("<option value=\"{EVENT}AAA\">First Event</option>");
    assert!(blank.contains(&choice) && blank.contains(">Pass · First Event</option>"), "{blank}");
    assert!(blank.contains("The id of a contact."), "101 contacts are too many to choose from");
}

#[tokio::test]
async fn faults_and_a_used_up_allowance_are_told() {
    let org = Org::start().await;
    let before = page(&org, "/").await;
    assert!(!before.contains("Faults are switched on") && !before.contains("calls are refused"));
    org.send(Method::PUT, "/__control/faults", json!({ "row_error_rate": 0.5 })).await;
    org.send(Method::PUT, "/__control/limits", json!({ "daily": 12_345, "used": 12_345 })).await;
    let after = page(&org, "/").await;
    assert!(after.contains("Faults are switched on: 50 % of written rows fail"), "{after}");
    assert!(after.contains("12,345 of 12,345 <strong>All are used; calls are refused."), "{after}");
}

type Heard = Arc<Mutex<Vec<(String, Json)>>>;

/// What Sloe's hook would be: it knows one secret.
async fn hook(State(heard): State<Heard>, headers: HeaderMap, body: String) -> StatusCode {
    let secret = headers["x-sloe-secret"].to_str().unwrap().to_owned();
    let good = secret == "right";
    heard.lock().unwrap().push((secret, serde_json::from_str(&body).unwrap()));
    if good { StatusCode::ACCEPTED } else { StatusCode::UNAUTHORIZED }
}

#[tokio::test]
async fn update_calls_the_hook_and_says_how_it_went() {
    let org = Org::start().await;
    let heard = Heard::default();
    let path = format!("/hooks/salesforce/{}/refresh", org.running.org_id());
    let router = axum::Router::new().route(&path, post(hook)).with_state(Arc::clone(&heard));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sloe = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let url = format!("{}/update", org.running.url());
    let press = |event: &'static str| browser().post(&url).form(&[("event", event)]).send();
    assert_eq!(location(&press("").await.unwrap()), "/?update=unconnected");
    org.running.set_hook(&sloe, "right");
    let back = location(&press(EVENT).await.unwrap());
    assert_eq!(back, format!("/r/{EVENT}AAA?update=accepted&status=202"));
    let html = org
        .http
        .get(format!("{}{back}", org.running.url()))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(html.contains("Update accepted"));
    assert_eq!(location(&press("").await.unwrap()), "/?update=accepted&status=202");
    let refused = press("a005g00").await.unwrap();
    assert_eq!(refused.status(), 422, "nothing is told of an event that can't be read");
    assert!(refused.text().await.unwrap().starts_with("The event's id"));
    org.send(Method::PUT, "/__control/hook", json!({ "url": sloe, "secret": "wrong" })).await;
    assert_eq!(location(&press("").await.unwrap()), "/?update=refused&status=401");
    let all: Vec<(String, Json)> = heard.lock().unwrap().clone();
    assert_eq!(
        all,
        [
            ("right".to_owned(), json!({ "event": format!("{EVENT}AAA") })),
            ("right".to_owned(), json!({})),
            ("wrong".to_owned(), json!({})),
        ]
    );
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    org.running.set_hook(&nobody, "right");
    assert_eq!(location(&press("").await.unwrap()), "/?update=unreachable");
}

/// The number before these words in the chart's legend.
fn counted(html: &str, words: &str) -> u64 {
    let before = html.split(&format!(" {words}</li>")).next().unwrap();
    before.rsplit('>').next().unwrap().replace(',', "").parse().unwrap()
}

#[tokio::test]
async fn the_activity_page_shows_calls_by_how_they_ended_limits_faults_and_jobs() {
    let org = Org::start().await;
    let before = page(&org, "/activity").await;
    assert!(before.contains("None: the org is healthy.") && before.contains("No jobs yet."));
    assert_eq!((counted(&before, "answered"), counted(&before, "not answered")), (1, 0));
    for _ in 0..3 {
        org.get("/limits").await;
    }
    org.get("/nowhere").await;
    let rules = json!([
        { "error_rate": 1, "kinds": ["query"] },
        { "cut_after_rate": 1, "kinds": ["sobjects"] },
        { "chunk_ms": 600_000, "kinds": ["bulk_ingest"] }
    ]);
    org.send(Method::PUT, "/__control/faults", rules).await;
    org.query("SELECT Id FROM Lead").await;
    assert!(org.request(Method::GET, "/sobjects").send().await.is_err());
    let limits =
        json!({ "daily": 2_000, "used": 500, "others_per_minute": 0, "others_long_running": 3 });
    org.send(Method::PUT, "/__control/limits", limits).await;
    let job = crate::bulk::open(&org, json!({ "object": "Lead", "operation": "insert" })).await;
    crate::bulk::upload(&org, &job, "LastName,Company\nDoe,X\n".to_owned()).await;
    org.patch(&format!("/jobs/ingest/{job}"), json!({ "state": "UploadComplete" })).await;
    let after = loop {
        let html = page(&org, "/activity").await;
        if html.contains("at work") {
            break html;
        }
    };
    let counts = ["answered", "refused", "failed", "not answered"].map(|w| counted(&after, w));
    assert_eq!(counts, [7, 1, 1, 1], "{after}");
    assert!(after.contains("<rect class=\"failed\"") && after.contains("role=\"img\""));
    for words in [
        "1,497 of 2,000",
        "<dt>Long calls of others</dt><dd>3</dd>",
        "100 % of calls fail (query): once so far",
        "100 % of calls are done and not answered (sobjects)",
        "Written rows take 600 s per 200 (bulk_ingest)</li>",
        "Insert leads",
    ] {
        assert!(after.contains(words), "{words}: {after}");
    }
    org.delete("/__control/faults").await;
    crate::bulk::wait(&org, &job).await;
    assert!(page(&org, "/activity").await.contains("complete"));
}

#[tokio::test]
async fn pressed_updates_and_their_outcome_stay_in_sight() {
    let org = Org::start().await;
    assert!(page(&org, "/activity").await.contains("Nobody has pressed Update yet."));
    let url = format!("{}/update", org.running.url());
    browser().post(&url).form(&[("event", EVENT)]).send().await.unwrap();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    org.running.set_hook(&nobody, "right");
    browser().post(&url).form(&[("event", "")]).send().await.unwrap();
    let html = page(&org, "/activity").await;
    let (all, one) = (html.find("All events</td>").unwrap(), html.find("First Event</a>").unwrap());
    assert!(all < one, "the newest comes first");
    assert!(html.contains("no answer") && html.contains("nobody to tell"), "{html}");
}
