//! HTTPS: a client that trusts the certificate is served, one that does not is not.

use std::path::{Path, PathBuf};

use sloe_sim::org::{Doors, Tls, start_with};

use crate::client::options;

pub(crate) fn key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/org/keys").join(name)
}

/// The certificate for this machine, which only the tests' own authority vouches for.
pub(crate) fn certificate() -> Tls {
    Tls { cert: key("test-only-server.pem"), key: key("test-only-server.key.pem") }
}

/// A client that trusts the tests' authority and nobody else.
pub(crate) fn trusting() -> reqwest::Client {
    let pem = std::fs::read(key("test-only-authority.pem")).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    reqwest::Client::builder().tls_certs_only([authority]).build().unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_signs_in_over_https() {
    let doors = Doors { tls: Some(certificate()), pubsub: None };
    let running = start_with(options(), doors).await.unwrap();
    assert!(running.url().starts_with("https://"), "{}", running.url());
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "client"),
        ("client_secret", "secret"),
    ];
    let url = format!("{}/services/oauth2/token", running.url());
    let answer = trusting().post(&url).form(&form).send().await.unwrap();
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["instance_url"], running.url());

    let stranger = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    assert!(stranger.post(&url).form(&form).send().await.is_err());
    let plain = url.replace("https://", "http://");
    let refused = reqwest::Client::new().post(plain).form(&form).send().await;
    assert!(refused.is_err(), "{refused:?}");
    running.shutdown().await;
}

#[tokio::test]
async fn one_who_never_ends_the_handshake_keeps_nobody_else_waiting() {
    let doors = Doors { tls: Some(certificate()), pubsub: None };
    let running = start_with(options(), doors).await.unwrap();
    let _silent = tokio::net::TcpStream::connect(running.addr()).await.unwrap();
    let answer = trusting().get(format!("{}/services/data", running.url())).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    running.shutdown().await;
}

#[tokio::test]
async fn a_certificate_that_is_none_is_named() {
    let tls = Tls { cert: key("test.pub.pem"), key: key("test-only-server.key.pem") };
    let Err(error) = start_with(options(), Doors { tls: Some(tls), pubsub: None }).await else {
        panic!("an org without a certificate began");
    };
    assert!(error.to_string().contains("the certificate can't be used"), "{error}");
}
