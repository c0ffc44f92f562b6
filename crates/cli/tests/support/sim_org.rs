//! `sloe sim org` as a process of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::demo::first_line;
use super::{Org, PATIENCE, http_client};

/// A simulated org beside the demo's; ends with this value.
pub(crate) struct SimOrg {
    child: Child,
    /// What a program may ask it.
    pub(crate) org: Org,
}

impl SimOrg {
    /// Starts an org that begins with what `seed` says.
    pub(crate) fn start(seed: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_sloe"))
            .args(["sim", "org", "--json", "--listen", "127.0.0.1:0", "--seed"])
            .arg(seed)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let line = first_line(&mut child).recv_timeout(PATIENCE).expect("the org is ready");
        let ready = serde_json::from_str(&line).expect("the org prints one JSON object");
        Self { child, org: Org::new(ready, &http_client()) }
    }
}

impl Drop for SimOrg {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
