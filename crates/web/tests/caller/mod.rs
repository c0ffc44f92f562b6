//! A program that calls the API. Whatever it is refused with must stand in
//! the API's description under that very operation.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use serde_json::{Value, json};
use sloe_core::catalog::Snapshot;
use sloe_core::ids::{EventRef, OrgId};
use sloe_engine::tenant::{HookSecrets, Profile};
use sloe_salesforce::{Credentials, Flow};
use sloe_store::api::Store;
use tower::ServiceExt;

use crate::support::{Draft, Site};

/// The API of a [`Site`].
pub struct Caller {
    pub site: Site,
    pub description: Value,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The answer's value, if its status is `status`.
    #[track_caller]
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The problem's document, if it is this one.
    #[track_caller]
    pub fn refused(&self, status: u16, name: &str) -> Value {
        let problem = self.is(status);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(problem["type"], format!("/problems/{name}"), "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], self.headers["x-request-id"].to_str().unwrap());
        for field in ["title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| text.len() > 10), "{problem}");
        }
        problem
    }

    /// Pointer (or parameter) and code of each fault of a 422.
    #[track_caller]
    pub fn faults(&self) -> Vec<(String, String)> {
        let problem = self.refused(422, "invalid");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let at = |error: &Value| text(error.get("pointer").unwrap_or(&error["parameter"]));
        let errors = problem["errors"].as_array().unwrap();
        errors.iter().map(|error| (at(error), text(&error["code"]))).collect()
    }

    #[track_caller]
    pub fn has_faults(&self, expected: &[(&str, &str)]) {
        let found = self.faults();
        let found: Vec<_> = found.iter().map(|(at, code)| (at.as_str(), code.as_str())).collect();
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(&self.body));
    }
}

impl Caller {
    pub async fn new() -> Self {
        Self::of(Site::new()).await
    }

    pub async fn of(site: Site) -> Self {
        let description = send(&site.app, Method::GET, "/openapi.json", &[], Body::empty()).await;
        Self { description: description.is(200), site }
    }

    pub async fn publish(&self, draft: &Draft) -> Arc<Snapshot> {
        self.site.publish(draft).await
    }

    /// Connects an org and tells its hook's secret.
    pub fn connect(&self, org: OrgId, slug: &str) -> HookSecrets {
        let profile = Profile { slug: slug.into(), name: slug.into(), ..Profile::default() };
        let flow = Flow::ClientCredentials {
            client_id: "sloe".into(),
            client_secret: "secret".to_owned().into(),
        };
        let credentials = Credentials { login_url: "http://127.0.0.1:9".into(), flow };
        let registry = self.site.engine.registry();
        registry.connect(&*self.site.store, org, profile, credentials).unwrap().1
    }

    /// Every journal's version: what is stored of claims.
    pub fn journals(&self) -> Vec<(EventRef, u64)> {
        self.site.store.journals().unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Body::empty()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Body::empty()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_keyed(path, None, body).await
    }

    pub async fn post_keyed(&self, path: &str, key: Option<&str>, body: &Value) -> Answer {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        self.send(Method::POST, path, &headers, Body::from(body.to_string())).await
    }

    pub async fn post_bytes(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let headers = [("content-type", "application/json; charset=utf-8")];
        self.send(Method::POST, path, &headers, Body::from(body.into())).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Answer {
        let answer = send(&self.site.app, method.clone(), path, headers, body).await;
        if answer.status >= 400 {
            self.is_described(&method, path, &answer);
        }
        answer
    }

    /// Fails unless the description tells of this refusal.
    fn is_described(&self, method: &Method, path: &str, answer: &Answer) {
        let path = path.split('?').next().unwrap();
        let templates = self.description["paths"].as_object().unwrap();
        let Some((_, item)) = templates.iter().find(|(template, _)| fits(template, path)) else {
            answer.refused(404, "not-found");
            return;
        };
        let Some(operation) = item.get(method.as_str().to_ascii_lowercase()) else {
            answer.refused(405, "method-not-allowed");
            return;
        };
        let problem = answer.json();
        let name = problem["type"].as_str().unwrap().trim_start_matches("/problems/");
        let described = &operation["responses"][answer.status.to_string()]["description"];
        let described = described.as_str().unwrap_or_default();
        assert!(
            described.contains(&format!("`{name}`")),
            "{method} {path}: {name} is not described"
        );
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(&path).all(|(part, given)| part.starts_with('{') || part == given)
}

pub async fn send(
    app: &Router,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, value.as_bytes());
    }
    let response = app.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// Addresses of an event.
pub fn at(event: &Snapshot, verb: &str) -> String {
    format!("/api/v1/events/{}/{verb}", event.id)
}

/// A request for some units of the event's first item.
pub fn lines(event: &Snapshot, quantity: u32) -> Value {
    json!({"lines": [{"item": event.items[0].id.to_string(), "quantity": quantity}]})
}

/// A person for a place of a hold.
pub fn placed(place: u32) -> Value {
    json!({
        "place": place,
        "first_name": "Ada",
        "last_name": format!("Lovelace {place}"),
        "email": format!("ada{place}@example.org"),
    })
}

/// A person with a choice.
pub fn person(event: &Snapshot, n: u32) -> Value {
    json!({
        "item": event.items[0].id.to_string(),
        "sessions": event.sessions.iter().map(|s| s.id.to_string()).collect::<Vec<_>>(),
        "first_name": "Ada",
        "last_name": format!("Lovelace {n}"),
        "email": format!("ada{n}@example.org"),
        "answers": {},
    })
}
