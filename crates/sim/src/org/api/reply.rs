//! What a request is and what an answer is, independent of the HTTP server: composite requests make them as well.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::rc::Rc;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::error::Category;
use serde_json::json;
use sloe_core::ids::SfId;

use crate::org::codes::{self, Code};
use crate::org::data::RowError;
use crate::org::soql::QueryError;

/// One API call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// `v62.0`.
    pub(crate) version: String,
    /// What follows the version, decoded.
    pub(crate) path: Vec<String>,
    pub(crate) parameters: Vec<(String, String)>,
    /// The client that `Sforce-Call-Options` names.
    pub(crate) client: Option<String>,
    /// `Sforce-Query-Options`, if sent.
    pub(crate) query_options: Option<String>,
    pub(crate) content_type: Option<String>,
    /// `If-Modified-Since`, if sent.
    pub(crate) if_modified_since: Option<String>,
    pub(crate) body: bytes::Bytes,
    /// Who calls.
    pub(crate) user: SfId,
    /// Whether it is within a call that is done as a whole or not at all.
    pub(crate) all_or_none: bool,
    /// Which of its rows fail; those of calls within it too.
    pub(crate) fates: Rc<Fates>,
}

/// What the fault rules make of a call's rows: drawn once, also where the call's transaction is tried again.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    drawn: RefCell<Vec<Option<RowError>>>,
    next: Cell<usize>,
}

impl Fates {
    /// The call is tried, perhaps again.
    pub(crate) fn begin(&self) {
        self.next.set(0);
    }

    /// How the next row fails, if it does.
    pub(crate) fn next(&self, draw: impl FnOnce() -> Option<RowError>) -> Option<RowError> {
        let place = self.next.replace(self.next.get() + 1);
        let mut drawn = self.drawn.borrow_mut();
        if place >= drawn.len() {
            drawn.push(draw());
        }
        drawn.get(place).cloned().flatten()
    }
}

/// Who made a change, as change events say it: `com/salesforce/api/rest/62.0;client=ID`.
pub(crate) fn origin(api: &str, version: &str, client: Option<&str>) -> String {
    let client = client.map_or_else(String::new, |id| format!(";client={id}"));
    format!("com/salesforce/api/{api}/{}{client}", version.trim_start_matches('v'))
}

impl Call {
    /// A query parameter's value.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The version's number, such as 62.
    pub(crate) fn version_number(&self) -> u32 {
        self.version
            .trim_start_matches('v')
            .split('.')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0)
    }

    /// The body as JSON of the wanted shape.
    ///
    /// # Errors
    /// `JSON_PARSER_ERROR`.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            if self.body.iter().all(u8::is_ascii_whitespace) {
                return ApiError::known(&codes::NO_BODY);
            }
            ApiError::new(codes::NO_BODY.status, codes::NO_BODY.code, unreadable(&error))
        })
    }
}

/// What is wrong with a JSON body, and where.
fn unreadable(error: &serde_json::Error) -> String {
    let place = format!("at [line:{}, column:{}]", error.line(), error.column());
    match error.classify() {
        Category::Eof => format!("Unexpected end-of-input {place}"),
        Category::Data => {
            let text = error.to_string();
            let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
            format!("{what} {place}")
        }
        Category::Syntax | Category::Io => format!("Unexpected character {place}"),
    }
}

/// From how many bytes on an answer is compressed.
const COMPRESSED: usize = 1024;

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// An answer with a JSON body that is already written.
    pub(crate) fn raw(status: u16, body: Vec<u8>) -> Self {
        Self { status, content_type: "application/json;charset=UTF-8", headers: Vec::new(), body }
    }

    /// An answer with a JSON body.
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        Self::raw(status, serde_json::to_vec(body).unwrap_or_default())
    }

    /// 204.
    pub(crate) fn nothing() -> Self {
        Self::raw(204, Vec::new())
    }

    /// CSV.
    pub(crate) fn csv(body: Vec<u8>) -> Self {
        Self { status: 200, content_type: "text/csv", headers: Vec::new(), body }
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same as clients get it whose request says that they take gzip, or that they don't: small ones stay plain.
    pub(crate) fn encoded(mut self, gzip: bool) -> Self {
        if self.body.len() < COMPRESSED {
            return self;
        }
        if gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            // Writing to memory does not fail; if it did, the answer would go out plain.
            if let Ok(body) = encoder.write_all(&self.body).and_then(|()| encoder.finish()) {
                self.body = body;
                self.headers.push(("content-encoding", "gzip".to_owned()));
            }
        }
        self.with("vary", "accept-encoding")
    }

    /// As the HTTP server sends it.
    pub(crate) fn into_response(self) -> Response<Body> {
        let empty = self.body.is_empty();
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if !empty {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// A request that is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) fields: Option<Vec<String>>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), fields: None }
    }

    /// A refusal in its usual words.
    pub(crate) fn known(code: &Code) -> Self {
        Self::new(code.status, code.code, code.message)
    }

    /// Nothing lives at this address.
    pub(crate) fn not_found() -> Self {
        Self::known(&codes::NOT_FOUND)
    }

    /// Salesforce has this, the simulated org has not.
    pub(crate) fn unsupported(what: &str) -> Self {
        let mut error = Self::not_found();
        error.message.push_str(": the simulated org has no ");
        error.message.push_str(what);
        error
    }

    /// A resource that doesn't know the method.
    pub(crate) fn method(method: &Method, allowed: &str) -> Self {
        Self::new(
            405,
            "METHOD_NOT_ALLOWED",
            format!("HTTP Method '{method}' not allowed. Allowed are {allowed}"),
        )
    }

    /// As the REST API words it: a list of one.
    pub(crate) fn reply(&self) -> Reply {
        let mut entry = json!({ "message": self.message, "errorCode": self.code });
        if let (Some(fields), Some(entry)) = (&self.fields, entry.as_object_mut()) {
            entry.insert("fields".to_owned(), fields.clone().into());
        }
        Reply::json(self.status, &[entry])
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self::new(400, error.code, error.message)
    }
}

/// The answer of a single-record resource to a refused record.
pub(crate) fn refuse(errors: &[RowError]) -> Reply {
    let status = errors.first().map_or(400, RowError::status);
    let entries: Vec<_> = errors
        .iter()
        .map(|e| json!({ "message": e.message, "errorCode": e.code, "fields": e.fields }))
        .collect();
    Reply::json(status, &entries)
}
