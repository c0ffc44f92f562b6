//! `sloe demo` as a process of its own, and what a program may ask it and the
//! simulated orgs behind it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::org::{Org, ReadyOrg, json_of, text};
use super::{PATIENCE, ends_within, eventually, http_client, told_in};

/// How long a demo may take to drain before it is killed.
const DRAIN: Duration = Duration::from_secs(90);

/// What `sloe demo --json` prints.
#[derive(Deserialize)]
struct Ready {
    site: String,
    token: String,
    mailbox: String,
    staff: String,
    orgs: Vec<ReadyOrg>,
    source: ReadySource,
}

#[derive(Deserialize)]
struct ReadySource {
    url: String,
}

/// A running demo with its own data, stopped and gone with this value.
pub(crate) struct Demo {
    child: Child,
    /// Data, logs and temporary files of the demo.
    home: TempDir,
    /// Where the public site is, without a slash at the end.
    pub(crate) site: String,
    /// The page of the mailbox.
    pub(crate) mailbox: String,
    /// Signs in to the staff console once.
    pub(crate) staff: String,
    /// The org that licenses the others.
    pub(crate) source: String,
    /// What operators' commands show when they ask it.
    token: String,
    orgs: Vec<Org>,
    client: Client,
}

/// What is left of an event, `None` where nothing limits it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// Of the event as a whole.
    pub(crate) event: Option<u64>,
    /// Of each ticket type, by name.
    pub(crate) items: BTreeMap<String, Option<u64>>,
    /// Of each session, by name.
    pub(crate) sessions: BTreeMap<String, Option<u64>>,
}

/// Who comes to what, as the API takes it.
pub(crate) fn attendee(item: &str, sessions: &[&str], (first, last): (&str, &str)) -> Value {
    let email = format!("{}.{}@example.org", first.to_lowercase(), last.to_lowercase());
    json!({
        "item": item, "sessions": sessions,
        "first_name": first, "last_name": last, "email": email,
    })
}

impl Demo {
    /// Starts it on free ports and waits until it is ready; it keeps nothing.
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), false).await
    }

    /// The same for a demo that can be stopped and started again.
    pub(crate) async fn start_to_keep() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), true).await
    }

    /// The same, logging all there is to say.
    pub(crate) async fn start_to_keep_talking() -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), true, "trace").await
    }

    /// Stops it and starts it again on the same data, at other addresses.
    pub(crate) async fn restart(mut self) -> Self {
        Self::start_in(self.leave(), true).await
    }

    /// Stops it; what it kept, and its log.
    pub(crate) fn leave(&mut self) -> TempDir {
        assert!(self.stop(), "it drains");
        std::mem::replace(&mut self.home, tempfile::tempdir().unwrap())
    }

    async fn start_in(home: TempDir, keep: bool) -> Self {
        Self::start_with(home, keep, "warn").await
    }

    async fn start_with(home: TempDir, keep: bool, log_filter: &str) -> Self {
        let log = File::options().append(true).create(true).open(home.path().join("log"));
        let path = home.path().join("data");
        let data: Vec<&OsStr> = match keep {
            true => vec!["--data".as_ref(), path.as_ref()],
            false => vec!["--ephemeral".as_ref()],
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_sloe"))
            .args(["demo", "--json", "--port", "0"])
            .args(data)
            // What it should remove and does not goes with the directory.
            .env("TMPDIR", home.path())
            .env("SLOE_LOG", log_filter)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        let line = first_line(&mut child);
        let client = http_client();
        let mut demo = Self {
            child,
            home,
            site: String::new(),
            mailbox: String::new(),
            staff: String::new(),
            source: String::new(),
            token: String::new(),
            orgs: Vec::new(),
            client,
        };
        // From here on a panic ends the process and shows what it said.
        let line = line.recv_timeout(PATIENCE).expect("the demo says that it is ready");
        let ready: Ready = serde_json::from_str(&line).expect("the demo prints one JSON object");
        demo.site = ready.site;
        demo.mailbox = ready.mailbox;
        demo.staff = ready.staff;
        demo.source = ready.source.url;
        demo.token = ready.token;
        demo.orgs = ready.orgs.into_iter().map(|org| Org::new(org, &demo.client)).collect();
        demo
    }

    /// The address of a page of the site; `path` begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.site)
    }

    /// Opens what is for staff.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The simulated org with this slug.
    pub(crate) fn org(&self, slug: &str) -> &Org {
        self.orgs.iter().find(|org| org.slug == slug).expect("an org of the demo")
    }

    /// A client of the site that keeps no cookies and follows no redirects.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// An event as the API tells it.
    pub(crate) async fn event(&self, event: &str) -> Value {
        json_of(self.client.get(self.url(&format!("/api/v1/events/{event}")))).await
    }

    /// The id of an item or session of an event, by its name.
    pub(crate) async fn id_of(&self, event: &str, name: &str) -> String {
        let event = self.event(event).await;
        let all = ["items", "sessions"].map(|list| event[list].as_array().unwrap().clone());
        let found = all.iter().flatten().find(|one| one["name"] == name);
        let found = found.unwrap_or_else(|| panic!("{name} is not in {event}"));
        found["id"].as_str().unwrap().to_owned()
    }

    /// What is left of an event, from the availability that the API tells.
    pub(crate) async fn left(&self, event: &str) -> Left {
        let named = self.event(event).await;
        let url = self.url(&format!("/api/v1/events/{event}/availability"));
        let left = json_of(self.client.get(url)).await;
        let by_name = |list: &str| {
            let count = |id: &Value| {
                let of = left[list].as_array().unwrap().iter().find(|one| one["id"] == *id);
                of.unwrap_or_else(|| panic!("{id} is not in {left}"))["left"].as_u64()
            };
            let list = named[list].as_array().unwrap();
            list.iter().map(|one| (text(&one["name"]), count(&one["id"]))).collect()
        };
        Left {
            event: left["left"].as_u64(),
            items: by_name("items"),
            sessions: by_name("sessions"),
        }
    }

    /// Holds seats by the API: the hold, with its `id` and when it expires.
    pub(crate) async fn hold(&self, event: &str, lines: &Value) -> Value {
        let url = self.url(&format!("/api/v1/events/{event}/holds"));
        json_of(self.client.post(url).json(&json!({ "lines": lines }))).await
    }

    /// Changes the license of a demo org at the source org, and waits until the
    /// platform knows.
    pub(crate) async fn license(&self, org: &str, status: &str) {
        let id = self.org(org).id.clone();
        let url = format!("{}/__control/licenses", self.source);
        let all = json_of(self.client.get(&url)).await;
        let rows = all["licenses"].as_array().unwrap();
        // The package of the first row is Sloe's own.
        let is = |row: &&Value| row["org"] == id[..15] && row["package"] == rows[0]["package"];
        let number = text(&rows.iter().find(is).expect("its license")["number"]);
        let changed = self.client.patch(format!("{url}/{number}"));
        json_of(changed.json(&json!({ "status": status }))).await;
        self.known_live(org, matches!(status, "Active" | "Trial")).await;
    }

    /// Waits until the platform takes an org to be live, or not to be.
    async fn known_live(&self, org: &str, live: bool) {
        eventually(async || {
            let url = self.url("/api/v1/admin/licenses/why");
            let asked = self.client.post(url).bearer_auth(&self.token);
            let why = json_of(asked.json(&json!({ "org": org }))).await;
            if why["live"] == live { Ok(()) } else { Err(why.to_string()) }
        })
        .await;
    }

    /// Another link to the console, as `sloe staff link` asks it of a platform
    /// that runs.
    pub(crate) async fn staff_link(&self) -> String {
        let url = self.url("/api/v1/admin/staff/link");
        let asked = self.client.post(url).bearer_auth(&self.token).json(&json!({}));
        text(&json_of(asked).await["url"])
    }

    /// Runs a command on the store of a demo that keeps it; what it prints.
    pub(crate) fn sloe(&self, args: &[&str]) -> String {
        let (done, told, why) = self.tried(args);
        assert!(done, "{args:?}: {told}{why}");
        told
    }

    /// The same for a command that must fail; what it prints, and why it failed.
    pub(crate) fn refused(&self, args: &[&str]) -> (String, String) {
        let (done, told, why) = self.tried(args);
        assert!(!done, "{args:?}: {told}{why}");
        (told, why)
    }

    /// The same for a command that may fail: whether it did what it was asked, what it
    /// prints, and why it failed.
    pub(crate) fn tried(&self, args: &[&str]) -> (bool, String, String) {
        let store = format!("embedded:{}", self.data().join("platform").display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
        let done = command.args(args).args(["--store", &store]).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (done.status.success(), text(done.stdout), text(done.stderr))
    }

    /// Licenses an org that the demo does not know, and waits until the platform knows.
    pub(crate) async fn license_other(&self, org: &Org) {
        let url = format!("{}/__control/licenses", self.source);
        let license = json!({ "org": org.id, "status": "Active" });
        json_of(self.client.post(url).json(&license)).await;
        self.known_live(&org.id, true).await;
    }

    /// Registers people by the API: its status and its answer.
    pub(crate) async fn register(&self, event: &str, attendees: &[Value]) -> (StatusCode, Value) {
        let url = self.url(&format!("/api/v1/events/{event}/registrations"));
        let request = self.client.post(url).json(&json!({ "attendees": attendees }));
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Sloe's id of an event that came later than the demo's own, once it is
    /// public.
    pub(crate) async fn new_event(&self, org: &str, slug: &str) -> String {
        let url = self.url(&format!("/api/v1/orgs/{org}/events?limit=100"));
        eventually(async || {
            let list = json_of(self.client.get(&url)).await;
            let event = list["data"].as_array().unwrap().iter().find(|one| one["slug"] == slug);
            event.map(|event| text(&event["id"])).ok_or_else(|| format!("{slug} is not in {list}"))
        })
        .await
    }

    /// Where a demo that keeps its data has it.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// Asks it to drain and end, and kills it if it does not; whether it did.
    fn stop(&mut self) -> bool {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return false;
        }
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        let drained = asked.is_ok() && ends_within(&mut self.child, DRAIN);
        if !drained {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        drained
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let drained = self.stop();
        if std::thread::panicking() {
            eprintln!("What the demo said (drained: {drained}):\n{}", told_in(&self.log()));
        }
    }
}

/// The first line of what `child` prints, read beside the test so that waiting
/// for it has a bound; the rest is read and dropped.
pub(super) fn first_line(child: &mut Child) -> mpsc::Receiver<String> {
    let printed = BufReader::new(child.stdout.take().unwrap());
    let (send, line) = mpsc::channel();
    std::thread::spawn(move || {
        for line in printed.lines().map_while(Result::ok) {
            // Nobody may be waiting any more.
            let _ = send.send(line);
        }
    });
    line
}
