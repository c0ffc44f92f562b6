//! The real simulated org is killed with -9 while it works on a Bulk job. It
//! must go on where it stood: every row once, every result there, and the
//! client's token, its other jobs and the count of its calls with them.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

/// Rows of the job; each tenth is refused. Far more than are done between two polls.
const ROWS: usize = 60_000;
/// Deaths, each as soon as more rows are seen to be done.
const DEATHS: usize = 4;
/// The bound of everything that is waited for; far beyond what it takes.
const PATIENCE: Duration = Duration::from_secs(180);

struct Org {
    child: Child,
    facts: Value,
    token: String,
    http: Client,
}

impl Org {
    /// Starts the org on a directory; returns once it listens.
    fn start(directory: &Path, token: String) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
        command.args(["sim", "org", "--json", "--listen", "127.0.0.1:0", "--data"]).arg(directory);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let facts = serde_json::from_str(&line).unwrap();
        Self { child, facts, token, http: Client::new() }
    }

    fn fact(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap()
    }

    /// With -9: nothing is flushed, nothing is told.
    fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::take(&mut self.token)
    }

    async fn sign_in(&mut self) {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.fact("client_id")),
            ("client_secret", self.fact("client_secret")),
        ];
        let url = format!("{}/services/oauth2/token", self.fact("url"));
        let answer = self.http.post(url).form(&form).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        self.token = body["access_token"].as_str().unwrap().to_owned();
    }

    async fn call(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Response {
        let url = format!("{}/services/data/v62.0/{path}", self.fact("url"));
        let kind = if method == Method::PUT { "text/csv" } else { "application/json" };
        let request = self.http.request(method, url).bearer_auth(&self.token);
        let answer = request.header("content-type", kind).body(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, "").await.json().await.unwrap()
    }

    async fn open_job(&self) -> String {
        let job = json!({ "object": "Contact", "operation": "insert" }).to_string();
        let answer = self.call(Method::POST, "jobs/ingest", job).await;
        let body: Value = answer.json().await.unwrap();
        body["id"].as_str().unwrap().to_owned()
    }

    async fn upload(&self, job: &str, data: String) {
        self.call(Method::PUT, &format!("jobs/ingest/{job}/batches"), data).await;
    }

    async fn close_job(&self, job: &str) {
        let closed = json!({ "state": "UploadComplete" }).to_string();
        self.call(Method::PATCH, &format!("jobs/ingest/{job}"), closed).await;
    }

    /// The last names in a result file.
    async fn names(&self, job: &str, which: &str) -> Vec<String> {
        let answer = self.call(Method::GET, &format!("jobs/ingest/{job}/{which}"), "").await;
        let text = answer.text().await.unwrap();
        let lines = text.lines().skip(1);
        lines.map(|line| line.split(',').nth(2).unwrap().to_owned()).collect()
    }

    /// Polls until more than so many rows are done or all are.
    async fn wait_for(&self, job: &str, rows: usize) -> (usize, bool) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let body = self.get(&format!("jobs/ingest/{job}")).await;
            let done = usize::try_from(body["numberRecordsProcessed"].as_u64().unwrap()).unwrap();
            let over = body["state"] == "JobComplete";
            if over || done > rows {
                return (done, over);
            }
            assert!(Instant::now() < give_up, "{body}");
        }
    }

    async fn used(&self) -> u64 {
        let limits = self.get("limits").await;
        100_000 - limits["DailyApiRequests"]["Remaining"].as_u64().unwrap()
    }
}

impl Drop for Org {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rows() -> String {
    let each = (0..ROWS).map(|i| {
        let email = if i % 10 == 7 { "broken" } else { "a@example.org" };
        format!("row{i},{email}\n")
    });
    format!("LastName,Email\n{}", each.collect::<String>())
}

#[tokio::test]
async fn a_killed_org_does_every_row_of_its_bulk_job_once_and_forgets_nothing_it_told() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let mut org = Org::start(directory.path(), String::new());
    org.sign_in().await;
    let waiting = org.open_job().await;
    org.upload(&waiting, "LastName\nLater\n".to_owned()).await;
    let job = org.open_job().await;
    org.upload(&job, rows()).await;
    org.close_job(&job).await;
    let mut done = 0;
    for death in 1..=DEATHS {
        let over;
        (done, over) = org.wait_for(&job, done).await;
        assert!(!over, "the job was over before death {death}");
        let used = org.used().await;
        org = Org::start(directory.path(), org.kill());
        let again = org.get(&format!("jobs/ingest/{job}")).await;
        let now = usize::try_from(again["numberRecordsProcessed"].as_u64().unwrap()).unwrap();
        assert!(now >= done, "after death {death} {now} rows are done, before it {done}");
        assert!(org.used().await > used, "after death {death}");
    }
    while !org.wait_for(&job, done).await.1 {}
    let good = org.names(&job, "successfulResults").await;
    let bad = org.names(&job, "failedResults").await;
    assert_eq!((good.len(), bad.len()), (ROWS / 10 * 9, ROWS / 10));
    let all: BTreeSet<&String> = good.iter().chain(&bad).collect();
    assert_eq!(all.len(), ROWS, "each row has one outcome");
    let stored = org.get("query?q=SELECT+COUNT()+FROM+Contact+WHERE+LastName+LIKE+'row%25'").await;
    assert_eq!(stored["totalSize"], good.len(), "and is stored once");
    org.close_job(&waiting).await;
    org.wait_for(&waiting, 0).await;
    assert_eq!(org.names(&waiting, "successfulResults").await, ["Later"]);
}
