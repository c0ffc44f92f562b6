//! What docs/simulated-org.md says about the control API works, and nothing is left out.

use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::client::{Org, unpack};

const HANDBOOK: &str = include_str!("../../../../docs/simulated-org.md");

/// Every curl line of the handbook: method, path, body.
fn examples() -> Vec<(Method, String, Option<String>)> {
    let lines = HANDBOOK.lines().filter_map(|line| line.strip_prefix("curl "));
    let each = lines.map(|line| {
        let (line, body) = match line.split_once(" -d '") {
            Some((line, body)) => (line, Some(body.strip_suffix('\'').unwrap().to_owned())),
            None => (line, None),
        };
        let (method, path) = match line.strip_prefix("-X ") {
            Some(rest) => rest.split_once(' ').unwrap(),
            None => ("GET", line),
        };
        (method.parse().unwrap(), path.strip_prefix("$ORG").unwrap().to_owned(), body)
    });
    each.collect()
}

#[tokio::test]
async fn every_example_of_the_handbook_works() {
    let org = Org::start().await;
    let examples = examples();
    assert!(examples.len() > 30, "{}", examples.len());
    for (method, path, body) in examples {
        let request = org.http.request(method.clone(), format!("{}{path}", org.running.url()));
        let sent = request.body(body.clone().unwrap_or_default()).send().await.unwrap();
        let (status, answer) = unpack(sent).await;
        assert_eq!(status, 200, "{method} {path} {body:?}: {answer}");
    }
}

#[tokio::test]
async fn every_knob_stands_in_the_handbook_with_an_example() {
    let org = Org::start().await;
    let bodies: Vec<String> = examples().into_iter().filter_map(|(.., body)| body).collect();
    for resource in ["events", "faults", "limits", "locks", "maintenance"] {
        let path = format!("/__control/{resource}");
        let (_, body) = org.send(Method::PUT, &path, json!({ "no_such_knob": 1 })).await;
        let told = body["faults"].as_array().unwrap().iter().filter_map(Json::as_str);
        let list = told.filter_map(|fault| fault.split_once("there are ")).next().unwrap().1;
        for knob in list.split(", ") {
            assert!(HANDBOOK.contains(&format!("`{knob}`")), "{resource}: {knob} is not explained");
            let sent = bodies.iter().any(|body| body.contains(&format!("\"{knob}\"")));
            assert!(sent, "{resource}: {knob} has no example");
        }
    }
}
