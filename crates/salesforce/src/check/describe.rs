//! The org's objects and validation rules, as it describes them to Sloe's user.

use std::collections::HashMap;

use super::finding::{Findings, Severity};
use crate::client::{API_VERSION, Client, Request};
use crate::error::Error;
use crate::map::Mapping;
use crate::map::keys::closest;
use crate::query;
use crate::wire::{Describe, DescribedField, DescribedOrg, Page, ValidationRule};

/// An object as the org describes it, looked up without regard to case.
pub(super) struct Described {
    pub(super) object: String,
    pub(super) about: Describe,
    fields: HashMap<String, usize>,
}

impl Described {
    pub(super) fn field(&self, name: &str) -> Option<&DescribedField> {
        self.about.fields.get(*self.fields.get(&name.to_ascii_lowercase())?)
    }

    /// The field that `name` is most likely meant to be.
    pub(super) fn closest(&self, name: &str) -> Option<&str> {
        let all = self.about.fields.iter().map(|field| field.name.as_str());
        namesake(name, all)
    }
}

/// The same name under a namespace, or without one, or the one with the fewest
/// letters to change.
fn namesake<'a>(name: &str, all: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let bare = |name: &str| match name.split("__").collect::<Vec<_>>().as_slice() {
        [_, name, suffix] => format!("{name}__{suffix}").to_ascii_lowercase(),
        _ => name.to_ascii_lowercase(),
    };
    all.clone().find(|other| bare(other) == bare(name)).or_else(|| closest(name, all))
}

pub(super) async fn describe(client: &Client, object: &str) -> Result<Described, Error> {
    let path = format!("/services/data/{API_VERSION}/sobjects/{object}/describe");
    let about: Describe = client.fetch(&Request::get("describe", path)).await?;
    let fields =
        about.fields.iter().enumerate().map(|(at, f)| (f.name.to_ascii_lowercase(), at)).collect();
    Ok(Described { object: object.to_owned(), about, fields })
}

/// The org being asked.
pub(super) struct Org<'a> {
    client: &'a Client,
    /// All its objects, once one was missing.
    objects: Option<Vec<String>>,
}

impl<'a> Org<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self { client, objects: None }
    }

    /// An object; a finding if Sloe's user can't see it.
    pub(super) async fn describe(
        &mut self,
        findings: &mut Findings,
        object: &str,
    ) -> Result<Option<Described>, Error> {
        match describe(self.client, object).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::Refused { status: 404, .. } | Error::Status { status: 404, .. }) => {
                let fix = match self.namesake(object).await {
                    Some(other) => format!(
                        "The org has {other}. If that is the one, name it in the mapping, or set \
                         the mapping's namespace."
                    ),
                    None => "Install Sloe's package, or name the org's own object in the mapping. \
                             If the object is there, assign the permission set Sloe Integration to \
                             the integration user."
                        .to_owned(),
                };
                let what = format!("The object {object} isn't there, or Sloe may not see it.");
                findings.add((Severity::Blocker, "object-missing"), (object, None), what, fix);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn namesake(&mut self, object: &str) -> Option<String> {
        if self.objects.is_none() {
            let path = format!("/services/data/{API_VERSION}/sobjects");
            let all: Result<DescribedOrg, _> =
                self.client.fetch(&Request::get("describe", path)).await;
            // Only a help: without it the finding stands all the same.
            let all = all.map(|all| all.sobjects).unwrap_or_default();
            self.objects = Some(all.into_iter().map(|object| object.name).collect());
        }
        let all = self.objects.as_deref().unwrap_or_default();
        namesake(object, all.iter().map(String::as_str)).map(str::to_owned)
    }

    /// The active validation rules of the objects that Sloe writes; `None` if
    /// Sloe's user may not read them, which is how it usually is.
    pub(super) async fn rules(&self, mapping: &Mapping) -> Option<Vec<ValidationRule>> {
        let objects = [&mapping.attendee.object, &mapping.session_attendee.object];
        let path = query::tooling_address(&query::validation_rules(&objects));
        let page: Page =
            self.client.fetch(&Request::get("read validation rules", path)).await.ok()?;
        let rule = |record| serde_json::from_value(serde_json::Value::Object(record)).ok();
        Some(page.records.into_iter().filter_map(rule).collect())
    }
}
