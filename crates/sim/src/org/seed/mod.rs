//! What an org begins with: its id, users, client apps, extra fields and rules, and records, read from TOML.

mod plant;
mod when;

use std::collections::BTreeMap;

use serde::Deserialize;
use sloe_core::ids::SfId;

use super::Error;
use super::formula::Formula;
use super::schema::{
    Computed, Field, Kind, Object, OnDelete, Reference, RollUp, Rule, Summary, lma,
};

pub(crate) use plant::{plant, user_id};

const MERIDIAN: &str = include_str!("../../../seeds/meridian.toml");
const HARBOR: &str = include_str!("../../../seeds/harbor.toml");
const SOURCE: &str = include_str!("../../../seeds/source.toml");

/// What an org begins with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    pub(crate) org: OrgFacts,
    #[serde(default, rename = "user")]
    pub(crate) users: Vec<UserFacts>,
    #[serde(default, rename = "app")]
    pub(crate) apps: Vec<AppFacts>,
    #[serde(default)]
    pub(crate) hook: Option<super::state::Hook>,
    #[serde(default, rename = "object")]
    objects: Vec<ObjectFacts>,
    #[serde(default, rename = "field")]
    fields: Vec<FieldFacts>,
    #[serde(default, rename = "rule")]
    rules: Vec<RuleFacts>,
    #[serde(default, rename = "record")]
    pub(crate) records: Vec<RecordFacts>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrgFacts {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default = "edition")]
    pub(crate) edition: String,
    #[serde(default = "utc")]
    pub(crate) time_zone: String,
    /// Whether it has the License Management App.
    #[serde(default)]
    pub(crate) license_management: bool,
}

fn edition() -> String {
    "Enterprise Edition".to_owned()
}

fn utc() -> String {
    "UTC".to_owned()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserFacts {
    pub(crate) username: String,
    #[serde(default)]
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) email: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppFacts {
    pub(crate) name: String,
    pub(crate) client_id: String,
    #[serde(default)]
    pub(crate) client_secret: Option<String>,
    /// PEM of an RSA public key.
    #[serde(default)]
    pub(crate) jwt_public_key: Option<String>,
    /// What the refresh token flow takes from this app: a person would have got it by signing in.
    #[serde(default)]
    pub(crate) refresh_token: Option<String>,
    /// The user the client credentials and refresh token flows sign in.
    #[serde(default)]
    pub(crate) run_as: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectFacts {
    name: String,
    label: String,
    plural: String,
    /// The form of the numbers that the org gives as names, `A-{0000}` for instance; without it a name is a text
    /// that must be given.
    #[serde(default)]
    auto_number: Option<String>,
}

impl ObjectFacts {
    fn name_field(&self) -> Result<Field, String> {
        let label = format!("{} Name", self.label);
        let Some(form) = &self.auto_number else {
            let mut name = Field::new("Name", &label, Kind::Text(80));
            name.required = true;
            return Ok(name);
        };
        let (prefix, rest) = form
            .split_once('{')
            .ok_or_else(|| format!("object {}: auto_number needs {{0…}}", self.name))?;
        let width = rest.len().saturating_sub(1);
        let mut name = Field::new("Name", &label, Kind::AutoNumber(prefix.to_owned(), width));
        name.writable = false;
        Ok(name)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldFacts {
    object: String,
    name: String,
    label: String,
    /// Text, LongTextArea, Email, Phone, Url, Number, Currency, Checkbox, Date, DateTime, Picklist, Lookup or
    /// MasterDetail.
    r#type: String,
    #[serde(default)]
    length: Option<usize>,
    #[serde(default)]
    scale: Option<u32>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    unique: bool,
    #[serde(default)]
    external_id: bool,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    to: Option<String>,
    /// What the parent calls its children in SOQL, `Items__r` for instance.
    #[serde(default)]
    children: Option<String>,
    /// Nobody may write it through the API.
    #[serde(default)]
    read_only: bool,
    /// What the org makes its value of.
    #[serde(default)]
    formula: Option<String>,
    /// The details that the org counts, sums up or compares for it.
    #[serde(default)]
    roll_up: Option<RollUpFacts>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RollUpFacts {
    /// The details' master-detail field: `Attendee__c.Event__c`.
    of: String,
    summary: SummaryFacts,
    /// What is summed up or compared.
    #[serde(default)]
    field: Option<String>,
    /// A formula: only details for which it is true.
    #[serde(default)]
    r#where: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SummaryFacts {
    Count,
    Sum,
    Min,
    Max,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFacts {
    object: String,
    name: String,
    formula: String,
    message: String,
    #[serde(default)]
    field: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordFacts {
    pub(crate) object: String,
    /// Its name for other records: they write `$name`.
    #[serde(default)]
    pub(crate) r#ref: Option<String>,
    /// Its id; without it the org gives one.
    #[serde(default)]
    pub(crate) id: Option<String>,
    /// So many of it; lists among the fields then go round.
    #[serde(default)]
    pub(crate) times: Option<usize>,
    pub(crate) fields: BTreeMap<String, toml::Value>,
}

impl Seed {
    /// Reads a seed and checks what can be checked before an org exists.
    ///
    /// # Errors
    /// [`Error::Seed`] with the place or the entry that is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let seed: Self = toml::from_str(text).map_err(|e| Error::Seed(e.to_string()))?;
        seed.org_id()?;
        for user in seed.apps.iter().filter_map(|app| app.run_as.as_ref()) {
            if !seed.users.iter().any(|known| known.username == *user) {
                return Err(Error::Seed(format!(
                    "an app runs as {user}, but there is no such user"
                )));
            }
        }
        for app in &seed.apps {
            if app.client_secret.is_some() && app.run_as.is_none() {
                return Err(Error::Seed(format!(
                    "app {} has a secret, so it needs run_as",
                    app.name
                )));
            }
            if app.refresh_token.is_some() && app.run_as.is_none() {
                return Err(Error::Seed(format!(
                    "app {} has a refresh token, so it needs run_as",
                    app.name
                )));
            }
        }
        Ok(seed)
    }

    /// One of the two demo orgs: `meridian` or `harbor`.
    ///
    /// # Errors
    /// [`Error::Seed`]: no demo org of this name.
    pub fn demo(name: &str) -> Result<Self, Error> {
        match name {
            "meridian" => Self::parse(MERIDIAN),
            "harbor" => Self::parse(HARBOR),
            other => Err(Error::Seed(format!(
                "there is no demo org {other}; there are {}",
                Self::DEMOS.join(" and ")
            ))),
        }
    }

    /// The demo orgs' names.
    pub const DEMOS: [&'static str; 2] = ["meridian", "harbor"];

    /// The text of the seed that is used without `--seed`: a template for one's own.
    #[must_use]
    pub fn default_text() -> &'static str {
        MERIDIAN
    }

    /// The vendor's org with the License Management App, which licenses the demo orgs.
    ///
    /// # Errors
    /// [`Error::Seed`]: never, as its text is part of the program.
    pub fn source() -> Result<Self, Error> {
        Self::parse(SOURCE)
    }

    /// The text of that seed: a template for one's own.
    #[must_use]
    pub fn source_text() -> &'static str {
        SOURCE
    }

    /// The id of the package that the source org of the demo licenses.
    pub const SOURCE_PACKAGE: &'static str = "0333k000000Sloe";

    /// The org's id.
    pub(crate) fn org_id(&self) -> Result<SfId, Error> {
        let id = SfId::parse(&self.org.id)
            .map_err(|e| Error::Seed(format!("org.id {}: {e}", self.org.id)))?;
        if id.as_str().starts_with("00D") {
            Ok(id)
        } else {
            Err(Error::Seed(format!("org.id {id}: an org's id begins with 00D")))
        }
    }

    /// Adds the seed's own objects, fields and rules.
    pub(crate) fn extend(&self, objects: &mut Vec<Object>) -> Result<(), String> {
        if self.org.license_management {
            objects.extend(lma::objects());
        }
        for facts in &self.objects {
            if objects.iter().any(|object| object.name.eq_ignore_ascii_case(&facts.name)) {
                return Err(format!("there is an object {} already", facts.name));
            }
            let mut object = Object::new(&facts.name, &facts.label, &facts.plural, "");
            object.push_stored(facts.name_field()?);
            let of_object = |field: &&FieldFacts| field.object == facts.name;
            let detail = self.fields.iter().filter(of_object).any(FieldFacts::is_detail);
            object.push_stamps(!detail);
            objects.push(object);
        }
        for facts in &self.fields {
            let field = facts.field()?;
            let object = object_named(objects, &facts.object)?;
            if object.find(&field.name).is_some() {
                return Err(format!("{} has a field {} already", object.name, field.name));
            }
            object.push_stored(field);
        }
        for facts in &self.rules {
            let formula =
                Formula::parse(&facts.formula).map_err(|e| format!("rule {}: {e}", facts.name))?;
            let rule = Rule {
                name: facts.name.clone(),
                formula,
                message: facts.message.clone(),
                field: facts.field.clone(),
            };
            object_named(objects, &facts.object)?.rules.push(rule);
        }
        Ok(())
    }
}

fn object_named<'a>(objects: &'a mut [Object], name: &str) -> Result<&'a mut Object, String> {
    objects
        .iter_mut()
        .find(|object| object.name == name)
        .ok_or_else(|| format!("there is no object {name}"))
}

impl FieldFacts {
    fn field(&self) -> Result<Field, String> {
        let length = self.length.unwrap_or(255);
        let scale = self.scale.unwrap_or(0);
        let kind = match self.r#type.as_str() {
            "Text" => Kind::Text(length),
            "LongTextArea" => Kind::LongText(self.length.unwrap_or(32_768)),
            "Email" => Kind::Email,
            "Phone" => Kind::Phone,
            "Url" => Kind::Url,
            "Number" => Kind::Number(18, scale),
            "Currency" => Kind::Currency(18, self.scale.unwrap_or(2)),
            "Checkbox" => Kind::Checkbox,
            "Date" => Kind::Date,
            "DateTime" => Kind::DateTime,
            "Picklist" => Kind::Picklist {
                values: self.values.iter().map(|v| (v.clone(), false)).collect(),
                restricted: true,
            },
            "Lookup" | "MasterDetail" => {
                let to = self
                    .to
                    .clone()
                    .ok_or_else(|| format!("field {}: a {} needs `to`", self.name, self.r#type))?;
                let relationship = self.name.strip_suffix("__c").map(|stem| format!("{stem}__r"));
                Kind::Reference(Reference {
                    to,
                    relationship: relationship.unwrap_or_else(|| self.name.clone()),
                    children: self.children.clone(),
                    on_delete: if self.is_detail() { OnDelete::Cascade } else { OnDelete::Clear },
                })
            }
            other => return Err(format!("field {}: unknown type {other}", self.name)),
        };
        let mut field = Field::new(&self.name, &self.label, kind);
        field.required = self.required || self.is_detail();
        field.frozen = self.is_detail();
        field.computed = self.computed().map_err(|e| format!("field {}: {e}", self.name))?;
        field.writable = !self.read_only && field.computed.is_none();
        field.unique = self.unique || self.external_id;
        field.external_id = self.external_id;
        Ok(field)
    }

    fn computed(&self) -> Result<Option<Computed>, String> {
        match (&self.formula, &self.roll_up) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err("it is a formula or a roll-up, not both".to_owned()),
            (Some(text), None) => {
                let formula = Formula::parse(text)?;
                Ok(Some(Computed::Formula { text: text.clone(), formula }))
            }
            (None, Some(facts)) => {
                let (child, by) =
                    facts.of.split_once('.').ok_or("roll_up.of is Detail__c.Field__c")?;
                Ok(Some(Computed::RollUp(RollUp {
                    child: child.to_owned(),
                    by: by.to_owned(),
                    summary: match facts.summary {
                        SummaryFacts::Count => Summary::Count,
                        SummaryFacts::Sum => Summary::Sum,
                        SummaryFacts::Min => Summary::Min,
                        SummaryFacts::Max => Summary::Max,
                    },
                    of: facts.field.clone(),
                    filter: facts.r#where.as_deref().map(Formula::parse).transpose()?,
                })))
            }
        }
    }

    fn is_detail(&self) -> bool {
        self.r#type == "MasterDetail"
    }
}
