//! What changed lately: recent records, and what a copy has to fetch or to drop.

use serde_json::{Value as Json, json};

use crate::client::{EVENT, Org};

fn ids(items: &Json) -> Vec<&str> {
    items.as_array().unwrap().iter().map(|item| item["Id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn recent_records_are_those_the_user_wrote_last_and_a_restart_knows_them() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    let mut made = Vec::new();
    for key in ["a", "b", "c"] {
        made.push(org.attendee(key).await);
    }
    let gone = made.remove(1);
    org.delete(&format!("/sobjects/Sloe_Attendee__c/{gone}")).await;
    let (status, all) = org.get("/recent").await;
    assert_eq!(status, 200, "{all}");
    let url = format!("/services/data/v62.0/sobjects/Sloe_Event__c/{EVENT}AAA");
    let event = json!({
        "attributes": { "type": "Sloe_Event__c", "url": url },
        "Id": format!("{EVENT}AAA"), "Name": "First Event",
    });
    assert!(all.as_array().unwrap().contains(&event), "{all}");
    let known = ids(&all);
    assert!(made.iter().all(|id| known.contains(&id.as_str())), "{all}");
    assert!(!known.contains(&gone.as_str()), "what is deleted isn't recent: {all}");
    assert!(known.iter().all(|id| !id.starts_with("005") && !id.starts_with("00D")), "{all}");
    let (_, one) = org.get("/recent?limit=1").await;
    assert_eq!(ids(&one), known[..1]);
    assert_eq!(org.get("/recent?limit=none").await.0, 400);
    let (_, object) = org.get("/sobjects/Sloe_Attendee__c").await;
    assert_eq!(ids(&object["recentItems"]), [made[1].as_str(), made[0].as_str()]);
    org.running.shutdown().await;
    let org = Org::kept_in(directory.path().to_owned()).await;
    assert_eq!(org.get("/recent").await.1, all);
}

/// `start` and `end`, so many minutes from now.
fn span(start: i64, end: i64) -> String {
    let moment = |minutes: i64| {
        let at = jiff::Timestamp::now().as_second() + minutes * 60;
        jiff::Timestamp::from_second(at).unwrap().to_string()
    };
    format!("?start={}&end={}", moment(start), moment(end))
}

#[tokio::test]
async fn a_copy_learns_what_changed_and_what_is_gone_within_a_span_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    let (kept, gone) = (org.attendee("a").await, org.attendee("b").await);
    org.delete(&format!("/sobjects/Sloe_Attendee__c/{gone}")).await;
    org.running.shutdown().await;
    let org = Org::kept_in(directory.path().to_owned()).await;
    let path = "/sobjects/Sloe_Attendee__c";
    let (status, body) = org.get(&format!("{path}/updated/{}", span(-5, 5))).await;
    assert_eq!((status.as_u16(), &body["ids"]), (200, &json!([kept])), "{body}");
    let covered = body["latestDateCovered"].as_str().unwrap();
    assert!(covered.ends_with(":00.000+0000"), "whole minutes: {covered}");
    let (_, body) = org.get(&format!("{path}/deleted/{}", span(-5, 5))).await;
    let records = body["deletedRecords"].as_array().unwrap();
    assert_eq!((records.len(), &records[0]["id"]), (1, &json!(gone)), "{body}");
    for (record, field) in [(&records[0], "deletedDate"), (&body, "earliestDateAvailable")] {
        assert!(record[field].as_str().unwrap().ends_with(".000+0000"), "{body}");
    }
    let (_, next) = org
        .get(&format!(
            "{path}/updated?start={}&end={}",
            covered.replace('+', "%2B"),
            "2100-01-01T00:00:00Z"
        ))
        .await;
    assert!(next["ids"].is_array(), "where one span is covered to, the next may begin: {next}");
    let (_, before) = org.get(&format!("{path}/updated{}", span(-60, -30))).await;
    assert_eq!(before["ids"], json!([]));
    let (_, before) = org.get(&format!("{path}/deleted{}", span(-60, -30))).await;
    assert_eq!(before["deletedRecords"], json!([]));
}

#[tokio::test]
async fn a_span_that_is_no_span_or_too_old_is_refused() {
    let org = Org::start().await;
    let month = 30 * 24 * 60;
    for (query, code, words) in [
        (
            span(-month - 5, 0),
            "INVALID_REPLICATION_DATE",
            "startDate before org replication enabled date",
        ),
        (span(5, -5), "INVALID_REPLICATION_DATE", "after startDate"),
        (span(-5, -5), "INVALID_REPLICATION_DATE", "after startDate"),
        ("?start=yesterday&end=today".to_owned(), "INVALID_REPLICATION_DATE", "isn't a date"),
        ("?start=2026-01-01T00:00:00Z".to_owned(), "MISSING_ARGUMENT", "end"),
    ] {
        for what in ["updated", "deleted"] {
            let (status, body) =
                org.get(&format!("/sobjects/Sloe_Attendee__c/{what}{query}")).await;
            let code = (400, Some(code));
            assert_eq!((status.as_u16(), body[0]["errorCode"].as_str()), code, "{query}: {body}");
            assert!(body[0]["message"].as_str().unwrap().contains(words), "{query}: {body}");
        }
    }
    assert_eq!(org.get(&format!("/sobjects/Nope__c/updated{}", span(-5, 5))).await.0, 404);
    assert_eq!(org.post("/sobjects/Sloe_Event__c/updated", json!({})).await.0, 405);
}
