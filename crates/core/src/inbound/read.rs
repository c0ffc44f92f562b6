//! Reads one record's fields, collecting every fault instead of stopping at the first.

use super::{Fault, Field, RawRecord, Value, plain};
use crate::limits;
use crate::time::{self, Timestamp};

/// A record being read, and what was wrong with it so far.
pub(super) struct Reader<'a> {
    record: &'a RawRecord,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(record: &'a RawRecord, faults: &'a mut Vec<Fault>) -> Self {
        Self { record, faults }
    }

    pub(super) fn fault(&mut self, field: Field, message: impl Into<String>) {
        self.faults.push(Fault {
            record: self.record.id,
            field: field.label(),
            message: message.into(),
        });
    }

    fn value(&self, field: Field) -> &'a Value {
        self.record.fields.get(&field).unwrap_or(&Value::Null)
    }

    /// A text without control characters but line breaks, trimmed; empty is `None`.
    pub(super) fn text(&mut self, field: Field) -> Option<String> {
        let text = self.words(field)?;
        self.clean(field, text)
    }

    /// The same of what may be rich text; empty where there is none.
    pub(super) fn prose(&mut self, field: Field) -> String {
        let text = self.words(field).map(plain);
        text.and_then(|text| self.clean(field, &text)).unwrap_or_default()
    }

    fn words(&mut self, field: Field) -> Option<&'a str> {
        match self.value(field) {
            Value::Null => None,
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Bool(_) => {
                self.fault(field, "must be text; check the mapping");
                None
            }
        }
    }

    fn clean(&mut self, field: Field, text: &str) -> Option<String> {
        let chars = text.encode_utf16().count();
        if chars > limits::MAX_TEXT_CHARS {
            let most = limits::MAX_TEXT_CHARS;
            self.fault(field, format!("has {chars} characters; at most {most} can be shown"));
            return None;
        }
        let clean: String =
            text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        let clean = clean.trim();
        (!clean.is_empty()).then(|| clean.to_owned())
    }

    pub(super) fn required_text(&mut self, field: Field) -> String {
        self.text(field).unwrap_or_else(|| {
            self.fault(field, "is empty; fill it in");
            String::new()
        })
    }

    pub(super) fn flag(&mut self, field: Field, absent: bool) -> bool {
        match self.value(field) {
            Value::Null => absent,
            Value::Bool(flag) => *flag,
            Value::Text(text) if text.eq_ignore_ascii_case("true") => true,
            Value::Text(text) if text.eq_ignore_ascii_case("false") => false,
            Value::Text(_) | Value::Number(_) => {
                self.fault(field, "must be a checkbox; check the mapping");
                absent
            }
        }
    }

    pub(super) fn moment(&mut self, field: Field) -> Option<Timestamp> {
        let text = self.text(field)?;
        let moment = Timestamp::parse(&text);
        if moment.is_none() {
            self.fault(field, format!("{text:?} is not a date and time"));
        }
        moment
    }

    pub(super) fn required_moment(&mut self, field: Field) -> Timestamp {
        let empty = matches!(self.value(field), Value::Null);
        if empty {
            self.fault(field, "is empty; fill it in");
        }
        self.moment(field).unwrap_or_default()
    }

    /// A whole number within `range`.
    pub(super) fn whole(
        &mut self,
        field: Field,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let number = match self.value(field) {
            Value::Null => return None,
            Value::Number(number) => *number,
            Value::Text(text) => text.trim().parse().unwrap_or(f64::NAN),
            Value::Bool(_) => f64::NAN,
        };
        #[allow(clippy::cast_precision_loss, reason = "bounds are far below 2^53")]
        let fits = number.fract() == 0.0
            && number >= *range.start() as f64
            && number <= *range.end() as f64;
        if !fits {
            let (low, high) = range.into_inner();
            self.fault(field, format!("must be a whole number from {low} to {high}"));
            return None;
        }
        #[allow(clippy::cast_possible_truncation, reason = "whole and within range")]
        Some(number as i64)
    }

    /// A number of seats: `None` is unlimited.
    pub(super) fn limit(&mut self) -> Option<u32> {
        let limit = self.whole(Field::Limit, 0..=i64::from(limits::MAX_LIMIT))?;
        u32::try_from(limit).ok()
    }

    pub(super) fn max_per_order(&mut self, absent: usize) -> u32 {
        let most = i64::try_from(limits::MAX_PLACES).unwrap_or(i64::MAX);
        let max = self.whole(Field::MaxPerOrder, 1..=most).and_then(|max| u32::try_from(max).ok());
        max.unwrap_or(u32::try_from(absent).unwrap_or(1))
    }

    /// The number as text, as prices are read.
    pub(super) fn decimal(&mut self, field: Field) -> Option<String> {
        match self.value(field) {
            Value::Null => None,
            Value::Number(number) => Some(number.to_string()),
            Value::Text(text) => Some(text.clone()),
            Value::Bool(_) => {
                self.fault(field, "must be a number; check the mapping");
                None
            }
        }
    }

    /// An `https` address: anything else must not become a link on a public page.
    pub(super) fn link(&mut self, field: Field) -> Option<String> {
        let text = self.text(field)?;
        let host = text.strip_prefix("https://").unwrap_or_default();
        let plain = !text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>'));
        if host.is_empty() || host.starts_with('/') || !plain || text.len() > 2_000 {
            self.fault(field, "must be an https:// address");
            return None;
        }
        Some(text)
    }

    pub(super) fn email(&mut self, field: Field) -> Option<String> {
        let text = self.text(field)?;
        let good = text.len() <= 254
            && !text.contains(char::is_whitespace)
            && text.split_once('@').is_some_and(|(name, host)| {
                !name.is_empty() && host.contains('.') && !host.contains('@')
            });
        if !good {
            self.fault(field, "is not an e-mail address");
        }
        good.then_some(text)
    }

    pub(super) fn time_zone(&mut self, absent: &str) -> String {
        let Some(name) = self.text(Field::TimeZone) else {
            return absent.to_owned();
        };
        if !time::is_time_zone(&name) {
            self.fault(
                Field::TimeZone,
                format!("{name:?} is not a time zone; use an IANA name such as Europe/Berlin"),
            );
        }
        name
    }

    /// Two moments that must come in this order when both are there.
    pub(super) fn ordered(
        &mut self,
        (earlier, a): (Field, Option<Timestamp>),
        (later, b): (Field, Option<Timestamp>),
    ) {
        if let (Some(a), Some(b)) = (a, b)
            && b <= a
        {
            self.fault(later, format!("must be after {}", earlier.label()));
        }
    }
}
