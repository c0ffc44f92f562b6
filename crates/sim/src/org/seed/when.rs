//! Dates that stay fresh: `today+12d 09:00 Europe/Berlin`.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Reads a moment relative to today; none if the text isn't such an expression.
///
/// Today is the day in the expression's own time zone.
///
/// # Errors
/// A sentence saying which part is wrong.
pub(crate) fn resolve(text: &str, now: Timestamp) -> Option<Result<Timestamp, String>> {
    let rest = text.strip_prefix("today")?;
    let mut parts = rest.split_whitespace();
    let days = if rest.starts_with(['+', '-']) { parts.next().unwrap_or_default() } else { "" };
    let time = parts.next().unwrap_or("00:00");
    let zone = parts.next().unwrap_or("UTC");
    Some(moment(days, time, zone, now).map_err(|e| format!("{text}: {e}")))
}

fn moment(days: &str, time: &str, zone: &str, now: Timestamp) -> Result<Timestamp, String> {
    let days: i64 = match days.strip_suffix('d') {
        Some(number) => number.parse().map_err(|_| format!("{number} isn't a number of days"))?,
        None if days.is_empty() => 0,
        None => return Err(format!("{days} isn't a number of days such as +12d")),
    };
    let zone = TimeZone::get(zone).map_err(|_| format!("{zone} isn't a time zone"))?;
    let time: Time = time.parse().map_err(|_| format!("{time} isn't a time such as 09:00"))?;
    let span = Span::new().try_days(days).map_err(|e| e.to_string())?;
    let date = now.to_zoned(zone.clone()).date().checked_add(span).map_err(|e| e.to_string())?;
    let zoned = zone.to_zoned(date.to_datetime(time)).map_err(|e| e.to_string())?;
    Ok(zoned.timestamp())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> String {
        resolve(text, "2026-03-20T23:30:00Z".parse().unwrap()).unwrap().unwrap().to_string()
    }

    #[test]
    fn days_count_in_the_zone_of_the_expression_and_over_summer_time() {
        // In Berlin it is already the 21st; ten days on, summer time has begun.
        assert_eq!(at("today 09:00 Europe/Berlin"), "2026-03-21T08:00:00Z");
        assert_eq!(at("today+10d 09:00 Europe/Berlin"), "2026-03-31T07:00:00Z");
        assert_eq!(at("today-1d 18:00 UTC"), "2026-03-19T18:00:00Z");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let now = "2026-03-20T23:30:00Z".parse().unwrap();
        for (text, part) in [
            ("today+xd 09:00 UTC", "x"),
            ("today 25:00 UTC", "25:00"),
            ("today 09:00 Mars", "Mars"),
        ] {
            let error = resolve(text, now).unwrap().unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(resolve("2026-01-01T00:00:00Z", now).is_none());
    }
}
