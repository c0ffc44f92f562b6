//! `/query` and `/queryAll`: SOQL, a page at a time.

use std::cell::RefCell;
use std::sync::Arc;

use sloe_core::ids::SfId;

use super::cursors::{Cursor, Cursors};
use super::reply::{ApiError, Call, Reply};
use crate::org::codes;
use crate::org::data::Database;
use crate::org::soql::{self, Answer, Output, Plan};

/// The largest and the smallest page.
const PAGE: (usize, usize) = (2000, 200);
/// Runs a query or continues one.
pub(crate) fn answer(
    cursors: &Cursors,
    database: &mut Database,
    call: &Call,
    rest: &[&str],
    all: bool,
) -> Result<Reply, ApiError> {
    if call.method != axum::http::Method::GET {
        return Err(ApiError::method(&call.method, "GET, HEAD"));
    }
    match rest {
        [] | [""] => {}
        [locator] => return more(cursors, database, call, locator),
        _ => return Err(ApiError::not_found()),
    }
    if call.parameter("explain").is_some() {
        return Err(ApiError::unsupported("query plans (explain)"));
    }
    let text = call.parameter("q").ok_or_else(|| {
        ApiError::new(400, "MALFORMED_QUERY", "A query string has to be specified")
    })?;
    if call.parameter("columns") == Some("true") {
        return columns(database, text);
    }
    let mut query = soql::parse(text)?;
    query.owned_by(call.user);
    let plan = soql::bind(database, text, &query)?;
    let mut out = Vec::with_capacity(1024);
    match soql::run(database, &plan, all) {
        Answer::Count(count) => {
            out.extend_from_slice(
                format!("{{\"totalSize\":{count},\"done\":true,\"records\":[]}}").as_bytes(),
            );
        }
        Answer::Groups(groups) if groups.len() > PAGE.0 => {
            let message = "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch";
            return Err(ApiError::new(400, "EXCEEDED_ID_LIMIT", message));
        }
        Answer::Groups(groups) => {
            out.extend_from_slice(
                format!("{{\"totalSize\":{},\"done\":true,\"records\":[", groups.len()).as_bytes(),
            );
            for (i, group) in groups.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                plan.write_group(&mut out, group);
            }
            out.extend_from_slice(b"]}");
        }
        Answer::Records(ids) => {
            let page = Page::new(cursors, database, call, text);
            page.write(&mut out, (&[], &plan), &ids, 0, None);
            note(database, &page.opened.into_inner());
        }
    }
    Ok(Reply::raw(200, out))
}

/// `Sforce-Query-Options: batchSize=N`.
fn page_size(call: &Call) -> usize {
    let asked = call.query_options.as_deref().and_then(|options| {
        options
            .split([',', ';'])
            .find_map(|option| option.trim().strip_prefix("batchSize=")?.trim().parse().ok())
    });
    asked.unwrap_or(PAGE.0).clamp(PAGE.1, PAGE.0)
}

fn more(
    cursors: &Cursors,
    database: &mut Database,
    call: &Call,
    locator: &str,
) -> Result<Reply, ApiError> {
    let bad = || ApiError::known(&codes::LOCATOR);
    let (name, offset) = locator.rsplit_once('-').ok_or_else(bad)?;
    let offset: usize = offset.parse().map_err(|_| bad())?;
    let cursor = cursors.get(name, database.now()).ok_or_else(bad)?;
    if offset > cursor.ids.len() {
        return Err(bad());
    }
    let mut out = Vec::with_capacity(1024);
    let page = Page::new(cursors, database, call, &cursor.text);
    page.write(&mut out, (&cursor.places, &cursor.plan), &cursor.ids, offset, Some(name));
    note(database, &page.opened.into_inner());
    Ok(Reply::raw(200, out))
}

struct Page<'a> {
    cursors: &'a Cursors,
    database: &'a Database,
    version: &'a str,
    size: usize,
    /// The whole query.
    text: &'a str,
    /// The results of which it is not the last page.
    opened: RefCell<Vec<Arc<Cursor>>>,
}

fn note(database: &mut Database, opened: &[Arc<Cursor>]) {
    // Their entries are large; without a data directory nobody wants them.
    if database.directory().is_some() {
        opened.iter().for_each(|cursor| database.note(cursor.entry()));
    }
}

impl<'a> Page<'a> {
    fn new(cursors: &'a Cursors, database: &'a Database, call: &'a Call, text: &'a str) -> Self {
        let (version, size) = (&call.version, page_size(call));
        Self { cursors, database, version, size, text, opened: RefCell::default() }
    }

    fn open(&self, places: &[usize], plan: &Plan, ids: &[SfId]) -> String {
        let cursor = self.cursors.open(|name| Cursor {
            name,
            created: self.database.now(),
            text: self.text.to_owned(),
            places: places.to_vec(),
            plan: plan.clone(),
            ids: ids.to_vec(),
        });
        let name = cursor.name.clone();
        self.opened.borrow_mut().push(cursor);
        name
    }

    /// Writes `{totalSize, done, nextRecordsUrl?, records}` from the offset on. Children count towards the page's size,
    /// so it may have fewer records of its own, at least one.
    fn write(
        &self,
        out: &mut Vec<u8>,
        of: (&[usize], &Plan),
        ids: &[SfId],
        offset: usize,
        cursor: Option<&str>,
    ) {
        let (mut records, mut written, mut end) = (Vec::new(), 0, offset);
        while let Some(id) = ids.get(end)
            && written < self.size
        {
            written += self.write_record(&mut records, of, *id);
            end += 1;
        }
        self.write_around(out, of, ids, (end, cursor), &records);
    }

    /// Writes what surrounds a page's records, which end before this place of all.
    fn write_around(
        &self,
        out: &mut Vec<u8>,
        (places, plan): (&[usize], &Plan),
        ids: &[SfId],
        (end, cursor): (usize, Option<&str>),
        records: &[u8],
    ) {
        let done = end == ids.len();
        out.extend_from_slice(format!("{{\"totalSize\":{},\"done\":{done},", ids.len()).as_bytes());
        if !done {
            let name = cursor.map_or_else(|| self.open(places, plan, ids), str::to_owned);
            let url = format!(
                "\"nextRecordsUrl\":\"/services/data/{}/query/{name}-{end}\",",
                self.version
            );
            out.extend_from_slice(url.as_bytes());
        }
        out.extend_from_slice(b"\"records\":[");
        out.extend_from_slice(records);
        out.extend_from_slice(b"]}");
    }

    /// Writes one more record; answers how many that are, its children counted.
    fn write_record(
        &self,
        out: &mut Vec<u8>,
        (places, plan): (&[usize], &Plan),
        id: SfId,
    ) -> usize {
        let Some(row) = self.database.table(plan.object).get(id) else { return 0 };
        if !out.is_empty() {
            out.push(b',');
        }
        let mut written = 1;
        soql::write_record(
            out,
            self.database,
            plan,
            row,
            self.version,
            &mut |out, place, parent| {
                written += self.write_children(out, plan, &[places, &[place]].concat(), parent);
            },
        );
        written
    }

    /// Writes what the last of these places gives for one parent; `plan` is the parent's. Answers how many records
    /// that are, of all levels.
    fn write_children(
        &self,
        out: &mut Vec<u8>,
        plan: &Plan,
        places: &[usize],
        parent: SfId,
    ) -> usize {
        let output = places.last().and_then(|place| plan.outputs.get(*place));
        let Some(Output::Children { field, plan, .. }) = output else { return 0 };
        let ids = soql::children_of(self.database, plan, *field, parent);
        if ids.is_empty() {
            out.extend_from_slice(b"null");
            return 0;
        }
        let mut records = Vec::new();
        let page = ids.iter().take(self.size);
        let written = page.map(|id| self.write_record(&mut records, (places, plan), *id)).sum();
        self.write_around(out, (places, plan), &ids, (ids.len().min(self.size), None), &records);
        written
    }
}

/// `&columns=true`: what the columns are called, as some tools ask before they print a table.
fn columns(database: &Database, text: &str) -> Result<Reply, ApiError> {
    let plan = soql::bind(database, text, &soql::parse(text)?)?;
    let metadata: Vec<_> =
        plan.outputs.iter().map(|output| column_metadata(database, output)).collect();
    Ok(Reply::json(
        200,
        &serde_json::json!({
            "columnMetadata": metadata,
            "entityName": database.object(plan.object).name,
            "groupBy": !plan.group.is_empty(),
            "idSelected": plan.outputs.iter().any(|o| matches!(o, Output::Column { name, .. } if name == "Id")),
            "keyPrefix": database.object(plan.object).prefix,
        }),
    ))
}

fn column_metadata(database: &Database, output: &Output) -> serde_json::Value {
    let (name, aggregate, join, kind) = match output {
        Output::Column { column, .. } => {
            let field = database.object(column.object).fields.get(column.field);
            (
                column.names.join("."),
                false,
                Vec::new(),
                field.map_or("", crate::org::schema::describe::type_name),
            )
        }
        Output::Aggregate { name, .. } => (name.clone(), true, Vec::new(), "double"),
        Output::Children { name, plan, .. } => {
            let inner =
                plan.outputs.iter().map(|output| column_metadata(database, output)).collect();
            (name.clone(), true, inner, "")
        }
    };
    serde_json::json!({
        "columnName": name,
        "displayName": name,
        "aggregate": aggregate,
        "joinColumns": join,
        "apexType": kind,
        "booleanType": kind == "boolean",
        "numberType": matches!(kind, "double" | "currency"),
        "textAreaType": kind == "textarea",
        "custom": name.ends_with("__c"),
        "foreignKeyName": null,
        "insertable": false,
        "updatable": false,
    })
}
