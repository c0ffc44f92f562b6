//! The org's HTTP API: fault knobs, sign-in, limits, then the resource that is asked for.

pub(crate) mod batch;
pub(crate) mod collections;
pub(crate) mod composite;
pub(crate) mod control;
pub(crate) mod count;
pub(crate) mod cursors;
pub(crate) mod ending;
pub(crate) mod graph;
pub(crate) mod ingest;
pub(crate) mod input;
pub(crate) mod jobs;
mod licenses;
pub(crate) mod oauth;
pub(crate) mod query;
pub(crate) mod query_job;
pub(crate) mod recent;
pub(crate) mod records;
pub(crate) mod related;
pub(crate) mod replication;
pub(crate) mod reply;
pub(crate) mod results;
pub(crate) mod retrieve;
pub(crate) mod route;
pub(crate) mod search;
pub(crate) mod tooling;
pub(crate) mod tree;
pub(crate) mod worker;

use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};
use flate2::read::{GzDecoder, ZlibDecoder};
use sloe_core::ids::SfId;

use self::ending::{Answer, Watch, failed};
use self::reply::{ApiError, Call, Reply};
use super::codes;
use super::faults::{About, End};
use super::limits::Exceeded;
use super::state::{State as Org, lock};

/// The largest body: a Bulk upload after encoding.
const LARGEST_BODY: usize = 150 * 1024 * 1024;
/// The longest address with its query.
const LONGEST_URI: usize = 16_384;

/// Answers everything under `/services` and `/id`.
pub(crate) async fn serve(State(org): State<Arc<Org>>, request: Request) -> Response<Body> {
    let watch = Watch::new(&org);
    let answer = answer(org, request).await.unwrap_or_else(Answer::Whole);
    watch.over(&answer);
    answer.into_response()
}

/// Answers what no address fits. The `sf` command line begins paths with two slashes, which a real org takes for one.
pub(crate) async fn serve_loosely(org: State<Arc<Org>>, mut request: Request) -> Response<Body> {
    let text = request.uri().path_and_query().map_or("", |whole| whole.as_str());
    let path = format!("/{}", text.trim_start_matches('/'));
    match path.parse() {
        Ok(uri) if ["/services/", "/id/"].iter().any(|root| path.starts_with(root)) => {
            *request.uri_mut() = uri;
            serve(org, request).await
        }
        _ if path.starts_with("/cometd/") => {
            let streaming = "Streaming API; use the Pub/Sub API";
            ApiError::unsupported(streaming).reply().into_response()
        }
        _ => ApiError::not_found().reply().into_response(),
    }
}

/// A request that has been read.
struct Received {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: bytes::Bytes,
    kind: &'static str,
    about: Owned,
}

/// A call, as the fault rules see it.
#[derive(Clone)]
struct Owned {
    kind: &'static str,
    method: String,
    path: String,
}

impl Owned {
    fn about(&self) -> About<'_> {
        About { kind: self.kind, method: &self.method, path: &self.path }
    }
}

impl Received {
    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }
}

async fn answer(org: Arc<Org>, request: Request) -> Result<Answer, Reply> {
    let request = receive(&org, request).await?;
    if let Some(absent) = absent(&request.path) {
        return Err(ApiError::unsupported(absent).reply());
    }
    let public = request.path.starts_with("/services/oauth2/")
        || request.path.trim_end_matches('/') == "/services/data";
    let admitted = if public { None } else { Some(admit(&org, &request)?) };
    let end = match endure(&org, &request).await {
        Some(End::Fails(failure)) => return Err(failed(&org, &failure)),
        Some(End::CutBefore) => {
            lock(&org.stats).faulted += 1;
            return Ok(Answer::Lost);
        }
        end => end,
    };
    let about = request.about.clone();
    // The org's work is computing, not waiting.
    let worker = Arc::clone(&org);
    let done = tokio::task::spawn_blocking(move || {
        let gzip = takes_gzip(&request);
        let reply = match admitted {
            None => answer_public(&worker, &request),
            Some(admitted) => answer_call(&worker, request, admitted),
        };
        reply.encoded(gzip)
    });
    let reply = done.await.map_err(|_| ApiError::known(&codes::UNKNOWN).reply())?;
    if end.is_some() {
        lock(&org.stats).faulted += 1;
    }
    Ok(match end {
        Some(End::CutAfter) => Answer::Lost,
        Some(End::CutWithin) => Answer::Cut(reply),
        Some(End::StallsWithin) => Answer::Stalled(reply, org, about),
        Some(End::Late) => {
            // The sender lives as long as the org.
            let _ = org.faults.subscribe().wait_for(|now| !now.stall(&about.about())).await;
            Answer::Whole(reply)
        }
        _ => Answer::Whole(reply),
    })
}

/// Whether the client wants this answer in gzip.
fn takes_gzip(request: &Received) -> bool {
    let accepted = request.header(header::ACCEPT_ENCODING.as_str()).unwrap_or_default();
    let mut named = accepted.split(',').filter_map(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f64>().ok());
        name.trim().eq_ignore_ascii_case("gzip").then_some(weight)
    });
    let wanted = named.next().is_some_and(|weight| weight != Some(0.0));
    wanted && request.path.starts_with("/services/")
}

/// The body as it was before the client compressed it. Bulk uploads are not
/// said to be taken compressed by a real org, so they are not here.
fn decompress(path: &str, headers: &HeaderMap, body: bytes::Bytes) -> Result<bytes::Bytes, Reply> {
    let upload = path.ends_with("/batches");
    let limit = u64::try_from(LARGEST_BODY).unwrap_or(u64::MAX).saturating_add(1);
    let mut plain = Vec::new();
    let read = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => return Ok(body),
        Some(b"gzip") if !upload => GzDecoder::new(&*body).take(limit).read_to_end(&mut plain),
        Some(b"deflate") if !upload => ZlibDecoder::new(&*body).take(limit).read_to_end(&mut plain),
        Some(_) => {
            let message = "The request's content encoding is not supported";
            return Err(ApiError::new(415, "UNSUPPORTED_MEDIA_TYPE", message).reply());
        }
    };
    match read {
        Ok(_) if plain.len() > LARGEST_BODY => Err(too_large()),
        Ok(_) => Ok(plain.into()),
        Err(_) => {
            let message = "The request's body is not compressed as its header says";
            Err(ApiError::new(400, "JSON_PARSER_ERROR", message).reply())
        }
    }
}

fn too_large() -> Reply {
    let message = "The request's body is larger than 150 MB or was cut off";
    ApiError::new(413, "REQUEST_TOO_LARGE", message).reply()
}

async fn receive(org: &Org, request: Request) -> Result<Received, Reply> {
    let (parts, body) = request.into_parts();
    if parts.uri.path_and_query().map_or(0, |p| p.as_str().len()) > LONGEST_URI {
        let message = "The request's URI is longer than 16,384 bytes";
        return Err(ApiError::new(414, "REQUEST_URI_TOO_LONG", message).reply());
    }
    let path = parts.uri.path().to_owned();
    let kind = kind_of(&path);
    let about = Owned { kind, method: parts.method.to_string(), path: path.clone() };
    if let Some(window) = org.window_on() {
        return Err(failed(org, &window.failure()));
    }
    let refusal = org.faults.borrow().refuses(&about.about());
    if let Some(failure) = refusal {
        return Err(failed(org, &failure));
    }
    let body = axum::body::to_bytes(body, LARGEST_BODY).await.map_err(|_| too_large())?;
    let body = decompress(&path, &parts.headers, body)?;
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method };
    let query = parts.uri.query().unwrap_or_default().to_owned();
    Ok(Received { method, path, query, headers: parts.headers, body, kind, about })
}

/// What Salesforce has at this address and the simulated org has not, whoever asks: its clients sign in otherwise.
fn absent(path: &str) -> Option<&'static str> {
    let all = [
        ("/services/async/", "Bulk API 1.0; use Bulk API 2.0"),
        (
            "/services/Soap/",
            "SOAP APIs, neither for sign-in nor for metadata; use OAuth and the REST API",
        ),
        ("/services/apexrest/", "Apex REST"),
    ];
    all.iter().find(|(prefix, _)| path.starts_with(prefix)).map(|(_, what)| *what)
}

fn kind_of(path: &str) -> &'static str {
    match route::split(path) {
        Some((_, rest)) => route::kind(&rest),
        None if path.starts_with("/services/oauth2/token") => "token",
        None => "other",
    }
}

/// Lets the fault rules act; answers how the call is to end, if not well.
async fn endure(org: &Org, request: &Received) -> Option<End> {
    let mut changes = org.faults.subscribe();
    let about = request.about.about();
    let faults = Arc::clone(&changes.borrow_and_update());
    let fate = faults.fate(&about);
    if !fate.wait.is_zero() {
        tokio::time::sleep(fate.wait).await;
    }
    if fate.end != Some(End::Stalls) {
        return fate.end;
    }
    lock(&org.stats).faulted += 1;
    // The sender lives as long as the org.
    let _ = changes.wait_for(|now| !Arc::ptr_eq(now, &faults) && !now.stall(&about)).await;
    None
}

/// A call that has been let in; it ends when this goes out of scope, however that happens.
struct Admitted {
    org: Arc<Org>,
    user: SfId,
    call: Option<u64>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.org.end_call(call);
        }
    }
}

/// Checks the token and the allowance.
fn admit(org: &Arc<Org>, request: &Received) -> Result<Admitted, Reply> {
    let parameters = route::parameters(&request.query);
    let in_query =
        parameters.iter().find(|(name, _)| name == "oauth_token").map(|(_, token)| token.as_str());
    let Some(user) =
        oauth::bearer(&request.headers).or(in_query).and_then(|token| org.session(token))
    else {
        lock(&org.stats).unauthorized += 1;
        return Err(ApiError::known(&codes::SESSION).reply().with("www-authenticate", "Token"));
    };
    let counted = request.path.starts_with("/services/data/");
    let call = if counted {
        Some(
            org.begin_call(request.kind)
                .map_err(|limit| limited(limit).with("sforce-limit-info", org.usage()))?,
        )
    } else {
        None
    };
    Ok(Admitted { org: Arc::clone(org), user, call })
}

fn answer_public(org: &Org, request: &Received) -> Reply {
    if request.path.starts_with("/services/data") {
        return route::versions();
    }
    org.note_call(request.kind);
    // What a GET has to say stands in its address.
    let form =
        if request.method == Method::GET { request.query.as_bytes() } else { &*request.body };
    let answer = oauth::answer(org, &request.method, &request.path, &request.headers, form);
    answer.unwrap_or_else(|| ApiError::not_found().reply())
}

fn answer_call(org: &Org, request: Received, admitted: Admitted) -> Reply {
    if request.path.starts_with("/id/") {
        return match identified(org, &request.path) {
            Some(user) => oauth::identity(org, user),
            None => ApiError::not_found().reply(),
        };
    }
    let Some((version, path)) = route::split(&request.path) else {
        return ApiError::not_found().reply();
    };
    let parameters = route::parameters(&request.query);
    let call = Call {
        version,
        path,
        method: meant(&request.method, &parameters),
        parameters,
        client: request.header("sforce-call-options").and_then(|options| client(&options)),
        query_options: request.header("sforce-query-options"),
        content_type: request.header(header::CONTENT_TYPE.as_str()),
        if_modified_since: request.header(header::IF_MODIFIED_SINCE.as_str()),
        user: admitted.user,
        body: request.body,
        all_or_none: false,
        fates: Rc::default(),
    };
    let reply = run(org, &call, request.kind);
    drop(admitted);
    reply.with("sforce-limit-info", org.usage())
}

/// Clients that can't send PATCH send POST and say what they mean.
fn meant(method: &Method, parameters: &[(String, String)]) -> Method {
    let said = parameters.iter().find(|(name, _)| method == Method::POST && name == "_HttpMethod");
    said.and_then(|(_, name)| name.parse().ok()).unwrap_or_else(|| method.clone())
}

fn run(org: &Org, call: &Call, kind: &str) -> Reply {
    let done = org.transact(
        kind,
        |database| {
            database.set_origin(reply::origin("rest", &call.version, call.client.as_deref()));
            call.fates.begin();
            route::answer(org, database, call)
        },
        |database, reply| {
            org.trim(database);
            reply
        },
    );
    let reply = done.unwrap_or_else(|error| {
        tracing::error!(%error, "the org's log can't be written");
        ApiError::new(500, "UNKNOWN_EXCEPTION", "The simulated org couldn't keep this change.")
            .reply()
    });
    if reply.status == 200 { ingest::results(org, call).unwrap_or(reply) } else { reply }
}

/// The client that `Sforce-Call-Options` names: `client=ID, …`.
fn client(options: &str) -> Option<String> {
    let mut options = options.split([',', ';']).filter_map(|option| option.split_once('='));
    options.find(|(name, _)| name.trim() == "client").map(|(_, id)| id.trim().to_owned())
}

fn identified(org: &Org, path: &str) -> Option<SfId> {
    let (of, user) = path.strip_prefix("/id/")?.split_once('/')?;
    (SfId::parse(of).ok()? == org.org).then_some(())?;
    SfId::parse(user).ok().filter(|user| !org.user_facts(*user).is_empty())
}

fn limited(limit: Exceeded) -> Reply {
    let mut error = ApiError::known(&codes::DAILY);
    if limit == Exceeded::Concurrent {
        "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
            .clone_into(&mut error.message);
    }
    error.reply()
}
