//! `sloe sim org` as a process of its own.

use std::process::{Child, Command, Stdio};

use super::demo::first_line;
use super::{Org, PATIENCE, http_client};

/// A process that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A simulated org beside the demo's; ends with this value.
pub(crate) struct SimOrg {
    _running: Running,
    /// What a program may ask it.
    pub(crate) org: Org,
}

impl SimOrg {
    /// Starts an org with these options; returns once it is ready.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_for(&http_client(), options)
    }

    /// The same, asked by a client of the test's own.
    pub(crate) fn start_for(client: &reqwest::Client, options: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_sloe"))
            .args(["sim", "org", "--json", "--listen", "127.0.0.1:0"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let mut running = Running(child.unwrap());
        let line = first_line(&mut running.0).recv_timeout(PATIENCE).expect("the org is ready");
        let ready = serde_json::from_str(&line).expect("the org prints one JSON object");
        Self { _running: running, org: Org::new(ready, client) }
    }
}
