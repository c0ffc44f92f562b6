//! Nodes of the real binary on one MongoDB, a balancer in front of them, and
//! the org whose event they serve.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use sloe_sim::org;

use super::stand_in::Server;
use super::{PATIENCE, eventually, http_client, told_in};

pub(crate) const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub(crate) const TOKEN: &str = "a-secret-of-the-operators-0123456789";

/// What all nodes share.
pub(crate) struct Ground {
    pub(crate) mongo: Server,
    pub(crate) org: org::Running,
    pub(crate) directory: tempfile::TempDir,
}

/// One process.
pub(crate) struct Node {
    pub(crate) port: u16,
    child: Option<Child>,
    log: PathBuf,
    wishes: Vec<String>,
}

impl Ground {
    /// A database with everything in it that the store needs, and an org with one event, `acme/event`.
    pub(crate) async fn begin(seats: u64) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("mongo");
        std::fs::create_dir(&data).unwrap();
        let (mongo, org) = (Server::start(&data), start_org(seats).await);
        let ground = Self { mongo, org, directory };
        ground.run(&["store", "migrate"]);
        ground
    }

    /// A command on the store.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
        command
            .env_remove("MONGODB_URI")
            .env("SLOE_MASTER_KEY", KEY)
            .env("SLOE_ADMIN_TOKEN", TOKEN)
            .env("SLOE_STORE", self.mongo.uri())
            .env("SLOE_LOG", "warn,sloe_engine=info")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command that must do what it is asked; what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Connects the org, as an operator does who has nothing but the store's address.
    pub(crate) fn connect(&self) {
        for arguments in connecting(&self.org, self.directory.path()) {
            self.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    /// Waits until a node shows the event, and knows that its org may sell.
    pub(crate) async fn served(&self, node: &Node) {
        let url = node.url();
        shown(&format!("{url}/acme/event")).await;
        let why = ["license", "why", "acme", "--platform", &url];
        eventually(async || {
            let told = self.run(&why);
            if told.starts_with("Live") { Ok(()) } else { Err(told) }
        })
        .await;
    }

    /// Starts a node, which may be told more.
    pub(crate) fn start(&self, wishes: &[&str]) -> Node {
        let port = free_port();
        let log = self.directory.path().join(format!("node-{port}.log"));
        let wishes = wishes.iter().map(|wish| (*wish).to_owned()).collect();
        let mut node = Node { port, child: None, log, wishes };
        node.start(self);
        node
    }
}

impl Node {
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts the process (again).
    pub(crate) fn start(&mut self, ground: &Ground) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let mut command = ground.command();
        command.args(["serve", "--rate-limit", "0", "--listen"]);
        command.arg(format!("127.0.0.1:{}", self.port)).args(&self.wishes);
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Waits until it takes requests.
    pub(crate) async fn ready(&mut self) {
        let client = http_client();
        let url = format!("{}/readyz", self.url());
        eventually(async || {
            if let Some(ended) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("a node ended with {ended}:\n{}", told_in(&self.log));
            }
            match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(format!("{}: {}", answer.status(), told_in(&self.log))),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// With -9: nothing is flushed, nothing is told.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn end(&mut self) {
        self.signal("TERM");
        let mut child = self.child.take().unwrap();
        let ended = eventually(async || match child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err(format!("it does not end: {}", told_in(&self.log))),
        })
        .await;
        assert!(ended.success(), "{ended}: {}", told_in(&self.log));
    }

    /// One of its counters; 0 if nothing was counted yet.
    pub(crate) async fn counted(&self, name: &str) -> u64 {
        let call = http_client().get(format!("{}/metrics", self.url())).bearer_auth(TOKEN);
        let text = call.send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(counter, _)| *counter == name).map_or(0, |(_, count)| count.parse().unwrap())
    }

    /// What it said.
    pub(crate) fn told(&self) -> String {
        told_in(&self.log)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The name of the node that does a piece of work, as the store has it.
pub(crate) async fn holder(ground: &Ground, work: &str) -> Option<String> {
    use mongodb::bson::{Document, doc};
    let (uri, id) = (ground.mongo.uri(), work.to_owned());
    let read = move || {
        let client = mongodb::sync::Client::with_uri_str(uri).unwrap();
        let leases = client.default_database().unwrap().collection::<Document>("leases");
        leases.find_one(doc! { "_id": id }).run().unwrap()
    };
    let lease = tokio::task::spawn_blocking(read).await.unwrap()?;
    lease.get_document("data").ok()?.get_str("node").ok().map(str::to_owned)
}

/// A plain round-robin balancer: each request goes to the next node that says
/// it is ready, and to the one after it if no connection is had.
pub(crate) struct Balancer {
    pub(crate) url: String,
    inner: Arc<Inner>,
}

struct Inner {
    nodes: Vec<String>,
    ready: Vec<AtomicBool>,
    turn: AtomicUsize,
    client: reqwest::Client,
    /// Answers by node and status.
    answers: Mutex<BTreeMap<(usize, u16), u64>>,
}

impl Balancer {
    pub(crate) async fn start(nodes: &[&Node]) -> Self {
        let inner = Arc::new(Inner {
            nodes: nodes.iter().map(|node| node.url()).collect(),
            ready: nodes.iter().map(|_| AtomicBool::new(true)).collect(),
            turn: AtomicUsize::new(0),
            client: http_client(),
            answers: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(pass).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        for at in 0..inner.nodes.len() {
            let inner = Arc::clone(&inner);
            tokio::spawn(async move { inner.check(at).await });
        }
        Self { url, inner }
    }

    /// Answers by node and status.
    pub(crate) fn answers(&self) -> BTreeMap<(usize, u16), u64> {
        self.inner.answers.lock().unwrap().clone()
    }
}

impl Inner {
    /// Looks again and again whether a node wants requests.
    async fn check(&self, at: usize) {
        let url = format!("{}/readyz", self.nodes[at]);
        loop {
            let answer = self.client.get(&url).send().await;
            let ready = answer.is_ok_and(|answer| answer.status().is_success());
            self.ready[at].store(ready, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn next(&self) -> usize {
        let (all, turn) = (self.nodes.len(), self.turn.fetch_add(1, Ordering::SeqCst));
        let mut turns = (turn..turn + all).map(|turn| turn % all);
        let ready = turns.find(|at| self.ready[*at].load(Ordering::SeqCst));
        ready.unwrap_or(turn % all)
    }
}

async fn pass(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    for _ in 0..inner.nodes.len() * 2 {
        let at = inner.next();
        let call = inner.client.request(parts.method.clone(), format!("{}{path}", inner.nodes[at]));
        // The host stays the public one, as balancers keep it: forms are checked against it.
        let call = call.headers(parts.headers.clone()).body(body.clone());
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => continue,
            Err(error) => return broken(&error),
        };
        let status = answer.status();
        *inner.answers.lock().unwrap().entry((at, status.as_u16())).or_default() += 1;
        let mut response = Response::builder().status(status);
        for (name, value) in answer.headers() {
            if name != "transfer-encoding" && name != "connection" {
                response = response.header(name, value);
            }
        }
        return match answer.bytes().await {
            Ok(bytes) => response.body(Body::from(bytes)).unwrap(),
            Err(error) => broken(&error),
        };
    }
    broken(&"no node takes a connection")
}

/// The connection broke after the request was sent: only the client can know whether to repeat.
fn broken(why: &dyn std::fmt::Display) -> Response {
    Response::builder().status(502).body(Body::from(why.to_string())).unwrap()
}

/// Waits until a page is served there.
pub(crate) async fn shown(url: &str) {
    let client = http_client();
    eventually(async || match client.get(url).send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("{url}: {}", answer.status())),
        Err(error) => Err(error.to_string()),
    })
    .await;
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An org with one event, `event`, of so many seats.
pub(crate) async fn start_org(seats: u64) -> org::Running {
    let options = org::Options {
        listen: ([127, 0, 0, 1], 0).into(),
        seed: org::Seed::parse(&seed(seats)).unwrap(),
        data: None,
        daily_limit: Some(1_000_000),
        concurrent_limit: None,
        now: jiff::Timestamp::now,
    };
    org::start(options).await.unwrap()
}

/// The commands that connect it as `acme` and license it; its secret goes into a file.
pub(crate) fn connecting(org: &org::Running, files: &Path) -> [Vec<String>; 2] {
    let secret = files.join("secret");
    std::fs::write(&secret, org.client_secret()).unwrap();
    let (secret, url) = (secret.to_str().unwrap(), org.url());
    let add = ["org", "add", "--slug", "acme", "--name", "Acme", "--url", &url];
    let with = ["--client-id", org.client_id(), "--client-secret-file", secret];
    let license = ["license", "set", "acme", "--number", "L-1"];
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    [owned(&[add.as_slice(), &with].concat()), owned(&license)]
}

fn seed(seats: u64) -> String {
    format!(
        r#"
[org]
id = "00D7x000000Node"
name = "Acme"
edition = "Enterprise Edition"
time_zone = "UTC"

[[user]]
username = "sloe@acme.example"
first_name = "Sloe"
last_name = "Integration"
email = "sloe@acme.example"

[[app]]
name = "Sloe"
client_id = "acme.client"
client_secret = "acme-secret"
run_as = "sloe@acme.example"

[[record]]
object = "Sloe_Event__c"
ref = "event"
[record.fields]
Name = "Every seat counts"
Slug__c = "event"
Published__c = true
Starts_At__c = "today+30d 09:00 UTC"
Ends_At__c = "today+30d 18:00 UTC"
Time_Zone__c = "UTC"
Capacity__c = {seats}

[[record]]
object = "Sloe_Item__c"
[record.fields]
Event__c = "$event"
Name = "Ticket"
Position__c = 1

[[record]]
object = "Sloe_Session__c"
[record.fields]
Event__c = "$event"
Name = "Morning"
Starts_At__c = "today+30d 10:00 UTC"
Ends_At__c = "today+30d 11:00 UTC"
"#
    )
}
