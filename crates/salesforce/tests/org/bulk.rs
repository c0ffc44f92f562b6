//! Bulk jobs through all their states.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use sloe_core::ids::SfId;
use sloe_salesforce::{
    Adopted, Advice, Cell, Column, Error, Job, JobId, MAX_BULK_ROWS, Operation, Options, Row,
    RowKind, RowOutcome, Rows, Update,
};

use crate::fake::{Fake, Reply, Seen, id, quick};

const JOB: &str = "750000000000001AAA";

/// What a job's looks answer, one after the other (the last one stays), and its results.
struct Script {
    states: Mutex<Vec<Reply>>,
    succeeded: &'static str,
    failed: &'static str,
}

impl Script {
    fn new(states: &[&str]) -> Self {
        let states = states.iter().rev().map(|state| job_in(state)).collect();
        let (succeeded, failed) = (
            "\"sf__Id\",\"sf__Created\",\"Sloe_Id__c\"\n",
            "\"sf__Id\",\"sf__Error\",\"Sloe_Id__c\"\n",
        );
        Self { states: Mutex::new(states), succeeded, failed }
    }

    fn answer(&self, seen: &Seen) -> Reply {
        let rest = seen.path.strip_prefix("/services/data/v62.0/jobs/ingest").unwrap();
        match (seen.method.as_str(), rest.strip_prefix(&format!("/{JOB}")).unwrap_or(rest)) {
            ("POST", "") => job_in("Open"),
            ("PUT", "/batches") => Reply::new(201, "text/plain", ""),
            ("PATCH", "") => job_in(seen.json()["state"].as_str().unwrap()),
            ("GET", "") => {
                let mut states = self.states.lock().unwrap();
                if states.len() > 1 { states.pop().unwrap() } else { states[0].clone() }
            }
            ("GET", "/successfulResults") => Reply::csv(self.succeeded),
            ("GET", "/failedResults") => Reply::csv(self.failed),
            other => panic!("{other:?}"),
        }
    }

    async fn start(self) -> std::sync::Arc<Fake> {
        Fake::start(move |seen| self.answer(seen)).await
    }
}

fn job_in(state: &str) -> Reply {
    Reply::json(&json!({ "id": JOB, "state": state, "apiVersion": 62.0 }))
}

fn rows(keys: &[&str]) -> Vec<Row> {
    keys.iter()
        .map(|key| Row::new((*key).into(), 1).with(Column::LastName, Cell::Text("Ng".into())))
        .collect()
}

fn known_job(operation: Operation) -> Job {
    Job { id: JobId::parse(JOB).unwrap(), kind: RowKind::Attendee, operation }
}

fn retried(code: &str) -> RowOutcome {
    RowOutcome::Retry { code: code.into() }
}

#[tokio::test]
async fn a_job_is_opened_filled_closed_watched_and_read() {
    let fake = Script {
        succeeded: "\"sf__Id\",\"sf__Created\",\"Sloe_Id__c\",\"Last_Name__c\"\n\
                    \"a03000000000003AAA\",\"false\",\"k3\",\"Ng\"\n\
                    \"a03000000000001AAA\",\"true\",\"k1\",\"Ng\"\n",
        failed: "\"sf__Id\",\"sf__Error\",\"Sloe_Id__c\"\n\
                 \"\",\"UNABLE_TO_LOCK_ROW:unable to obtain exclusive access: a03:--\",\"k2\"\n\
                 \"\",\"FIELD_CUSTOM_VALIDATION_EXCEPTION:Newer: yes:Sloe_Version__c --\",\"k4\"\n\
                 \"\",\"STRING_TOO_LONG:Last Name: data value too large: x:Last_Name__c --\",\"k5\"\n",
        ..Script::new(&["UploadComplete", "InProgress", "JobComplete"])
    }
    .start()
    .await;
    let org = fake.org();
    let rows = rows(&["k1", "k2", "k3", "k4", "k5", "k6"]);
    let job = org.bulk_open(RowKind::Attendee, Operation::Upsert).await.unwrap();
    assert_eq!(fake.calls().len(), 1, "nothing but the job's making before its id is known");
    let outcomes = org.bulk_run(&job, Rows::Upsert(&rows)).await.unwrap();
    let delivered = |text, created| RowOutcome::Delivered { id: id(text), created };
    assert_eq!(outcomes[0], delivered("a03000000000001AAA", true));
    assert_eq!(outcomes[1], retried("UNABLE_TO_LOCK_ROW"));
    assert_eq!(outcomes[2], delivered("a03000000000003AAA", false));
    assert_eq!(outcomes[3], RowOutcome::Stale);
    assert!(matches!(&outcomes[4], RowOutcome::Rejected(why) if why.fields == ["Last_Name__c"]));
    assert_eq!(outcomes[5], retried("not-reported"));

    let calls = fake.calls();
    let verbs: Vec<&str> = calls.iter().map(|call| call.method.as_str()).collect();
    assert_eq!(verbs, ["POST", "PUT", "PATCH", "GET", "GET", "GET", "GET", "GET"]);
    assert_eq!(
        calls[0].json(),
        json!({
            "object": "Sloe_Attendee__c", "operation": "upsert",
            "externalIdFieldName": "Sloe_Id__c", "contentType": "CSV", "lineEnding": "LF",
        })
    );
    assert!(calls[1].headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert!(calls[1].text().starts_with("Sloe_Id__c,Sloe_Version__c,Last_Name__c\nk1,1,Ng\n"));
    assert_eq!(calls[2].json(), json!({ "state": "UploadComplete" }));
}

#[tokio::test]
async fn a_job_goes_through_where_only_one_call_may_run_at_a_time() {
    let fake = Script {
        succeeded: "sf__Id,sf__Created,Sloe_Id__c\na03000000000001AAA,true,k1\n",
        failed: "sf__Id,sf__Error,Sloe_Id__c\n,UNABLE_TO_LOCK_ROW:busy:--,k2\n",
        ..Script::new(&["JobComplete"])
    }
    .start()
    .await;
    let org = fake.org_with(Options { at_once: 1, ..quick() });
    let rows = rows(&["k1", "k2"]);
    let outcomes = org.bulk_run(&known_job(Operation::Upsert), Rows::Upsert(&rows)).await.unwrap();
    assert!(matches!(outcomes[0], RowOutcome::Delivered { created: true, .. }));
    assert_eq!(outcomes[1], retried("UNABLE_TO_LOCK_ROW"));
}

#[tokio::test]
async fn an_update_job_finds_rows_by_id_and_tells_deleted_ones() {
    let (first, second) = ("a03000000000001AAA", "a03000000000002AAA");
    let fake = Script {
        succeeded: "\"sf__Id\",\"sf__Created\",\"Id\"\n\
                    \"a03000000000001AAA\",\"false\",\"a03000000000001AAA\"\n",
        failed: "\"sf__Id\",\"sf__Error\",\"Id\"\n\
                 \"\",\"ENTITY_IS_DELETED:entity is deleted:--\",\"a03000000000002AAA\"\n",
        ..Script::new(&["JobComplete"])
    }
    .start()
    .await;
    let org = fake.org();
    let updates: Vec<Update> = [first, second]
        .iter()
        .zip(rows(&["k1", "k2"]))
        .map(|(at, row)| Update { id: id(at), row })
        .collect();
    let job = org.bulk_open(RowKind::Attendee, Operation::Update).await.unwrap();
    let outcomes = org.bulk_run(&job, Rows::Update(&updates)).await.unwrap();
    assert_eq!(outcomes[0], RowOutcome::Delivered { id: id(first), created: false });
    assert_eq!(outcomes[1], RowOutcome::Deleted);
    let calls = fake.calls();
    assert_eq!(calls[0].json().get("externalIdFieldName"), None);
    assert!(calls[1].text().starts_with("Id,Sloe_Version__c,Last_Name__c\n"));
}

#[tokio::test]
async fn a_job_that_fails_as_a_whole_says_why_unless_rows_were_written() {
    let failed = json!({
        "id": JOB, "state": "Failed",
        "errorMessage": "InvalidBatch : Field name not found : Sloe_Version__c",
    });
    let script = Script::new(&["Open"]);
    *script.states.lock().unwrap() = vec![Reply::json(&failed)];
    let fake = script.start().await;
    let job = known_job(Operation::Upsert);
    let error = fake.org().bulk_run(&job, Rows::Upsert(&rows(&["k1"]))).await.unwrap_err();
    assert_eq!((error.code(), error.advice()), (Some("InvalidBatch"), Advice::Stop));

    let script = Script {
        succeeded: "sf__Id,sf__Created,Sloe_Id__c\na03000000000001AAA,true,k1\n",
        ..Script::new(&["Open"])
    };
    *script.states.lock().unwrap() = vec![Reply::json(&failed)];
    let fake = script.start().await;
    let outcomes = fake.org().bulk_run(&job, Rows::Upsert(&rows(&["k1", "k2"]))).await.unwrap();
    assert!(matches!(outcomes[0], RowOutcome::Delivered { .. }));
    assert_eq!(outcomes[1], retried("not-reported"));
}

async fn why_it_failed(complaint: &str) -> Error {
    let failed = json!({ "id": JOB, "state": "Failed", "errorMessage": complaint });
    let script = Script::new(&["Open"]);
    *script.states.lock().unwrap() = vec![Reply::json(&failed)];
    let fake = script.start().await;
    let job = known_job(Operation::Upsert);
    fake.org().bulk_run(&job, Rows::Upsert(&rows(&["k1"]))).await.unwrap_err()
}

#[tokio::test]
async fn a_job_that_fails_for_what_passes_is_made_again() {
    for (complaint, advice) in [
        ("TooManyLockFailure : Too many lock failure (200)", Advice::Retry),
        ("InternalServerError : unexpected", Advice::Retry),
        ("Timeout", Advice::Retry),
        ("ExceededQuota : too many batches in 24 hours", Advice::Wait),
        ("InvalidBatch : Field name not found : X", Advice::Stop),
    ] {
        assert_eq!(why_it_failed(complaint).await.advice(), advice, "{complaint}");
    }
}

#[tokio::test]
async fn what_a_job_s_complaint_quotes_is_not_in_its_code() {
    for complaint in ["Ng", "Ann Ng could not be read", "Ann Ng : could not be read"] {
        let error = why_it_failed(complaint).await;
        assert_eq!(error.code(), Some("unreadable"), "{complaint}");
        assert!(!format!("{error} {error:?} {}", error.means()).contains("Ng"), "{error:?}");
        assert!(error.message().is_some_and(|words| words.reveal().contains("Ng")));
    }
}

#[tokio::test]
async fn a_look_that_fails_does_not_lose_the_job() {
    let script = Script::new(&["Open"]);
    *script.states.lock().unwrap() = vec![
        job_in("JobComplete"),
        Reply::new(200, "text/html", "<html>busy</html>"),
        Reply::new(503, "text/html", ""),
        job_in("InProgress"),
    ];
    let fake = script.start().await;
    let job = known_job(Operation::Upsert);
    let outcomes = fake.org().bulk_run(&job, Rows::Upsert(&rows(&["k1"]))).await.unwrap();
    assert_eq!(outcomes, [retried("not-reported")]);
}

#[tokio::test]
async fn looking_ends_when_the_allowance_is_gone_or_patience_runs_out() {
    let script = Script::new(&["Open"]);
    let refusal = Reply::error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
    *script.states.lock().unwrap() = vec![refusal];
    let fake = script.start().await;
    let job = known_job(Operation::Upsert);
    let error = fake.org().bulk_run(&job, Rows::Upsert(&rows(&["k1"]))).await.unwrap_err();
    assert_eq!(error.advice(), Advice::Wait);

    let fake = Script::new(&["InProgress"]).start().await;
    let options = Options { job_patience: Duration::from_millis(50), ..quick() };
    let error =
        fake.org_with(options).bulk_run(&job, Rows::Upsert(&rows(&["k1"]))).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
}

#[tokio::test]
async fn an_adopted_job_is_aborted_if_it_never_started_and_wrote_nothing() {
    let fake = Script::new(&["Open"]).start().await;
    let job = known_job(Operation::Upsert);
    let adopted = fake.org().bulk_adopt(&job, Rows::Upsert(&rows(&["k1"]))).await.unwrap();
    assert!(matches!(adopted, Adopted::Void));
    assert_eq!(fake.calls().last().unwrap().json(), json!({ "state": "Aborted" }));
}

#[tokio::test]
async fn how_far_a_job_came_that_somebody_aborts_nobody_knows() {
    let job = known_job(Operation::Upsert);
    let fake = Script::new(&["InProgress", "Aborted"]).start().await;
    let outcomes = fake.org().bulk_run(&job, Rows::Upsert(&rows(&["k1"]))).await.unwrap();
    assert_eq!(outcomes, [retried("job-aborted")]);
    assert!(outcomes[0].may_be_there());
    let adopted = fake.org().bulk_adopt(&job, Rows::Upsert(&rows(&["k1"]))).await.unwrap();
    assert!(matches!(adopted, Adopted::Lost));
    // Also while the one who adopted it waits.
    let fake = Script::new(&["InProgress", "InProgress", "Aborted"]).start().await;
    let adopted = fake.org().bulk_adopt(&job, Rows::Upsert(&rows(&["k1"]))).await.unwrap();
    assert!(matches!(adopted, Adopted::Lost));
}

#[tokio::test]
async fn an_adopted_job_that_runs_is_watched_to_its_end_and_not_sent_again() {
    let fake = Script {
        succeeded: "sf__Id,sf__Created,Sloe_Id__c\na03000000000001AAA,true,k1\n",
        ..Script::new(&["InProgress", "JobComplete"])
    }
    .start()
    .await;
    let job = known_job(Operation::Upsert);
    let adopted = fake.org().bulk_adopt(&job, Rows::Upsert(&rows(&["k1", "k2"]))).await.unwrap();
    let Adopted::Ran(outcomes) = adopted else { panic!("{adopted:?}") };
    assert!(matches!(outcomes[0], RowOutcome::Delivered { created: true, .. }));
    assert_eq!(outcomes[1], retried("not-reported"));
    assert!(fake.calls().iter().all(|call| call.method == "GET"));
}

#[tokio::test]
async fn an_adopted_job_that_the_org_forgot_is_lost() {
    let fake =
        Fake::start(|_| Reply::error(404, "NOT_FOUND", "The requested resource does not exist"))
            .await;
    let job = known_job(Operation::Upsert);
    let adopted = fake.org().bulk_adopt(&job, Rows::Upsert(&rows(&["k1"]))).await.unwrap();
    assert!(matches!(adopted, Adopted::Lost));
}

#[tokio::test]
async fn results_that_are_empty_or_of_unknown_columns_report_nothing() {
    for body in ["", "\n", "nothing,known\n1,2\n"] {
        let fake =
            Script { succeeded: body, failed: body, ..Script::new(&["JobComplete"]) }.start().await;
        let job = known_job(Operation::Upsert);
        let outcomes = fake.org().bulk_run(&job, Rows::Upsert(&rows(&["k1"]))).await.unwrap();
        assert_eq!(outcomes, [retried("not-reported")], "{body:?}");
    }
}

#[tokio::test]
async fn a_job_too_large_or_of_another_kind_is_refused_before_any_call() {
    let fake = Script::new(&["Open"]).start().await;
    let org = fake.org();
    let many: Vec<Row> = (0..=MAX_BULK_ROWS).map(|n| Row::new(n.to_string(), 1)).collect();
    let error = org.bulk_run(&known_job(Operation::Upsert), Rows::Upsert(&many)).await.unwrap_err();
    assert!(matches!(error, Error::Settings(_)));
    let rows = Rows::Upsert(&many[..1]);
    let error = org.bulk_run(&known_job(Operation::Update), rows).await.unwrap_err();
    assert!(matches!(error, Error::Settings(_)));
    assert!(fake.calls().is_empty());
}

#[test]
fn a_job_id_is_a_salesforce_id_and_nothing_that_could_leave_its_path() {
    assert!(SfId::parse(JOB).is_ok());
    for bad in ["", "../750", "750000000000001AAA/results", "750 000000000001"] {
        assert_eq!(JobId::parse(bad), None);
    }
}
