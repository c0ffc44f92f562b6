//! Bulk API 2.0: jobs that write, jobs that query.

use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};

use crate::client::{EVENT, Org, unpack};

pub(crate) async fn open(org: &Org, request: Json) -> String {
    let (status, body) = org.post("/jobs/ingest", request).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["state"], "Open");
    let id = body["id"].as_str().unwrap().to_owned();
    assert_eq!(body["contentUrl"], format!("services/data/v62.0/jobs/ingest/{id}/batches"));
    id
}

pub(crate) async fn upload(org: &Org, job: &str, data: String) -> StatusCode {
    let request = org
        .request(Method::PUT, &format!("/jobs/ingest/{job}/batches"))
        .header("content-type", "text/csv");
    request.body(data).send().await.unwrap().status()
}

/// Closes the job and waits until it has ended.
pub(crate) async fn finish(org: &Org, job: &str) -> Json {
    let (status, body) =
        org.patch(&format!("/jobs/ingest/{job}"), json!({ "state": "UploadComplete" })).await;
    assert_eq!((status.as_u16(), &body["state"]), (200, &json!("UploadComplete")));
    wait(org, job).await
}

/// Polls, as every client does, until the job has ended.
pub(crate) async fn wait(org: &Org, job: &str) -> Json {
    loop {
        let (_, body) = org.get(&format!("/jobs/ingest/{job}")).await;
        if !["UploadComplete", "InProgress"].contains(&body["state"].as_str().unwrap()) {
            return body;
        }
    }
}

pub(crate) async fn results(org: &Org, job: &str, which: &str) -> Vec<csv::StringRecord> {
    let response =
        org.request(Method::GET, &format!("/jobs/ingest/{job}/{which}")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/csv");
    let text = response.text().await.unwrap();
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
        .records()
        .map(Result::unwrap)
        .collect()
}

fn upsert() -> Json {
    json!({ "object": "Sloe_Attendee__c", "operation": "upsert", "externalIdFieldName": "Sloe_Id__c", "lineEnding": "LF" })
}

#[tokio::test]
async fn rows_are_written_once_each_and_the_bad_ones_told_apart() {
    let org = Org::start().await;
    let job = open(&org, upsert()).await;
    let mut data = "Sloe_Id__c,Last_Name__c,Email__c,Sloe_Version__c,Event__c\n".to_owned();
    for i in 0..1000 {
        let email = if i == 500 { "broken" } else { "a@example.org" };
        data.push_str(&format!("k{i:05},\"Name, {i}\",{email},1,{EVENT}\n"));
    }
    assert_eq!(upload(&org, &job, data.clone()).await, 201);
    assert_eq!(upload(&org, &job, data.clone()).await, 400, "data goes up once");
    let body = finish(&org, &job).await;
    assert_eq!(body["state"], "JobComplete");
    assert_eq!(
        (&body["numberRecordsProcessed"], &body["numberRecordsFailed"]),
        (&json!(1000), &json!(1))
    );
    let good = results(&org, &job, "successfulResults").await;
    assert_eq!(good.len(), 1000);
    assert_eq!(good[0].iter().take(3).collect::<Vec<_>>(), ["sf__Id", "sf__Created", "Sloe_Id__c"]);
    assert_eq!((&good[1][1], good[1][0].len()), ("true", 18));
    let bad = results(&org, &job, "failedResults").await;
    assert_eq!(bad.len(), 2);
    assert_eq!((&bad[0][1], &bad[1][2]), ("sf__Error", "k00500"));
    assert_eq!(
        &bad[1][1],
        "INVALID_EMAIL_ADDRESS:Email: invalid email address: broken:Email__c --"
    );
    assert_eq!(results(&org, &job, "unprocessedRecords").await.len(), 1, "the header only");

    let again = open(&org, upsert()).await;
    upload(&org, &again, data).await;
    finish(&org, &again).await;
    let second = results(&org, &again, "successfulResults").await;
    assert!(second.iter().skip(1).all(|row| &row[1] == "false"));
    assert_eq!(org.records("SELECT COUNT(Id) n FROM Sloe_Attendee__c").await[0]["n"], 999);
    assert_eq!(org.delete(&format!("/jobs/ingest/{again}")).await.0, 204);
    assert_eq!(org.get(&format!("/jobs/ingest/{again}")).await.0, 404);
}

#[tokio::test]
async fn parents_by_external_id_empty_cells_and_na_mean_what_they_should() {
    let org = Org::start().await;
    org.attendee("one").await;
    let job = open(&org, upsert()).await;
    // jsforce puts an empty Id column first.
    upload(&org, &job, "Id,Sloe_Id__c,First_Name__c,Last_Name__c\n,one,,\n".to_owned()).await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 0);
    let row =
        org.records("SELECT First_Name__c, Last_Name__c, Event__c FROM Sloe_Attendee__c").await;
    assert_eq!(
        (&row[0]["Last_Name__c"], &row[0]["Event__c"]),
        (&json!("Doe"), &json!(format!("{EVENT}AAA")))
    );
    let job = open(&org, upsert()).await;
    upload(&org, &job, "Sloe_Id__c,Event__c\none,#N/A\n".to_owned()).await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 0);
    assert_eq!(
        org.records("SELECT Event__c FROM Sloe_Attendee__c").await[0]["Event__c"],
        Json::Null
    );
    let request = json!({ "object": "Sloe_Session_Attendee__c", "operation": "upsert", "externalIdFieldName": "Sloe_Id__c" });
    let job = open(&org, request).await;
    upload(&org, &job, "Sloe_Id__c,Attendee__r.Sloe_Id__c\none-1,one\ntwo-1,two\n".to_owned())
        .await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 1);
    let bad = results(&org, &job, "failedResults").await;
    assert!(
        bad[1][1].starts_with(
            "INVALID_FIELD:Foreign key external ID: two not found for field Sloe_Id__c"
        ),
        "{bad:?}"
    );
}

#[tokio::test]
async fn insert_update_and_delete_are_jobs_too() {
    let org = Org::start().await;
    let job = open(&org, json!({ "object": "Contact", "operation": "insert", "columnDelimiter": "TAB", "lineEnding": "CRLF" })).await;
    upload(
        &org,
        &job,
        "LastName\tEmail\r\nDoe\td@example.org\r\nRoe\tr@example.org\r\n".to_owned(),
    )
    .await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 0);
    let ids: Vec<String> = org
        .records("SELECT Id FROM Contact ORDER BY LastName")
        .await
        .iter()
        .map(|r| r["Id"].as_str().unwrap().to_owned())
        .collect();
    let job = open(&org, json!({ "object": "Contact", "operation": "update" })).await;
    upload(&org, &job, format!("Id,FirstName\n{},Jane\n003000000000000AAA,Nobody\n", ids[0])).await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 1);
    assert_eq!(
        org.records("SELECT Name FROM Contact ORDER BY LastName").await[0]["Name"],
        "Jane Doe"
    );
    let job = open(&org, json!({ "object": "Contact", "operation": "delete" })).await;
    upload(&org, &job, format!("Id\n{}\n{}\n", ids[0], ids[1])).await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 0);
    assert!(org.records("SELECT Id FROM Contact").await.is_empty());
}

#[tokio::test]
async fn a_failed_row_says_which_record_it_was_about_from_version_53_on() {
    let org = Org::start().await;
    let id = org.attendee("one").await;
    let run = async |version: &str, request: Json, data: String| {
        let path = format!("/services/data/{version}/jobs/ingest");
        let (_, job) = org.post(&path, request).await;
        let job = job["id"].as_str().unwrap();
        upload(&org, job, data).await;
        finish(&org, job).await;
        let rows = results(&org, job, "failedResults").await;
        rows.iter().skip(1).map(|row| row[0].to_owned()).collect::<Vec<_>>()
    };
    let long = "x".repeat(81);
    let rows = format!("Sloe_Id__c,Last_Name__c\none,{long}\ntwo,{long}\n");
    assert_eq!(run("v62.0", upsert(), rows.clone()).await, [id.as_str(), ""]);
    assert_eq!(run("v52.0", upsert(), rows).await, ["", ""]);
    let update = json!({ "object": "Sloe_Attendee__c", "operation": "update" });
    let short = id.get(..15).unwrap();
    let rows = format!("Id,Last_Name__c\n{short},{long}\nnonsense,Doe\n");
    assert_eq!(run("v62.0", update, rows).await, [id.as_str(), ""]);
    let delete = json!({ "object": "Sloe_Attendee__c", "operation": "delete" });
    let gone = "a03000000000000AAA";
    assert_eq!(run("v62.0", delete, format!("Id\n{gone}\n")).await, [gone]);
}

#[tokio::test]
async fn a_job_as_a_whole_fails_by_an_unknown_column_or_the_wrong_line_ending() {
    let org = Org::start().await;
    for (data, words) in [
        ("Sloe_Id__c,Nope__c\none,1\n", "InvalidBatch : Field name not found : Nope__c"),
        ("Last_Name__c\nDoe\n", "InvalidBatch : Field name not found : Sloe_Id__c"),
        (
            "Sloe_Id__c,Last_Name__c\r\none,Doe\r\n",
            "ClientInputError : LineEnding is invalid on user data",
        ),
    ] {
        let job = open(&org, upsert()).await;
        upload(&org, &job, data.to_owned()).await;
        let body = finish(&org, &job).await;
        assert_eq!(body["state"], "Failed");
        assert!(body["errorMessage"].as_str().unwrap().starts_with(words), "{body}");
        assert_eq!(results(&org, &job, "unprocessedrecords").await.len(), 2);
    }
    assert!(org.records("SELECT Id FROM Sloe_Attendee__c").await.is_empty());
}

#[tokio::test]
async fn states_only_move_forward() {
    let org = Org::start().await;
    let job = open(&org, upsert()).await;
    assert_eq!(
        org.delete(&format!("/jobs/ingest/{job}")).await.0,
        400,
        "an open job can't be deleted"
    );
    let (_, body) = org.patch(&format!("/jobs/ingest/{job}"), json!({ "state": "Aborted" })).await;
    assert_eq!(body["state"], "Aborted");
    let (status, body) =
        org.patch(&format!("/jobs/ingest/{job}"), json!({ "state": "UploadComplete" })).await;
    assert_eq!((status.as_u16(), body[0]["errorCode"].as_str()), (400, Some("INVALIDJOBSTATE")));
    assert_eq!(upload(&org, &job, "Sloe_Id__c\none\n".to_owned()).await, 400);
    for (request, code) in [
        (json!({ "object": "Nope__c", "operation": "insert" }), "INVALIDENTITY"),
        (json!({ "object": "Sloe_Attendee__c", "operation": "upsert" }), "INVALIDJOB"),
        (
            json!({ "object": "Sloe_Attendee__c", "operation": "upsert", "externalIdFieldName": "Name" }),
            "INVALIDJOB",
        ),
        (json!({ "object": "Sloe_Attendee__c", "operation": "mangle" }), "INVALIDJOB"),
        (json!({ "object": "Sloe_Attendee__c", "operation": "hardDelete" }), "FEATURENOTENABLED"),
    ] {
        let (status, body) = org.post("/jobs/ingest", request).await;
        assert_eq!((status.as_u16(), body[0]["errorCode"].as_str()), (400, Some(code)), "{body}");
    }
}

#[tokio::test]
async fn a_query_job_gives_its_pages_by_locator_and_says_null_at_the_end() {
    let org = Org::start().await;
    for i in 0..5 {
        org.attendee(&format!("k{i}")).await;
    }
    let query = "SELECT Sloe_Id__c, Event__r.Name FROM Sloe_Attendee__c ORDER BY Sloe_Id__c";
    let (status, body) =
        org.post("/jobs/query", json!({ "operation": "query", "query": query })).await;
    assert_eq!((status.as_u16(), &body["state"]), (200, &json!("UploadComplete")), "{body}");
    let job = body["id"].as_str().unwrap().to_owned();
    assert_eq!(org.get(&format!("/jobs/query/{job}")).await.1["numberRecordsProcessed"], 5);
    let (mut locator, mut seen) = (String::new(), Vec::new());
    while locator != "null" {
        let path = format!("/jobs/query/{job}/results?maxRecords=2&locator={locator}");
        let response = org.request(Method::GET, &path).send().await.unwrap();
        locator = response.headers()["sforce-locator"].to_str().unwrap().to_owned();
        let count: usize =
            response.headers()["sforce-numberofrecords"].to_str().unwrap().parse().unwrap();
        let text = response.text().await.unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("\"Sloe_Id__c\",\"Event__r.Name\""));
        seen.extend(lines.map(str::to_owned));
        assert!(count <= 2);
    }
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[4], "\"k4\",\"First Event\"");
    let response = org
        .request(Method::GET, &format!("/jobs/query/{job}/results?locator=zzz"))
        .send()
        .await
        .unwrap();
    assert_eq!(unpack(response).await.1[0]["errorCode"], "INVALID_QUERY_LOCATOR");
    for query in [
        "SELECT COUNT() FROM Lead",
        "SELECT Name, (SELECT Id FROM Items__r) FROM Sloe_Event__c",
        "SELECT Id FROM Lead OFFSET 5",
    ] {
        assert_eq!(
            org.post("/jobs/query", json!({ "operation": "query", "query": query })).await.0,
            400,
            "{query}"
        );
    }
    assert_eq!(org.delete(&format!("/jobs/query/{job}")).await.0, 204);
}

#[tokio::test]
async fn locked_rows_fail_and_pass_when_sent_again() {
    let org = Org::start().await;
    org.send(Method::PUT, "/__control/faults", json!({ "row_error_rate": 0.5 })).await;
    let job = open(&org, upsert()).await;
    let rows: String = (0..10).map(|i| format!("k{i},Doe\n")).collect();
    upload(&org, &job, format!("Sloe_Id__c,Last_Name__c\n{rows}")).await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 5);
    assert!(results(&org, &job, "failedResults").await[1][1].starts_with("UNABLE_TO_LOCK_ROW:"));
    org.delete("/__control/faults").await;
    let job = open(&org, upsert()).await;
    upload(&org, &job, format!("Sloe_Id__c,Last_Name__c\n{rows}")).await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 0);
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 10);
}

#[tokio::test]
async fn data_that_ends_too_early_or_is_no_text_fails_the_job_and_stays_unprocessed() {
    let org = Org::start().await;
    let job = json!({ "object": "Lead", "operation": "insert" });
    for (data, told) in [
        (b"LastName,Company\nDoe,Mill\nRoe,\"Bak".as_slice(), "an opened quote"),
        (b"LastName,Company\n\"D\xff\",Mill\n".as_slice(), "line 2 isn't UTF-8"),
    ] {
        let id = open(&org, job.clone()).await;
        let put = org.request(Method::PUT, &format!("/jobs/ingest/{id}/batches"));
        put.header("content-type", "text/csv").body(data.to_vec()).send().await.unwrap();
        let body = finish(&org, &id).await;
        assert_eq!(
            (&body["state"], &body["numberRecordsProcessed"]),
            (&json!("Failed"), &json!(0))
        );
        let message = body["errorMessage"].as_str().unwrap();
        assert!(message.starts_with("InvalidBatch : ") && message.contains(told), "{message}");
        let left = org.request(Method::GET, &format!("/jobs/ingest/{id}/unprocessedrecords"));
        let left = left.send().await.unwrap().bytes().await.unwrap();
        let rows = data.iter().filter(|byte| **byte == b'\n').count();
        assert!(left.starts_with(b"LastName,Company\n"), "{left:?}");
        assert!(left.iter().filter(|byte| **byte == b'\n').count() >= rows, "{left:?}");
    }
    let id = open(&org, job).await;
    upload(&org, &id, "LastName,Company\n5\" pipe,\"a \"\"b\"\"\"\n".to_owned()).await;
    assert_eq!(finish(&org, &id).await["numberRecordsFailed"], 0, "a quote in a bare cell is one");
    let leads = org.records("SELECT LastName, Company FROM Lead").await;
    assert_eq!(
        (&leads[0]["LastName"], &leads[0]["Company"]),
        (&json!("5\" pipe"), &json!("a \"b\""))
    );
}
