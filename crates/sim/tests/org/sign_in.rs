//! Tokens, and what an API without a good one answers.

use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::StatusCode;
use serde_json::{Value as Json, json};
use sloe_sim::org::{Options, Seed};

use crate::client::{Org, SEED, options, unpack};

#[tokio::test]
async fn client_credentials_give_a_token_that_names_its_org_and_user() {
    let org = Org::start().await;
    let url = format!("{}/services/oauth2/token", org.running.url());
    let request = org
        .http
        .post(&url)
        .basic_auth("client", Some("secret"))
        .form(&[("grant_type", "client_credentials")]);
    let body: Json = request.send().await.unwrap().json().await.unwrap();
    assert!(body["access_token"].as_str().unwrap().starts_with("00D5g000000Test!"), "{body}");
    assert_eq!(body["instance_url"], org.running.url());
    let id = body["id"].as_str().unwrap();
    let who =
        org.http.get(id).bearer_auth(body["access_token"].as_str().unwrap()).send().await.unwrap();
    let (_, who) = unpack(who).await;
    assert_eq!(who["username"], "sloe@test.example");
    assert_eq!(who["organization_id"], org.running.org_id());
}

#[tokio::test]
async fn a_wrong_secret_client_or_grant_is_refused_with_its_code() {
    let org = Org::start().await;
    let url = format!("{}/services/oauth2/token", org.running.url());
    for (grant, id, secret, error) in [
        ("client_credentials", "client", "wrong", "invalid_client"),
        ("client_credentials", "nobody", "secret", "invalid_client_id"),
        ("password", "client", "secret", "unsupported_grant_type"),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", "client", "secret", "invalid_grant"),
    ] {
        let form = [("grant_type", grant), ("client_id", id), ("client_secret", secret)];
        let (status, body) = unpack(org.http.post(&url).form(&form).send().await.unwrap()).await;
        assert_eq!((status.as_u16(), body["error"].as_str()), (400, Some(error)), "{body}");
    }
}

#[tokio::test]
async fn without_a_token_or_with_an_expired_one_every_resource_answers_401() {
    let mut org = Org::start().await;
    assert_eq!(org.get("/limits").await.0, 200);
    assert_eq!(org.delete("/__control/tokens").await.1["expired"], 1);
    let (status, body) = org.get("/limits").await;
    assert_eq!(status, 401);
    assert_eq!(body[0]["errorCode"], "INVALID_SESSION_ID");
    org.token = org.sign_in().await;
    assert_eq!(org.get("/limits").await.0, 200);
}

#[tokio::test]
async fn the_versions_are_public_and_not_counted() {
    let mut org = Org::start().await;
    org.token = String::new();
    let (status, body) = org.get("/services/data").await;
    assert_eq!(status, 200);
    assert_eq!(body[0]["version"], "31.0");
    assert_eq!(body.as_array().unwrap().last().unwrap()["version"], "67.0");
    let found = body.as_array().unwrap().iter().find(|v| v["version"] == "62.0").unwrap();
    assert_eq!(found["label"], "Winter '25");
    assert_eq!(org.get("/__control/limits").await.1["used"], 0);
}

#[tokio::test]
async fn two_slashes_at_the_beginning_are_one() {
    let org = Org::start().await;
    let url = format!("{}//services/data/v62.0/limits?x=1", org.running.url());
    let answer = org.http.get(&url).bearer_auth(&org.token).send().await.unwrap();
    let (status, body) = unpack(answer).await;
    assert_eq!((status.as_u16(), &body["DailyApiRequests"]["Remaining"]), (200, &json!(99_999)));
    let nowhere = org.http.get(format!("{}//nowhere", org.running.url())).send().await.unwrap();
    assert_eq!(nowhere.status(), 404);
}

/// An org whose app also knows the test key.
async fn org_with_key() -> Org {
    let key = format!(
        "jwt_public_key = \"\"\"\n{}\"\"\"\nclient_secret",
        include_str!("keys/test.pub.pem")
    );
    let seed = Seed::parse(&SEED.replace("client_secret", &key)).unwrap();
    Org::with(Options { seed, ..options() }).await
}

async fn assert_jwt(org: &Org, claims: &Json) -> (StatusCode, Json) {
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(include_bytes!("keys/test.pem")).unwrap();
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    let assertion = jsonwebtoken::encode(&header, claims, &key).unwrap();
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let form = [("grant_type", grant), ("assertion", assertion.as_str())];
    let url = format!("{}/services/oauth2/token", org.running.url());
    unpack(org.http.post(url).form(&form).send().await.unwrap()).await
}

#[tokio::test]
async fn a_jwt_signed_with_the_apps_key_signs_its_subject_in() {
    let org = org_with_key().await;
    let now = jiff::Timestamp::now().as_second();
    let user = "sloe@test.example";
    let own = format!("{}/", org.running.url());
    for claims in [
        json!({ "iss": "client", "sub": user, "aud": "https://login.salesforce.com", "exp": now + 180 }),
        // As the sf command line sends them, and as simple-salesforce does.
        json!({ "iss": "client", "sub": user, "aud": own, "exp": (now + 180) * 1000 }),
        json!({ "iss": "client", "sub": user, "aud": own, "exp": now * 1000 + 300 }),
        json!({ "iss": "client", "sub": user, "aud": "https://test.salesforce.com", "exp": (now + 180).to_string() }),
    ] {
        let (status, body) = assert_jwt(&org, &claims).await;
        assert_eq!(status, 200, "{claims}: {body}");
        assert!(body["access_token"].as_str().unwrap().starts_with("00D5g000000Test!"));
    }
}

#[tokio::test]
async fn a_jwt_that_is_old_foreign_or_unsigned_is_refused() {
    let org = org_with_key().await;
    let now = jiff::Timestamp::now().as_second();
    let good = json!({ "iss": "client", "sub": "sloe@test.example", "aud": "https://login.salesforce.com", "exp": now + 180 });
    for (claim, value, error) in [
        ("exp", json!(now - 1), "invalid_grant"),
        ("exp", json!(now + 3600), "invalid_grant"),
        ("exp", json!((now - 302) * 1000), "invalid_grant"),
        ("aud", json!("https://evil.example"), "invalid_grant"),
        ("sub", json!("ghost@test.example"), "invalid_grant"),
        ("iss", json!("nobody"), "invalid_client_id"),
    ] {
        let mut claims = good.clone();
        claims[claim] = value;
        let (status, body) = assert_jwt(&org, &claims).await;
        assert_eq!((status.as_u16(), body["error"].as_str()), (400, Some(error)), "{claims}");
    }
    let url = format!("{}/services/oauth2/token", org.running.url());
    let unsigned = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJjbGllbnQiLCJzdWIiOiJzbG9lQHRlc3QuZXhhbXBsZSIsImF1ZCI6IngiLCJleHAiOjF9.";
    let form =
        [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", unsigned)];
    let (status, body) = unpack(org.http.post(url).form(&form).send().await.unwrap()).await;
    assert_eq!((status.as_u16(), body["error"].as_str()), (400, Some("invalid_grant")));
}

/// An org with a refresh token for its app, and a second app that has no secret.
fn refreshable() -> Options {
    let more = r#"
[[app]]
name = "Command line"
client_id = "public"
refresh_token = "5Aep861.public"
run_as = "sloe@test.example"
"#;
    let own = "client_secret = \"secret\"\nrefresh_token = \"5Aep861.own\"";
    let seed = SEED.replace("client_secret = \"secret\"", own);
    Options { seed: Seed::parse(&format!("{seed}{more}")).unwrap(), ..options() }
}

async fn refresh(org: &Org, id: &str, secret: Option<&str>, token: &str) -> (StatusCode, Json) {
    let mut form =
        vec![("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", token)];
    form.extend(secret.map(|secret| ("client_secret", secret)));
    let url = format!("{}/services/oauth2/token", org.running.url());
    unpack(org.http.post(url).form(&form).send().await.unwrap()).await
}

async fn revoke(org: &Org, token: &str) -> StatusCode {
    let url = format!("{}/services/oauth2/revoke", org.running.url());
    org.http.post(url).form(&[("token", token)]).send().await.unwrap().status()
}

#[tokio::test]
async fn a_refresh_token_gives_a_new_token_each_time_and_stays_itself() {
    let mut org = Org::with(refreshable()).await;
    let (status, first) = refresh(&org, "client", Some("secret"), "5Aep861.own").await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(
        (&first["refresh_token"], &first["scope"]),
        (&Json::Null, &json!("refresh_token api"))
    );
    let (status, second) = refresh(&org, "public", None, "5Aep861.public").await;
    assert_eq!(status, 200, "{second}");
    for body in [&first, &second] {
        org.token = body["access_token"].as_str().unwrap().to_owned();
        assert_eq!(org.get("/limits").await.0, 200);
    }
    let (_, again) = refresh(&org, "client", Some("secret"), "5Aep861.own").await;
    assert_ne!(again["access_token"], first["access_token"]);
    for (id, secret, token, error, words) in [
        ("nobody", None, "5Aep861.own", "invalid_client_id", "client identifier invalid"),
        ("client", None, "5Aep861.own", "invalid_client", "invalid client credentials"),
        ("client", Some("wrong"), "5Aep861.own", "invalid_client", "invalid client credentials"),
        (
            "client",
            Some("secret"),
            "5Aep861.public",
            "invalid_grant",
            "expired access/refresh token",
        ),
        ("public", None, "", "invalid_grant", "expired access/refresh token"),
    ] {
        let (status, body) = refresh(&org, id, secret, token).await;
        assert_eq!(status, 400);
        assert_eq!(body, json!({ "error": error, "error_description": words }));
    }
}

#[tokio::test]
async fn a_revoked_refresh_token_ends_what_came_of_it_and_stays_revoked_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options { data: Some(directory.path().to_owned()), ..refreshable() };
    let mut org = Org::with(options()).await;
    let own = org.token.clone();
    let mut tokens = Vec::new();
    for (id, secret, token) in
        [("client", Some("secret"), "5Aep861.own"), ("public", None, "5Aep861.public")]
    {
        let (_, body) = refresh(&org, id, secret, token).await;
        tokens.push(body["access_token"].as_str().unwrap().to_owned());
    }
    org.running.shutdown().await;
    org = Org::with(options()).await;
    assert_eq!(revoke(&org, "5Aep861.own").await, 200);
    assert_eq!(revoke(&org, "5Aep861.own").await, 400, "once is enough");
    let expected = [(tokens[0].clone(), 401), (tokens[1].clone(), 200), (own, 200)];
    for _ in 0..2 {
        for (token, status) in &expected {
            org.token.clone_from(token);
            assert_eq!(org.get("/limits").await.0, *status);
        }
        let (_, body) = refresh(&org, "client", Some("secret"), "5Aep861.own").await;
        assert_eq!(body["error"], "invalid_grant");
        assert_eq!(refresh(&org, "public", None, "5Aep861.public").await.0, 200);
        org.running.shutdown().await;
        org = Org::with(options()).await;
    }
}

#[tokio::test]
async fn a_refresh_token_needs_somebody_to_sign_in() {
    let app = "[[app]]\nname = \"Nobody's\"\nclient_id = \"x\"\nrefresh_token = \"y\"";
    let error = Seed::parse(&format!("{SEED}\n{app}")).err().unwrap().to_string();
    assert!(error.contains("has a refresh token, so it needs run_as"), "{error}");
}

static HOUR: AtomicI64 = AtomicI64::new(0);

fn hourly() -> jiff::Timestamp {
    let start: jiff::Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
    start + jiff::SignedDuration::from_hours(HOUR.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_user_who_signs_in_too_often_waits_for_the_hour_to_pass() {
    let org = Org::with(Options { now: hourly, ..refreshable() }).await;
    let (_, limits) = org.get("/__control/limits").await;
    assert_eq!(limits["logins_per_hour"], 3_600);
    let three = json!({ "logins_per_hour": 3 });
    org.send(reqwest::Method::PUT, "/__control/limits", three).await;
    // The first was the test's own.
    for status in [200, 200, 400, 400] {
        let (got, body) = refresh(&org, "public", None, "5Aep861.public").await;
        assert_eq!(got, status, "{body}");
        if status == 400 {
            let words = "login rate exceeded";
            assert_eq!(body, json!({ "error": "invalid_grant", "error_description": words }));
        }
    }
    assert_eq!(org.get("/limits").await.0, 200, "what is signed in already goes on");
    HOUR.store(1, Ordering::Relaxed);
    assert_eq!(refresh(&org, "public", None, "5Aep861.public").await.0, 200);
}
