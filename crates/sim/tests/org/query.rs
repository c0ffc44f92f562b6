//! SOQL over HTTP.

use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::client::{EVENT, Org, unpack};

/// Creates so many attendees in collections of 200.
async fn attendees(org: &Org, count: usize) {
    let all: Vec<Json> = (0..count)
        .map(|i| {
            json!({
                "attributes": { "type": "Sloe_Attendee__c" },
                "Sloe_Id__c": format!("k{i:05}"),
                "Last_Name__c": format!("Name {i:05}"),
                "Event__c": EVENT,
                "Sloe_Version__c": i,
            })
        })
        .collect();
    for records in all.chunks(200) {
        let (status, body) = org.post("/composite/sobjects", json!({ "records": records })).await;
        assert_eq!(status, 200);
        assert!(body.as_array().unwrap().iter().all(|r| r["success"] == true), "{body}");
    }
}

async fn names(org: &Org, rest: &str) -> Vec<String> {
    let records = org.records(&format!("SELECT Sloe_Id__c FROM Sloe_Attendee__c {rest}")).await;
    records.iter().map(|r| r["Sloe_Id__c"].as_str().unwrap_or("-").to_owned()).collect()
}

#[tokio::test]
async fn an_event_comes_with_its_children_and_its_parents() {
    let org = Org::start().await;
    let records = org
        .records(
            "SELECT Id, Name, Capacity__c, (SELECT Name, Event__r.Name FROM Items__r ORDER BY Position__c), \
             (SELECT Id FROM Sessions__r WHERE Name = 'none') FROM Sloe_Event__c",
        )
        .await;
    let event = &records[0];
    assert_eq!(event["attributes"]["type"], "Sloe_Event__c");
    assert_eq!(event["Capacity__c"], json!(100.0));
    assert_eq!(event["Items__r"]["totalSize"], 1);
    assert_eq!(event["Items__r"]["records"][0]["Event__r"]["Name"], "First Event");
    assert_eq!(event["Sessions__r"], Json::Null);
    let up = org
        .records("SELECT Event__r.Slug__c, Event__r.CreatedBy.Username FROM Sloe_Session__c")
        .await;
    assert_eq!(up[0]["Event__r"]["Slug__c"], "first");
    assert_eq!(up[0]["Event__r"]["CreatedBy"]["Username"], "sloe@test.example");
}

#[tokio::test]
async fn conditions_mean_what_they_mean_in_salesforce() {
    let org = Org::start().await;
    attendees(&org, 6).await;
    org.post(
        "/sobjects/Sloe_Attendee__c",
        json!({ "Last_Name__c": "External", "Event__c": EVENT }),
    )
    .await;
    for (rest, wanted) in [
        ("WHERE Sloe_Id__c = 'k00001'", vec!["k00001"]),
        ("WHERE Sloe_Id__c = 'K00001'", vec![]),
        ("WHERE Last_Name__c = 'nAME 00001'", vec!["k00001"]),
        ("WHERE Sloe_Id__c = null", vec!["-"]),
        (
            "WHERE Sloe_Id__c != null AND Sloe_Version__c > 3 ORDER BY Sloe_Version__c DESC",
            vec!["k00005", "k00004"],
        ),
        (
            "WHERE Sloe_Version__c IN (1, 2) OR Last_Name__c LIKE 'ext%' ORDER BY Sloe_Id__c",
            vec!["-", "k00001", "k00002"],
        ),
        (
            "WHERE Sloe_Id__c NOT IN ('k00000','k00001','k00002','k00003') ORDER BY Sloe_Id__c NULLS LAST",
            vec!["k00004", "k00005", "-"],
        ),
        ("WHERE NOT (Sloe_Version__c < 5) AND Sloe_Version__c != null", vec!["k00005"]),
        (
            "WHERE Event__r.Slug__c = 'first' ORDER BY Sloe_Id__c LIMIT 2 OFFSET 1",
            vec!["k00000", "k00001"],
        ),
        ("WHERE Event__c IN (SELECT Id FROM Sloe_Event__c WHERE Slug__c = 'other')", vec![]),
        ("WHERE CreatedDate = TODAY AND Sloe_Id__c = 'k00003'", vec!["k00003"]),
        ("WHERE CreatedDate < YESTERDAY", vec![]),
        ("WHERE SystemModstamp > 2020-01-01T00:00:00Z AND Sloe_Id__c > 'k00004'", vec!["k00005"]),
        ("WHERE Registered_At__c = null AND Sloe_Version__c = 0", vec!["k00000"]),
    ] {
        assert_eq!(names(&org, rest).await, wanted, "{rest}");
    }
}

#[tokio::test]
async fn counts_come_whole_and_by_group() {
    let org = Org::start().await;
    attendees(&org, 5).await;
    let item = org.records("SELECT Id FROM Sloe_Item__c").await[0]["Id"].clone();
    for last in ["A", "B"] {
        org.post(
            "/sobjects/Sloe_Attendee__c",
            json!({ "Last_Name__c": last, "Event__c": EVENT, "Item__c": item }),
        )
        .await;
    }
    let (_, body) =
        org.query("SELECT COUNT() FROM Sloe_Attendee__c WHERE Sloe_Id__c != null").await;
    assert_eq!(body, json!({ "totalSize": 5, "done": true, "records": [] }));
    let groups = org
        .records(&format!(
            "SELECT Item__c, COUNT(Id), MAX(Sloe_Version__c) top FROM Sloe_Attendee__c WHERE Event__c = '{EVENT}' GROUP BY Item__c"
        ))
        .await;
    assert_eq!(groups.len(), 2);
    assert_eq!(
        (&groups[0]["Item__c"], &groups[0]["expr0"], &groups[0]["top"]),
        (&Json::Null, &json!(5), &json!(4.0))
    );
    assert_eq!((&groups[1]["Item__c"], &groups[1]["expr0"]), (&item, &json!(2)));
    assert_eq!(groups[0]["attributes"]["type"], "AggregateResult");
}

#[tokio::test]
async fn a_large_result_comes_in_pages_without_loss_or_repetition() {
    let org = Org::start().await;
    attendees(&org, 450).await;
    let request = org
        .request(Method::GET, "/query")
        .query(&[("q", "SELECT Sloe_Id__c FROM Sloe_Attendee__c ORDER BY Sloe_Id__c")])
        .header("Sforce-Query-Options", "batchSize=200");
    let (_, mut page) = unpack(request.send().await.unwrap()).await;
    let mut seen = Vec::new();
    loop {
        assert_eq!(page["totalSize"], 450);
        seen.extend(
            page["records"]
                .as_array()
                .unwrap()
                .iter()
                .map(|r| r["Sloe_Id__c"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["nextRecordsUrl"].as_str() else { break };
        assert_eq!(page["done"], false);
        let request =
            org.request(Method::GET, next).header("Sforce-Query-Options", "batchSize=200");
        page = unpack(request.send().await.unwrap()).await.1;
    }
    assert_eq!(seen, (0..450).map(|i| format!("k{i:05}")).collect::<Vec<_>>());
    let (status, body) = org.get("/query/01gSL0000000000999-2000").await;
    assert_eq!(
        (status.as_u16(), body[0]["errorCode"].as_str()),
        (400, Some("INVALID_QUERY_LOCATOR"))
    );
}

#[tokio::test]
async fn children_count_towards_the_page_of_their_parents() {
    let org = Org::start().await;
    let account = |n| json!({ "attributes": { "type": "Account" }, "Name": format!("A{n}") });
    let accounts: Vec<Json> = (0..4).map(account).collect();
    let (_, made) = org.post("/composite/sobjects", json!({ "records": accounts })).await;
    // None, many, many, none.
    for parent in [&made[1]["id"], &made[2]["id"]] {
        let contact =
            json!({ "attributes": { "type": "Contact" }, "LastName": "Doe", "AccountId": parent });
        let records = vec![contact; 150];
        org.post("/composite/sobjects", json!({ "records": records })).await;
    }
    let soql = "SELECT Name, (SELECT LastName FROM Contacts) FROM Account ORDER BY Name";
    let request = org.request(Method::GET, "/query").query(&[("q", soql)]);
    let request = request.header("Sforce-Query-Options", "batchSize=200");
    let (_, first) = unpack(request.send().await.unwrap()).await;
    let names = |page: &Json| -> Vec<String> {
        let records = page["records"].as_array().unwrap();
        records.iter().map(|record| record["Name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&first), ["A0", "A1", "A2"]);
    assert_eq!(first["totalSize"], 4);
    assert_eq!(first["records"][2]["Contacts"]["records"].as_array().unwrap().len(), 150);
    let (_, last) = org.get(first["nextRecordsUrl"].as_str().unwrap()).await;
    assert_eq!(names(&last), ["A3"]);
    assert_eq!(last["done"], true);
}

#[tokio::test]
async fn a_result_stays_open_however_many_are_opened_after_it() {
    let org = Org::start().await;
    attendees(&org, 201).await;
    let open = async || {
        let request = org.request(Method::GET, "/query");
        let request = request.query(&[("q", "SELECT Sloe_Id__c FROM Sloe_Attendee__c")]);
        let request = request.header("Sforce-Query-Options", "batchSize=200");
        let page = unpack(request.send().await.unwrap()).await.1;
        page["nextRecordsUrl"].as_str().unwrap().to_owned()
    };
    let first = open().await;
    for _ in 0..100 {
        open().await;
    }
    let (status, page) = org.get(&first).await;
    assert_eq!((status.as_u16(), page["records"].as_array().unwrap().len()), (200, 1), "{page}");
}

#[tokio::test]
async fn deleted_records_are_seen_by_query_all_only() {
    let org = Org::start().await;
    let id = org.attendee("one").await;
    org.delete(&format!("/sobjects/Sloe_Attendee__c/{id}")).await;
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 0);
    let request = org
        .request(Method::GET, "/queryAll")
        .query(&[("q", "SELECT Id FROM Sloe_Attendee__c WHERE IsDeleted = true")]);
    let (_, body) = unpack(request.send().await.unwrap()).await;
    assert_eq!(body["records"][0]["Id"], id);
}

/// Every query is refused with its code and, somewhere in the message, its words.
async fn refused(org: &Org, cases: &[(&str, &str, &str)]) {
    for (soql, code, words) in cases {
        let (status, body) = org.query(soql).await;
        assert_eq!(
            (status.as_u16(), body[0]["errorCode"].as_str()),
            (400, Some(*code)),
            "{soql}: {body}"
        );
        assert!(body[0]["message"].as_str().unwrap().contains(words), "{soql}: {body}");
    }
}

#[tokio::test]
async fn a_query_that_does_not_fit_is_refused_with_code_and_place() {
    let org = Org::start().await;
    let cases = [
        (
            "SELECT Nope__c FROM Sloe_Event__c",
            "INVALID_FIELD",
            "No such column 'Nope__c' on entity 'Sloe_Event__c'",
        ),
        ("SELECT Id FROM Nope__c", "INVALID_TYPE", "sObject type 'Nope__c' is not supported"),
        ("SELECT Id, FROM Sloe_Event__c", "MALFORMED_QUERY", "ERROR at Row:1:Column:"),
        ("SELECT Id FROM Sloe_Event__c WHERE Name", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Sloe_Event__c WHERE Name = 'x", "MALFORMED_QUERY", "quote"),
        (
            "SELECT Id FROM Sloe_Event__c WHERE Capacity__c = '5'",
            "INVALID_FIELD",
            "must be of type double",
        ),
        (
            "SELECT Id FROM Sloe_Event__c WHERE Name = 'a' AND Name = 'b' OR Name = 'c'",
            "MALFORMED_QUERY",
            "unexpected token: 'OR'",
        ),
        (
            "SELECT Id FROM Sloe_Event__c WHERE Description__c = 'a'",
            "INVALID_FIELD",
            "can not be filtered",
        ),
        (
            "SELECT Id FROM Sloe_Event__c WHERE Id = 'short'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid ID field",
        ),
        ("SELECT Name, COUNT(Id) FROM Sloe_Event__c", "MALFORMED_QUERY", "must be grouped"),
        (
            "SELECT (SELECT Id FROM Nope__r) FROM Sloe_Event__c",
            "INVALID_TYPE",
            "Didn't understand relationship 'Nope__r'",
        ),
        (
            "SELECT Nope__r.Name FROM Sloe_Event__c",
            "INVALID_FIELD",
            "Didn't understand relationship 'Nope__r'",
        ),
        (
            "SELECT Id FROM Sloe_Event__c FOR UPDATE",
            "MALFORMED_QUERY",
            "FOR VIEW and FOR REFERENCE only",
        ),
    ];
    refused(&org, &cases).await;
    assert_eq!(org.get("/query").await.1[0]["errorCode"], "MALFORMED_QUERY");
}

#[tokio::test]
async fn groups_are_chosen_and_ordered_by_their_aggregates() {
    let org = Org::start().await;
    let lead = |company: &str, source: &str, revenue: u32| {
        json!({
            "attributes": { "type": "Lead" }, "LastName": "Doe", "Company": company,
            "LeadSource": source, "AnnualRevenue": revenue,
        })
    };
    let records = [
        lead("Mill", "Web", 10),
        lead("Mill", "Web", 30),
        lead("Mill", "Other", 5),
        lead("Quay", "Web", 7),
        lead("Quay", "Web", 1),
        lead("Quay", "Web", 1),
        lead("Barn", "Web", 90),
    ];
    org.post("/composite/sobjects", json!({ "records": records })).await;
    let told = async |rest: &str| -> Vec<String> {
        let soql = format!("SELECT Company, LeadSource, COUNT(Id) n FROM Lead GROUP BY {rest}");
        let groups = org.records(&soql).await;
        let each = groups.iter().map(|g| {
            format!(
                "{} {} {}",
                g["Company"].as_str().unwrap(),
                g["LeadSource"].as_str().unwrap(),
                g["n"]
            )
        });
        each.collect()
    };
    for (rest, wanted) in [
        ("", vec!["Barn Web 1", "Mill Web 2", "Mill Other 1", "Quay Web 3"]),
        ("HAVING COUNT(Id) > 1", vec!["Mill Web 2", "Quay Web 3"]),
        ("HAVING COUNT(Id) > 1 AND SUM(AnnualRevenue) < 10", vec!["Quay Web 3"]),
        ("HAVING NOT (LeadSource = 'Web' OR COUNT(Id) > 9)", vec!["Mill Other 1"]),
        (
            "HAVING Company LIKE 'q%' OR MIN(AnnualRevenue) IN (5, 90)",
            vec!["Barn Web 1", "Mill Other 1", "Quay Web 3"],
        ),
        ("HAVING MAX(CreatedDate) = TODAY AND AVG(AnnualRevenue) = 20", vec!["Mill Web 2"]),
        (
            "HAVING COUNT_DISTINCT(AnnualRevenue) = 2 ORDER BY SUM(AnnualRevenue)",
            vec!["Quay Web 3", "Mill Web 2"],
        ),
        (
            "ORDER BY COUNT(Id) DESC, Company LIMIT 3",
            vec!["Quay Web 3", "Mill Web 2", "Barn Web 1"],
        ),
        ("HAVING COUNT(Id) > 99", vec![]),
    ] {
        assert_eq!(told(&format!("Company, LeadSource {rest}")).await, wanted, "{rest}");
    }
    let (_, body) = org
        .query(
            "SELECT COUNT(AnnualRevenue), MIN(Company), MAX(Company), SUM(AnnualRevenue) FROM Lead",
        )
        .await;
    let all = &body["records"][0];
    assert_eq!(
        (&all["expr0"], &all["expr1"], &all["expr2"], &all["expr3"]),
        (&json!(7), &json!("Barn"), &json!("Quay"), &json!(144.0))
    );
}

#[tokio::test]
async fn what_groups_cannot_be_asked_is_refused_with_code_and_words() {
    let org = Org::start().await;
    let cases = [
        (
            "SELECT Name FROM Sloe_Event__c GROUP BY Name HAVING Slug__c = 'x'",
            "MALFORMED_QUERY",
            "must be grouped",
        ),
        (
            "SELECT Name FROM Sloe_Event__c HAVING COUNT(Id) > 1",
            "MALFORMED_QUERY",
            "unexpected token: 'HAVING'",
        ),
        (
            "SELECT Name FROM Sloe_Event__c GROUP BY Name HAVING SUM(Slug__c) > 1",
            "MALFORMED_QUERY",
            "field Slug__c does not support aggregate operator",
        ),
        (
            "SELECT Name FROM Sloe_Event__c GROUP BY Name HAVING COUNT(Id) > 'x'",
            "INVALID_FIELD",
            "must be of type double",
        ),
        (
            "SELECT Name FROM Sloe_Event__c GROUP BY Name HAVING Name IN (SELECT Name FROM Lead)",
            "MALFORMED_QUERY",
            "HAVING takes no subquery",
        ),
        ("SELECT Name FROM Sloe_Event__c ORDER BY COUNT(Id)", "MALFORMED_QUERY", "must be grouped"),
        (
            "SELECT Name FROM Sloe_Event__c WHERE COUNT(Id) > 1",
            "MALFORMED_QUERY",
            "doesn't support COUNT() here",
        ),
    ];
    refused(&org, &cases).await;
}

#[tokio::test]
async fn a_picklist_sorts_as_its_list_has_it_and_unlisted_values_come_last() {
    let org = Org::start().await;
    let lead = |source: Option<&str>| json!({ "attributes": { "type": "Lead" }, "LastName": "Doe", "Company": "X", "LeadSource": source });
    // The list has Web, Phone Inquiry, Partner Referral, Purchased List, Other.
    let sources = [Some("Other"), Some("Another"), None, Some("Web"), Some("Phone Inquiry")];
    let records: Vec<_> = sources.into_iter().map(lead).collect();
    org.post("/composite/sobjects", json!({ "records": records })).await;
    let told = async |soql: &str, field: &str| -> Vec<String> {
        let rows = org.records(soql).await;
        rows.iter().map(|row| row[field].as_str().unwrap_or("-").to_owned()).collect()
    };
    let listed = ["-", "Web", "Phone Inquiry", "Other", "Another"];
    let by = "SELECT LeadSource FROM Lead ORDER BY LeadSource";
    assert_eq!(told(by, "LeadSource").await, listed);
    let down = told(&format!("{by} DESC NULLS LAST"), "LeadSource").await;
    assert_eq!(down, ["Another", "Other", "Phone Inquiry", "Web", "-"]);
    let groups = "SELECT LeadSource, COUNT(Id) FROM Lead GROUP BY LeadSource";
    assert_eq!(told(groups, "LeadSource").await, listed);
    let ordered = format!("{groups} ORDER BY COUNT(Id), LeadSource DESC NULLS LAST");
    assert_eq!(told(&ordered, "LeadSource").await, down);
    assert_eq!(told("SELECT MIN(LeadSource) least FROM Lead", "least").await, ["Web"]);
}
