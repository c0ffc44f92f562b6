//! What every request passes, in this order:
//!
//! 1. it gets an id, the caller's if that one is plain;
//! 2. its address may ask this often, and not too many are under way; questions
//!    about health are always answered;
//! 3. its body is not announced as too large; a browser's question before a
//!    request is answered;
//! 4. a panic of its handler ends this request only;
//! 5. it ends before its deadline;
//! 6. a refusal is written out: a document for programs, a page for people;
//! 7. headers that protect the visitor are set;
//! 8. the answer says how long it took;
//! 9. it is counted and logged, by the route's template, never by its path.

mod cors;
mod meters;
mod rate;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use sloe_engine::error::Hindrance;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::error::{self, Cause, PROBLEM_JSON, Problem};
use crate::patience::within;
use crate::problems;
use crate::state::Settings;
use meters::Meters;
use rate::Addresses;
pub(crate) use rate::caller;

/// Bytes that a request's body may have.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// When to come back after too much was under way.
const BUSY: Duration = Duration::from_secs(1);

/// Addresses that are answered however much is going on.
const HEALTH: [&str; 3] = ["/livez", "/readyz", "/metrics"];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const PAGE: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// For pages: everything comes from Sloe itself, pictures from where the
/// organizer has them.
const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data: https:; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
/// For documents: there is nothing to load.
const CSP_DOCUMENT: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// What the middleware keeps.
pub(crate) struct Stack {
    addresses: Option<Addresses>,
    room: Semaphore,
    meters: Meters,
    deadline: Duration,
    https: bool,
}

impl Stack {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            addresses: settings.rate.map(|rate| Addresses::new(rate, settings.behind_proxy)),
            room: Semaphore::new(settings.in_flight),
            meters: Meters::default(),
            deadline: settings.deadline,
            https: settings.is_https(),
        }
    }

    /// Whether a request may pass; the permit counts it as under way.
    fn admit(&self, request: &Request) -> Result<Option<SemaphorePermit<'_>>, Problem> {
        if HEALTH.contains(&request.uri().path()) {
            // A node that is busy is not dead: restarting it would make things worse.
            return Ok(None);
        }
        if let Some(addresses) = &self.addresses
            && let Err(wait) = addresses.check(request)
        {
            return Err(Problem::from(Cause::TooManyRequests).retry_after(wait));
        }
        let permit = self.room.try_acquire();
        let permit = permit.map_err(|_| too_much())?;
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|n| n.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|n| n > MAX_BODY as u64) {
            return Err(Cause::TooLarge.into());
        }
        Ok(Some(permit))
    }
}

/// Names a request in answers and logs; handlers find it in `x-request-id`.
#[derive(Clone, Debug)]
struct RequestId(HeaderValue);

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let given = headers
            .get(REQUEST_ID)
            .filter(|given| (8..=64).contains(&given.len()) && given.as_bytes().iter().all(plain));
        given.cloned().map_or_else(Self::fresh, Self)
    }

    /// This process's own part, drawn once, and the request's number: no two
    /// requests have the same, and no request waits for randomness.
    fn fresh() -> Self {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| Uuid::now_v7().as_u64_pair().1);
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut text = [0; uuid::fmt::Simple::LENGTH];
        let id = Uuid::from_u64_pair(*PROCESS, number);
        let text = id.simple().encode_lower(&mut text);
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none")))
    }

    fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Who reads the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Program,
    Person,
}

impl Reader {
    fn of(path: &str) -> Self {
        let programs = ["/api/", "/hooks/", "/livez", "/readyz", "/metrics", "/openapi.json"];
        if programs.iter().any(|start| path.starts_with(start)) {
            Self::Program
        } else {
            Self::Person
        }
    }
}

/// The middleware; the module says what it does in which order.
pub(crate) async fn guard(
    State(stack): State<Arc<Stack>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    let reader = Reader::of(request.uri().path());
    let open = cors::is_open(request.uri().path());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    request.headers_mut().insert(REQUEST_ID, id.0.clone());
    let response = match stack.admit(&request) {
        Err(problem) => problem.into_response(),
        Ok(_permit) => match cors::preflight(&request) {
            Some(answer) => answer,
            None => run(&stack, &method, request, next).await,
        },
    };
    let mut response = write_out(response, reader, &id);
    protect(response.headers_mut(), reader, stack.https);
    if open {
        cors::open(response.headers_mut());
    }
    response.headers_mut().insert(REQUEST_ID, id.0.clone());
    let status = response.status();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let took = started.elapsed();
    response.headers_mut().insert(SERVER_TIMING, timing(took));
    stack.meters.count(&method, route, error::class(status), took);
    // That a node is not ready is the answer to a question about health, and asked every second.
    if status.is_server_error() && !HEALTH.contains(&route) {
        tracing::warn!(target: "sloe::access", id = id.as_str(), %method, route, status = status.as_u16(), ?took, "failed");
    } else {
        tracing::debug!(target: "sloe::access", id = id.as_str(), %method, route, status = status.as_u16(), ?took, "answered");
    }
    response
}

fn too_much() -> Problem {
    Problem::new(Cause::NotAccepted, error::hindered(Hindrance::Crowd)).retry_after(BUSY)
}

/// Runs the handler; a panic or a missed deadline is an answer too.
async fn run(stack: &Stack, method: &Method, request: Request, next: Next) -> Response {
    let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
    match within(stack.deadline, handler).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            // The panic's words went to the panic hook; they may hold anything.
            tracing::error!("a handler panicked; this request only is concerned");
            Problem::from(Cause::Internal).into_response()
        }
        Err(_late) if method.is_safe() => {
            let late = Problem::new(Cause::NotAccepted, "The answer was not there in time.");
            late.retry_after(BUSY).into_response()
        }
        Err(_late) => Problem::from(Cause::OutcomeUnknown).retry_after(BUSY).into_response(),
    }
}

/// Gives a refusal its body.
fn write_out(mut response: Response, reader: Reader, id: &RequestId) -> Response {
    let carried = response.extensions_mut().remove::<Problem>();
    let Some(problem) = carried.or_else(|| error::wordless(&response)) else { return response };
    let (kind, body) = match reader {
        Reader::Program => {
            let document = problem.document(id.as_str());
            let body = serde_json::to_vec(&document).unwrap_or_default();
            (HeaderValue::from_static(PROBLEM_JSON), Body::from(body))
        }
        Reader::Person => (PAGE, Body::from(problems::page(&problem, id.as_str()))),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.remove(header::CONTENT_LENGTH);
    *response.body_mut() = body;
    response
}

/// How long Sloe took over an answer, in milliseconds (W3C Server Timing): what
/// else a client waits for is the network's.
fn timing(took: Duration) -> HeaderValue {
    let micros = took.as_micros();
    let text = format!("app;dur={}.{:03}", micros / 1_000, micros % 1_000);
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("app"))
}

fn protect(headers: &mut HeaderMap, reader: Reader, https: bool) {
    // With those of CORS, the request's id and its time: room is made once.
    headers.reserve(8);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let csp = match reader {
        Reader::Program => CSP_DOCUMENT,
        Reader::Person => CSP,
    };
    // A page that shows others' HTML has a stricter policy of its own.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(csp);
    // Pages whose address is a capability say `no-referrer` themselves.
    headers
        .entry(header::REFERRER_POLICY)
        .or_insert(HeaderValue::from_static("strict-origin-when-cross-origin"));
    if reader == Reader::Program {
        headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    }
    if https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::{any, get};
    use tower::ServiceExt;

    fn app(settings: &Settings) -> Router {
        let stack = Arc::new(Stack::new(settings));
        let break_down = async || -> Response { panic!("a fault of ours, with a name in it") };
        Router::new()
            .route("/api/broken", get(break_down))
            .route("/broken", get(break_down))
            .route("/api/stuck", any(std::future::pending::<Response>))
            .route("/livez", get(async || "ok"))
            .layer(from_fn_with_state(stack, guard))
    }

    async fn ask(app: &Router, method: &str, path: &str) -> (u16, HeaderMap, String) {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_handler_that_panics_ends_its_own_request_only() {
        let app = app(&Settings::default());
        for (path, kind) in [
            ("/api/broken", "application/problem+json"),
            ("/broken", "text/html; charset=utf-8"),
            ("/api/broken", "application/problem+json"),
        ] {
            let (status, headers, body) = ask(&app, "GET", path).await;
            assert_eq!((status, headers[header::CONTENT_TYPE].to_str().unwrap()), (500, kind));
            let id = headers[REQUEST_ID].to_str().unwrap();
            assert!(body.contains(id) && !body.contains("a name in it"), "{body}");
        }
    }

    #[tokio::test]
    async fn what_misses_its_deadline_says_whether_it_may_have_been_done() {
        let deadline = Duration::from_millis(5);
        let app = app(&Settings { deadline, ..Settings::default() });
        let (status, headers, body) = ask(&app, "GET", "/api/stuck").await;
        assert_eq!((status, headers[header::RETRY_AFTER].as_bytes()), (503, &b"1"[..]));
        assert!(body.contains("/problems/not-accepted"), "{body}");
        let (status, _, body) = ask(&app, "DELETE", "/api/stuck").await;
        assert_eq!(status, 503);
        assert!(body.contains("/problems/outcome-unknown"), "{body}");
    }

    #[tokio::test]
    async fn every_answer_says_how_long_it_took() {
        assert_eq!(timing(Duration::from_micros(12_034)), "app;dur=12.034");
        assert_eq!(timing(Duration::ZERO), "app;dur=0.000");
        let app = app(&Settings::default());
        for path in ["/livez", "/api/broken", "/nothing"] {
            let (_, headers, _) = ask(&app, "GET", path).await;
            let told = headers[SERVER_TIMING].to_str().unwrap();
            let millis = told.strip_prefix("app;dur=").unwrap().parse::<f64>();
            assert!(millis.is_ok_and(|millis| (0.0..60_000.0).contains(&millis)), "{told}");
        }
    }

    #[tokio::test]
    async fn a_node_without_room_is_alive() {
        let app = app(&Settings { in_flight: 0, ..Settings::default() });
        assert_eq!(ask(&app, "GET", "/api/stuck").await.0, 503);
        assert_eq!(ask(&app, "GET", "/livez").await.0, 200);
    }
}
