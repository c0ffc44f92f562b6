//! What answers before everything runs: the process is alive, is not ready and
//! says why, and whoever comes is asked to come back in a moment. Once
//! everything runs, the same address leads there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::error::Problem;
use crate::health;
use crate::site::assets;
use crate::stack::{self, Stack};
use crate::state::Settings;

/// How long an idle connection is kept, and how long a request's headers may take to arrive.
const IDLE: Duration = Duration::from_secs(20);
/// The same behind a proxy, whose own connections these are: longer than proxies keep them, so
/// that none sends a request just when this side hangs up.
const IDLE_BEHIND_PROXY: Duration = Duration::from_secs(120);
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

    /// How long a connection is kept on which nothing comes.
    fn idle(&self) -> Duration {
        IDLE
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
    idle: Duration,
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
            .fallback(async move |method: Method| come_back(&else_, &method))
            .layer(from_fn_with_state(stack, stack::guard));
        let (opened, closing) = (OnceLock::new(), AtomicBool::new(false));
        let idle = if settings.behind_proxy { IDLE_BEHIND_PROXY } else { IDLE };
        Arc::new(Self { before, waits, opened, closing, idle })
    }

    /// Says what the start waits for, to whoever asks; a whole sentence.
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

    fn idle(&self) -> Duration {
        self.idle
    }
}

fn not_ready(waits: &Waits) -> Problem {
    let why = waits.lock().unwrap_or_else(PoisonError::into_inner).clone();
    health::not_ready(&why).retry_after(SOON)
}

fn come_back(waits: &Waits, method: &Method) -> Response {
    let mut response = not_ready(waits).into_response();
    // A form's address is no page: whoever sent one sends it again by hand.
    if method.is_safe() {
        response.headers_mut().insert(REFRESH, HeaderValue::from_static("5"));
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn before_everything_runs_pages_come_back_by_themselves_and_forms_by_hand() {
        let entrance = Entrance::new(&Settings { behind_proxy: true, ..Settings::default() });
        entrance.waits_for("It waits for its store.".to_owned());
        let ask = async |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let (parts, body) = entrance.to().oneshot(request).await.unwrap().into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(ask(Method::GET, "/livez").await.0, 200);
        let (status, _, text) = ask(Method::GET, "/readyz").await;
        assert!(status == 503 && text.contains("waits for its store. Nothing was done"), "{text}");
        for (method, again) in [(Method::GET, true), (Method::POST, false)] {
            let (status, headers, page) = ask(method, "/acme/event/hold").await;
            assert_eq!((status, headers.contains_key(REFRESH)), (503, again), "{page}");
            assert!(page.contains("be right back"), "{page}");
            assert_eq!(headers["retry-after"], "5");
        }
        assert!(entrance.idle() > Router::<()>::new().idle() && !entrance.is_closing());
        entrance.open(Router::new().route("/acme/event/hold", get(async || "open")));
        entrance.close();
        assert_eq!(ask(Method::GET, "/acme/event/hold").await.2, "open");
        assert!(entrance.is_closing());
    }
}
