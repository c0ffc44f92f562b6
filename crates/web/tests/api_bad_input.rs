//! Bad input of every kind: refused with every fault named, nothing stored.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod caller;
mod support;

use axum::body::Body;
use axum::http::Method;
use caller::{Caller, at, lines, person, placed};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sloe_core::ids::OrgId;
use support::Draft;

fn conference() -> Draft {
    Draft { seats: Some(100), sessions: vec![40, 30], ..Draft::default() }
}

/// Paths that take JSON, the hold's own included.
async fn doors(caller: &Caller, event: &sloe_core::catalog::Snapshot) -> [String; 3] {
    let hold = caller.post(&at(event, "holds"), &lines(event, 2)).await.is(201);
    let confirm = format!("/api/v1/holds/{}/confirm", hold["id"].as_str().unwrap());
    [at(event, "holds"), at(event, "registrations"), confirm]
}

#[tokio::test]
async fn what_is_not_json_is_malformed_and_says_where() {
    let caller = Caller::new().await;
    let event = caller.publish(&conference()).await;
    let doors = doors(&caller, &event).await;
    let before = caller.journals();
    let deep = [b"[".repeat(5_000), b"]".repeat(5_000)].concat();
    let bodies: [(&[u8], &str); 10] = [
        (b"", "line 1, column 0"),
        (b"{", "line 1, column 1"),
        (b"{\"lines\":[}", "line 1, column 11"),
        (b"{\"a\":1}{\"b\":2}", "line 1, column 8"),
        (b"{'lines':[]}", "line 1, column 2"),
        (b"{\"lines\":NaN}", "line 1, column 10"),
        (b"\"\xc3\x28\"", "line 1, column 2"),
        (b"{\"lines\":\"\\ud800\"}", "line 1"),
        (b"\xff\xfe{\x00}\x00", "line 1, column 1"),
        (&deep, "line 1, column 17"),
    ];
    for door in &doors {
        for (body, position) in bodies {
            let problem = caller.post_bytes(door, body).await.refused(400, "malformed");
            let detail = problem["detail"].as_str().unwrap();
            let body = String::from_utf8_lossy(&body[..body.len().min(20)]);
            assert!(detail.contains(position), "{body}: {detail}");
        }
    }
    assert_eq!(caller.journals(), before);
}

#[tokio::test]
async fn bodies_of_another_type_or_size_are_not_read() {
    let caller = Caller::new().await;
    let event = caller.publish(&conference()).await;
    let doors = doors(&caller, &event).await;
    let before = caller.journals();
    for door in doors {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        for headers in [&form[..], &[], &[("content-type", "application/jsonp")]] {
            let body = Body::from(lines(&event, 1).to_string());
            let answer = caller.send(Method::POST, &door, headers, body).await;
            answer.refused(415, "unsupported-media-type");
        }
        let huge = || format!("{{\"lines\":[{}]}}", " ".repeat(70_000));
        caller.post_bytes(&door, huge()).await.refused(413, "too-large");
        let announced = [("content-type", "application/json"), ("content-length", "70000")];
        let answer = caller.send(Method::POST, &door, &announced, Body::empty()).await;
        answer.refused(413, "too-large");
        // Without an announcement the bound holds all the same.
        let pieces =
            futures::stream::iter((0..80).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1_000])));
        let json = [("content-type", "application/json")];
        let answer = caller.send(Method::POST, &door, &json, Body::from_stream(pieces)).await;
        answer.refused(413, "too-large");
        // What is packed is not unpacked, or a little would become a lot.
        let packed = [("content-type", "application/json"), ("content-encoding", "gzip")];
        let body = Body::from(&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"[..]);
        let answer = caller.send(Method::POST, &door, &packed, body).await;
        answer.refused(400, "malformed");
        let broken = futures::stream::iter([
            Ok(b"{\"lines\":".to_vec()),
            Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
        ]);
        let answer = caller.send(Method::POST, &door, &json, Body::from_stream(broken)).await;
        answer.refused(400, "malformed");
    }
    assert_eq!(caller.journals(), before);
}

#[tokio::test]
async fn every_fault_of_a_hold_is_named_at_once() {
    let caller = Caller::new().await;
    let event = caller.publish(&conference()).await;
    let holds = at(&event, "holds");
    let before = caller.journals();
    let item = event.items[0].id.to_string();
    let session = event.sessions[0].id.to_string();
    let cases: Vec<(Value, Vec<(&str, &str)>)> = vec![
        (json!([]), vec![("", "type")]),
        (json!(null), vec![("", "type")]),
        (json!({}), vec![("/lines", "required")]),
        (json!({"lines": {}}), vec![("/lines", "type")]),
        (json!({"lines": []}), vec![("/lines", "required")]),
        (
            json!({"lines": [], "a/b~c": 1}),
            vec![("/a~1b~0c", "unknown-field"), ("/lines", "required")],
        ),
        (json!({"lines": vec![json!(1); 51]}), vec![("/lines", "too-many")]),
        (
            json!({"lines": [
                7,
                {"item": 7, "quantity": "2", "sessions": "x", "price": 0},
                {"quantity": 0, "sessions": [1, "x", session]},
                {"item": item, "quantity": 1.5, "sessions": null},
                {"item": item, "quantity": -1},
                {"item": item, "quantity": 1e300},
                {"item": item.to_uppercase(), "quantity": 18_446_744_073_709_551_615_u64},
            ]}),
            vec![
                ("/lines/0", "type"),
                ("/lines/1/price", "unknown-field"),
                ("/lines/1/item", "type"),
                ("/lines/1/quantity", "type"),
                ("/lines/1/sessions", "type"),
                ("/lines/2/item", "required"),
                ("/lines/2/quantity", "range"),
                ("/lines/2/sessions/0", "type"),
                ("/lines/2/sessions/1", "id"),
                ("/lines/3/quantity", "type"),
                ("/lines/3/sessions", "type"),
                ("/lines/4/quantity", "range"),
                ("/lines/5/quantity", "type"),
                ("/lines/6/item", "id"),
                ("/lines/6/quantity", "type"),
            ],
        ),
        (
            json!({"lines": [{"item": item, "quantity": 30}, {"item": item, "quantity": 21}]}),
            vec![("/lines", "too-many")],
        ),
        (
            json!({"lines": [{"item": item, "quantity": 1, "sessions": vec![&session; 17]}]}),
            vec![("/lines/0/sessions", "too-many")],
        ),
        (
            json!({"lines": [{"item": item, "quantity": 1, "sessions": [session, session]}]}),
            vec![("/lines/0/sessions/1", "twice")],
        ),
        (
            json!({"lines": [{"item": session, "quantity": 2, "sessions": [item, "00000000000000000000000000"]}]}),
            vec![
                ("/lines/0/item", "unknown"),
                ("/lines/0/sessions", "unknown"),
                ("/lines/0/sessions", "unknown"),
            ],
        ),
        (
            json!({"lines": [{"item": session, "quantity": 1}, {"item": item}]}),
            vec![("/lines/1/quantity", "required"), ("/lines/0/item", "unknown")],
        ),
    ];
    for (body, faults) in cases {
        caller.post(&holds, &body).await.has_faults(&faults);
    }
    let twice = format!("{{\"lines\":[],\"lines\":[{{\"item\":\"{item}\",\"quantity\":1}}]}}");
    caller
        .post_bytes(&holds, twice)
        .await
        .has_faults(&[("/lines", "twice"), ("/lines", "required")]);
    assert_eq!(caller.journals(), before);
}

#[tokio::test]
async fn every_fault_of_attendees_is_named_at_once() {
    let caller = Caller::new().await;
    let event = caller.publish(&conference()).await;
    let [_, registrations, confirm] = doors(&caller, &event).await;
    let before = caller.journals();
    let item = event.items[0].id.to_string();
    let bad = json!({"attendees": [
        {"item": item, "first_name": 7, "last_name": "x".repeat(81), "email": "nobody", "seat": "A1"},
        {"item": event.sessions[0].id.to_string(), "first_name": "A\u{7}", "last_name": " ", "email": "a@b.co"},
        {"first_name": "Ada", "last_name": "L", "answers": {"diet": "none"}},
    ]});
    caller.post(&registrations, &bad).await.has_faults(&[
        ("/attendees/0/seat", "unknown-field"),
        ("/attendees/0/first_name", "type"),
        ("/attendees/2/item", "required"),
        ("/attendees/2/answers/diet", "unknown-field"),
        ("/attendees/1/item", "unknown"),
        ("/attendees/0/last_name", "too-long"),
        ("/attendees/0/email", "email"),
        ("/attendees/1/first_name", "characters"),
        ("/attendees/1/last_name", "required"),
        ("/attendees/2/email", "required"),
    ]);
    // Without a fault of form, ids and details are told together as well.
    let mut wrong = person(&event, 1);
    wrong["item"] = json!(event.sessions[0].id.to_string());
    wrong["email"] = json!("nobody@");
    caller
        .post(&registrations, &json!({"attendees": [person(&event, 2), wrong]}))
        .await
        .has_faults(&[("/attendees/1/item", "unknown"), ("/attendees/1/email", "email")]);
    let mut nameless = placed(2);
    nameless["first_name"] = json!("");
    caller
        .post(&confirm, &json!({"attendees": [nameless, placed(1)]}))
        .await
        .has_faults(&[("/attendees/0/first_name", "required")]);
    caller
        .post(&confirm, &json!({"attendees": [placed(1), placed(1)]}))
        .await
        .has_faults(&[("/attendees/1/place", "twice"), ("/attendees", "missing-place")]);
    caller
        .post(&confirm, &json!({"attendees": [placed(1)]}))
        .await
        .has_faults(&[("/attendees", "count")]);
    let mut third = placed(3);
    third["email"] = json!("no");
    caller.post(&confirm, &json!({"attendees": [placed(1), third]})).await.has_faults(&[
        ("/attendees/1/place", "unknown"),
        ("/attendees", "missing-place"),
        ("/attendees/1/email", "email"),
    ]);
    caller.post(&confirm, &json!({"attendees": []})).await.has_faults(&[
        ("/attendees", "required"),
        ("/attendees", "missing-place"),
        ("/attendees", "missing-place"),
    ]);
    assert_eq!(caller.journals(), before);
}

#[tokio::test]
async fn a_crowd_and_attendees_that_are_none_are_told_entry_by_entry() {
    let caller = Caller::new().await;
    let event = caller.publish(&conference()).await;
    let [_, registrations, confirm] = doors(&caller, &event).await;
    let before = caller.journals();
    let crowd = json!({"attendees": vec![person(&event, 1); 51]});
    caller.post(&registrations, &crowd).await.has_faults(&[("/attendees", "too-many")]);
    let mut odd = placed(1);
    odd["place"] = json!(0);
    let body = json!({"attendees": [odd, 7, [], {"place": 65_536, "email": null}]});
    caller.post(&confirm, &body).await.has_faults(&[
        ("/attendees/0/place", "range"),
        ("/attendees/1", "type"),
        ("/attendees/2", "type"),
        ("/attendees/3/place", "range"),
        ("/attendees/3/email", "type"),
        ("/attendees", "missing-place"),
        ("/attendees", "missing-place"),
        ("/attendees/1/first_name", "required"),
        ("/attendees/1/last_name", "required"),
        ("/attendees/1/email", "required"),
        ("/attendees/2/first_name", "required"),
        ("/attendees/2/last_name", "required"),
        ("/attendees/2/email", "required"),
        ("/attendees/3/first_name", "required"),
        ("/attendees/3/last_name", "required"),
    ]);
    assert_eq!(caller.journals(), before);
}

#[tokio::test]
async fn ids_of_another_org_are_unknown_here() {
    let mut caller = Caller::new().await;
    let ours = caller.publish(&conference()).await;
    let other = OrgId::parse("00D000000000002").unwrap();
    caller.connect(other, "other");
    let own = std::mem::replace(&mut caller.site.org, other);
    let theirs = caller.publish(&conference()).await;
    caller.site.org = own;
    assert_ne!(ours.id, theirs.id, "both have the same Salesforce id, and nothing mixes them up");
    let before = caller.journals();
    caller
        .post(&at(&ours, "holds"), &lines(&theirs, 1))
        .await
        .has_faults(&[("/lines/0/item", "unknown")]);
    caller
        .post(&at(&ours, "registrations"), &json!({"attendees": [person(&theirs, 1)]}))
        .await
        .has_faults(&[
            ("/attendees/0/item", "unknown"),
            ("/attendees/0/sessions", "unknown"),
            ("/attendees/0/sessions", "unknown"),
        ]);
    // Without a license of its own the other org takes nobody.
    caller.post(&at(&theirs, "holds"), &lines(&theirs, 1)).await.refused(403, "license-inactive");
    assert_eq!(caller.journals(), before);
}

#[tokio::test]
async fn an_idempotency_key_is_bounded_visible_text() {
    let caller = Caller::new().await;
    let event = caller.publish(&conference()).await;
    let long = "k".repeat(255);
    caller.post_keyed(&at(&event, "holds"), Some(&long), &lines(&event, 1)).await.is(201);
    let before = caller.journals();
    let longer = "k".repeat(256);
    for bad in [longer.as_str(), "", "a\tb"] {
        let answer = caller.post_keyed(&at(&event, "holds"), Some(bad), &lines(&event, 1)).await;
        let problem = answer.refused(400, "malformed");
        assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"));
    }
    let json = ("content-type", "application/json");
    let twice = [json, ("idempotency-key", "a"), ("idempotency-key", "a")];
    let body = Body::from(lines(&event, 1).to_string());
    let answer = caller.send(Method::POST, &at(&event, "holds"), &twice, body).await;
    answer.refused(400, "malformed");
    assert_eq!(caller.journals(), before);
}

#[tokio::test]
async fn a_list_is_asked_for_with_its_own_parameters_only() {
    let caller = Caller::new().await;
    caller.publish(&conference()).await;
    let list = "/api/v1/orgs/acme/events?";
    let cases: [(&str, &[(&str, &str)]); 8] = [
        ("limit=101", &[("limit", "range")]),
        ("limit=-1", &[("limit", "range")]),
        ("limit=99999999999999999999", &[("limit", "range")]),
        ("limit=", &[("limit", "range")]),
        ("after=%ff%fe", &[("after", "cursor")]),
        ("after=99999999999999999999.x", &[("after", "cursor")]),
        (
            "limit=1&limit=1&after=.&x=1",
            &[("limit", "twice"), ("after", "cursor"), ("x", "unknown-parameter")],
        ),
        ("%ff=1", &[("\u{fffd}", "unknown-parameter")]),
    ];
    for (query, faults) in cases {
        caller.get(&format!("{list}{query}")).await.has_faults(faults);
    }
    for after in ["-9223372036854775808.x", "9223372036854775807.x", "0."] {
        caller.get(&format!("{list}after={after}")).await.is(200);
    }
    for org in ["%ff", "%00", "..", "acme%2fevents", "ACME", "00D000000000001"] {
        let found = caller.get(&format!("/api/v1/orgs/{org}/events")).await;
        found.refused(404, "not-found");
    }
}

#[tokio::test]
async fn a_thousand_faults_are_told_in_a_bounded_answer() {
    let caller = Caller::new().await;
    let event = caller.publish(&conference()).await;
    let fields: Vec<_> = (0..5_000).map(|n| format!("\"f{n}\":1")).collect();
    let answer = caller.post_bytes(&at(&event, "holds"), format!("{{{}}}", fields.join(","))).await;
    let faults = answer.faults();
    assert_eq!(faults.len(), 101);
    assert_eq!(faults.last().unwrap().1, "more");
    assert!(answer.body.len() < 64 * 1024);
}

/// What stands between two texts of a file of Sloe's Salesforce package, the first time.
fn packaged<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after} after {before}")).0
}

#[tokio::test]
async fn the_hook_takes_what_the_salesforce_package_sends() {
    let class = include_str!("../../../salesforce/force-app/main/default/classes/SloeUpdate.cls");
    let named = include_str!(
        "../../../salesforce/force-app/main/default/namedCredentials/Sloe.namedCredential-meta.xml"
    );
    let external = include_str!(
        "../../../salesforce/force-app/main/default/externalCredentials/Sloe.externalCredential-meta.xml"
    );
    let principal = "<parameterType>NamedPrincipal</parameterType>";
    let (_, header) = external.split_once(principal).unwrap();
    let header = packaged(header, "<parameterName>", "<");
    let base = packaged(named, "<parameterValue>https://sloe.example.com", "<");
    let field = packaged(class, "EVENT_FIELD = '", "'");
    let event = json!({ field: "a00000000000001AAA" }).to_string();
    let caller = Caller::new().await;
    let org = OrgId::parse("00D000000000002").unwrap();
    let secret = caller.connect(org, "other");
    let path = base.replace("YOUR-ORG", org.as_str()) + packaged(class, "'callout:Sloe", "'");
    let content = packaged(class, "'Content-Type', '", "'");
    let headers = [("content-type", content), (header, secret.secret.as_str())];
    for body in [event.as_str(), packaged(class, "EVERYTHING = '", "'")] {
        let body = Body::from(body.to_owned());
        let answer = caller.send(Method::POST, &path, &headers, body).await;
        assert_eq!(answer.is(202), json!({"accepted": true}));
    }
}

#[tokio::test]
async fn the_hook_takes_the_secret_s_holder_only_and_answers_at_once() {
    let caller = Caller::new().await;
    let other = OrgId::parse("00D000000000002").unwrap();
    let secret = caller.connect(other, "other").secret;
    let json = ("content-type", "application/json");
    let known = [json, ("x-sloe-secret", secret.as_str())];
    let call = async |org: &str, headers: &[(&str, &str)], body: &str| {
        let path = format!("/hooks/salesforce/{org}/refresh");
        caller.send(Method::POST, &path, headers, Body::from(body.to_owned())).await
    };
    for org in ["other", "00D000000000002", other.as_str()] {
        for body in ["{}", "{\"event\":\"a00000000000001\"}", "{\"event\":\"a00000000000001AAA\"}"]
        {
            assert_eq!(call(org, &known, body).await.is(202), json!({"accepted": true}));
        }
    }
    let wrong = [json, ("x-sloe-secret", "guess")];
    let mut told = Vec::new();
    for (org, headers) in [
        ("other", &wrong[..]),
        ("other", &[json]),
        ("other", &[json, ("x-sloe-secret", ""), ("x-sloe-secret", secret.as_str())]),
        ("acme", &known),
        ("nobody", &known),
        ("00D000000000009", &known),
    ] {
        let mut problem = call(org, headers, "{").await.refused(401, "unauthorized");
        problem["request_id"] = Value::Null;
        told.push(problem);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    call("other", &known, "{").await.refused(400, "malformed");
    call("other", &known, "[]").await.has_faults(&[("", "type")]);
    call("other", &known, "{\"event\":7,\"x\":1}")
        .await
        .has_faults(&[("/x", "unknown-field"), ("/event", "type")]);
    for id in ["", "a00", "a00000000000001AAB", "a0000000000000é"] {
        let body = json!({"event": id}).to_string();
        call("other", &known, &body).await.has_faults(&[("/event", "id")]);
    }
}

/// Values as a careless or hostile program may send them: the right names with
/// wrong things in them, and wrong names.
fn bodies(item: String, session: String) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_i64..60).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from(item)),
        Just(Value::from(session)),
        Just(json!("ada@example.org")),
    ];
    let names = prop_oneof![
        8 => prop::sample::select(vec![
            "lines", "item", "quantity", "sessions", "attendees", "place", "first_name",
            "last_name", "email", "answers",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    leaf.prop_recursive(4, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6)
                .prop_map(|fields| fields.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

#[test]
fn no_value_breaks_a_door_and_none_is_half_taken() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let caller = runtime.block_on(Caller::new());
    let event = runtime.block_on(caller.publish(&conference()));
    let doors = runtime.block_on(doors(&caller, &event));
    let (item, session) = (event.items[0].id.to_string(), event.sessions[0].id.to_string());
    let shape = bodies(item, session);
    let wrapped = (shape, 0..3_usize).prop_map(|(value, wrap)| match wrap {
        0 => value,
        1 => json!({"lines": [value]}),
        _ => json!({"attendees": [value]}),
    });
    let mut runner =
        TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(wrapped, 0..3_usize), |(body, door)| {
        let before = caller.journals();
        let answer = runtime.block_on(caller.post(&doors[door], &body));
        let taken = answer.status == 201;
        prop_assert!(taken || (400..500).contains(&answer.status), "{} for {body}", answer.status);
        prop_assert_eq!(caller.journals() != before, taken, "{}", body);
        Ok(())
    });
    outcome.unwrap();
}
