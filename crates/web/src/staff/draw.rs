//! Small drawings, made on the server of nothing but numbers.

use std::fmt::{self, Write as _};

/// A drawing; decoration beside words that say the same, or with a label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drawing(String);

impl fmt::Display for Drawing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Drawing {}

/// Hundredths of a percent of `part` in `whole`, at most all of it.
fn share(part: u64, whole: u64) -> u64 {
    let part = u128::from(part.min(whole)) * 10_000;
    u64::try_from(part / u128::from(whole.max(1))).unwrap_or(10_000)
}

fn percent(share: u64) -> String {
    format!("{}.{:02}%", share / 100, share % 100)
}

/// How an org's calls of a day stand: everybody else's, Sloe's, and from the
/// end what Sloe leaves alone.
pub(crate) fn meter(others: u64, ours: u64, max: u64, reserve: u8) -> Drawing {
    let others = share(others, max);
    let ours = share(ours, max).min(10_000 - others);
    // What was used is seen, however little it was.
    let ours = if ours > 0 { ours.max(80) } else { 0 };
    let line = 10_000 - u64::from(reserve.min(100)) * 100;
    let mut svg = String::from(
        r#"<svg class="meter" aria-hidden="true"><rect class="track" width="100%" height="100%"/>"#,
    );
    let mut bar = |class: &str, from: u64, wide: u64| {
        let (from, wide) = (percent(from), percent(wide));
        let _ = write!(svg, r#"<rect class="{class}" x="{from}" width="{wide}" height="100%"/>"#);
    };
    bar("reserve", line, 10_000 - line);
    bar("others", 0, others);
    bar("ours", others, ours);
    svg.push_str("</svg>");
    Drawing(svg)
}

/// Calls by the hour, the oldest first, as columns.
pub(crate) fn columns(hours: &[u64]) -> Drawing {
    const WIDE: usize = 12;
    const HIGH: u64 = 64;
    let most = hours.iter().copied().max().unwrap_or(0).max(1);
    let total = hours.len() * WIDE;
    let mut svg = format!(
        r#"<svg class="columns" viewBox="0 0 {total} {HIGH}" preserveAspectRatio="none" aria-hidden="true">"#
    );
    for (at, calls) in hours.iter().enumerate() {
        let tall = (share(*calls, most) * (HIGH - 2) / 10_000).max(u64::from(*calls > 0) * 2);
        let tall = tall.max(1);
        let (x, y) = (at * WIDE + 1, HIGH - tall);
        let class = if *calls == 0 { "none" } else { "some" };
        let _ = write!(
            svg,
            r#"<rect class="{class}" x="{x}" y="{y}" width="{}" height="{tall}"/>"#,
            WIDE - 2
        );
    }
    svg.push_str("</svg>");
    Drawing(svg)
}

/// `1,204`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `1,204 rows`.
pub(crate) fn counted(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {many}", count(n as u64)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_have_commas() {
        for (n, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")]
        {
            assert_eq!(count(n), expected);
        }
        assert_eq!(counted(1, "row", "rows"), "1 row");
        assert_eq!(counted(0, "row", "rows"), "0 rows");
    }

    #[test]
    fn a_meter_never_leaves_its_track() {
        let drawn = meter(9_000, 9_000, 10_000, 20).to_string();
        assert!(drawn.contains(r#"class="others" x="0.00%" width="90.00%""#), "{drawn}");
        assert!(drawn.contains(r#"class="ours" x="90.00%" width="10.00%""#), "{drawn}");
        assert!(drawn.contains(r#"class="reserve" x="80.00%" width="20.00%""#), "{drawn}");
        assert!(meter(5, 0, 0, 255).to_string().contains(r#"class="reserve" x="0.00%""#));
    }

    #[test]
    fn the_tallest_column_fits_and_one_call_is_seen() {
        let drawn = columns(&[0, 1, 10_000]).to_string();
        assert!(drawn.contains(r#"class="some" x="25" y="2" width="10" height="62""#), "{drawn}");
        assert!(drawn.contains(r#"class="some" x="13" y="62" width="10" height="2""#), "{drawn}");
        assert!(drawn.contains(r#"class="none" x="1" y="63""#), "{drawn}");
    }
}
