//! A simulated org and a platform connected to it, as two processes, so that
//! memory and time of each can be told apart.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::OrgClient;
use super::process::{self, Running, Scratch};
use crate::cargo;

/// Any key will do: 32 bytes in hexadecimal.
const KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
/// How long an org's events may take to be read.
const LOADING: Duration = Duration::from_secs(180);
/// Seconds of CPU time that a platform at rest uses in a second.
const RESTING: f64 = 0.03;
/// Calls a day of an org that is to limit nothing.
const PLENTY: u64 = 10_000_000;
/// Calls a day of an Enterprise Edition org, before its licenses add some.
pub(super) const ENTERPRISE: u64 = 100_000;

pub(super) struct World {
    pub(super) site: String,
    pub(super) org_url: String,
    /// The platform; absent only while it is restarted.
    server: Option<Running>,
    store: PathBuf,
    log: PathBuf,
    _org: Running,
    org_id: String,
    hook_secret: String,
}

impl World {
    /// Starts an org from a seed, connects it, and waits until its events are
    /// on the site.
    pub(super) fn start(scratch: &Scratch, name: &str, seed: &str) -> Result<Self, String> {
        Self::allowed(scratch, name, seed, PLENTY)
    }

    /// The same, with an org that allows so many calls a day.
    pub(super) fn allowed(
        scratch: &Scratch,
        name: &str,
        seed: &str,
        daily: u64,
    ) -> Result<Self, String> {
        let seed_file = scratch.path(&format!("{name}.toml"));
        write(&seed_file, seed)?;
        let mut command = process::sloe();
        command.args(["sim", "org", "--listen", "127.0.0.1:0", "--json"]);
        command.args(["--daily-limit", &daily.to_string(), "--seed"]).arg(&seed_file);
        let (org, line) = Running::start_told(&mut command)?;
        let told: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let text = |key: &str| {
            let value = told.get(key).and_then(Value::as_str).map(str::to_owned);
            value.ok_or_else(|| format!("the simulated org does not tell its {key}"))
        };
        let (org_url, client_id) = (text("url")?, text("client_id")?);
        let (client_secret, org_id) = (text("client_secret")?, text("org_id")?);
        let store = scratch.path(&format!("{name}-store"));
        let secret_file = scratch.path(&format!("{name}.secret"));
        write(&secret_file, &client_secret)?;
        let log = scratch.path(&format!("{name}.log"));
        let (server, site, _) = serve(&store, &log)?;
        let mut add = with_store(&store);
        add.args(["org", "add", "--slug", "bench", "--name", "Bench", "--url", &org_url]);
        add.args(["--client-id", &client_id, "--client-secret-file"]).arg(&secret_file);
        let told = process::read_text(&mut add)?;
        let secret = told.lines().find_map(|line| line.trim().strip_prefix("Secret"));
        let hook_secret = secret.ok_or("`sloe org add` tells no secret")?.trim().to_owned();
        let mut license = with_store(&store);
        cargo::run(license.args(["license", "set", &org_id, "--number", "L-1"]))?;
        let events = seed.matches("\"Sloe_Event__c\"").count();
        process::wait(LOADING, Duration::from_millis(100), || loaded(&site, events))?;
        Ok(Self { site, org_url, server: Some(server), store, log, _org: org, org_id, hook_secret })
    }

    /// Stops the platform and starts it again; gives the time until it is ready.
    pub(super) fn restart(&mut self) -> Result<Duration, String> {
        // The store belongs to one process: the old one must have gone.
        self.server = None;
        let (server, site, took) = serve(&self.store, &self.log)?;
        (self.server, self.site) = (Some(server), site);
        Ok(took)
    }

    /// The platform's resident bytes now, and at most so far.
    pub(super) fn memory(&self) -> Result<(u64, u64), String> {
        self.server.as_ref().ok_or("the platform is down")?.memory()
    }

    /// Seconds of CPU time that the platform used so far.
    pub(super) fn cpu(&self) -> Result<f64, String> {
        self.server.as_ref().ok_or("the platform is down")?.cpu()
    }

    /// Waits until the platform has nothing left to do of what was measured before: it would be
    /// part of what is measured next.
    pub(super) fn rest(&self) -> Result<(), String> {
        let mut before = self.cpu()?;
        process::wait(Duration::from_secs(180), Duration::ZERO, || {
            std::thread::sleep(Duration::from_secs(1));
            let used = self.cpu()? - before;
            before += used;
            if used <= RESTING {
                return Ok(());
            }
            Err(format!("the platform does not come to rest: {used:.2} s of CPU time in a second"))
        })
    }

    /// Attendees in the org, and the calls of its interface that were made today.
    pub(super) fn org_stats(&self) -> Result<(u64, u64), String> {
        let stats = process::get_json(&self.org_url, "/__control/stats")?;
        let rows = stats.pointer("/records/Sloe_Attendee__c").and_then(Value::as_u64);
        let calls = stats.get("used_today").and_then(Value::as_u64);
        rows.zip(calls).ok_or_else(|| "the simulated org tells no figures".to_owned())
    }

    /// What the org counts: calls by kind, rows by object.
    pub(super) fn org_counts(&self) -> Result<Value, String> {
        process::get_json(&self.org_url, "/__control/stats")
    }

    /// Puts fault rules into force in the org; an empty list is a healthy org.
    pub(super) fn faults(&self, rules: &Value) -> Result<Value, String> {
        let call = ("PUT", self.org_url.as_str(), "/__control/faults");
        process::ask(call, "", &rules.to_string())?.json()
    }

    /// Signs in to the org, as somebody who works there.
    pub(super) fn sign_in(&self) -> Result<OrgClient, String> {
        OrgClient::sign_in(&self.org_url)
    }

    /// Presses Update, for one event or the whole org.
    pub(super) fn press_update(&self, event: Option<&str>) -> Result<(), String> {
        let path = format!("/hooks/salesforce/{}/refresh", self.org_id);
        let body = event.map_or(serde_json::json!({}), |id| serde_json::json!({ "event": id }));
        let header = format!("X-Sloe-Secret: {}", self.hook_secret);
        process::ask(("POST", &self.site, &path), &header, &body.to_string())?.json().map(drop)
    }

    /// A figure of the platform's metrics, all labels of it added up.
    pub(super) fn metric(&self, name: &str) -> Result<f64, String> {
        let text = self.metrics()?;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            if !rest.starts_with([' ', '{']) {
                return None;
            }
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        });
        Ok(values.sum())
    }

    /// The header that lets an operator in.
    fn operator(&self) -> Result<String, String> {
        let file = self.store.join("running.json");
        let text = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let note: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        Ok(format!("Authorization: Bearer {}", field(&note, "token")))
    }

    /// What an operator's command asks of the platform.
    pub(super) fn admin(&self, path: &str, body: &Value) -> Result<Value, String> {
        let call = ("POST", self.site.as_str(), &*format!("/api/v1/admin/{path}"));
        process::ask(call, &self.operator()?, &body.to_string())?.json()
    }

    fn metrics(&self) -> Result<String, String> {
        let header = self.operator()?;
        let (status, body) = process::http(("GET", &self.site, "/metrics"), &header, "")?;
        if status != 200 {
            return Err(format!("/metrics answers {status}"));
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// How many observations of a histogram were at most `bound` (as the metrics write it).
    pub(super) fn bucket(&self, name: &str, bound: &str) -> Result<f64, String> {
        let text = self.metrics()?;
        let (name, bound) = (format!("{name}_bucket{{"), format!("le=\"{bound}\""));
        let lines = text.lines().filter(|line| line.starts_with(&name) && line.contains(&bound));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// An event's public document.
    pub(super) fn event(&self, slug: &str) -> Result<Value, String> {
        let mut found = None;
        self.each_event(|event| {
            found = Some(event).filter(|event| field(event, "slug") == slug);
            found.is_none()
        })?;
        found.ok_or_else(|| format!("the site has no event {slug}"))
    }

    /// The paths of all events' public documents.
    pub(super) fn event_paths(&self) -> Result<Vec<String>, String> {
        let mut paths = Vec::new();
        self.each_event(|event| {
            paths.push(format!("/api/v1/events/{}", field(&event, "id")));
            true
        })?;
        Ok(paths)
    }

    /// The org's events by start, as long as `more` are wanted.
    fn each_event(&self, mut more: impl FnMut(Value) -> bool) -> Result<(), String> {
        let mut page = "/api/v1/orgs/bench/events?limit=100".to_owned();
        loop {
            let list = process::get_json(&self.site, &page)?;
            let events = list.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
            if !events.into_iter().all(&mut more) {
                return Ok(());
            }
            match list.get("next").and_then(Value::as_str) {
                Some(next) => page = format!("/api/v1/orgs/bench/events?limit=100&after={next}"),
                None => return Ok(()),
            }
        }
    }
}

pub(super) fn field<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn with_store(store: &Path) -> Command {
    let mut command = process::sloe();
    command.env("SLOE_MASTER_KEY", KEY);
    command.env("SLOE_STORE", format!("embedded:{}", store.display()));
    command.env("SLOE_LOG", "warn");
    command
}

/// Starts the platform; gives the time from its start until it says it is ready.
fn serve(store: &Path, log: &Path) -> Result<(Running, String, Duration), String> {
    let site = format!("http://127.0.0.1:{}", process::free_port()?);
    let mut command = with_store(store);
    command.args(["serve", "--listen", site.trim_start_matches("http://"), "--rate-limit", "0"]);
    let began = Instant::now();
    let server = Running::start(&mut command, log)?;
    process::wait(LOADING, Duration::from_millis(2), || {
        match process::http(("GET", &site, "/readyz"), "", "")? {
            (200, _) => Ok(()),
            (status, _) => Err(format!("{site}/readyz answers {status}; see {}", log.display())),
        }
    })?;
    Ok((server, site, began.elapsed()))
}

/// Whether the site lists so many events of the org (or a whole page of them,
/// and as many in all).
fn loaded(site: &str, events: usize) -> Result<(), String> {
    let mut seen = 0;
    let mut page = "/api/v1/orgs/bench/events?limit=100".to_owned();
    loop {
        let list = process::get_json(site, &page)?;
        seen += list.get("data").and_then(Value::as_array).map_or(0, Vec::len);
        match list.get("next").and_then(Value::as_str) {
            Some(next) => page = format!("/api/v1/orgs/bench/events?limit=100&after={next}"),
            None if seen >= events => return Ok(()),
            None => return Err(format!("only {seen} of {events} events were read from the org")),
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

const ORG: &str = r#"
[org]
id = "00D7x000000Bnch"
name = "Bench"
edition = "Enterprise Edition"
time_zone = "Europe/Berlin"

[[user]]
username = "sloe@bench.example"
first_name = "Sloe"
last_name = "Integration"
email = "sloe@bench.example"

[[app]]
name = "Sloe"
client_id = "bench.client"
client_secret = "bench-secret"
run_as = "sloe@bench.example"
"#;

/// One event in a seed: its slug, its seats, how long its text is, its sessions.
fn event(seed: &mut String, slug: &str, seats: Option<u32>, paragraphs: usize, sessions: usize) {
    let text = "What happened, what we did, what we would do now: told by those who were there, \
                with the graphs, the mistakes and the time it took to see them. Questions are \
                welcome at any moment, and the coffee is good.\\n\\n"
        .repeat(paragraphs);
    let capacity = seats.map_or(String::new(), |seats| format!("Capacity__c = {seats}\n"));
    let _ = write!(
        seed,
        "\n[[record]]\nobject = \"Sloe_Event__c\"\nref = \"{slug}\"\n[record.fields]\n\
         Name = \"Bench {slug}\"\nSlug__c = \"{slug}\"\nPublished__c = true\n\
         Summary__c = \"A day about keeping large systems running.\"\n\
         Description__c = \"{text}\"\nStarts_At__c = \"today+30d 09:00 Europe/Berlin\"\n\
         Ends_At__c = \"today+30d 18:00 Europe/Berlin\"\nTime_Zone__c = \"Europe/Berlin\"\n\
         Venue_Name__c = \"Hall\"\n{capacity}\
         \n[[record]]\nobject = \"Sloe_Item__c\"\n[record.fields]\nEvent__c = \"${slug}\"\n\
         Name = \"Ticket\"\nPosition__c = 1\n"
    );
    for number in 0..sessions {
        let hour = 9 + number / 2;
        let _ = write!(
            seed,
            "\n[[record]]\nobject = \"Sloe_Session__c\"\n[record.fields]\nEvent__c = \"${slug}\"\n\
             Name = \"Session {number}\"\nRoom__c = \"Room {number}\"\nSpeaker__c = \"Ada Reid\"\n\
             Description__c = \"What the logs said, and what they did not.\"\n\
             Starts_At__c = \"today+30d {hour:02}:00 Europe/Berlin\"\n\
             Ends_At__c = \"today+30d {hour:02}:45 Europe/Berlin\"\n"
        );
    }
}

/// The events of the main world: one for each benchmark.
pub(super) fn main_seed() -> String {
    let mut seed = ORG.to_owned();
    event(&mut seed, "hot", Some(20_000_000), 4, 2);
    event(&mut seed, "half-million", Some(500_000), 4, 0);
    event(&mut seed, "drain", None, 4, 0);
    event(&mut seed, "page", Some(5_000), 20, 12);
    seed
}

/// So many events of usual size.
pub(super) fn many_seed(events: usize) -> String {
    let mut seed = ORG.to_owned();
    for number in 0..events {
        event(&mut seed, &format!("event-{number}"), Some(500), 4, 3);
    }
    seed
}

/// Events of a usual size, sessions and all, named `first-0` and so on.
pub(super) fn events_seed(first: &str, events: usize, sessions: usize) -> String {
    let mut seed = ORG.to_owned();
    for number in 0..events {
        event(&mut seed, &format!("{first}-{number}"), Some(5_000_000), 4, sessions);
    }
    seed
}

/// So many events in all: a hot one, one for orders, the others of usual size.
pub(super) fn known_seed(events: usize) -> String {
    let mut seed = many_seed(events.saturating_sub(2));
    for slug in ["hot", "orders"] {
        let mut first = String::new();
        event(&mut first, slug, Some(20_000_000), 4, 3);
        // First in the list: whoever looks for them there makes no other event known.
        seed.push_str(&first.replace("today+30d", "today+29d"));
    }
    seed
}
