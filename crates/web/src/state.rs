//! What every handler is given.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use sloe_engine::engine::Engine;

use crate::mailbox::Mailbox;
use crate::site::rendered::Rendered;
use crate::staff::Desk;

/// What the composition root decides about the web.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the public reaches this Sloe, without a slash at the end:
    /// `https://events.example.org`. `None`: links in answers have no host.
    pub public_url: Option<String>,
    /// Whether confirmed orders are mailed.
    pub mail: bool,
    /// The mails sent, shown on a page of their own (the demo's).
    pub mailbox: Option<Mailbox>,
    /// Whether this is the demo.
    pub demo: bool,
    /// Opens `/metrics` to whoever sends it as a bearer token; `None`: `/metrics`
    /// is only where [`crate::admin_app`] is.
    pub metrics_token: Option<String>,
    /// Opens the admin API to whoever sends it as a bearer token; `None`: nobody.
    pub admin_token: Option<String>,
    /// Requests of one address; `None` is without limit.
    pub rate: Option<Rate>,
    /// Whether a proxy stands before Sloe that appends the caller's address to
    /// `X-Forwarded-For`; only then is that header believed.
    pub behind_proxy: bool,
    /// Requests under way at once, beyond which they are refused.
    pub in_flight: usize,
    /// How long a request may take.
    pub deadline: Duration,
    /// What everything is kept in, in words for staff; empty if that is not told.
    pub store: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: None,
            mail: false,
            mailbox: None,
            demo: false,
            metrics_token: None,
            admin_token: None,
            rate: Some(Rate::default()),
            behind_proxy: false,
            in_flight: 8_192,
            deadline: Duration::from_secs(15),
            store: String::new(),
        }
    }
}

impl Settings {
    /// Whether the public comes over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
    }
}

/// How often one address may ask. An office or a campus may share an address,
/// so this is no more than a fence against floods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Sustained, at least 1.
    pub per_second: u32,
    /// At once, at least 1.
    pub burst: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self { per_second: 200, burst: 2_000 }
    }
}

/// Whether this node takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not everything runs yet.
    Starting,
    /// It does.
    Ready,
    /// It is about to stop: nothing new should be sent here.
    Draining,
}

/// What every handler is given; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// What all clones of an [`AppState`] share.
pub struct Shared {
    /// Everything Sloe can be asked.
    pub engine: Engine,
    /// What was decided at the start.
    pub settings: Settings,
    /// Pages as they are sent.
    pub rendered: Rendered,
    /// What the staff console keeps.
    pub staff: Desk,
    /// Renders metrics; `None` if nothing records them.
    pub metrics: Option<PrometheusHandle>,
    phase: AtomicU8,
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl AppState {
    /// A state that is starting; see [`Shared::set_phase`].
    #[must_use]
    pub fn new(engine: Engine, settings: Settings, metrics: Option<PrometheusHandle>) -> Self {
        let phase = AtomicU8::new(Phase::Starting as u8);
        let rendered = Rendered::default();
        let staff = Desk::default();
        Self(Arc::new(Shared { engine, settings, rendered, staff, metrics, phase }))
    }
}

impl Shared {
    /// Says whether this node takes requests; `/readyz` repeats it.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Whether this node takes requests.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            phase if phase == Phase::Ready as u8 => Phase::Ready,
            phase if phase == Phase::Starting as u8 => Phase::Starting,
            _ => Phase::Draining,
        }
    }

    /// An address as the public reaches it; `path` begins with a slash.
    #[must_use]
    pub fn public(&self, path: &str) -> String {
        let base = self.settings.public_url.as_deref().unwrap_or_default();
        [base.trim_end_matches('/'), path].concat()
    }

    /// Whether the public comes over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.settings.is_https()
    }
}
