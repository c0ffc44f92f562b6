//! The rows of one object, with the indexes that keep large orgs quick: external ids, look-ups and change stamps.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use sloe_core::ids::SfId;

use super::value::Value;
use crate::org::schema::{Field, Object, Slot};

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) id: SfId,
    pub(crate) created: i64,
    pub(crate) modified: i64,
    /// Moves with every change, whoever makes it.
    pub(crate) stamp: i64,
    pub(crate) created_by: SfId,
    pub(crate) modified_by: SfId,
    pub(crate) owner: SfId,
    pub(crate) deleted: bool,
    pub(crate) values: Box<[Value]>,
}

impl Row {
    /// The value in a slot.
    pub(crate) fn get(&self, slot: Slot) -> Cow<'_, Value> {
        Cow::Owned(match slot {
            Slot::Stored(n) => {
                return self.values.get(n).map_or(Cow::Owned(Value::Null), Cow::Borrowed);
            }
            Slot::Id => Value::Id(self.id),
            Slot::IsDeleted => Value::Bool(self.deleted),
            Slot::CreatedDate => Value::Time(self.created),
            Slot::CreatedById => Value::Id(self.created_by),
            Slot::LastModifiedDate => Value::Time(self.modified),
            Slot::LastModifiedById => Value::Id(self.modified_by),
            Slot::SystemModstamp => Value::Time(self.stamp),
            Slot::OwnerId => Value::Id(self.owner),
        })
    }

    /// Puts a value into a slot of the row's own, or gives it an owner; other slots keep what they have.
    pub(crate) fn set(&mut self, slot: Slot, value: Value) {
        match (slot, &value) {
            (Slot::Stored(n), _) => {
                if let Some(place) = self.values.get_mut(n) {
                    *place = value;
                }
            }
            (Slot::OwnerId, Value::Id(owner)) => self.owner = *owner,
            _ => {}
        }
    }
}

/// An index over one field; deleted rows are in none.
#[derive(Debug)]
enum Index {
    /// Of a unique or external id field.
    Key { by: HashMap<Box<str>, SfId>, blank: BTreeSet<SfId> },
    /// Of a reference: (parent, child). No entry holds `None`: it is where a parent's children begin.
    Parent(BTreeSet<(SfId, Option<SfId>)>),
}

/// The rows of one object.
#[derive(Debug)]
pub(crate) struct Table {
    object: Arc<Object>,
    rows: BTreeMap<SfId, Row>,
    indexes: Vec<(usize, Slot, Index)>,
    stamps: BTreeSet<(i64, Option<SfId>)>,
    live: usize,
    /// The last number an auto-number field has given.
    pub(crate) numbered: u64,
    /// The last running part of an id the org has given itself.
    pub(crate) serial: u64,
}

impl Table {
    /// An empty table with the indexes its fields call for.
    pub(crate) fn new(object: Arc<Object>) -> Self {
        let mut indexes = Vec::new();
        for (number, field) in object.fields.iter().enumerate() {
            if field.unique {
                indexes.push((
                    number,
                    field.slot,
                    Index::Key { by: HashMap::new(), blank: BTreeSet::new() },
                ));
            } else if field.reference().is_some() && matches!(field.slot, Slot::Stored(_)) {
                indexes.push((number, field.slot, Index::Parent(BTreeSet::new())));
            }
        }
        Self {
            object,
            rows: BTreeMap::new(),
            indexes,
            stamps: BTreeSet::new(),
            live: 0,
            numbered: 0,
            serial: 0,
        }
    }

    /// The row of this id, deleted or not.
    pub(crate) fn get(&self, id: SfId) -> Option<&Row> {
        self.rows.get(&id)
    }

    /// The row of this id unless it is deleted.
    pub(crate) fn get_live(&self, id: SfId) -> Option<&Row> {
        self.rows.get(&id).filter(|row| !row.deleted)
    }

    /// All rows by id, deleted ones too.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// All rows, the last changed first, deleted ones too.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Row> {
        self.stamps.iter().rev().filter_map(|(_, id)| self.rows.get(id.as_ref()?))
    }

    /// How many rows are not deleted.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// Stores a row under its id; answers what was there.
    pub(crate) fn put(&mut self, row: Row) -> Option<Row> {
        let before = self.take(row.id);
        self.reindex(&row, true);
        self.rows.insert(row.id, row);
        before
    }

    /// Removes a row without a trace: for rolling back only.
    pub(crate) fn take(&mut self, id: SfId) -> Option<Row> {
        let row = self.rows.remove(&id)?;
        self.reindex(&row, false);
        Some(row)
    }

    fn reindex(&mut self, row: &Row, add: bool) {
        if add {
            self.stamps.insert((row.stamp, Some(row.id)));
        } else {
            self.stamps.remove(&(row.stamp, Some(row.id)));
        }
        if row.deleted {
            return;
        }
        self.live = if add { self.live + 1 } else { self.live.saturating_sub(1) };
        for (number, slot, index) in &mut self.indexes {
            let value = row.get(*slot);
            match (index, value.as_ref()) {
                (Index::Key { blank, .. }, Value::Null) => {
                    if add {
                        blank.insert(row.id);
                    } else {
                        blank.remove(&row.id);
                    }
                }
                (Index::Key { by, .. }, value) => {
                    let key = key_of(self.object.fields.get(*number), value);
                    if add {
                        by.insert(key.into(), row.id);
                    } else {
                        by.remove(&*key);
                    }
                }
                (Index::Parent(pairs), Value::Id(parent)) => {
                    if add {
                        pairs.insert((*parent, Some(row.id)));
                    } else {
                        pairs.remove(&(*parent, Some(row.id)));
                    }
                }
                (Index::Parent(_), _) => {}
            }
        }
    }

    fn index(&self, field: usize) -> Option<&Index> {
        self.indexes.iter().find(|(number, ..)| *number == field).map(|(.., index)| index)
    }

    /// The live row that holds this value in a unique field; nothing is held by none. The outer option: whether the
    /// field is indexed at all.
    pub(crate) fn by_key(&self, field: usize, value: &Value) -> Option<Option<SfId>> {
        match self.index(field)? {
            Index::Key { .. } if value.is_null() => Some(None),
            Index::Key { by, .. } => {
                Some(by.get(&*key_of(self.object.fields.get(field), value)).copied())
            }
            Index::Parent(_) => None,
        }
    }

    /// The live rows whose unique field is empty, if the field is indexed.
    pub(crate) fn blanks(&self, field: usize) -> Option<&BTreeSet<SfId>> {
        match self.index(field)? {
            Index::Key { blank, .. } => Some(blank),
            Index::Parent(_) => None,
        }
    }

    /// The live rows that refer to this parent, if the field is indexed.
    pub(crate) fn children(
        &self,
        field: usize,
        parent: SfId,
    ) -> Option<impl Iterator<Item = SfId> + use<'_>> {
        match self.index(field)? {
            Index::Parent(pairs) => Some(
                pairs
                    .range((parent, None)..)
                    .take_while(move |(p, _)| *p == parent)
                    .filter_map(|(_, child)| *child),
            ),
            Index::Key { .. } => None,
        }
    }

    /// The rows last changed within these milliseconds, oldest first, deleted ones too.
    pub(crate) fn changed(&self, span: RangeInclusive<i64>) -> impl Iterator<Item = SfId> + '_ {
        let last = *span.end();
        self.stamps
            .range((*span.start(), None)..)
            .take_while(move |(at, _)| *at <= last)
            .filter_map(|(_, id)| *id)
    }
}

/// The text that equal values of one field share, and no others.
pub(crate) fn key_of<'a>(field: Option<&Field>, value: &'a Value) -> Cow<'a, str> {
    let text = match value {
        // Zero has two signs and is one number.
        Value::Number(0.0) => Cow::Borrowed("0.0"),
        other => other.to_text(),
    };
    if field.is_some_and(|f| f.case_sensitive) || !text.chars().any(char::is_uppercase) {
        text
    } else {
        Cow::Owned(text.to_lowercase())
    }
}
