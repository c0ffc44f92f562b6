//! What the browser tests share: the real binary as [`Demo`], a real Chromium
//! as [`Browser`], and waiting with a bound. Whatever they start ends with
//! them, also when a test panics.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "each test uses its own part, and may stop where it stands"
)]

mod browser;
mod demo;
#[cfg(feature = "sim")]
pub(crate) mod nodes;
mod org;
mod sim_org;
#[path = "../../../store/tests/stand_in/mod.rs"]
pub(crate) mod stand_in;

use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) use browser::{Browser, Look};
pub(crate) use demo::{Demo, Left, attendee};
pub(crate) use org::Org;
pub(crate) use sim_org::{Running, SimOrg};

/// Bound of everything that is waited for; far beyond what it takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How often somebody who waits looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Asks until there is an answer; panics with the last reason why there was
/// none after [`PATIENCE`].
pub(crate) async fn eventually<T>(ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    within(PATIENCE, ask).await
}

/// The same with a patience of its own.
pub(crate) async fn within<T>(
    patience: Duration,
    mut ask: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let give_up = Instant::now() + patience;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(why) if Instant::now() > give_up => panic!("not within {patience:?}: {why}"),
            Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// A client that talks to this machine only.
fn http_client() -> reqwest::Client {
    // Of the calls in one process, the first decides.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        // A server ends idle connections by itself, perhaps just when one is used again.
        .pool_idle_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

/// A file's text, for messages of failure.
fn told_in(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| format!("{}: {error}", file.display()))
}

/// Waits for a child to end by itself, not long; whether it did.
fn ends_within(child: &mut std::process::Child, patience: Duration) -> bool {
    let give_up = Instant::now() + patience;
    while Instant::now() < give_up {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    false
}
