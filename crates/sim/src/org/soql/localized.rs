//! `FORMAT()`: values as the page of a user shows them whose locale is that of all users here, `en_US`.

use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::org::data::Value;
use crate::org::schema::Kind;

/// The value as text; what only texts hold stays as it is.
pub(super) fn localized(value: &Value, kind: Option<&Kind>, zone: &TimeZone) -> Value {
    let text = match (value, kind) {
        (Value::Number(n), Some(Kind::Currency(_, digits))) => {
            let sign = if *n < 0.0 { "-" } else { "" };
            format!("{sign}${}", grouped(n.abs(), *digits))
        }
        (Value::Number(n), Some(Kind::Number(_, digits))) => grouped(*n, *digits),
        (Value::Date(day), _) => strtime::format("%-m/%-d/%Y", *day).unwrap_or_default(),
        (Value::Time(ms), _) => {
            let moment = jiff::Timestamp::from_millisecond(*ms);
            let at = moment.ok().map(|moment| moment.to_zoned(zone.clone()));
            let text = at.and_then(|at| strtime::format("%-m/%-d/%Y, %-I:%M %p", &at).ok());
            text.unwrap_or_default()
        }
        _ => return value.clone(),
    };
    Value::Text(text.into())
}

/// `1234.5` → `1,234.50`.
fn grouped(n: f64, digits: u32) -> String {
    let plain = format!("{n:.*}", usize::try_from(digits).unwrap_or(0));
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut out = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_look_as_in_the_pages_of_an_american() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let moment: jiff::Timestamp = "2026-07-04T22:05:00Z".parse().unwrap();
        for (value, kind, wanted) in [
            (Value::Number(1_234_567.5), Kind::Number(18, 2), "1,234,567.50"),
            (Value::Number(-999.0), Kind::Number(18, 0), "-999"),
            (Value::Number(-1000.0), Kind::Currency(16, 2), "-$1,000.00"),
            (Value::Date("2026-07-04".parse().unwrap()), Kind::Date, "7/4/2026"),
            (Value::Time(moment.as_millisecond()), Kind::DateTime, "7/5/2026, 12:05 AM"),
            (Value::Text("as it is".into()), Kind::Text(80), "as it is"),
        ] {
            assert_eq!(localized(&value, Some(&kind), &zone), Value::Text(wanted.into()));
        }
        assert_eq!(localized(&Value::Null, Some(&Kind::Date), &zone), Value::Null);
    }
}
