//! What answers before everything runs: the process is alive, is not ready and
//! says why, and whoever comes is asked to come back in a moment. Once
//! everything runs, the same address leads there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderName;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::error::{Cause, Problem};
use crate::health;
use crate::site::assets;
use crate::stack::{self, Stack};
use crate::state::Settings;

/// When to come back.
const SOON: Duration = Duration::from_secs(5);
/// What browsers understand of it.
const REFRESH: HeaderName = HeaderName::from_static("refresh");

/// What a listener leads to.
pub trait Leads: Send + Sync + 'static {
    /// What the next request goes to.
    fn to(&self) -> Router;

    /// Whether whoever is connected should go to another node for the next one.
    fn is_closing(&self) -> bool {
        false
    }
}

impl Leads for Router {
    fn to(&self) -> Router {
        self.clone()
    }
}

/// A listener's way to what runs, and to a word that it does not yet.
pub struct Entrance {
    before: Router,
    waits: Waits,
    opened: OnceLock<Router>,
    closing: AtomicBool,
}

/// What the start waits for, in a sentence.
type Waits = Arc<Mutex<String>>;

impl Entrance {
    /// A closed one.
    #[must_use]
    pub fn new(settings: &Settings) -> Arc<Self> {
        let waits: Waits = Arc::new(Mutex::new("Sloe is starting.".to_owned()));
        let stack = Arc::new(Stack::new(settings));
        let (ready, else_) = (Arc::clone(&waits), Arc::clone(&waits));
        let before = Router::new()
            .route("/livez", get(health::livez))
            .route("/readyz", get(async move || not_ready(&ready)))
            .route("/assets/{file}", get(assets::serve))
            .fallback(async move || come_back(&else_))
            .layer(from_fn_with_state(stack, stack::guard));
        Arc::new(Self { before, waits, opened: OnceLock::new(), closing: AtomicBool::new(false) })
    }

    /// Says what the start waits for; a whole sentence.
    pub fn waits_for(&self, what: String) {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// Lets everybody in, for good.
    pub fn open(&self, app: Router) {
        // Only one start opens it.
        let _ = self.opened.set(app);
    }

    /// Still answers everybody, and ends each connection with the next answer:
    /// whoever keeps one open does not come back by it when nobody is here.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }
}

impl Leads for Arc<Entrance> {
    fn to(&self) -> Router {
        self.opened.get().unwrap_or(&self.before).clone()
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

fn not_ready(waits: &Waits) -> Problem {
    let why = waits.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Problem::new(Cause::NotReady, why).retry_after(SOON)
}

fn come_back(waits: &Waits) -> Response {
    let mut response = not_ready(waits).into_response();
    // A form is not sent again by itself: browsers ask for the page then.
    response.headers_mut().insert(REFRESH, axum::http::HeaderValue::from_static("5"));
    response
}
