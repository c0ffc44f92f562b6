//! A person's details, and what opens doors, are nowhere but where they
//! belong: not in the log, however much is logged, not in metrics, addresses
//! or the store's files.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Demo, eventually};

/// Nobody else is called so: whatever holds these bytes holds the person.
const FIRST: &str = "Zyxwvald";
const LAST: &str = "Qqplmström";
const EMAIL: &str = "zyxwvald.qqplm@private.example";
/// Typed where it can't stay: refused, and still nobody's business.
const REFUSED: &str = "qqplm-not-an-address";

/// What must not be found, and what it is called when it is.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn assert_absent(&self, place: &str, bytes: &[u8]) {
        for (what, secret) in &self.0 {
            let utf16: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
            for form in [secret.as_bytes(), utf16.as_slice()] {
                let found = bytes.windows(form.len()).position(|window| window == form);
                let Some(at) = found else { continue };
                let around = &bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())];
                panic!("{place} holds the {what}: {}", String::from_utf8_lossy(around));
            }
        }
    }
}

#[tokio::test]
async fn a_person_s_details_and_what_opens_doors_are_in_no_log_metric_or_file_of_the_store() {
    let mut demo = Demo::start_to_keep_talking().await;
    let event = demo.org("meridian").event("keynote-live").to_owned();
    let order = order(&demo, &event).await;
    refused(&demo, &event).await;
    arrived(&demo).await;
    let (metrics, secrets) = (metrics(&demo).await, secrets(&demo, &order));
    secrets.assert_absent("/metrics", metrics.as_bytes());
    assert!(metrics.contains("sloe_http_requests_total"), "{metrics}");
    for calls in ["used", "max", "by_sloe", "left"] {
        let name = format!("sloe_org_api_calls_{calls}{{org=\"00D");
        assert!(metrics.contains(&name), "{name} is not in {metrics}");
    }

    let home = demo.leave();
    let log = std::fs::read(home.path().join("log")).unwrap();
    secrets.assert_absent("the log", &log);
    // It says what happened all the same.
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("/api/v1/events/{event}/registrations"), "nothing was logged");
    let (mut files, mut bytes) = (0, 0);
    for file in std::fs::read_dir(home.path().join("data/platform")).unwrap() {
        let path = file.unwrap().path();
        let content = std::fs::read(&path).unwrap();
        (files, bytes) = (files + 1, bytes + content.len());
        secrets.assert_absent(&path.display().to_string(), &content);
    }
    assert!(files >= 2 && bytes > 50_000, "{files} files of {bytes} bytes are no store");
    // Otherwise the search finds nothing anywhere, and the test shows nothing.
    assert!(holds(&home.path().join("data/orgs/meridian"), LAST), "the org has its attendee");
}

/// Registers the person by a hold and its confirmation; answers the order.
async fn order(demo: &Demo, event: &str) -> Value {
    let item = demo.event(event).await["items"][0]["id"].clone();
    let call = async |path: String, body: Value| -> Value {
        let request = demo.client().post(demo.url(&path)).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 201, "{path}");
        answer.json().await.unwrap()
    };
    let lines = json!({ "lines": [{ "item": item, "quantity": 1, "sessions": [] }] });
    let hold = call(format!("/api/v1/events/{event}/holds"), lines).await;
    let id = hold["id"].as_str().unwrap();
    let person = json!({ "place": 1, "first_name": FIRST, "last_name": LAST, "email": EMAIL });
    call(format!("/api/v1/holds/{id}/confirm"), json!({ "attendees": [person] })).await
}

/// The same person with a fault, by the API and by the form's own address.
async fn refused(demo: &Demo, event: &str) {
    let item = demo.event(event).await["items"][0]["id"].clone();
    let person = json!({
        "item": item, "sessions": [], "first_name": FIRST, "last_name": LAST, "email": REFUSED,
    });
    let (status, answer) = demo.register(event, &[person]).await;
    assert_eq!(status, 422, "{answer}");
    let form = [("last-1", LAST), ("email-1", REFUSED)];
    let posted = demo.client().post(demo.url("/meridian/keynote-live/hold")).form(&form);
    assert!(posted.send().await.unwrap().status().is_client_error());
}

/// Waits until the person is in the org and has their mail.
async fn arrived(demo: &Demo) {
    let where_ = format!("Sloe_Attendee__c WHERE Last_Name__c = '{LAST}'");
    eventually(async || match demo.org("meridian").count(&where_).await {
        1 => Ok(()),
        other => Err(format!("{other} attendees in the org")),
    })
    .await;
    eventually(async || {
        let page = demo.client().get(&demo.mailbox).send().await.unwrap().text().await.unwrap();
        page.contains(EMAIL).then_some(()).ok_or_else(|| "no mail came".to_owned())
    })
    .await;
}

async fn metrics(demo: &Demo) -> String {
    let request = demo.client().get(demo.url("/metrics")).bearer_auth(demo.token());
    request.send().await.unwrap().text().await.unwrap()
}

fn secrets(demo: &Demo, order: &Value) -> Secrets {
    let opens = |field: &Value| field.as_str().unwrap().to_owned();
    Secrets(vec![
        ("first name", FIRST.to_owned()),
        ("last name", LAST.to_owned()),
        ("e-mail address", EMAIL.to_owned()),
        ("refused address", REFUSED.to_owned()),
        ("order's id", opens(&order["order"])),
        ("ticket's code", opens(&order["tickets"][0]["code"])),
        ("client secret", demo.org("meridian").client_secret().to_owned()),
    ])
}

fn holds(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).unwrap().any(|file| {
        let content = std::fs::read(file.unwrap().path()).unwrap_or_default();
        content.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
