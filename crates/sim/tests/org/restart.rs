//! What a restart finds again.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value as Json, json};
use sloe_sim::org::{Options, Seed, start};

use crate::bulk::{finish, open, results, upload, wait};
use crate::client::{EVENT, Org, SEED, options, unpack};

#[tokio::test]
async fn records_survive_a_clean_stop_and_ids_and_numbers_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    let first = org.attendee("one").await;
    org.delete(&format!("/sobjects/Sloe_Attendee__c/{first}")).await;
    let second = org.attendee("two").await;
    org.running.shutdown().await;

    let org = Org::kept_in(directory.path().to_owned()).await;
    let rows = org.records("SELECT Id, Name, Sloe_Id__c, Event__c FROM Sloe_Attendee__c").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0]["Id"].as_str(), rows[0]["Name"].as_str()),
        (Some(second.as_str()), Some("A-0000002"))
    );
    assert_eq!(rows[0]["Event__c"], format!("{EVENT}AAA"));
    assert_eq!(org.get(&format!("/sobjects/Sloe_Attendee__c/{first}")).await.0, 404);
    let third = org.attendee("three").await;
    assert!(third > second && third != first);
    assert_eq!(
        org.records("SELECT Id FROM Sloe_Event__c").await.len(),
        1,
        "the seed is planted once"
    );
}

#[tokio::test]
async fn acknowledged_records_survive_without_a_clean_stop() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    org.attendee("one").await;
    let log = std::fs::read(directory.path().join("records.log")).unwrap();
    drop(org);
    // What a killed process leaves: the log as it stood, perhaps with half a line.
    let copy = tempfile::tempdir().unwrap();
    std::fs::write(copy.path().join("records.log"), [&log[..], b"{\"object\":\"Sloe_Att"].concat())
        .unwrap();
    let org = Org::kept_in(copy.path().to_owned()).await;
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 1);
}

#[tokio::test]
async fn a_log_that_ends_within_a_character_is_read_up_to_its_last_whole_commit() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    org.attendee("one").await;
    let record = json!({ "Sloe_Id__c": "two", "Last_Name__c": "Zoë 🎟", "Event__c": EVENT });
    assert_eq!(org.post("/sobjects/Sloe_Attendee__c", record).await.0, 201);
    let left = left_behind(directory.path());
    let log = left.path().join("records.log");
    let whole = std::fs::read(&log).unwrap();
    for character in ["ë", "🎟"] {
        let at = whole.windows(character.len()).position(|bytes| bytes == character.as_bytes());
        std::fs::write(&log, &whole[..=at.unwrap()]).unwrap();
        let org = Org::kept_in(left.path().to_owned()).await;
        let rows = org.records("SELECT Sloe_Id__c FROM Sloe_Attendee__c").await;
        assert_eq!((rows.len(), &rows[0]["Sloe_Id__c"]), (1, &json!("one")), "{character}");
        org.running.shutdown().await;
    }
}

#[tokio::test]
async fn a_directory_in_use_or_of_another_org_is_refused_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    let second = start(Options { data: Some(directory.path().to_owned()), ..options() }).await;
    let error = second.err().unwrap().to_string();
    assert!(error.contains("another simulated org runs on this data directory"), "{error}");
    org.running.shutdown().await;
    let other = Seed::parse(&SEED.replace("00D5g000000Test", "00D5g000000Oth1")).unwrap();
    let error =
        start(Options { data: Some(directory.path().to_owned()), seed: other, ..options() })
            .await
            .err()
            .unwrap();
    assert!(error.to_string().contains("belongs to another org"), "{error}");
}

#[tokio::test]
async fn a_busy_address_and_a_broken_seed_are_refused_in_one_sentence() {
    let org = Org::start().await;
    let error =
        start(Options { listen: org.running.addr(), ..options() }).await.err().unwrap().to_string();
    assert!(error.contains("can't be listened on"), "{error}");
    for (wrong, words) in [
        (SEED.replace("00D5g000000Test", "0015g000000Test"), "begins with 00D"),
        (SEED.replace("run_as = \"sloe@", "run_as = \"ghost@"), "there is no such user"),
        (SEED.replace("Time_Zone__c", "Nope__c"), "has no field Nope__c"),
        (SEED.replace("$event", "$ghost"), "is called ghost"),
        (SEED.replace("today+5d 17:00", "today+4d 17:00"), "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
    ] {
        let error = match Seed::parse(&wrong) {
            Err(error) => error,
            Ok(seed) => start(Options { seed, ..options() }).await.err().unwrap(),
        };
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn both_demo_orgs_start_and_share_one_record_id() {
    let mut names = Vec::new();
    for demo in Seed::DEMOS {
        let running =
            start(Options { seed: Seed::demo(demo).unwrap(), ..options() }).await.unwrap();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", running.client_id()),
            ("client_secret", running.client_secret()),
        ];
        let http = reqwest::Client::new();
        let url = format!("{}/services/oauth2/token", running.url());
        let token: serde_json::Value =
            http.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        let url =
            format!("{}/services/data/v62.0/sobjects/Sloe_Event__c/a00SL0000000001", running.url());
        let event = http
            .get(url)
            .bearer_auth(token["access_token"].as_str().unwrap())
            .send()
            .await
            .unwrap();
        let event: serde_json::Value = event.json().await.unwrap();
        names.push(event["Name"].as_str().unwrap().to_owned());
        running.shutdown().await;
    }
    assert_eq!(names, ["Meridian Systems Days", "Lighthouse Night Walks"]);
    assert!(Seed::demo("nowhere").is_err());
    assert!(Seed::parse(Seed::default_text()).is_ok());
}

/// What a killed process leaves: its files as they stand.
pub(crate) fn left_behind(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for folder in ["", "uploads"] {
        let Ok(files) = std::fs::read_dir(directory.join(folder)) else { continue };
        std::fs::create_dir_all(copy.path().join(folder)).unwrap();
        for file in files.map(Result::unwrap).filter(|file| file.path().is_file()) {
            std::fs::copy(file.path(), copy.path().join(folder).join(file.file_name())).unwrap();
        }
    }
    copy
}

/// The answers to these, word for word.
async fn answers(org: &Org, paths: &[String]) -> Vec<(String, u16, String)> {
    let mut out = Vec::new();
    for path in paths {
        let response = org.request(Method::GET, path).send().await.unwrap();
        let status = response.status().as_u16();
        out.push((path.clone(), status, response.text().await.unwrap()));
    }
    out
}

fn rows(count: usize) -> String {
    let rows = (0..count).map(|i| {
        let email = if i % 10 == 7 { "broken" } else { "a@example.org" };
        format!("\"Doe, {i}\",{email}\n")
    });
    format!("LastName,Email\n{}", rows.collect::<String>())
}

fn insert() -> Json {
    json!({ "object": "Contact", "operation": "insert" })
}

/// An ingest job in every state that lasts, a query job, open query results; the addresses that show them.
async fn busy_org(org: &Org) -> Vec<String> {
    let done = open(org, insert()).await;
    upload(org, &done, rows(450)).await;
    assert_eq!(finish(org, &done).await["state"], "JobComplete");
    let failed = open(org, insert()).await;
    upload(org, &failed, "Nope\n1\n".to_owned()).await;
    assert_eq!(finish(org, &failed).await["state"], "Failed");
    let aborted = open(org, insert()).await;
    upload(org, &aborted, rows(3)).await;
    org.patch(&format!("/jobs/ingest/{aborted}"), json!({ "state": "Aborted" })).await;
    let deleted = open(org, insert()).await;
    org.patch(&format!("/jobs/ingest/{deleted}"), json!({ "state": "Aborted" })).await;
    org.delete(&format!("/jobs/ingest/{deleted}")).await;
    let waiting = open(org, insert()).await;
    upload(org, &waiting, rows(5)).await;
    let empty = open(org, insert()).await;
    let mut paths = vec!["/jobs/ingest".to_owned(), "/jobs/query".to_owned()];
    for job in [&done, &failed, &aborted, &deleted, &waiting, &empty] {
        paths.push(format!("/jobs/ingest/{job}"));
        for which in ["successfulResults", "failedResults", "unprocessedrecords"] {
            paths.push(format!("/jobs/ingest/{job}/{which}"));
        }
    }
    let query = json!({ "operation": "query", "query": "SELECT Name FROM Contact ORDER BY Name" });
    let (_, job) = org.post("/jobs/query", query.clone()).await;
    let job = job["id"].as_str().unwrap();
    let (_, gone) = org.post("/jobs/query", query).await;
    let gone = gone["id"].as_str().unwrap();
    org.delete(&format!("/jobs/query/{gone}")).await;
    let page = org.request(Method::GET, &format!("/jobs/query/{job}/results?maxRecords=100"));
    let page = page.send().await.unwrap();
    let locator = page.headers()["sforce-locator"].to_str().unwrap();
    paths.push(format!("/jobs/query/{job}/results?maxRecords=100&locator={locator}"));
    paths.push(format!("/jobs/query/{gone}"));
    for i in 0..201 {
        org.attendee(&format!("k{i:03}")).await;
    }
    let soql =
        "SELECT Name, (SELECT Sloe_Id__c FROM Attendees__r ORDER BY Sloe_Id__c) FROM Sloe_Event__c";
    let ask = |soql| {
        let request = org.request(Method::GET, "/query").query(&[("q", soql)]);
        request.header("sforce-query-options", "batchSize=200").send()
    };
    let (_, parent) = unpack(ask(soql).await.unwrap()).await;
    let next = &parent["records"][0]["Attendees__r"]["nextRecordsUrl"];
    paths.push(next.as_str().unwrap().to_owned());
    let (_, page) = unpack(ask("SELECT Name FROM Contact ORDER BY Name").await.unwrap()).await;
    paths.push(page["nextRecordsUrl"].as_str().unwrap().to_owned());
    paths
}

#[tokio::test]
async fn jobs_results_tokens_calls_and_limits_survive_a_clean_stop_and_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let mut org = Org::kept_in(directory.path().to_owned()).await;
    let revoked = org.sign_in().await;
    let url = format!("{}/services/oauth2/revoke", org.running.url());
    let answer = org.http.post(url).form(&[("token", &revoked)]).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    org.send(Method::PUT, "/__control/limits", json!({ "daily": 5_000, "concurrent": 3 })).await;
    org.running.set_hook("http://127.0.0.1:1", "secret");
    let paths = busy_org(&org).await;
    let before = answers(&org, &paths).await;
    let missing = before.iter().filter(|(_, status, _)| *status != 200).count();
    assert_eq!(missing, 5, "the two deleted jobs only: {before:?}");
    let controls = ["/__control/limits", "/__control/hook"].map(str::to_owned);
    let at_the_end = answers(&org, &controls).await;
    assert!(at_the_end[0].2.contains("\"daily\":5000"), "{at_the_end:?}");

    let crashed = left_behind(directory.path());
    let good = org.token.clone();
    org.running.shutdown().await;
    for directory in [crashed.path(), directory.path()] {
        org = Org::kept_in(directory.to_owned()).await;
        assert_eq!(answers(&org, &controls).await, at_the_end);
        org.token.clone_from(&good);
        assert_eq!(answers(&org, &paths).await, before);
        org.token.clone_from(&revoked);
        assert_eq!(org.get("/limits").await.0, 401);
        org.token.clone_from(&good);
        // What was left open goes on, and no id comes twice.
        let (_, jobs) = org.get("/jobs/ingest").await;
        let open: Vec<&Json> =
            jobs["records"].as_array().unwrap().iter().filter(|j| j["state"] == "Open").collect();
        assert_eq!(open.len(), 2);
        let waiting = open[0]["id"].as_str().unwrap();
        assert_eq!(upload(&org, waiting, rows(1)).await, 400, "its data is there");
        assert_eq!(finish(&org, waiting).await["numberRecordsProcessed"], 5);
        let next = crate::bulk::open(&org, insert()).await;
        assert!(paths.iter().all(|path| !path.contains(&next)));
        org.running.shutdown().await;
    }
    // A second restart finds what the first has added.
    org = Org::kept_in(directory.path().to_owned()).await;
    let (_, jobs) = org.get("/jobs/ingest").await;
    assert_eq!(jobs["records"].as_array().unwrap().len(), 6);
    org.running.shutdown().await;
}

#[tokio::test]
async fn a_job_that_was_worked_on_goes_on_and_no_row_is_done_twice_wherever_it_was_cut() {
    const ROWS: usize = 900;
    const CUTS: usize = 14;
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    let log = directory.path().join("records.log");
    let job = open(&org, insert()).await;
    upload(&org, &job, rows(ROWS)).await;
    let waiting = std::fs::metadata(&log).unwrap().len();
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], ROWS / 10);
    let left = left_behind(directory.path());
    let whole = std::fs::read(left.path().join("records.log")).unwrap();
    let start = usize::try_from(waiting).unwrap();
    // From where the client could be told that the job would be worked on: the end of that commit.
    let closed = (start..whole.len()).find(|at| whole[*at..].starts_with(b"UploadComplete"));
    let mut start = closed.unwrap();
    loop {
        let line = whole[start..].split_inclusive(|b| *b == b'\n').next().unwrap();
        start += line.len();
        if !line.ends_with(b"\"more\":true}\n") {
            break;
        }
    }
    for cut in 0..CUTS {
        let at = start + (whole.len() - start) * cut / (CUTS - 1);
        std::fs::write(left.path().join("records.log"), &whole[..at]).unwrap();
        let org = Org::kept_in(left.path().to_owned()).await;
        let body = wait(&org, &job).await;
        let told = (&body["state"], &body["numberRecordsProcessed"], &body["numberRecordsFailed"]);
        assert_eq!(told, (&json!("JobComplete"), &json!(ROWS), &json!(ROWS / 10)), "cut at {at}");
        let good = results(&org, &job, "successfulResults").await;
        let names: BTreeSet<String> = good.iter().skip(1).map(|row| row[2].to_owned()).collect();
        let stored = org.records("SELECT Id FROM Contact").await;
        let counts = (good.len() - 1, names.len(), stored.len());
        let good = ROWS - ROWS / 10;
        assert_eq!(counts, (good, good, good), "cut at {at}");
        org.running.shutdown().await;
    }
}

#[tokio::test]
async fn a_log_from_before_batches_ran_side_by_side_gives_the_same_results() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    let job = open(&org, insert()).await;
    upload(&org, &job, rows(450)).await;
    finish(&org, &job).await;
    let paths = ["successfulResults", "failedResults"].map(|w| format!("/jobs/ingest/{job}/{w}"));
    let before = answers(&org, &paths).await;
    let left = left_behind(directory.path());
    let log = left.path().join("records.log");
    let text = std::fs::read_to_string(&log).unwrap();
    let old = ["0", "200", "400"]
        .iter()
        .fold(text.clone(), |text, first| text.replace(&format!("\"first\":{first},"), ""));
    assert!(text.len() > old.len() && !old.contains("\"first\":"));
    std::fs::write(&log, old).unwrap();
    let org = Org::kept_in(left.path().to_owned()).await;
    assert_eq!(answers(&org, &paths).await, before);
}

/// Eight days from now.
fn next_week() -> jiff::Timestamp {
    jiff::Timestamp::now() + jiff::SignedDuration::from_hours(8 * 24)
}

#[tokio::test]
async fn jobs_go_after_seven_days_and_calls_and_tokens_after_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    let paths = busy_org(&org).await;
    let (token, file) = (org.token.clone(), |id: &str| format!("uploads/{id}.csv"));
    let (_, jobs) = org.get("/jobs/ingest").await;
    let jobs: Vec<String> = jobs["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(directory.path().join(file(&jobs[0])).exists());
    org.running.shutdown().await;
    let data = Some(directory.path().to_owned());
    let mut org = Org::with(Options { data, now: next_week, ..options() }).await;
    assert_eq!(org.get("/__control/limits").await.1["used"], 0);
    let fresh = std::mem::replace(&mut org.token, token);
    assert_eq!(org.get("/limits").await.0, 401);
    org.token = fresh;
    for (path, status, text) in answers(&org, &paths[2..]).await {
        assert!(status == 404 || text.contains("INVALID_QUERY_LOCATOR"), "{path}: {text}");
    }
    for list in &paths[..2] {
        assert_eq!(org.get(list).await.1["records"], json!([]));
    }
    assert!(jobs.iter().all(|job| !directory.path().join(file(job)).exists()));
    assert!(open(&org, insert()).await > jobs[jobs.len() - 1]);
}

#[tokio::test]
async fn limits_set_at_run_time_give_way_to_other_options() {
    let directory = tempfile::tempdir().unwrap();
    let kept =
        |daily_limit| Options { data: Some(directory.path().to_owned()), daily_limit, ..options() };
    let org = Org::with(kept(Some(1_000))).await;
    org.send(Method::PUT, "/__control/limits", json!({ "daily": 10, "used": 7 })).await;
    org.running.shutdown().await;
    for (given, used) in [(1_000, "api-usage=8/10"), (2_000, "api-usage=9/2000")] {
        let org = Org::with(kept(Some(given))).await;
        let answer = org.request(Method::GET, "/limits").send().await.unwrap();
        assert_eq!(answer.headers()["sforce-limit-info"], used);
        org.running.shutdown().await;
    }
}

#[tokio::test]
async fn a_log_that_is_mostly_about_the_past_is_rewritten_while_the_org_runs() {
    const EVENTS: usize = 100;
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    // Change events are kept for three days, whatever becomes of the log.
    let none = json!({ "selected": [] });
    assert_eq!(org.send(Method::PUT, "/__control/events", none).await.0, 200);
    let text = |round: usize| format!("{round} {}", "x".repeat(30_000));
    let event = |id: Option<&String>, round: usize| {
        let mut event = json!({
            "attributes": { "type": "Sloe_Event__c" },
            "Name": "Long",
            "Starts_At__c": "2030-01-01T10:00:00Z",
            "Ends_At__c": "2030-01-01T11:00:00Z",
            "Time_Zone__c": "UTC",
            "Description__c": text(round),
        });
        if let Some(id) = id {
            event["id"] = json!(id);
        }
        event
    };
    let mut ids: Vec<String> = Vec::new();
    let (mut largest, mut size) = (0, 0);
    for round in 0..16 {
        let records: Vec<Json> = (0..EVENTS).map(|i| event(ids.get(i), round)).collect();
        let method = if ids.is_empty() { Method::POST } else { Method::PATCH };
        let (_, saved) =
            org.send(method, "/composite/sobjects", json!({ "records": records })).await;
        let saved = saved.as_array().unwrap();
        assert!(saved.iter().all(|one| one["success"] == true), "{saved:?}");
        ids = saved.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        size = std::fs::metadata(directory.path().join("records.log")).unwrap().len();
        largest = largest.max(size);
    }
    assert!(size < largest / 2, "from {largest} to {size} bytes");
    let org = Org::kept_in(left_behind(directory.path()).path().to_owned()).await;
    let (_, event) = org.get(&format!("/sobjects/Sloe_Event__c/{}", ids[EVENTS - 1])).await;
    assert_eq!(event["Description__c"], text(15));
}
