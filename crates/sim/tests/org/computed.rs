//! Formulas and roll-ups: what an org works out by itself.

use reqwest::Method;
use serde_json::{Value as Json, json};
use sloe_sim::org::{Options, Seed};

use crate::bulk::{finish, open, upload};
use crate::client::{Org, SEED, options};

const FAIR: &str = r#"
[[object]]
name = "Fair__c"
label = "Fair"
plural = "Fairs"

[[object]]
name = "Guest__c"
label = "Guest"
plural = "Guests"

[[field]]
object = "Guest__c"
name = "Fair__c"
label = "Fair"
type = "MasterDetail"
to = "Fair__c"
children = "Guests__r"

[[field]]
object = "Guest__c"
name = "Paid__c"
label = "Paid"
type = "Currency"

[[field]]
object = "Guest__c"
name = "Status__c"
label = "Status"
type = "Picklist"
values = ["Registered", "Cancelled"]

[[field]]
object = "Fair__c"
name = "Limit__c"
label = "Limit"
type = "Number"

[[field]]
object = "Fair__c"
name = "Left__c"
label = "Left"
type = "Number"
formula = "MAX(Limit__c - Coming__c, 0)"

[[field]]
object = "Fair__c"
name = "Words__c"
label = "Words"
type = "Text"
formula = "IF(Left__c = 0, 'sold out', TEXT(Left__c) & ' left')"

[[field]]
object = "Fair__c"
name = "Coming__c"
label = "Coming"
type = "Number"
roll_up = { of = "Guest__c.Fair__c", summary = "count", where = "NOT(ISPICKVAL(Status__c, 'Cancelled'))" }

[[field]]
object = "Fair__c"
name = "Paid__c"
label = "Paid"
type = "Currency"
roll_up = { of = "Guest__c.Fair__c", summary = "sum", field = "Paid__c" }

[[field]]
object = "Fair__c"
name = "Most__c"
label = "Most"
type = "Currency"
roll_up = { of = "Guest__c.Fair__c", summary = "max", field = "Paid__c" }
"#;

fn fair() -> Options {
    Options { seed: Seed::parse(&format!("{SEED}\n{FAIR}")).unwrap(), ..options() }
}

/// Coming, left, words, paid, the most paid.
async fn figures(org: &Org) -> Json {
    let soql = "SELECT Coming__c, Left__c, Words__c, Paid__c, Most__c FROM Fair__c WHERE Name = 'Book fair'";
    let found = org.records(soql).await.remove(0);
    json!([
        found["Coming__c"],
        found["Left__c"],
        found["Words__c"],
        found["Paid__c"],
        found["Most__c"]
    ])
}

async fn make(org: &Org, object: &str, record: Json) -> String {
    let (status, body) = org.post(&format!("/sobjects/{object}"), record).await;
    assert_eq!(status, 201, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn roll_ups_and_formulas_follow_their_details_whatever_writes_them() {
    let directory = tempfile::tempdir().unwrap();
    let kept = || Options { data: Some(directory.path().to_owned()), ..fair() };
    let org = Org::with(kept()).await;
    let fair = make(&org, "Fair__c", json!({ "Name": "Book fair", "Limit__c": 3 })).await;
    assert_eq!(figures(&org).await, json!([0.0, 3.0, "3 left", 0.0, null]));
    let guest =
        json!({ "Name": "Doe", "Fair__c": fair, "Paid__c": 7.5, "Status__c": "Registered" });
    let first = make(&org, "Guest__c", guest.clone()).await;
    let job = open(&org, json!({ "object": "Guest__c", "operation": "insert" })).await;
    upload(
        &org,
        &job,
        format!("Name,Fair__c,Paid__c\nRoe,{fair},2.5\nPoe,{fair},1\nBad,nobody,1\n"),
    )
    .await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 1);
    assert_eq!(figures(&org).await, json!([3.0, 0.0, "sold out", 11.0, 7.5]));

    let path = format!("/sobjects/Guest__c/{first}");
    let change = json!({ "Status__c": "Cancelled", "Paid__c": 2 });
    assert_eq!(org.patch(&path, change).await.0, 204);
    assert_eq!(figures(&org).await, json!([2.0, 1.0, "1 left", 5.5, 2.5]));
    let mut record = guest;
    record["attributes"] = json!({ "type": "Guest__c" });
    let bad = json!({ "attributes": { "type": "Guest__c" } });
    let all = json!({ "allOrNone": true, "records": [record, bad] });
    org.post("/composite/sobjects", all).await;
    assert_eq!(figures(&org).await, json!([2.0, 1.0, "1 left", 5.5, 2.5]), "it is rolled back");
    assert_eq!(org.delete(&path).await.0, 204);
    assert_eq!(figures(&org).await, json!([2.0, 1.0, "1 left", 3.5, 2.5]));

    org.running.shutdown().await;
    let org = Org::with(kept()).await;
    assert_eq!(figures(&org).await, json!([2.0, 1.0, "1 left", 3.5, 2.5]));
    assert_eq!(org.delete(&format!("/sobjects/Fair__c/{fair}")).await.0, 204);
    assert!(org.records("SELECT Id FROM Guest__c").await.is_empty());
}

#[tokio::test]
async fn a_master_that_counts_anew_is_changed_and_what_is_worked_out_is_never_written() {
    let org = Org::with(fair()).await;
    let fair = make(&org, "Fair__c", json!({ "Name": "Book fair", "Limit__c": 3 })).await;
    let path = format!("/sobjects/Fair__c/{fair}");
    for name in ["Left__c", "Coming__c"] {
        let (status, body) = org.patch(&path, json!({ name: 1 })).await;
        let code = body[0]["errorCode"].as_str();
        assert_eq!((status.as_u16(), code), (400, Some("INVALID_FIELD_FOR_INSERT_UPDATE")));
    }
    let (_, described) = org.get("/sobjects/Fair__c/describe").await;
    let fields = described["fields"].as_array().unwrap();
    let field = |name: &str| fields.iter().find(|field| field["name"] == name).unwrap();
    assert_eq!(field("Left__c")["calculatedFormula"], "MAX(Limit__c - Coming__c, 0)");
    for name in ["Left__c", "Coming__c"] {
        let facts = field(name);
        let facts = (&facts["calculated"], &facts["createable"], &facts["updateable"]);
        assert_eq!(facts, (&json!(true), &json!(false), &json!(false)), "{name}");
    }
    assert_eq!(org.records("SELECT Id FROM Fair__c WHERE Left__c >= 3").await.len(), 1);
    let job = json!({ "chunk_ms": 600_000, "objects": ["Guest__c"] });
    org.send(Method::PUT, "/__control/locks", json!({ "wait_ms": 0 })).await;
    org.send(Method::PUT, "/__control/faults", job).await;
    let guest = org.request(Method::POST, "/sobjects/Guest__c");
    let guest = guest.json(&json!({ "Name": "Doe", "Fair__c": fair }));
    let guest = tokio::spawn(async move { guest.send().await.unwrap().status() });
    while org.get("/__control/locks").await.1["held"].as_array().unwrap().is_empty() {}
    let (_, body) = org.patch(&path, json!({ "Limit__c": 4 })).await;
    assert_eq!(body[0]["errorCode"], "UNABLE_TO_LOCK_ROW", "the master waits for its details");
    org.delete("/__control/faults").await;
    assert_eq!(guest.await.unwrap(), 201);
    assert_eq!(figures(&org).await[0], 1.0);
}

#[tokio::test]
async fn what_cannot_be_worked_out_is_refused_when_the_org_starts() {
    let field = |rest: &str| {
        let field = "[[field]]\nobject = \"Fair__c\"\nname = \"Odd__c\"\nlabel = \"Odd\"\ntype = \"Number\"";
        format!("{SEED}\n{FAIR}\n{field}\n{rest}")
    };
    for (rest, told) in [
        ("formula = \"Nope__c + 1\"", "Fair__c has no field Nope__c"),
        ("formula = \"Odd__c + 1\"", "its formula needs itself"),
        ("formula = \"IF(ISNEW(), 1, 2)\"", "are for validation rules"),
        ("formula = \"REGEX(Name)\"", "doesn't know the function REGEX"),
        ("roll_up = { of = \"Lead.Name\", summary = \"count\" }", "is no master-detail field"),
        ("roll_up = { of = \"Guest__c.Fair__c\", summary = \"sum\" }", "is to be given"),
        (
            "roll_up = { of = \"Guest__c.Fair__c\", summary = \"sum\", field = \"Status__c\" }",
            "Status__c is no number",
        ),
    ] {
        let seed = Seed::parse(&field(rest)).unwrap();
        let error = sloe_sim::org::start(Options { seed, ..options() }).await.err().unwrap();
        assert!(error.to_string().contains(told), "{rest}: {error}");
    }
}
