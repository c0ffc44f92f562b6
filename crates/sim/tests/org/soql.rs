//! Parts of SOQL that clients use beside the plain ones.

use serde_json::{Value as Json, json};
use sloe_sim::org::Options;

use crate::client::{EVENT, Org, options};

/// The code and words of a query that must be refused.
async fn refused(org: &Org, soql: &str) -> (String, String) {
    let (status, body) = org.query(soql).await;
    assert_eq!(status, 400, "{soql}: {body}");
    let text = |name: &str| body[0][name].as_str().unwrap().to_owned();
    (text("errorCode"), text("message"))
}

#[tokio::test]
async fn fields_stands_for_whole_records_of_which_it_takes_200() {
    let org = Org::start().await;
    let event = org.records("SELECT FIELDS(ALL) FROM Sloe_Event__c LIMIT 200").await.remove(0);
    assert_eq!((&event["Name"], &event["Slug__c"]), (&json!("First Event"), &json!("first")));
    let (_, described) = org.get("/sobjects/Sloe_Event__c/describe").await;
    let fields = described["fields"].as_array().unwrap();
    // The record's attributes come along.
    assert_eq!(event.as_object().unwrap().len(), fields.len() + 1);
    let standard = org.records("SELECT FIELDS(STANDARD) FROM Sloe_Event__c").await.remove(0);
    assert!(standard["Slug__c"].is_null() && standard["CreatedDate"].is_string(), "{standard}");
    let custom = "SELECT Id, FIELDS(CUSTOM) FROM Sloe_Event__c LIMIT 1";
    assert_eq!(org.records(custom).await[0]["Id"], format!("{EVENT}AAA"));
    for (soql, code, told) in [
        ("SELECT FIELDS(ALL) FROM Lead", "MALFORMED_QUERY", "LIMIT of at most 200"),
        ("SELECT FIELDS(ALL) FROM Lead LIMIT 201", "MALFORMED_QUERY", "LIMIT of at most 200"),
        ("SELECT FIELDS(SOME) FROM Lead LIMIT 1", "MALFORMED_QUERY", "unexpected token: 'SOME'"),
        ("SELECT Id, FIELDS(STANDARD) FROM Lead", "INVALID_FIELD", "duplicate field selected: Id"),
        ("SELECT Name, Id, name FROM Lead", "INVALID_FIELD", "duplicate field selected: Name"),
    ] {
        let (found, message) = refused(&org, soql).await;
        assert!(found == code && message.contains(told), "{soql}: {found} {message}");
    }
}

#[tokio::test]
async fn what_this_org_lacks_of_soql_is_named_and_what_it_can_ignore_is_ignored() {
    let org = Org::start().await;
    for (soql, told) in [
        ("SELECT TYPEOF Owner WHEN User THEN Name END FROM Lead", "TYPEOF"),
        ("SELECT FORMAT(AnnualRevenue) FROM Lead", "FORMAT()"),
        ("SELECT Id FROM Lead WHERE DAY_ONLY(CreatedDate) = TODAY", "functions in WHERE"),
        ("SELECT Id FROM Lead FOR UPDATE", "FOR VIEW and FOR REFERENCE only"),
        ("SELECT Id FROM Lead ALL ROWS", "ALL ROWS is not allowed in this context"),
    ] {
        let (code, message) = refused(&org, soql).await;
        assert!(code == "MALFORMED_QUERY" && message.contains(told), "{soql}: {message}");
    }
    for soql in [
        "SELECT Id FROM Lead ORDER BY Description",
        "SELECT Description, COUNT(Id) FROM Lead GROUP BY Description",
    ] {
        let (code, message) = refused(&org, soql).await;
        assert!(code == "INVALID_FIELD" && message.contains("can not be"), "{soql}: {message}");
    }
    let lead = json!({ "LastName": "Doe", "Company": "Mill", "Status": "Working - Contacted" });
    org.post("/sobjects/Lead", lead).await;
    let found = org.records("SELECT toLabel(Status), toLabel(Rating) r FROM Lead FOR VIEW").await;
    assert_eq!((&found[0]["Status"], &found[0]["r"]), (&json!("Working - Contacted"), &Json::Null));
}

fn thursday() -> jiff::Timestamp {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn days_and_weeks_and_years_around_today_are_meant_by_their_words() {
    let org = Org::with(Options { now: thursday, ..options() }).await;
    org.post("/sobjects/Lead", json!({ "LastName": "Doe", "Company": "Mill" })).await;
    for (condition, count) in [
        ("CreatedDate = LAST_N_DAYS:1", 1),
        ("CreatedDate = LAST_90_DAYS", 1),
        ("CreatedDate = THIS_WEEK AND CreatedDate = THIS_FISCAL_YEAR", 1),
        ("CreatedDate >= N_QUARTERS_AGO:2", 1),
        ("CreatedDate = NEXT_N_DAYS:1", 0),
        ("CreatedDate > THIS_MONTH", 0),
    ] {
        let soql = format!("SELECT Id FROM Lead WHERE {condition}");
        assert_eq!(org.records(&soql).await.len(), count, "{condition}");
    }
}

#[tokio::test]
async fn children_of_children_come_along_and_are_paged_too() {
    let org = Org::start().await;
    let make = async |object: &str, record: Json| {
        let (_, body) = org.post(&format!("/sobjects/{object}"), record).await;
        body["id"].as_str().unwrap().to_owned()
    };
    let account = make("Account", json!({ "Name": "Mill" })).await;
    let contact = make("Contact", json!({ "LastName": "Doe", "AccountId": account })).await;
    let campaign = make("Campaign", json!({ "Name": "Spring" })).await;
    let member = json!({
        "attributes": { "type": "CampaignMember" }, "CampaignId": campaign, "ContactId": contact
    });
    for _ in 0..2 {
        let members = json!({ "records": vec![&member; 150] });
        org.post("/composite/sobjects", members).await;
    }
    let soql = "SELECT Name, (SELECT LastName, (SELECT Id FROM CampaignMembers) FROM Contacts) FROM Account";
    let request = org.request(reqwest::Method::GET, "/query").query(&[("q", soql)]);
    let request = request.header("Sforce-Query-Options", "batchSize=200");
    let body: Json = request.send().await.unwrap().json().await.unwrap();
    let members = &body["records"][0]["Contacts"]["records"][0]["CampaignMembers"];
    assert_eq!((&members["totalSize"], &members["done"]), (&json!(300), &json!(false)), "{body}");
    assert_eq!(members["records"].as_array().unwrap().len(), 200);
    let (status, rest) = org.get(members["nextRecordsUrl"].as_str().unwrap()).await;
    assert_eq!((status.as_u16(), &rest["done"]), (200, &json!(true)), "{rest}");
    assert_eq!(rest["records"].as_array().unwrap().len(), 100);
    let deep = "(SELECT Id, ".repeat(5) + "Name" + &" FROM ChildAccounts)".repeat(5);
    let (code, message) = refused(&org, &format!("SELECT Id, {deep} FROM Account")).await;
    assert!(code == "MALFORMED_QUERY" && message.contains("5 levels"), "{message}");
}

#[tokio::test]
async fn a_backslash_in_a_text_is_no_wildcard_s_escape() {
    let org = Org::start().await;
    for name in ["a\\b", "a_b", "axb", "100%"] {
        org.post("/sobjects/Account", json!({ "Name": name })).await;
    }
    for (condition, names) in [
        (r"Name LIKE 'a\\_'", vec!["a\\b"]),
        (r"Name LIKE 'a\_b'", vec!["a_b"]),
        (r"Name LIKE 'a_b'", vec!["a\\b", "a_b", "axb"]),
        (r"Name = 'a\\b'", vec!["a\\b"]),
        (r"Name IN ('a\_b', '100\%')", vec!["100%", "a_b"]),
        (r"Name LIKE '100\%'", vec!["100%"]),
    ] {
        let soql = format!("SELECT Name FROM Account WHERE {condition} ORDER BY Name");
        let mut found: Vec<Json> =
            org.records(&soql).await.into_iter().map(|row| row["Name"].clone()).collect();
        found.sort_by_key(Json::to_string);
        let mut names: Vec<Json> = names.into_iter().map(Json::from).collect();
        names.sort_by_key(Json::to_string);
        assert_eq!(found, names, "{condition}");
    }
}
