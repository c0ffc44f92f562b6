//! From the org's words to Sloe's: picklist values, what holds where a field
//! is empty, and what its dates and times mean.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use sloe_core::inbound::{Field, RawEvent, RawRecord, Value};
use sloe_core::time::Timestamp;

use super::{Mapping, ReadNames, Times};

/// Any word that the mapping doesn't name.
pub(crate) const ANY: &str = "*";

/// The fields that hold a moment.
const MOMENTS: [Field; 4] = [Field::StartsAt, Field::EndsAt, Field::OpensAt, Field::ClosesAt];

/// Puts Sloe's values in the place of the org's.
pub(crate) fn values(fields: &mut BTreeMap<Field, Value>, names: &ReadNames) {
    for (field, words) in &names.values {
        let Some(value) = fields.get_mut(field) else { continue };
        let word = word_of(value);
        let any = || words.get(ANY).filter(|_| !word.is_empty());
        if let Some(meant) = words.get(&word).or_else(any) {
            *value = meant.clone();
        }
    }
    for (field, value) in &names.fallback {
        let there = fields.entry(*field).or_insert(Value::Null);
        if *there == Value::Null {
            *there = value.clone();
        }
    }
}

fn word_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
    }
}

impl Mapping {
    /// Makes moments of an event's days and wall clock times, its items' and
    /// sessions' too. A session without times of its own takes the event's.
    pub fn moments(&self, raw: &mut RawEvent) {
        let zone = match raw.event.fields.get(&Field::TimeZone) {
            Some(Value::Text(name)) => TimeZone::get(name.trim()).ok(),
            _ => None,
        };
        // An event whose zone is none is refused by its own fault.
        if let Some(zone) = zone {
            let children = raw.items.iter_mut().chain(&mut raw.sessions);
            let all = std::iter::once(&mut raw.event).chain(children);
            all.for_each(|record| in_zone(record, self.times, &zone));
        }
        for field in [Field::StartsAt, Field::EndsAt] {
            if !self.session.fields.contains_key(&field)
                && let Some(value) = raw.event.fields.get(&field)
            {
                for session in &mut raw.sessions {
                    session.fields.entry(field).or_insert_with(|| value.clone());
                }
            }
        }
    }
}

fn in_zone(record: &mut RawRecord, times: Times, zone: &TimeZone) {
    for field in MOMENTS {
        if let Some(Value::Text(text)) = record.fields.get_mut(&field)
            && let Some(moment) = moment(text, field, times, zone)
        {
            *text = moment;
        }
    }
}

/// The moment that `text` means; `None` if it is one already, or nothing known.
fn moment(text: &str, field: Field, times: Times, zone: &TimeZone) -> Option<String> {
    let local: DateTime = match (text.trim().parse::<Date>(), times) {
        // A day: from its beginning, until its end.
        (Ok(day), _) if text.trim().len() == 10 => {
            let until = matches!(field, Field::EndsAt | Field::ClosesAt);
            if until { day.tomorrow().ok()?.into() } else { day.into() }
        }
        (_, Times::Utc) => return None,
        (_, Times::Wall) => {
            let stored = jiff::Timestamp::from_millisecond(Timestamp::parse(text)?.0).ok()?;
            TimeZone::UTC.to_datetime(stored)
        }
    };
    let moment = zone.to_timestamp(local).ok()?;
    Some(Timestamp(moment.as_millisecond()).to_rfc3339())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use sloe_core::ids::SfId;

    use super::*;

    fn record(fields: &[(Field, &str)]) -> RawRecord {
        let fields = fields.iter().map(|(field, text)| (*field, Value::Text((*text).into())));
        RawRecord { id: SfId::parse("a00000000000001").unwrap(), fields: fields.collect() }
    }

    fn event(fields: &[(Field, &str)], sessions: Vec<RawRecord>) -> RawEvent {
        RawEvent {
            event: record(fields),
            items: Vec::new(),
            sessions,
            external_total: 0,
            external_by_item: Vec::new(),
            external_by_session: Vec::new(),
            cancelled: Vec::new(),
            as_of: Timestamp(0),
        }
    }

    fn text(record: &RawRecord, field: Field) -> &str {
        match record.fields.get(&field) {
            Some(Value::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_word_means_what_the_mapping_says_and_any_other_what_the_star_says() {
        let mut names = Mapping::default().event;
        let words = [("Open", true), ("", false), ("*", false)];
        let words = words.map(|(word, yes)| (word.to_owned(), Value::Bool(yes)));
        names.values.insert(Field::Published, BTreeMap::from(words));
        let never = BTreeMap::from([("999999".to_owned(), Value::Null)]);
        names.values.insert(Field::Limit, never);
        names.fallback.insert(Field::Limit, Value::Number(5.0));
        names.fallback.insert(Field::Currency, Value::Text("EUR".into()));
        for (stored, meant) in [
            (Value::Text("Open".into()), true),
            (Value::Text("Draft".into()), false),
            (Value::Null, false),
        ] {
            let mut fields = BTreeMap::from([
                (Field::Published, stored),
                (Field::Limit, Value::Number(999_999.0)),
                (Field::Status, Value::Text("As it is".into())),
            ]);
            values(&mut fields, &names);
            assert_eq!(fields[&Field::Published], Value::Bool(meant));
            assert_eq!(fields[&Field::Limit], Value::Number(5.0));
            assert_eq!(fields[&Field::Currency], Value::Text("EUR".into()));
            assert_eq!(fields[&Field::Status], Value::Text("As it is".into()));
        }
    }

    #[test]
    fn an_empty_field_is_no_other_word_so_it_falls_back() {
        let mut names = Mapping::default().event;
        let any = BTreeMap::from([("*".to_owned(), Value::Text("Scheduled".into()))]);
        names.values.insert(Field::Status, any);
        names.fallback.insert(Field::Status, Value::Text("Cancelled".into()));
        for (stored, meant) in [(Value::Null, "Cancelled"), (Value::Text("On".into()), "Scheduled")]
        {
            let mut fields = BTreeMap::from([(Field::Status, stored)]);
            values(&mut fields, &names);
            assert_eq!(fields[&Field::Status], Value::Text(meant.into()));
        }
    }

    #[test]
    fn days_become_the_event_s_own_midnights() {
        let mut mapping = Mapping::default();
        mapping.session.fields.remove(&Field::StartsAt);
        let fields = [
            (Field::TimeZone, "Europe/Berlin"),
            (Field::StartsAt, "2026-03-29"),
            (Field::EndsAt, "2026-03-29"),
        ];
        let session = record(&[(Field::EndsAt, "2026-03-29T08:00:00.000+0000")]);
        let mut raw = event(&fields, vec![session]);
        mapping.moments(&mut raw);
        let RawEvent { event, sessions, .. } = raw;
        // The night in which summer time begins.
        assert_eq!(text(&event, Field::StartsAt), "2026-03-28T23:00:00Z");
        assert_eq!(text(&event, Field::EndsAt), "2026-03-29T22:00:00Z");
        assert_eq!(text(&sessions[0], Field::StartsAt), "2026-03-28T23:00:00Z");
        assert_eq!(text(&sessions[0], Field::EndsAt), "2026-03-29T08:00:00.000+0000");
    }

    #[test]
    fn wall_clock_times_are_read_in_the_event_s_zone() {
        let mapping = Mapping { times: Times::Wall, ..Mapping::default() };
        let mut raw = event(
            &[
                (Field::TimeZone, "America/New_York"),
                (Field::StartsAt, "2026-07-01T09:00:00.000+0000"),
            ],
            Vec::new(),
        );
        mapping.moments(&mut raw);
        assert_eq!(text(&raw.event, Field::StartsAt), "2026-07-01T13:00:00Z");
    }

    #[test]
    fn what_is_no_time_and_what_has_no_zone_is_left_for_the_event_s_own_fault() {
        let mapping = Mapping { times: Times::Wall, ..Mapping::default() };
        let mut raw =
            event(&[(Field::TimeZone, "Mars"), (Field::StartsAt, "2026-07-01")], Vec::new());
        mapping.moments(&mut raw);
        assert_eq!(text(&raw.event, Field::StartsAt), "2026-07-01");
        let mut raw = event(&[(Field::TimeZone, "UTC"), (Field::StartsAt, "soon")], Vec::new());
        mapping.moments(&mut raw);
        assert_eq!(text(&raw.event, Field::StartsAt), "soon");
    }
}
