//! Date literals: stretches of whole days, weeks, months, quarters or years around today, all of them in UTC.

use jiff::Span;
use jiff::civil::Date;

/// No literal reaches further than so many units.
const FURTHEST: i64 = 100_000;

/// What a stretch is made of. Weeks begin on Sunday, fiscal years in January, as in an org that nobody has set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// So many units, the first one so many after the one that today is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) unit: Unit,
    pub(crate) first: i64,
    pub(crate) count: i64,
}

/// `THIS_WEEK`, `TODAY` …: what the word, in capitals, means by itself.
pub(super) fn plain(word: &str) -> Option<Stretch> {
    let of = |unit, first, count| Some(Stretch { unit, first, count });
    match word {
        "TODAY" => return of(Unit::Day, 0, 1),
        "YESTERDAY" => return of(Unit::Day, -1, 1),
        "TOMORROW" => return of(Unit::Day, 1, 1),
        "LAST_90_DAYS" => return of(Unit::Day, -90, 91),
        "NEXT_90_DAYS" => return of(Unit::Day, 1, 90),
        _ => {}
    }
    let (lead, name) = word.split_once('_')?;
    let first = match lead {
        "LAST" => -1,
        "THIS" => 0,
        "NEXT" => 1,
        _ => return None,
    };
    let unit = named(name).filter(|unit| *unit != Unit::Day)?;
    of(unit, first, 1)
}

/// `LAST_N_DAYS`, `N_MONTHS_AGO` …: what the word, in capitals, means with a number behind it; none for other words.
pub(super) fn counted(word: &str) -> Option<impl Fn(i64) -> Stretch + use<>> {
    let (unit, place) = if let Some(name) = word.strip_prefix("LAST_N_") {
        (several(name)?, -1)
    } else if let Some(name) = word.strip_prefix("NEXT_N_") {
        (several(name)?, 1)
    } else {
        (several(word.strip_prefix("N_")?.strip_suffix("_AGO")?)?, 0)
    };
    Some(move |n: i64| {
        let n = n.min(FURTHEST);
        match (place, unit) {
            // The only ones that today belongs to.
            (-1, Unit::Day) => Stretch { unit, first: -n, count: n + 1 },
            (-1, _) => Stretch { unit, first: -n, count: n },
            (1, _) => Stretch { unit, first: 1, count: n },
            _ => Stretch { unit, first: -n, count: 1 },
        }
    })
}

fn several(name: &str) -> Option<Unit> {
    named(name.strip_suffix('S')?)
}

fn named(name: &str) -> Option<Unit> {
    Some(match name {
        "DAY" => Unit::Day,
        "WEEK" => Unit::Week,
        "MONTH" => Unit::Month,
        "QUARTER" | "FISCAL_QUARTER" => Unit::Quarter,
        "YEAR" | "FISCAL_YEAR" => Unit::Year,
        _ => return None,
    })
}

impl Stretch {
    /// Its first day, and the first day after it; none where the calendar ends.
    pub(super) fn days(self, today: Date) -> Option<(Date, Date)> {
        Some((self.start(today, self.first)?, self.start(today, self.first + self.count)?))
    }

    fn start(self, today: Date, offset: i64) -> Option<Date> {
        let (from, span) = match self.unit {
            Unit::Day => (today, Span::new().try_days(offset)),
            Unit::Week => {
                let since = i64::from(today.weekday().to_sunday_zero_offset());
                (today, Span::new().try_days(offset * 7 - since))
            }
            Unit::Month => (today.first_of_month(), Span::new().try_months(offset)),
            Unit::Quarter => {
                let since = i64::from((today.month() - 1) % 3);
                (today.first_of_month(), Span::new().try_months(offset * 3 - since))
            }
            Unit::Year => (today.first_of_year(), Span::new().try_years(offset)),
        };
        from.checked_add(span.ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn days(word: &str, n: i64) -> Option<String> {
        let stretch = plain(word).or_else(|| counted(word).map(|of| of(n)))?;
        // A Thursday.
        let (from, until) = stretch.days("2026-11-26".parse().unwrap())?;
        Some(format!("{from} {until}"))
    }

    #[test]
    fn each_literal_covers_the_days_that_salesforce_documents() {
        for (word, n, wanted) in [
            ("TODAY", 0, "2026-11-26 2026-11-27"),
            ("LAST_90_DAYS", 0, "2026-08-28 2026-11-27"),
            ("NEXT_90_DAYS", 0, "2026-11-27 2027-02-25"),
            ("LAST_N_DAYS", 1, "2026-11-25 2026-11-27"),
            ("NEXT_N_DAYS", 3, "2026-11-27 2026-11-30"),
            ("N_DAYS_AGO", 2, "2026-11-24 2026-11-25"),
            ("THIS_WEEK", 0, "2026-11-22 2026-11-29"),
            ("LAST_N_WEEKS", 2, "2026-11-08 2026-11-22"),
            ("NEXT_MONTH", 0, "2026-12-01 2027-01-01"),
            ("N_MONTHS_AGO", 11, "2025-12-01 2026-01-01"),
            ("THIS_QUARTER", 0, "2026-10-01 2027-01-01"),
            ("LAST_FISCAL_QUARTER", 0, "2026-07-01 2026-10-01"),
            ("NEXT_N_QUARTERS", 2, "2027-01-01 2027-07-01"),
            ("LAST_YEAR", 0, "2025-01-01 2026-01-01"),
            ("NEXT_N_FISCAL_YEARS", 1, "2027-01-01 2028-01-01"),
        ] {
            assert_eq!(days(word, n).as_deref(), Some(wanted), "{word}");
        }
    }

    #[test]
    fn words_that_are_no_literals_and_days_beyond_the_calendar_are_none() {
        for word in ["THIS_DAY", "LAST", "LAST_N_DAY", "N_DAYS", "NEXT_N_", "SOMEDAY"] {
            assert_eq!(days(word, 1), None, "{word}");
        }
        assert_eq!(days("LAST_N_YEARS", i64::MAX), None);
    }
}
