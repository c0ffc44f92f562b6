//! One value of one field: read from JSON, CSV or a form, checked against the field, and written again.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::Date;
use sloe_core::ids::SfId;

use super::error::RowError;
use crate::org::schema::{Field, Kind};

/// A stored value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Nothing.
    Null,
    /// Of a checkbox.
    Bool(bool),
    /// Of numbers and currencies.
    Number(f64),
    /// Of everything written in characters.
    Text(Box<str>),
    /// A day.
    Date(Date),
    /// Milliseconds since 1970, UTC; whole seconds, as Salesforce keeps them.
    Time(i64),
    /// A record.
    Id(SfId),
}

/// Why a JSON value isn't one for its field.
#[derive(Debug)]
pub(crate) enum JsonFault {
    /// The whole request is refused: Salesforce's own parser stops here.
    Request(String),
    /// This record is refused.
    Row(RowError),
}

impl Value {
    /// Whether there is nothing in it.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The record it names, if it does.
    pub(crate) fn id(&self) -> Option<SfId> {
        match self {
            Value::Id(id) => Some(*id),
            _ => None,
        }
    }

    /// Reads a value from a JSON request.
    pub(crate) fn from_json(field: &Field, json: &serde_json::Value) -> Result<Self, JsonFault> {
        use serde_json::Value as Json;
        let text: Cow<'_, str> = match json {
            Json::Null => return Ok(Value::Null),
            Json::Bool(b) if field.kind == Kind::Checkbox => return Ok(Value::Bool(*b)),
            Json::Number(n) => match (&field.kind, n.as_f64()) {
                (Kind::Number(..) | Kind::Currency(..), Some(n)) => {
                    return fit_number(field, n).map_err(JsonFault::Row);
                }
                (Kind::Text(_) | Kind::LongText(_) | Kind::Picklist { .. } | Kind::Phone, _) => {
                    n.to_string().into()
                }
                _ => return Err(mismatch(field, "VALUE_NUMBER", &n.to_string())),
            },
            Json::String(text) => text.as_str().into(),
            Json::Bool(b) => return Err(mismatch(field, "VALUE_BOOLEAN", &b.to_string())),
            Json::Array(_) => return Err(mismatch(field, "START_ARRAY", "[")),
            Json::Object(_) => return Err(mismatch(field, "START_OBJECT", "{")),
        };
        match parse_text(field, &text) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(mismatch(field, "VALUE_STRING", &text)),
            Err(error) => Err(JsonFault::Row(error)),
        }
    }

    /// Reads a value from a CSV cell or a form: an empty text is no value.
    pub(crate) fn from_text(field: &Field, text: &str) -> Result<Self, RowError> {
        parse_text(field, text)?.ok_or_else(|| {
            RowError::at(
                "INVALID_TYPE_ON_FIELD_IN_RECORD",
                &field.name,
                format!("{}: value not of required type: {text}", field.label),
            )
        })
    }

    /// Reads a value that was kept: it must be of the field's kind, and need not be one that could be written today.
    /// None where it is of another.
    pub(super) fn stored(kind: &Kind, json: &serde_json::Value) -> Option<Self> {
        use serde_json::Value as Json;
        let text: Cow<'_, str> = match json {
            Json::Null => return Some(Value::Null),
            Json::String(text) => text.as_str().into(),
            Json::Bool(_) | Json::Number(_) => json.to_string().into(),
            Json::Array(_) | Json::Object(_) => return None,
        };
        if text.is_empty() {
            return Some(Value::Null);
        }
        Some(match kind {
            Kind::Text(_)
            | Kind::LongText(_)
            | Kind::Email
            | Kind::Phone
            | Kind::Url
            | Kind::Picklist { .. }
            | Kind::AutoNumber(..)
            | Kind::FullName => Value::Text(text.into()),
            Kind::Number(..) | Kind::Currency(..) => {
                Value::Number(text.parse().ok().filter(|n: &f64| n.is_finite())?)
            }
            Kind::Checkbox => Value::Bool(text.parse().ok()?),
            Kind::Date => Value::Date(text.parse().ok()?),
            Kind::DateTime => Value::Time(parse_time(&text)?),
            Kind::Id | Kind::Reference(_) => Value::Id(SfId::parse(&text).ok()?),
        })
    }

    /// Writes the value as the REST API does.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
            // Writing to memory does not fail.
            Value::Number(n) => drop(serde_json::to_writer(out, n)),
            Value::Text(text) => drop(serde_json::to_writer(out, text)),
            Value::Date(date) => drop(serde_json::to_writer(out, &date.to_string())),
            Value::Time(_) | Value::Id(_) => {
                drop(serde_json::to_writer(out, &*self.display(".000+0000")));
            }
        }
    }

    /// The value as CSV and forms show it.
    pub(crate) fn to_text(&self) -> Cow<'_, str> {
        self.display(".000Z")
    }

    fn display(&self, after_seconds: &str) -> Cow<'_, str> {
        match self {
            Value::Null => Cow::Borrowed(""),
            Value::Bool(b) => Cow::Borrowed(if *b { "true" } else { "false" }),
            Value::Number(n) => serde_json::to_string(n).unwrap_or_default().into(),
            Value::Text(text) => Cow::Borrowed(text),
            Value::Date(date) => date.to_string().into(),
            Value::Time(ms) => format_time(*ms, after_seconds).into(),
            Value::Id(id) => id.to_string().into(),
        }
    }

    /// The order of two values of one field; none where either is empty or the kinds differ.
    pub(crate) fn compare(&self, other: &Value, case_sensitive: bool) -> Option<Ordering> {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Number(a), Value::Number(b)) => a.partial_cmp(b),
            (Value::Text(a), Value::Text(b)) if case_sensitive => Some(a.cmp(b)),
            (Value::Text(a), Value::Text(b)) => Some(compare_folded(a, b)),
            (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
            (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
            (Value::Id(a), Value::Id(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

fn compare_folded(a: &str, b: &str) -> Ordering {
    let fold = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
    if a.is_ascii() && b.is_ascii() {
        let lower = |byte: u8| byte.to_ascii_lowercase();
        return a.bytes().map(lower).cmp(b.bytes().map(lower));
    }
    fold(a).cmp(&fold(b))
}

/// `2026-11-23T15:00:00` and what the format wants behind it.
pub(crate) fn format_time(ms: i64, after_seconds: &str) -> String {
    let Ok(stamp) = Timestamp::from_millisecond(ms) else { return String::new() };
    let at = stamp.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{after_seconds}",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// Reads a moment in any of the forms Salesforce takes; whole seconds.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let stamp = text.parse::<Timestamp>().ok().or_else(|| {
        let loose = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z"];
        loose.iter().find_map(|format| Timestamp::strptime(format, text).ok())
    });
    let stamp = match stamp {
        Some(stamp) => stamp,
        None => text.parse::<Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp(),
    };
    Some(stamp.as_second().saturating_mul(1000))
}

fn mismatch(field: &Field, token: &str, text: &str) -> JsonFault {
    JsonFault::Request(format!(
        "Cannot deserialize instance of {} from {token} value {text} or request may be missing a required field ({})",
        soap_name(&field.kind),
        field.name
    ))
}

/// The type's name in the JSON parser's messages.
pub(crate) fn soap_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Number(..) => "double",
        Kind::Currency(..) => "currency",
        Kind::Checkbox => "boolean",
        Kind::Date => "date",
        Kind::DateTime => "datetime",
        Kind::Id | Kind::Reference(_) => "reference",
        Kind::Email => "email",
        Kind::Phone => "phone",
        Kind::Url => "url",
        Kind::Picklist { .. } => "picklist",
        Kind::LongText(_) => "textarea",
        Kind::Text(_) | Kind::AutoNumber(..) | Kind::FullName => "string",
    }
}

/// None where the text can't be of this type at all.
fn parse_text(field: &Field, text: &str) -> Result<Option<Value>, RowError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(Some(Value::Null));
    }
    Ok(Some(match &field.kind {
        Kind::Text(length) => fit_text(field, trimmed, *length)?,
        Kind::LongText(length) => fit_text(field, text, *length)?,
        Kind::Phone => fit_text(field, trimmed, 40)?,
        Kind::Url => fit_text(field, trimmed, 255)?,
        Kind::AutoNumber(..) | Kind::FullName => fit_text(field, trimmed, 255)?,
        Kind::Email => fit_email(field, trimmed)?,
        Kind::Picklist { values, restricted } => {
            if *restricted && !values.iter().any(|(value, _)| value == trimmed) {
                return Err(RowError::at(
                    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                    &field.name,
                    format!("{}: bad value for restricted picklist field: {trimmed}", field.label),
                ));
            }
            fit_text(field, trimmed, 255)?
        }
        Kind::Number(..) | Kind::Currency(..) => match trimmed.parse::<f64>() {
            Ok(n) if n.is_finite() => fit_number(field, n)?,
            _ => return Ok(None),
        },
        Kind::Checkbox => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "1" => Value::Bool(true),
            "false" | "0" => Value::Bool(false),
            _ => return Ok(None),
        },
        Kind::Date => match trimmed.parse::<Date>() {
            Ok(date) => Value::Date(date),
            Err(_) => return Ok(None),
        },
        Kind::DateTime => match parse_time(trimmed) {
            Some(ms) => Value::Time(ms),
            None => return Ok(None),
        },
        Kind::Id | Kind::Reference(_) => Value::Id(SfId::parse(trimmed).map_err(|_| {
            RowError::at(
                "MALFORMED_ID",
                &field.name,
                format!("{}: id value of incorrect type: {trimmed}", field.label),
            )
        })?),
    }))
}

fn fit_text(field: &Field, text: &str, length: usize) -> Result<Value, RowError> {
    if text.len() > length && text.chars().count() > length {
        let shown: String = text.chars().take(80).collect();
        return Err(RowError::at(
            "STRING_TOO_LONG",
            &field.name,
            format!("{}: data value too large: {shown} (max length={length})", field.label),
        ));
    }
    Ok(Value::Text(text.into()))
}

fn fit_email(field: &Field, text: &str) -> Result<Value, RowError> {
    let good = text.split_once('@').is_some_and(|(local, domain)| {
        let parts = domain.split('.');
        !local.is_empty()
            && !text
                .contains(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '<' | '>' | '"'))
            && !domain.contains('@')
            && domain.contains('.')
            && parts.into_iter().all(|part| !part.is_empty())
    });
    if good {
        return fit_text(field, text, 80);
    }
    Err(RowError::at(
        "INVALID_EMAIL_ADDRESS",
        &field.name,
        format!("{}: invalid email address: {text}", field.label),
    ))
}

fn fit_number(field: &Field, n: f64) -> Result<Value, RowError> {
    let (Kind::Number(precision, scale) | Kind::Currency(precision, scale)) = &field.kind else {
        return Ok(Value::Number(n));
    };
    let shift = 10_f64.powi(i32::try_from(*scale).unwrap_or(0));
    let rounded = (n * shift).round() / shift;
    let digits = i32::try_from(precision.saturating_sub(*scale)).unwrap_or(18);
    if rounded.abs() >= 10_f64.powi(digits) {
        return Err(RowError::at(
            "NUMBER_OUTSIDE_VALID_RANGE",
            &field.name,
            format!("{}: value outside of valid range on numeric field: {n}", field.label),
        ));
    }
    Ok(Value::Number(rounded))
}
