//! Bulk API 2.0 query: a query as a job, its rows in pages of CSV, each read
//! as it comes. However many rows there are, few of them are in memory.

use std::time::Duration;

use reqwest::Method;
use sloe_core::ids::SfId;

use super::bulk::job_refusal;
use super::table::Results;
use crate::client::{API_VERSION, Answer, Client, Request};
use crate::error::{Advice, Error};
use crate::wire::{JobInfo, NewQueryJob};

const CALL: &str = "bulk query";
/// Rows in a page.
const PAGE: usize = 50_000;
/// How many looks at a job may fail in a row before the caller hears of it.
const POLL_FAILURES: u32 = 5;

/// Asks `soql` (deleted rows answer too when `all`), and gives each row's
/// `columns` to `see`. What `see` was given is only whole once this is `Ok`.
pub(crate) async fn export<const N: usize>(
    client: &Client,
    soql: &str,
    all: bool,
    columns: [&str; N],
    mut see: impl FnMut([String; N]) -> Result<(), Error>,
) -> Result<u64, Error> {
    let (id, _) = open(client, soql, all).await?;
    let patience = client.options.job_patience;
    let waited = tokio::time::timeout(patience, wait(client, id)).await;
    waited.map_err(|_| Error::Deadline { call: CALL, after: patience })??;
    let (mut total, mut locator) = (0, None);
    loop {
        let mut address = path(&format!("/{id}/results?maxRecords={PAGE}"));
        if let Some(locator) = &locator {
            address = format!("{address}&locator={locator}");
        }
        let request = Request::get(CALL, address).wants_csv();
        let mut results = Results::open(client.stream(&request).await?).await?;
        let said = |name: &str| results.header(name);
        let promised = said("Sforce-NumberOfRecords").and_then(|text| text.parse::<u64>().ok());
        // `null` is written out on the last page.
        let next = said("Sforce-Locator").filter(|text| text != "null" && !text.is_empty());
        if next.as_deref().is_some_and(|next| !is_locator(next)) {
            return Err(odd("a locator that is none"));
        }
        while let Some(row) = results.next(columns).await? {
            see(row)?;
        }
        if promised.is_some_and(|promised| promised != results.count) {
            return Err(odd("fewer or more rows than it says"));
        }
        total += results.count;
        match next {
            Some(next) if locator.as_ref() == Some(&next) => {
                return Err(odd("a page that leads to itself"));
            }
            Some(next) => locator = Some(next),
            None => break,
        }
    }
    // Its results are no longer wanted; the org lets them go by itself after a week.
    let done = Request::new(CALL, Method::DELETE, path(&format!("/{id}")));
    if let Err(error) = client.send(&done).await {
        tracing::debug!(%error, "a query job stays in the org");
    }
    Ok(total)
}

/// Makes a query job; its id, and the answer that told it.
pub(crate) async fn open(client: &Client, soql: &str, all: bool) -> Result<(SfId, Answer), Error> {
    let operation = if all { "queryAll" } else { "query" };
    let body = NewQueryJob { operation, query: soql, content_type: "CSV", line_ending: "LF" };
    let request = Request::new(CALL, Method::POST, path("")).json(&body)?;
    let answer = client.send(&request).await?;
    let info: JobInfo = answer.read()?;
    let id = SfId::parse(&info.id).map_err(|_| odd("a job id that is none"))?;
    Ok((id, answer))
}

/// Whether a text may stand in an address as a locator.
pub(crate) fn is_locator(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=.".contains(&b))
}

/// Waits until a query job is complete.
pub(crate) async fn wait(client: &Client, id: SfId) -> Result<(), Error> {
    let mut pause = client.options.poll_first;
    let mut failures = 0;
    loop {
        let looked = client.fetch::<JobInfo>(&Request::get(CALL, path(&format!("/{id}")))).await;
        match looked {
            Ok(info) => match info.state.as_str() {
                "JobComplete" => return Ok(()),
                "UploadComplete" | "InProgress" => failures = 0,
                "Failed" | "Aborted" => {
                    let text = info.error_message.unwrap_or_default();
                    return Err(job_refusal(CALL, &text));
                }
                _ => return Err(odd("a state that is none")),
            },
            Err(error) if error.advice() == Advice::Retry && failures < POLL_FAILURES => {
                tracing::debug!(%error, "looking at a query job failed");
                failures += 1;
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).max(Duration::from_millis(1)).min(client.options.poll_longest);
    }
}

pub(crate) fn path(rest: &str) -> String {
    format!("/services/data/{API_VERSION}/jobs/query{rest}")
}

fn odd(what: &str) -> Error {
    Error::Malformed { call: CALL, what: what.into() }
}
