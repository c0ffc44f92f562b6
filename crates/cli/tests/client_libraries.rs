//! Salesforce clients that others wrote, unmodified, against the simulated org
//! of the real binary: what they take for an org is one, as far as they can see.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Files with keys for tests only.
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sim/tests/org/keys");
/// A pair of keys for tests only.
const PRIVATE_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sim/tests/org/keys/test.pem");
const PUBLIC_KEY: &str = include_str!("../../sim/tests/org/keys/test.pub.pem");

struct Org {
    child: Child,
    facts: Value,
}

impl Org {
    /// Starts a fresh org with the default seed, whose app also knows the test key; returns once
    /// it listens.
    fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same over HTTPS, and with the Pub/Sub API.
    fn start_telling() -> Self {
        let (cert, key) =
            (format!("{KEYS}/test-only-server.pem"), format!("{KEYS}/test-only-server.key.pem"));
        Self::start_with(&[
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
            "--pubsub-listen",
            "127.0.0.1:0",
        ])
    }

    fn start_with(options: &[&str]) -> Self {
        let default = sloe_sim_org().arg("--print-seed").output().unwrap();
        let default = String::from_utf8(default.stdout).unwrap();
        let key = format!("jwt_public_key = \"\"\"\n{PUBLIC_KEY}\"\"\"\nclient_secret");
        let mut seed = tempfile::NamedTempFile::new().unwrap();
        seed.write_all(default.replace("client_secret", &key).as_bytes()).unwrap();
        let mut command = sloe_sim_org();
        command
            .args(["--json", "--listen", "127.0.0.1:0", "--seed"])
            .arg(seed.path())
            .args(options);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, facts: serde_json::from_str(&line).unwrap() }
    }

    /// Lets a client work on the org; it says itself what surprises it.
    fn serve(&self, client: &mut Command) {
        let facts = ["url", "client_id", "client_secret"];
        client.args(facts.map(|name| self.facts[name].as_str().unwrap())).arg(PRIVATE_KEY);
        client.args(self.facts["pubsub"].as_str());
        // Some clients would ask a proxy even for what is on this machine.
        client.env("NO_PROXY", "*").env("no_proxy", "*");
        let output = client.stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{client:?}: {error}; {ADVICE}"));
        let told = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{told}{said}\n{ADVICE}", output.status);
    }
}

impl Drop for Org {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sloe_sim_org() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
    command.args(["sim", "org"]);
    command
}

const ADVICE: &str = "`cargo xtask clients` installs the clients";

/// Where `cargo xtask clients` puts the clients.
fn installed(part: &str) -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = || Path::new(&variable("HOME").expect("a home directory")).join(".cache");
    variable("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("sloe/clients").join(part)
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// A program for node, which finds the installed clients.
fn node(name: &str) -> Command {
    // The clients want a newer node than many machines have: one is installed with them, where
    // npm has one for the platform.
    let brought = ["x64", "arm64"].map(|cpu| format!("npm/node_modules/node-linux-{cpu}/bin/node"));
    let brought = brought.iter().map(|path| installed(path)).find(|path| path.is_file());
    let mut node = Command::new(brought.unwrap_or_else(|| PathBuf::from("node")));
    node.arg(program(name)).env("NODE_PATH", installed("npm/node_modules"));
    node
}

#[test]
fn jsforce_takes_the_simulated_org_for_a_real_one() {
    Org::start().serve(&mut node("jsforce.mjs"));
}

#[test]
fn the_sf_command_line_takes_the_simulated_org_for_a_real_one() {
    Org::start().serve(&mut node("sf.mjs"));
}

#[test]
fn the_pub_sub_client_follows_the_simulated_org_s_change_events() {
    let mut client = node("pubsub.mjs");
    client.env("NODE_EXTRA_CA_CERTS", format!("{KEYS}/test-only-authority.pem"));
    Org::start_telling().serve(&mut client);
}

#[test]
fn simple_salesforce_takes_the_simulated_org_for_a_real_one() {
    let mut python = Command::new(installed("pip/bin/python"));
    Org::start().serve(python.arg(program("simple_salesforce.py")));
}
