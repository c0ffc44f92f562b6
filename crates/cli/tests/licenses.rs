//! Licenses as people meet them: on the command line, on the site, in the
//! metrics; the demo's source org says who may be live.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{Demo, Running, SimOrg, attendee, eventually};

async fn metric(demo: &Demo, name: &str) -> Option<f64> {
    let asked = demo.client().get(demo.url("/metrics")).bearer_auth(demo.token());
    let text = asked.send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[tokio::test]
async fn commands_say_who_may_be_live_and_why_and_a_source_org_is_not_overruled_by_hand() {
    let demo = Demo::start_to_keep().await;
    let list = demo.sloe(&["license", "list"]);
    for part in ["meridian", "harbor", "L-00001", "L-00007", "Uninstalled", "7 rows"] {
        assert!(list.contains(part), "{part:?} is not in\n{list}");
    }
    assert!(!list.contains("L-00008"), "another package's row\n{list}");
    let all: Value = serde_json::from_str(&demo.sloe(&["license", "list", "--json"])).unwrap();
    assert_eq!(all["orgs"].as_array().unwrap().len(), 7);
    assert_eq!(
        (&all["orgs"][0]["slug"], &all["orgs"][0]["live"]),
        (&json!("harbor"), &json!(true))
    );
    assert_eq!(
        (&all["source"]["url"], &all["source"]["alarm"]),
        (&json!(demo.source), &json!(false))
    );
    let show = demo.sloe(&["license", "show", "meridian"]);
    assert!(show.contains("L-00001") && show.contains("Active"), "{show}");
    let why = demo.sloe(&["license", "why", "meridian"]);
    assert!(why.starts_with("Live: license L-00001 is Active. The source org was read"), "{why}");
    // An org that is not connected, by 15 characters; and one that nobody licensed.
    let why = demo.sloe(&["license", "why", "00D1a000000Elm3"]);
    assert!(why.starts_with("Not live: license L-00006 is Suspended."), "{why}");
    let why = demo.sloe(&["license", "why", "00D1a000000None"]);
    assert!(why.contains("no license") && why.contains("subscriber 00D1a000000None"), "{why}");
    let (_, refused) = demo.refused(&["license", "why", "nobody"]);
    assert!(refused.contains("no org \"nobody\" is connected"), "{refused}");
    let (_, refused) = demo.refused(&["license", "set", "meridian", "--number", "L-1"]);
    assert!(refused.contains("can't be recorded by hand"), "{refused}");
    assert!(refused.contains(&demo.source), "{refused}");
}

#[tokio::test]
async fn a_suspended_org_takes_no_registration_says_so_and_comes_back() {
    let demo = Demo::start().await;
    let event = demo.org("harbor").event("lighthouse-night-walks").to_owned();
    let adult = demo.id_of(&event, "Adult").await;
    let one = [attendee(&adult, &[], ("Ada", "Lovelace"))];
    assert_eq!(demo.register(&event, &one).await.0, 201);
    demo.license("harbor", "Suspended").await;
    let (status, refused) = demo.register(&event, &one).await;
    assert_eq!(status, 403, "{refused}");
    assert_eq!(refused["type"], "/problems/license-inactive", "{refused}");
    let page = demo.client().get(demo.url("/harbor/lighthouse-night-walks")).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(page.contains("Registration is paused"), "{page}");
    eventually(async || match metric(&demo, "sloe_license_live_orgs").await {
        Some(1.0) => Ok(()),
        other => Err(format!("{other:?} live orgs")),
    })
    .await;
    assert_eq!(metric(&demo, "sloe_license_rows").await, Some(7.0));
    assert!(metric(&demo, "sloe_license_age_seconds").await.is_some_and(|age| age < 60.0));
    demo.license("harbor", "Active").await;
    assert_eq!(demo.register(&event, &one).await.0, 201);
}

#[tokio::test]
async fn a_dark_source_org_is_told_and_nobody_notices_else() {
    let demo = Demo::start_to_keep().await;
    let faults = format!("{}/__control/faults", demo.source);
    let dark = demo.client().put(faults).json(&json!({ "outage": true })).send().await.unwrap();
    assert!(dark.status().is_success());
    let trouble = eventually(async || {
        let all = demo.sloe(&["org", "list"]);
        if all.contains("The source org of licenses") { Ok(all) } else { Err(all) }
    })
    .await;
    assert!(trouble.contains("What is known stands"), "{trouble}");
    assert!(demo.sloe(&["license", "why", "harbor"]).contains("What is known stands"));
    let ready = demo.client().get(demo.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    let event = demo.org("harbor").event("lighthouse-night-walks").to_owned();
    let adult = demo.id_of(&event, "Adult").await;
    let one = [attendee(&adult, &[], ("Grace", "Hopper"))];
    assert_eq!(demo.register(&event, &one).await.0, 201);
}

/// Keys for tests only.
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sim/tests/org/keys/test.pem");
const PUBLIC_KEY: &str = include_str!("../../sim/tests/org/keys/test.pub.pem");

/// The org that licenses others, where Sloe's app has a key and no secret; its address.
fn start_source(directory: &Path) -> (SimOrg, String) {
    let org = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
        command.args(["sim", "org", "--source"]).stdin(Stdio::null());
        command
    };
    let seed = String::from_utf8(org().arg("--print-seed").output().unwrap().stdout).unwrap();
    let key = format!("jwt_public_key = \"\"\"\n{PUBLIC_KEY}\"\"\"");
    let mut lines: Vec<&str> = seed.lines().collect();
    let secret = lines.iter().position(|line| line.starts_with("client_secret"));
    lines[secret.unwrap()] = &key;
    let file = directory.join("source.toml");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let org = SimOrg::start(&["--seed", file.to_str().unwrap()]);
    let url = org.org.url.clone();
    (org, url)
}

/// A platform that signs in to the source org as `user`, by the key alone.
fn start_platform(directory: &Path, source: &str, user: &str) -> Running {
    let mut command = platform(directory, &["serve", "--listen", "127.0.0.1:0"]);
    command.args(["--license-url", source, "--license-client-id", "3MVG9source.demo.sloe.client"]);
    command.args(["--license-jwt-key-file", KEY, "--license-username", user]);
    command.args(["--license-package", "0333k000000Sloe", "--license-every", "1"]);
    Running(command.stdout(Stdio::null()).spawn().unwrap())
}

fn platform(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
    let store = format!("embedded:{}", directory.join("store").display());
    command.args(arguments).args(["--store", &store]);
    command.env("SLOE_MASTER_KEY", "11".repeat(32)).env("SLOE_LOG", "error").stdin(Stdio::null());
    command
}

/// Waits until a command on the running platform's store says something.
async fn says(directory: &Path, arguments: &[&str], text: &str) -> String {
    eventually(async || {
        if !directory.join("store/running.json").exists() {
            return Err("the platform has not begun".to_owned());
        }
        let done = platform(directory, arguments).output().unwrap();
        let told = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        if told.contains(text) { Ok(told) } else { Err(told) }
    })
    .await
}

#[tokio::test]
async fn a_source_org_is_read_by_an_app_that_has_a_key_and_no_secret() {
    // The test's own client chooses how it encrypts.
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (_org, source) = start_source(directory.path());
    let place = directory.path().join("good");
    let _platform = start_platform(&place, &source, "sloe@licenses.example");
    let list = says(&place, &["license", "list"], "7 rows").await;
    assert!(list.contains(&source) && list.contains("L-00006"), "{list}");
    let why = ["license", "why", "00D1a000000Elm3"];
    says(&place, &why, "Not live: license L-00006 is Suspended.").await;
    let url = format!("{source}/__control/licenses/L-00006");
    let changed = reqwest::Client::new().patch(url).json(&json!({ "status": "Active" }));
    assert!(changed.send().await.unwrap().status().is_success());
    says(&place, &why, "Live: license L-00006 is Active. The source org was read").await;
}

#[tokio::test]
async fn a_user_whom_the_source_org_does_not_know_is_told_and_nobody_is_live_by_that() {
    let directory = tempfile::tempdir().unwrap();
    let (_org, source) = start_source(directory.path());
    let place = directory.path().join("wrong");
    let _platform = start_platform(&place, &source, "nobody@licenses.example");
    let list = says(&place, &["license", "list"], "login: refused with").await;
    assert!(list.contains("was never read") && list.contains("invalid_grant"), "{list}");
    assert!(!list.contains("PRIVATE KEY") && !list.contains("L-0000"), "{list}");
}
