//! One HTTP call to the org, done properly: under a deadline, within the
//! number of calls at once, with the session renewed once when it has ended,
//! the allowance followed on every answer, and no answer trusted to be well formed.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderValue,
};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sloe_core::budget::{May, Purpose};
use sloe_core::ids::OrgId;
use sloe_core::time::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::auth::{Auth, Credentials, LOGIN_TIMEOUT, Token, is_loopback, parse_login_url};
use crate::error::{Advice, Error, Private, plain_code};
use crate::limits::{Gate, Meter, Pass};
use crate::wire::ApiError;

/// The API version that Sloe speaks (Winter '25).
pub const API_VERSION: &str = "v62.0";

/// Answers beyond this are refused unread: Bulk results hold at most
/// [`crate::MAX_BULK_ROWS`] rows, everything else at most 2,000.
const MAX_ANSWER_BYTES: usize = 128 * 1024 * 1024;

/// Smaller bodies gain nothing by compression.
const MIN_COMPRESSED_BYTES: usize = 2 * 1024;

/// How patient and how busy the client is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The org these credentials must lead to; `None` while connecting it.
    pub expected_org: Option<OrgId>,
    /// How long one call may take, login and waiting for its turn included. Of a
    /// result that is read as it comes: its beginning, and each part of it.
    pub deadline: Duration,
    /// The same for an upload to, or the results of, a Bulk job.
    pub upload_deadline: Duration,
    /// Calls to the org at the same time, at least 1; a gate overrules it.
    pub at_once: usize,
    /// Events read by one call when the whole org is read, from 1 to 200.
    pub page_events: usize,
    /// Events of an org that are read by REST; those beyond come by Bulk query.
    pub bulk_events: usize,
    /// The first pause between two looks at a Bulk job; each is half as long again.
    pub poll_first: Duration,
    /// The longest pause between two looks at a Bulk job.
    pub poll_longest: Duration,
    /// How long to wait for a Bulk job before leaving it to [`crate::Org::bulk_adopt`],
    /// and how long each of its results may take that is read as it comes.
    pub job_patience: Duration,
    /// Who says when a call may go; `None` lets all go, as tools do.
    pub gate: Option<Arc<dyn Gate>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            expected_org: None,
            deadline: Duration::from_secs(30),
            upload_deadline: Duration::from_secs(180),
            at_once: 4,
            page_events: 200,
            bulk_events: 400,
            poll_first: Duration::from_secs(1),
            poll_longest: Duration::from_secs(30),
            job_patience: Duration::from_secs(15 * 60),
            gate: None,
        }
    }
}

/// A call, ready to be sent and to be sent again.
pub(crate) struct Request {
    call: &'static str,
    method: Method,
    path: String,
    body: Option<(&'static str, Bytes)>,
    accept: &'static str,
    upload: bool,
}

impl Request {
    /// `path` begins with `/services/`; its query is part of it. `call` names it in errors.
    pub(crate) fn new(call: &'static str, method: Method, path: String) -> Self {
        Self { call, method, path, body: None, accept: "application/json", upload: false }
    }

    pub(crate) fn get(call: &'static str, path: String) -> Self {
        Self::new(call, Method::GET, path)
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let bytes =
            serde_json::to_vec(body).map_err(|error| Error::malformed(self.call, &error))?;
        self.body = Some(("application/json; charset=utf-8", bytes.into()));
        Ok(self)
    }

    pub(crate) fn csv(mut self, body: Bytes) -> Self {
        self.body = Some(("text/csv; charset=utf-8", body));
        self.upload = true;
        self
    }

    pub(crate) fn wants_csv(mut self) -> Self {
        self.accept = "text/csv";
        self.upload = true;
        self
    }
}

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    call: &'static str,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let kind =
                self.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("none");
            let bytes = self.body.len();
            let place = describe(&error);
            let what =
                format!("{bytes} bytes of content type {kind}, not the JSON expected: {place}");
            Error::Malformed { call: self.call, what }
        })
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The org's clock when it answered, to the second.
    pub(crate) fn date(&self) -> Option<Timestamp> {
        let text = self.headers.get(DATE)?.to_str().ok()?;
        let parsed = jiff::fmt::rfc2822::parse(text).ok()?;
        Some(Timestamp(parsed.timestamp().as_millisecond()))
    }
}

/// A successful answer whose body is still to come. The call is under way
/// until its body has ended, or this is dropped.
pub(crate) struct Coming {
    call: &'static str,
    headers: HeaderMap,
    answer: reqwest::Response,
    /// How long a part may take.
    patience: Duration,
    /// When the whole must have come, and how long that is.
    until: (Instant, Duration),
    under_way: (Option<OwnedSemaphorePermit>, Option<Pass>),
}

impl Coming {
    /// The next part of the body; `None` at its end. An end that the org did
    /// not announce is an error.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let (until, whole) = self.until;
        let left = until.saturating_duration_since(Instant::now());
        let after = if left < self.patience { whole } else { self.patience };
        let late = Error::Deadline { call: self.call, after };
        if left.is_zero() {
            // A timeout lets through what is there already, and a body need not end.
            return Err(late);
        }
        let part = tokio::time::timeout(left.min(self.patience), self.answer.chunk()).await;
        let chunk = part.map_err(|_| late)?.map_err(|e| Error::unreachable(self.call, e))?;
        if chunk.is_none() {
            // Whoever still holds this may make the next call, and there may be one lane only.
            self.under_way = (None, None);
        }
        Ok(chunk)
    }

    /// What a header says.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    async fn whole(self, max: usize) -> Result<Answer, Error> {
        let Self { call, headers, answer, under_way: _under_way, .. } = self;
        let body = read_bounded(call, answer, max).await?;
        Ok(Answer { call, headers, body })
    }
}

/// The connection to one org, for calls of one purpose. Clones share it.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) auth: Arc<Auth>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) options: Options,
    purpose: Purpose,
}

impl Client {
    pub(crate) fn new(credentials: Credentials, options: Options) -> Result<Self, Error> {
        let http = build_http(&parse_login_url(&credentials.login_url)?)?;
        let auth = Arc::new(Auth::new(http.clone(), credentials, options.expected_org)?);
        let meter = Arc::new(Meter::new(options.at_once));
        Ok(Self { http, auth, meter, options, purpose: Purpose::Refresh })
    }

    pub(crate) fn for_purpose(&self, purpose: Purpose) -> Self {
        Self { purpose, ..self.clone() }
    }

    /// Sends `request` and gives back a 2xx answer, or why there is none.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, Error> {
        let Options { deadline, upload_deadline, .. } = self.options;
        let after = if request.upload { upload_deadline } else { deadline };
        let (permit, left) = self.turn(request, after).await?;
        let whole = async { self.attempt(request, permit).await?.whole(MAX_ANSWER_BYTES).await };
        match tokio::time::timeout(left, whole).await {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline { call: request.call, after }),
        }
    }

    /// Sends `request` and gives back a 2xx answer whose body is still to come:
    /// for bodies too large for memory. The deadline holds for its beginning,
    /// and for each part of it; [`Options::job_patience`] for the whole.
    pub(crate) async fn stream(&self, request: &Request) -> Result<Coming, Error> {
        let after = self.options.deadline;
        let (permit, left) = self.turn(request, after).await?;
        match tokio::time::timeout(left, self.attempt(request, permit)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline { call: request.call, after }),
        }
    }

    /// Waits until the call may go beside the others, for `after` at most; the
    /// permit, and what is left of that time.
    async fn turn(
        &self,
        request: &Request,
        after: Duration,
    ) -> Result<(Option<OwnedSemaphorePermit>, Duration), Error> {
        let asked = Instant::now();
        let permit = self.meter.permit(self.options.gate.as_ref());
        match tokio::time::timeout(after, permit).await {
            Ok(permit) => Ok((permit, after.saturating_sub(asked.elapsed()))),
            Err(_) => Err(Error::NoTurn { call: request.call, after }),
        }
    }

    /// Which org this is. Logs in if need be, which is no API call.
    pub(crate) async fn org(&self) -> Result<OrgId, Error> {
        let after = self.options.deadline;
        match tokio::time::timeout(after, self.auth.token()).await {
            Ok(token) => token.map(|token| token.org),
            Err(_) => Err(Error::Deadline { call: "login", after }),
        }
    }

    /// [`Client::send`], and the JSON of the answer.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Error> {
        self.send(request).await?.read()
    }

    async fn attempt(
        &self,
        request: &Request,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Coming, Error> {
        // A login that fails is no call.
        let token = self.auth.token().await?;
        let mut pass = self.pass(request.call, &token).await?;
        let mut done = self.once(request, &token).await;
        if let Err(error) = &done
            && error.advice() == Advice::Reauthenticate
        {
            let token = self.auth.renew(Some(&token)).await?;
            pass = pass.as_ref().map(Pass::again);
            done = self.once(request, &token).await;
        }
        done.map(|coming| Coming { under_way: (permit, pass), ..coming })
    }

    /// Lets the call through if the org's budget does, after a look at the
    /// org's limits where it wants one. Where it wants another, the call goes:
    /// its answer tells as much.
    async fn pass(&self, call: &'static str, token: &Token) -> Result<Option<Pass>, Error> {
        let Some(gate) = &self.options.gate else { return Ok(None) };
        let mut looked = false;
        loop {
            match gate.begin(self.purpose) {
                May::Go => return Ok(Some(Pass::of(gate))),
                May::Look if looked => return Ok(Some(Pass::of(gate))),
                May::Look => {
                    looked = true;
                    let _pass = Pass::of(gate);
                    let look = Request::get("read limits", limits_path());
                    // Its answer's header tells, even if it is a refusal. One that tells nothing
                    // leaves things as they were, and is not asked again soon.
                    if let Err(error) = self.once(&look, token).await {
                        tracing::debug!(org = %token.org, %error, "the limits are not told");
                    }
                }
                May::Wait { until, closed } => return Err(Error::Budget { call, until, closed }),
            }
        }
    }

    async fn once(&self, request: &Request, token: &Token) -> Result<Coming, Error> {
        let started = Instant::now();
        let call = request.call;
        let mut builder = self
            .http
            .request(request.method.clone(), address(&token.instance, request)?)
            .header(ACCEPT, request.accept)
            .header("Sforce-Call-Options", "client=sloe")
            .header(AUTHORIZATION, bearer(token)?);
        if let Some((kind, body)) = &request.body {
            builder = builder.header(CONTENT_TYPE, *kind);
            builder = match if request.upload { None } else { compress(body) } {
                Some(small) => builder.header(CONTENT_ENCODING, "gzip").body(small),
                None => builder.body(body.clone()),
            };
        }
        let answer = builder.send().await.map_err(|error| Error::unreachable(call, error))?;
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        self.meter.follow(&headers, self.options.gate.as_ref());
        let millis = started.elapsed().as_millis();
        let used = self.meter.usage().map(|usage| usage.used);
        tracing::debug!(org = %token.org, call, status, millis, used, "called");
        if (200..300).contains(&status) {
            let Options { deadline: patience, job_patience: whole, .. } = self.options;
            let (until, under_way) = ((started + whole, whole), (None, None));
            return Ok(Coming { call, headers, answer, patience, until, under_way });
        }
        let body = read_bounded(call, answer, MAX_ANSWER_BYTES).await?;
        let refused = refusal(call, status, &body);
        if let Some((gate, which)) = self.options.gate.as_ref().zip(refused.exhausted()) {
            gate.refuse(which);
        }
        Err(refused)
    }
}

/// A body worth its compression, compressed: rows repeat themselves (REST API
/// Developer Guide, "Compression Headers"). For Bulk uploads Salesforce
/// documents compressed answers only.
fn compress(body: &Bytes) -> Option<Bytes> {
    if body.len() < MIN_COMPRESSED_BYTES {
        return None;
    }
    let small = Vec::with_capacity(body.len() / 4);
    let mut encoder = GzEncoder::new(small, Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

pub(crate) fn limits_path() -> String {
    format!("/services/data/{API_VERSION}/limits")
}

/// What a non-2xx answer says.
pub(crate) fn refusal(call: &'static str, status: u16, body: &[u8]) -> Error {
    let errors: Vec<ApiError> = serde_json::from_slice(body).unwrap_or_default();
    match errors.into_iter().next() {
        Some(first) => Error::Refused {
            call,
            status,
            code: plain_code(&first.error_code),
            message: Private::new(&first.message),
        },
        None => Error::Status { call, status },
    }
}

/// Where to send it: the org's own origin, whatever a continuation link says.
fn address(instance: &Url, request: &Request) -> Result<Url, Error> {
    let odd = || Error::Malformed { call: request.call, what: "an address outside the API".into() };
    if !request.path.starts_with("/services/") {
        return Err(odd());
    }
    let url = instance.join(&request.path).map_err(|_| odd())?;
    if url.origin() == instance.origin() { Ok(url) } else { Err(odd()) }
}

fn bearer(token: &Token) -> Result<HeaderValue, Error> {
    let text = format!("Bearer {}", token.access.expose_secret());
    let mut value = HeaderValue::from_str(&text).map_err(|_| Error::Malformed {
        call: "login",
        what: "a token that is no header value".into(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A whole body, or a refusal once it passes `max` bytes.
pub(crate) async fn read_bounded(
    call: &'static str,
    mut answer: reqwest::Response,
    max: usize,
) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| Error::unreachable(call, error))? {
        if body.len() + chunk.len() > max {
            return Err(Error::Malformed { call, what: format!("more than {max} bytes") });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

impl Error {
    /// What the network says, without the address and with its causes.
    pub(crate) fn unreachable(call: &'static str, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            reason.push_str(": ");
            reason.push_str(&inner.to_string());
            cause = inner.source();
        }
        Self::Unreachable { call, reason }
    }

    /// Where reading JSON failed, without what stood there.
    pub(crate) fn malformed(call: &'static str, error: &serde_json::Error) -> Self {
        Self::Malformed { call, what: describe(error) }
    }
}

/// serde's own words quote the value, which may be a person's.
fn describe(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Io => "unreadable",
        serde_json::error::Category::Syntax => "syntax error",
        serde_json::error::Category::Data => "unexpected value",
        serde_json::error::Category::Eof => "cut off",
    };
    format!("{kind} at line {}, column {}", error.line(), error.column())
}

fn build_http(login: &Url) -> Result<reqwest::Client, Error> {
    // Another part of the process may have chosen already: then that stands.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("sloe/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(LOGIN_TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(60))
        .tcp_keepalive(Duration::from_secs(30))
        .gzip(true)
        // A redirect would carry the token to where it points.
        .redirect(reqwest::redirect::Policy::none());
    if is_loopback(login) {
        builder = builder.no_proxy();
    }
    if login.scheme() == "http" {
        // No certificates are looked at, so a machine without any must do.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| {
        let Error::Unreachable { reason, .. } = Error::unreachable("login", error) else {
            return Error::Settings("no HTTPS client could be made".into());
        };
        Error::Settings(format!("no HTTPS client could be made ({reason})"))
    })
}
