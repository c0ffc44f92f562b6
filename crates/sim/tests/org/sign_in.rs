//! Tokens, and what an API without a good one answers.

use serde_json::Value as Json;

use crate::client::{Org, unpack};

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
