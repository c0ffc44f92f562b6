//! What somebody breaks in a store by hand keeps that event, or that org,
//! away, with its reason for operators; everybody else's go on. The same on
//! both stores, with the real binary.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document as Bson, doc};
use mongodb::sync::{Collection, Database};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use sloe_core::ids::{EventRef, OrgId, SfId};
use support::nodes::{KEY, TOKEN, free_port};
use support::stand_in::Server;
use support::{PATIENCE, Running, SimOrg, attendee, eventually};

/// A store that somebody has at hand.
trait Store {
    fn address(&self) -> String;
    /// Writes over the first batch of an event's journal.
    fn break_batch(&self, event: EventRef);
    /// Writes over a document.
    fn break_document(&self, collection: &str, id: &str);
    /// Puts a checkpoint there that says nothing.
    fn break_checkpoint(&self, event: EventRef);
}

struct Embedded(PathBuf);

impl Embedded {
    fn file(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.0.join("sloe.db")).unwrap()
    }
}

impl Store for Embedded {
    fn address(&self) -> String {
        format!("embedded:{}", self.0.display())
    }

    fn break_batch(&self, event: EventRef) {
        let file = self.file();
        file.execute_batch("DROP TRIGGER journal_keeps_rows_as_they_are").unwrap();
        let of = "partition = (SELECT id FROM partitions WHERE name = ?1) AND version = 1";
        let sql = format!("UPDATE journal SET facts = x'00ff' WHERE {of}");
        assert_eq!(file.execute(&sql, [event.partition()]).unwrap(), 1);
    }

    fn break_document(&self, collection: &str, id: &str) {
        let sql = "UPDATE documents SET body = x'00ff' WHERE collection = ?1 AND id = ?2";
        assert_eq!(self.file().execute(sql, [collection, id]).unwrap(), 1);
    }

    fn break_checkpoint(&self, event: EventRef) {
        let of = "SELECT id, 1, x'00', 1, 1 FROM partitions WHERE name = ?1";
        let (file, event) = (self.file(), event.partition());
        file.execute(&format!("INSERT OR REPLACE INTO checkpoints {of}"), [&event]).unwrap();
        let of = "SELECT id, 1, 0, x'00ff' FROM partitions WHERE name = ?1";
        file.execute(&format!("INSERT OR REPLACE INTO checkpoint_chunks {of}"), [&event]).unwrap();
    }
}

struct Mongo(Server);

impl Mongo {
    fn of(&self, collection: &str) -> Collection<Bson> {
        let client = mongodb::sync::Client::with_uri_str(self.0.uri()).unwrap();
        let database: Database = client.default_database().unwrap();
        database.collection(collection)
    }
}

/// The driver may not block where tasks run.
fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

impl Store for Mongo {
    fn address(&self) -> String {
        self.0.uri()
    }

    fn break_batch(&self, event: EventRef) {
        let junk = Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 255] };
        let of = doc! { "_id": { "event": event.partition(), "version": 1_i64 } };
        let set = doc! { "$set": { "facts": junk } };
        let done = aside(|| self.of("journal").update_one(of, set).run().unwrap());
        assert_eq!(done.modified_count, 1);
    }

    fn break_document(&self, collection: &str, id: &str) {
        // Everything is gone but its name.
        let done = aside(|| {
            self.of(collection)
                .replace_one(doc! { "_id": id }, doc! { "oh": "dear" })
                .run()
                .unwrap()
        });
        assert_eq!(done.modified_count, 1);
    }

    fn break_checkpoint(&self, event: EventRef) {
        let id = doc! { "_id": event.partition() };
        let junk = doc! { "version": "newest", "chunks": 1 };
        aside(|| self.of("checkpoints").replace_one(id, junk).upsert(true).run().unwrap());
    }
}

/// The platform on a store, and what it is asked.
struct Site<'a> {
    store: &'a dyn Store,
    port: u16,
    files: PathBuf,
    client: Client,
    node: Option<Running>,
}

impl<'a> Site<'a> {
    fn new(store: &'a dyn Store, files: PathBuf) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let redirect = reqwest::redirect::Policy::none();
        let client = Client::builder().no_proxy().redirect(redirect).timeout(PATIENCE);
        let client = client.build().unwrap();
        Self { store, port: free_port(), files, client, node: None }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
        command.args(arguments).env_remove("MONGODB_URI").stdin(Stdio::null());
        command.env("SLOE_STORE", self.store.address()).env("SLOE_MASTER_KEY", KEY);
        command.env("SLOE_ADMIN_TOKEN", TOKEN);
        command
    }

    /// Runs a command; what it printed. The platform is asked if it runs.
    fn sloe(&self, arguments: &[&str]) -> String {
        let mut command = self.command(arguments);
        if self.node.is_some() {
            command.env("SLOE_PLATFORM", self.url(""));
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // The doctor fails where a person is needed.
        let good = output.status.success() || arguments.first() == Some(&"doctor");
        assert!(good, "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn start(&mut self) {
        let log = std::fs::File::create(self.files.join("log")).unwrap();
        let listen = format!("127.0.0.1:{}", self.port);
        let mut serve = self.command(&["serve", "--rate-limit", "0", "--listen", &listen]);
        let child = serve.args(["--drain", "0"]).stdout(Stdio::null()).stderr(log).spawn();
        let mut node = Running(child.unwrap());
        eventually(async || {
            let ended = node.0.try_wait().unwrap();
            let log = || std::fs::read_to_string(self.files.join("log")).unwrap();
            assert!(ended.is_none(), "{}", log());
            let answer = self.client.get(self.url("/readyz")).send().await;
            let answer = answer.map_err(|error| error.to_string())?;
            if answer.status().is_success() { Ok(()) } else { Err(log()) }
        })
        .await;
        self.node = Some(node);
    }

    async fn stop(&mut self) {
        let mut node = self.node.take().unwrap();
        let pid = node.0.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
        let ended = eventually(async || node.0.try_wait().unwrap().ok_or("it goes on".to_owned()));
        assert!(ended.await.success());
    }

    fn add(&self, slug: &str, sim: &SimOrg) {
        let secret = self.files.join("secret");
        std::fs::write(&secret, sim.org.client_secret()).unwrap();
        let secret = secret.to_str().unwrap();
        let who = ["org", "add", "--slug", slug, "--name", slug, "--url", &sim.org.url];
        let with = ["--client-id", sim.org.client_id(), "--client-secret-file", secret];
        self.sloe(&[who.as_slice(), &with].concat());
        self.sloe(&["license", "set", slug, "--number", slug]);
    }

    async fn json(&self, request: RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn page(&self, path: &str, wanted: u16) {
        eventually(async || {
            let status = self.client.get(self.url(path)).send().await.unwrap().status();
            if status == wanted { Ok(()) } else { Err(format!("{path}: {status}")) }
        })
        .await;
    }

    /// Registers somebody for an event of the org `acme`.
    async fn register(&self, slug: &str) -> (u16, Value) {
        let (_, all) = self.json(self.client.get(self.url("/api/v1/orgs/acme/events"))).await;
        let events = all["data"].as_array().unwrap();
        let event = events.iter().find(|event| event["slug"] == slug).expect(slug);
        let id = event["id"].as_str().unwrap();
        let (_, event) =
            self.json(self.client.get(self.url(&format!("/api/v1/events/{id}")))).await;
        let item = event["items"][0]["id"].as_str().unwrap();
        let body = json!({ "attendees": [attendee(item, &[], ("Ada", "Lovelace"))] });
        let url = self.url(&format!("/api/v1/events/{id}/registrations"));
        self.json(self.client.post(url).json(&body)).await
    }

    /// The console, as somebody sees it who was let in.
    async fn console(&self) -> String {
        let link = self.sloe(&["staff", "link"]);
        let token = link.trim().rsplit('/').next().unwrap().to_owned();
        let sign_in = self.client.post(self.url("/staff/sign-in")).form(&[("token", token)]);
        let answer = sign_in.header("sec-fetch-site", "same-origin").send().await.unwrap();
        let session = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
        let page = self.client.get(self.url("/staff")).header("cookie", session);
        page.send().await.unwrap().text().await.unwrap()
    }

    /// What the doctor says that needs a person, by subject.
    fn troubles(&self) -> Vec<(String, String)> {
        let found: Value = serde_json::from_str(&self.sloe(&["doctor", "--json"])).unwrap();
        let orgs = found["orgs"].as_array().unwrap().iter().map(|org| &org["lines"]);
        let lines = orgs.chain([&found["platform"]]).flat_map(|lines| lines.as_array().unwrap());
        let bad = lines.filter(|line| line["health"] == "attention");
        let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
        bad.map(|line| (text(line, "subject"), text(line, "says"))).collect()
    }
}

fn seed(org: &str, events: &[&str]) -> String {
    let mut seed = format!(
        r#"
[org]
id = "{org}"
name = "Damage"
edition = "Enterprise Edition"
time_zone = "UTC"

[[user]]
username = "sloe@damage.example"
first_name = "Sloe"
last_name = "Integration"
email = "sloe@damage.example"

[[app]]
name = "Sloe"
client_id = "damage.client"
client_secret = "damage-secret"
run_as = "sloe@damage.example"
"#
    );
    for event in events {
        seed += &format!(
            r#"
[[record]]
object = "Sloe_Event__c"
ref = "{event}"
[record.fields]
Name = "{event}"
Slug__c = "{event}"
Published__c = true
Starts_At__c = "today+30d 09:00 UTC"
Ends_At__c = "today+30d 18:00 UTC"
Time_Zone__c = "UTC"
Capacity__c = 10

[[record]]
object = "Sloe_Item__c"
[record.fields]
Event__c = "${event}"
Name = "Ticket"
Position__c = 1
"#
        );
    }
    seed
}

/// Two orgs: one with four events, and another one.
struct Orgs {
    acme: SimOrg,
    other: SimOrg,
}

impl Orgs {
    fn start(files: &Path) -> Self {
        let sim = |name: &str, seed: String| {
            let file = files.join(name);
            std::fs::write(&file, seed).unwrap();
            SimOrg::start(&["--seed", file.to_str().unwrap()])
        };
        let acme = sim("acme", seed("00D7x000000Acme", &["journal", "page", "copy", "sound"]));
        Self { acme, other: sim("other", seed("00D7x000000Othr", &["their"])) }
    }

    async fn event(&self, slug: &str) -> EventRef {
        let id = self.acme.org.record(&format!("Sloe_Event__c WHERE Slug__c = '{slug}'")).await;
        let org = OrgId::parse(&self.acme.org.id).unwrap();
        EventRef { org, event: SfId::parse(&id).unwrap() }
    }
}

/// Connects both orgs and registers somebody for each event of the first.
async fn fill(site: &Site<'_>, orgs: &Orgs) {
    site.add("acme", &orgs.acme);
    site.add("other", &orgs.other);
    site.page("/other/their", 200).await;
    for slug in ["journal", "page", "copy", "sound"] {
        site.page(&format!("/acme/{slug}"), 200).await;
        let (status, answer) = site.register(slug).await;
        assert_eq!(status, 201, "{answer}");
    }
    // All is sent, so that no look at the start mends what is broken now.
    eventually(async || {
        let told: Value = serde_json::from_str(&site.sloe(&["sync", "status", "--json"])).unwrap();
        let all = told["orgs"].as_array().unwrap().iter().all(|org| org["drained"] == true);
        if all { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
}

async fn what_is_damaged_keeps_itself_away_only(store: &dyn Store, files: PathBuf) {
    let orgs = Orgs::start(&files);
    let journal = orgs.event("journal").await;
    let (page, copy) = (orgs.event("page").await, orgs.event("copy").await);
    let (page_id, other) = (page.event.to_string(), orgs.other.org.id.clone());
    let mut site = Site::new(store, files);
    site.sloe(&["store", "migrate"]);
    site.start().await;
    fill(&site, &orgs).await;
    site.stop().await;
    store.break_batch(journal);
    store.break_document("snapshots", &format!("{}/{}", page.org, page.event));
    store.break_checkpoint(copy);
    store.break_document("orgs", &OrgId::parse(&other).unwrap().to_string());

    // At rest: what is damaged, and why.
    let told = site.troubles();
    let says =
        |subject: &str, part: &str| told.iter().any(|(s, t)| s == subject && t.contains(part));
    assert!(
        says("damaged event", "“journal”") && says("damaged event", "out of order"),
        "{told:?}"
    );
    assert!(says("damaged event", &page_id), "{told:?}");
    assert!(says("damaged org", &other), "{told:?}");
    assert!(!told.iter().any(|(_, says)| says.contains("copy")), "{told:?}");

    // Running: the others go on, and staff see it.
    site.start().await;
    for slug in ["sound", "copy"] {
        let (status, answer) = site.register(slug).await;
        assert_eq!(status, 201, "{answer}");
    }
    let (status, answer) = site.register("journal").await;
    assert_eq!((status, &answer["type"]), (503, &json!("/problems/out-of-order")), "{answer}");
    site.page("/other/their", 404).await;
    let told = site.troubles();
    assert!(told.iter().any(|(_, says)| says.contains("“journal”")), "{told:?}");
    let console = site.console().await;
    assert!(console.contains("“journal”") && console.contains("is out of order"), "{console}");
    assert!(console.contains(&format!("The org {other} is not served")), "{console}");
    // A page is mended by reading it again.
    site.sloe(&["event", "refresh", "--org", "acme", &page_id]);
    site.page("/acme/page", 200).await;
    let told = site.troubles();
    assert!(!told.iter().any(|(_, says)| says.contains(&page_id)), "{told:?}");
    let (status, answer) = site.register("page").await;
    assert_eq!(status, 201, "{answer}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_in_the_embedded_store_keeps_itself_away_only() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded(directory.path().join("store"));
    what_is_damaged_keeps_itself_away_only(&store, directory.path().to_owned()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_on_mongodb_keeps_itself_away_only() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("mongo");
    std::fs::create_dir(&data).unwrap();
    let store = Mongo(aside(|| Server::start(&data)));
    what_is_damaged_keeps_itself_away_only(&store, directory.path().to_owned()).await;
}
