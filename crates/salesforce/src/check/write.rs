//! The objects that Sloe writes attendees to.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::finding::{Findings, Severity};
use super::read::{RIGHTS, absent, lacking, leads_to, spelling, wrong_type};
use super::{Described, is_required};
use crate::map::keys::Kind;
use crate::map::{Column, Mapping, StatusWords, WriteNames, relationship};
use crate::wire::{DescribedField, ValidationRule};

/// Characters of the longest external id that Sloe makes.
const KEY_CHARS: u32 = 64;
/// Characters of an order's short name.
const REFERENCE_CHARS: u32 = 9;

pub(super) fn check(
    findings: &mut Findings,
    found: &Described,
    names: &WriteNames,
    mapping: &Mapping,
) {
    if !(found.about.createable && found.about.updateable) {
        findings.add(
            (Severity::Blocker, "no-rights"),
            (&found.object, None),
            format!("Sloe may not create and change {} records.", found.object),
            RIGHTS,
        );
    }
    key(findings, found, names);
    version(findings, found, names);
    for (column, name) in &names.columns {
        let later = *column == Column::Status;
        let rights = rights_for(*column);
        let Some(field) = writable(findings, found, name, (later, &rights)) else { continue };
        spelling(findings, found, field, name);
        column_type(findings, found, field, (*column, names, mapping));
        way(findings, found, field, (*column, names));
    }
    for (name, value) in names.own(true) {
        let later = names.constants.contains_key(name);
        let Some(field) = writable(findings, found, name, (later, RIGHTS)) else { continue };
        constant(findings, found, field, value);
    }
    for (name, value) in &names.external.only {
        match found.field(name) {
            None => absent(findings, found, name, "isn't there, or Sloe may not read it"),
            Some(field) => asked(findings, found, field, value),
        }
    }
    statuses(findings, found, names);
    masters(findings, found, names);
    required(findings, found, names);
}

/// What to do if Sloe may not write a column. An org hides a lookup from whoever may not read
/// what it leads to, and only these lead to what is none of Sloe's objects.
fn rights_for(column: Column) -> Cow<'static, str> {
    let invited = match column {
        Column::Contact => "Contact",
        Column::Lead => "Lead",
        _ => return RIGHTS.into(),
    };
    format!(
        "Assign the permission set Sloe Invitations to the integration user, or give it Read and \
         View All on {invited} otherwise: Salesforce shows this lookup to nobody else. If the field \
         doesn't exist, install the package's current version. If nobody is to be invited, leave \
         the field out of the mapping."
    )
    .into()
}

/// A field that Sloe may fill, in changes too if `later`; with `rights` to do so.
fn writable<'a>(
    findings: &mut Findings,
    found: &'a Described,
    name: &str,
    (later, rights): (bool, &str),
) -> Option<&'a DescribedField> {
    let field = found.field(name).filter(|f| f.createable && (f.updateable || !later));
    if field.is_none() {
        lacking(findings, found, name, ("isn't there, or Sloe may not write it", rights));
    }
    field
}

fn key(findings: &mut Findings, found: &Described, names: &WriteNames) {
    let name = &names.key;
    let Some(field) = found.field(name) else {
        return absent(findings, found, name, "isn't there, or Sloe may not see it");
    };
    spelling(findings, found, field, name);
    let at = (found.object.as_str(), Some(name.as_str()));
    if !(field.external_id && field.unique) {
        findings.add(
            (Severity::Blocker, "not-external-id"),
            at,
            format!("{}.{name} is not an external id that is unique.", found.object),
            "Tick External ID and Unique on the field: without them a repeated send would make a \
             second record.",
        );
    }
    if !field.createable {
        absent(findings, found, name, "isn't there, or Sloe may not write it");
    }
    if !matches!(field.kind.as_str(), "string" | "") {
        wrong_type(findings, found, field, "it must be a text");
    } else if field.length < KEY_CHARS {
        too_short(findings, found, field, KEY_CHARS);
    }
}

fn too_short(findings: &mut Findings, found: &Described, field: &DescribedField, chars: u32) {
    findings.add(
        (Severity::Blocker, "too-short"),
        (&found.object, Some(&field.name)),
        format!(
            "{}.{} takes {} characters; Sloe writes up to {chars}.",
            found.object, field.name, field.length
        ),
        format!("Lengthen the field to {chars} characters or more."),
    );
}

fn version(findings: &mut Findings, found: &Described, names: &WriteNames) {
    let Some(name) = &names.version else {
        findings.add(
            (Severity::Warning, "no-version"),
            (&found.object, None),
            format!("The mapping names no version field for {}.", found.object),
            "It works, but an older state that comes late can't be refused. Add Sloe_Version__c, a \
             number, with a validation rule that refuses a lower one, and name it as version.",
        );
        return;
    };
    let Some(field) = writable(findings, found, name, (true, RIGHTS)) else { return };
    if !Kind::Number.types().contains(&field.kind.as_str()) && !field.kind.is_empty() {
        wrong_type(findings, found, field, "it must be a number");
    }
}

fn column_type(
    findings: &mut Findings,
    found: &Described,
    field: &DescribedField,
    (column, names, mapping): (Column, &WriteNames, &Mapping),
) {
    let kind = field.kind.as_str();
    let fits = match column {
        Column::Event => return leads_to(findings, found, field, &mapping.event.object),
        Column::Item => return leads_to(findings, found, field, &mapping.item.object),
        Column::Session => return leads_to(findings, found, field, &mapping.session.object),
        Column::Attendee => return leads_to(findings, found, field, &mapping.attendee.object),
        Column::Contact => return leads_to(findings, found, field, "Contact"),
        Column::Lead => return leads_to(findings, found, field, "Lead"),
        Column::RegisteredAt => matches!(kind, "datetime" | ""),
        Column::OrderReference => {
            if kind == "string" && field.length < REFERENCE_CHARS {
                too_short(findings, found, field, REFERENCE_CHARS);
            }
            matches!(kind, "string" | "textarea" | "")
        }
        Column::Status => {
            let longest = [&names.statuses.registered, &names.statuses.cancelled];
            let longest = longest.iter().map(|word| chars(word)).max().unwrap_or_default();
            if kind == "string" && field.length < longest {
                too_short(findings, found, field, longest);
            }
            matches!(kind, "string" | "picklist" | "")
        }
        Column::FirstName | Column::LastName => matches!(kind, "string" | "textarea" | ""),
        Column::Email => matches!(kind, "string" | "email" | "textarea" | ""),
    };
    if !fits {
        let wanted = if column == Column::RegisteredAt { "a date and time" } else { "a text" };
        wrong_type(findings, found, field, &format!("Sloe writes {wanted}"));
    }
}

/// What leads from a place in a session to its attendee and its session, by
/// which queries ask and rows name their parent.
fn way(
    findings: &mut Findings,
    found: &Described,
    field: &DescribedField,
    (column, names): (Column, &WriteNames),
) {
    let (used, fix) = match (column, &names.parent) {
        (Column::Attendee, Some(parent)) => (parent.clone(), "Name that as parent in the mapping."),
        (Column::Session, _) => (
            relationship(&field.name),
            "Sloe can't use a lookup whose relationship is named unlike it: ask Sloe's makers.",
        ),
        _ => return,
    };
    let Some(told) = field.relationship_name.as_ref().filter(|told| **told != used) else {
        return;
    };
    findings.add(
        (Severity::Blocker, "relationship"),
        (&found.object, Some(&field.name)),
        format!("What leads on from {}.{} is {told}, not {used}.", found.object, field.name),
        fix,
    );
}

/// A field by which records made in Salesforce are told apart.
fn asked(findings: &mut Findings, found: &Described, field: &DescribedField, value: &Json) {
    if !fits(field, value) {
        return wrong_type(findings, found, field, "the mapping asks for a value of another type");
    }
    if field.filterable == Some(false) {
        findings.add(
            (Severity::Blocker, "not-filterable"),
            (&found.object, Some(&field.name)),
            format!("Salesforce finds no records by {}.{}.", found.object, field.name),
            "Name another field under external.only in the mapping: no long text, for instance.",
        );
    }
    if let Some(text) = value.as_str().filter(|_| field.restricted_picklist) {
        lacks(findings, found, field, (text, Severity::Warning));
    }
}

fn fits(field: &DescribedField, value: &Json) -> bool {
    let kind = field.kind.as_str();
    match value {
        Json::Bool(_) => matches!(kind, "boolean" | ""),
        Json::Number(_) => Kind::Number.types().contains(&kind) || kind.is_empty(),
        _ => !matches!(kind, "boolean") && !Kind::Number.types().contains(&kind),
    }
}

fn chars(text: &str) -> u32 {
    u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX)
}

fn constant(findings: &mut Findings, found: &Described, field: &DescribedField, value: &Json) {
    if !fits(field, value) {
        return wrong_type(findings, found, field, "the mapping gives it a value of another type");
    }
    let Some(text) = value.as_str() else { return };
    if field.restricted_picklist {
        lacks(findings, found, field, (text, Severity::Blocker));
    } else if field.length > 0 && field.length < chars(text) {
        too_short(findings, found, field, chars(text));
    }
}

/// A word that the org's picklist would refuse.
fn lacks(
    findings: &mut Findings,
    found: &Described,
    field: &DescribedField,
    (word, severity): (&str, Severity),
) {
    let there = field.picklist_values.iter().any(|v| v.active && v.value == word);
    if there {
        return;
    }
    let known: Vec<&str> =
        field.picklist_values.iter().filter(|v| v.active).map(|v| v.value.as_str()).collect();
    findings.add(
        (severity, "picklist-value"),
        (&found.object, Some(&field.name)),
        format!("The picklist {}.{} lacks the value {word}.", found.object, field.name),
        format!(
            "Add the value, or name the org's own word for it in the mapping; it has {}.",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        ),
    );
}

fn statuses(findings: &mut Findings, found: &Described, names: &WriteNames) {
    let field = names.columns.get(&Column::Status).and_then(|name| found.field(name));
    let Some(field) = field.filter(|field| field.restricted_picklist) else { return };
    let StatusWords { registered, cancelled, seated, freed } = &names.statuses;
    for word in [registered, cancelled] {
        lacks(findings, found, field, (word, Severity::Blocker));
    }
    let read = seated.iter().chain(freed).filter(|word| *word != registered && *word != cancelled);
    for word in read {
        lacks(findings, found, field, (word, Severity::Warning));
    }
}

/// Which parents the org locks decides how rows may be sent.
fn masters(findings: &mut Findings, found: &Described, names: &WriteNames) {
    for (column, name) in names.columns.iter().filter(|(column, _)| column.is_lookup()) {
        let Some(field) = found.field(name).filter(|field| !field.kind.is_empty()) else {
            continue;
        };
        let master = field.relationship_order.is_some();
        if master && !names.masters.contains(column) {
            findings.add(
                (Severity::Warning, "master-detail"),
                (&found.object, Some(name)),
                format!(
                    "{}.{name} is master-detail: its parent is locked by every row.",
                    found.object
                ),
                "Name it under master_detail in the mapping, so that rows of one parent go one \
                 after the other.",
            );
        }
    }
}

/// A field that the org requires and Sloe never fills: every row would be refused.
fn required(findings: &mut Findings, found: &Described, names: &WriteNames) {
    let columns = names.columns.values().chain([&names.key]).chain(&names.version);
    let filled: Vec<&str> =
        columns.chain(names.own(true).map(|(name, _)| name)).map(String::as_str).collect();
    let missing = found.about.fields.iter().filter(|field| is_required(field));
    for field in missing.filter(|f| !filled.iter().any(|name| name.eq_ignore_ascii_case(&f.name))) {
        findings.add(
            (Severity::Blocker, "required-field"),
            (&found.object, Some(&field.name)),
            format!("{}.{} is required, but Sloe doesn't fill it.", found.object, field.name),
            "Give it a value under defaults in the mapping, or make it optional or give it a \
             default value in Salesforce.",
        );
    }
}

/// The org's validation rules, as far as they are known.
pub(super) fn rules(findings: &mut Findings, rules: Option<&[ValidationRule]>, mapping: &Mapping) {
    let Some(rules) = rules else {
        findings.add(
            (Severity::Note, "rules-unknown"),
            (&mapping.attendee.object, None),
            "Sloe may not read the org's validation rules, so none was checked.",
            "Nothing to do: a row that a rule refuses becomes a dead letter with the rule's message.",
        );
        return;
    };
    for names in [&mapping.attendee, &mapping.session_attendee] {
        let of_object = rules.iter().filter(|rule| {
            let object = rule.entity_definition.as_ref().map(|d| d.qualified_api_name.as_str());
            object.is_some_and(|object| object.eq_ignore_ascii_case(&names.object))
        });
        let is_version = |rule: &ValidationRule| {
            let both = names.version.as_deref().zip(rule.error_display_field.as_deref());
            both.is_some_and(|(version, field)| is_same_field(version, field))
        };
        let (of_version, others): (Vec<_>, Vec<_>) = of_object.partition(|rule| is_version(rule));
        if let (Some(version), true) = (&names.version, of_version.is_empty()) {
            findings.add(
                (Severity::Warning, "version-rule"),
                (&names.object, Some(version)),
                format!("No validation rule of {} puts its error on {version}.", names.object),
                "Activate the rule Sloe_Newest_State_Wins of Sloe's package: it keeps an older \
                 state that comes late from replacing a newer one.",
            );
        }
        for rule in others {
            findings.add(
                (Severity::Note, "validation-rule"),
                (&names.object, rule.error_display_field.as_deref()),
                format!(
                    "The validation rule {} may refuse rows of {}.",
                    rule.validation_name, names.object
                ),
                "Nothing to do if Sloe's rows satisfy it; a row it refuses becomes a dead letter \
                 with its message. Give fields that it asks for a value under defaults.",
            );
        }
    }
}

/// The Tooling API may name a field without its namespace and suffix.
fn is_same_field(name: &str, told: &str) -> bool {
    let bare = |name: &str| {
        let name = name.strip_suffix("__c").unwrap_or(name);
        name.rsplit("__").next().unwrap_or(name).to_ascii_lowercase()
    };
    bare(name) == bare(told)
}
