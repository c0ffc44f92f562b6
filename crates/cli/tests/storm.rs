//! `sloe storm` as people run it: a mixed crowd against the whole demo, proven right and
//! told on a page, and a server that lies, proven wrong.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};
use support::{Browser, Demo, Look};
use tokio::net::{TcpListener, TcpStream};

const SCENARIO: &str = r#"
name = "A bit of everything"
visitors = 400
connections = 32
party = 2
sessions = 2

[arrival]
curve = "wave"
seconds = 2

[mix]
registrants = 8
lookers = 6
abandoners = 3
double-clickers = 6
reloaders = 4
bots = 2

[ways]
api = 1
hold = 1
html = 1

[proof]
expiry_seconds = 0
"#;

fn storm(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
    command.arg("storm").args(args).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const AXE: &str = include_str!("../../../tests/vendor/axe.min.js");
/// What is wrong with the page for somebody, in axe's words.
const BREACHES: &str = "return axe.run(document).then(found => found.violations.map(rule =>
    rule.id + ': ' + rule.nodes.map(node => node.target + ' ' + node.failureSummary).join('; ')))";

/// Passes connections on to the demo, as if it had another node.
async fn another_address(site: &str) -> String {
    let to = site.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            let to = to.clone();
            tokio::spawn(async move {
                let mut to = TcpStream::connect(to).await.unwrap();
                // Either side may hang up.
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_crowd_is_served_proven_and_told_on_a_page() {
    let demo = Demo::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mix.toml"), SCENARIO).unwrap();
    let targets = format!("{},{}", demo.site, another_address(&demo.site).await);
    let org = demo.org("meridian");
    let done = {
        let folder = folder.path().to_owned();
        let mut args = vec!["--target", &targets, "--event", "meridian/keynote-live"];
        args.extend(["--scenario", "mix.toml", "--seed", "7"]);
        args.extend(["--json", "report.json", "--html", "report.html"]);
        args.extend(["--org-url", &org.url, "--org-client-id", org.client_id()]);
        args.extend(["--org-client-secret", org.client_secret()]);
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        // The other address is served by this process.
        let storm = tokio::task::spawn_blocking(move || {
            storm(&folder, &args.iter().map(String::as_str).collect::<Vec<_>>())
        });
        storm.await.unwrap()
    };
    let told = text(&done.stdout);
    assert!(done.status.success(), "{told}{}", text(&done.stderr));
    assert_eq!(text(&done.stderr), "", "nothing is shown where nobody watches");
    let report = std::fs::read(folder.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    everybody_is_counted_once(&report, told);
    everything_is_proven(&report, told);
    the_page_can_be_read(&folder.path().join("report.html"), org.client_secret()).await;
}

fn everybody_is_counted_once(report: &Value, told: &str) {
    let kinds = report["kinds"].as_array().unwrap();
    let sum = |of: &str| kinds.iter().map(|kind| kind[of].as_u64().unwrap()).sum::<u64>();
    assert_eq!(kinds.len(), 6, "{told}");
    assert_eq!((sum("came"), report["visitors"].as_u64()), (400, Some(400)), "{told}");
    let ended: u64 = ["registered", "left", "refused", "failed"].map(sum).iter().sum();
    assert_eq!(ended, 400, "{told}");
    assert_eq!(report["registrations"], sum("registered"), "{told}");
    assert_eq!(report["requests"], sum("requests"), "{told}");
    assert_eq!((sum("refused"), sum("failed")), (0, 0), "{told}");
    let of = |kind: &str, field: &str| {
        kinds.iter().find(|one| one["kind"] == kind).map(|one| one[field].as_u64().unwrap())
    };
    for kind in ["registrants", "double-clickers", "reloaders"] {
        assert_eq!(of(kind, "registered"), of(kind, "came"), "{told}");
    }
    assert_eq!(report["abandoned_holds"].as_u64(), of("abandoners", "came"), "{told}");
    assert!(report["unchanged"].as_u64().unwrap() > 0, "pages are asked for again: {told}");
    let bots = report["bots"].as_object().unwrap();
    assert!(bots.keys().all(|status| status.starts_with('4')), "{bots:?}");
    assert!(bots.len() > 3, "they try this and that: {bots:?}");
    let targets = report["targets"].as_array().unwrap();
    let answers: Vec<u64> = targets.iter().map(|one| one["answers"].as_u64().unwrap()).collect();
    assert_eq!(answers.iter().sum::<u64>(), report["requests"].as_u64().unwrap(), "{told}");
    assert!(answers.len() == 2 && answers[0].abs_diff(answers[1]) < answers[0] / 2, "{told}");
}

fn everything_is_proven(report: &Value, told: &str) {
    let findings = report["findings"].as_array().unwrap();
    let verdict = |begin: &str| {
        let claims = |one: &&Value| one["claim"].as_str().unwrap().starts_with(begin);
        findings.iter().find(claims).unwrap_or_else(|| panic!("{begin}: {told}")).clone()
    };
    for claim in [
        "no pool",
        "every acknowledged registration",
        "clicking twice",
        "bots get nothing",
        "every acknowledged attendee",
        "the org has no more",
    ] {
        assert_eq!(verdict(claim)["verdict"], "held", "{told}");
    }
    // Holds of this event last ten minutes.
    let back = verdict("abandoned seats");
    assert_eq!(back["verdict"], "unchecked", "{told}");
    assert!(back["detail"].as_str().unwrap().starts_with("not yet due: "), "{told}");
    assert_eq!((findings.len(), &report["verdict"]), (7, &json!("held")), "{told}");
    assert!(told.contains("It held."), "{told}");
}

async fn the_page_can_be_read(file: &Path, secret: &str) {
    let page = std::fs::read_to_string(file).unwrap();
    assert!(!page.contains(secret) && page.contains("--org-client-secret …"), "no secret is told");
    let url = format!("file://{}", file.display());
    for look in [Look::PHONE, Look::PHONE.dark(), Look::DESKTOP, Look::DESKTOP.dark()] {
        let browser = Browser::open(look).await;
        browser.goto(&url).await;
        assert_eq!(browser.text("h1").await, "It held.");
        let wide = "return document.documentElement.scrollWidth - innerWidth";
        assert!(browser.evaluate(wide).await.as_i64().unwrap() <= 0, "it fits {look:?}");
        let plots = "return [...document.querySelectorAll('figure svg')].filter(plot => \
                     plot.getBoundingClientRect().height > 100 && plot.querySelector('.line, .bar')).length";
        assert_eq!(browser.evaluate(plots).await, 6, "{look:?}");
        let small = "return Math.min(...[...document.querySelectorAll('svg text')].map(text => \
                     text.getBoundingClientRect().height))";
        assert!(browser.evaluate(small).await.as_f64().unwrap() >= 9.0, "axes can be read");
        browser.evaluate(AXE).await;
        assert_eq!(browser.evaluate(BREACHES).await, json!([]), "{look:?}");
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser.shoot("storm-report").await;
    }
}

/// A server that has one seat left and sells it to everybody.
async fn liar() -> String {
    let event = || async {
        axum::Json(json!({
            "id": "e1", "name": "Party", "left": 1,
            "items": [{"id": "i1", "name": "Free", "price": null, "left": null}],
        }))
    };
    let answer =
        || json!({"order": "o1", "reference": "R-1", "url": "/", "tickets": [{"item": "i1"}]});
    let router = Router::new()
        .route("/api/v1/events/{event}", get(event))
        .route(
            "/api/v1/events/{event}/registrations",
            post(async move || (StatusCode::CREATED, axum::Json(answer()))),
        )
        .route("/api/v1/orders/{order}", get(async move || axum::Json(answer())));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_sells_a_seat_twice_is_found_out_and_the_exit_status_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let target = liar().await;
    let path = folder.path().to_owned();
    let done = tokio::task::spawn_blocking(move || {
        let args = ["--target", &target, "--event", "e1", "--visitors", "3", "--html", "r.html"];
        storm(&path, &args)
    });
    let done = done.await.unwrap();
    let told = text(&done.stdout);
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(told.contains("BROKEN     no pool is oversold"), "{told}");
    assert!(told.contains("event: 1 were left, 3 were acknowledged"), "{told}");
    assert!(told.contains("BROKEN     every acknowledged registration is in Sloe"), "{told}");
    assert!(told.contains("R-1: given to two visitors"), "{told}");
    assert!(told.contains("It did not hold."), "{told}");
    let page = std::fs::read_to_string(folder.path().join("r.html")).unwrap();
    assert!(page.contains("<h1>It did not hold.</h1>"), "{page}");
}

#[tokio::test]
async fn what_can_not_be_done_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let shown = storm(folder.path(), &["--print-scenario"]);
    assert!(shown.status.success());
    std::fs::write(folder.path().join("good.toml"), &shown.stdout).unwrap();
    std::fs::write(folder.path().join("bad.toml"), "[mix]\nbot = 1\nlookers = -1\n").unwrap();
    let nobody = ["--target", "http://127.0.0.1:9", "--event", "org/party"];
    let refused = |more: &[&str]| {
        let done = storm(folder.path(), &[&nobody, more].concat());
        assert!(!done.status.success());
        text(&done.stderr).to_owned()
    };
    let bad = refused(&["--scenario", "bad.toml"]);
    for fault in [
        "bad.toml is no scenario",
        "--print-scenario",
        "line 2: `mix.bot` is not known; did you mean `bots`?",
        "line 3: `mix.lookers` must be from 0 to 1,000,000, not -1",
    ] {
        assert!(bad.contains(fault), "{bad}");
    }
    assert!(refused(&["--scenario", "none.toml"]).contains("none.toml can't be read"));
    assert!(refused(&["--scenario", "good.toml"]).contains("no connection"), "the file is good");
    assert!(refused(&["--html", "none/r.html"]).contains("none/r.html can't be written"));
    assert!(refused(&["--curve", "wave"]).contains("--duration"));
    assert!(refused(&["--rate", "1", "--burst"]).contains("cannot be used with"));
    assert!(refused(&["--scenario", "good.toml", "--mode", "api"]).contains("cannot be used with"));
}
