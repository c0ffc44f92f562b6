//! An org whose changes are followed, all of it encrypted, as an operator connects it: the real
//! platform, the real commands, and a certificate that only a file vouches for.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// Files with keys for tests only.
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sim/tests/org/keys");

fn key(name: &str) -> PathBuf {
    Path::new(KEYS).join(name)
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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

fn start_org(directory: &Path) -> (Running, Value) {
    let mut command = sloe(directory);
    command.args(["sim", "org", "--json", "--listen", "127.0.0.1:0"]);
    command.args(["--pubsub-listen", "127.0.0.1:0", "--tls-cert"]);
    command.arg(key("test-only-server.pem")).arg("--tls-key").arg(key("test-only-server.key.pem"));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Running(child), serde_json::from_str(&line).unwrap())
}

/// Looks again and again until it is so; three minutes without are a failure.
async fn until(what: &str, mut so: impl AsyncFnMut() -> Result<(), String>) {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(180);
    while let Err(why) = so().await {
        assert!(tokio::time::Instant::now() < give_up, "{what}: {why}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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
    let (_org, facts) = start_org(directory.path());
    let fact = |name: &str| facts[name].as_str().unwrap().to_owned();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, fact("client_secret")).unwrap();
    let mut add = sloe(directory.path());
    add.args(["org", "add", "--slug", "acme", "--name", "Acme", "--url", &fact("url")]);
    add.args(["--client-id", &fact("client_id"), "--client-secret-file"]).arg(&secret);
    add.args(["--change-events", "--pubsub-url", &fact("pubsub")]);
    let told = said(&mut add);
    assert!(told.contains("Change events are on, from https://127.0.0.1:"), "{told}");
    let serve = sloe(directory.path()).args(["serve", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let _platform = Running(serve);
    until("change events are followed", async || {
        if !directory.path().join("store/running.json").exists() {
            return Err("the platform has not begun".to_owned());
        }
        let told = changes(directory.path());
        if told["healthy"] == true { Ok(()) } else { Err(told.to_string()) }
    })
    .await;

    let pem = std::fs::read(key("test-only-authority.pem")).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    let org = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
    let url = fact("url");
    let form = [
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", fact("client_id")),
        ("client_secret", fact("client_secret")),
    ];
    let session = org.post(format!("{url}/services/oauth2/token")).form(&form).send().await;
    let session: Value = session.unwrap().json().await.unwrap();
    let token = session["access_token"].as_str().unwrap();
    let soql = "SELECT Id FROM Sloe_Event__c WHERE Published__c = true LIMIT 1";
    let found = org.get(format!("{url}/services/data/v62.0/query")).query(&[("q", soql)]);
    let found: Value = found.bearer_auth(token).send().await.unwrap().json().await.unwrap();
    let id = found["records"][0]["Id"].as_str().unwrap();
    let record = format!("{url}/services/data/v62.0/sobjects/Sloe_Event__c/{id}");
    let change = org.patch(record).bearer_auth(token).json(&json!({ "Name": "Told over TLS" }));
    assert!(change.send().await.unwrap().status().is_success());
    let page = format!("{}/acme", site(directory.path()));
    until("the new name is on the site", async || {
        let page = reqwest::get(&page).await.map_err(|e| e.to_string())?;
        let page = page.text().await.map_err(|e| e.to_string())?;
        if page.contains("Told over TLS") { Ok(()) } else { Err(page) }
    })
    .await;
    // A look for changes may have been faster.
    until("it was told", async || {
        let told = changes(directory.path());
        if told["told"].as_u64() > Some(0) { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
    let told = said(sloe(directory.path()).args(["org", "changes", "acme", "--off"]));
    assert!(told.contains("Change events are off"), "{told}");
}
