//! The objects that Sloe reads, and writes figures to.

use sloe_core::inbound::{Field, Value};

use super::Described;
use super::finding::{Findings, Severity};
use crate::map::keys::{Kind, ReadKey};
use crate::map::translate::ANY;
use crate::map::{Mapping, ReadNames, Times};
use crate::wire::DescribedField;

pub(super) const RIGHTS: &str = "Assign the permission set Sloe Integration to the integration \
    user; if the field doesn't exist, install the package's current version.";

/// What to do about a field that isn't there, if it isn't `rights` that lack.
fn remedy(found: &Described, name: &str, rights: &str) -> String {
    match found.closest(name) {
        Some(other) if other.eq_ignore_ascii_case(name) => rights.to_owned(),
        Some(other) => format!(
            "The org has {other}: name that in the mapping if it is the one. Else: {rights}"
        ),
        None => format!(
            "{rights} If this org does without it, leave it out of the mapping, if the mapping may."
        ),
    }
}

pub(super) fn check(
    findings: &mut Findings,
    found: &Described,
    names: &ReadNames,
    keys: &[ReadKey],
) {
    for key in keys {
        let Some(name) = names.fields.get(&key.field) else { continue };
        let Some(field) = found.field(name) else {
            absent(findings, found, name, "isn't there, or Sloe may not read it");
            continue;
        };
        spelling(findings, found, field, name);
        let translated = names.values.get(&key.field);
        let fits = key.kind.types().contains(&field.kind.as_str()) || field.kind.is_empty();
        if !fits && (translated.is_none() || key.kind == Kind::Moment) {
            wrong_type(findings, found, field, &format!("Sloe reads {}", key.kind.words()));
        }
        let words = translated.map(|words| words.keys().map(String::as_str).collect::<Vec<_>>());
        unknown_words(findings, found, field, key.field, &words.unwrap_or_default());
    }
    for name in names.figures.all() {
        match found.field(name) {
            Some(field) if field.calculated => findings.add(
                (Severity::Blocker, "not-updateable"),
                (&found.object, Some(name)),
                format!(
                    "The field {}.{name} is worked out by the org; Sloe can't write it.",
                    found.object
                ),
                "Leave it out of the mapping's figures.",
            ),
            Some(field) if field.updateable => {
                if !Kind::Number.types().contains(&field.kind.as_str()) && !field.kind.is_empty() {
                    wrong_type(findings, found, field, "Sloe writes a number");
                }
            }
            _ => absent(findings, found, name, "isn't there, or Sloe may not write it"),
        }
    }
}

pub(super) fn absent(findings: &mut Findings, found: &Described, name: &str, what: &str) {
    lacking(findings, found, name, (what, RIGHTS));
}

/// As [`absent`], where other rights are needed than the usual ones.
pub(super) fn lacking(
    findings: &mut Findings,
    found: &Described,
    name: &str,
    (what, rights): (&str, &str),
) {
    let there = found.field(name).is_some();
    let code = if there { "no-rights" } else { "field-missing" };
    findings.add(
        (Severity::Blocker, code),
        (&found.object, Some(name)),
        format!("The field {}.{name} {what}.", found.object),
        remedy(found, name, rights),
    );
}

/// The org takes a name in any spelling, but answers in its own.
pub(super) fn spelling(
    findings: &mut Findings,
    found: &Described,
    field: &DescribedField,
    name: &str,
) {
    if field.name == name {
        return;
    }
    findings.add(
        (Severity::Blocker, "spelling"),
        (&found.object, Some(name)),
        format!("The org writes {}.{name} as {}.", found.object, field.name),
        "Write it so in the mapping, upper and lower case alike: the org's answers name it so.",
    );
}

pub(super) fn wrong_type(
    findings: &mut Findings,
    found: &Described,
    field: &DescribedField,
    wanted: &str,
) {
    findings.add(
        (Severity::Blocker, "wrong-type"),
        (&found.object, Some(&field.name)),
        format!("The field {}.{} is of type {}; {wanted}.", found.object, field.name, field.kind),
        "Name another field in the mapping, or say under values what its words mean.",
    );
}

/// A status that means nothing to Sloe would refuse every event that has it.
fn unknown_words(
    findings: &mut Findings,
    found: &Described,
    field: &DescribedField,
    of: Field,
    known: &[&str],
) {
    let means = |word: &str| match of {
        Field::Status => matches!(word, "Scheduled" | "Cancelled"),
        Field::Published | Field::Active => false,
        _ => true,
    };
    if known.contains(&ANY) || field.picklist_values.is_empty() {
        return;
    }
    let words = field.picklist_values.iter().filter(|value| value.active);
    let words = words.map(|value| value.value.as_str());
    let unknown: Vec<&str> = words.filter(|word| !known.contains(word) && !means(word)).collect();
    if !unknown.is_empty() {
        findings.add(
            (Severity::Warning, "word-unknown"),
            (&found.object, Some(&field.name)),
            format!(
                "Records whose {}.{} is {} would be refused: the mapping doesn't say what that means.",
                found.object,
                field.name,
                unknown.join(" or ")
            ),
            "Say so under values in the mapping; \"*\" stands for any other word.",
        );
    }
}

/// The child's lookup to the event.
pub(super) fn lookup(findings: &mut Findings, found: &Described, names: &ReadNames, event: &str) {
    let Some(name) = &names.event else { return };
    match found.field(name) {
        None => absent(findings, found, name, "isn't there, or Sloe may not read it"),
        Some(field) => {
            spelling(findings, found, field, name);
            leads_to(findings, found, field, event);
        }
    }
}

pub(super) fn leads_to(
    findings: &mut Findings,
    found: &Described,
    field: &DescribedField,
    object: &str,
) {
    let there = field.reference_to.iter().any(|to| to.eq_ignore_ascii_case(object));
    if !there && !field.kind.is_empty() {
        wrong_type(findings, found, field, &format!("it must be a lookup to {object}"));
    }
}

/// The event's name for its children.
pub(super) fn children(findings: &mut Findings, event: &Described, names: &ReadNames) {
    let name = names.children.as_deref().unwrap_or_default();
    let lookup = names.event.as_deref().unwrap_or_default();
    let of_child = event.about.child_relationships.iter();
    let of_child: Vec<_> =
        of_child.filter(|r| r.child_object.eq_ignore_ascii_case(&names.object)).collect();
    let called = |wanted: &str| {
        let mut all = of_child.iter().filter_map(|r| r.relationship_name.as_deref());
        all.any(|name| name == wanted)
    };
    if called(name) {
        return;
    }
    let by_lookup = of_child.iter().find(|r| r.field.eq_ignore_ascii_case(lookup));
    let fix = match by_lookup.map(|r| r.relationship_name.as_deref()) {
        Some(Some(other)) => {
            format!("The org calls it {other}: name that as children in the mapping.")
        }
        Some(None) => format!("Give the lookup {lookup} a child relationship name in Salesforce."),
        None => "Name the lookup's child relationship so, or correct the mapping.".to_owned(),
    };
    findings.add(
        (Severity::Blocker, "children-missing"),
        (&event.object, None),
        format!("{} has no child relationship {name} to {}.", event.object, names.object),
        fix,
    );
}

/// Days and wall clock times need to know where.
pub(super) fn zones(findings: &mut Findings, event: &Described, mapping: &Mapping) {
    let names = &mapping.event;
    if names.fields.contains_key(&Field::TimeZone) {
        return;
    }
    let Some(Value::Text(zone)) = names.fallback.get(&Field::TimeZone) else { return };
    let day = [Field::StartsAt, Field::EndsAt].iter().find_map(|field| {
        let name = names.fields.get(field)?;
        event.field(name).filter(|field| field.kind == "date").map(|_| name.as_str())
    });
    let wall = names.fields.get(&Field::StartsAt).filter(|_| mapping.times == Times::Wall);
    if let Some(name) = day.or(wall.map(String::as_str)) {
        findings.add(
            (Severity::Note, "time-zone"),
            (&event.object, Some(name)),
            format!(
                "{}.{name} says no moment and events name no time zone, so it is read as of {zone}.",
                event.object
            ),
            "Nothing to do if that is right; else name another under event.fallback in the mapping.",
        );
    }
}
