//! What staff do in the console, as a browser sends it, and what becomes of it
//! in real simulated orgs.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::json;
use support::{Demo, SimOrg, attendee, eventually};

const ORG: &str = "/staff/orgs/meridian";
const DELIVERED: &str = "Every row that was sent has been taken";

/// Somebody who is signed in.
struct Desk<'a> {
    demo: &'a Demo,
    session: String,
}

impl<'a> Desk<'a> {
    async fn open(demo: &'a Demo) -> Self {
        let token = demo.staff.rsplit('/').next().unwrap();
        let request = demo.client().post(demo.url("/staff/sign-in")).form(&[("token", token)]);
        let answer = request.header("sec-fetch-site", "same-origin").send().await.unwrap();
        let session = answer.headers()["set-cookie"].to_str().unwrap();
        assert!(session.contains("HttpOnly") && session.contains("SameSite=Lax"), "{session}");
        Self { demo, session: session.split(';').next().unwrap().to_owned() }
    }

    async fn see(&self, path: &str) -> String {
        let request = self.demo.client().get(self.demo.url(path)).header("cookie", &self.session);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }

    /// Sends a form; the page that follows.
    async fn press(&self, path: &str, fields: &[(String, String)]) -> String {
        let request = self.demo.client().post(self.demo.url(path)).form(fields);
        let request = request.header("sec-fetch-site", "same-origin");
        let answer = request.header("cookie", &self.session).send().await.unwrap();
        assert_eq!(answer.status(), 303, "{path}");
        let headers = answer.headers();
        let said = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap();
        let back = headers["location"].to_str().unwrap().split('#').next().unwrap();
        let cookies = format!("{}; {said}", self.session);
        let request = self.demo.client().get(self.demo.url(back)).header("cookie", cookies);
        request.send().await.unwrap().text().await.unwrap()
    }

    /// Waits until a page says something.
    async fn reads(&self, path: &str, text: &str) -> String {
        eventually(async || {
            let page = self.see(path).await;
            if page.contains(text) { Ok(page) } else { Err(format!("{text:?} is not in {page}")) }
        })
        .await
    }
}

/// The values of an attribute that begins with `mark`, as a browser reads them.
fn values<'a>(page: &'a str, mark: &'a str) -> Vec<String> {
    let parts = page.split(mark).skip(1);
    parts.map(|part| part.split('"').next().unwrap().replace("&#38;", "&")).collect()
}

/// The hidden fields of a page's only form with some.
fn hidden(page: &str) -> Vec<(String, String)> {
    let names = values(page, "type=\"hidden\" name=\"");
    names
        .into_iter()
        .map(|name| {
            let value = values(page, &format!("name=\"{name}\" value=\"")).remove(0);
            (name, value)
        })
        .collect()
}

fn field(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

async fn register(demo: &Demo, first: &str, last: &str) {
    let event = demo.org("meridian").event("keynote-live");
    let seat = demo.id_of(event, "Stream seat").await;
    let (status, answer) = demo.register(event, &[attendee(&seat, &[], (first, last))]).await;
    assert!(status.is_success(), "{answer}");
}

async fn holds(demo: &Demo, rows: u64) {
    let found = "Sloe_Attendee__c WHERE Last_Name__c IN ('Lovelace', 'Hopper')";
    eventually(async || match demo.org("meridian").count(found).await {
        count if count == rows => Ok(()),
        count => Err(format!("{count} rows are there")),
    })
    .await;
}

#[tokio::test]
async fn a_row_is_sent_again_by_its_own_button_whatever_is_ticked_and_the_others_wait() {
    let demo = Demo::start().await;
    let desk = Desk::open(&demo).await;
    let refuses =
        json!({ "row_error_rate": 1.0, "row_error_code": "FIELD_CUSTOM_VALIDATION_EXCEPTION" });
    demo.org("meridian").misbehave(&refuses).await;
    register(&demo, "Ada", "Lovelace").await;
    register(&demo, "Grace", "Hopper").await;
    let page = desk.reads(ORG, "Send all 2 again").await;
    let rows = values(&page, "name=\"only\" value=\"");
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(!page.contains("Lovelace") && !page.contains("example.org"), "nobody is named");
    demo.org("meridian").behave().await;
    let form = [field("id", &rows[1]), field("only", &rows[0])];
    let said = desk.press(&format!("{ORG}/replay"), &form).await;
    assert!(said.contains("1 row will be sent again."), "{said}");
    let page = desk.reads(ORG, ">1 attendee<").await;
    assert_eq!(values(&page, "name=\"only\" value=\""), rows[1..]);
    holds(&demo, 1).await;
    desk.press(&format!("{ORG}/replay"), &[field("only", &rows[1])]).await;
    desk.reads(ORG, DELIVERED).await;
    holds(&demo, 2).await;
}

#[tokio::test]
async fn a_change_made_there_is_left_to_salesforce_after_a_question_and_only_then_all_is_green() {
    let demo = Demo::start().await;
    let desk = Desk::open(&demo).await;
    let org = demo.org("meridian");
    register(&demo, "Ada", "Lovelace").await;
    holds(&demo, 1).await;
    let record = org.record("Sloe_Attendee__c WHERE Last_Name__c = 'Lovelace'").await;
    org.patch("Sloe_Attendee__c", &record, &json!({ "Sloe_Version__c": 4_000_000 })).await;
    // A comparison may have begun before the change.
    let page = eventually(async || {
        desk.press(&format!("{ORG}/compare"), &[]).await;
        let page = desk.see(ORG).await;
        if page.contains("1 row needs a decision.") { Ok(page) } else { Err(page) }
    })
    .await;
    assert!(page.contains("Somebody changed in Salesforce what Sloe keeps there"), "{page}");
    assert!(!page.contains("was deleted") && !page.contains("banner is-good"), "{page}");
    assert!(!desk.see("/staff").await.contains("Everything is in order"));

    let links = values(&page, "href=\"/staff/orgs/meridian/accept");
    assert_eq!(links.len(), 1, "{links:?}");
    let question = desk.see(&format!("{ORG}/accept{}", links[0])).await;
    assert!(question.contains("Leave 1 row as Salesforce has it?"), "{question}");
    let fields = hidden(&question);
    assert!(fields.iter().any(|(name, _)| name == "only"), "{fields:?}");
    let said = desk.press(&format!("{ORG}/accept"), &fields).await;
    assert!(said.contains("1 row left as Salesforce has it."), "{said}");
    desk.reads(ORG, DELIVERED).await;
    eventually(async || {
        desk.press(&format!("{ORG}/compare"), &[]).await;
        let page = desk.see(ORG).await;
        if page.contains("banner is-good") { Ok(()) } else { Err(page) }
    })
    .await;
    let row =
        org.one("SELECT Sloe_Version__c FROM Sloe_Attendee__c WHERE Last_Name__c = 'Lovelace'");
    assert_eq!(row.await["Sloe_Version__c"], 4_000_000.0, "nothing was written over it");
}

#[tokio::test]
async fn an_org_s_page_says_by_what_ways_changes_come_and_what_keeps_them() {
    let demo = Demo::start_to_keep().await;
    let desk = Desk::open(&demo).await;
    let page = desk.reads(ORG, "Update button, and a look every").await;
    assert!(!page.contains("Change events"), "they were not asked for");
    let telling = SimOrg::start(&["--pubsub-listen", "127.0.0.1:0"]);
    let org = &telling.org;
    let secret = demo.data().join("secret");
    std::fs::write(&secret, org.client_secret()).unwrap();
    demo.sloe(&[
        "org",
        "add",
        "--slug",
        "telling",
        "--name",
        "Telling",
        "--url",
        &org.url,
        "--client-id",
        org.client_id(),
        "--client-secret-file",
        secret.to_str().unwrap(),
        "--change-events",
        "--pubsub-url",
        &org.pubsub,
    ]);
    let path = "/staff/orgs/telling";
    let page = desk.reads(path, "Change events, Update button, and a look every").await;
    assert!(!page.contains("Change events fail"), "{page}");
    // Nobody answers there: the looks go on, and somebody should look why.
    demo.sloe(&["org", "changes", "telling", "--on", "--pubsub-url", "http://127.0.0.1:9"]);
    let page = desk.reads(path, "Change events fail; Update button, and a look every").await;
    assert!(page.contains("Until then Sloe looks for changes by itself"), "{page}");
    demo.sloe(&["org", "changes", "telling", "--on", "--pubsub-url", &org.pubsub]);
    desk.reads(path, "Change events, Update button, and a look every").await;
}
