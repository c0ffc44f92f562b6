//! Sloe's own package as a managed one installs it: every name with a prefix.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fmt::Write as _;

use common::org::{Org, hasty, until};
use common::{license, person, place, start};
use serde_json::Value as Json;
use sloe_core::ids::{EventRef, SfId};
use sloe_engine::claims::RequestId;
use sloe_engine::tenant::{Connect, Profile};
use sloe_salesforce::map::preset;

/// Sloe's objects, parents before children.
const OBJECTS: [&str; 5] = [
    "Sloe_Event__c",
    "Sloe_Item__c",
    "Sloe_Session__c",
    "Sloe_Attendee__c",
    "Sloe_Session_Attendee__c",
];

const HEAD: &str = r#"
[org]
id = "00D5g0000Managd"
name = "Managed Org"
[[user]]
username = "sloe@managed.example"
last_name = "Sloe"
email = "sloe@managed.example"
[[app]]
name = "Sloe"
client_id = "client"
client_secret = "secret"
run_as = "sloe@managed.example"
"#;

const TAIL: &str = r#"
[[record]]
object = "sloe__Sloe_Event__c"
ref = "event"
id = "a055g0000000001"
[record.fields]
Name = "Managed Event"
sloe__Published__c = true
sloe__Starts_At__c = "today+5d 09:00 Europe/Berlin"
sloe__Ends_At__c = "today+5d 17:00 Europe/Berlin"
[[record]]
object = "sloe__Sloe_Item__c"
[record.fields]
Name = "Pass"
sloe__Event__c = "$event"
sloe__Quantity__c = 2
sloe__Active__c = true
"#;

fn prefixed(name: &str) -> String {
    format!("sloe__{name}")
}

/// A seed with Sloe's objects under a namespace, made of what an org describes.
async fn seed() -> String {
    let plain = Org::start().await;
    let mut seed = HEAD.to_owned();
    let mut children = Vec::new();
    for object in OBJECTS {
        let about = plain.describe(object).await;
        children.extend(about["childRelationships"].as_array().unwrap().clone());
        let label = about["label"].as_str().unwrap();
        let name = prefixed(object);
        writeln!(seed, "[[object]]\nname = {name:?}\nlabel = {label:?}\nplural = {label:?}")
            .unwrap();
        let fields = about["fields"].as_array().unwrap();
        let numbered = |f: &Json| f["name"] == "Name" && f["autoNumber"] == true;
        if fields.iter().any(numbered) {
            writeln!(seed, "auto_number = \"N-{{0000}}\"").unwrap();
        }
        for field in fields.iter().filter(|field| field["custom"] == true) {
            write_field(&mut seed, &name, field, &children);
        }
    }
    for object in ["Sloe_Attendee__c", "Sloe_Session_Attendee__c"] {
        let (object, version) = (prefixed(object), "sloe__Sloe_Version__c");
        writeln!(
            seed,
            "[[rule]]\nobject = {object:?}\nname = \"Newest\"\nfield = {version:?}\n\
             formula = 'PRIORVALUE({version}) > {version}'\nmessage = \"older\""
        )
        .unwrap();
    }
    seed + TAIL
}

fn write_field(seed: &mut String, object: &str, field: &Json, children: &[Json]) {
    let plain = field["name"].as_str().unwrap();
    let kind = match field["type"].as_str().unwrap() {
        "string" => "Text",
        "textarea" => "LongTextArea",
        "email" => "Email",
        "url" => "Url",
        "double" => "Number",
        "currency" => "Currency",
        "boolean" => "Checkbox",
        "date" => "Date",
        "datetime" => "DateTime",
        "picklist" => "Picklist",
        "reference" if field["cascadeDelete"] == true => "MasterDetail",
        "reference" => "Lookup",
        other => panic!("{plain} is of type {other}"),
    };
    let (name, label) = (prefixed(plain), field["label"].as_str().unwrap());
    writeln!(
        seed,
        "[[field]]\nobject = {object:?}\nname = {name:?}\nlabel = {label:?}\ntype = {kind:?}\n\
         external_id = {}",
        field["externalId"]
    )
    .unwrap();
    if let Some(length) = field["length"].as_u64().filter(|n| *n > 0 && kind.contains("Text")) {
        writeln!(seed, "length = {length}").unwrap();
    }
    if kind == "Picklist" {
        let values = field["picklistValues"].as_array().unwrap();
        let values: Vec<&str> = values.iter().map(|v| v["value"].as_str().unwrap()).collect();
        writeln!(seed, "values = {values:?}").unwrap();
    }
    if let Some(to) = field["referenceTo"][0].as_str() {
        let to = if to.starts_with("Sloe_") { prefixed(to) } else { to.to_owned() };
        writeln!(seed, "to = {to:?}").unwrap();
        let called = children.iter().find(|child| {
            prefixed(child["childSObject"].as_str().unwrap()) == object && child["field"] == plain
        });
        if let Some(called) = called.and_then(|child| child["relationshipName"].as_str()) {
            writeln!(seed, "children = {:?}", prefixed(called)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_managed_package_is_served_by_its_namespace_alone() {
    let (org, place) = (Org::seeded(&seed().await).await, place());
    let engine = start(&place, Some(hasty(2_000)));
    let text = preset("sloe").unwrap().replace("# namespace = ", "namespace = ");
    let profile = Profile { slug: "managed".into(), name: "Managed".into(), ..Profile::default() };
    let credentials = org.credentials();
    let connect =
        Connect { profile: profile.into(), credentials, expected: None, mapping: Some(text) };
    let connected = engine.connect_org(connect).await.unwrap();
    assert_eq!(connected.findings, [], "it has everything, its version rules too");
    license(&engine, &*place.store, org.id());
    engine.request_refresh(org.id(), None);
    let event = EventRef { org: org.id(), event: SfId::parse("a055g0000000001").unwrap() };
    until("the event is shown", async || engine.event(event.public_id()).is_ok()).await;

    let people = [person(&engine, event, 1)];
    let order = engine.register(event.public_id(), &RequestId::Fresh, &people).await.unwrap();
    org.drained(&engine).await;
    let rows = async || {
        let soql = "SELECT sloe__Last_Name__c, sloe__Registration_Status__c, \
                    sloe__Event__r.sloe__Sold__c FROM sloe__Sloe_Attendee__c";
        org.records(soql).await
    };
    let row = &rows().await[0];
    assert_eq!(
        (&row["sloe__Last_Name__c"], &row["sloe__Registration_Status__c"]),
        (&"Last1".into(), &"Registered".into())
    );
    until("the figures are told", async || {
        rows().await[0]["sloe__Event__r"]["sloe__Sold__c"] == 1.0
    })
    .await;
    engine.cancel(&order.token, None).await.unwrap();
    org.drained(&engine).await;
    assert_eq!(rows().await[0]["sloe__Registration_Status__c"], "Cancelled");
    engine.stop().await;
}
