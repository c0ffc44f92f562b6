//! Date functions: parts of days and moments that a query compares, groups and sorts by.

use jiff::tz::TimeZone;

use super::ast::Part;
use crate::org::data::Value;
use crate::org::schema::Kind;

/// A part of a date as a query reckons it: moments are days in this zone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reckoned {
    pub(crate) part: Part,
    pub(crate) zone: TimeZone,
}

impl Part {
    /// The function of this name, in any case.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            // Fiscal years begin in January, as in an org that nobody has set up.
            "CALENDAR_YEAR" | "FISCAL_YEAR" => Self::Year,
            "CALENDAR_QUARTER" | "FISCAL_QUARTER" => Self::Quarter,
            "CALENDAR_MONTH" | "FISCAL_MONTH" => Self::Month,
            "DAY_IN_MONTH" => Self::DayInMonth,
            "DAY_IN_WEEK" => Self::DayInWeek,
            "DAY_IN_YEAR" => Self::DayInYear,
            "DAY_ONLY" => Self::Day,
            "HOUR_IN_DAY" => Self::Hour,
            "WEEK_IN_MONTH" => Self::WeekInMonth,
            "WEEK_IN_YEAR" => Self::WeekInYear,
            _ => return None,
        })
    }

    /// Whether fields of this kind have it.
    pub(super) fn fits(self, kind: Option<&Kind>) -> bool {
        match kind {
            Some(Kind::DateTime) => true,
            Some(Kind::Date) => !matches!(self, Self::Day | Self::Hour),
            _ => false,
        }
    }

    /// The kind of its values.
    pub(super) fn kind(self) -> Kind {
        if self == Self::Day { Kind::Date } else { Kind::Number(4, 0) }
    }
}

impl Reckoned {
    /// The part that this value has; nothing of nothing.
    pub(super) fn of(&self, value: &Value) -> Value {
        let at = match value {
            Value::Date(day) => day.to_datetime(jiff::civil::Time::midnight()),
            Value::Time(ms) => match jiff::Timestamp::from_millisecond(*ms) {
                Ok(moment) => self.zone.to_datetime(moment),
                Err(_) => return Value::Null,
            },
            _ => return Value::Null,
        };
        // As Salesforce has it, weeks of months and years begin with their first day.
        let weeks = |day: i16| (day - 1) / 7 + 1;
        let number = match self.part {
            Part::Day => return Value::Date(at.date()),
            Part::Year => at.year(),
            Part::Quarter => (i16::from(at.month()) - 1) / 3 + 1,
            Part::Month => at.month().into(),
            Part::DayInMonth => at.day().into(),
            Part::DayInWeek => i16::from(at.weekday().to_sunday_one_offset()),
            Part::DayInYear => at.day_of_year(),
            Part::Hour => at.hour().into(),
            Part::WeekInMonth => weeks(at.day().into()),
            Part::WeekInYear => weeks(at.day_of_year()),
        };
        Value::Number(number.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_part_is_what_salesforce_documents() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let new_year: jiff::Timestamp = "2026-12-31T23:30:00Z".parse().unwrap();
        let moment = Value::Time(new_year.as_millisecond());
        let day = Value::Date("2026-04-10".parse().unwrap());
        let number = |zone: &TimeZone, name: &str, value: &Value| {
            let part = Part::named(name).unwrap();
            match (Reckoned { part, zone: zone.clone() }).of(value) {
                Value::Number(number) => number,
                other => panic!("{other:?}"),
            }
        };
        for (name, utc, berlin, april) in [
            ("CALENDAR_YEAR", 2026.0, 2027.0, 2026.0),
            ("fiscal_quarter", 4.0, 1.0, 2.0),
            ("CALENDAR_MONTH", 12.0, 1.0, 4.0),
            ("DAY_IN_MONTH", 31.0, 1.0, 10.0),
            // A Thursday, a Friday and a Friday; Sunday is 1.
            ("DAY_IN_WEEK", 5.0, 6.0, 6.0),
            ("DAY_IN_YEAR", 365.0, 1.0, 100.0),
            ("WEEK_IN_MONTH", 5.0, 1.0, 2.0),
            ("WEEK_IN_YEAR", 53.0, 1.0, 15.0),
        ] {
            let found = [(&TimeZone::UTC, &moment), (&zone, &moment), (&zone, &day)]
                .map(|(zone, value)| number(zone, name, value));
            assert_eq!(found.map(f64::to_bits), [utc, berlin, april].map(f64::to_bits), "{name}");
        }
        let only = Reckoned { part: Part::Day, zone };
        assert_eq!(only.of(&moment), Value::Date("2027-01-01".parse().unwrap()));
        assert_eq!(only.of(&Value::Null), Value::Null);
        assert!(!Part::Day.fits(Some(&Kind::Date)) && !Part::Year.fits(Some(&Kind::Email)));
    }
}
