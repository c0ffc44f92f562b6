//! Times as people read them: in the event's zone, in English, by the 24-hour
//! clock. The visitor's own zone is added in the browser.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// An instant in an event's zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// RFC 3339 in UTC, for `datetime` attributes.
    pub iso: String,
    /// `Thursday, December 3, 2026`.
    pub date: String,
    /// `09:30`.
    pub time: String,
    /// `Berlin time (UTC+1)`.
    pub zone: String,
}

impl Moment {
    /// `at` as told in `zone`.
    #[must_use]
    pub fn new(at: Timestamp, zone: &TimeZone) -> Self {
        let zoned = at.to_zoned(zone.clone());
        Self {
            iso: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            date: zoned.strftime("%A, %B %-d, %Y").to_string(),
            time: zoned.strftime("%H:%M").to_string(),
            zone: zone_label(&zoned),
        }
    }

    /// `Thursday, December 3, 2026 at 09:30, Berlin time (UTC+1)`.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!("{} at {}, {}", self.date, self.time, self.zone)
    }
}

/// The page of a tear-off calendar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaf {
    /// `Dec`.
    pub month: String,
    /// `3`, or `3–5` within a month.
    pub day: String,
    /// `Thu`, or the year of a past event.
    pub below: String,
}

/// From when to when something lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Its beginning.
    pub start: Moment,
    /// Its end.
    pub end: Moment,
    /// `Thursday, December 3, 2026` or `December 3 – 5, 2026`.
    pub date_line: String,
    /// `09:30 – 17:00`, or `from Thursday 09:30 to Saturday 17:00`.
    pub time_line: String,
    /// `Thu, Dec 3 · 09:30`, for lists.
    pub short: String,
    /// For the calendar leaf.
    pub leaf: Leaf,
}

impl When {
    /// The time from `start` to `end` as told in `zone`.
    #[must_use]
    pub fn new(start: Timestamp, end: Timestamp, zone: &TimeZone) -> Self {
        let (from, to) = (start.to_zoned(zone.clone()), end.to_zoned(zone.clone()));
        let same_day = from.date() == to.date();
        Self {
            date_line: date_line(&from, &to),
            time_line: if same_day {
                format!("{} – {}", from.strftime("%H:%M"), to.strftime("%H:%M"))
            } else {
                format!("from {} to {}", from.strftime("%A %H:%M"), to.strftime("%A %H:%M"))
            },
            short: from.strftime("%a, %b %-d · %H:%M").to_string(),
            leaf: Leaf {
                month: from.strftime("%b").to_string(),
                day: if same_day || !same_month(&from, &to) {
                    from.strftime("%-d").to_string()
                } else {
                    format!("{}–{}", from.day(), to.day())
                },
                below: from.strftime("%a").to_string(),
            },
            start: Moment::new(start, zone),
            end: Moment::new(end, zone),
        }
    }
}

fn same_month(a: &Zoned, b: &Zoned) -> bool {
    (a.year(), a.month()) == (b.year(), b.month())
}

fn date_line(from: &Zoned, to: &Zoned) -> String {
    if from.date() == to.date() {
        from.strftime("%A, %B %-d, %Y").to_string()
    } else if same_month(from, to) {
        format!("{} – {}, {}", from.strftime("%B %-d"), to.day(), to.year())
    } else if from.year() == to.year() {
        format!("{} – {}", from.strftime("%B %-d"), to.strftime("%B %-d, %Y"))
    } else {
        format!("{} – {}", from.strftime("%B %-d, %Y"), to.strftime("%B %-d, %Y"))
    }
}

/// `Berlin time (UTC+1)`, or `UTC`.
fn zone_label(zoned: &Zoned) -> String {
    let offset = zoned.offset().seconds() / 60;
    let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
    let sign = if offset < 0 { '−' } else { '+' };
    let utc = match (hours, minutes) {
        (0, 0) => "UTC".to_owned(),
        (_, 0) => format!("UTC{sign}{hours}"),
        _ => format!("UTC{sign}{hours}:{minutes:02}"),
    };
    let name = zoned.time_zone().iana_name().unwrap_or("UTC");
    match name.rsplit_once('/') {
        Some((area, city)) if area != "Etc" => format!("{} time ({utc})", city.replace('_', " ")),
        _ => utc,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jiff::{Timestamp, tz::TimeZone};

    use super::{Moment, When};

    fn when(start: &str, end: &str, zone: &str) -> When {
        When::new(start.parse().unwrap(), end.parse().unwrap(), &TimeZone::get(zone).unwrap())
    }

    #[test]
    fn one_day_is_told_in_the_event_s_zone() {
        let when = when("2026-12-03T08:30:00Z", "2026-12-03T16:00:00Z", "Europe/Berlin");
        assert_eq!(when.date_line, "Thursday, December 3, 2026");
        assert_eq!(when.time_line, "09:30 – 17:00");
        assert_eq!(when.start.zone, "Berlin time (UTC+1)");
        assert_eq!(
            (when.leaf.month.as_str(), when.leaf.day.as_str(), when.leaf.below.as_str()),
            ("Dec", "3", "Thu")
        );
    }

    #[test]
    fn an_evening_in_one_zone_is_the_next_day_in_another() {
        let at: Timestamp = "2026-12-03T18:30:00Z".parse().unwrap();
        let moment = Moment::new(at, &TimeZone::get("Asia/Kolkata").unwrap());
        assert_eq!(
            (moment.date.as_str(), moment.time.as_str()),
            ("Friday, December 4, 2026", "00:00")
        );
        assert_eq!(moment.zone, "Kolkata time (UTC+5:30)");
    }

    #[test]
    fn several_days_name_both_ends_once() {
        assert_eq!(
            when("2026-12-03T08:00:00Z", "2026-12-05T16:00:00Z", "UTC").date_line,
            "December 3 – 5, 2026"
        );
        assert_eq!(
            when("2026-11-30T08:00:00Z", "2026-12-02T16:00:00Z", "UTC").date_line,
            "November 30 – December 2, 2026"
        );
        assert_eq!(
            when("2026-12-31T08:00:00Z", "2027-01-01T16:00:00Z", "UTC").date_line,
            "December 31, 2026 – January 1, 2027"
        );
    }

    #[test]
    fn summer_and_winter_have_their_own_offset() {
        let zone = TimeZone::get("America/New_York").unwrap();
        assert_eq!(
            Moment::new("2026-07-01T12:00:00Z".parse().unwrap(), &zone).zone,
            "New York time (UTC−4)"
        );
        assert_eq!(
            Moment::new("2026-12-01T12:00:00Z".parse().unwrap(), &zone).zone,
            "New York time (UTC−5)"
        );
        assert_eq!(
            Moment::new("2026-12-01T12:00:00Z".parse().unwrap(), &TimeZone::UTC).zone,
            "UTC"
        );
    }
}
