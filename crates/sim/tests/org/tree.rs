//! Trees of records and batches of calls, as command lines and older clients send them.

use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::client::Org;

fn contact(reference: &str, last: &str) -> Json {
    json!({ "attributes": { "type": "Contact", "referenceId": reference }, "LastName": last })
}

fn account(reference: &str, name: &str, contacts: &[Json]) -> Json {
    let mut account =
        json!({ "attributes": { "type": "Account", "referenceId": reference }, "Name": name });
    if !contacts.is_empty() {
        account["Contacts"] = json!({ "records": contacts });
    }
    account
}

#[tokio::test]
async fn a_tree_is_made_whole_with_its_children_below_their_parents() {
    let org = Org::start().await;
    let records = [
        account("ref1", "Mill", &[contact("ref2", "Doe"), contact("ref3", "Roe")]),
        account("ref4", "Bakery", &[]),
    ];
    let (status, body) = org.post("/composite/tree/Account", json!({ "records": records })).await;
    assert_eq!((status.as_u16(), &body["hasErrors"]), (201, &json!(false)), "{body}");
    let results = body["results"].as_array().unwrap();
    let references: Vec<&str> =
        results.iter().map(|one| one["referenceId"].as_str().unwrap()).collect();
    assert_eq!(references, ["ref1", "ref4", "ref2", "ref3"]);
    let found = org.records("SELECT Id, LastName, Account.Name FROM Contact").await;
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|contact| contact["Account"]["Name"] == "Mill"), "{found:?}");
    assert_eq!(found[0]["Id"], results[2]["id"]);
}

#[tokio::test]
async fn a_tree_with_one_bad_record_is_not_made_and_says_which_it_is() {
    let org = Org::start().await;
    let mut bad = contact("ref2", "Doe");
    bad["Email"] = json!("nobody");
    let records = [account("ref1", "Mill", &[bad])];
    let (status, body) = org.post("/composite/tree/Account", json!({ "records": records })).await;
    assert_eq!((status.as_u16(), &body["hasErrors"]), (400, &json!(true)), "{body}");
    let results = body["results"].as_array().unwrap();
    assert_eq!((results.len(), &results[0]["referenceId"]), (1, &json!("ref2")));
    assert_eq!(results[0]["errors"][0]["statusCode"], "INVALID_EMAIL_ADDRESS");
    assert!(org.records("SELECT Id FROM Account WHERE Name = 'Mill'").await.is_empty());
    for (records, told) in [
        (vec![account("", "Mill", &[])], "Include a reference ID"),
        (vec![account("a", "Mill", &[]), account("a", "Bakery", &[])], "Duplicate ReferenceId"),
        (vec![contact("a", "Doe")], "attributes.type is Account"),
    ] {
        let (status, body) =
            org.post("/composite/tree/Account", json!({ "records": records })).await;
        let message = body["results"][0]["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(status == 400 && message.contains(told), "{message}");
    }
    let many: Vec<Json> = (0..201).map(|i| account(&format!("r{i}"), "Mill", &[])).collect();
    let (status, body) = org.post("/composite/tree/Account", json!({ "records": many })).await;
    assert_eq!(
        (status.as_u16(), &body[0]["errorCode"]),
        (400, &json!("EXCEEDED_MAX_SIZE_REQUEST"))
    );
}

#[tokio::test]
async fn the_calls_of_a_batch_know_nothing_of_each_other() {
    let org = Org::start().await;
    let calls = json!([
        { "method": "POST", "url": "v62.0/sobjects/Account", "richInput": { "Name": "Mill" } },
        { "method": "POST", "url": "v62.0/sobjects/Account", "richInput": {} },
        { "method": "GET", "url": "/services/data/v62.0/query?q=SELECT+Name+FROM+Account" },
    ]);
    let (status, body) = org.post("/composite/batch", json!({ "batchRequests": calls })).await;
    assert_eq!((status.as_u16(), &body["hasErrors"]), (200, &json!(true)), "{body}");
    let results = &body["results"];
    assert_eq!(
        (&results[0]["statusCode"], &results[0]["result"]["success"]),
        (&json!(201), &json!(true))
    );
    assert_eq!(
        (&results[1]["statusCode"], &results[1]["result"][0]["errorCode"]),
        (&json!(400), &json!("REQUIRED_FIELD_MISSING"))
    );
    assert_eq!(results[2]["result"]["records"][0]["Name"], "Mill");
    let (_, body) =
        org.post("/composite/batch", json!({ "batchRequests": calls, "haltOnError": true })).await;
    assert_eq!(
        (&body["results"][2]["statusCode"], &body["results"][2]["result"][0]["errorCode"]),
        (&json!(412), &json!("BATCH_PROCESSING_HALTED"))
    );
}

#[tokio::test]
async fn a_client_with_a_bare_token_finds_out_who_it_is() {
    let org = Org::start().await;
    let (_, resources) = org.get("/").await;
    let identity = resources["identity"].as_str().unwrap();
    let who = org.http.get(identity).bearer_auth(&org.token).send().await.unwrap();
    let who: Json = who.json().await.unwrap();
    assert_eq!(who["username"], "sloe@test.example", "{who}");
}

#[tokio::test]
async fn a_client_that_knows_no_patch_posts_and_says_so() {
    let org = Org::start().await;
    let (_, made) = org.post("/sobjects/Account", json!({ "Name": "Mill" })).await;
    let path = format!("/sobjects/Account/{}?_HttpMethod=PATCH", made["id"].as_str().unwrap());
    assert_eq!(org.send(Method::POST, &path, json!({ "Name": "Bakery" })).await.0, 204);
    assert_eq!(org.records("SELECT Name FROM Account").await[0]["Name"], "Bakery");
}
