//! An org with the License Management App: rows that integrations read, the
//! app writes, and a person modifies.

use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use sloe_sim::org::{Options, Seed};

use crate::client::{Org, options};

const FIELDS: &str = "SELECT Id, Name, sfLma__License_Status__c, sfLma__Expiration__c, \
                      sfLma__Subscriber_Org_ID__c, SystemModstamp, IsDeleted FROM sfLma__License__c";

fn source_text() -> String {
    Seed::source_text()
        .replace("3MVG9source.demo.sloe.client", "client")
        .replace("source-demo-secret-change-me", "secret")
}

async fn source() -> Org {
    Org::with(Options { seed: Seed::parse(&source_text()).unwrap(), ..options() }).await
}

async fn license(org: &Org, number: &str) -> Json {
    let soql = format!(
        "SELECT Id, sfLma__License_Status__c, sfLma__Status__c, sfLma__Licensed_Seats__c, \
         sfLma__Seats__c, sfLma__Expiration__c, sfLma__Expiration_Date__c, sfLma__Is_Sandbox__c \
         FROM sfLma__License__c WHERE Name = '{number}'"
    );
    org.records(&soql).await.into_iter().next().unwrap()
}

async fn control(org: &Org, method: Method, path: &str, body: Json) -> (StatusCode, Json) {
    let url = format!("{}/__control/licenses{path}", org.running.url());
    let sent = org.http.request(method, url).json(&body).send().await.unwrap();
    (sent.status(), sent.json().await.unwrap())
}

async fn page(org: &Org, path: &str) -> String {
    let sent = org.http.get(format!("{}{path}", org.running.url())).send().await.unwrap();
    assert_eq!(sent.status(), 200, "{path}");
    sent.text().await.unwrap()
}

/// Sends the Modify License form: status, seats, expiration.
async fn modify(
    org: &Org,
    id: &str,
    [status, seats, expiration]: [&str; 3],
) -> (StatusCode, String) {
    let form = [
        ("sfLma__License_Status__c", status),
        ("sfLma__Licensed_Seats__c", seats),
        ("sfLma__Expiration__c", expiration),
        ("sfLma__Subscriber_Org_ID__c", "00D000000000000"),
    ];
    let url = format!("{}/r/{id}", org.running.url());
    let sent = org.http.post(url).form(&form).send().await.unwrap();
    (sent.status(), sent.text().await.unwrap())
}

#[tokio::test]
async fn rows_are_read_by_package_and_in_the_order_of_their_changes() {
    let org = source().await;
    let of_sloe = format!(
        "{FIELDS} WHERE sfLma__Package__r.sfLma__Package_ID__c IN ('{0}', '{0}EAE') \
         AND (SystemModstamp > 2020-01-01T00:00:00Z OR (SystemModstamp = 2020-01-01T00:00:00Z AND \
         Id > 'a1L000000000000')) ORDER BY SystemModstamp, Id LIMIT 2000",
        Seed::SOURCE_PACKAGE
    );
    let rows = org.records(&of_sloe).await;
    let names: Vec<_> = rows.iter().map(|row| row["Name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["L-00001", "L-00002", "L-00003", "L-00004", "L-00005", "L-00006", "L-00007"]
    );
    for row in &rows {
        assert!(row["Id"].as_str().unwrap().starts_with("a1L"));
        assert_eq!(row["sfLma__Subscriber_Org_ID__c"].as_str().unwrap().len(), 15, "{row}");
    }
    let other = format!("{FIELDS} WHERE sfLma__Package__r.Name = 'Badge Printer'");
    assert_eq!(org.records(&other).await.len(), 2);
}

#[tokio::test]
async fn an_integration_can_not_write_what_the_app_owns() {
    let org = source().await;
    let id = license(&org, "L-00001").await["Id"].as_str().unwrap().to_owned();
    let one = format!("/services/data/v62.0/sobjects/sfLma__License__c/{id}");
    let change = json!({ "sfLma__License_Status__c": "Suspended" });
    let create = json!({ "sfLma__Subscriber_Org_ID__c": "00D000000000001" });
    let all = "/services/data/v62.0/sobjects/sfLma__License__c";
    for (method, path, body) in [
        (Method::PATCH, one.as_str(), &change),
        (Method::DELETE, one.as_str(), &Json::Null),
        (Method::POST, all, &create),
    ] {
        let url = format!("{}{path}", org.running.url());
        let sent = org.http.request(method.clone(), url).bearer_auth(&org.token).json(body);
        let sent = sent.send().await.unwrap();
        assert_eq!(sent.status(), 400, "{method}");
        let told: Json = sent.json().await.unwrap();
        assert_eq!(told[0]["errorCode"], "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "{told}");
    }
    assert_eq!(license(&org, "L-00001").await["sfLma__License_Status__c"], "Active");
}

#[tokio::test]
async fn a_person_modifies_status_seats_and_expiration_and_nothing_else() {
    let org = source().await;
    let html = page(&org, "/").await;
    assert!(html.contains(">License Number<") && html.contains(">L-00003</a>"), "{html}");
    assert!(!html.contains("id=\"new\""), "only an install makes a license");
    let id = license(&org, "L-00003").await["Id"].as_str().unwrap().to_owned();
    let html = page(&org, &format!("/r/{id}")).await;
    assert!(html.contains("<h2>Modify License</h2>") && html.contains("id=\"save\""));
    assert_eq!(html.matches(" name=\"sfLma__").count(), 3, "{html}");
    assert!(html.contains("00D9z000000Sand") && !html.contains("id=\"delete\""));

    let (status, html) = modify(&org, &id, ["Suspended", "12", "2031-05-01"]).await;
    assert!(status.is_success() && html.contains("Saved."));
    let row = license(&org, "L-00003").await;
    for (field, value) in [
        ("sfLma__License_Status__c", json!("Suspended")),
        ("sfLma__Status__c", json!("Suspended")),
        ("sfLma__Licensed_Seats__c", json!("12")),
        ("sfLma__Expiration__c", json!("2031-05-01")),
        ("sfLma__Expiration_Date__c", json!("2031-05-01")),
        ("sfLma__Is_Sandbox__c", json!(true)),
    ] {
        assert_eq!(row[field], value, "{row}");
    }
    assert_eq!(row["sfLma__Seats__c"].as_f64(), Some(12.0));
    let (status, _) = modify(&org, &id, ["Active", "site license", ""]).await;
    assert!(status.is_success());
    let row = license(&org, "L-00003").await;
    assert_eq!(row["sfLma__Expiration__c"], Json::Null);
    assert_eq!(row["sfLma__Expiration_Date__c"], "Does not expire");
    assert_eq!(row["sfLma__Seats__c"].as_f64(), Some(-1.0));

    let (status, html) = modify(&org, &id, ["Trial", "many", "soon"]).await;
    assert_eq!(status, 422);
    for told in ["is no trial can&#39;t become one", "A number from 1", "A day such as 2027"] {
        assert!(
            html.contains(told) || html.contains(&told.replace("&#39;", "'")),
            "{told}: {html}"
        );
    }
    assert_eq!(license(&org, "L-00003").await["sfLma__License_Status__c"], "Active");
}

#[tokio::test]
async fn the_control_api_installs_changes_and_deletes_as_the_app_does() {
    let org = source().await;
    let new = json!({ "org": "00D7x0000000001EAA", "status": "Trial", "expiration": "2030-01-31", "seats": 5 });
    let (status, made) = control(&org, Method::POST, "", new).await;
    assert_eq!((status, made["number"].as_str()), (StatusCode::OK, Some("L-00010")), "{made}");
    assert_eq!(made["org"], "00D7x0000000001");
    let (_, changed) =
        control(&org, Method::PATCH, "/L-00010", json!({ "expiration": null })).await;
    assert_eq!((&changed["expiration"], &changed["status"]), (&Json::Null, &json!("Trial")));
    let (_, changed) =
        control(&org, Method::PATCH, "/L-00010", json!({ "status": "Active" })).await;
    assert_eq!((&changed["status"], &changed["seats"]), (&json!("Active"), &json!("5")));
    for (body, told) in [
        (json!({ "status": "Trial" }), "become one"),
        (json!({ "status": "Gone" }), "one of Active"),
        (json!({ "owner": "me" }), "unknown field"),
    ] {
        let (status, refused) = control(&org, Method::PATCH, "/L-00010", body).await;
        assert_eq!(status, 422, "{refused}");
        assert!(refused["error"].as_str().unwrap().contains(told), "{refused}");
    }
    let before = control(&org, Method::GET, "", Json::Null).await.1;
    control(&org, Method::DELETE, "/L-00010", Json::Null).await;
    let after = control(&org, Method::GET, "", Json::Null).await.1;
    let count = |list: &Json| list["licenses"].as_array().unwrap().len();
    assert_eq!((count(&before), count(&after)), (10, 9));
    let (status, _) = control(&org, Method::PATCH, "/L-00010", json!({})).await;
    assert_eq!(status, 404);
    let deleted = format!("{FIELDS} WHERE IsDeleted = true");
    let url = format!("{}/services/data/v62.0/queryAll", org.running.url());
    let sent = org.http.get(url).query(&[("q", &deleted)]).bearer_auth(&org.token);
    let found: Json = sent.send().await.unwrap().json().await.unwrap();
    assert_eq!(found["records"][0]["Name"], "L-00010", "{found}");
}

static NOW: AtomicI64 = AtomicI64::new(1_795_000_000);

fn set_clock() -> jiff::Timestamp {
    jiff::Timestamp::from_second(NOW.load(Ordering::Relaxed)).unwrap()
}

#[tokio::test]
async fn a_refused_change_leaves_its_time_to_no_other() {
    let rule = "\n[[rule]]\nobject = \"sfLma__License__c\"\nname = \"No_13\"\n\
                formula = \"sfLma__Seats__c = 13\"\nmessage = \"Not thirteen.\"\n";
    let text = source_text() + rule;
    let options = Options { seed: Seed::parse(&text).unwrap(), now: set_clock, ..options() };
    let org = Org::with(options).await;
    let (status, refused) = control(&org, Method::PATCH, "/L-00001", json!({ "seats": 13 })).await;
    assert_eq!(status, 422, "{refused}");
    NOW.fetch_add(3600, Ordering::Relaxed);
    let (status, _) = control(&org, Method::PATCH, "/L-00001", json!({ "seats": 14 })).await;
    assert_eq!(status, 200);
    let row = org.records(&format!("{FIELDS} WHERE Name = 'L-00001'")).await.remove(0);
    let stamp = set_clock().strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string();
    assert_eq!(row["SystemModstamp"], stamp);
}

#[tokio::test]
async fn an_org_without_the_app_has_none_of_it() {
    let org = Org::start().await;
    let (status, _) = control(&org, Method::GET, "", Json::Null).await;
    assert_eq!(status, 404);
    let url = format!("{}/services/data/v62.0/query", org.running.url());
    let sent = org.http.get(url).query(&[("q", FIELDS)]).bearer_auth(&org.token);
    let told: Json = sent.send().await.unwrap().json().await.unwrap();
    assert_eq!(told[0]["errorCode"], "INVALID_TYPE", "{told}");
}
