//! The CSV that Bulk API 2.0 takes and gives: one table per job, all rows
//! with the same columns.

use std::collections::HashMap;
use std::io::Cursor;

use bytes::Bytes;
use serde_json::Value as Json;
use sloe_core::ids::SfId;

use crate::client::Coming;
use crate::error::Error;
use crate::error::codes::facts;
use crate::map::{Column, Mapping, WriteNames};
use crate::row::{CSV_NULL, Row};
use crate::wire::SaveError;

const CALL: &str = "bulk job";

/// One row as it goes into the file: by external id, or by id when given.
pub(crate) type Line<'a> = (Option<SfId>, &'a Row);

/// The file for `lines`, in their order; they all go by the same kind of key.
pub(crate) fn write(
    lines: &[Line<'_>],
    names: &WriteNames,
    mapping: &Mapping,
) -> Result<Bytes, Error> {
    let broken = |_| Error::Malformed { call: CALL, what: "a row that makes no CSV".into() };
    let by_id = lines.first().is_some_and(|(id, _)| id.is_some());
    let columns: Vec<(Column, String)> = names
        .columns
        .iter()
        .filter(|(column, _)| lines.iter().any(|(_, row)| has(row, **column)))
        .map(|(column, name)| (*column, header(*column, name, names, mapping)))
        .collect();
    let mut out = csv::WriterBuilder::new().from_writer(Vec::new());
    let key = if by_id { "Id" } else { names.key.as_str() };
    let own: Vec<(&String, String)> =
        names.own(!by_id).map(|(name, value)| (name, own_text(value))).collect();
    let head = std::iter::once(key).chain(names.version.as_deref());
    let head = head.chain(own.iter().map(|(name, _)| name.as_str()));
    out.write_record(head.chain(columns.iter().map(|(_, name)| name.as_str()))).map_err(broken)?;

    for (id, row) in lines {
        let key = id.map_or_else(|| row.key.clone(), |id| id.to_string());
        let cells = columns.iter().map(|(column, _)| cell_text(row, *column, names));
        let version = names.version.as_ref().map(|_| row.version.to_string());
        let head = std::iter::once(key).chain(version);
        let head = head.chain(own.iter().map(|(_, value)| value.clone()));
        out.write_record(head.chain(cells)).map_err(broken)?;
    }
    let bytes = out.into_inner();
    bytes.map(Bytes::from).map_err(|_| Error::Malformed { call: CALL, what: "no CSV".into() })
}

fn has(row: &Row, column: Column) -> bool {
    row.cells.iter().any(|(c, _)| *c == column)
}

/// The org's own value as CSV carries it.
fn own_text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn cell_text(row: &Row, column: Column, names: &WriteNames) -> String {
    match row.cells.iter().rev().find(|(c, _)| *c == column) {
        None => String::new(),
        Some((_, cell)) => cell.text(names).unwrap_or_else(|| CSV_NULL.to_owned()),
    }
}

fn header(column: Column, name: &str, names: &WriteNames, mapping: &Mapping) -> String {
    match (&names.parent, column) {
        (Some(parent), Column::Attendee) => format!("{parent}.{}", mapping.attendee.key),
        _ => name.to_owned(),
    }
}

/// A record that grows beyond this is none: Salesforce's hold 400,000
/// characters at most.
const MAX_RECORD: usize = 8 * 1024 * 1024;

/// A file of records as it comes, never more of it in memory than has come at
/// once. Every record has as many fields as the header, and the file ends with
/// a line's end: what ends in the middle of a record was cut off, and none of
/// it may be believed.
pub(crate) struct Results {
    coming: Option<Coming>,
    /// What has come and is no whole record yet.
    rest: Vec<u8>,
    /// How much of `rest` was looked through, and whether that ends within quotes.
    seen: (usize, bool),
    /// Whole records.
    records: csv::StringRecordsIntoIter<Cursor<Vec<u8>>>,
    columns: HashMap<String, usize>,
    width: usize,
    /// Records given so far.
    pub(crate) count: u64,
}

impl Results {
    /// Reads the header; an empty body is a file without rows.
    pub(crate) async fn open(coming: Coming) -> Result<Self, Error> {
        Self::begin(Some(coming), Vec::new()).await
    }

    async fn begin(coming: Option<Coming>, rest: Vec<u8>) -> Result<Self, Error> {
        let records = records(Vec::new());
        let (columns, seen) = (HashMap::new(), (0, false));
        let mut results = Self { coming, rest, seen, records, columns, width: 0, count: 0 };
        if let Some(header) = results.record().await? {
            results.width = header.len();
            let names = header.iter().enumerate();
            results.columns = names.map(|(at, name)| (name.to_ascii_lowercase(), at)).collect();
        }
        Ok(results)
    }

    /// What a header of the answer says.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.coming.as_ref()?.header(name).map(str::to_owned)
    }

    /// The next row's values of the columns named, whatever their case; a
    /// column that isn't there gives empty text.
    pub(crate) async fn next<const N: usize>(
        &mut self,
        wanted: [&str; N],
    ) -> Result<Option<[String; N]>, Error> {
        let Some(record) = self.record().await? else { return Ok(None) };
        if record.len() != self.width {
            return Err(unreadable());
        }
        self.count += 1;
        let value = |name: &str| {
            let at = self.columns.get(&name.to_ascii_lowercase());
            at.and_then(|at| record.get(*at)).unwrap_or_default().to_owned()
        };
        Ok(Some(wanted.map(value)))
    }

    async fn record(&mut self) -> Result<Option<csv::StringRecord>, Error> {
        loop {
            if let Some(record) = self.records.next() {
                return record.map(Some).map_err(|_| unreadable());
            }
            if let Some(whole) = self.whole() {
                self.records = records(whole);
                continue;
            }
            if self.rest.len() > MAX_RECORD {
                return Err(unreadable());
            }
            let chunk = match &mut self.coming {
                Some(coming) => coming.chunk().await?,
                None => None,
            };
            match chunk {
                Some(chunk) => self.rest.extend_from_slice(&chunk),
                None if self.rest.is_empty() => return Ok(None),
                None => return Err(cut_off()),
            }
        }
    }

    /// Takes the whole records out of what has come.
    fn whole(&mut self) -> Option<Vec<u8>> {
        let (mut at, mut quoted) = self.seen;
        let mut end = None;
        while let Some(byte) = self.rest.get(at) {
            match byte {
                b'"' => quoted = !quoted,
                // What follows a line's end outside of quotes begins outside of quotes.
                b'\n' if !quoted => end = Some(at + 1),
                _ => {}
            }
            at += 1;
        }
        self.seen = (at - end.unwrap_or(0), quoted);
        let rest = self.rest.split_off(end?);
        Some(std::mem::replace(&mut self.rest, rest))
    }
}

fn records(whole: Vec<u8>) -> csv::StringRecordsIntoIter<Cursor<Vec<u8>>> {
    let mut builder = csv::ReaderBuilder::new();
    builder.flexible(true).has_headers(false);
    builder.from_reader(Cursor::new(whole)).into_records()
}

fn unreadable() -> Error {
    Error::Malformed { call: CALL, what: "a result file that is no CSV".into() }
}

fn cut_off() -> Error {
    Error::Malformed { call: CALL, what: "a result file that ends in the middle of a row".into() }
}

/// Reads `sf__Error`: `CODE:message:Field_A__c Field_B__c --`. The message may
/// hold colons of its own. What has no code at its beginning is all message.
pub(crate) fn parse_error(text: &str) -> SaveError {
    let text = text.trim().trim_end_matches('-').trim_end();
    let (code, rest) = text.split_once(':').unwrap_or((text, ""));
    let is_capital = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let is_code = facts(code).is_some() || code.bytes().all(is_capital);
    let (code, rest) = if is_code { (code, rest) } else { ("", text) };
    let is_name = |word: &&str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let split = |words: &str| -> Vec<String> {
        let words = words.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let (message, fields) = match rest.rsplit_once(':') {
        Some((message, tail)) if split(tail).iter().all(|word| is_name(&word.as_str())) => {
            (message, split(tail))
        }
        _ => (rest, Vec::new()),
    };
    SaveError { status_code: code.to_owned(), message: message.to_owned(), fields }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::row::Cell;

    fn text(lines: &[Line<'_>], mapping: &Mapping, names: &WriteNames) -> String {
        String::from_utf8(write(lines, names, mapping).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn rows_that_say_less_leave_cells_empty_and_nulls_are_spelled_out() {
        let mapping = Mapping::default();
        let full = Row::new("k1".into(), 3)
            .with(Column::LastName, Cell::Text("O\"Neil, Ann".into()))
            .with(Column::Email, Cell::Null);
        let less = Row::new("k0".into(), 4).with(Column::LastName, Cell::Text("Łuk\nasz".into()));
        let file = text(&[(None, &full), (None, &less)], &mapping, &mapping.attendee);
        assert_eq!(
            file,
            "Sloe_Id__c,Sloe_Version__c,Last_Name__c,Email__c\n\
             k1,3,\"O\"\"Neil, Ann\",#N/A\nk0,4,\"Łuk\nasz\",\n"
        );
    }

    #[test]
    fn a_session_row_names_its_parent_by_external_id() {
        let mapping = Mapping::default();
        let row = |key: &str, parent: &str| {
            Row::new(key.into(), 1).with(Column::Attendee, Cell::Text(parent.into()))
        };
        let rows = [row("a", "p2"), row("b", "p1")];
        let lines: Vec<Line<'_>> = rows.iter().map(|row| (None, row)).collect();
        let file = text(&lines, &mapping, &mapping.session_attendee);
        assert_eq!(file, "Sloe_Id__c,Sloe_Version__c,Attendee__r.Sloe_Id__c\na,1,p2\nb,1,p1\n");
    }

    #[test]
    fn the_org_s_own_fields_are_set_and_its_defaults_only_in_the_first_row() {
        let mut mapping = Mapping::default();
        mapping.attendee.version = None;
        mapping.attendee.constants.insert("Source__c".into(), "Sloe, web".into());
        mapping.attendee.defaults.insert("Rank__c".into(), 3.into());
        let row = Row::new("k1".into(), 3).with_status(crate::row::Status::Cancelled);
        let file = text(&[(None, &row)], &mapping, &mapping.attendee);
        assert_eq!(
            file,
            "Sloe_Id__c,Source__c,Rank__c,Registration_Status__c\nk1,\"Sloe, web\",3,Cancelled\n"
        );
        let id = SfId::parse("a03000000000001").unwrap();
        let file = text(&[(Some(id), &row)], &mapping, &mapping.attendee);
        assert_eq!(
            file,
            "Id,Source__c,Registration_Status__c\na03000000000001AAA,\"Sloe, web\",Cancelled\n"
        );
    }

    #[test]
    fn an_error_text_is_taken_apart_even_with_colons_in_the_message() {
        let error =
            parse_error("REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --");
        assert_eq!(error.status_code, "REQUIRED_FIELD_MISSING");
        assert_eq!(error.message, "Required fields are missing: [Name]");
        assert_eq!(error.fields, ["Name"]);
        let error = parse_error(
            "INVALID_FIELD:Foreign key external ID: k9 not found for field Sloe_Id__c in entity Sloe_Attendee__c:--",
        );
        assert_eq!(error.status_code, "INVALID_FIELD");
        assert!(error.message.starts_with("Foreign key external ID: k9"), "{}", error.message);
        assert!(error.fields.is_empty());
        assert_eq!(parse_error("").status_code, "");
        assert_eq!(parse_error("UNABLE_TO_LOCK_ROW").status_code, "UNABLE_TO_LOCK_ROW");
    }

    #[test]
    fn the_org_s_words_are_no_code_although_they_stand_where_codes_do() {
        for text in ["Ng", "Ann Ng is taken --", "Ng:is taken", "Ann Ng: is taken: Email__c --"] {
            let error = parse_error(text);
            assert_eq!(error.status_code, "", "{text}");
            assert!(error.message.contains("Ng"), "{text}: {}", error.message);
        }
    }

    async fn read(body: &[u8]) -> Result<Vec<[String; 3]>, Error> {
        let mut results = Results::begin(None, body.to_vec()).await?;
        let mut rows = Vec::new();
        while let Some(row) = results.next(["Sloe_Id__c", "sf__Id", "absent"]).await? {
            rows.push(row);
        }
        Ok(rows)
    }

    #[tokio::test]
    async fn result_columns_are_found_by_name_in_any_order_and_case() {
        let body = b"\"SF__ID\",\"sf__Created\",\"Sloe_Id__c\"\n\"a01\",\"true\",\"k1\"\n";
        assert_eq!(read(body).await.unwrap(), [["k1", "a01", ""]]);
        assert!(read(b"").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_file_cut_anywhere_within_a_row_is_not_believed() {
        let body = "sf__Id,Sloe_Id__c,x\na1,k1,\"say \"\"hi\"\",\nthere\"\na2,k2,\"שלום 🎉\"\n";
        let rows = [["k1", "a1", ""], ["k2", "a2", ""]];
        assert_eq!(read(body.as_bytes()).await.unwrap(), rows);
        for at in 1..body.len() {
            match read(&body.as_bytes()[..at]).await {
                // Cut between two rows, it is shorter and true: who knows how many there are asks.
                Ok(read) => assert!(read.len() < 2 && read[..] == rows[..read.len()], "{at}"),
                Err(Error::Malformed { .. }) => {}
                Err(other) => panic!("{at}: {other}"),
            }
        }
    }
}
