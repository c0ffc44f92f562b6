//! Calendar files (RFC 5545), so that an order's event lands in the
//! registrant's calendar. Times are in UTC: every calendar converts them.

use std::fmt::Write as _;

use jiff::Timestamp;

/// What one calendar file says.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Stays the same for the same order, so that a second import replaces
    /// the first.
    pub uid: String,
    /// When the order was made or last changed.
    pub stamp: Timestamp,
    /// Counts the changes; a calendar keeps the highest.
    pub sequence: u64,
    /// Beginning.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
    /// The event's name.
    pub summary: String,
    /// Tickets, sessions, where the order can be seen.
    pub description: String,
    /// Venue and address.
    pub location: Option<String>,
    /// The event's public page. Never the order's: calendars are shared.
    pub url: String,
    /// Called off, or the order was cancelled.
    pub cancelled: bool,
}

/// The file's text.
#[must_use]
pub fn ics(entry: &Entry) -> String {
    let mut out = String::with_capacity(1024);
    let time = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
    line(&mut out, "BEGIN:VCALENDAR");
    line(&mut out, "VERSION:2.0");
    line(&mut out, "PRODID:-//Sloe//Sloe//EN");
    line(&mut out, if entry.cancelled { "METHOD:CANCEL" } else { "METHOD:PUBLISH" });
    line(&mut out, "BEGIN:VEVENT");
    property(&mut out, "UID", &entry.uid);
    line(&mut out, &format!("DTSTAMP:{}", time(entry.stamp)));
    line(&mut out, &format!("SEQUENCE:{}", entry.sequence));
    line(&mut out, &format!("DTSTART:{}", time(entry.start)));
    line(&mut out, &format!("DTEND:{}", time(entry.end)));
    property(&mut out, "SUMMARY", &entry.summary);
    property(&mut out, "DESCRIPTION", &entry.description);
    if let Some(location) = &entry.location {
        property(&mut out, "LOCATION", location);
    }
    line(&mut out, &format!("URL:{}", entry.url.replace(['\r', '\n'], "")));
    line(&mut out, if entry.cancelled { "STATUS:CANCELLED" } else { "STATUS:CONFIRMED" });
    line(&mut out, "END:VEVENT");
    line(&mut out, "END:VCALENDAR");
    out
}

/// Writes a text property, escaped (RFC 5545 §3.3.11).
fn property(out: &mut String, name: &str, value: &str) {
    let mut text = String::with_capacity(name.len() + value.len() + 8);
    let _ = write!(text, "{name}:");
    for c in value.chars() {
        match c {
            '\\' | ';' | ',' => {
                text.push('\\');
                text.push(c);
            }
            '\n' => text.push_str("\\n"),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    line(out, &text);
}

/// Writes a content line, folded at 75 octets between characters (§3.1).
fn line(out: &mut String, text: &str) {
    let mut width = 0;
    for c in text.chars() {
        if width + c.len_utf8() > 75 {
            out.push_str("\r\n ");
            width = 1;
        }
        out.push(c);
        width += c.len_utf8();
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Entry, ics};

    fn entry() -> Entry {
        Entry {
            uid: "abc@sloe".into(),
            stamp: "2026-11-01T10:00:00Z".parse().unwrap(),
            sequence: 0,
            start: "2026-12-03T08:30:00Z".parse().unwrap(),
            end: "2026-12-03T16:00:00Z".parse().unwrap(),
            summary: "Tea, cake; and \\ more".into(),
            description: "Line one\r\nBEGIN:VALARM".into(),
            location: Some("東京都".repeat(20)),
            url: "https://example.org/a/b".into(),
            cancelled: false,
        }
    }

    #[test]
    fn what_others_wrote_cannot_add_a_line() {
        let text = ics(&entry());
        assert!(text.contains("SUMMARY:Tea\\, cake\\; and \\\\ more\r\n"), "{text}");
        assert!(text.contains("DESCRIPTION:Line one\\nBEGIN:VALARM\r\n"), "{text}");
    }

    #[test]
    fn lines_are_folded_within_75_octets_between_characters() {
        let text = ics(&entry());
        assert!(text.split("\r\n").all(|l| l.len() <= 75));
        assert!(text.replace("\r\n ", "").contains(&"東京都".repeat(20)));
    }

    #[test]
    fn a_cancelled_order_takes_the_entry_out_of_the_calendar() {
        let text = ics(&Entry { cancelled: true, ..entry() });
        assert!(text.contains("METHOD:CANCEL\r\n") && text.contains("STATUS:CANCELLED\r\n"));
    }
}
