//! A Bulk API 2.0 query: made, waited for, and read row by row. Its result is
//! fetched in pages of some megabytes, one at a time, so that a result of any
//! size takes as much memory as one page.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use csv::StringRecord;
use reqwest::Method;
use sloe_core::ids::SfId;
use sloe_core::inbound::{Kind, RawRecord, Value};
use sloe_core::time::Timestamp;

use crate::batch::bulk::JobId;
use crate::client::{API_VERSION, Client, Request};
use crate::error::{Advice, Error, Private};
use crate::map::ReadNames;
use crate::wire::{JobInfo, NewQueryJob};

const CALL: &str = "query in bulk";
/// Rows of the first page, before it is known how large they are.
const FIRST: usize = 500;
/// What a page should have, in bytes.
const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// The fewest and the most rows of a page.
const ROWS: std::ops::RangeInclusive<usize> = 100..=50_000;
/// How long a query may take before its rows are read another way.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How many looks at a job may fail in a row.
const FAILURES: u32 = 5;

/// A query under way.
pub(super) struct QueryJob {
    id: JobId,
    /// When the org made it, by its own clock.
    pub(super) as_of: Timestamp,
}

fn path(id: &JobId, rest: &str) -> String {
    format!("/services/data/{API_VERSION}/jobs/query/{}{rest}", id.as_str())
}

/// Makes a query job.
pub(super) async fn open(client: &Client, soql: &str) -> Result<QueryJob, Error> {
    let body = NewQueryJob { operation: "query", query: soql };
    let address = format!("/services/data/{API_VERSION}/jobs/query");
    let answer = client.send(&Request::new(CALL, Method::POST, address).json(&body)?).await?;
    let as_of = super::date(&answer)?;
    let info: JobInfo = answer.read()?;
    let id = JobId::parse(&info.id).ok_or_else(|| odd("a job id that is none"))?;
    tracing::debug!(job = id.as_str(), "bulk query made");
    Ok(QueryJob { id, as_of })
}

impl QueryJob {
    /// Waits until the org has the rows together.
    pub(super) async fn rows(self, client: &Client) -> Result<Rows, Error> {
        let wait = async {
            let mut pause = client.options.poll_first;
            let mut failures = 0;
            loop {
                match self.is_complete(client).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => failures = 0,
                    Err(error) if error.advice() == Advice::Retry && failures < FAILURES => {
                        failures += 1;
                    }
                    Err(error) => return Err(error),
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 3 / 2).min(client.options.poll_longest);
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(Ok(())) => Ok(Rows {
                client: client.clone(),
                id: self.id,
                page: None,
                next: Next::Start,
                size: FIRST,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Deadline { call: CALL, after: PATIENCE }),
        }
    }

    async fn is_complete(&self, client: &Client) -> Result<bool, Error> {
        let info: JobInfo = client.fetch(&Request::get(CALL, path(&self.id, ""))).await?;
        match info.state.as_str() {
            "JobComplete" => Ok(true),
            "UploadComplete" | "InProgress" => Ok(false),
            other => {
                let message = info.error_message.unwrap_or_default();
                let (code, _) = message.split_once(':').unwrap_or((other, ""));
                let code = code.trim().to_owned();
                Err(Error::Refused { call: CALL, status: 0, code, message: Private::new(&message) })
            }
        }
    }
}

enum Next {
    Start,
    Locator(String),
    End,
}

/// The rows of a finished query, in its order.
pub(super) struct Rows {
    client: Client,
    id: JobId,
    page: Option<Page>,
    next: Next,
    size: usize,
}

struct Page {
    reader: csv::Reader<std::io::Cursor<Bytes>>,
    columns: HashMap<String, usize>,
}

/// A row of a result file.
pub(super) struct Row<'a> {
    cells: &'a StringRecord,
    columns: &'a HashMap<String, usize>,
}

impl Rows {
    /// Reads the next row into `cells`; whether there was one.
    pub(super) async fn read(&mut self, cells: &mut StringRecord) -> Result<bool, Error> {
        loop {
            if let Some(page) = &mut self.page
                && page.reader.read_record(cells).map_err(|_| odd("a result that is no CSV"))?
            {
                return Ok(true);
            }
            // Not two pages at once.
            self.page = None;
            if !self.fetch().await? {
                return Ok(false);
            }
        }
    }

    /// A row just read.
    pub(super) fn row<'a>(&'a self, cells: &'a StringRecord) -> Option<Row<'a>> {
        Some(Row { cells, columns: &self.page.as_ref()?.columns })
    }

    async fn fetch(&mut self) -> Result<bool, Error> {
        let size = self.size;
        let address = match &self.next {
            Next::End => return Ok(false),
            Next::Start => path(&self.id, &format!("/results?maxRecords={size}")),
            Next::Locator(locator) => {
                path(&self.id, &format!("/results?maxRecords={size}&locator={locator}"))
            }
        };
        let answer = self.client.send(&Request::get(CALL, address).wants_csv()).await?;
        self.next = match answer.header("sforce-locator") {
            None | Some("null" | "") => Next::End,
            Some(locator)
                if locator.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b)) =>
            {
                Next::Locator(locator.to_owned())
            }
            Some(_) => return Err(odd("a locator that can't be in an address")),
        };
        let rows = answer.header("sforce-numberofrecords").and_then(|n| n.parse::<usize>().ok());
        if let Some(rows) = rows.filter(|rows| *rows > 0) {
            let fits = PAGE_BYTES / (answer.body.len() / rows).max(1);
            self.size = fits.clamp(*ROWS.start(), *ROWS.end());
        }
        let mut reader = csv::Reader::from_reader(std::io::Cursor::new(answer.body));
        let header = reader.headers().map_err(|_| odd("a result that is no CSV"))?;
        let names = header.iter().enumerate();
        let columns = names.map(|(at, name)| (name.to_ascii_lowercase(), at)).collect();
        self.page = Some(Page { reader, columns });
        Ok(true)
    }
}

impl Row<'_> {
    fn cell(&self, name: &str) -> &str {
        let at = self.columns.get(&name.to_ascii_lowercase());
        at.and_then(|at| self.cells.get(*at)).unwrap_or_default()
    }

    /// The record id in a column; `None` when it is empty.
    pub(super) fn id(&self, name: &str) -> Result<Option<SfId>, Error> {
        match self.cell(name) {
            "" => Ok(None),
            text => SfId::parse(text).map(Some).map_err(|_| odd("an id that is none")),
        }
    }

    /// The record, with values as a query by REST gives them.
    pub(super) fn record(&self, names: &ReadNames) -> Result<RawRecord, Error> {
        let id = self.id("Id")?.ok_or_else(|| odd("a record without an id"))?;
        let value = |(field, name): (&sloe_core::inbound::Field, &String)| {
            let text = self.cell(name);
            let value = match field.kind() {
                _ if text.is_empty() => Value::Null,
                Kind::Number => match text.parse() {
                    Ok(number) => Value::Number(number),
                    Err(_) => Value::Text(text.to_owned()),
                },
                Kind::Flag if text.eq_ignore_ascii_case("true") => Value::Bool(true),
                Kind::Flag if text.eq_ignore_ascii_case("false") => Value::Bool(false),
                Kind::Flag | Kind::Text => Value::Text(text.to_owned()),
            };
            (*field, value)
        };
        Ok(RawRecord { id, fields: names.fields.iter().map(value).collect() })
    }
}

fn odd(what: &str) -> Error {
    Error::Malformed { call: CALL, what: what.into() }
}
