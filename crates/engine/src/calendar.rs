//! Calendar files (RFC 5545), so that an order's event lands in the
//! registrant's calendar: a download of the order's page, and a part of its
//! mail. Times are in UTC: every calendar converts them.

use std::fmt::Write as _;

use sloe_core::catalog::{EventStatus, Snapshot};
use sloe_core::time::Timestamp;

use crate::view::{OrderView, Ticket};

/// The calendar file of `order`. `event_url` is the event's public page; `now`
/// is when the file is made. Names nobody: calendars are shared.
#[must_use]
pub fn order(order: &OrderView, event_url: &str, now: Timestamp) -> String {
    let snapshot = &order.snapshot;
    let standing: Vec<_> =
        order.tickets.iter().filter(|ticket| ticket.cancelled.is_none()).collect();
    let cancelled = order.tickets.len() - standing.len();
    ics(&Entry {
        uid: format!("{}@sloe", order.claim.text()),
        stamp: now,
        // Both only grow, and either changes what the entry says.
        sequence: snapshot.version.saturating_add(cancelled as u64),
        start: snapshot.starts_at,
        end: snapshot.ends_at,
        summary: snapshot.name.clone(),
        description: description(order, &standing),
        location: location(snapshot),
        url: event_url.to_owned(),
        cancelled: standing.is_empty() || snapshot.status == EventStatus::Cancelled,
    })
}

fn description(order: &OrderView, standing: &[&Ticket]) -> String {
    let snapshot = &order.snapshot;
    let mut text = format!("Order {}", order.reference);
    for item in &snapshot.items {
        let count = standing.iter().filter(|ticket| ticket.item == item.id).count();
        if count > 0 {
            let _ = write!(text, "\n{count} × {}", item.name);
        }
    }
    let chosen = |id| standing.iter().any(|ticket| ticket.sessions.contains(&id));
    for session in snapshot.sessions.iter().filter(|session| chosen(session.id)) {
        let room = session.room.as_deref().map(|room| format!(" ({room})")).unwrap_or_default();
        let _ = write!(text, "\n{}{room}", session.name);
    }
    text
}

fn location(snapshot: &Snapshot) -> Option<String> {
    let place = &snapshot.place;
    let lines =
        place.venue.iter().map(String::as_str).chain(place.address.iter().flat_map(|a| a.lines()));
    let text = lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ");
    Some(text).filter(|text| !text.is_empty()).or_else(|| place.online_url.clone())
}

/// What one calendar file says.
#[derive(Clone, Debug)]
struct Entry {
    /// Stays the same for the same order, so that a second import replaces
    /// the first.
    uid: String,
    /// When the order was made or last changed.
    stamp: Timestamp,
    /// Counts the changes; a calendar keeps the highest.
    sequence: u64,
    /// Beginning.
    start: Timestamp,
    /// End.
    end: Timestamp,
    /// The event's name.
    summary: String,
    /// Tickets, sessions, where the order can be seen.
    description: String,
    /// Venue and address.
    location: Option<String>,
    /// The event's public page. Never the order's: calendars are shared.
    url: String,
    /// Called off, or the order was cancelled.
    cancelled: bool,
}

/// The file's text.
fn ics(entry: &Entry) -> String {
    let mut out = String::with_capacity(1024);
    let time = |at: Timestamp| {
        let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::MAX);
        at.strftime("%Y%m%dT%H%M%SZ").to_string()
    };
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

    use sloe_core::time::Timestamp;

    use super::{Entry, ics};

    fn entry() -> Entry {
        Entry {
            uid: "abc@sloe".into(),
            stamp: Timestamp::parse("2026-11-01T10:00:00Z").unwrap(),
            sequence: 0,
            start: Timestamp::parse("2026-12-03T08:30:00Z").unwrap(),
            end: Timestamp::parse("2026-12-03T16:00:00Z").unwrap(),
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
