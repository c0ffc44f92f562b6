//! Parts of SOQL that clients use beside the plain ones.

use serde_json::{Value as Json, json};
use sloe_sim::org::{Options, Seed};

use crate::client::{EVENT, Org, SEED, options};

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
        ("SELECT convertCurrency(AnnualRevenue) FROM Lead", "CONVERTCURRENCY()"),
        ("SELECT Id FROM Lead WHERE DISTANCE(Name) = 1", "DISTANCE()"),
        ("SELECT Id FROM Lead WHERE COUNT(Id) = 1", "COUNT()"),
        ("SELECT Id FROM Lead USING SCOPE team", "scopes everything and mine only"),
        ("SELECT Id FROM Lead WITH SECURITY_ENFORCED", "WITH"),
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

/// Leads of two sources, made on a Thursday just before midnight UTC, one of them with a revenue.
async fn leads() -> Org {
    fn late() -> jiff::Timestamp {
        "2026-12-31T23:30:00Z".parse().unwrap()
    }
    let users = "[[user]]\nusername = \"hanna@test.example\"\nlast_name = \"Hanna\"\nemail = \"hanna@test.example\"\n\n[[app]]";
    let seed = SEED.replace("[[app]]", users);
    let seed = seed.replace("[org]", "[org]\ntime_zone = \"Europe/Berlin\"");
    let seed = Seed::parse(&seed).unwrap();
    let org = Org::with(Options { now: late, seed, ..options() }).await;
    for (name, source, revenue) in
        [("Ada", "Web", Some(1_234_567)), ("Ben", "Web", None), ("Cleo", "Other", None)]
    {
        let lead = json!({
            "LastName": name, "Company": "Mill", "LeadSource": source, "AnnualRevenue": revenue,
            "Status": "Open - Not Contacted",
        });
        let (status, body) = org.post("/sobjects/Lead", lead).await;
        assert_eq!(status, 201, "{body}");
    }
    org
}

#[tokio::test]
async fn parts_of_dates_are_compared_grouped_and_sorted_by() {
    let org = leads().await;
    for (condition, count) in [
        ("CALENDAR_YEAR(CreatedDate) = 2026", 3),
        ("CALENDAR_YEAR(convertTimezone(CreatedDate)) = 2027", 3),
        ("DAY_ONLY(CreatedDate) = 2026-12-31 AND HOUR_IN_DAY(CreatedDate) = 23", 3),
        ("DAY_ONLY(CreatedDate) = TODAY", 3),
        ("DAY_IN_WEEK(CreatedDate) IN (1, 7)", 0),
        // The index of the field says nothing about a part of it.
        ("CALENDAR_YEAR(SystemModstamp) > 2026", 0),
        ("toLabel(LeadSource) = 'Web'", 2),
    ] {
        let soql = format!("SELECT Id FROM Lead WHERE {condition}");
        assert_eq!(org.records(&soql).await.len(), count, "{condition}");
    }
    let soql = "SELECT CALENDAR_YEAR(CreatedDate), DAY_ONLY(CreatedDate) d, COUNT(Id) n FROM Lead \
                GROUP BY CALENDAR_YEAR(CreatedDate), DAY_ONLY(CreatedDate) \
                HAVING CALENDAR_YEAR(CreatedDate) > 2000 ORDER BY CALENDAR_YEAR(CreatedDate) DESC";
    let attributes = json!({ "type": "AggregateResult" });
    let wanted = json!({ "attributes": attributes, "expr0": 2026, "d": "2026-12-31", "n": 3 });
    assert_eq!(org.records(soql).await, [wanted]);
    for (soql, told) in [
        ("SELECT CALENDAR_YEAR(CreatedDate) FROM Lead", "must be grouped"),
        ("SELECT Id FROM Lead ORDER BY CALENDAR_YEAR(CreatedDate)", "must be grouped"),
        ("SELECT Id FROM Lead WHERE CALENDAR_YEAR(LastName) = 1", "LastName does not support"),
        ("SELECT Id FROM Lead WHERE CALENDAR_YEAR(CreatedDate = 1", "unexpected token: '='"),
    ] {
        let (code, message) = refused(&org, soql).await;
        assert!(code == "MALFORMED_QUERY" && message.contains(told), "{soql}: {message}");
    }
    let (code, message) =
        refused(&org, "SELECT Id FROM Lead WHERE CALENDAR_YEAR(CreatedDate) = '2026'").await;
    assert!(code == "INVALID_FIELD" && message.contains("of type double"), "{message}");
}

#[tokio::test]
async fn subtotals_come_after_the_groups_that_they_sum_up() {
    let org = leads().await;
    let groups = async |by: &str| -> Vec<[Json; 4]> {
        let soql = format!(
            "SELECT LeadSource, Status, COUNT(Id) n, GROUPING(LeadSource) g FROM Lead GROUP BY {by}"
        );
        let each = org.records(&soql).await.into_iter();
        each.map(|row| ["LeadSource", "Status", "n", "g"].map(|name| row[name].clone())).collect()
    };
    let row = |source: Option<&str>, open: bool, n: i64, g: i64| {
        let status = if open { Json::Null } else { json!("Open - Not Contacted") };
        [json!(source), status, json!(n), json!(g)]
    };
    let web = [row(Some("Web"), false, 2, 0), row(Some("Web"), true, 2, 0)];
    let other = [row(Some("Other"), false, 1, 0), row(Some("Other"), true, 1, 0)];
    let found = groups("ROLLUP(LeadSource, Status)").await;
    let all = row(None, true, 3, 1);
    assert_eq!(found, [&web[..], &other, std::slice::from_ref(&all)].concat());
    let found = groups("CUBE(LeadSource, Status)").await;
    assert_eq!(found, [&web[..], &other, &[row(None, false, 3, 1), all]].concat());
    let none =
        org.records("SELECT COUNT(Id) n FROM Lead WHERE LastName = 'x' GROUP BY ROLLUP(Status)");
    assert_eq!(none.await[0]["n"], 0);
    for soql in [
        "SELECT COUNT(Id) FROM Lead GROUP BY ROLLUP(Id, LastName, Status, Company)",
        "SELECT GROUPING(Status), COUNT(Id) FROM Lead GROUP BY LeadSource",
    ] {
        assert_eq!(refused(&org, soql).await.0, "MALFORMED_QUERY", "{soql}");
    }
}

#[tokio::test]
async fn values_are_formatted_for_the_user_who_asks() {
    let org = leads().await;
    let soql = "SELECT FORMAT(CreatedDate) made, FORMAT(AnnualRevenue), FORMAT(LastName) FROM Lead \
                WHERE LastName = 'Ada'";
    let found = org.records(soql).await.remove(0);
    assert_eq!(found["made"], "1/1/2027, 12:30 AM", "{found}");
    assert_eq!(
        (&found["AnnualRevenue"], &found["LastName"]),
        (&json!("$1,234,567"), &json!("Ada"))
    );
    let found = org.records("SELECT FORMAT(MAX(CreatedDate)) last FROM Lead").await.remove(0);
    assert_eq!(found["last"], "1/1/2027, 12:30 AM", "{found}");
}

#[tokio::test]
async fn a_scope_narrows_a_query_down_to_the_user_s_own_records() {
    let org = leads().await;
    let count = async |scope: &str| {
        let soql = format!("SELECT Id FROM Lead USING SCOPE {scope} WHERE LeadSource = 'Web'");
        org.records(&soql).await.len()
    };
    assert_eq!((count("everything").await, count("mine").await), (2, 2));
    let hanna = org.records("SELECT Id FROM User WHERE Username != 'sloe@test.example'").await;
    let ada = org.records("SELECT Id FROM Lead WHERE LastName = 'Ada'").await.remove(0);
    let path = format!("/sobjects/Lead/{}", ada["Id"].as_str().unwrap());
    let owner = json!({ "OwnerId": hanna[0]["Id"] });
    let (status, body) = org.patch(&path, owner).await;
    assert_eq!(status, 204, "{body}");
    assert_eq!((count("everything").await, count("mine").await), (2, 1));
}
