//! Works out formulas and roll-ups whenever what they depend on changes, in the same transaction.

use std::cmp::Ordering;

use sloe_core::ids::SfId;

use super::{Database, Row, Value};
use crate::org::formula::{Formula, Subject};
use crate::org::schema::{Computed, Field, Kind, Object, RollUp, Summary};

/// A record as its own formulas see it.
struct Own<'a> {
    object: &'a Object,
    row: &'a Row,
}

impl Subject for Own<'_> {
    fn value(&self, field: &str) -> Value {
        let Some(field) = self.object.field(field) else { return Value::Null };
        let value = self.row.get(field.slot).into_owned();
        match field.kind {
            // Formulas take nothing for zero, unless told otherwise.
            Kind::Number(..) | Kind::Currency(..) if value.is_null() => Value::Number(0.0),
            _ => value,
        }
    }

    fn prior(&self, _: &str) -> Option<Value> {
        None
    }
}

/// Works out a record's formulas. A new record's roll-ups begin with nothing counted.
pub(super) fn fill_in(object: &Object, row: &mut Row) {
    if !object.computes() {
        return;
    }
    for field in &object.fields {
        if let Some(Computed::RollUp(RollUp { summary: Summary::Count | Summary::Sum, .. })) =
            &field.computed
            && row.get(field.slot).is_null()
        {
            row.set(field.slot, Value::Number(0.0));
        }
    }
    // One that needs another comes right a round later; there are no circles.
    for _ in &object.fields {
        let mut changed = false;
        for field in &object.fields {
            let Some(Computed::Formula { formula, .. }) = &field.computed else { continue };
            let value = fit(&field.kind, formula.value(&Own { object, row }));
            changed |= *row.get(field.slot) != value;
            row.set(field.slot, value);
        }
        if !changed {
            return;
        }
    }
}

/// The value as the field holds it; nothing where it can't.
fn fit(kind: &Kind, value: Value) -> Value {
    match (kind, value) {
        (Kind::Number(_, scale) | Kind::Currency(_, scale), Value::Number(n)) if n.is_finite() => {
            let unit = 10_f64.powi(i32::try_from(*scale).unwrap_or(0));
            Value::Number((n * unit).round() / unit)
        }
        (Kind::Checkbox, value) => Value::Bool(value == Value::Bool(true)),
        (Kind::Date, value @ Value::Date(_)) | (Kind::DateTime, value @ Value::Time(_)) => value,
        (Kind::Text(_) | Kind::LongText(_), value) if !value.is_null() => {
            Value::Text(value.to_text().into())
        }
        _ => Value::Null,
    }
}

/// What a record adds to a roll-up: to whose, and what.
fn part(child: &Object, by: &Field, roll_up: &RollUp, row: Option<&Row>) -> Option<(SfId, Value)> {
    let row = row.filter(|row| !row.deleted)?;
    let holds = |filter: &Formula| filter.holds(&Own { object: child, row });
    if !roll_up.filter.as_ref().is_none_or(holds) {
        return None;
    }
    let value = match &roll_up.of {
        None => Value::Number(1.0),
        Some(of) => row.get(child.field(of)?.slot).into_owned(),
    };
    Some((row.get(by.slot).id()?, value))
}

impl Database {
    /// Brings the roll-ups up to date that count the row that was just put.
    pub(super) fn roll_up(&mut self, object: usize, id: SfId) {
        let schema = self.schema().clone();
        let affected = schema.roll_ups(object);
        if affected.is_empty() {
            return;
        }
        let child = self.object(object).clone();
        let before = self.undo.last().and_then(|(.., before)| before.clone());
        let Some(after) = self.table(object).get(id).cloned() else { return };
        for (master, index) in affected {
            let shape = self.object(*master).clone();
            let Some(field) = shape.fields.get(*index) else { continue };
            let Some(Computed::RollUp(roll_up)) = &field.computed else { continue };
            let Some(by) = child.field(&roll_up.by) else { continue };
            let [old, new] =
                [before.as_ref(), Some(&after)].map(|row| part(&child, by, roll_up, row));
            if old == new {
                continue;
            }
            let mut parents: Vec<SfId> = [&old, &new].into_iter().flatten().map(|p| p.0).collect();
            parents.dedup();
            for parent in parents {
                let Some(mut row) = self.table(*master).get_live(parent).cloned() else { continue };
                let value = match roll_up.summary {
                    Summary::Count | Summary::Sum => {
                        let amount = |part: &Option<(SfId, Value)>| match part {
                            Some((of, Value::Number(n))) if *of == parent => *n,
                            _ => 0.0,
                        };
                        let now = match *row.get(field.slot) {
                            Value::Number(n) => n,
                            _ => 0.0,
                        };
                        Value::Number(now + amount(&new) - amount(&old))
                    }
                    Summary::Min => self.extreme((object, by, roll_up), parent, Ordering::Less),
                    Summary::Max => self.extreme((object, by, roll_up), parent, Ordering::Greater),
                };
                if *row.get(field.slot) == value {
                    continue;
                }
                row.set(field.slot, value);
                // As if whoever changed the detail had saved its master.
                row.modified = self.moment();
                row.stamp = row.modified;
                row.modified_by = after.modified_by;
                fill_in(&shape, &mut row);
                self.put(*master, row);
            }
        }
    }

    /// The least or the greatest of a master's details.
    fn extreme(
        &self,
        (object, by, roll_up): (usize, &Field, &RollUp),
        parent: SfId,
        wanted: Ordering,
    ) -> Value {
        let child = self.object(object);
        let index = child.find(&by.name).unwrap_or(0);
        let details = self.table(object).children(index, parent).into_iter().flatten();
        let values = details.filter_map(|id| {
            part(child, by, roll_up, self.table(object).get_live(id)).map(|(_, value)| value)
        });
        values.filter(|value| !value.is_null()).fold(Value::Null, |best, value| {
            match value.compare(&best, true) {
                Some(order) if order != wanted => best,
                _ => value,
            }
        })
    }
}
