//! The queries that Sloe asks, in SOQL, from the names of a mapping.

use std::collections::BTreeSet;
use std::fmt::Write;

use reqwest::Url;
use sloe_core::ids::SfId;
use sloe_core::time::Timestamp;

use crate::client::API_VERSION;
use crate::look::{Mark, Watched};
use crate::map::{Column, Mapping, ReadNames, WriteNames, relationship};

/// Which events a query is about.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// Exactly these.
    Events(&'a [SfId]),
    /// The next so many after this one, by id.
    After(Option<SfId>, usize),
}

/// What the count queries call the count.
pub(crate) const COUNT: &str = "total";

/// Events with their items and sessions.
pub(crate) fn events(mapping: &Mapping, scope: Scope<'_>) -> String {
    let mut soql = format!("SELECT {}", field_list(&mapping.event));
    for child in [&mapping.item, &mapping.session] {
        let children = child.children.as_deref().unwrap_or_default();
        let _ = write!(soql, ", (SELECT {} FROM {children})", field_list(child));
    }
    let _ = write!(soql, " FROM {}", mapping.event.object);
    match scope {
        Scope::Events(ids) => {
            let _ = write!(soql, " WHERE {}", among("Id", ids));
        }
        Scope::After(after, count) => {
            if let Some(id) = after {
                let _ = write!(soql, " WHERE Id > '{id}'");
            }
            let _ = write!(soql, " ORDER BY Id LIMIT {count}");
        }
    }
    soql
}

/// Attendees that Sloe didn't make, counted by event and item.
pub(crate) fn external_by_item(mapping: &Mapping, events: &[SfId]) -> String {
    let names = &mapping.attendee;
    let event = column(mapping, Column::Event);
    let groups = match names.columns.get(&Column::Item) {
        Some(item) => format!("{event}, {item}"),
        None => event.to_owned(),
    };
    format!(
        "SELECT {groups}, COUNT(Id) {COUNT} FROM {} WHERE {} AND {} = null AND {}{} \
         GROUP BY {groups}",
        names.object,
        among(event, events),
        names.key,
        one_of(column(mapping, Column::Status), &names.statuses.seated),
        external_only(names),
    )
}

/// Places in sessions that Sloe didn't make, counted by session.
pub(crate) fn external_by_session(mapping: &Mapping, events: &[SfId]) -> String {
    let names = &mapping.session_attendee;
    let name = |column| names.columns.get(&column).map_or("", String::as_str);
    let session = name(Column::Session);
    let (parent, event) = event_of_session(mapping);
    let event_of_session = format!("{parent}.{event}");
    let parent = names.parent.as_deref().unwrap_or_default();
    let status_of_attendee = format!("{parent}.{}", column(mapping, Column::Status));
    format!(
        "SELECT {session}, COUNT(Id) {COUNT} FROM {} WHERE {} AND {} = null AND {} AND {}{} \
         GROUP BY {session}",
        names.object,
        among(&event_of_session, events),
        names.key,
        one_of(name(Column::Status), &names.statuses.seated),
        one_of(&status_of_attendee, &mapping.attendee.statuses.seated),
        external_only(names),
    )
}

/// Sloe's attendees that are cancelled or deleted in the org; for `queryAll`.
pub(crate) fn cancelled(mapping: &Mapping, events: &[SfId], since: Option<Timestamp>) -> String {
    let names = &mapping.attendee;
    let event = column(mapping, Column::Event);
    let mut soql = format!(
        "SELECT {event}, {} FROM {} WHERE {} AND {} != null AND ({} OR IsDeleted = true)",
        names.key,
        names.object,
        among(event, events),
        names.key,
        one_of(column(mapping, Column::Status), &names.statuses.freed),
    );
    if let Some(since) = since {
        let _ = write!(soql, " AND SystemModstamp >= {}", since.to_rfc3339());
    }
    soql
}

/// Events after `after`, for a Bulk query, which can't nest.
pub(crate) fn bulk_events(mapping: &Mapping, after: Option<SfId>) -> String {
    let after = after.map(|id| format!(" WHERE Id > '{id}'")).unwrap_or_default();
    let names = &mapping.event;
    format!("SELECT {} FROM {}{after} ORDER BY Id", field_list(names), names.object)
}

/// All items or all sessions that have an event, for a Bulk query.
pub(crate) fn bulk_children(names: &ReadNames) -> String {
    let event = names.event.as_deref().unwrap_or_default();
    format!(
        "SELECT {}, {event} FROM {} WHERE {event} != null ORDER BY {event}",
        field_list(names),
        names.object
    )
}

/// The active validation rules of these objects, for the Tooling API.
pub(crate) fn validation_rules(objects: &[&String]) -> String {
    let objects: Vec<String> = objects.iter().map(|object| (*object).clone()).collect();
    format!(
        "SELECT ValidationName, ErrorDisplayField, EntityDefinition.QualifiedApiName \
         FROM ValidationRule WHERE Active = true AND {}",
        one_of("EntityDefinition.QualifiedApiName", &objects)
    )
}

/// The address of a query of what the org is made of.
pub(crate) fn tooling_address(soql: &str) -> String {
    address(soql, false).replacen("/query?", "/tooling/query?", 1)
}

/// How a place in a session leads to the event: the session's relationship,
/// and the session's lookup.
pub(crate) fn event_of_session(mapping: &Mapping) -> (String, String) {
    let session = mapping.session_attendee.columns.get(&Column::Session).map_or("", String::as_str);
    (relationship(session), mapping.session.event.clone().unwrap_or_default())
}

/// The next `rows` rows of an object that changed since `mark`; for `queryAll`.
pub(crate) fn changed(mapping: &Mapping, of: Watched, mark: &Mark, rows: usize) -> String {
    let records = |names: &ReadNames| {
        let event = names.event.as_ref().map(|event| format!(", {event}")).unwrap_or_default();
        (format!("{}{event}", field_list(names)), names.object.clone(), String::new())
    };
    let attendee = &mapping.attendee;
    let (fields, object, only) = match of {
        Watched::Event => records(&mapping.event),
        Watched::Item => records(&mapping.item),
        Watched::Session => records(&mapping.session),
        Watched::Attendee => (
            format!("Id, {}, {}, CreatedDate", column(mapping, Column::Event), attendee.key),
            attendee.object.clone(),
            format!(
                " AND ({} = null OR {} OR IsDeleted = true)",
                attendee.key,
                one_of(column(mapping, Column::Status), &attendee.statuses.freed),
            ),
        ),
        Watched::SessionAttendee => {
            let (parent, event) = event_of_session(mapping);
            let names = &mapping.session_attendee;
            let only = format!(" AND {} = null", names.key);
            (format!("Id, {parent}.{event}, CreatedDate"), names.object.clone(), only)
        }
    };
    let stamp = mark.stamp.to_rfc3339();
    let after = mark.after.map(|id| format!(" AND (SystemModstamp > {stamp} OR Id > '{id}')"));
    format!(
        "SELECT {fields}, IsDeleted, SystemModstamp FROM {object} \
         WHERE SystemModstamp >= {stamp}{}{only} ORDER BY SystemModstamp, Id LIMIT {rows}",
        after.unwrap_or_default()
    )
}

/// The address of a query; deleted rows answer too when `all`.
pub(crate) fn address(soql: &str, all: bool) -> String {
    let resource = if all { "queryAll" } else { "query" };
    let path = format!("/services/data/{API_VERSION}/{resource}");
    // Only the encoding is of interest: the client puts the path on the org's own origin.
    match Url::parse_with_params("http://sloe.invalid", &[("q", soql)]) {
        Ok(url) => format!("{path}?{}", url.query().unwrap_or_default()),
        Err(_) => path,
    }
}

fn field_list(names: &ReadNames) -> String {
    let mut list = "Id".to_owned();
    // Two of Sloe's fields may be one of the org's, and no query may name one twice.
    let mut seen = BTreeSet::new();
    for name in names.fields.values().filter(|name| seen.insert(name.to_ascii_lowercase())) {
        list.push_str(", ");
        list.push_str(name);
    }
    list
}

fn column(mapping: &Mapping, column: Column) -> &str {
    mapping.attendee.columns.get(&column).map_or("", String::as_str)
}

pub(crate) fn among(field: &str, ids: &[SfId]) -> String {
    match ids {
        [only] => format!("{field} = '{only}'"),
        _ => {
            let list: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
            format!("{field} IN ({})", list.join(", "))
        }
    }
}

/// A condition that a text field holds one of these words.
pub(crate) fn one_of(field: &str, words: &[String]) -> String {
    match words {
        [only] => format!("{field} = {}", quoted(only)),
        _ => {
            let list: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            format!("{field} IN ({})", list.join(", "))
        }
    }
}

/// What else must be so of a record that Sloe didn't make, for it to take a seat.
fn external_only(names: &WriteNames) -> String {
    let mut conditions = String::new();
    if !names.external.count {
        conditions.push_str(" AND Id = null");
    }
    for (field, value) in &names.external.only {
        let value = value.as_str().map_or_else(|| value.to_string(), quoted);
        let _ = write!(conditions, " AND {field} = {value}");
    }
    conditions
}

/// A text as SOQL writes it (SOQL and SOSL Reference, "Quoted String Escape Sequences").
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::map::StatusWords;

    fn ids() -> [SfId; 2] {
        [SfId::parse("a00000000000001").unwrap(), SfId::parse("a00000000000002").unwrap()]
    }

    #[test]
    fn one_query_reads_an_event_with_its_children() {
        let soql = events(&Mapping::default(), Scope::Events(&ids()[..1]));
        assert!(soql.starts_with("SELECT Id, Name, Slug__c"), "{soql}");
        assert!(soql.contains(", (SELECT Id, Name, Description__c"), "{soql}");
        assert!(soql.contains(" FROM Items__r)") && soql.contains(" FROM Sessions__r)"), "{soql}");
        assert!(soql.ends_with(" FROM Sloe_Event__c WHERE Id = 'a00000000000001AAA'"), "{soql}");
    }

    #[test]
    fn a_page_begins_after_the_last_event_seen() {
        let soql = events(&Mapping::default(), Scope::After(Some(ids()[1]), 200));
        assert!(soql.ends_with("WHERE Id > 'a00000000000002AAA' ORDER BY Id LIMIT 200"), "{soql}");
    }

    #[test]
    fn counts_take_in_only_what_sloe_didn_t_make_and_only_who_comes() {
        assert_eq!(
            external_by_item(&Mapping::default(), &ids()),
            "SELECT Event__c, Item__c, COUNT(Id) total FROM Sloe_Attendee__c \
             WHERE Event__c IN ('a00000000000001AAA', 'a00000000000002AAA') \
             AND Sloe_Id__c = null AND Registration_Status__c = 'Registered' \
             GROUP BY Event__c, Item__c"
        );
        assert_eq!(
            external_by_session(&Mapping::default(), &ids()[..1]),
            "SELECT Session__c, COUNT(Id) total FROM Sloe_Session_Attendee__c \
             WHERE Session__r.Event__c = 'a00000000000001AAA' AND Sloe_Id__c = null \
             AND Registration_Status__c = 'Registered' \
             AND Attendee__r.Registration_Status__c = 'Registered' GROUP BY Session__c"
        );
    }

    #[test]
    fn a_look_goes_on_where_the_last_one_ended_and_asks_only_for_what_sloe_did_not_write() {
        let stamp = Timestamp(1_700_000_000_000);
        let mapping = Mapping::default();
        let from = Mark { stamp, after: None };
        assert_eq!(
            changed(&mapping, Watched::Attendee, &from, 2_000),
            "SELECT Id, Event__c, Sloe_Id__c, CreatedDate, IsDeleted, SystemModstamp \
             FROM Sloe_Attendee__c \
             WHERE SystemModstamp >= 2023-11-14T22:13:20Z AND (Sloe_Id__c = null \
             OR Registration_Status__c = 'Cancelled' OR IsDeleted = true) \
             ORDER BY SystemModstamp, Id LIMIT 2000"
        );
        let on = Mark { stamp, after: Some(ids()[0]) };
        let soql = changed(&mapping, Watched::SessionAttendee, &on, 2_000);
        assert_eq!(
            soql,
            "SELECT Id, Session__r.Event__c, CreatedDate, IsDeleted, SystemModstamp \
             FROM Sloe_Session_Attendee__c WHERE SystemModstamp >= 2023-11-14T22:13:20Z \
             AND (SystemModstamp > 2023-11-14T22:13:20Z OR Id > 'a00000000000001AAA') \
             AND Sloe_Id__c = null ORDER BY SystemModstamp, Id LIMIT 2000"
        );
        let soql = changed(&mapping, Watched::Item, &from, 500);
        assert!(soql.contains(", Event__c, IsDeleted, SystemModstamp FROM Sloe_Item__c"), "{soql}");
        assert!(!soql.contains("Sold__c"), "our own figures are none of its business: {soql}");
    }

    #[test]
    fn a_word_of_the_mapping_cannot_end_its_own_text() {
        let mut mapping = Mapping::default();
        mapping.attendee.statuses = StatusWords::of("Who's \\ in", "Out");
        assert!(external_by_item(&mapping, &ids()).contains("= 'Who\\'s \\\\ in'"));
    }

    #[test]
    fn counts_follow_the_mapping_s_words_and_rule_and_do_without_an_item() {
        let mut mapping = Mapping::default();
        mapping.attendee.columns.remove(&Column::Item);
        mapping.attendee.statuses.seated = vec!["Registered".into(), "Pending".into()];
        mapping.attendee.external.only.insert("Kind__c".into(), "Gue'st".into());
        mapping.attendee.external.only.insert("Paid__c".into(), true.into());
        let soql = external_by_item(&mapping, &ids()[..1]);
        assert_eq!(
            soql,
            "SELECT Event__c, COUNT(Id) total FROM Sloe_Attendee__c \
             WHERE Event__c = 'a00000000000001AAA' AND Sloe_Id__c = null \
             AND Registration_Status__c IN ('Registered', 'Pending') \
             AND Kind__c = 'Gue\\'st' AND Paid__c = true GROUP BY Event__c"
        );
        mapping.attendee.external.count = false;
        assert!(external_by_item(&mapping, &ids()).contains(" AND Id = null"));
    }

    #[test]
    fn the_address_of_a_query_is_encoded() {
        let path = address("SELECT Id FROM A WHERE B = 'x&y'", true);
        assert_eq!(
            path,
            "/services/data/v62.0/queryAll?q=SELECT+Id+FROM+A+WHERE+B+%3D+%27x%26y%27"
        );
    }
}
