//! Does the org have what the mapping names, and may Sloe use it?

use std::collections::HashMap;

use crate::client::{API_VERSION, Client, Request};
use crate::error::Error;
use crate::map::{Column, Mapping, ReadNames, RowKind, WriteNames};
use crate::wire::{Describe, DescribedField};

/// One thing that keeps Sloe from working with the org, in an administrator's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What isn't as it must be.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// What the org asks of a field of the attendee form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldRule {
    /// Most characters it takes.
    pub max_chars: u32,
    /// Whether it may not be empty.
    pub required: bool,
}

/// What the org asks of an attendee, so that the form refuses what the org would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormRules {
    /// Given name.
    pub first_name: FieldRule,
    /// Family name.
    pub last_name: FieldRule,
    /// E-mail address.
    pub email: FieldRule,
}

const INSTALL: &str = "Install Sloe's package, or name the org's own object in the mapping.";
const RIGHTS: &str = "Assign the permission set Sloe Integration to the integration user; if the \
                      field doesn't exist, install the package's current version.";

/// An object as the org describes it, looked up without regard to case.
struct Described {
    object: String,
    about: Describe,
    fields: HashMap<String, usize>,
}

impl Described {
    fn field(&self, name: &str) -> Option<&DescribedField> {
        self.about.fields.get(*self.fields.get(&name.to_ascii_lowercase())?)
    }
}

async fn describe(client: &Client, object: &str) -> Result<Described, Error> {
    let path = format!("/services/data/{API_VERSION}/sobjects/{object}/describe");
    let about: Describe = client.fetch(&Request::get("describe", path)).await?;
    let fields =
        about.fields.iter().enumerate().map(|(at, f)| (f.name.to_ascii_lowercase(), at)).collect();
    Ok(Described { object: object.to_owned(), about, fields })
}

/// Everything that the org lacks; empty when it is ready.
pub(crate) async fn check(client: &Client, mapping: &Mapping) -> Result<Vec<Missing>, Error> {
    let mut missing = Missings::default();
    if let Some(event) = missing.describe(client, &mapping.event.object).await? {
        missing.of_read(&event, &mapping.event);
        missing.of_children(&event, mapping);
    }
    for names in [&mapping.item, &mapping.session] {
        if let Some(found) = missing.describe(client, &names.object).await? {
            missing.of_read(&found, names);
        }
    }
    for kind in [RowKind::Attendee, RowKind::SessionAttendee] {
        let names = mapping.rows(kind);
        if let Some(found) = missing.describe(client, &names.object).await? {
            missing.of_write(&found, names);
        }
    }
    Ok(missing.0)
}

/// What the org asks of the attendee form.
pub(crate) async fn form_rules(client: &Client, mapping: &Mapping) -> Result<FormRules, Error> {
    let names = &mapping.attendee;
    let attendee = describe(client, &names.object).await?;
    let rule = |column| {
        let name = names.columns.get(&column).map_or("", String::as_str);
        let field = attendee.field(name).ok_or_else(|| Error::Refused {
            call: "describe",
            status: 200,
            code: "INVALID_FIELD".into(),
            message: crate::error::Private::new(&format!("{} has no field {name}", names.object)),
        })?;
        let required = !field.nillable && !field.defaulted_on_create;
        Ok(FieldRule { max_chars: field.length, required })
    };
    Ok(FormRules {
        first_name: rule(Column::FirstName)?,
        last_name: rule(Column::LastName)?,
        email: rule(Column::Email)?,
    })
}

#[derive(Default)]
struct Missings(Vec<Missing>);

impl Missings {
    fn add(&mut self, what: String, fix: &str) {
        self.0.push(Missing { what, fix: fix.to_owned() });
    }

    async fn describe(
        &mut self,
        client: &Client,
        object: &str,
    ) -> Result<Option<Described>, Error> {
        match describe(client, object).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::Refused { status: 404, .. } | Error::Status { status: 404, .. }) => {
                self.add(
                    format!("The object {object} isn't there, or Sloe may not see it."),
                    INSTALL,
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn of_read(&mut self, found: &Described, names: &ReadNames) {
        for name in names.fields.values().chain(&names.event) {
            if found.field(name).is_none() {
                self.field(found, name, "isn't there, or Sloe may not read it");
            }
        }
        for name in names.figures.all() {
            if found.field(name).is_none_or(|field| !field.updateable) {
                self.field(found, name, "isn't there, or Sloe may not write it");
            }
        }
    }

    fn of_children(&mut self, event: &Described, mapping: &Mapping) {
        for child in [&mapping.item, &mapping.session] {
            let name = child.children.as_deref().unwrap_or_default();
            let there = event.about.child_relationships.iter().any(|relation| {
                relation.relationship_name.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(name))
                    && relation.child_object.eq_ignore_ascii_case(&child.object)
            });
            if !there {
                self.add(
                    format!(
                        "{} has no child relationship {name} to {}.",
                        event.object, child.object
                    ),
                    "Name the lookup's child relationship so, or correct the mapping.",
                );
            }
        }
    }

    fn of_write(&mut self, found: &Described, names: &WriteNames) {
        if !(found.about.createable && found.about.updateable) {
            self.add(format!("Sloe may not create and change {} records.", found.object), RIGHTS);
        }
        match found.field(&names.key) {
            None => self.field(found, &names.key, "isn't there, or Sloe may not see it"),
            Some(field) if !(field.external_id && field.unique) => self.add(
                format!("{}.{} is not an external id that is unique.", found.object, names.key),
                "Tick External ID and Unique on the field: without them a repeated send would \
                 make a second record.",
            ),
            Some(_) => {}
        }
        for name in names.version.iter().chain(names.columns.values()) {
            if found.field(name).is_none_or(|field| !field.createable) {
                self.field(found, name, "isn't there, or Sloe may not write it");
            }
        }
        self.of_statuses(found, names);
        self.of_required(found, names);
    }

    fn of_statuses(&mut self, found: &Described, names: &WriteNames) {
        let Some(name) = names.columns.get(&Column::Status) else {
            return;
        };
        let Some(field) = found.field(name).filter(|field| field.restricted_picklist) else {
            return;
        };
        for status in [&names.statuses.registered, &names.statuses.cancelled] {
            if !field.picklist_values.iter().any(|v| v.active && v.value == *status) {
                self.add(
                    format!("The picklist {}.{name} lacks the value {status}.", found.object),
                    "Add the value, or name the org's own word for it in the mapping.",
                );
            }
        }
    }

    /// A field that the org requires and Sloe never fills: every row would be refused.
    fn of_required(&mut self, found: &Described, names: &WriteNames) {
        let filled: Vec<&str> = names
            .columns
            .values()
            .chain([&names.key])
            .chain(&names.version)
            .chain(names.own(true).map(|(name, _)| name))
            .map(String::as_str)
            .collect();
        for field in &found.about.fields {
            let required = field.createable && !field.nillable && !field.defaulted_on_create;
            if required && !filled.iter().any(|name| name.eq_ignore_ascii_case(&field.name)) {
                self.add(
                    format!(
                        "{}.{} is required, but Sloe doesn't fill it.",
                        found.object, field.name
                    ),
                    "Make the field optional, or give it a default value.",
                );
            }
        }
    }

    fn field(&mut self, found: &Described, name: &str, what: &str) {
        self.add(format!("The field {}.{name} {what}.", found.object), RIGHTS);
    }
}
