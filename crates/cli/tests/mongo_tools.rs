//! What operators do where many nodes share a MongoDB: roles of their own,
//! commands on the store itself beside the nodes, and commands that ask one.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::nodes::{Ground, Node, shown};
use support::{PATIENCE, attendee, eventually};

struct Operator {
    client: Client,
}

impl Operator {
    fn new() -> Self {
        let redirect = reqwest::redirect::Policy::none();
        let client = Client::builder().no_proxy().redirect(redirect).timeout(PATIENCE);
        Self { client: client.build().unwrap() }
    }

    async fn json(&self, url: String) -> Value {
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// Registers somebody at a node.
    async fn register(&self, node: &Node, last: &str) {
        let events = self.json(format!("{}/api/v1/orgs/acme/events", node.url())).await;
        let event = events["data"][0]["id"].as_str().unwrap().to_owned();
        let read = self.json(format!("{}/api/v1/events/{event}", node.url())).await;
        let item = read["items"][0]["id"].as_str().unwrap();
        let body = json!({ "attendees": [attendee(item, &[], ("Ada", last))] });
        let url = format!("{}/api/v1/events/{event}/registrations", node.url());
        // The node hears within a second that the org is licensed.
        eventually(async || {
            let answer = self.client.post(&url).json(&body).send().await.unwrap();
            match answer.status().as_u16() {
                201 => Ok(()),
                status => Err(format!("{status} {}", answer.text().await.unwrap())),
            }
        })
        .await;
    }

    /// Whether a link that lets staff in does so at a node.
    async fn signs_in(&self, node: &Node, link: &str) -> StatusCode {
        let token = link.trim().rsplit('/').next().unwrap();
        let form = self.client.post(format!("{}/staff/sign-in", node.url()));
        let form = form.form(&[("token", token)]).header("sec-fetch-site", "same-origin");
        form.send().await.unwrap().status()
    }
}

/// Waits until a command prints JSON of which something is so.
async fn until(ground: &Ground, arguments: &[&str], so: impl Fn(&Value) -> bool) {
    eventually(async || {
        let told = ground.run(arguments);
        let told: Value = serde_json::from_str(&told).map_err(|error| error.to_string())?;
        if so(&told) { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_nodes_leave_the_work_to_workers_and_tools_work_on_the_store_beside_both() {
    let ground = Ground::begin(50).await;
    let operator = Operator::new();
    let mut web = ground.start(&["--role", "web"]);
    web.ready().await;
    ground.connect();
    let list = ground.run(&["org", "list"]);
    assert!(list.contains("acme") && list.contains("yes"), "{list}");
    // The web node knows of the org, and reads nothing of it: that is others' work.
    let org = format!("{}/acme", web.url());
    shown(&org).await;
    let page = operator.client.get(format!("{org}/event")).send().await.unwrap();
    assert_eq!(page.status(), 404);
    let mut worker = ground.start(&["--role", "worker"]);
    worker.ready().await;
    shown(&format!("{org}/event")).await;
    operator.register(&web, "Lovelace").await;
    let drained = |told: &Value| told["orgs"][0]["drained"] == true;
    until(&ground, &["sync", "status", "--json"], drained).await;

    // What is asked of the store itself.
    let why = ground.run(&["license", "why", "acme"]);
    assert!(why.starts_with("Live"), "{why}");
    let history = ground.run(&["event", "replay", &event_id(&operator, &web).await]);
    assert!(history.contains("confirmed") && !history.contains("Lovelace"), "{history}");
    let mut link = ground.command();
    link.args(["staff", "link"]).env("SLOE_PUBLIC_URL", web.url());
    let link = String::from_utf8(link.output().unwrap().stdout).unwrap();
    assert!(link.starts_with(&web.url()), "{link}");
    assert_eq!(operator.signs_in(&worker, &link).await, 303, "any node takes it");
    let invited = ["event", "invite", "--org", "acme", "--event", "event", "0035g00000AbCdEAAV"];
    let mut invite = ground.command();
    invite.args(invited).env("SLOE_PUBLIC_URL", web.url());
    let links = String::from_utf8(invite.output().unwrap().stdout).unwrap();
    let invitation = links.lines().nth(1).unwrap().split(',').nth(1).unwrap().to_owned();
    let opened = operator.client.get(&invitation).send().await.unwrap();
    assert!(opened.status().as_u16() < 400, "{invitation}: {}", opened.status());
    ground.run(&["event", "refresh", "--org", "acme"]);
    let verified = ground.run(&["sync", "verify", "acme", "--json"]);
    let verified: Value = serde_json::from_str(&verified).unwrap();
    assert!(verified["began"].is_string(), "{verified}");
    let receipt = ["person", "erase", "--org", "acme", "--email", "ada.lovelace@example.org"];
    assert!(ground.run(&receipt).contains("attendees  1 in 1 orders"));
    assert!(ground.run(&["store", "rebuild"]).contains("made anew"));
    operator.register(&web, "Hopper").await;

    // What is asked of a node.
    let url = web.url();
    let asked = ground.run(&["sync", "status", "--json", "--platform", &url]);
    assert!(asked.contains("acme"), "{asked}");
    let mut stranger = ground.command();
    stranger.args(["org", "list", "--platform", &url]).env("SLOE_ADMIN_TOKEN", "x".repeat(20));
    let refused = stranger.output().unwrap();
    assert!(!refused.status.success(), "{refused:?}");
    web.end().await;
    worker.end().await;
}

async fn event_id(operator: &Operator, node: &Node) -> String {
    let events = operator.json(format!("{}/api/v1/orgs/acme/events", node.url())).await;
    events["data"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_asked_to_stop_says_so_and_goes_on_until_that_was_noticed() {
    let ground = Ground::begin(10).await;
    let mut node = ground.start(&["--drain", "300"]);
    node.ready().await;
    let operator = Operator::new();
    node.signal("TERM");
    let url = format!("{}/readyz", node.url());
    eventually(async || {
        let answer = operator.client.get(&url).send().await.map_err(|error| error.to_string())?;
        if answer.status() == 503 { Ok(()) } else { Err(answer.status().to_string()) }
    })
    .await;
    // It still takes connections, and lets nobody keep one.
    let answer = operator.client.get(format!("{}/", node.url())).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["connection"]),
        (200, &"close".parse().unwrap())
    );
    // Asked again, it waits no longer.
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_and_the_role_are_asked_for_in_a_sentence() {
    let ground = Ground::begin(1).await;
    let mut keyless = ground.command();
    keyless.env_remove("SLOE_MASTER_KEY").args(["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8(keyless.output().unwrap().stderr).unwrap();
    assert!(said.contains("SLOE_MASTER_KEY") && said.contains("every node"), "{said}");
    let mut split = ground.command();
    let embedded = format!("embedded:{}", ground.directory.path().display());
    split.env("SLOE_STORE", embedded).args(["serve", "--role", "web"]);
    let said = String::from_utf8(split.output().unwrap().stderr).unwrap();
    assert!(said.contains("--role all") && said.contains("MONGODB_URI"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_the_source_org_need_not_be_in_a_file() {
    let ground = Ground::begin(1).await;
    let serve = || {
        let mut serve = ground.command();
        serve.args(["serve", "--listen", "127.0.0.1:0", "--license-url", "https://lma.example"]);
        serve.args(["--license-client-id", "x", "--license-package", "Sloe"]);
        // What is read after it, and is not there either: it never serves.
        serve.args(["--admin-token-file", "/none"]).env_remove("SLOE_LICENSE_CLIENT_SECRET");
        serve
    };
    let said = |output: std::process::Output| String::from_utf8(output.stderr).unwrap();
    let without = said(serve().output().unwrap());
    assert!(without.contains("SLOE_LICENSE_CLIENT_SECRET"), "{without}");
    let with = said(serve().env("SLOE_LICENSE_CLIENT_SECRET", "s3cret").output().unwrap());
    assert!(with.contains("/none can't be read") && !with.contains("s3cret"), "{with}");
}
