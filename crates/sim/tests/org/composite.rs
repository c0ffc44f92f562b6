//! Several records or calls in one: collections and composite requests.

use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value as Json, json};
use sloe_sim::org::Options;

use crate::client::{EVENT, Org, options};

fn attendee(key: &str, last: &str) -> Json {
    json!({ "attributes": { "type": "Sloe_Attendee__c" }, "Sloe_Id__c": key, "Last_Name__c": last, "Event__c": EVENT })
}

const UPSERT: &str = "/composite/sobjects/Sloe_Attendee__c/Sloe_Id__c";

#[tokio::test]
async fn good_rows_are_kept_beside_bad_ones() {
    let org = Org::start().await;
    let records = [attendee("a", "A"), attendee("b", &"x".repeat(81)), attendee("c", "C")];
    let (status, body) = org.patch(UPSERT, json!({ "records": records })).await;
    assert_eq!(status, 200);
    assert_eq!((&body[0]["success"], &body[0]["created"]), (&json!(true), &json!(true)));
    assert_eq!(body[1]["success"], false);
    assert_eq!(body[1]["errors"][0]["statusCode"], "STRING_TOO_LONG");
    assert_eq!(body[2]["success"], true);
    let (_, again) = org.patch(UPSERT, json!({ "records": records })).await;
    assert_eq!((&again[0]["created"], &again[0]["id"]), (&json!(false), &body[0]["id"]));
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 2);
}

static LOOKS: AtomicI64 = AtomicI64::new(0);

/// A clock that is a second on whenever somebody looks at it.
fn hasty() -> jiff::Timestamp {
    let start: jiff::Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
    start + jiff::SignedDuration::from_secs(LOOKS.fetch_add(1, Ordering::Relaxed))
}

#[tokio::test]
async fn rows_of_one_request_are_written_at_one_time_and_those_of_the_next_at_another() {
    let org = Org::with(Options { now: hasty, ..options() }).await;
    for keys in [["a", "b"], ["c", "d"]] {
        org.patch(UPSERT, json!({ "records": keys.map(|key| attendee(key, "A")) })).await;
    }
    let query = "SELECT CreatedDate FROM Sloe_Attendee__c ORDER BY Sloe_Id__c";
    let rows = org.records(query).await;
    let times: Vec<&Json> = rows.iter().map(|row| &row["CreatedDate"]).collect();
    assert_eq!((times[0], times[2]), (times[1], times[3]));
    assert_ne!(times[1], times[2]);
}

#[tokio::test]
async fn all_or_none_keeps_nothing_if_one_row_is_bad() {
    let org = Org::start().await;
    let records = [attendee("a", "A"), attendee("b", "")];
    let (_, body) = org.patch(UPSERT, json!({ "allOrNone": true, "records": records })).await;
    assert_eq!(body[0]["errors"][0]["statusCode"], "ALL_OR_NONE_OPERATION_ROLLED_BACK");
    assert_eq!(body[1]["errors"][0]["statusCode"], "REQUIRED_FIELD_MISSING");
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 0);
}

#[tokio::test]
async fn one_key_twice_in_a_call_and_more_than_200_rows_are_refused() {
    let org = Org::start().await;
    let (_, body) =
        org.patch(UPSERT, json!({ "records": [attendee("a", "A"), attendee("a", "B")] })).await;
    assert_eq!(body[0]["errors"][0]["statusCode"], "DUPLICATE_VALUE");
    assert_eq!(body[1]["errors"][0]["statusCode"], "DUPLICATE_VALUE");
    let many: Vec<Json> = (0..201).map(|i| attendee(&i.to_string(), "A")).collect();
    let (status, body) = org.patch(UPSERT, json!({ "records": many })).await;
    assert_eq!(
        (status.as_u16(), body[0]["errorCode"].as_str()),
        (400, Some("EXCEEDED_MAX_SIZE_REQUEST"))
    );
}

#[tokio::test]
async fn collections_create_change_and_delete_by_id() {
    let org = Org::start().await;
    let (_, made) = org
        .post("/composite/sobjects", json!({ "records": [attendee("a", "A"), attendee("b", "B")] }))
        .await;
    let ids: Vec<&str> =
        made.as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
    let change = json!({ "attributes": { "type": "Sloe_Attendee__c" }, "id": ids[0], "Last_Name__c": "Changed" });
    let missing = json!({ "attributes": { "type": "Sloe_Attendee__c" }, "id": "a03000000000000AAA", "Last_Name__c": "X" });
    let (_, body) = org.patch("/composite/sobjects", json!({ "records": [change, missing] })).await;
    assert_eq!(body[0]["success"], true);
    assert_eq!(body[1]["errors"][0]["statusCode"], "INVALID_CROSS_REFERENCE_KEY");
    let (_, body) = org.delete(&format!("/composite/sobjects?ids={},{},zzz", ids[0], ids[1])).await;
    assert_eq!(
        (&body[0]["success"], &body[1]["success"], &body[2]["success"]),
        (&json!(true), &json!(true), &json!(false))
    );
}

#[tokio::test]
async fn parents_are_found_by_external_id_even_within_the_same_call() {
    let org = Org::start().await;
    let child = json!({
        "attributes": { "type": "Sloe_Session_Attendee__c" },
        "Sloe_Id__c": "a-1",
        "Attendee__r": { "Sloe_Id__c": "a" },
    });
    let orphan = json!({
        "attributes": { "type": "Sloe_Session_Attendee__c" },
        "Sloe_Id__c": "x-1",
        "Attendee__r": { "Sloe_Id__c": "nobody" },
    });
    let (_, body) = org
        .post("/composite/sobjects", json!({ "records": [attendee("a", "A"), child, orphan] }))
        .await;
    assert_eq!(body[1]["success"], true, "{body}");
    assert_eq!(body[2]["errors"][0]["statusCode"], "INVALID_FIELD");
    assert!(
        body[2]["errors"][0]["message"]
            .as_str()
            .unwrap()
            .starts_with("Foreign key external ID: nobody not found")
    );
    // The same again is an update: the package allows a master to be named again.
    let again = json!({ "records": [{
        "attributes": { "type": "Sloe_Session_Attendee__c" },
        "Sloe_Id__c": "a-1",
        "Attendee__r": { "Sloe_Id__c": "a" },
    }] });
    let (_, body) =
        org.patch("/composite/sobjects/Sloe_Session_Attendee__c/Sloe_Id__c", again).await;
    assert_eq!((&body[0]["success"], &body[0]["created"]), (&json!(true), &json!(false)), "{body}");
}

#[tokio::test]
async fn one_composite_request_reads_an_event_whole_and_is_one_call() {
    let org = Org::start().await;
    let base = "/services/data/v62.0";
    let request = json!({ "compositeRequest": [
        { "method": "GET", "referenceId": "event",
          "url": format!("{base}/query?q=SELECT+Id,Name,(SELECT+Id+FROM+Items__r)+FROM+Sloe_Event__c+WHERE+Slug__c='first'") },
        { "method": "GET", "referenceId": "external",
          "url": format!("{base}/query?q=SELECT+Item__c,COUNT(Id)+n+FROM+Sloe_Attendee__c+WHERE+Event__c='@{{event.records[0].Id}}'+GROUP+BY+Item__c") },
        { "method": "PATCH", "referenceId": "write", "url": format!("{base}/sobjects/Sloe_Event__c/@{{event.records[0].Id}}"),
          "body": { "Summary__c": "About @{event.records[0].Name}" } },
        { "method": "GET", "referenceId": "bad", "url": format!("{base}/query?q=SELECT+Nope+FROM+Sloe_Event__c") },
        { "method": "GET", "referenceId": "lost", "url": format!("{base}/sobjects/Sloe_Event__c/@{{bad.records[0].Id}}") },
    ]});
    let (status, body) = org.post("/composite", request).await;
    assert_eq!(status, 200, "{body}");
    let parts = body["compositeResponse"].as_array().unwrap();
    let statuses: Vec<i64> = parts.iter().map(|p| p["httpStatusCode"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 204, 400, 400], "{body}");
    assert_eq!(parts[0]["body"]["records"][0]["Items__r"]["totalSize"], 1);
    assert_eq!(parts[4]["body"][0]["errorCode"], "PROCESSING_HALTED");
    assert_eq!(org.get("/__control/limits").await.1["used"], 1);
    assert_eq!(
        org.records("SELECT Summary__c FROM Sloe_Event__c").await[0]["Summary__c"],
        "About First Event"
    );
}

#[tokio::test]
async fn a_composite_request_of_all_or_none_leaves_nothing_behind() {
    let org = Org::start().await;
    let make = |reference: &str, last: &str| {
        json!({ "method": "POST", "referenceId": reference, "url": "/services/data/v62.0/sobjects/Sloe_Attendee__c",
                "body": { "Last_Name__c": last, "Sloe_Id__c": reference } })
    };
    let request = |all: bool| json!({ "allOrNone": all, "compositeRequest": [make("a", "A"), make("b", ""), make("c", "C")] });
    let (_, body) = org.post("/composite", request(true)).await;
    let codes: Vec<&Json> = body["compositeResponse"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["body"][0]["errorCode"])
        .collect();
    assert_eq!(
        codes,
        [
            &json!("PROCESSING_HALTED"),
            &json!("REQUIRED_FIELD_MISSING"),
            &json!("PROCESSING_HALTED")
        ]
    );
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 0);
    org.post("/composite", request(false)).await;
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 2);
}

#[tokio::test]
async fn all_or_none_holds_for_collections_within_too_whatever_they_say_themselves() {
    let org = Org::start().await;
    let collection = |reference: &str, last: &str| {
        json!({ "method": "POST", "referenceId": reference, "url": "/services/data/v62.0/composite/sobjects",
                "body": { "allOrNone": false, "records": [attendee(&format!("{reference}1"), "A"), attendee(&format!("{reference}2"), last)] } })
    };
    let one = json!({ "method": "POST", "referenceId": "one", "url": "/services/data/v62.0/sobjects/Sloe_Attendee__c",
                      "body": { "Last_Name__c": "One" } });
    let parts = [one, collection("a", "A"), collection("b", ""), collection("c", "C")];
    let request = |all: bool| json!({ "allOrNone": all, "compositeRequest": parts });
    let (_, body) = org.post("/composite", request(true)).await;
    let parts = body["compositeResponse"].as_array().unwrap();
    for place in [0, 1, 3] {
        assert_eq!(parts[place]["body"][0]["errorCode"], "PROCESSING_HALTED", "{body}");
    }
    let told = &parts[2]["body"];
    assert_eq!(told[0]["errors"][0]["statusCode"], "ALL_OR_NONE_OPERATION_ROLLED_BACK", "{body}");
    assert_eq!(told[1]["errors"][0]["statusCode"], "REQUIRED_FIELD_MISSING", "{body}");
    assert!(org.records("SELECT Id FROM Sloe_Attendee__c").await.is_empty());
    org.post("/composite", request(false)).await;
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 6);
}

#[tokio::test]
async fn too_many_subrequests_are_refused() {
    let org = Org::start().await;
    let part = |i: usize, url: &str| json!({ "method": "GET", "referenceId": format!("r{i}"), "url": url });
    for (count, url) in [
        (26, "/services/data/v62.0/limits"),
        (6, "/services/data/v62.0/query?q=SELECT+Id+FROM+Lead"),
    ] {
        let parts: Vec<Json> = (0..count).map(|i| part(i, url)).collect();
        let (status, body) = org.post("/composite", json!({ "compositeRequest": parts })).await;
        assert_eq!(
            (status.as_u16(), body[0]["errorCode"].as_str()),
            (400, Some("INVALID_INPUT")),
            "{url}"
        );
    }
}

#[tokio::test]
async fn many_records_are_read_in_one_call_in_the_order_of_their_ids() {
    let org = Org::start().await;
    let (a, b) = (org.attendee("a").await, org.attendee("b").await);
    let gone = org.attendee("c").await;
    org.delete(&format!("/sobjects/Sloe_Attendee__c/{gone}")).await;
    let path = "/composite/sobjects/Sloe_Attendee__c";
    let ids = json!([b, gone, a.get(..15), EVENT, "nonsense", b]);
    let wanted = json!({ "ids": ids, "fields": ["sloe_id__c", "Name"] });
    let (status, body) = org.post(path, wanted).await;
    assert_eq!(status, 200, "{body}");
    let record = |id: &str, key: &str, name: &str| {
        let url = format!("/services/data/v62.0/sobjects/Sloe_Attendee__c/{id}");
        json!({
            "attributes": { "type": "Sloe_Attendee__c", "url": url },
            "Id": id, "Sloe_Id__c": key, "Name": name,
        })
    };
    let (first, second) = (record(&a, "a", "A-0000001"), record(&b, "b", "A-0000002"));
    assert_eq!(body, json!([second, null, first, null, null, second]));
    let (_, same) = org.get(&format!("{path}?ids={a},{gone}&fields=Sloe_Id__c,Name,Id")).await;
    assert_eq!(same, json!([first, null]));
}

#[tokio::test]
async fn reading_many_records_is_refused_as_a_whole_where_it_makes_no_sense() {
    let org = Org::start().await;
    let path = "/composite/sobjects/Sloe_Attendee__c";
    let many = vec![EVENT; 2001];
    for (path, body, status, code) in [
        (path, json!({ "ids": [EVENT], "fields": ["Nope__c"] }), 400, "INVALID_FIELD"),
        (path, json!({ "ids": [EVENT] }), 400, "MISSING_ARGUMENT"),
        (path, json!({ "fields": ["Id"] }), 400, "MISSING_ARGUMENT"),
        (path, json!({ "ids": many, "fields": ["Id"] }), 400, "EXCEEDED_MAX_SIZE_REQUEST"),
        (path, json!({ "ids": EVENT, "fields": ["Id"] }), 400, "JSON_PARSER_ERROR"),
        ("/composite/sobjects/Nope__c", json!({ "ids": [EVENT] }), 404, "NOT_FOUND"),
    ] {
        let (got, answer) = org.post(path, body.clone()).await;
        assert_eq!(
            (got.as_u16(), answer[0]["errorCode"].as_str()),
            (status, Some(code)),
            "{body} gave {answer}"
        );
    }
}

/// A node that creates an attendee, with a session attendee that hangs from it.
fn pair(key: &str) -> Json {
    json!([
        {
            "method": "POST", "url": "/services/data/v62.0/sobjects/Sloe_Attendee__c", "referenceId": "who",
            "body": { "Sloe_Id__c": key, "Last_Name__c": "Doe", "Event__c": EVENT },
        },
        {
            "method": "PATCH",
            "url": format!("/services/data/v62.0/sobjects/Sloe_Session_Attendee__c/Sloe_Id__c/{key}-1"),
            "referenceId": "what", "body": { "Attendee__c": "@{who.id}" },
        },
    ])
}

#[tokio::test]
async fn each_graph_is_done_as_a_whole_or_not_at_all() {
    let org = Org::start().await;
    let mut bad = pair("b");
    bad[1]["body"]["Attendee__c"] = json!("@{nobody.id}");
    let graphs = json!({ "graphs": [
        { "graphId": "one", "compositeRequest": pair("a") },
        { "graphId": "two", "compositeRequest": bad },
        { "graphId": "three", "compositeRequest": pair("c") },
    ] });
    let (status, body) = org.post("/composite/graph", graphs).await;
    assert_eq!(status, 200, "{body}");
    let graphs = body["graphs"].as_array().unwrap();
    let told: Vec<(&Json, &Json)> =
        graphs.iter().map(|g| (&g["graphId"], &g["isSuccessful"])).collect();
    assert_eq!(
        told,
        [
            (&json!("one"), &json!(true)),
            (&json!("two"), &json!(false)),
            (&json!("three"), &json!(true))
        ]
    );
    let first = &graphs[0]["graphResponse"]["compositeResponse"];
    assert_eq!(
        (&first[0]["httpStatusCode"], &first[1]["httpStatusCode"], &first[1]["referenceId"]),
        (&json!(201), &json!(201), &json!("what")),
        "{first}"
    );
    let second = &graphs[1]["graphResponse"]["compositeResponse"];
    for answer in second.as_array().unwrap() {
        assert_eq!(answer["httpStatusCode"], 400);
        assert_eq!(answer["body"][0]["errorCode"], "PROCESSING_HALTED", "{answer}");
    }
    let kept = org.records("SELECT Sloe_Id__c FROM Sloe_Attendee__c ORDER BY Sloe_Id__c").await;
    let kept: Vec<&Json> = kept.iter().map(|row| &row["Sloe_Id__c"]).collect();
    assert_eq!(kept, [&json!("a"), &json!("c")]);
    assert_eq!(org.records("SELECT Id FROM Sloe_Session_Attendee__c").await.len(), 2);
}

#[tokio::test]
async fn after_fourteen_failed_graphs_the_rest_is_not_tried() {
    let org = Org::start().await;
    let mut graphs: Vec<Json> = (0..14)
        .map(|i| {
            let mut bad = pair("x");
            bad[0]["body"]["Nope__c"] = json!(1);
            json!({ "graphId": format!("bad{i}"), "compositeRequest": bad })
        })
        .collect();
    graphs.push(json!({ "graphId": "last", "compositeRequest": pair("good") }));
    let (status, body) = org.post("/composite/graph", json!({ "graphs": graphs })).await;
    assert_eq!(status, 200, "{body}");
    let last = &body["graphs"][14];
    assert_eq!((&last["graphId"], &last["isSuccessful"]), (&json!("last"), &json!(false)));
    let answers = &last["graphResponse"]["compositeResponse"];
    assert_eq!(answers[0]["body"][0]["errorCode"], "PROCESSING_HALTED", "{answers}");
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 0);
    graphs.remove(0);
    let (_, body) = org.post("/composite/graph", json!({ "graphs": graphs })).await;
    assert_eq!(body["graphs"][13]["isSuccessful"], true);
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 1);
}

#[tokio::test]
async fn graphs_beyond_the_limits_or_with_other_calls_are_refused_as_a_whole() {
    let org = Org::start().await;
    let graph = |name: &str, parts: Json| json!({ "graphId": name, "compositeRequest": parts });
    let node = |i: usize, object: &str, body: Json| {
        let url = format!("/services/data/v62.0/sobjects/{object}");
        json!({ "method": "POST", "url": url, "referenceId": format!("n{i}"), "body": body })
    };
    let chain: Vec<Json> = (0..16)
        .map(|i: usize| {
            node(i, "Lead", json!({ "Company": format!("@{{n{}.id}}", i.wrapping_sub(1)) }))
        })
        .collect();
    let kinds: Vec<Json> = (0..16).map(|i| node(i, &format!("Kind{i}__c"), json!({}))).collect();
    let nodes: Vec<Json> = (0..501).map(|i| node(i, "Lead", json!({}))).collect();
    let mut query = pair("q");
    query[1] =
        json!({ "method": "GET", "url": "/services/data/v62.0/query?q=x", "referenceId": "r" });
    for (graphs, words) in [
        (vec![], "1 to 75 graphs"),
        ((0..76).map(|i| graph(&format!("g{i}"), pair("a"))).collect(), "1 to 75 graphs"),
        (vec![graph("g", json!(nodes))], "at most 500 nodes"),
        (vec![graph("g", json!(chain))], "16 nodes deep"),
        (vec![graph("g", json!(kinds))], "16 kinds of nodes"),
        (vec![graph("g", json!([]))], "no nodes"),
        (vec![graph("g", pair("a")), graph("g", pair("b"))], "Duplicate graphId"),
        (vec![graph("a b", pair("a"))], "graphId"),
        (vec![graph("g", query)], "single records"),
    ] {
        let (status, body) = org.post("/composite/graph", json!({ "graphs": graphs })).await;
        let code = (400, Some("INVALID_INPUT"));
        assert_eq!((status.as_u16(), body[0]["errorCode"].as_str()), code, "{words}: {body}");
        assert!(body[0]["message"].as_str().unwrap().contains(words), "{words}: {body}");
    }
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 0);
    let one = json!({ "graphs": [graph("g", pair("a"))] });
    assert_eq!(org.post("/services/data/v49.0/composite/graph", one).await.0, 404);
}

#[tokio::test]
async fn a_collection_goes_from_object_to_object_at_most_ten_times() {
    let org = Org::start().await;
    let record = |i: usize| {
        let object = if i.is_multiple_of(2) { "Lead" } else { "Contact" };
        let mut record = json!({ "attributes": { "type": object }, "LastName": "Doe" });
        if object == "Lead" {
            record["Company"] = json!("X");
        }
        record
    };
    for (count, wanted) in [(10, 200), (11, 400)] {
        let records: Vec<Json> = (0..count).map(record).collect();
        let (status, body) = org.post("/composite/sobjects", json!({ "records": records })).await;
        assert_eq!(status.as_u16(), wanted, "{count}: {body}");
    }
    assert_eq!(org.records("SELECT Id FROM Lead").await.len(), 5);
}
