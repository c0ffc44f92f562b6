//! An org whose changes are followed, all of it encrypted, as an operator connects it: the real
//! platform, the real commands, and a certificate that only a file vouches for.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{Running, SimOrg, eventually};

/// Files with keys for tests only.
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sim/tests/org/keys");

fn key(name: &str) -> PathBuf {
    Path::new(KEYS).join(name)
}

fn sloe(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
    let store = format!("embedded:{}", directory.join("store").display());
    command
        .env("SLOE_MASTER_KEY", "11".repeat(32))
        .env("SLOE_STORE", store)
        .env("SLOE_LOG", "error")
        // Whom this machine trusts: nobody but the tests' authority.
        .env("SSL_CERT_FILE", key("test-only-authority.pem"))
        .stdin(Stdio::null());
    command
}

/// What a command prints.
fn said(command: &mut Command) -> String {
    let done = command.output().unwrap();
    let (told, why) =
        (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {told}{why}");
    told.into_owned()
}

/// How the org's change events stand.
fn changes(directory: &Path) -> Value {
    let told = said(sloe(directory).args(["org", "changes", "acme", "--json"]));
    serde_json::from_str(&told).unwrap()
}

/// Where the running platform answers, as it notes for commands.
fn site(directory: &Path) -> String {
    let note = std::fs::read(directory.join("store/running.json")).unwrap();
    let note: Value = serde_json::from_slice(&note).unwrap();
    note["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_org_connected_with_change_events_over_tls_shows_what_changes_there() {
    // The test's own client chooses how it encrypts.
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let pem = std::fs::read(key("test-only-authority.pem")).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap();
    let [cert, private] = ["test-only-server.pem", "test-only-server.key.pem"]
        .map(|name| key(name).display().to_string());
    let tls = ["--pubsub-listen", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &private];
    let telling = SimOrg::start_for(&client, &tls);
    let org = &telling.org;
    let secret = directory.path().join("secret");
    std::fs::write(&secret, org.client_secret()).unwrap();
    let mut add = sloe(directory.path());
    add.args(["org", "add", "--slug", "acme", "--name", "Acme", "--url", &org.url]);
    add.args(["--client-id", org.client_id(), "--client-secret-file"]).arg(&secret);
    add.args(["--change-events", "--pubsub-url", &org.pubsub]);
    let told = said(&mut add);
    assert!(told.contains("Change events are on, from https://127.0.0.1:"), "{told}");
    let serve = sloe(directory.path()).args(["serve", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let _platform = Running(serve);
    // Change events are followed.
    eventually(async || {
        if !directory.path().join("store/running.json").exists() {
            return Err("the platform has not begun".to_owned());
        }
        let told = changes(directory.path());
        if told["healthy"] == true { Ok(()) } else { Err(told.to_string()) }
    })
    .await;

    let found = org.query("SELECT Id FROM Sloe_Event__c WHERE Published__c = true LIMIT 1").await;
    let id = found[0]["Id"].as_str().unwrap();
    org.patch("Sloe_Event__c", id, &json!({ "Name": "Told over TLS" })).await;
    let page = format!("{}/acme", site(directory.path()));
    eventually(async || {
        let page = reqwest::get(&page).await.map_err(|e| e.to_string())?;
        let page = page.text().await.map_err(|e| e.to_string())?;
        if page.contains("Told over TLS") { Ok(()) } else { Err(page) }
    })
    .await;
    // A look for changes may have been faster.
    eventually(async || {
        let told = changes(directory.path());
        if told["told"].as_u64() > Some(0) { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
    let told = said(sloe(directory.path()).args(["org", "changes", "acme", "--off"]));
    assert!(told.contains("Change events are off"), "{told}");
}
