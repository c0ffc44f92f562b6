//! How a command finds the platform that runs on a data directory: the
//! embedded store belongs to one process, so everybody else asks that one.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::key;
use crate::cmd::Failure;

const FILE: &str = "running.json";

#[derive(Serialize, Deserialize)]
struct Note {
    url: String,
    token: String,
}

/// The note that this process runs on a directory; removed when dropped.
pub(crate) struct Announced {
    path: PathBuf,
    /// The bearer token of the admin API of this run.
    pub(crate) token: String,
}

impl Drop for Announced {
    fn drop(&mut self) {
        // What is left of a killed run is overwritten by the next.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Leaves a note, readable by its owner only, where this run can be asked.
pub(crate) fn announce(data: &Path, url: &str) -> Result<Announced, Failure> {
    let path = data.join(FILE);
    let note = Note { url: url.to_owned(), token: key::fresh_token()? };
    let text = serde_json::to_vec(&note)?;
    let _ = std::fs::remove_file(&path);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(&text))
        .map_err(|error| Failure::new(format!("{} can't be written: {error}", path.display())))?;
    Ok(Announced { path, token: note.token })
}

/// A platform that runs on a data directory.
pub(crate) struct Running {
    note: Note,
    client: reqwest::Client,
}

impl Running {
    /// The platform on `data`, if one answers there.
    pub(crate) async fn find(data: &Path) -> Option<Self> {
        let text = std::fs::read(data.join(FILE)).ok()?;
        let note: Note = serde_json::from_slice(&text).ok()?;
        // It runs on this machine: what a proxy would be told is the token.
        let client = reqwest::Client::builder().no_proxy().build().ok()?;
        let alive = client.get(format!("{}/livez", note.url)).send().await;
        alive.is_ok_and(|answer| answer.status().is_success()).then_some(Self { note, client })
    }

    /// The same for a command that can do nothing without.
    pub(crate) async fn needed(data: &Path) -> Result<Self, Failure> {
        Self::find(data).await.ok_or_else(|| {
            Failure::new(format!(
                "no platform runs on {}: start it with sloe serve, or name its store with --store",
                data.display()
            ))
        })
    }

    /// Asks its admin API.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let url = format!("{}/api/v1/admin/{path}", self.note.url);
        let asked = self.client.post(url).bearer_auth(&self.note.token).json(body).send().await;
        let answer = asked.map_err(|error| {
            Failure::new(format!("the running platform does not answer: {error}"))
        })?;
        let good = answer.status().is_success();
        let body: Value = answer.json().await.unwrap_or_default();
        if good {
            return Ok(body);
        }
        let words = ["detail", "title"].iter().find_map(|key| body.get(key)?.as_str());
        Err(Failure::new(words.unwrap_or("the running platform refused").to_owned()))
    }
}
