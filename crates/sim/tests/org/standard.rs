//! The standard objects that clients expect, and what a seed adds to them.

use serde_json::{Value as Json, json};
use sloe_sim::org::{Options, Seed, start};

use crate::client::{Org, SEED, options};

const MORE: &str = r#"
[[field]]
object = "Account"
name = "Ext_Id__c"
label = "External Id"
type = "Text"
length = 40
external_id = true

[[record]]
object = "Account"
ref = "mill"
[record.fields]
Name = "Old Mill"
Ext_Id__c = "mill"
BillingCity = "Porto"

[[record]]
object = "Contact"
[record.fields]
FirstName = "Ada"
LastName = "Miller"
AccountId = "$mill"
"#;

async fn org() -> Org {
    Org::with(Options { seed: Seed::parse(&format!("{SEED}{MORE}")).unwrap(), ..options() }).await
}

async fn made(org: &Org, object: &str, record: Json) -> String {
    let (status, body) = org.post(&format!("/sobjects/{object}"), record).await;
    assert_eq!(status, 201, "{object}: {body}");
    body["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_usual_standard_objects_are_described_with_their_key_prefixes() {
    let org = org().await;
    let (_, all) = org.get("/sobjects").await;
    for (name, label, plural, prefix) in [
        ("Organization", "Organization", "Organizations", "00D"),
        ("Profile", "Profile", "Profiles", "00e"),
        ("User", "User", "Users", "005"),
        ("Account", "Account", "Accounts", "001"),
        ("Contact", "Contact", "Contacts", "003"),
        ("Lead", "Lead", "Leads", "00Q"),
        ("Campaign", "Campaign", "Campaigns", "701"),
        ("CampaignMember", "Campaign Member", "Campaign Members", "00v"),
    ] {
        let objects = all["sobjects"].as_array().unwrap();
        let object = objects.iter().find(|object| object["name"] == name).unwrap();
        assert_eq!(
            (&object["label"], &object["labelPlural"], &object["keyPrefix"]),
            (&json!(label), &json!(plural), &json!(prefix))
        );
        let (_, full) = org.get(&format!("/sobjects/{name}/describe")).await;
        let mut names: Vec<&str> = full["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| field["name"].as_str().unwrap())
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{name} has each field once");
    }
    let user = org.records("SELECT Alias, UserType, TimeZoneSidKey FROM User").await.remove(0);
    assert_eq!(
        (&user["Alias"], &user["UserType"], &user["TimeZoneSidKey"]),
        (&json!("sloe"), &json!("Standard"), &json!("UTC"))
    );
}

#[tokio::test]
async fn a_seed_adds_fields_to_a_standard_object_and_records_of_it() {
    let org = org().await;
    let path = "/sobjects/Account/Ext_Id__c/mill";
    let (_, mill) = org.get(path).await;
    assert_eq!((&mill["Name"], &mill["BillingCity"]), (&json!("Old Mill"), &json!("Porto")));
    assert!(mill["Id"].as_str().unwrap().starts_with("001"), "{mill}");
    let (status, body) = org.patch(path, json!({ "Name": "New Mill" })).await;
    assert_eq!((status.as_u16(), &body["created"]), (200, &json!(false)), "{body}");
    let (status, body) =
        org.patch("/sobjects/Account/Ext_Id__c/quay", json!({ "Name": "Quay" })).await;
    assert_eq!((status.as_u16(), &body["created"]), (201, &json!(true)), "{body}");
    let contact = json!({ "LastName": "Ferry", "Account": { "Ext_Id__c": "quay" } });
    made(&org, "Contact", contact).await;
    let soql = "SELECT Name, Account.Name, Account.Owner.Username FROM Contact ORDER BY Name";
    let contacts = org.records(soql).await;
    let told: Vec<(&Json, &Json)> =
        contacts.iter().map(|c| (&c["Name"], &c["Account"]["Name"])).collect();
    assert_eq!(
        told,
        [(&json!("Ada Miller"), &json!("New Mill")), (&json!("Ferry"), &json!("Quay"))]
    );
    assert_eq!(contacts[0]["Account"]["Owner"]["Username"], "sloe@test.example");
    let soql = "SELECT Name, (SELECT LastName FROM Contacts) FROM Account WHERE Ext_Id__c = 'mill'";
    assert_eq!(org.records(soql).await[0]["Contacts"]["records"][0]["LastName"], "Miller");
}

#[tokio::test]
async fn a_campaign_has_members_that_go_with_it_or_with_whom_they_stand_for() {
    let org = org().await;
    let campaign = made(&org, "Campaign", json!({ "Name": "Spring" })).await;
    let lead = made(&org, "Lead", json!({ "LastName": "Roe", "Company": "Roe Ltd" })).await;
    let contact = org.records("SELECT Id FROM Contact").await[0]["Id"].as_str().unwrap().to_owned();
    for who in [json!({ "LeadId": lead }), json!({ "ContactId": contact })] {
        let mut member = who.clone();
        member["CampaignId"] = json!(campaign);
        assert!(made(&org, "CampaignMember", member).await.starts_with("00v"));
        let (status, body) = org.post("/sobjects/CampaignMember", who).await;
        let code = (400, Some("REQUIRED_FIELD_MISSING"));
        assert_eq!((status.as_u16(), body[0]["errorCode"].as_str()), code, "{body}");
    }
    let soql = "SELECT Status, Campaign.Status, Contact.Account.Name FROM CampaignMember \
                WHERE ContactId != null";
    let member = org.records(soql).await.remove(0);
    assert_eq!(
        (&member["Status"], &member["Campaign"]["Status"], &member["Contact"]["Account"]["Name"]),
        (&json!("Sent"), &json!("Planned"), &json!("Old Mill"))
    );
    let account = org.records("SELECT Id FROM Account").await[0]["Id"].as_str().unwrap().to_owned();
    org.delete(&format!("/sobjects/Account/{account}")).await;
    assert_eq!(org.records("SELECT Id FROM Contact").await.len(), 0, "an account takes them along");
    let left = org.records("SELECT LeadId FROM CampaignMember").await;
    assert_eq!((left.len(), &left[0]["LeadId"]), (1, &json!(lead)));
    org.delete(&format!("/sobjects/Campaign/{campaign}")).await;
    assert_eq!(org.records("SELECT Id FROM CampaignMember").await.len(), 0);
    assert_eq!(org.records("SELECT Id FROM Lead").await.len(), 1);
}

#[tokio::test]
async fn a_seed_cannot_add_a_field_or_an_object_that_is_there() {
    let field = MORE.replace("name = \"Ext_Id__c\"", "name = \"BillingCity\"");
    let object = "[[object]]\nname = \"Lead\"\nlabel = \"Lead\"\nplural = \"Leads\"";
    for (more, words) in [
        (field.as_str(), "Account has a field BillingCity already"),
        (object, "there is an object Lead already"),
    ] {
        let seed = Seed::parse(&format!("{SEED}\n{more}")).unwrap();
        let error = start(Options { seed, ..options() }).await.err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn users_have_a_profile_which_nobody_changes_through_the_api() {
    let org = org().await;
    let users = org.records("SELECT Username, Profile.Name FROM User").await;
    assert!(
        users.iter().all(|user| user["Profile"]["Name"] == "System Administrator"),
        "{users:?}"
    );
    let [profile] = &org.records("SELECT Id, (SELECT Username FROM Users) FROM Profile").await[..]
    else {
        panic!("not one profile")
    };
    assert_eq!(profile["Users"]["totalSize"], users.len());
    let path = format!("/sobjects/Profile/{}", profile["Id"].as_str().unwrap());
    let (status, body) = org.patch(&path, json!({ "Name": "x" })).await;
    assert_eq!(
        (status.as_u16(), &body[0]["errorCode"]),
        (400, &json!("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"))
    );
}
