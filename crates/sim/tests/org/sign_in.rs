//! Tokens, and what an API without a good one answers.

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
