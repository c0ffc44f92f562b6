//! Instants as values. Nothing here reads a clock.

use std::fmt;

/// A moment: milliseconds since 1970-01-01T00:00:00Z, leap seconds ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The last moment that can be told.
    pub const MAX: Self = Self(i64::MAX);

    /// This moment plus `millis`, held at the ends of the range.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to here; negative when `earlier` is later.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339 in UTC with milliseconds when there are any: `2026-11-23T14:49:00Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX).to_string()
    }

    /// For people, to the second: `2026-11-23 14:49:00 UTC`.
    #[must_use]
    pub fn to_words(self) -> String {
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    /// Its day in UTC: `2026-11-23`.
    #[must_use]
    pub fn to_date(self) -> String {
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
    }

    /// Reads RFC 3339 (`2026-11-23T14:49:00Z`) and Salesforce's own form
    /// (`2026-11-23T14:49:00.000+0000`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let iso = match text.len().checked_sub(5) {
            // "+0000" is ISO 8601 basic form: RFC 3339 wants the colon.
            Some(at) if text.is_char_boundary(at) && matches!(text.as_bytes()[at], b'+' | b'-') => {
                let (head, zone) = text.split_at(at);
                format!("{head}{}:{}", zone.get(..3)?, zone.get(3..)?)
            }
            _ => text.to_owned(),
        };
        iso.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

/// Whether `name` is an IANA time zone this build knows, `Europe/Berlin` for instance.
#[must_use]
pub fn is_time_zone(name: &str) -> bool {
    // The bundled database: the answer must not depend on the machine.
    jiff::tz::TimeZoneDatabase::bundled().get(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salesforce_and_rfc_3339_forms_name_the_same_moment() {
        let rfc = Timestamp::parse("2026-11-23T14:49:00Z");
        assert!(rfc.is_some());
        assert_eq!(rfc, Timestamp::parse("2026-11-23T14:49:00.000+0000"));
        assert_eq!(rfc, Timestamp::parse("2026-11-23T16:49:00.000+0200"));
    }

    #[test]
    fn nonsense_is_no_moment() {
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "+0000", "ß+000é", "2026-11-23"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn time_zones_are_known_by_their_iana_names() {
        assert!(is_time_zone("Europe/Berlin"));
        assert!(!is_time_zone("Europe/Atlantis"));
    }
}
