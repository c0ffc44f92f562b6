//! What an org finds again whose objects are not what they were.

use serde_json::{Value as Json, json};
use sloe_sim::org::{Options, Running, Seed, start};

use crate::client::{Org, SEED, options};
use crate::restart::left_behind;

const FAIR: &str = r#"
[[object]]
name = "Fair__c"
label = "Fair"
plural = "Fairs"

[[field]]
object = "Fair__c"
name = "Code__c"
label = "Code"
type = "Text"
length = 20

[[field]]
object = "Fair__c"
name = "Kind__c"
label = "Kind"
type = "Picklist"
values = ["Books", "Cattle"]

[[field]]
object = "Fair__c"
name = "Size__c"
label = "Size"
type = "Text"

[[field]]
object = "Fair__c"
name = "Words__c"
label = "Words"
type = "Text"
length = 5
formula = "'Fair ' & Code__c"
"#;

const MORE: &str = r#"
[[field]]
object = "Fair__c"
name = "Old__c"
label = "Old"
type = "Text"

[[object]]
name = "Stall__c"
label = "Stall"
plural = "Stalls"
"#;

async fn run(seed: &str, directory: &std::path::Path) -> Result<Running, sloe_sim::org::Error> {
    let seed = Seed::parse(&format!("{SEED}\n{seed}")).unwrap();
    start(Options { seed, data: Some(directory.to_owned()), ..options() }).await
}

async fn signed_in(running: Running) -> Org {
    let mut org = Org { running, http: reqwest::Client::new(), token: String::new() };
    org.token = org.sign_in().await;
    org
}

/// Every field of the one fair that is always there.
async fn fair(org: &Org) -> Json {
    let rows = org.records("SELECT Name, Code__c, Kind__c, Size__c, Words__c FROM Fair__c").await;
    assert_eq!(rows.len(), 1);
    let fields = ["Name", "Code__c", "Kind__c", "Size__c", "Words__c"];
    Json::Array(fields.map(|field| rows[0][field].clone()).to_vec())
}

#[tokio::test]
async fn records_outlive_changes_of_their_fields_and_what_has_no_place_any_more_is_let_go() {
    let directory = tempfile::tempdir().unwrap();
    let org = signed_in(run(&format!("{FAIR}{MORE}"), directory.path()).await.unwrap()).await;
    let record = json!({ "Name": "Fair", "Code__c": "twenty letters long", "Kind__c": "Cattle", "Size__c": "large", "Old__c": "x" });
    assert_eq!(org.post("/sobjects/Fair__c", record).await.0, 201);
    assert_eq!(org.post("/sobjects/Stall__c", json!({ "Name": "Stall" })).await.0, 201);
    let words = "Fair twenty letters long";
    let before = json!(["Fair", "twenty letters long", "Cattle", "large", words]);
    assert_eq!(fair(&org).await, before);
    let left = left_behind(directory.path());
    let log = left.path().join("records.log");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.contains(words), "what a formula gives is not kept");
    // As logs once had it.
    let old = text.replace("\"Kind__c\":", &format!("\"Words__c\":\"{words}\",\"Kind__c\":"));
    assert_ne!(old, text);
    std::fs::write(&log, &old).unwrap();
    // Shorter, with fewer values, of another kind; a field and an object are no more.
    let changed = FAIR
        .replace("length = 20", "length = 2")
        .replace("\"Books\", \"Cattle\"", "\"Books\"")
        .replace("label = \"Size\"\ntype = \"Text\"", "label = \"Size\"\ntype = \"Number\"")
        .replace("'Fair ' &", "'Only ' &");
    let org = signed_in(run(&changed, left.path()).await.unwrap()).await;
    let after = json!(["Fair", "twenty letters long", "Cattle", null, "Only twenty letters long"]);
    assert_eq!(fair(&org).await, after);
    let (_, body) = org.query("SELECT Id FROM Stall__c").await;
    assert_eq!(body[0]["errorCode"], "INVALID_TYPE");
    org.running.shutdown().await;
    // Had it been the wrong seed, nothing would be lost.
    assert_eq!(std::fs::read_to_string(log.with_extension("before")).unwrap(), old);
    std::fs::write(&log, format!("{old}no record\n")).unwrap();
    let error = run(&changed, left.path()).await.err().unwrap().to_string();
    assert!(error.contains("isn't a record"), "{error}");
}
