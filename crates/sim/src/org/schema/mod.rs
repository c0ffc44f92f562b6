//! What objects and fields the org has: the schema that describe, DML, SOQL and the pages all read.

mod computed;
pub(crate) mod describe;
pub(crate) mod lma;
mod source;
mod standard;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use self::computed::{Computed, RollUp, Summary};
use super::formula::Formula;

/// What kind of value a field holds, with its bounds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// The record's own id.
    Id,
    /// One line, at most so many characters.
    Text(usize),
    /// Several lines, at most so many characters.
    LongText(usize),
    /// An address with an `@`, at most 80 characters.
    Email,
    /// At most 40 characters.
    Phone,
    /// At most 255 characters.
    Url,
    /// Digits in all, digits after the point.
    Number(u32, u32),
    /// As `Number`, money in the org's currency.
    Currency(u32, u32),
    /// True or false, never empty.
    Checkbox,
    /// A day.
    Date,
    /// A moment, in milliseconds.
    DateTime,
    /// One of a list.
    Picklist {
        /// The values in order, the default marked.
        values: Vec<(String, bool)>,
        /// Whether other values are refused.
        restricted: bool,
    },
    /// Another record.
    Reference(Reference),
    /// Numbered by the org; holds the display format's prefix and width.
    AutoNumber(String, usize),
    /// First and last name joined, as Contact and Lead have it.
    FullName,
}

/// Where a reference field leads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reference {
    /// The object it points to.
    pub(crate) to: String,
    /// Its name towards the parent in SOQL (`Event__r`).
    pub(crate) relationship: String,
    /// The parent's name for its children in SOQL (`Items__r`).
    pub(crate) children: Option<String>,
    /// What happens to the child when the parent is deleted.
    pub(crate) on_delete: OnDelete,
}

/// What the deletion of a parent does to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDelete {
    /// The reference becomes empty.
    Clear,
    /// The deletion is refused.
    Restrict,
    /// The child is deleted too (master-detail).
    Cascade,
}

/// Where a row keeps a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Id,
    IsDeleted,
    CreatedDate,
    CreatedById,
    LastModifiedDate,
    LastModifiedById,
    SystemModstamp,
    OwnerId,
    /// The n-th of the row's own values.
    Stored(usize),
}

/// One field of an object.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) help: String,
    pub(crate) kind: Kind,
    pub(crate) slot: Slot,
    pub(crate) required: bool,
    pub(crate) unique: bool,
    pub(crate) external_id: bool,
    pub(crate) case_sensitive: bool,
    pub(crate) writable: bool,
    /// Set at creation and never changed after (a master that may not be exchanged).
    pub(crate) frozen: bool,
    /// A checkbox's default.
    pub(crate) default: bool,
    /// How its value comes about, if the org works it out.
    pub(crate) computed: Option<Computed>,
}

impl Field {
    /// An optional, writable field; its slot is given when it joins an object.
    pub(crate) fn new(name: &str, label: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            help: String::new(),
            kind,
            slot: Slot::Id,
            required: false,
            unique: false,
            external_id: false,
            case_sensitive: false,
            writable: true,
            frozen: false,
            default: false,
            computed: None,
        }
    }

    /// Whether the field's name ends as Salesforce's custom ones do.
    pub(crate) fn custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// The reference's facts, if it is one.
    pub(crate) fn reference(&self) -> Option<&Reference> {
        match &self.kind {
            Kind::Reference(reference) => Some(reference),
            _ => None,
        }
    }
}

/// A rule that refuses a record when its formula is true.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) formula: Formula,
    pub(crate) message: String,
    /// The field the message stands at.
    pub(crate) field: Option<String>,
}

/// One object: a table's shape.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) plural: String,
    /// First three characters of its ids.
    pub(crate) prefix: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) rules: Vec<Rule>,
    /// Whether records may be created, changed and deleted through the API.
    pub(crate) writable: bool,
    /// Whether an installed app's own page changes its records, and nothing else does.
    pub(crate) managed: bool,
    /// How many values a row stores.
    pub(crate) stored: usize,
    by_name: HashMap<String, usize>,
}

impl Object {
    /// An object with the system fields every object has.
    pub(crate) fn new(name: &str, label: &str, plural: &str, prefix: &str) -> Self {
        let mut object = Self {
            name: name.to_owned(),
            label: label.to_owned(),
            plural: plural.to_owned(),
            prefix: prefix.to_owned(),
            fields: Vec::new(),
            rules: Vec::new(),
            writable: true,
            managed: false,
            stored: 0,
            by_name: HashMap::new(),
        };
        object.system("Id", "Record ID", Kind::Id, Slot::Id);
        object.system("IsDeleted", "Deleted", Kind::Checkbox, Slot::IsDeleted);
        object
    }

    fn system(&mut self, name: &str, label: &str, kind: Kind, slot: Slot) {
        let mut field = Field::new(name, label, kind);
        field.slot = slot;
        field.writable = false;
        self.push(field);
    }

    /// Adds the stamps and, where the record has an owner of its own, the owner.
    pub(crate) fn push_stamps(&mut self, owned: bool) {
        let user = |relationship: &str| {
            Kind::Reference(Reference {
                to: "User".to_owned(),
                relationship: relationship.to_owned(),
                children: None,
                on_delete: OnDelete::Restrict,
            })
        };
        self.system("CreatedDate", "Created Date", Kind::DateTime, Slot::CreatedDate);
        self.system("CreatedById", "Created By ID", user("CreatedBy"), Slot::CreatedById);
        self.system(
            "LastModifiedDate",
            "Last Modified Date",
            Kind::DateTime,
            Slot::LastModifiedDate,
        );
        self.system(
            "LastModifiedById",
            "Last Modified By ID",
            user("LastModifiedBy"),
            Slot::LastModifiedById,
        );
        self.system("SystemModstamp", "System Modstamp", Kind::DateTime, Slot::SystemModstamp);
        if owned {
            self.system("OwnerId", "Owner ID", user("Owner"), Slot::OwnerId);
            // Of the stamps, the only one that a client may give.
            if let Some(owner) = self.fields.last_mut() {
                owner.writable = true;
            }
        }
    }

    /// Adds a field that the row stores itself; the object has none of this name yet.
    pub(crate) fn push_stored(&mut self, mut field: Field) {
        field.slot = Slot::Stored(self.stored);
        self.stored += 1;
        self.push(field);
    }

    fn push(&mut self, field: Field) {
        self.by_name.insert(field.name.to_ascii_lowercase(), self.fields.len());
        self.fields.push(field);
    }

    /// The index of the field of this name, in any case.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).or_else(|| self.by_name.get(&name.to_ascii_lowercase())).copied()
    }

    /// The field of this name, in any case.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.find(name).and_then(|index| self.fields.get(index))
    }

    /// The index of the reference whose name towards its parent this is (`Event__r`).
    pub(crate) fn find_parent(&self, relationship: &str) -> Option<usize> {
        self.fields.iter().position(|f| {
            f.reference().is_some_and(|r| r.relationship.eq_ignore_ascii_case(relationship))
        })
    }

    /// Whether rows are owned by their master record.
    pub(crate) fn is_detail(&self) -> bool {
        self.fields.iter().any(|f| f.reference().is_some_and(|r| r.on_delete == OnDelete::Cascade))
    }

    /// Whether this is a custom object.
    pub(crate) fn custom(&self) -> bool {
        self.name.ends_with("__c")
    }
}

/// All objects of an org.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    objects: Vec<Arc<Object>>,
    by_name: HashMap<String, usize>,
    roll_ups: Vec<Vec<(usize, usize)>>,
}

impl Schema {
    /// The standard objects and Sloe's own package, with what the seed adds to them.
    ///
    /// # Errors
    /// A sentence naming the file or the seed's entry that can't be used.
    pub(crate) fn build(
        extend: impl FnOnce(&mut Vec<Object>) -> Result<(), String>,
    ) -> Result<Self, String> {
        let mut objects = standard::objects();
        objects.extend(source::objects()?);
        extend(&mut objects)?;
        let mut next_prefix = 0_u32;
        for object in &mut objects {
            if object.prefix.is_empty() {
                object.prefix = custom_prefix(next_prefix);
                next_prefix += 1;
            }
        }
        let by_name =
            objects.iter().enumerate().map(|(i, o)| (o.name.to_ascii_lowercase(), i)).collect();
        let objects = objects.into_iter().map(Arc::new).collect();
        let mut schema = Self { objects, by_name, roll_ups: Vec::new() };
        schema.check()?;
        schema.check_computed()?;
        schema.roll_ups = schema.find_roll_ups();
        Ok(schema)
    }

    fn check(&self) -> Result<(), String> {
        for object in &self.objects {
            for field in &object.fields {
                if let Some(reference) = field.reference()
                    && self.find(&reference.to).is_none()
                {
                    return Err(format!(
                        "{}.{} refers to {}, which this org doesn't have",
                        object.name, field.name, reference.to
                    ));
                }
            }
            for rule in &object.rules {
                let unknown =
                    rule.formula.fields().into_iter().find(|name| object.find(name).is_none());
                if let Some(field) = unknown {
                    return Err(format!(
                        "rule {} of {} names {field}, which isn't a field of it",
                        rule.name, object.name
                    ));
                }
            }
        }
        Ok(())
    }

    /// All objects; an object's place here is its number everywhere else.
    pub(crate) fn objects(&self) -> &[Arc<Object>] {
        &self.objects
    }

    /// The number of the object of this name, in any case.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).or_else(|| self.by_name.get(&name.to_ascii_lowercase())).copied()
    }

    /// The object of this name, in any case.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Object>> {
        self.find(name).and_then(|index| self.objects.get(index))
    }

    /// The number of the object whose ids begin so.
    pub(crate) fn find_by_prefix(&self, id: &str) -> Option<usize> {
        let prefix = id.get(..3)?;
        self.objects.iter().position(|o| o.prefix == prefix)
    }

    /// The reference whose parent calls its children so (`Contacts`): (child object's number, field's index).
    pub(crate) fn child(&self, parent: &str, children: &str) -> Option<(usize, usize)> {
        self.references_to(parent).find(|(child, field)| {
            let field = self.objects.get(*child).and_then(|child| child.fields.get(*field));
            let name = field.and_then(|field| field.reference()?.children.as_ref());
            name.is_some_and(|name| name.eq_ignore_ascii_case(children))
        })
    }

    /// Every reference to this object: (child object's number, field's index).
    pub(crate) fn references_to(&self, parent: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
        let parent = parent.to_owned();
        self.objects.iter().enumerate().flat_map(move |(number, object)| {
            let parent = parent.clone();
            object.fields.iter().enumerate().filter_map(move |(index, field)| {
                let hit = field.reference().is_some_and(|r| r.to == parent)
                    && matches!(field.slot, Slot::Stored(_));
                hit.then_some((number, index))
            })
        })
    }
}

/// `a00`, `a01` … `a0z`, `a10` …: how Salesforce numbers custom objects.
fn custom_prefix(n: u32) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digit = |i: u32| DIGITS.get(i as usize % 36).map_or('0', |b| char::from(*b));
    format!("a{}{}", digit(n / 36), digit(n))
}
