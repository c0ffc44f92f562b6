//! SOSL over HTTP.

use serde_json::{Value as Json, json};

use crate::client::Org;

/// An org with two people at one company, and a third who is deleted.
async fn people() -> Org {
    let org = Org::start().await;
    let (_, account) = org.post("/sobjects/Account", json!({ "Name": "Smith & Daughters" })).await;
    for (first, last, email, phone) in [
        ("Ada", "Smithson", "ada@mill.example", "+49 170 5551"),
        ("Ben", "Smith", "ben@mill.example", "+49 170 5552"),
        ("Cleo", "Smith", "cleo@smith.example", "+49 170 5553"),
    ] {
        let contact = json!({
            "FirstName": first, "LastName": last, "Email": email, "Phone": phone,
            "AccountId": account["id"],
        });
        let (status, body) = org.post("/sobjects/Contact", contact).await;
        assert_eq!(status, 201, "{body}");
    }
    let cleo = org.records("SELECT Id FROM Contact WHERE FirstName = 'Cleo'").await.remove(0);
    let path = format!("/sobjects/Contact/{}", cleo["Id"].as_str().unwrap());
    let (status, _) = org.delete(&path).await;
    assert_eq!(status, 204);
    org
}

async fn ask(org: &Org, path: &str, parameters: &[(&str, &str)]) -> (u16, Json) {
    let request = org.request(reqwest::Method::GET, path).query(parameters);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn found(org: &Org, sosl: &str) -> Vec<Json> {
    let (status, mut body) = ask(org, "/search", &[("q", sosl)]).await;
    assert_eq!(status, 200, "{sosl}: {body}");
    serde_json::from_value(body["searchRecords"].take()).unwrap()
}

async fn refused(org: &Org, sosl: &str) -> String {
    let (status, body) = ask(org, "/search", &[("q", sosl)]).await;
    assert_eq!(status, 400, "{sosl}: {body}");
    body[0]["errorCode"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn words_are_found_in_the_fields_that_are_named() {
    let org = people().await;
    for (sosl, names) in [
        ("FIND {Smith} RETURNING Contact(Name)", vec!["Ben Smith"]),
        ("FIND {smith*} RETURNING Contact(Name ORDER BY Name)", vec!["Ada Smithson", "Ben Smith"]),
        ("FIND {mill} IN NAME FIELDS RETURNING Contact(Name)", vec![]),
        (
            "FIND {mill} IN EMAIL FIELDS RETURNING Contact(Name ORDER BY FirstName DESC LIMIT 1)",
            vec!["Ben Smith"],
        ),
        ("FIND {mill AND NOT ben} RETURNING Contact(Name)", vec!["Ada Smithson"]),
        (
            "FIND {5551 OR 5552} IN PHONE FIELDS RETURNING Contact(Name WHERE FirstName = 'Ben')",
            vec!["Ben Smith"],
        ),
        ("FIND {smith*} RETURNING Contact(Name ORDER BY Name OFFSET 1)", vec!["Ben Smith"]),
        ("FIND {\"ben smith\"} RETURNING Account(Name), Contact(Name)", vec!["Ben Smith"]),
        ("FIND {smith*} RETURNING Account(Name), Contact(Name) LIMIT 1", vec!["Smith & Daughters"]),
    ] {
        let records = found(&org, sosl).await;
        let told: Vec<&str> = records.iter().map(|row| row["Name"].as_str().unwrap()).collect();
        assert_eq!(told, names, "{sosl}");
    }
}

#[tokio::test]
async fn without_returning_all_objects_are_looked_through_and_ids_come_back() {
    let org = people().await;
    let records = found(&org, "FIND {Smith}").await;
    let kinds: Vec<&Json> = records.iter().map(|row| &row["attributes"]["type"]).collect();
    assert_eq!(kinds, ["Account", "Contact"]);
    assert_eq!(records[0].as_object().unwrap().len(), 2, "{}", records[0]);
    assert!(records[0]["Id"].is_string());
    // An older version gives the bare list.
    let (status, body) = ask(&org, "/services/data/v36.0/search", &[("q", "FIND {Smith}")]).await;
    assert_eq!((status, body.as_array().map(Vec::len)), (200, Some(2)), "{body}");
}

#[tokio::test]
async fn a_search_that_can_t_be_is_refused_as_one() {
    let org = people().await;
    for (sosl, code) in [
        ("FIND Smith", "MALFORMED_SEARCH"),
        ("FIND {S}", "MALFORMED_SEARCH"),
        ("FIND {Smith} RETURNING Contact(Name LIMIT)", "MALFORMED_SEARCH"),
        ("FIND {Smith} RETURNING Contact(COUNT(Id))", "MALFORMED_SEARCH"),
        (
            "FIND {Smith} RETURNING Contact(Id, (SELECT Id FROM CampaignMembers))",
            "MALFORMED_SEARCH",
        ),
        ("FIND {Smith} RETURNING Organization(Id)", "MALFORMED_SEARCH"),
        ("FIND {Smith} LIMIT 2001", "MALFORMED_SEARCH"),
        ("FIND {Smith} RETURNING Contact(Nothing__c)", "INVALID_FIELD"),
        ("FIND {Smith} RETURNING Nothing__c", "INVALID_TYPE"),
    ] {
        assert_eq!(refused(&org, sosl).await, code, "{sosl}");
    }
    let (status, body) = ask(&org, "/search", &[]).await;
    assert_eq!((status, &body[0]["errorCode"]), (400, &json!("MALFORMED_SEARCH")));
}

#[tokio::test]
async fn the_same_can_be_asked_in_parameters() {
    let org = people().await;
    let parameters = [
        ("q", "mill"),
        ("sobject", "Contact"),
        ("Contact.fields", "Id,Name"),
        ("Contact.limit", "1"),
    ];
    let (status, body) = ask(&org, "/parameterizedSearch", &parameters).await;
    assert_eq!(
        (status, &body["searchRecords"][0]["Name"]),
        (200, &json!("Ada Smithson")),
        "{body}"
    );
    assert_eq!(body["searchRecords"].as_array().unwrap().len(), 1);
    let wanted = json!({
        "q": "smith*", "in": "NAME", "fields": ["Name"], "overallLimit": 2,
        "sobjects": [{ "name": "Account" }, { "name": "Contact", "orderBy": "Name DESC" }],
    });
    let (status, body) = org.post("/parameterizedSearch", wanted).await;
    assert_eq!(status, 200, "{body}");
    let records = body["searchRecords"].as_array().unwrap().iter();
    let names: Vec<&Json> = records.map(|row| &row["Name"]).collect();
    assert_eq!(names, ["Smith & Daughters", "Ben Smith"]);
    let (status, body) = ask(&org, "/parameterizedSearch", &[("q", "x")]).await;
    assert_eq!((status, &body[0]["errorCode"]), (400, &json!("MALFORMED_SEARCH")));
}

#[tokio::test]
async fn records_are_counted_without_those_in_the_bin() {
    let org = people().await;
    let (status, body) =
        ask(&org, "/limits/recordCount", &[("sObjects", "Contact,Lead,Nothing")]).await;
    assert_eq!((status, body), (200, json!({ "sObjects": [{ "count": 2, "name": "Contact" }] })));
}
