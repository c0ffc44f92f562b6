//! The real binary whose MongoDB is not there, goes away, or hangs: what it
//! says meanwhile, and that a repeated request gets the truth once it is back.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::{Command, Stdio};

use reqwest::{Client, Response};
use serde_json::{Value, json};
use support::nodes::{Ground, Node, free_port, shown};
use support::{PATIENCE, Running, attendee, eventually};

const SEATS: u64 = 50;

struct Visitor {
    client: Client,
    url: String,
    event: String,
    item: String,
}

impl Visitor {
    async fn at(node: &Node) -> Self {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let url = node.url();
        let get = async |path: String| -> Value {
            client.get(format!("{url}{path}")).send().await.unwrap().json().await.unwrap()
        };
        let events = get("/api/v1/orgs/acme/events".to_owned()).await;
        let event = events["data"][0]["id"].as_str().unwrap().to_owned();
        let read = get(format!("/api/v1/events/{event}")).await;
        let item = read["items"][0]["id"].as_str().unwrap().to_owned();
        Self { client, url, event, item }
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    /// Asks for a seat; under one key it is one request, however often it is sent.
    async fn register(&self, key: &str) -> Response {
        let body = json!({ "attendees": [attendee(&self.item, &[], (key, "Visitor"))] });
        let url = format!("{}/api/v1/events/{}/registrations", self.url, self.event);
        let request = self.client.post(url).header("idempotency-key", key).json(&body);
        request.send().await.unwrap()
    }

    /// The order that a key stands for, once that can be told.
    async fn order(&self, key: &str) -> String {
        eventually(async || {
            let answer = self.register(key).await;
            let (status, body) = (answer.status(), answer.text().await.unwrap());
            match serde_json::from_str::<Value>(&body) {
                Ok(order) if status == 201 => Ok(order["order"].as_str().unwrap().to_owned()),
                _ => Err(format!("{key}: {status} {body}")),
            }
        })
        .await
    }

    /// What of the event is left, once it is so many.
    async fn left(&self, wanted: u64) {
        let path = format!("/api/v1/events/{}/availability", self.event);
        eventually(async || {
            let read: Value = self.get(&path).await.json().await.map_err(|e| e.to_string())?;
            if read["left"] == wanted { Ok(()) } else { Err(read.to_string()) }
        })
        .await;
    }

    async fn readiness(&self, wanted: impl Fn(u16, &str) -> bool) {
        eventually(async || {
            let answer = self.get("/readyz").await;
            let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            if wanted(status, &text) { Ok(()) } else { Err(format!("{status} {text}")) }
        })
        .await;
    }
}

/// A refusal that asks to come back, by the name of its problem.
async fn come_back(answer: Response) -> String {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(status, 503, "{problem}");
    let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{headers:?}");
    problem["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned()
}

async fn serving() -> (Ground, Node, Visitor) {
    let ground = Ground::begin(SEATS).await;
    let mut node = ground.start(&["--drain", "0"]);
    node.ready().await;
    ground.connect();
    shown(&format!("{}/acme/event", node.url())).await;
    let visitor = Visitor::at(&node).await;
    visitor.order("before").await;
    (ground, node, visitor)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_leaves_the_pages_and_a_repeat_gets_the_truth() {
    let (mut ground, node, visitor) = serving().await;
    let before = visitor.order("before").await;
    if !ground.mongo.kill() {
        return;
    }
    let told = come_back(visitor.register("during").await).await;
    assert!(["not-accepted", "outcome-unknown"].contains(&&*told), "{told}");
    visitor.readiness(|status, text| status == 200 && text.contains("pages only")).await;
    for page in ["/acme", "/acme/event"] {
        let answer = visitor.get(page).await;
        assert_eq!(answer.status(), 200, "{page}");
        assert!(answer.text().await.unwrap().contains("Every seat counts"), "{page}");
    }
    let event = visitor.get(&format!("/api/v1/events/{}", visitor.event)).await;
    assert_eq!(event.status(), 200);
    assert_eq!(visitor.get("/livez").await.status(), 200);
    // A form is answered by a page.
    let form = [(format!("qty-{}", visitor.item), "1")];
    let request = visitor.client.post(format!("{}/acme/event/hold", visitor.url)).form(&form);
    let answer = request.header("origin", &visitor.url).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"), "{:?}", answer.headers());
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    ground.mongo.restart(&ground.directory.path().join("mongo"));
    let during = visitor.order("during").await;
    assert_eq!(visitor.order("during").await, during);
    assert_eq!(visitor.order("before").await, before);
    visitor.left(SEATS - 2).await;
    visitor.readiness(|status, text| status == 200 && text == "ready\n").await;
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_not_called_a_refusal_until_the_store_tells_the_truth() {
    let (ground, mut node, visitor) = serving().await;
    if !ground.mongo.signal("STOP") {
        return;
    }
    // What is sent to it lies with its system, and is taken once it goes on.
    let told = come_back(visitor.register("lost").await).await;
    assert_eq!(told, "outcome-unknown", "{}", node.told());
    // It may have been taken, so a repeat is not told that it was not; another one is.
    let again = come_back(visitor.register("lost").await).await;
    assert_eq!(again, "outcome-unknown", "{}", node.told());
    let other = come_back(visitor.register("other").await).await;
    assert!(["not-accepted", "outcome-unknown"].contains(&&*other), "{other}");
    assert_eq!(visitor.get("/acme/event").await.status(), 200);
    ground.mongo.signal("CONT");
    let lost = visitor.order("lost").await;
    assert_eq!(visitor.order("lost").await, lost);
    visitor.left(SEATS - 2).await;
    node.end().await;
}

/// A browser that follows nothing by itself, with the cookie that names it.
async fn browser(visitor: &Visitor) -> (Client, String) {
    let redirect = reqwest::redirect::Policy::none();
    let browser = Client::builder().no_proxy().redirect(redirect).timeout(PATIENCE);
    let named = visitor.get("/assets/visitor.css").await;
    let name = named.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    (browser.build().unwrap(), name.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_meets_a_store_that_hangs_is_told_so_and_keeps_its_form() {
    let (ground, mut node, visitor) = serving().await;
    let (browser, name) = browser(&visitor).await;
    let send = async |path: &str, form: &[(&str, &str)]| {
        let request = browser.post(format!("{}{path}", visitor.url)).form(form);
        let request = request.header("sec-fetch-site", "same-origin").header("cookie", &name);
        request.send().await.unwrap()
    };
    let held = send("/acme/event/hold", &[(&format!("qty-{}", visitor.item), "1")]).await;
    assert_eq!(held.status(), 303);
    let checkout = held.headers()["location"].to_str().unwrap().to_owned();
    let form = [
        ("first-1", "Ada"),
        ("last-1", "Lovelace"),
        ("email-1", "ada@example.org"),
        ("key", "once"),
    ];
    if !ground.mongo.signal("STOP") {
        return;
    }
    // The hold is looked up first, and that is not answered.
    let page = eventually(async || {
        let refused = send(&checkout, &form).await;
        assert_eq!(refused.status(), 503, "{}", node.told());
        assert!(refused.headers().contains_key("retry-after"));
        let page = refused.text().await.unwrap();
        assert!(!page.contains("So many people"), "{page}");
        if page.contains("doesn’t answer") { Ok(page) } else { Err(page) }
    });
    let page = page.await;
    assert!(page.contains("Nothing was booked"), "{page}");
    assert!(page.contains("ada@example.org") && page.contains("Try again"), "{page}");
    ground.mongo.signal("CONT");
    let order = eventually(async || {
        let answer = send(&checkout, &form).await;
        let (status, headers) = (answer.status(), answer.headers().clone());
        match status.as_u16() {
            303 => Ok(headers["location"].to_str().unwrap().to_owned()),
            _ => Err(format!("{status}: {}", answer.text().await.unwrap())),
        }
    });
    assert!(order.await.starts_with("/order/"));
    visitor.left(SEATS - 2).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_whose_answer_is_lost_says_that_it_checks_and_then_leads_to_the_checkout() {
    let (ground, mut node, visitor) = serving().await;
    let (browser, name) = browser(&visitor).await;
    let hold = async || {
        let request = browser.post(format!("{}/acme/event/hold", visitor.url));
        let request = request.form(&[(format!("qty-{}", visitor.item), "1")]);
        let request = request.header("sec-fetch-site", "same-origin").header("cookie", &name);
        request.send().await.unwrap()
    };
    if !ground.mongo.signal("STOP") {
        return;
    }
    // The second one meets a store that is known to be away; it is the same form.
    for _ in 0..2 {
        let lost = hold().await;
        assert_eq!(lost.status(), 503, "{}", node.told());
        assert!(lost.headers().contains_key("retry-after"));
        let page = lost.text().await.unwrap();
        assert!(page.contains("We are checking") && page.contains("booked twice"), "{page}");
    }
    ground.mongo.signal("CONT");
    let checkout = eventually(async || {
        let answer = hold().await;
        let (status, headers) = (answer.status(), answer.headers().clone());
        match status.as_u16() {
            303 => Ok(headers["location"].to_str().unwrap().to_owned()),
            _ => Err(format!("{status}: {}", answer.text().await.unwrap())),
        }
    });
    let checkout = checkout.await;
    assert!(checkout.starts_with("/checkout/"), "{checkout}");
    assert_eq!(visitor.get(&checkout).await.status(), 200);
    visitor.left(SEATS - 2).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_at_the_start_it_says_so_and_begins_once_there_is_one() {
    let mut ground = Ground::begin(SEATS).await;
    if !ground.mongo.kill() {
        return;
    }
    let mut node = ground.start(&[]);
    let client = Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| client.get(format!("{}{path}", node.url())).send().await;
    let refused = eventually(async || match get("/readyz").await {
        Err(error) => Err(error.to_string()),
        Ok(answer) => match answer.text().await.unwrap() {
            text if text.contains("can't be reached") => Ok(text),
            text => Err(text),
        },
    });
    let refused = refused.await;
    assert!(!refused.contains("127.0.0.1"), "where it is concerns nobody outside: {refused}");
    assert_eq!(get("/readyz").await.unwrap().status(), 503);
    assert_eq!(get("/livez").await.unwrap().status(), 200);
    let page = get("/acme/event").await.unwrap();
    assert_eq!(page.status(), 503);
    assert!(page.headers().contains_key("retry-after"));
    let page = page.text().await.unwrap();
    assert!(page.contains("be right back") && page.contains("safe"), "{page}");
    let claim = client.post(format!("{}/api/v1/events/x/holds", node.url())).json(&json!({}));
    assert_eq!(come_back(claim.send().await.unwrap()).await, "not-ready");
    let told = node.told();
    assert!(told.contains("sloe: the store can't be reached (MongoDB 127.0.0.1:"), "{told}");
    assert!(told.contains("trying again"), "{told}");
    ground.mongo.restart(&ground.directory.path().join("mongo"));
    node.ready().await;
    ground.connect();
    shown(&format!("{}/acme/event", node.url())).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_asked_to_while_it_waits_and_never_shows_the_password() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let port = free_port();
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
        let address = "mongodb://sloe:hunter2%21@127.0.0.1:1,127.0.0.1:2/events?replicaSet=rs0";
        command.env("MONGODB_URI", address).env_remove("SLOE_STORE").stdin(Stdio::null());
        command.env("SLOE_MASTER_KEY", "11".repeat(32)).env("SLOE_LOG", "debug");
        command
    };
    let said = std::fs::File::create(&log).unwrap();
    let mut node = command();
    node.args(["serve", "--listen", &format!("127.0.0.1:{port}")]).stderr(said);
    let mut node = Running(node.spawn().unwrap());
    let client = Client::builder().no_proxy().build().unwrap();
    let told = eventually(async || {
        let answer = client.get(format!("http://127.0.0.1:{port}/readyz")).send().await;
        let text = answer.map_err(|error| error.to_string())?.text().await.unwrap();
        if text.contains("can't be reached") { Ok(text) } else { Err(text) }
    });
    let told = told.await;
    assert!(!told.contains("127.0.0.1"), "{told}");
    let pid = node.0.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    let ended = eventually(async || node.0.try_wait().unwrap().ok_or("it goes on".to_owned()));
    assert!(ended.await.success());
    let help = command().args(["serve", "--help"]).output().unwrap();
    let tool = command().args(["org", "list"]).output().unwrap();
    assert!(!tool.status.success());
    let complaint = String::from_utf8_lossy(&tool.stderr).into_owned();
    assert!(complaint.contains("sloe: the store can't be reached"), "{complaint}");
    let mut bad = command();
    bad.env("SLOE_STORE", "mongo://sloe:hunter2%21@h/x").args(["org", "list"]);
    let bad = String::from_utf8(bad.output().unwrap().stderr).unwrap();
    assert!(bad.contains("no store"), "{bad}");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("MongoDB 127.0.0.1:1,127.0.0.1:2, database events"), "{log}");
    for text in [&log, &told, &complaint, &bad, &String::from_utf8(help.stdout).unwrap()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
