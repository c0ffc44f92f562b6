//! Creating and updating records, with every check Salesforce makes before it stores one.

use sloe_core::ids::SfId;

use super::compute::fill_in;
use super::{Database, Row, RowError, Value};
use crate::org::codes;
use crate::org::formula::Subject;
use crate::org::schema::{Field, Kind, Object, OnDelete, Slot};

/// What a request wants in one field.
#[derive(Clone, Debug)]
pub(crate) enum Assign {
    /// This value.
    Set(usize, Value),
    /// A reference to whichever record of `object` has `key` in `key_field`.
    Link { field: usize, object: usize, key_field: usize, key: Box<str> },
}

/// A record that was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) id: SfId,
    pub(crate) created: bool,
}

/// What a key finds.
pub(crate) enum Found {
    None,
    One(SfId),
    Many(Vec<SfId>),
}

/// The record under change as its object's validation rules see it.
struct Change<'a> {
    object: &'a Object,
    new: &'a Row,
    old: Option<&'a Row>,
}

impl Subject for Change<'_> {
    fn value(&self, field: &str) -> Value {
        self.object.field(field).map_or(Value::Null, |f| self.new.get(f.slot).into_owned())
    }

    fn prior(&self, field: &str) -> Option<Value> {
        let old = self.old?;
        Some(self.object.field(field).map_or(Value::Null, |f| old.get(f.slot).into_owned()))
    }
}

impl Database {
    /// Creates a record.
    ///
    /// # Errors
    /// Everything that is wrong with it; nothing is stored then.
    pub(crate) fn insert(
        &mut self,
        object: usize,
        assigns: &[Assign],
        user: SfId,
    ) -> Result<Saved, Vec<RowError>> {
        self.insert_as(object, None, assigns, user)
    }

    /// Creates a record under a given id, as only a seed may.
    ///
    /// # Errors
    /// As [`Database::insert`].
    pub(crate) fn insert_as(
        &mut self,
        object: usize,
        id: Option<SfId>,
        assigns: &[Assign],
        user: SfId,
    ) -> Result<Saved, Vec<RowError>> {
        let shape = self.object(object).clone();
        let now = self.moment();
        let id = match id {
            Some(id) => id,
            None => self.next_id(object).map_err(|e| vec![e])?,
        };
        let mut row = Row {
            id,
            created: now,
            modified: now,
            stamp: now,
            created_by: user,
            modified_by: user,
            owner: user,
            deleted: false,
            values: vec![Value::Null; shape.stored].into(),
        };
        for field in &shape.fields {
            row.set(field.slot, default_of(field));
        }
        self.assign(&shape, &mut row, assigns)?;
        for field in &shape.fields {
            if let Kind::AutoNumber(prefix, width) = &field.kind {
                let table = self.table_mut(object);
                table.numbered += 1;
                let number = format!("{prefix}{:0width$}", table.numbered, width = *width);
                row.set(field.slot, Value::Text(number.into()));
            }
        }
        fill_in(&shape, &mut row);
        self.check(object, &shape, &row, None)?;
        self.lock_for(object, None, Some(&row))?;
        self.note_id(object, id);
        self.put(object, row);
        Ok(Saved { id, created: true })
    }

    /// Changes a record.
    ///
    /// # Errors
    /// Everything that is wrong with it; nothing is changed then.
    pub(crate) fn update(
        &mut self,
        object: usize,
        id: SfId,
        assigns: &[Assign],
        user: SfId,
    ) -> Result<Saved, Vec<RowError>> {
        let shape = self.object(object).clone();
        let old = self.live(object, id).map_err(|e| vec![e])?;
        let frozen: Vec<&Field> = assigns
            .iter()
            .filter_map(|a| shape.fields.get(a.field()))
            .filter(|field| field.frozen)
            .collect();
        if let Some(field) = frozen.first() {
            return Err(vec![not_writable(field)]);
        }
        let old = old.clone();
        let mut row = old.clone();
        row.modified = self.moment();
        row.stamp = row.modified;
        row.modified_by = user;
        self.assign(&shape, &mut row, assigns)?;
        fill_in(&shape, &mut row);
        self.check(object, &shape, &row, Some(&old))?;
        self.lock_for(object, Some(&old), Some(&row))?;
        self.put(object, row);
        Ok(Saved { id, created: false })
    }

    /// Creates or changes the record that has this key in an external id field.
    ///
    /// # Errors
    /// Everything that is wrong with it; nothing is stored then.
    pub(crate) fn upsert(
        &mut self,
        object: usize,
        key_field: usize,
        key: &str,
        assigns: &[Assign],
        user: SfId,
    ) -> Result<Saved, Vec<RowError>> {
        let shape = self.object(object).clone();
        let Some(field) = shape.fields.get(key_field) else { return Err(Vec::new()) };
        if key.trim().is_empty() {
            return Err(vec![RowError::new(
                "MISSING_ARGUMENT",
                format!("{} not specified", field.name),
            )]);
        }
        match self.find(object, key_field, key) {
            Found::One(id) => self.update(object, id, assigns, user),
            Found::Many(ids) => Err(vec![RowError::new(
                "DUPLICATE_EXTERNAL_ID",
                format!(
                    "{}: more than one record found for external id field: {ids:?}",
                    field.name
                ),
            )]),
            Found::None if field.kind == Kind::Id => {
                let wrong = codes::NO_RECORD;
                Err(vec![RowError::at(wrong.code, "Id", wrong.message)])
            }
            Found::None => {
                let value = Value::from_text(field, key).map_err(|e| vec![e])?;
                let mut assigns = assigns.to_vec();
                assigns.push(Assign::Set(key_field, value));
                self.insert(object, &assigns, user)
            }
        }
    }

    /// The live record with this key.
    pub(crate) fn find(&self, object: usize, key_field: usize, key: &str) -> Found {
        let table = self.table(object);
        let Some(field) = self.object(object).fields.get(key_field) else { return Found::None };
        if field.kind == Kind::Id {
            let row = SfId::parse(key.trim()).ok().and_then(|id| table.get_live(id));
            return row.map_or(Found::None, |row| Found::One(row.id));
        }
        // What can't be a value of the field no record has.
        let Ok(wanted) = Value::from_text(field, key) else { return Found::None };
        if let Some(hit) = table.by_key(key_field, &wanted) {
            return hit.map_or(Found::None, Found::One);
        }
        let same = |row: &&Row| {
            !row.deleted
                && row
                    .get(field.slot)
                    .compare(&wanted, field.case_sensitive)
                    .is_some_and(std::cmp::Ordering::is_eq)
        };
        let hits: Vec<SfId> = table.rows().filter(same).map(|row| row.id).collect();
        match hits.as_slice() {
            [] => Found::None,
            [one] => Found::One(*one),
            _ => Found::Many(hits),
        }
    }

    /// The live row, or why there is none.
    pub(crate) fn live(&self, object: usize, id: SfId) -> Result<&Row, RowError> {
        match self.table(object).get(id) {
            Some(row) if !row.deleted => Ok(row),
            Some(_) => Err(RowError::known(&codes::DELETED)),
            None => Err(RowError::known(&codes::NO_RECORD)),
        }
    }

    fn assign(
        &self,
        shape: &Object,
        row: &mut Row,
        assigns: &[Assign],
    ) -> Result<(), Vec<RowError>> {
        let mut errors = Vec::new();
        for assign in assigns {
            let Some(field) = shape.fields.get(assign.field()) else { continue };
            let value = match assign {
                Assign::Set(_, value) => value.clone(),
                Assign::Link { object, key_field, key, .. } => {
                    match self.find(*object, *key_field, key) {
                        Found::One(id) => Value::Id(id),
                        Found::None | Found::Many(_) => {
                            let target = self.object(*object);
                            let name = target.fields.get(*key_field).map_or("", |f| &f.name);
                            errors.push(RowError::new(
                            "INVALID_FIELD",
                            format!(
                                "Foreign key external ID: {key} not found for field {name} in entity {}",
                                target.name
                            ),
                        ));
                            continue;
                        }
                    }
                }
            };
            if !field.writable {
                errors.push(not_writable(field));
                continue;
            }
            if value.is_null() && field.slot == Slot::OwnerId {
                let message = "Owner ID: owner cannot be blank";
                errors.push(RowError::at("INVALID_CROSS_REFERENCE_KEY", &field.name, message));
                continue;
            }
            let value = if value.is_null() && field.kind == Kind::Checkbox {
                Value::Bool(false)
            } else {
                value
            };
            row.set(field.slot, value);
        }
        if let Some((slot, value)) = full_name(shape, row) {
            row.set(slot, value);
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Everything that must hold of a row before it is stored.
    fn check(
        &self,
        object: usize,
        shape: &Object,
        row: &Row,
        old: Option<&Row>,
    ) -> Result<(), Vec<RowError>> {
        let missing: Vec<String> = shape
            .fields
            .iter()
            .filter(|field| field.required && row.get(field.slot).is_null())
            .map(|field| field.name.clone())
            .collect();
        if !missing.is_empty() {
            let message = format!("Required fields are missing: [{}]", missing.join(", "));
            return Err(vec![RowError {
                code: "REQUIRED_FIELD_MISSING",
                message,
                fields: missing,
            }]);
        }
        let mut errors = Vec::new();
        for (number, field) in shape.fields.iter().enumerate() {
            let value = row.get(field.slot);
            // Whoever makes a record owns it unless it says otherwise.
            let own = field.slot == Slot::OwnerId && old.is_none() && row.owner == row.created_by;
            if own || old.is_some_and(|old| old.get(field.slot) == value) {
                continue;
            }
            if let (Some(reference), Slot::Stored(_) | Slot::OwnerId, Value::Id(id)) =
                (field.reference(), field.slot, value.as_ref())
            {
                errors.extend(self.check_reference(field, &reference.to, *id));
            }
            if field.unique
                && let Some(Some(other)) = self.table(object).by_key(number, &value)
                && other != row.id
            {
                let shown = other.as_str().get(..15).unwrap_or_default();
                let message = format!(
                    "duplicate value found: {} duplicates value on record with id: {shown}",
                    field.name
                );
                errors.push(RowError::new("DUPLICATE_VALUE", message));
            }
        }
        if errors.is_empty() {
            let change = Change { object: shape, new: row, old };
            for rule in shape.rules.iter().filter(|rule| rule.formula.holds(&change)) {
                let fields = rule.field.iter().cloned().collect();
                let message = rule.message.clone();
                errors.push(RowError {
                    code: "FIELD_CUSTOM_VALIDATION_EXCEPTION",
                    message,
                    fields,
                });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn check_reference(&self, field: &Field, to: &str, id: SfId) -> Option<RowError> {
        let target = self.schema.find(to)?;
        if !id.as_str().starts_with(&self.object(target).prefix) {
            let message = format!("{}: id value of incorrect type: {id}", field.label);
            return Some(RowError::at("FIELD_INTEGRITY_EXCEPTION", &field.name, message));
        }
        let Some(row) = self.table(target).get_live(id) else {
            let wrong = codes::NO_RECORD;
            return Some(RowError::at(wrong.code, &field.name, wrong.message));
        };
        let active = self.object(target).field("IsActive").map(|f| row.get(f.slot).into_owned());
        (field.slot == Slot::OwnerId && active == Some(Value::Bool(false))).then(|| {
            let shown = id.as_str().get(..15).unwrap_or_default();
            let message =
                format!("operation performed with inactive user [{shown}] as owner of the record");
            RowError::at("INACTIVE_OWNER_OR_USER", &field.name, message)
        })
    }
}

impl Assign {
    /// The field it is for.
    pub(crate) fn field(&self) -> usize {
        match self {
            Assign::Set(field, _) | Assign::Link { field, .. } => *field,
        }
    }
}

/// Joins first and last name where the object has a full name.
fn full_name(shape: &Object, row: &Row) -> Option<(Slot, Value)> {
    let full = shape.fields.iter().find(|field| field.kind == Kind::FullName)?;
    let part =
        |name: &str| shape.field(name).map(|field| row.get(field.slot).to_text().into_owned());
    let joined = [part("FirstName"), part("LastName")]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    Some((full.slot, Value::Text(joined.into())))
}

fn default_of(field: &Field) -> Value {
    match &field.kind {
        Kind::Checkbox => Value::Bool(field.default),
        Kind::Picklist { values, .. } => values
            .iter()
            .find(|(_, default)| *default)
            .map_or(Value::Null, |(value, _)| Value::Text(value.as_str().into())),
        _ => Value::Null,
    }
}

fn not_writable(field: &Field) -> RowError {
    RowError::at(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        &field.name,
        format!(
            "Unable to create/update fields: {}. Please check the security settings of this field and verify that \
             it is read/write for your profile or permission set.",
            field.name
        ),
    )
}

/// Whether a reference means the child goes with its parent.
pub(super) fn cascades(field: &Field) -> Option<OnDelete> {
    field.reference().map(|reference| reference.on_delete)
}
