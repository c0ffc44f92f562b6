//! The API allowance and the fault knobs.

use reqwest::Method;
use serde_json::json;
use sloe_sim::org::Options;

use crate::bulk;
use crate::client::{Org, options};
use crate::restart::left_behind;

#[tokio::test]
async fn the_daily_limit_counts_in_the_header_and_refuses_at_its_end() {
    let org = Org::with(Options { daily_limit: Some(3), ..options() }).await;
    let response = org.request(Method::GET, "/limits").send().await.unwrap();
    assert_eq!(response.headers()["sforce-limit-info"], "api-usage=1/3");
    let (_, body) = org.get("/limits").await;
    assert_eq!(body["DailyApiRequests"], json!({ "Max": 3, "Remaining": 1 }));
    org.get("/limits").await;
    let (status, body) = org.get("/limits").await;
    assert_eq!(status, 403);
    assert_eq!(
        body,
        json!([{ "message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED" }])
    );
    assert!(!org.sign_in().await.is_empty(), "signing in is not counted");
    org.send(Method::PUT, "/__control/limits", json!({ "used": 0 })).await;
    assert_eq!(org.get("/limits").await.0, 200);
    assert_eq!(org.get("/__control/stats").await.1["stats"]["limited"], 1);
}

#[tokio::test]
async fn long_calls_over_the_concurrent_limit_make_every_new_call_fail_until_one_ends() {
    let org = Org::with(Options { concurrent_limit: Some(2), ..options() }).await;
    org.send(Method::PUT, "/__control/limits", json!({ "long_after_ms": 0 })).await;
    org.send(Method::PUT, "/__control/faults", json!({ "stall": true, "kinds": ["query"] })).await;
    let mut long = Vec::new();
    for _ in 0..2 {
        let request = org.request(Method::GET, "/query?q=SELECT+Id+FROM+Lead");
        long.push(tokio::spawn(async move { request.send().await.unwrap().status() }));
    }
    while org.get("/__control/stats").await.1["stats"]["calls"]["query"] != 2 {}
    let (status, body) = org.get("/limits").await;
    assert_eq!(status, 403);
    assert_eq!(body[0]["errorCode"], "REQUEST_LIMIT_EXCEEDED");
    assert_eq!(body[0]["message"], "ConcurrentRequests (Concurrent API Requests) Limit exceeded.");
    org.delete("/__control/faults").await;
    for call in long {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(org.get("/limits").await.0, 200);
}

#[tokio::test]
async fn bulk_jobs_end_with_their_allowance_and_deleting_them_gives_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut org = Org::kept_in(directory.path().to_owned()).await;
    let limits = json!({ "bulk_batches": 2, "bulk_queries": 1 });
    org.send(Method::PUT, "/__control/limits", limits).await;
    let ingest = json!({ "object": "Lead", "operation": "insert" });
    // Of 10,001 rows, which are two batches.
    let job = bulk::open(&org, ingest.clone()).await;
    let rows = "Doe,Mill\n".repeat(10_001);
    bulk::upload(&org, &job, format!("LastName,Company\n{rows}")).await;
    bulk::finish(&org, &job).await;
    let query = json!({ "operation": "query", "query": "SELECT Id FROM Contact" });
    let (_, made) = org.post("/jobs/query", query.clone()).await;
    let made = made["id"].as_str().unwrap();
    for path in [format!("/jobs/ingest/{job}"), format!("/jobs/query/{made}")] {
        assert_eq!(org.delete(&path).await.0, 204);
    }
    let refusals = async |org: &Org| {
        let (_, body) = org.get("/limits").await;
        let left = (&body["DailyBulkApiBatches"], &body["DailyBulkV2QueryJobs"]);
        let none = |max| json!({ "Max": max, "Remaining": 0 });
        assert_eq!(left, (&none(2), &none(1)));
        for (path, job, code, message) in [
            (
                "/jobs/ingest",
                &ingest,
                "EXCEEDEDQUOTA",
                "ExceededQuota : ApiBatchItems Limit exceeded",
            ),
            (
                "/jobs/query",
                &query,
                "LIMIT_EXCEEDED",
                "Max bulk v2 query jobs (1) per 24 hrs has been reached (1)",
            ),
        ] {
            let (status, body) = org.post(path, job.clone()).await;
            let wanted = json!([{ "errorCode": code, "message": message }]);
            assert_eq!((status.as_u16(), body), (400, wanted));
        }
    };
    refusals(&org).await;
    let crashed = left_behind(directory.path());
    org.running.shutdown().await;
    for directory in [crashed.path(), directory.path()] {
        org = Org::kept_in(directory.to_owned()).await;
        refusals(&org).await;
        org.running.shutdown().await;
    }
    org = Org::kept_in(directory.path().to_owned()).await;
    org.send(Method::PUT, "/__control/limits", json!({ "bulk_batches": 3 })).await;
    bulk::open(&org, ingest).await;
}

#[tokio::test]
async fn a_job_that_goes_beyond_the_day_s_batches_fails_with_what_it_has_written() {
    let org = Org::start().await;
    org.send(Method::PUT, "/__control/limits", json!({ "bulk_batches": 1 })).await;
    let job = bulk::open(&org, json!({ "object": "Lead", "operation": "insert" })).await;
    let rows = "Doe,Mill\n".repeat(10_001);
    bulk::upload(&org, &job, format!("LastName,Company\n{rows}")).await;
    let told = bulk::finish(&org, &job).await;
    assert_eq!(told["state"], "Failed");
    assert_eq!(told["errorMessage"], "ExceededQuota : ApiBatchItems Limit exceeded");
    let written = told["numberRecordsProcessed"].as_u64().unwrap();
    assert!(written <= 10_000, "not both batches: {written}");
    let (_, body) = org.get("/limits").await;
    assert_eq!(body["DailyBulkApiBatches"], json!({ "Max": 1, "Remaining": 0 }));
}

#[tokio::test]
async fn outages_errors_and_stalls_come_and_go_at_run_time() {
    let org = Org::start().await;
    org.send(Method::PUT, "/__control/faults", json!({ "outage": true })).await;
    let (status, body) = org.get("/limits").await;
    assert_eq!((status.as_u16(), body[0]["errorCode"].as_str()), (503, Some("SERVER_UNAVAILABLE")));
    let faults = json!({ "error_rate": 0.5, "error_status": 500, "error_code": "UNKNOWN_EXCEPTION", "kinds": ["limits"] });
    org.send(Method::PUT, "/__control/faults", faults).await;
    let mut failed = 0;
    for _ in 0..10 {
        failed += usize::from(org.get("/limits").await.0 == 500);
        assert_eq!(org.get("/sobjects").await.0, 200, "other kinds are left alone");
    }
    assert_eq!(failed, 5);
    org.send(Method::PUT, "/__control/faults", json!({ "stall": true })).await;
    let stalled = org.request(Method::GET, "/limits");
    let stalled = tokio::spawn(async move { stalled.send().await.unwrap().status() });
    tokio::task::yield_now().await;
    assert!(!stalled.is_finished());
    org.delete("/__control/faults").await;
    assert_eq!(stalled.await.unwrap(), 200);
    for bad in
        [json!({ "error_rate": 2 }), json!({ "nonsense": 1 }), json!({ "error_status": 200 })]
    {
        assert_eq!(org.send(Method::PUT, "/__control/faults", bad.clone()).await.0, 422, "{bad}");
    }
}

#[tokio::test]
async fn statistics_tell_calls_by_kind() {
    let org = Org::start().await;
    org.delete("/__control/stats").await;
    org.query("SELECT Id FROM Lead").await;
    org.attendee("one").await;
    org.post("/composite/sobjects", json!({ "records": [] })).await;
    let (_, body) = org.get("/__control/stats").await;
    let calls = &body["stats"]["calls"];
    assert_eq!(
        (&calls["query"], &calls["sobjects"], &calls["collections"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(body["stats"]["total"], 3);
    assert_eq!(body["stats"]["rows_written"], 1);
    assert_eq!(body["records"]["Sloe_Attendee__c"], 1);
}
