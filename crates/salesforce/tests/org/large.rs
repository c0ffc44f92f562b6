//! Answers far larger than memory should hold, and answers that end too early.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::Response;
use serde_json::json;
use sloe_core::verify::RowStatus;
use sloe_salesforce::{Credentials, Error, Flow, Mapping, Options, Org, RowKind};

use crate::fake::{ORG, USER, id, quick};

const JOB: &str = "750000000000001AAA";
const EVENT: &str = "a00000000000001AAA";
const HEAD: &str = "\"Id\",\"Sloe_Id__c\",\"Sloe_Version__c\",\"Registration_Status__c\",\"Event__c\",\"IsDeleted\"\n";

/// What a page of results holds: which rows, and how much of its last line is missing.
#[derive(Clone)]
struct Page {
    rows: std::ops::Range<usize>,
    promised: usize,
    missing: usize,
}

/// Quotes, line breaks, emoji and another direction in every text.
fn line(n: usize) -> String {
    format!(
        "\"a03{n:012}AAA\",\"k\"\"{n}\n\r,שלום 🎉\",\"{n}.0\",\"Registered\",\"{EVENT}\",\"false\"\n"
    )
}

/// Rows as they are sent, a thousand at a time, made when they are asked for.
fn body(page: Page) -> Body {
    let Page { rows, missing, .. } = page;
    let starts = rows.clone().step_by(1_000);
    let last = rows.end;
    let parts = starts.map(move |from| {
        let to = (from + 1_000).min(last);
        let mut text: String = (from..to).map(line).collect();
        if to == last {
            let left = text.char_indices().rev().nth(missing.saturating_sub(1)).unwrap().0;
            text.truncate(if missing == 0 { text.len() } else { left });
        }
        Ok::<_, Infallible>(Bytes::from(text))
    });
    let head = std::iter::once(Ok(Bytes::from_static(HEAD.as_bytes())));
    Body::from_stream(futures::stream::iter(head.chain(parts)))
}

fn answer(request: &Request, url: &str, pages: &[Page]) -> Response<Body> {
    let json = |value: serde_json::Value| Response::new(Body::from(value.to_string()));
    let path = request.uri().path();
    if path == "/services/oauth2/token" {
        return json(json!({
            "access_token": "t", "instance_url": url, "id": format!("https://x/id/{ORG}/{USER}"),
        }));
    }
    if !path.ends_with("/results") {
        return json(json!({ "id": JOB, "state": "JobComplete" }));
    }
    let query = request.uri().query().unwrap_or_default();
    let at = query.split("locator=").nth(1).map_or(0, |text| text.parse::<usize>().unwrap());
    let next = if at + 1 < pages.len() { (at + 1).to_string() } else { "null".to_owned() };
    let mut response = Response::new(body(pages[at].clone()));
    response.headers_mut().insert("sforce-locator", next.parse().unwrap());
    let promised = pages[at].promised.to_string().parse().unwrap();
    response.headers_mut().insert("sforce-numberofrecords", promised);
    response
}

async fn org(pages: Vec<Page>) -> Org {
    org_that(move |request, url| answer(request, url, &pages), quick()).await
}

async fn org_that(
    answer: impl Fn(&Request, &str) -> Response<Body> + Send + Sync + 'static,
    options: Options,
) -> Org {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (at, answer) = (url.clone(), Arc::new(answer));
    let router = Router::new().fallback(move |request: Request| {
        let answer = answer(&request, &at);
        async move { answer }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let flow =
        Flow::ClientCredentials { client_id: "c".into(), client_secret: "s".to_owned().into() };
    Org::new(Credentials { login_url: url, flow }, Mapping::default(), options).unwrap()
}

/// Bytes that this process has in memory now.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1_024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_rows_pass_through_little_memory() {
    let page = |from: usize, to: usize| Page { rows: from..to, promised: to - from, missing: 0 };
    let org = org(vec![page(0, 700_000), page(700_000, 1_000_000)]).await;
    let (before, mut most) = (resident(), 0);
    let (mut count, mut bytes, mut sum) = (0_usize, 0, 0);
    let see = |row: sloe_salesforce::OrgRow| {
        assert_eq!((row.status, row.event), (RowStatus::Registered, Some(id(EVENT))));
        sum += usize::try_from(row.version.unwrap()).unwrap();
        bytes += line(count).len();
        if count == 123_456 {
            assert_eq!(row.key, "k\"123456\n\r,שלום 🎉");
        }
        count += 1;
        if count % 20_000 == 0 {
            most = most.max(resident());
        }
    };
    org.rows_of(RowKind::Attendee, id(EVENT), 1 << 20, see).await.unwrap();
    assert_eq!((count, sum), (1_000_000, 999_999 * 500_000));
    let taken = most.saturating_sub(before);
    assert!(taken < bytes / 4, "{taken} bytes of memory for an answer of {bytes}");
}

#[tokio::test]
async fn a_result_that_ends_too_early_is_refused_wherever_it_ends() {
    let mut wanted = String::new();
    write!(wanted, "{}", line(9)).unwrap();
    for missing in 1..wanted.chars().count() {
        let org = org(vec![Page { rows: 0..10, promised: 10, missing }]).await;
        let done = org.rows_of(RowKind::Attendee, id(EVENT), 1 << 20, |_| {}).await;
        assert!(matches!(done, Err(Error::Malformed { .. })), "{missing}: {done:?}");
    }
    // At a line's end only the count tells.
    let org = org(vec![Page { rows: 0..10, promised: 11, missing: 0 }]).await;
    let done = org.rows_of(RowKind::Attendee, id(EVENT), 1 << 20, |_| {}).await;
    assert!(matches!(done, Err(Error::Malformed { .. })), "{done:?}");
}

#[tokio::test]
async fn a_result_that_comes_without_end_is_given_up_after_the_job_s_patience() {
    let long = Duration::from_secs(5);
    let endless = move |request: &Request, url: &str| {
        let page = Page { rows: 0..1, promised: 1, missing: 0 };
        let mut response = answer(request, url, &[page]);
        if request.uri().path().ends_with("/results") {
            // It ends all the same, so that a client that waits for the end can be told from ours.
            let began = Instant::now();
            let rows = (0..).map(|n| Ok::<_, Infallible>(Bytes::from(line(n))));
            let rows = rows.take_while(move |_| began.elapsed() < long);
            let head = std::iter::once(Ok(Bytes::from_static(HEAD.as_bytes())));
            *response.body_mut() = Body::from_stream(futures::stream::iter(head.chain(rows)));
            response.headers_mut().remove("sforce-numberofrecords");
        }
        response
    };
    let options = Options { job_patience: Duration::from_millis(500), ..quick() };
    let org = org_that(endless, options).await;
    let done = org.rows_of(RowKind::Attendee, id(EVENT), 1 << 20, |_| {}).await;
    assert!(matches!(done, Err(Error::Deadline { .. })), "{done:?}");
}
