//! Hook calls that are signed as Standard Webhooks wants it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod caller;
mod support;

use axum::body::Body;
use axum::http::Method;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use caller::{Answer, Caller};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use sloe_core::ids::OrgId;

const BODY: &str = "{\"event\":\"a00000000000001AAA\"}";

fn org() -> OrgId {
    OrgId::parse("00D000000000002").unwrap()
}

/// As the specification says: HMAC-SHA256 over `id.timestamp.body`, by the
/// decoded key.
fn sign(key: &str, id: &str, at: i64, body: &str) -> String {
    let key = BASE64_STANDARD.decode(key.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

async fn call(caller: &Caller, id: &str, at: i64, signature: &str) -> Answer {
    let at = at.to_string();
    let headers = [
        ("content-type", "application/json"),
        ("webhook-id", id),
        ("webhook-timestamp", at.as_str()),
        ("webhook-signature", signature),
    ];
    let path = "/hooks/salesforce/other/refresh";
    caller.send(Method::POST, path, &headers, Body::from(BODY)).await
}

fn now(caller: &Caller) -> i64 {
    caller.site.engine.now().0 / 1_000
}

#[tokio::test]
async fn a_signed_call_is_taken_once_and_every_other_signature_is_refused() {
    let caller = Caller::new().await;
    let key = caller.connect(org(), "other").signing;
    let at = now(&caller);
    let good = sign(&key, "msg_1", at, BODY);
    assert_eq!(call(&caller, "msg_1", at, &good).await.is(202), json!({"accepted": true}));
    // The very same again is a replay; the sender's own next try is not.
    let replayed = call(&caller, "msg_1", at, &good).await.refused(401, "unauthorized");
    assert!(replayed["detail"].as_str().unwrap().contains("taken before"), "{replayed}");
    let again = sign(&key, "msg_1", at + 1, BODY);
    call(&caller, "msg_1", at + 1, &again).await.is(202);
    // Several signatures: one that fits is enough.
    let several = format!("v1,AAAA v1a,xyz {}", sign(&key, "msg_2", at, BODY));
    call(&caller, "msg_2", at, &several).await.is(202);

    let mut told = Vec::new();
    let another = format!("whsec_{}", BASE64_STANDARD.encode([7; 32]));
    for (id, at, signature) in [
        ("msg_3", at, sign(&another, "msg_3", at, BODY)),
        ("msg_3", at, sign(&key, "msg_4", at, BODY)),
        ("msg_3", at, sign(&key, "msg_3", at + 1, BODY)),
        ("msg_3", at, sign(&key, "msg_3", at, "{}")),
        ("msg_3", at, sign(&key, "msg_3", at, BODY).replace("v1,", "v2,")),
        ("msg_3", at, "v1,".to_owned()),
        ("msg_3", at, String::new()),
        ("", at, sign(&key, "", at, BODY)),
    ] {
        let mut problem = call(&caller, id, at, &signature).await.refused(401, "unauthorized");
        problem["request_id"] = Value::Null;
        told.push(problem);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    for late in [at - 301, at + 400] {
        let signature = sign(&key, "msg_5", late, BODY);
        let problem = call(&caller, "msg_5", late, &signature).await.refused(401, "unauthorized");
        assert!(problem["detail"].as_str().unwrap().contains("five minutes"), "{problem}");
    }
}

#[tokio::test]
async fn a_call_that_was_taken_before_a_restart_is_refused_after_it_and_the_next_one_is_not() {
    let caller = Caller::new().await;
    let key = caller.connect(org(), "other").signing;
    let at = now(&caller);
    let signed = |id: &str, at: i64| sign(&key, id, at, BODY);
    call(&caller, "msg_1", at, &signed("msg_1", at)).await.is(202);
    let caller = Caller::of(caller.site.restarted().await).await;
    let replayed = call(&caller, "msg_1", at, &signed("msg_1", at)).await;
    let replayed = replayed.refused(401, "unauthorized");
    assert!(replayed["detail"].as_str().unwrap().contains("time of now"), "{replayed}");
    // Also where it claims to be another.
    call(&caller, "msg_2", at, &signed("msg_2", at)).await.refused(401, "unauthorized");
    call(&caller, "msg_1", at + 1, &signed("msg_1", at + 1)).await.is(202);
    call(&caller, "msg_3", at + 1, &signed("msg_3", at + 1)).await.is(202);
    let again = call(&caller, "msg_3", at + 1, &signed("msg_3", at + 1)).await;
    again.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_call_for_another_org_is_refused_although_it_is_signed() {
    let caller = Caller::new().await;
    let key = caller.connect(OrgId::parse("00D000000000003").unwrap(), "third").signing;
    caller.connect(org(), "other");
    let at = now(&caller);
    let signature = sign(&key, "msg_1", at, BODY);
    call(&caller, "msg_1", at, &signature).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn two_secrets_are_good_while_they_are_rotated_and_the_old_ones_end_when_told() {
    let caller = Caller::new().await;
    let old = caller.connect(org(), "other");
    let engine = &caller.site.engine;
    let new = engine.rotate_hook(org()).unwrap().unwrap();
    assert_ne!(old, new);
    let at = now(&caller);
    let by_secret = async |secret: &str| {
        let headers = [("content-type", "application/json"), ("x-sloe-secret", secret)];
        let path = "/hooks/salesforce/other/refresh";
        caller.send(Method::POST, path, &headers, Body::from(BODY)).await.status
    };
    for (n, hook) in [&old, &new].into_iter().enumerate() {
        assert_eq!(by_secret(&hook.secret).await, 202);
        let id = format!("both_{n}");
        assert_eq!(call(&caller, &id, at, &sign(&hook.signing, &id, at, BODY)).await.status, 202);
    }
    assert!(engine.end_old_hook(org()).unwrap());
    assert_eq!(by_secret(&old.secret).await, 401);
    assert_eq!(by_secret(&new.secret).await, 202);
    let signature = sign(&old.signing, "old", at, BODY);
    call(&caller, "old", at, &signature).await.refused(401, "unauthorized");
    call(&caller, "new", at, &sign(&new.signing, "new", at, BODY)).await.is(202);
    assert!(!engine.end_old_hook(OrgId::parse("00D000000000009").unwrap()).unwrap());
}
