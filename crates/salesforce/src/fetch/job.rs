//! A Bulk API 2.0 query: made, waited for, and read row by row. Its result is
//! fetched in pages of some megabytes, one at a time, so that a result of any
//! size takes as much memory as one page.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use csv::StringRecord;
use sloe_core::ids::SfId;
use sloe_core::inbound::{Kind, RawRecord, Value};
use sloe_core::time::Timestamp;

use crate::batch::export;
use crate::client::{Client, Request};
use crate::error::Error;
use crate::map::{ReadNames, translate};

const CALL: &str = "query in bulk";
/// Rows of the first page, before it is known how large they are.
const FIRST: usize = 500;
/// What a page should have, in bytes.
const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// The fewest and the most rows of a page.
const ROWS: std::ops::RangeInclusive<usize> = 100..=50_000;
/// How long a query may take before its rows are read another way.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// A query under way.
pub(super) struct QueryJob {
    id: SfId,
    /// When the org made it, by its own clock.
    pub(super) as_of: Timestamp,
}

/// Makes a query job.
pub(super) async fn open(client: &Client, soql: &str) -> Result<QueryJob, Error> {
    let (id, answer) = export::open(client, soql, false).await?;
    Ok(QueryJob { id, as_of: super::date(&answer)? })
}

impl QueryJob {
    /// Waits until the org has the rows together.
    pub(super) async fn rows(self, client: &Client) -> Result<Rows, Error> {
        let waited = tokio::time::timeout(PATIENCE, export::wait(client, self.id)).await;
        waited.map_err(|_| Error::Deadline { call: CALL, after: PATIENCE })??;
        let client = client.clone();
        Ok(Rows { client, id: self.id, page: None, next: Next::Start, size: FIRST })
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
    id: SfId,
    page: Option<Page>,
    next: Next,
    size: usize,
}

struct Page {
    reader: csv::Reader<std::io::Cursor<Bytes>>,
    columns: HashMap<String, usize>,
    /// Rows that the org says it holds.
    promised: Option<usize>,
    read: usize,
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
            if let Some(page) = &mut self.page {
                if page.reader.read_record(cells).map_err(|_| odd("a result that is no CSV"))? {
                    page.read += 1;
                    return Ok(true);
                }
                if page.promised.is_some_and(|promised| promised != page.read) {
                    return Err(odd("fewer or more rows than it says"));
                }
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
        let (id, size) = (self.id, self.size);
        let rest = match &self.next {
            Next::End => return Ok(false),
            Next::Start => format!("/{id}/results?maxRecords={size}"),
            Next::Locator(locator) => {
                format!("/{id}/results?maxRecords={size}&locator={locator}")
            }
        };
        let request = Request::get(CALL, export::path(&rest)).wants_csv();
        let answer = self.client.send(&request).await?;
        self.next = match (answer.header("sforce-locator"), &self.next) {
            (None | Some("null" | ""), _) => Next::End,
            (Some(to), Next::Locator(from)) if to == from => {
                return Err(odd("a page that leads to itself"));
            }
            (Some(to), _) if export::is_locator(to) => Next::Locator(to.to_owned()),
            (Some(_), _) => return Err(odd("a locator that is none")),
        };
        let said = answer.header("sforce-numberofrecords");
        let promised = said.and_then(|text| text.parse::<usize>().ok());
        if let Some(rows) = promised.filter(|rows| *rows > 0) {
            let fits = PAGE_BYTES / (answer.body.len() / rows).max(1);
            self.size = fits.clamp(*ROWS.start(), *ROWS.end());
        }
        let mut reader = csv::Reader::from_reader(std::io::Cursor::new(answer.body));
        let header = reader.headers().map_err(|_| odd("a result that is no CSV"))?;
        let names = header.iter().enumerate();
        let columns = names.map(|(at, name)| (name.to_ascii_lowercase(), at)).collect();
        self.page = Some(Page { reader, columns, promised, read: 0 });
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

    /// The record, with values as a query by REST gives them, in Sloe's words where the mapping has them.
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
        let mut fields = names.fields.iter().map(value).collect();
        translate::values(&mut fields, names);
        Ok(RawRecord { id, fields })
    }
}

fn odd(what: &str) -> Error {
    Error::Malformed { call: CALL, what: what.into() }
}
