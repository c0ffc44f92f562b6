//! Row locks: who works on the same parent at the same time waits, and fails if it takes too long.

use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::bulk::{finish, open, results, upload, wait};
use crate::client::{EVENT, Org};

/// Rows take longer than any test, until the faults are cleared.
const FOR_EVER: u64 = 600_000;

fn insert(object: &str) -> Json {
    json!({ "object": object, "operation": "insert" })
}

async fn held(org: &Org) -> Vec<String> {
    let (_, body) = org.get("/__control/locks").await;
    body["held"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// Polls until this many transactions wait for locks.
async fn wait_for_waiters(org: &Org, count: u64) {
    while org.get("/__control/locks").await.1["waiting"].as_u64().unwrap() < count {}
}

/// Polls until this many locks are held.
async fn wait_for_locks(org: &Org, count: usize) -> Vec<String> {
    loop {
        let held = held(org).await;
        if held.len() >= count {
            return held;
        }
    }
}

async fn close(org: &Org, job: &str) {
    let closed = json!({ "state": "UploadComplete" });
    assert_eq!(org.patch(&format!("/jobs/ingest/{job}"), closed).await.0, 200);
}

/// A job whose items hold the event's lock until the faults are cleared.
async fn hold_the_event(org: &Org) -> String {
    let slow =
        json!({ "chunk_ms": FOR_EVER, "objects": ["Sloe_Item__c"], "kinds": ["bulk_ingest"] });
    assert_eq!(org.send(Method::PUT, "/__control/faults", slow).await.0, 200);
    let job = open(org, insert("Sloe_Item__c")).await;
    upload(org, &job, format!("Name,Event__c\nSlow,{EVENT}\n")).await;
    close(org, &job).await;
    assert_eq!(wait_for_locks(org, 1).await, [format!("{EVENT}AAA")]);
    job
}

async fn wait_at_most(org: &Org, ms: u64) {
    let (status, body) = org.send(Method::PUT, "/__control/locks", json!({ "wait_ms": ms })).await;
    assert_eq!((status.as_u16(), &body["wait_ms"]), (200, &json!(ms)));
}

const LOCKED: &str =
    "unable to obtain exclusive access to this record or 1 records: a005g0000000001";

#[tokio::test]
async fn whoever_needs_a_locked_parent_fails_with_the_true_words_in_every_api() {
    let org = Org::start().await;
    wait_at_most(&org, 0).await;
    let slow = hold_the_event(&org).await;
    let session = json!({
        "Name": "Late", "Event__c": EVENT, "Starts_At__c": "2030-01-01T10:00:00Z", "Ends_At__c": "2030-01-01T11:00:00Z"
    });
    let (status, body) = org.post("/sobjects/Sloe_Session__c", session.clone()).await;
    assert_eq!(status, 400);
    assert_eq!(
        body,
        json!([{ "message": LOCKED, "errorCode": "UNABLE_TO_LOCK_ROW", "fields": [] }])
    );
    let mut record = session.clone();
    record["attributes"] = json!({ "type": "Sloe_Session__c" });
    let lead = json!({ "attributes": { "type": "Lead" }, "LastName": "Doe", "Company": "Doe" });
    let (_, body) = org.post("/composite/sobjects", json!({ "records": [record, lead] })).await;
    assert_eq!(body[0]["errors"][0]["statusCode"], "UNABLE_TO_LOCK_ROW");
    assert_eq!(body[1]["success"], true, "others are not in the way: {body}");
    let (status, body) =
        org.patch(&format!("/sobjects/Sloe_Event__c/{EVENT}"), json!({ "Name": "Renamed" })).await;
    assert_eq!((status.as_u16(), body[0]["errorCode"].as_str()), (400, Some("UNABLE_TO_LOCK_ROW")));
    let second = open(&org, insert("Sloe_Session__c")).await;
    let row = format!("Late,{EVENT},2030-01-01T10:00:00Z,2030-01-01T11:00:00Z");
    upload(&org, &second, format!("Name,Event__c,Starts_At__c,Ends_At__c\n{row}\n")).await;
    assert_eq!(finish(&org, &second).await["numberRecordsFailed"], 1);
    let failed = results(&org, &second, "failedResults").await;
    assert_eq!(&failed[1][1], format!("UNABLE_TO_LOCK_ROW:{LOCKED}:--"));

    org.delete("/__control/faults").await;
    assert_eq!(wait(&org, &slow).await["numberRecordsFailed"], 0);
    assert!(held(&org).await.is_empty());
    assert_eq!(org.post("/sobjects/Sloe_Session__c", session).await.0, 201);
}

#[tokio::test]
async fn a_look_up_that_clears_locks_nothing() {
    let org = Org::start().await;
    wait_at_most(&org, 0).await;
    let slow = hold_the_event(&org).await;
    org.attendee("one").await;
    let job = open(&org, insert("Sloe_Attendee__c")).await;
    upload(&org, &job, format!("Sloe_Id__c,Last_Name__c,Event__c\ntwo,Doe,{EVENT}\n")).await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 0);
    assert_eq!(held(&org).await, [format!("{EVENT}AAA")], "the items hold it still");
    org.delete("/__control/faults").await;
    wait(&org, &slow).await;
}

#[tokio::test]
async fn a_waiter_gets_its_turn_when_the_lock_is_released() {
    let org = Org::start().await;
    wait_at_most(&org, FOR_EVER).await;
    let slow = hold_the_event(&org).await;
    let change = org.request(Method::PATCH, &format!("/sobjects/Sloe_Event__c/{EVENT}"));
    let change = change.json(&json!({ "Name": "Renamed" }));
    let change = tokio::spawn(async move { change.send().await.unwrap().status() });
    let job = open(&org, insert("Sloe_Item__c")).await;
    upload(&org, &job, format!("Name,Event__c\nSecond,{EVENT}\n")).await;
    close(&org, &job).await;
    wait_for_waiters(&org, 2).await;
    let (_, event) = org.get(&format!("/sobjects/Sloe_Event__c/{EVENT}")).await;
    assert_eq!(event["Name"], "First Event", "readers never wait");
    assert!(!change.is_finished());
    org.delete("/__control/faults").await;
    assert_eq!(change.await.unwrap(), 204);
    for (job, retries) in [(slow, 0), (job, 1)] {
        let body = wait(&org, &job).await;
        assert_eq!(
            (&body["state"], &body["numberRecordsFailed"], &body["retries"]),
            (&json!("JobComplete"), &json!(0), &json!(retries))
        );
    }
    let items = org.records("SELECT Name FROM Sloe_Item__c WHERE Name IN ('Slow','Second')").await;
    assert_eq!(items.len(), 2, "each is written once");
}

#[tokio::test]
async fn details_lock_their_master_and_batches_of_one_job_run_beside_each_other() {
    const BATCH: usize = 10_000;
    let org = Org::start().await;
    wait_at_most(&org, 0).await;
    let masters = [org.attendee("one").await, org.attendee("two").await];
    let (_, sessions) = org.query("SELECT Id FROM Sloe_Session__c").await;
    let session = sessions["records"][0]["Id"].as_str().unwrap().to_owned();
    let slow = json!({ "record_ms": FOR_EVER, "objects": ["Sloe_Session_Attendee__c"] });
    org.send(Method::PUT, "/__control/faults", slow).await;
    let job = open(&org, insert("Sloe_Session_Attendee__c")).await;
    let row = |master: &str| format!("{master},{session}\n");
    // The first row of each batch is good, the others cost nothing: their master is nobody.
    let nobody = row("a035g000000ZZZZ").repeat(BATCH - 1);
    let rows = [row(&masters[0]), nobody, row(&masters[1])].concat();
    assert_eq!(upload(&org, &job, format!("Attendee__c,Session__c\n{rows}")).await, 201);
    close(&org, &job).await;
    let mut both = masters.to_vec();
    both.sort();
    assert_eq!(wait_for_locks(&org, 2).await, both, "the second batch doesn't wait for the first");
    let (status, body) = org
        .patch(
            &format!("/sobjects/Sloe_Attendee__c/{}", masters[0]),
            json!({ "Last_Name__c": "Roe" }),
        )
        .await;
    assert_eq!((status.as_u16(), body[0]["errorCode"].as_str()), (400, Some("UNABLE_TO_LOCK_ROW")));
    org.patch(&format!("/jobs/ingest/{job}"), json!({ "state": "Aborted" })).await;
    org.delete("/__control/faults").await;
    while !held(&org).await.is_empty() {}
    assert!(
        org.records("SELECT Id FROM Sloe_Session_Attendee__c").await.is_empty(),
        "aborted before it was done"
    );
}

#[tokio::test]
async fn a_stop_in_the_middle_of_slow_rows_keeps_the_job_for_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    let job = hold_the_event(&org).await;
    org.running.shutdown().await;
    let org = Org::kept_in(directory.path().to_owned()).await;
    let body = wait(&org, &job).await;
    assert_eq!(
        (&body["state"], &body["numberRecordsProcessed"]),
        (&json!("JobComplete"), &json!(1))
    );
    let items = org.records("SELECT Name FROM Sloe_Item__c WHERE Name = 'Slow'").await;
    assert_eq!(items.len(), 1);
}

#[tokio::test]
async fn a_person_who_saves_on_the_page_waits_for_the_lock_too() {
    let org = Org::start().await;
    wait_at_most(&org, FOR_EVER).await;
    let slow = hold_the_event(&org).await;
    let browser =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let form = [("Name", "By hand"), ("Time_Zone__c", "Europe/Berlin"), ("Capacity__c", "100")];
    let save = browser.post(format!("{}/r/{EVENT}", org.running.url())).form(&form);
    let save = tokio::spawn(async move { save.send().await.unwrap() });
    wait_for_waiters(&org, 1).await;
    org.delete("/__control/faults").await;
    let saved = save.await.unwrap();
    assert_eq!(saved.status(), 303, "{}", saved.text().await.unwrap());
    wait(&org, &slow).await;
    let (_, event) = org.get(&format!("/sobjects/Sloe_Event__c/{EVENT}")).await;
    assert_eq!(event["Name"], "By hand");
}

/// How many items there are; told in a maintenance window too.
async fn items(org: &Org) -> u64 {
    org.get("/__control/stats").await.1["records"]["Sloe_Item__c"].as_u64().unwrap()
}

#[tokio::test]
async fn a_job_halts_in_a_maintenance_window_and_goes_on_after_it() {
    let org = Org::start().await;
    let job = hold_the_event(&org).await;
    assert_eq!(org.send(Method::PUT, "/__control/maintenance", json!({})).await.0, 200);
    org.delete("/__control/faults").await;
    while !held(&org).await.is_empty() {}
    assert_eq!(items(&org).await, 1, "what the chunk had begun is undone");
    org.delete("/__control/maintenance").await;
    let body = wait(&org, &job).await;
    assert_eq!((&body["state"], &body["numberRecordsFailed"]), (&json!("JobComplete"), &json!(0)));
    assert_eq!(body["retries"], 1);
    assert_eq!(items(&org).await, 2);
}

#[tokio::test]
async fn an_org_that_ends_in_a_maintenance_window_goes_on_with_its_jobs_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    let job = hold_the_event(&org).await;
    org.send(Method::PUT, "/__control/maintenance", json!({})).await;
    org.delete("/__control/faults").await;
    while !held(&org).await.is_empty() {}
    org.running.shutdown().await;
    let org = Org::kept_in(directory.path().to_owned()).await;
    assert_eq!(wait(&org, &job).await["state"], "JobComplete");
    assert_eq!(items(&org).await, 2);
}
