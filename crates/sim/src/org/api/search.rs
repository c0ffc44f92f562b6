//! `/search` and `/parameterizedSearch`: SOSL, and the same in parameters.

use axum::http::Method;
use serde::Deserialize;

use super::reply::{ApiError, Call, Reply};
use crate::org::data::Database;
use crate::org::soql;
use crate::org::sosl::{self, MOST, Returning, Scope, Search, Terms};

/// From this version on the records are a field of the answer and not all of it.
const WRAPPED: u32 = 37;

/// Answers `/search?q=`.
pub(crate) fn answer(database: &Database, call: &Call) -> Result<Reply, ApiError> {
    if call.method != Method::GET {
        return Err(ApiError::method(&call.method, "GET, HEAD"));
    }
    let text =
        call.parameter("q").ok_or_else(|| malformed("A search string has to be specified"))?;
    write(database, call, &sosl::parse(text)?)
}

fn malformed(message: &str) -> ApiError {
    ApiError::new(400, "MALFORMED_SEARCH", message)
}

/// The body of a parameterized search.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Body {
    q: Option<String>,
    r#in: Option<String>,
    fields: Vec<String>,
    sobjects: Vec<Of>,
    overall_limit: Option<usize>,
    default_limit: Option<usize>,
}

/// What it says of one object.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Of {
    name: String,
    fields: Vec<String>,
    r#where: Option<String>,
    order_by: Option<String>,
    limit: Option<usize>,
}

/// Answers `/parameterizedSearch`.
pub(crate) fn parameterized(database: &Database, call: &Call) -> Result<Reply, ApiError> {
    let body = match call.method {
        Method::GET => read_parameters(call)?,
        Method::POST => call.json()?,
        _ => return Err(ApiError::method(&call.method, "GET, HEAD, POST")),
    };
    let terms = Terms::parse(&body.q.unwrap_or_default())?;
    let scope = match body.r#in.as_deref() {
        None => Scope::All,
        Some(name) => Scope::named(name)
            .ok_or_else(|| malformed(&format!("the simulated org doesn't search in {name}")))?,
    };
    let returning = body.sobjects.into_iter().map(|of| {
        let mut returning = Returning::ids(&of.name);
        let fields = if of.fields.is_empty() { &body.fields } else { &of.fields };
        if !fields.is_empty() {
            returning.fields = fields.join(", ");
        }
        let clauses = [
            ("WHERE", of.r#where),
            ("ORDER BY", of.order_by),
            ("LIMIT", of.limit.or(body.default_limit).map(|limit| limit.to_string())),
        ];
        let clauses =
            clauses.into_iter().filter_map(|(word, text)| Some(format!("{word} {}", text?)));
        returning.rest = clauses.collect::<Vec<_>>().join(" ");
        returning
    });
    let returning = returning.collect();
    write(database, call, &Search { terms, scope, returning, limit: body.overall_limit })
}

/// `q=…&sobject=Contact&Contact.fields=Id,Name&Contact.limit=5`.
fn read_parameters(call: &Call) -> Result<Body, ApiError> {
    let text = |name: &str| call.parameter(name).map(str::to_owned);
    let list = |name: &str| -> Vec<String> {
        let all = call.parameter(name).unwrap_or_default().split(',').map(str::trim);
        all.filter(|one| !one.is_empty()).map(str::to_owned).collect()
    };
    let number = |name: &str| {
        let number = call.parameter(name).map(str::parse).transpose();
        number.map_err(|_| ApiError::new(400, "INVALID_INPUT", format!("{name} isn't a number")))
    };
    let named = call.parameters.iter().filter(|(name, _)| name == "sobject");
    let names = named.flat_map(|(_, names)| names.split(',')).map(str::trim);
    let mut sobjects = Vec::new();
    for name in names.filter(|name| !name.is_empty()) {
        sobjects.push(Of {
            name: name.to_owned(),
            fields: list(&format!("{name}.fields")),
            r#where: text(&format!("{name}.where")),
            order_by: text(&format!("{name}.orderBy")),
            limit: number(&format!("{name}.limit"))?,
        });
    }
    Ok(Body {
        q: text("q"),
        r#in: text("in"),
        fields: list("fields"),
        sobjects,
        overall_limit: number("overallLimit")?,
        default_limit: number("defaultLimit")?,
    })
}

fn write(database: &Database, call: &Call, search: &Search) -> Result<Reply, ApiError> {
    if search.limit.is_some_and(|limit| limit > MOST) {
        return Err(malformed(&format!("a search gives at most {MOST} records")));
    }
    let wrapped = call.version_number() >= WRAPPED;
    let mut out = if wrapped { b"{\"searchRecords\":[".to_vec() } else { b"[".to_vec() };
    let mut first = true;
    for found in sosl::run(database, search, call.user)? {
        let table = database.table(found.plan.object);
        for row in found.ids.iter().filter_map(|id| table.get(*id)) {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            // There are no children: a search that asks for them is refused.
            soql::write_record(
                &mut out,
                database,
                &found.plan,
                row,
                &call.version,
                &mut |_, _, _| {},
            );
        }
    }
    out.extend_from_slice(if wrapped { b"]}" } else { b"]" });
    Ok(Reply::raw(200, out))
}
