//! Moments as staff read them: how long ago, in words that change by the
//! minute at most, with the exact time beside.

use std::fmt;

use sloe_core::time::Timestamp;

const MINUTE: i64 = 60 * 1_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A moment as a `time` element. Everything in it is made here of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ago {
    iso: String,
    title: String,
    words: String,
}

impl Ago {
    /// `at`, as seen at `now`.
    pub(crate) fn new(at: Timestamp, now: Timestamp) -> Self {
        let iso = Timestamp(at.0.saturating_sub(at.0.rem_euclid(1_000))).to_rfc3339();
        let title = at.to_words();
        Self { iso, title, words: words(now.millis_since(at)) }
    }

    /// The words alone.
    #[cfg(test)]
    pub(crate) fn words(&self) -> &str {
        &self.words
    }
}

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { iso, title, words } = self;
        write!(f, r#"<time datetime="{iso}" title="{title}">{words}</time>"#)
    }
}

impl askama::filters::HtmlSafe for Ago {}

/// `14:03:22 UTC`.
pub(crate) fn clock(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%H:%M:%S UTC").to_string()
}

fn words(ago: i64) -> String {
    let length = length(ago.saturating_abs());
    match ago {
        ..MINUTE if ago > -MINUTE => if ago < 0 { "in a moment" } else { "just now" }.to_owned(),
        ..0 => format!("in {length}"),
        _ => format!("{length} ago"),
    }
}

/// How long something lasts, in its largest unit: `3 min`, `2 h`, `5 days`.
pub(crate) fn length(millis: i64) -> String {
    match millis {
        ..MINUTE => "under a minute".to_owned(),
        MINUTE..HOUR => format!("{} min", millis / MINUTE),
        HOUR..DAY => format!("{} h", millis / HOUR),
        _ if millis < 2 * DAY => "1 day".to_owned(),
        _ => format!("{} days", millis / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_in_its_largest_unit_with_the_exact_time() {
        let now = Timestamp(1_800_000_000_000);
        for (before, expected) in [
            (0, "just now"),
            (59_999, "just now"),
            (-1, "in a moment"),
            (MINUTE, "1 min ago"),
            (-5 * MINUTE, "in 5 min"),
            (HOUR - 1, "59 min ago"),
            (23 * HOUR, "23 h ago"),
            (DAY, "1 day ago"),
            (-9 * DAY, "in 9 days"),
        ] {
            assert_eq!(Ago::new(Timestamp(now.0 - before), now).words(), expected);
        }
        let told = Ago::new(Timestamp(1_799_999_999_123), now).to_string();
        assert_eq!(
            told,
            r#"<time datetime="2027-01-15T07:59:59Z" title="2027-01-15 07:59:59 UTC">just now</time>"#
        );
        assert!(Ago::new(Timestamp::MAX, Timestamp(0)).words().starts_with("in "));
        assert!(Ago::new(Timestamp(i64::MIN), now).words().ends_with("ago"));
    }
}
