//! The real binary reads a large org, ten thousand records of some eighty
//! megabytes, while its pages are asked for: in bounded memory, and then an
//! Update shows and is measured.
#![cfg(all(feature = "sim", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The bound of everything that is waited for; far beyond what it takes.
const PATIENCE: Duration = Duration::from_secs(120);
const EVENTS: usize = 1_000;
const SESSIONS: usize = 10_000;
/// What reading the org may add to the process at its peak: the catalog's own
/// cache of 64 MiB, some pages of the org's answers, and what the allocator keeps
/// of those before. In debug builds too.
const MOST_KIB: u64 = 208 * 1_024;

/// A process that ends with its holder.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

fn sloe(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
    command.env("SLOE_MASTER_KEY", "7".repeat(64)).env("SLOE_LOG", "warn").stdin(Stdio::null());
    command.env("SLOE_STORE", format!("embedded:{}", directory.display()));
    command
}

/// What a command prints; it must end well unless `may_fail`.
fn told(mut command: Command, may_fail: bool) -> String {
    let done = command.output().unwrap();
    assert!(may_fail || done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

struct Org {
    facts: Value,
    token: String,
    http: reqwest::Client,
    _running: Running,
}

impl Org {
    async fn start(http: &reqwest::Client) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
        command.args(["sim", "org", "--json", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let facts: Value = serde_json::from_str(&line).unwrap();
        let fact = |name: &str| facts[name].as_str().unwrap().to_owned();
        let form = [
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", fact("client_id")),
            ("client_secret", fact("client_secret")),
        ];
        let url = format!("{}/services/oauth2/token", fact("url"));
        let answer: Value = http.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Self { facts, token, http: http.clone(), _running: Running(child) }
    }

    fn fact(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap()
    }

    /// Makes records, 200 a call; their ids in order.
    async fn create(&self, object: &str, records: impl Iterator<Item = Value>) -> Vec<String> {
        let url = format!("{}/services/data/v62.0/composite/sobjects", self.fact("url"));
        let (mut ids, mut some) = (Vec::new(), Vec::new());
        let mut records = records.peekable();
        while let Some(mut record) = records.next() {
            record["attributes"] = json!({ "type": object });
            some.push(record);
            if some.len() == 200 || records.peek().is_none() {
                let body = json!({ "allOrNone": true, "records": std::mem::take(&mut some) });
                let request = self.http.post(&url).json(&body).bearer_auth(&self.token);
                let answer: Value = request.send().await.unwrap().json().await.unwrap();
                let saved = answer.as_array().unwrap_or_else(|| panic!("{answer}"));
                ids.extend(saved.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
            }
        }
        ids
    }

    async fn rename(&self, event: &str, name: &str) {
        let url =
            format!("{}/services/data/v62.0/sobjects/Sloe_Event__c/{event}", self.fact("url"));
        let request = self.http.patch(url).json(&json!({ "Name": name })).bearer_auth(&self.token);
        assert!(request.send().await.unwrap().status().is_success());
    }
}

/// A thousand events with ten sessions each, all of them with much to say.
async fn fill(org: &Org) -> Vec<String> {
    let (long, longer) = ("Sessions say much. ".repeat(380), "Events say more. ".repeat(900));
    let events = org.create(
        "Sloe_Event__c",
        (0..EVENTS).map(|n| {
            json!({
                "Name": format!("Large {n}"), "Published__c": true, "Time_Zone__c": "UTC",
                "Starts_At__c": "2031-05-01T09:00:00.000+0000",
                "Ends_At__c": "2031-05-01T17:00:00.000+0000", "Description__c": longer,
            })
        }),
    );
    let events = events.await;
    let sessions = org.create(
        "Sloe_Session__c",
        (0..SESSIONS).map(|n| {
            json!({
                "Event__c": events[n % EVENTS], "Name": format!("Session {n}"),
                "Starts_At__c": "2031-05-01T10:00:00.000+0000",
                "Ends_At__c": "2031-05-01T11:00:00.000+0000", "Description__c": long,
            })
        }),
    );
    sessions.await;
    events
}

/// Starts the platform; returns it and its address once it serves.
fn serve(directory: &Path) -> (Running, String) {
    let mut command = sloe(directory);
    command.args(["serve", "--listen", "127.0.0.1:0", "--rate-limit", "0"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| {
        let line = line.unwrap();
        Some(line.strip_prefix("sloe: serving ")?.split(' ').next()?.to_owned())
    });
    // Whatever else it says is of interest if the test fails.
    std::thread::spawn(move || lines.for_each(|line| eprintln!("{}", line.unwrap_or_default())));
    (Running(child), address.unwrap())
}

/// Connects the org and gives it a license; the hook's secret.
fn connect(directory: &Path, org: &Org) -> String {
    let secret = directory.join("client-secret");
    std::fs::write(&secret, org.fact("client_secret")).unwrap();
    let mut add = sloe(directory);
    add.args(["org", "add", "--slug", "large", "--name", "Large", "--url", org.fact("url")]);
    add.args(["--client-id", org.fact("client_id"), "--client-secret-file"]).arg(&secret);
    let printed = told(add, false);
    let line = printed.lines().find_map(|line| line.trim().strip_prefix("Secret "));
    let secret = line.unwrap_or_else(|| panic!("{printed}")).trim().to_owned();
    let mut license = sloe(directory);
    license.args(["license", "set", "large", "--number", "L-1"]);
    told(license, false);
    secret
}

async fn metrics(http: &reqwest::Client, directory: &Path, site: &str) -> String {
    let note = std::fs::read(directory.join("running.json")).unwrap();
    let note: Value = serde_json::from_slice(&note).unwrap();
    let token = note["token"].as_str().unwrap();
    let request = http.get(format!("{site}/metrics")).bearer_auth(token);
    request.send().await.unwrap().text().await.unwrap()
}

async fn page(http: &reqwest::Client, site: &str, event: &str) -> (u16, String) {
    let answer = http.get(format!("{site}/large/{event}")).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_events_are_read_in_bounded_memory_while_pages_are_served() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let org = Org::start(&http).await;
    let events = fill(&org).await;
    let (platform, site) = serve(directory.path());
    let before = platform.memory_kib("VmHWM:");
    let secret = connect(directory.path(), &org);
    let begun = Instant::now();
    let (mut served, mut done) = (0, false);
    while !done {
        assert!(begun.elapsed() < PATIENCE, "not all of it is read");
        // The first is there early; whoever reads it does not notice the rest.
        let (status, _) = page(&http, &site, "large-0").await;
        assert!(status == 200 || (status == 404 && served == 0), "{status} after {served}");
        served += usize::from(status == 200);
        done = page(&http, &site, "large-999").await.0 == 200;
    }
    let peak = platform.memory_kib("VmHWM:");
    eprintln!(
        "{EVENTS} events and {SESSIONS} sessions in {:?}: {served} pages meanwhile, \
         peak memory {} MiB before, {} MiB after",
        begun.elapsed(),
        before / 1_024,
        peak / 1_024
    );
    assert!(served > 0, "no page while it read");
    assert!(peak - before < MOST_KIB, "{} KiB more at the peak", peak - before);

    for (n, event) in events.iter().enumerate().take(5) {
        org.rename(event, &format!("Renamed {n}")).await;
        let hook = format!("{site}/hooks/salesforce/{}/refresh", org.fact("org_id"));
        let press = http.post(hook).header("x-sloe-secret", &secret);
        let answer = press.json(&json!({ "event": event })).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        let slug = format!("renamed-{n}");
        while page(&http, &site, &slug).await.0 != 200 {
            assert!(begun.elapsed() < PATIENCE, "the update does not show");
        }
        // The old address leads to the new one.
        assert!(
            page(&http, &site, &format!("large-{n}")).await.1.contains(&format!("Renamed {n}"))
        );
    }
    let measured = loop {
        let told = metrics(&http, directory.path(), &site).await;
        if told.contains("sloe_update_to_page_seconds_count 5") {
            break told;
        }
        assert!(begun.elapsed() < PATIENCE, "updates are not measured");
    };
    for line in measured.lines().filter(|line| line.starts_with("sloe_update_to_page_seconds")) {
        eprintln!("{line}");
    }
    let mut doctor = sloe(directory.path());
    doctor.args(["doctor", "--json"]);
    let examined: Value = serde_json::from_str(&told(doctor, true)).unwrap();
    let lines = examined["orgs"][0]["lines"].as_array().unwrap().iter();
    let subjects: Vec<_> = lines.clone().map(|line| line["subject"].as_str().unwrap()).collect();
    for subject in ["connection", "changes", "refresh", "API budget", "outbox", "license"] {
        assert!(subjects.contains(&subject), "{subject} is not in {subjects:?}");
    }
    let refresh = lines.clone().find(|line| line["subject"] == "refresh").unwrap();
    assert_eq!(refresh["health"], "good", "{refresh}");
    assert!(examined["platform"].as_array().unwrap().iter().any(|line| line["subject"] == "disk"));
}
