//! The queries that Sloe asks, in SOQL, from the names of a mapping.

use std::collections::BTreeSet;
use std::fmt::Write;

use reqwest::Url;
use sloe_core::ids::SfId;
use sloe_core::time::Timestamp;

use crate::client::API_VERSION;
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
    let event_of_session = format!(
        "{}.{}",
        relationship(session),
        mapping.session.event.as_deref().unwrap_or_default()
    );
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

fn among(field: &str, ids: &[SfId]) -> String {
    match ids {
        [only] => format!("{field} = '{only}'"),
        _ => {
            let list: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
            format!("{field} IN ({})", list.join(", "))
        }
    }
}

/// A condition that a text field holds one of these words.
fn one_of(field: &str, words: &[String]) -> String {
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
fn quoted(text: &str) -> String {
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
