//! The Update button of the simulated org is the one of Sloe's Salesforce
//! package: the same call, by the files that a real org gets.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value as Json, json};

use crate::client::{EVENT, Org};

const CLASS: &str =
    include_str!("../../../../salesforce/force-app/main/default/classes/SloeUpdate.cls");
const EXTERNAL: &str = include_str!(
    "../../../../salesforce/force-app/main/default/externalCredentials/Sloe.externalCredential-meta.xml"
);
const NAMED: &str = include_str!(
    "../../../../salesforce/force-app/main/default/namedCredentials/Sloe.namedCredential-meta.xml"
);

/// What stands between two texts, the first time.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after} after {before}")).0
}

/// The one header that the External Credential fills in.
fn header_name() -> &'static str {
    let headers: Vec<&str> = EXTERNAL
        .split("<externalCredentialParameters>")
        .filter(|parameter| parameter.contains("<parameterType>AuthHeader<"))
        .collect();
    assert_eq!(headers.len(), 1, "one header proves the org");
    assert!(headers[0].contains("<parameterValue>{!$Credential.Sloe.Secret}<"));
    between(headers[0], "<parameterName>", "<")
}

type Heard = Arc<Mutex<Vec<(Method, String, HeaderMap, Json)>>>;

async fn hook(
    State(heard): State<Heard>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let body = serde_json::from_str(&body).unwrap();
    heard.lock().unwrap().push((method, uri.to_string(), headers, body));
    StatusCode::ACCEPTED
}

#[tokio::test]
async fn update_makes_the_very_call_that_the_package_makes() {
    let org = Org::start().await;
    let heard = Heard::default();
    let router = axum::Router::new().fallback(hook).with_state(Arc::clone(&heard));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    org.running.set_hook(&format!("http://{}", listener.local_addr().unwrap()), "right");
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let http = http.build().unwrap();
    for event in [EVENT, ""] {
        let update = format!("{}/update", org.running.url());
        http.post(update).form(&[("event", event)]).send().await.unwrap();
    }

    let base = between(NAMED, "<parameterValue>https://sloe.example.com", "<");
    let base = base.replace("YOUR-ORG", &org.running.org_id());
    let path = base + between(CLASS, "'callout:Sloe", "'");
    let field = between(CLASS, "EVENT_FIELD = '", "'");
    let everything = between(CLASS, "EVERYTHING = '", "'");
    let bodies: [Json; 2] =
        [json!({ field: format!("{EVENT}AAA") }), serde_json::from_str(everything).unwrap()];
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2);
    for ((method, called, headers, body), expected) in heard.iter().zip(&bodies) {
        assert_eq!(method.as_str(), between(CLASS, "setMethod('", "'"));
        assert_eq!(*called, path);
        assert_eq!(headers[header_name()], "right");
        assert_eq!(headers["content-type"], between(CLASS, "'Content-Type', '", "'"));
        assert_eq!(body, expected);
    }
}
