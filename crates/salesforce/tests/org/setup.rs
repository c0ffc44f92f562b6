//! What `check` finds, and what the form learns from the org.

use serde_json::{Value as Json, json};
use sloe_core::inbound::Field;
use sloe_salesforce::map::{ReadNames, WriteNames};
use sloe_salesforce::{Column, Error, FieldRule, Mapping, Org, Severity};

use crate::fake::{Fake, Reply, Seen, quick};

fn field(name: &str) -> Json {
    json!({
        "name": name, "length": 80, "nillable": true, "defaultedOnCreate": false,
        "createable": true, "updateable": true,
        "externalId": name == "Sloe_Id__c", "unique": name == "Sloe_Id__c",
    })
}

fn object(fields: &[Json]) -> Json {
    let child =
        |name: &str, object: &str| json!({ "relationshipName": name, "childSObject": object });
    json!({
        "createable": true, "updateable": true, "fields": fields,
        "childRelationships": [
            child("Items__r", "Sloe_Item__c"),
            child("Sessions__r", "Sloe_Session__c"),
            { "relationshipName": null, "childSObject": "FeedItem" },
        ],
    })
}

fn readable(names: &ReadNames) -> Json {
    let figures = names.figures.all();
    let all = names.fields.values().chain(&names.event).chain(figures);
    object(&all.map(|name| field(name)).collect::<Vec<_>>())
}

fn writable(names: &WriteNames) -> Json {
    let all = names.columns.values().chain([&names.key]).chain(&names.version);
    object(&all.map(|name| field(name)).collect::<Vec<_>>())
}

/// An org that has all that the mapping names.
fn complete(object: &str) -> Option<Json> {
    let mapping = Mapping::default();
    match object {
        "Sloe_Event__c" => Some(readable(&mapping.event)),
        "Sloe_Item__c" => Some(readable(&mapping.item)),
        "Sloe_Session__c" => Some(readable(&mapping.session)),
        "Sloe_Attendee__c" => Some(writable(&mapping.attendee)),
        "Sloe_Session_Attendee__c" => Some(writable(&mapping.session_attendee)),
        _ => None,
    }
}

async fn org_with(describe: fn(&str) -> Option<Json>) -> Org {
    let fake = Fake::start(move |seen: &Seen| {
        if seen.path == "/services/data/v62.0/sobjects" {
            return Reply::json(&json!({ "sobjects": [{ "name": "sloe__Sloe_Item__c" }] }));
        }
        if seen.path.starts_with("/services/data/v62.0/tooling/query") {
            return Reply::json(&json!({ "done": true, "records": rules() }));
        }
        let name = seen.path.strip_prefix("/services/data/v62.0/sobjects/").unwrap();
        match describe(name.strip_suffix("/describe").unwrap()) {
            Some(found) => Reply::json(&found),
            None => Reply::error(404, "NOT_FOUND", "The requested resource does not exist"),
        }
    })
    .await;
    fake.org()
}

/// Changes one fact about a field that is described.
fn change(found: &mut Json, field: &str, key: &str, value: Json) {
    entry(found, field)[key] = value;
}

/// The rules of Sloe's package, and one of the org's own.
fn rules() -> Json {
    let rule = |name: &str, object: &str, field: Json| {
        json!({
            "ValidationName": name, "ErrorDisplayField": field,
            "EntityDefinition": { "QualifiedApiName": object },
        })
    };
    json!([
        rule("Newest_State_Wins", "Sloe_Attendee__c", json!("Sloe_Version__c")),
        rule("Newest_State_Wins", "Sloe_Session_Attendee__c", json!("Sloe_Version")),
        rule("Adults_Only", "Sloe_Attendee__c", Json::Null),
    ])
}

fn entry<'a>(describe: &'a mut Json, name: &str) -> &'a mut Json {
    let fields = describe["fields"].as_array_mut().unwrap();
    fields.iter_mut().find(|field| field["name"] == name).unwrap()
}

#[tokio::test]
async fn an_org_with_everything_lacks_nothing() {
    let found = org_with(complete).await.check().await.unwrap();
    // The org's own rule is worth a word, and keeps nothing from working.
    let [finding] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((finding.severity, finding.code), (Severity::Note, "validation-rule"));
    assert!(finding.what.contains("Adults_Only"), "{finding:?}");
}

#[tokio::test]
async fn every_lack_is_named_in_one_go_with_what_to_do() {
    let org = org_with(|name| {
        let mut found = complete(name)?;
        match name {
            "Sloe_Item__c" => return None,
            "Sloe_Event__c" => {
                found["fields"].as_array_mut().unwrap().retain(|f| f["name"] != "Slug__c");
                entry(&mut found, "Sold__c")["updateable"] = json!(false);
                found["childRelationships"] = json!([]);
            }
            "Sloe_Attendee__c" => {
                entry(&mut found, "Sloe_Id__c")["unique"] = json!(false);
                entry(&mut found, "Email__c")["createable"] = json!(false);
                let status = entry(&mut found, "Registration_Status__c");
                status["restrictedPicklist"] = json!(true);
                status["picklistValues"] = json!([
                    { "value": "Registered", "active": true },
                    { "value": "Cancelled", "active": false },
                ]);
                let mut extra = field("Badge__c");
                extra["nillable"] = json!(false);
                found["fields"].as_array_mut().unwrap().push(extra);
            }
            "Sloe_Session_Attendee__c" => found["createable"] = json!(false),
            _ => {}
        }
        Some(found)
    })
    .await;
    let missing = org.check().await.unwrap();
    let all: Vec<&str> = missing.iter().map(|m| m.what.as_str()).collect();
    let text = all.join("\n");
    for part in [
        "The object Sloe_Item__c isn't there",
        "Sloe_Event__c.Slug__c isn't there",
        "Sloe_Event__c.Sold__c isn't there, or Sloe may not write it",
        "no child relationship Items__r",
        "no child relationship Sessions__r",
        "Sloe_Attendee__c.Sloe_Id__c is not an external id that is unique",
        "Sloe_Attendee__c.Email__c isn't there, or Sloe may not write it",
        "Sloe_Attendee__c.Registration_Status__c lacks the value Cancelled",
        "Sloe_Attendee__c.Badge__c is required",
        "may not create and change Sloe_Session_Attendee__c records",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert_eq!(missing.len(), 11, "{text}");
    assert!(missing.iter().all(|m| !m.fix.is_empty()));
    let blockers = missing.iter().take_while(|m| m.severity == Severity::Blocker).count();
    assert_eq!(blockers, 10, "blockers come first: {missing:#?}");
    let item = missing.iter().find(|m| m.object == "Sloe_Item__c").unwrap();
    assert!(item.fix.contains("The org has sloe__Sloe_Item__c"), "{item:?}");
}

#[tokio::test]
async fn types_lengths_relations_and_rights_that_do_not_fit_are_named() {
    let org = org_with(|name| {
        let mut found = complete(name)?;
        match name {
            "Sloe_Event__c" => {
                change(&mut found, "Starts_At__c", "type", json!("string"));
                change(&mut found, "Remaining__c", "calculated", json!(true));
                change(&mut found, "Status__c", "type", json!("picklist"));
                let words = json!([
                    { "value": "Scheduled", "active": true }, { "value": "Held", "active": true },
                ]);
                change(&mut found, "Status__c", "picklistValues", words);
                found["childRelationships"][0]["relationshipName"] = json!("Tickets__r");
                found["childRelationships"][0]["field"] = json!("Event__c");
            }
            "Sloe_Attendee__c" => {
                change(&mut found, "Sloe_Id__c", "length", json!(40));
                change(&mut found, "Order_Reference__c", "type", json!("string"));
                change(&mut found, "Order_Reference__c", "length", json!(5));
                change(&mut found, "Event__c", "type", json!("reference"));
                change(&mut found, "Event__c", "referenceTo", json!(["Campaign"]));
                change(&mut found, "Item__c", "type", json!("reference"));
                change(&mut found, "Item__c", "referenceTo", json!(["Sloe_Item__c"]));
                change(&mut found, "Item__c", "relationshipOrder", json!(0));
                change(&mut found, "Registration_Status__c", "updateable", json!(false));
                let fields = found["fields"].as_array_mut().unwrap();
                fields.retain(|f| f["name"] != "Email__c");
                fields.push(field("E_mail__c"));
            }
            _ => {}
        }
        Some(found)
    })
    .await;
    let found = org.check().await.unwrap();
    let told = |finding: &sloe_salesforce::Finding| {
        format!("{}: {} {}", finding.code, finding.what, finding.fix)
    };
    let text = found.iter().map(told).collect::<Vec<_>>().join("\n");
    for part in [
        "wrong-type: The field Sloe_Event__c.Starts_At__c is of type string",
        "not-updateable: The field Sloe_Event__c.Remaining__c is worked out by the org",
        "word-unknown: Records whose Sloe_Event__c.Status__c is Held would be refused",
        "The org calls it Tickets__r",
        "too-short: Sloe_Attendee__c.Sloe_Id__c takes 40 characters; Sloe writes up to 64",
        "too-short: Sloe_Attendee__c.Order_Reference__c takes 5 characters",
        "wrong-type: The field Sloe_Attendee__c.Event__c is of type reference; it must be a lookup \
         to Sloe_Event__c",
        "master-detail: Sloe_Attendee__c.Item__c is master-detail",
        "no-rights: The field Sloe_Attendee__c.Registration_Status__c",
        "field-missing: The field Sloe_Attendee__c.Email__c isn't there, or Sloe may not write it. \
         The org has E_mail__c",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    // With the rule of the org's own.
    assert_eq!(found.len(), 11, "{text}");
}

#[tokio::test]
async fn a_lookup_that_is_hidden_with_what_it_leads_to_asks_for_rights_on_that() {
    let org = org_with(|name| {
        let mut found = complete(name)?;
        let fields = found["fields"].as_array_mut().unwrap();
        fields.retain(|field| field["name"] != "Contact__c" && field["name"] != "Lead__c");
        Some(found)
    })
    .await;
    let found = org.check().await.unwrap();
    let missing: Vec<_> = found.iter().filter(|f| f.code == "field-missing").collect();
    let [contact, lead] = missing.as_slice() else { panic!("{found:#?}") };
    assert!(contact.fix.contains("Read and View All on Contact"), "{contact:?}");
    assert!(lead.fix.contains("Read and View All on Lead"), "{lead:?}");
    for finding in [contact, lead] {
        assert!(finding.fix.contains("leave it out of the mapping"), "{finding:?}");
    }
}

#[tokio::test]
async fn names_must_be_written_as_the_org_answers_them_and_ways_must_lead_where_queries_go() {
    let org = org_with(|name| {
        let mut found = complete(name)?;
        match name {
            "Sloe_Event__c" => {
                change(&mut found, "Summary__c", "name", json!("SUMMARY__c"));
                found["childRelationships"][0]["relationshipName"] = json!("ITEMS__r");
            }
            "Sloe_Session__c" => change(&mut found, "Event__c", "name", json!("event__c")),
            "Sloe_Session_Attendee__c" => {
                change(&mut found, "Attendee__c", "relationshipName", json!("Person__r"));
                change(&mut found, "Session__c", "relationshipName", json!("Session__r"));
            }
            _ => {}
        }
        Some(found)
    })
    .await;
    let found = org.check().await.unwrap();
    let blockers = found.iter().filter(|finding| finding.severity == Severity::Blocker);
    let told: Vec<_> = blockers.map(|f| (f.code, f.what.as_str())).collect();
    assert_eq!(
        told,
        [
            ("spelling", "The org writes Sloe_Event__c.Summary__c as SUMMARY__c."),
            (
                "children-missing",
                "Sloe_Event__c has no child relationship Items__r to Sloe_Item__c."
            ),
            ("spelling", "The org writes Sloe_Session__c.Event__c as event__c."),
            (
                "relationship",
                "What leads on from Sloe_Session_Attendee__c.Attendee__c is Person__r, not \
                 Attendee__r."
            ),
        ]
    );
}

#[tokio::test]
async fn what_tells_records_made_in_salesforce_apart_must_be_what_a_query_can_ask_for() {
    let fake = org_with(|name| {
        let mut found = complete(name)?;
        if name == "Sloe_Attendee__c" {
            let mut notes = field("Notes__c");
            notes["filterable"] = json!(false);
            let mut paid = field("Paid__c");
            paid["type"] = json!("boolean");
            let mut kind = field("Kind__c");
            kind["restrictedPicklist"] = json!(true);
            found["fields"].as_array_mut().unwrap().extend([notes, paid, kind]);
        }
        Some(found)
    })
    .await;
    let mut mapping = Mapping::default();
    let only = &mut mapping.attendee.external.only;
    for (name, value) in
        [("Notes__c", "x"), ("Paid__c", "yes"), ("Kind__c", "Guest"), ("Gone__c", "x")]
    {
        only.insert(name.to_owned(), value.into());
    }
    let found = fake.with_mapping(mapping).unwrap().check().await.unwrap();
    let told: Vec<_> = found.iter().filter_map(|f| Some((f.code, f.field.as_deref()?))).collect();
    assert_eq!(
        told,
        [
            ("field-missing", "Gone__c"),
            ("not-filterable", "Notes__c"),
            ("wrong-type", "Paid__c"),
            ("picklist-value", "Kind__c"),
        ]
    );
}

#[tokio::test]
async fn without_a_version_field_and_without_rights_to_see_rules_the_org_works_but_says_so() {
    let fake = Fake::start(move |seen: &Seen| {
        if seen.path.contains("/tooling/") {
            return Reply::error(403, "INSUFFICIENT_ACCESS", "no");
        }
        let name = seen.path.strip_prefix("/services/data/v62.0/sobjects/").unwrap();
        Reply::json(&complete(name.strip_suffix("/describe").unwrap()).unwrap())
    })
    .await;
    let mut mapping = Mapping::default();
    mapping.attendee.version = None;
    mapping.attendee.constants.insert("Sloe_Version__c".into(), 1.into());
    let found = fake.org().with_mapping(mapping).unwrap().check().await.unwrap();
    let codes: Vec<&str> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["no-version", "rules-unknown"], "{found:#?}");
}

#[tokio::test]
async fn an_org_that_cannot_be_asked_is_an_error_not_a_lack() {
    let fake = Fake::start(|_| Reply::new(503, "text/html", "")).await;
    assert!(fake.org().check().await.is_err());
}

#[tokio::test]
async fn the_form_learns_lengths_and_required_fields() {
    let org = org_with(|name| {
        let mut found = complete(name)?;
        if name == "Sloe_Attendee__c" {
            *entry(&mut found, "Last_Name__c") =
                json!({ "name": "Last_Name__c", "length": 40, "nillable": false, "createable": true });
        }
        Some(found)
    })
    .await;
    let rules = org.describe_attendee_form().await.unwrap();
    assert_eq!(rules.last_name, FieldRule { max_chars: 40, required: true });
    assert_eq!(rules.email, FieldRule { max_chars: 80, required: false });
}

#[tokio::test]
async fn a_mapping_that_could_not_be_is_refused_at_once() {
    let fake = Fake::start(|_| Reply::json(&json!({}))).await;
    let mut mapping = Mapping::default();
    mapping.event.fields.insert(Field::Name, "Name FROM User --".into());
    mapping.attendee.columns.insert(Column::Email, String::new());
    let Err(error) = Org::new(fake.credentials(), mapping, quick()) else { panic!("accepted") };
    assert!(matches!(&error, Error::Settings(text) if text.contains("FROM User")), "{error}");
}
