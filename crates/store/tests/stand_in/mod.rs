//! A MongoDB for tests: a server process of its own that speaks the real wire
//! protocol, started here; or any MongoDB that `SLOE_TEST_MONGODB` names, where
//! each test has a database of its own that is dropped at its end.
#![allow(dead_code, reason = "each test uses its own part")]

pub(crate) mod wire;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mongodb::sync::Client;

/// Where an address of a MongoDB to be tested against stands.
const ANY: &str = "SLOE_TEST_MONGODB";
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(90);

/// A server, and a database in it.
#[derive(Debug)]
pub(crate) struct Server {
    process: Option<Child>,
    killed: bool,
    address: String,
    database: String,
}

impl Server {
    /// Starts the server on data in `directory`, or goes to the one that is given.
    ///
    /// # Panics
    /// There is none, or it does not answer.
    #[must_use]
    pub(crate) fn start(directory: &Path) -> Self {
        let database = format!("sloe_test_{}", mongodb::bson::oid::ObjectId::new().to_hex());
        Self::of(directory, database, &[], free_port)
    }

    /// The same, as a server that is told more.
    #[must_use]
    pub(crate) fn with(directory: &Path, wishes: &[&str]) -> Self {
        let database = format!("sloe_test_{}", mongodb::bson::oid::ObjectId::new().to_hex());
        Self::of(directory, database, wishes, free_port)
    }

    /// Whether it is one that we did not start.
    #[must_use]
    pub(crate) fn is_given(&self) -> bool {
        self.process.is_none() && !self.killed
    }

    /// Starts a server that was killed again, on the same data and at the same address.
    pub(crate) fn restart(&mut self, directory: &Path) {
        let port = self.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        *self = Self::of(directory, self.database.clone(), &[], || port.unwrap());
    }

    fn of(directory: &Path, database: String, wishes: &[&str], port: impl Fn() -> u16) -> Self {
        if let Some(address) = std::env::var(ANY).ok().filter(|address| !address.is_empty()) {
            return Self { process: None, killed: false, address, database };
        }
        for _ in 0..5 {
            let port = port();
            let mut child = Command::new(program())
                .args(["--host", "127.0.0.1", "--sync-on-commit", "--port", &port.to_string()])
                .arg("--storage-path")
                .arg(directory)
                .args(wishes)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("no MongoDB to test against: cargo xtask mongo");
            if answers(&mut child, port) {
                let address = format!("mongodb://127.0.0.1:{port}");
                return Self { process: Some(child), killed: false, address, database };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("the server for tests does not start");
    }

    /// The address of the test's database.
    #[must_use]
    pub(crate) fn uri(&self) -> String {
        let (base, options) = self.address.split_once('?').unwrap_or((&self.address, ""));
        let base = base.trim_end_matches('/');
        let options = if options.is_empty() { String::new() } else { format!("?{options}") };
        format!("{base}/{}{options}", self.database)
    }

    /// Where it listens on this machine, if it is ours.
    #[must_use]
    pub(crate) fn port(&self) -> Option<u16> {
        self.process.as_ref()?;
        self.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
    }

    /// Sends the server a signal, `STOP` to let it hang; false where it is not ours.
    pub(crate) fn signal(&self, name: &str) -> bool {
        let Some(process) = &self.process else { return false };
        let sent = Command::new("kill").args(["-s", name, &process.id().to_string()]).status();
        sent.unwrap().success()
    }

    /// Ends the server as a power cut would; false where it is not ours.
    pub(crate) fn kill(&mut self) -> bool {
        let Some(mut process) = self.process.take() else { return false };
        process.kill().unwrap();
        process.wait().unwrap();
        self.killed = true;
        true
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.is_given() {
            self.kill();
        } else if let Ok(client) = Client::with_uri_str(&self.address) {
            let _ = client.database(&self.database).drop().run();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether it listens before it ends.
fn answers(child: &mut Child, port: u16) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// What `cargo xtask mongo` installs.
fn program() -> PathBuf {
    let some = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = some("XDG_CACHE_HOME").or_else(|| some("HOME").map(|home| home.join(".cache")));
    cache.expect("a home directory").join("sloe/mongo/bin/secantusd-rs")
}
