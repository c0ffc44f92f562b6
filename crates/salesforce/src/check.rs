//! Does the org have what the mapping names, and may Sloe use it? All that is
//! missing, in one go, in words that an administrator can act on.

mod describe;
mod finding;
mod read;
mod write;

use crate::client::Client;
use crate::error::Error;
use crate::map::{Column, Mapping, RowKind};
use crate::wire::DescribedField;

use describe::{Described, Org, describe};
use finding::Findings;
pub use finding::{Finding, Severity};

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

/// Characters of a name that the org has no field for.
const UNMAPPED_CHARS: u32 = 80;

/// Everything that the org lacks, the worst first; without blockers it is ready.
pub(crate) async fn check(client: &Client, mapping: &Mapping) -> Result<Vec<Finding>, Error> {
    let mut org = Org::new(client);
    let mut findings = Findings::default();
    let event = org.describe(&mut findings, &mapping.event.object).await?;
    if let Some(event) = &event {
        read::check(&mut findings, event, &mapping.event, crate::map::keys::EVENT);
        read::zones(&mut findings, event, mapping);
    }
    let children =
        [(&mapping.item, crate::map::keys::ITEM), (&mapping.session, crate::map::keys::SESSION)];
    for (names, keys) in children {
        if let Some(found) = org.describe(&mut findings, &names.object).await? {
            read::check(&mut findings, &found, names, keys);
            read::lookup(&mut findings, &found, names, &mapping.event.object);
        }
        if let Some(event) = &event {
            read::children(&mut findings, event, names);
        }
    }
    for kind in [RowKind::Attendee, RowKind::SessionAttendee] {
        let names = mapping.rows(kind);
        if let Some(found) = org.describe(&mut findings, &names.object).await? {
            write::check(&mut findings, &found, names, mapping);
        }
    }
    write::rules(&mut findings, org.rules(mapping).await.as_deref(), mapping);
    Ok(findings.sorted())
}

/// What the org asks of the attendee form.
pub(crate) async fn form_rules(client: &Client, mapping: &Mapping) -> Result<FormRules, Error> {
    let names = &mapping.attendee;
    let attendee = describe(client, &names.object).await?;
    let rule = |column| {
        let Some(name) = names.columns.get(&column) else {
            return Ok(FieldRule { max_chars: UNMAPPED_CHARS, required: false });
        };
        let field = attendee.field(name).ok_or_else(|| Error::Refused {
            call: "describe",
            status: 200,
            code: "INVALID_FIELD".into(),
            message: crate::error::Private::new(&format!("{} has no field {name}", names.object)),
        })?;
        Ok(FieldRule { max_chars: field.length, required: is_required(field) })
    };
    Ok(FormRules {
        first_name: rule(Column::FirstName)?,
        last_name: rule(Column::LastName)?,
        email: rule(Column::Email)?,
    })
}

/// Whether a new record without this field is refused.
fn is_required(field: &DescribedField) -> bool {
    field.createable && !field.nillable && !field.defaulted_on_create
}
