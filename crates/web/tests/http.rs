//! What holds for every request: ids, headers, bounds, and connections over a
//! real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod caller;
mod support;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::routing::get;
use serde_json::Value;
use sloe_web::health::install_metrics;
use sloe_web::serve::Peer;
use sloe_web::state::{AppState, Phase, Rate, Settings};
use support::{Draft, Site};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use caller::{Caller, send};

#[tokio::test]
async fn every_route_of_programs_is_described_with_its_methods() {
    let caller = Caller::new().await;
    for (template, item) in caller.description["paths"].as_object().unwrap() {
        let path = template.replace(['{', '}'], "");
        let mut described: Vec<_> =
            item.as_object().unwrap().keys().map(|method| method.to_ascii_uppercase()).collect();
        // A method that nothing has: the answer lists those that are there.
        let answer = send(&caller.site.app, Method::TRACE, &path, &[], Body::empty()).await;
        answer.refused_or_page(405);
        let allowed = answer.headers["allow"].to_str().unwrap();
        let mut allowed: Vec<_> =
            allowed.split(',').map(str::trim).filter(|m| *m != "HEAD").collect();
        described.sort();
        allowed.sort_unstable();
        assert_eq!(described, allowed, "{template}");
    }
    // The other way round: the table's own addresses, read from its source.
    let table = include_str!("../src/routes.rs");
    let routes = table.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let described = caller.description["paths"].as_object().unwrap();
    for route in routes.filter(|route| !route.contains("{*")) {
        assert!(described.contains_key(route), "{route} is not described");
    }
}

#[tokio::test]
async fn every_problem_has_a_page_that_explains_it() {
    let caller = Caller::new().await;
    let mut names = 0;
    for item in caller.description["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for response in operation["responses"].as_object().unwrap().values() {
                let described = response["description"].as_str().unwrap();
                for name in described.split('`').skip(1).step_by(2) {
                    let page = send(
                        &caller.site.app,
                        Method::GET,
                        &format!("/problems/{name}"),
                        &[],
                        Body::empty(),
                    )
                    .await;
                    assert_eq!(page.status, 200, "{name}");
                    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
                    names += 1;
                }
            }
        }
    }
    assert!(names > 60, "{names}");
    let unknown = send(&caller.site.app, Method::GET, "/problems/none", &[], Body::empty()).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.headers["content-type"], "text/html; charset=utf-8");
}

#[tokio::test]
async fn a_plain_request_id_is_kept_and_any_other_replaced() {
    let site = Site::new();
    let id = async |given: &str| {
        let headers = [("x-request-id", given)];
        let answer = send(&site.app, Method::GET, "/livez", &headers, Body::empty()).await;
        answer.headers["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id("0198b0f2-c6f3-7a52").await, "0198b0f2-c6f3-7a52");
    for odd in ["short", "two words here", "<script>alert</script>", &"x".repeat(65)] {
        let made = id(odd).await;
        assert_eq!(made.len(), 32, "{made}");
    }
}

#[tokio::test]
async fn answers_carry_the_headers_that_protect_visitors() {
    let settings = Settings {
        public_url: Some("https://x.example".into()),
        rate: None,
        ..Settings::default()
    };
    let site = Site::with(settings);
    let page = send(&site.app, Method::GET, "/acme", &[], Body::empty()).await;
    let csp = page.headers["content-security-policy"].to_str().unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "form-action 'self'",
        "base-uri 'none'",
    ] {
        assert!(csp.contains(part), "{part}");
    }
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert!(page.headers.contains_key("referrer-policy"));
    assert!(page.headers.contains_key("strict-transport-security"));
    assert!(!page.headers.contains_key("access-control-allow-origin"));
    let plain = Site::with(Settings { rate: None, ..Settings::default() });
    let page = send(&plain.app, Method::GET, "/acme", &[], Body::empty()).await;
    assert!(!page.headers.contains_key("strict-transport-security"));
}

#[tokio::test]
async fn a_browser_may_ask_before_it_sends_to_the_api() {
    let site = Site::new();
    let asks = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type, idempotency-key"),
    ];
    let answer =
        send(&site.app, Method::OPTIONS, "/api/v1/events/x/holds", &asks, Body::empty()).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let allowed = answer.headers["access-control-allow-headers"].to_str().unwrap();
    assert!(allowed.contains("idempotency-key"));
    let page = send(&site.app, Method::OPTIONS, "/acme", &asks, Body::empty()).await;
    assert!(!page.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn an_address_beyond_its_rate_is_told_when_to_come_back() {
    let rate = Some(Rate { per_second: 1, burst: 3 });
    let site = Site::with(Settings { rate, ..Settings::default() });
    let ask = async |path: &str, peer: &str| {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        site.app.clone().oneshot(request).await.unwrap()
    };
    for _ in 0..3 {
        assert_eq!(ask("/api/v1/orgs/acme/events", "203.0.113.1:9").await.status(), 200);
    }
    let refused = ask("/api/v1/orgs/acme/events", "203.0.113.1:10").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["access-control-allow-origin"], "*");
    let page = ask("/acme", "203.0.113.1:10").await;
    assert_eq!(
        (page.status().as_u16(), page.headers()["content-type"].as_bytes()),
        (429, &b"text/html; charset=utf-8"[..])
    );
    assert_eq!(ask("/api/v1/orgs/acme/events", "203.0.113.2:9").await.status(), 200);
}

#[tokio::test]
async fn more_than_may_be_under_way_is_refused_for_now() {
    let site = Site::with(Settings { rate: None, in_flight: 0, ..Settings::default() });
    let answer = send(&site.app, Method::GET, "/api/v1/orgs/acme/events", &[], Body::empty()).await;
    answer.refused(503, "not-accepted");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn readiness_and_metrics_are_for_those_who_run_sloe() {
    let metrics = install_metrics().unwrap();
    let site = Site::new();
    let state = AppState::new(
        site.engine.clone(),
        Settings { metrics_token: Some("opens-it".into()), rate: None, ..Settings::default() },
        Some(metrics),
    );
    let (app, admin) = (sloe_web::app(state.clone()), sloe_web::admin_app(state.clone()));
    let ask = async |app: &Router, path: &str, headers: &[(&str, &str)]| {
        send(app, Method::GET, path, headers, Body::empty()).await
    };
    assert_eq!(ask(&app, "/livez", &[]).await.status, 200);
    ask(&app, "/readyz", &[]).await.refused(503, "not-ready");
    state.set_phase(Phase::Ready);
    assert_eq!(ask(&admin, "/readyz", &[]).await.status, 200);
    state.set_phase(Phase::Draining);
    ask(&app, "/readyz", &[]).await.refused(503, "not-ready");
    ask(&app, "/metrics", &[]).await.refused(401, "unauthorized");
    ask(&app, "/metrics", &[("authorization", "Bearer opens-i")])
        .await
        .refused(401, "unauthorized");
    let text = ask(&app, "/metrics", &[("authorization", "Bearer opens-it")]).await;
    let text = String::from_utf8(text.body).unwrap();
    let line = "sloe_http_requests_total{route=\"/readyz\",method=\"GET\",status=\"5xx\"} 2";
    assert!(text.contains(line), "{text}");
    assert_eq!(ask(&admin, "/metrics", &[]).await.status, 200);
    ask(&site.app, "/metrics", &[]).await.refused(404, "not-found");
}

/// A server on a real socket; dropping the sender stops it.
async fn listen(
    app: Router,
) -> (
    std::net::SocketAddr,
    tokio::sync::oneshot::Sender<()>,
    tokio::task::JoinHandle<std::io::Result<()>>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(sloe_web::serve(listener, app, async move {
        let _ = stopped.await;
    }));
    (address, stop, server)
}

async fn speak(address: std::net::SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before all is sent.
    let _ = stream.write_all(sent).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn floods_of_headers_are_refused_and_the_next_caller_is_served() {
    let site = Site::new();
    let (address, _stop, _server) = listen(site.app.clone()).await;
    let many: String = (0..500).map(|n| format!("x-{n}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(20_000));
    for flood in [many, long] {
        let answer =
            speak(address, format!("GET /livez HTTP/1.1\r\nhost: x\r\n{flood}\r\n").as_bytes())
                .await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    for broken in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"GET / HTTP/9\r\n\r\n",
        b"\r\n\r\nnonsense \xff\xfe\r\n\r\n",
    ] {
        let answer = speak(address, broken).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    let fine = speak(address, b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(fine.starts_with("HTTP/1.1 200 ") && fine.ends_with("ok\n"), "{fine}");
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_end() {
    let (arrived, mut arrival) = tokio::sync::mpsc::channel(1);
    let (go, gone) = tokio::sync::watch::channel(false);
    let app = Router::new().route(
        "/slow",
        get(move || {
            let (arrived, mut gone) = (arrived.clone(), gone.clone());
            async move {
                arrived.send(()).await.unwrap();
                gone.wait_for(|gone| *gone).await.unwrap();
                "done"
            }
        }),
    );
    let (address, stop, server) = listen(app).await;
    let request =
        tokio::spawn(async move { speak(address, b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await });
    arrival.recv().await.unwrap();
    drop(stop);
    // Nobody is taken any more: the listener is closed.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.is_finished());
    go.send(true).unwrap();
    let answer = request.await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let deadline = Duration::from_millis(40);
    let site = Site::with(Settings { rate: None, deadline, ..Settings::default() });
    let event = site.publish(&Draft::default()).await;
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let json = [("content-type", "application/json")];
    let path = caller::at(&event, "registrations");
    let answer = send(&site.app, Method::POST, &path, &json, never).await;
    answer.refused(408, "too-slow");
}

trait Either {
    fn refused_or_page(&self, status: u16);
}

impl Either for caller::Answer {
    #[track_caller]
    fn refused_or_page(&self, status: u16) {
        assert_eq!(self.status, status);
        let kind = self.headers["content-type"].to_str().unwrap();
        if kind == "application/problem+json" {
            assert!(matches!(self.json(), Value::Object(_)));
        } else {
            assert_eq!(kind, "text/html; charset=utf-8");
        }
    }
}

#[tokio::test]
async fn whoever_does_not_know_the_master_key_is_refused_by_the_peers_listener() {
    let site = Site::new();
    let app = sloe_web::peer::app(site.engine.clone());
    let ask = async |headers: &[(&str, &str)], body: &'static str| {
        send(&app, Method::POST, "/peer/claims", headers, Body::from(body)).await
    };
    let forged = "0123456789012345678901234567890123456789[]";
    for body in ["", "[]", forged] {
        let length = body.len().to_string();
        assert_eq!(ask(&[("content-length", &length)], body).await.status, 403, "{body}");
    }
    // It is not read before it is known how long it is.
    for headers in [&[][..], &[("content-length", "16777217")]] {
        assert_eq!(ask(headers, forged).await.status, 413, "{headers:?}");
    }
    assert_eq!(send(&app, Method::GET, "/peer/claims", &[], Body::empty()).await.status, 405);
}
