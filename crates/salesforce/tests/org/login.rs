//! Sessions: had once, renewed once, never had from the wrong org.

use std::sync::atomic::Ordering;

use futures::future::join_all;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use sloe_core::ids::OrgId;
use sloe_salesforce::{Advice, Credentials, Error, Flow, Mapping, Options, Org};

use crate::fake::{Fake, ORG, Reply, USER, quick};

const KEY: &str = include_str!("test-only-key.pem");
const PUBLIC_KEY: &str = include_str!("test-only-key.pub.pem");

fn no_limits() -> Reply {
    Reply::json(&serde_json::json!({}))
}

fn expired() -> Reply {
    Reply::error(401, "INVALID_SESSION_ID", "Session expired or invalid")
}

#[tokio::test]
async fn many_calls_that_find_the_session_expired_renew_it_once() {
    const CALLS: usize = 16;
    let fake = Fake::start_with(
        Some(CALLS),
        |n, fake| fake.log_in(n),
        |seen| if seen.token == "token-1" { expired() } else { no_limits() },
    )
    .await;
    let org = fake.org_with(Options { at_once: CALLS, ..quick() });
    let results = join_all((0..CALLS).map(|_| org.limits())).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(fake.logins(), 2);
    assert_eq!(fake.calls().len(), 2 * CALLS);
}

#[tokio::test]
async fn many_calls_that_wait_for_a_login_share_its_refusal() {
    let body = serde_json::json!({
        "error": "invalid_grant", "error_description": "user jane@example.com is locked"
    });
    let refused = Reply::new(400, "application/json", body.to_string());
    let fake = Fake::start_with(None, move |_, _| refused.clone(), |_| no_limits()).await;
    let org = fake.org_with(Options { at_once: 8, ..quick() });
    for result in join_all((0..8).map(|_| org.limits())).await {
        let error = result.unwrap_err();
        assert!(
            matches!(&error, Error::Login { status: 400, code, .. } if code == "invalid_grant")
        );
        assert_eq!(error.advice(), Advice::Stop);
        assert!(!format!("{error} {error:?}").contains("jane"));
    }
    assert_eq!(fake.logins(), 1);
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn a_session_that_ends_again_at_once_is_reported_not_renewed_for_ever() {
    let fake = Fake::start(|_| expired()).await;
    let error = fake.org().limits().await.unwrap_err();
    assert_eq!(error.advice(), Advice::Reauthenticate);
    assert_eq!(fake.logins(), 2);
    assert_eq!(fake.calls().len(), 2);
}

#[tokio::test]
async fn a_failed_login_is_tried_again_by_the_next_call() {
    let fake = Fake::start_with(
        None,
        |n, fake| {
            if n == 1 { Reply::new(503, "text/html", "<h1>Sorry</h1>") } else { fake.log_in(n) }
        },
        |_| no_limits(),
    )
    .await;
    let org = fake.org();
    let error = org.limits().await.unwrap_err();
    assert!(matches!(&error, Error::Login { status: 503, .. }), "{error:?}");
    assert_eq!(error.advice(), Advice::Retry);
    assert!(org.limits().await.is_ok());
}

#[tokio::test]
async fn one_session_and_one_connection_serve_call_after_call() {
    let fake = Fake::start(|_| no_limits()).await;
    let org = fake.org();
    for _ in 0..5 {
        org.clone().limits().await.unwrap();
    }
    assert_eq!(fake.logins(), 1);
    assert_eq!(fake.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_client_credentials_flow_sends_id_and_secret_in_the_form() {
    let fake = Fake::start(|_| no_limits()).await;
    fake.org().limits().await.unwrap();
    let login = fake.login_calls().remove(0);
    assert_eq!(login.method, "POST");
    assert_eq!(login.form("grant_type").as_deref(), Some("client_credentials"));
    assert_eq!(login.form("client_id").as_deref(), Some("sloe-client"));
    assert_eq!(login.form("client_secret").as_deref(), Some("the-secret"));
}

#[tokio::test]
async fn the_jwt_flow_signs_a_short_lived_assertion_with_the_org_s_key() {
    let fake = Fake::start(|_| no_limits()).await;
    let flow = Flow::JwtBearer {
        client_id: "consumer-key".into(),
        username: "sloe@acme.example".into(),
        private_key_pem: KEY.into(),
        audience: "https://login.salesforce.com".into(),
    };
    let credentials = Credentials { login_url: fake.url.clone(), flow };
    let org = Org::new(credentials, Mapping::default(), quick()).unwrap();
    org.limits().await.unwrap();

    let login = fake.login_calls().remove(0);
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    assert_eq!(login.form("grant_type").as_deref(), Some(grant));
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&["https://login.salesforce.com"]);
    rules.set_issuer(&["consumer-key"]);
    let key = DecodingKey::from_rsa_pem(PUBLIC_KEY.as_bytes()).unwrap();
    let assertion = login.form("assertion").unwrap();
    let claims =
        jsonwebtoken::decode::<serde_json::Value>(&assertion, &key, &rules).unwrap().claims;
    assert_eq!(claims["sub"], "sloe@acme.example");
    let left = claims["exp"].as_i64().unwrap() - jiff::Timestamp::now().as_second();
    assert!((1..=180).contains(&left), "{left} s");
}

#[tokio::test]
async fn credentials_that_lead_to_another_org_are_refused_before_any_call() {
    let fake = Fake::start(|_| no_limits()).await;
    let mine = OrgId::parse("00D000000000002EAA").unwrap();
    let org = fake.org_with(Options { expected_org: Some(mine), ..quick() });
    let error = org.limits().await.unwrap_err();
    let other = OrgId::parse(ORG).unwrap();
    assert!(
        matches!(error, Error::WrongOrg { expected, found } if expected == mine && found == other)
    );
    assert_eq!(error.advice(), Advice::Stop);
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn odd_token_answers_are_faults_not_panics() {
    for body in [
        "",
        "{}",
        "[]",
        "<html>",
        r#"{"access_token":"a","instance_url":"nowhere","id":"x/id/00D000000000001EAA/005000000000001AAA"}"#,
        r#"{"access_token":"a","instance_url":"http://127.0.0.1:1","id":"nobody"}"#,
        r#"{"access_token":7,"instance_url":"http://127.0.0.1:1","id":"x/00D000000000001EAA/005000000000001AAA"}"#,
    ] {
        let reply = Reply::new(200, "application/json", body);
        let fake = Fake::start_with(None, move |_, _| reply.clone(), |_| no_limits()).await;
        let error = fake.org().limits().await.unwrap_err();
        assert!(matches!(error, Error::Malformed { call: "login", .. }), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn identify_tells_who_answered_and_whether_the_org_speaks_the_version() {
    let fake = Fake::start(|_| {
        Reply::json(&serde_json::json!([
            { "label": "Spring '24", "version": "60.0", "url": "/services/data/v60.0" },
            { "label": "Winter '25", "version": "62.0", "url": "/services/data/v62.0" },
        ]))
    })
    .await;
    let identity = fake.org().identify().await.unwrap();
    assert_eq!(identity.org.as_str(), ORG);
    assert_eq!(identity.user.as_str(), USER);
    assert_eq!(identity.instance_url.as_str(), format!("{}/", fake.url));

    let old = Fake::start(|_| Reply::json(&serde_json::json!([{ "version": "31.0" }]))).await;
    let error = old.org().identify().await.unwrap_err();
    assert_eq!(error.code(), Some("UNSUPPORTED_API_VERSION"));
}
