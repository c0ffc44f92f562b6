//! How a command finds the platform that runs on a data directory: the
//! embedded store belongs to one process, so everybody else asks that one.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cmd::Failure;

const FILE: &str = "running.json";

#[derive(Serialize, Deserialize)]
struct Note {
    url: String,
    token: String,
}

/// The note that this process runs on a directory; removed when dropped.
pub(crate) struct Announced(PathBuf);

impl Drop for Announced {
    fn drop(&mut self) {
        // What is left of a killed run is overwritten by the next.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Leaves a note, readable by its owner only, where this run can be asked, and
/// with what token.
pub(crate) fn announce(data: &Path, url: &str, token: &str) -> Result<Announced, Failure> {
    let path = data.join(FILE);
    let note = Note { url: url.to_owned(), token: token.to_owned() };
    let text = serde_json::to_vec(&note)?;
    let _ = std::fs::remove_file(&path);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(&text))
        .map_err(|error| Failure::new(format!("{} can't be written: {error}", path.display())))?;
    Ok(Announced(path))
}

/// What a proxy would be told is the token.
fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().build()
}

/// A platform that runs.
pub(crate) struct Running {
    note: Note,
    client: reqwest::Client,
}

impl Running {
    /// The platform on `data`, if one answers there.
    pub(crate) async fn find(data: &Path) -> Option<Self> {
        let text = std::fs::read(data.join(FILE)).ok()?;
        let note: Note = serde_json::from_slice(&text).ok()?;
        let client = client().ok()?;
        let alive = client.get(format!("{}/livez", note.url)).send().await;
        alive.is_ok_and(|answer| answer.status().is_success()).then_some(Self { note, client })
    }

    /// The platform that is reached at `url`.
    pub(crate) fn at(url: &str, token: String) -> Result<Self, Failure> {
        if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(Failure::new(
                "what --platform or SLOE_PLATFORM says is no address; it looks like https://tickets.example.org",
            ));
        }
        let note = Note { url: url.trim_end_matches('/').to_owned(), token };
        Ok(Self { note, client: client()? })
    }

    /// Asks its admin API.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let url = format!("{}/api/v1/admin/{path}", self.note.url);
        let asked = self.client.post(url).bearer_auth(&self.note.token).json(body).send().await;
        let answer = asked.map_err(|error| {
            Failure::new(format!("the running platform does not answer: {}", error.without_url()))
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
