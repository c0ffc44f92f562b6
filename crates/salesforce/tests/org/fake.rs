//! An HTTP server on this machine that logs in whoever asks, answers every
//! other call by a closure, and remembers what it was asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use axum::serve::ListenerExt;
use sloe_core::ids::SfId;
use sloe_salesforce::{Credentials, Flow, Mapping, Options, Org};
use tokio::sync::Barrier;

pub(crate) const ORG: &str = "00D000000000001EAA";
pub(crate) const USER: &str = "005000000000001AAA";

/// One request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query, decoded.
    pub(crate) path: String,
    pub(crate) token: String,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    /// The body's JSON, uncompressed if need be.
    pub(crate) fn json(&self) -> serde_json::Value {
        if self.headers.get("content-encoding").is_some() {
            return serde_json::from_reader(flate2::read::GzDecoder::new(&*self.body)).unwrap();
        }
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn form(&self, name: &str) -> Option<String> {
        let url = reqwest::Url::parse(&format!("http://x/?{}", self.text())).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// One answer.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// The body is said to come, and never does.
    silent: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", kind.to_owned())];
        Self { status, headers, body: body.into(), silent: false }
    }

    /// An answer that begins and goes no further.
    pub(crate) fn silence() -> Self {
        Self { silent: true, ..Self::new(200, "application/json", "") }
    }

    pub(crate) fn json(body: &serde_json::Value) -> Self {
        Self::new(200, "application/json;charset=UTF-8", body.to_string())
    }

    pub(crate) fn csv(body: &str) -> Self {
        Self::new(200, "text/csv", body)
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!([{ "errorCode": code, "message": message }]);
        Self { status, ..Self::json(&body) }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn into_response(self) -> Response<Body> {
        let mut builder = Response::builder().status(self.status);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        if self.silent {
            let nothing = futures::stream::pending::<Result<Bytes, std::convert::Infallible>>();
            return builder.body(Body::from_stream(nothing)).unwrap();
        }
        builder.body(Body::from(self.body)).unwrap()
    }
}

type Login = dyn Fn(usize, &Fake) -> Reply + Send + Sync;
type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

/// What the server knows.
pub(crate) struct Fake {
    pub(crate) url: String,
    seen: Mutex<Vec<Seen>>,
    logins: AtomicUsize,
    pub(crate) connections: AtomicUsize,
    in_flight: AtomicUsize,
    pub(crate) most_in_flight: AtomicUsize,
    /// Calls with the first session wait here for each other.
    meet: Option<Barrier>,
    login: Box<Login>,
    answer: Box<Answer>,
}

impl Fake {
    pub(crate) async fn start(
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::start_with(None, |n, fake| fake.log_in(n), answer).await
    }

    /// `meet` calls of the first session wait for each other; `login` answers the n-th login.
    pub(crate) async fn start_with(
        meet: Option<usize>,
        login: impl Fn(usize, &Fake) -> Reply + Send + Sync + 'static,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            seen: Mutex::default(),
            logins: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            meet: meet.map(Barrier::new),
            login: Box::new(login),
            answer: Box::new(answer),
        });
        let router = Router::new().fallback(handle).with_state(Arc::clone(&fake));
        let counter = Arc::clone(&fake);
        let listener = listener.tap_io(move |_| {
            counter.connections.fetch_add(1, Ordering::SeqCst);
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    /// The usual answer to the n-th login: the session `token-n`.
    pub(crate) fn log_in(&self, n: usize) -> Reply {
        Reply::json(&serde_json::json!({
            "access_token": format!("token-{n}"),
            "instance_url": self.url,
            "id": format!("https://login.salesforce.com/id/{ORG}/{USER}"),
            "token_type": "Bearer",
            "issued_at": "1700000000000",
        }))
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials {
            login_url: self.url.clone(),
            flow: Flow::ClientCredentials {
                client_id: "sloe-client".into(),
                client_secret: "the-secret".into(),
            },
        }
    }

    pub(crate) fn org(&self) -> Org {
        self.org_with(quick())
    }

    pub(crate) fn org_with(&self, options: Options) -> Org {
        Org::new(self.credentials(), Mapping::default(), options).unwrap()
    }

    pub(crate) fn logins(&self) -> usize {
        self.logins.load(Ordering::SeqCst)
    }

    /// All calls but logins.
    pub(crate) fn calls(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| !is_login(seen)).cloned().collect()
    }

    pub(crate) fn login_calls(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| is_login(seen)).cloned().collect()
    }
}

fn is_login(seen: &Seen) -> bool {
    seen.path == "/services/oauth2/token"
}

async fn handle(State(fake): State<Arc<Fake>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let url = reqwest::Url::parse(&format!("http://x{}", head.uri)).unwrap();
    let pairs: Vec<String> = url.query_pairs().map(|(k, v)| format!("{k}={v}")).collect();
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
    let bearer = head.headers.get("authorization").and_then(|v| v.to_str().ok());
    let seen = Seen {
        method: head.method.to_string(),
        path: format!("{}{query}", url.path()),
        token: bearer.and_then(|v| v.strip_prefix("Bearer ")).unwrap_or_default().to_owned(),
        body: to_bytes(body, usize::MAX).await.unwrap(),
        headers: head.headers,
    };
    fake.seen.lock().unwrap().push(seen.clone());
    if is_login(&seen) {
        let n = fake.logins.fetch_add(1, Ordering::SeqCst) + 1;
        return (fake.login)(n, &fake).into_response();
    }
    let now = fake.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    fake.most_in_flight.fetch_max(now, Ordering::SeqCst);
    if let Some(meet) = fake.meet.as_ref().filter(|_| seen.token == "token-1") {
        meet.wait().await;
    }
    let reply = (fake.answer)(&seen);
    fake.in_flight.fetch_sub(1, Ordering::SeqCst);
    reply.into_response()
}

/// Patient with the fake, but not with a Bulk job.
pub(crate) fn quick() -> Options {
    Options {
        poll_first: Duration::from_millis(1),
        poll_longest: Duration::from_millis(2),
        ..Options::default()
    }
}

pub(crate) fn id(text: &str) -> SfId {
    SfId::parse(text).unwrap()
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}
