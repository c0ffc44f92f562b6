//! Aggregate queries: rows into groups, aggregates of each, then what `HAVING`, `ORDER BY` and `LIMIT` leave.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::ast::Function;
use super::bind::{Column, Output, Plan};
use super::filter::{holds, value_of};
use super::localized::localized;
use super::run::Collation;
use crate::org::data::{Database, Row, Value};

/// One aggregate of one group, as it is counted.
#[derive(Default)]
struct Tally {
    count: u64,
    sum: f64,
    least: Option<Value>,
    most: Option<Value>,
    distinct: HashSet<String>,
}

impl Tally {
    fn add(&mut self, function: Function, value: &Value, collation: &Collation<'_>) {
        if value.is_null() {
            return;
        }
        self.count += 1;
        match function {
            Function::Count | Function::Grouping => {}
            Function::CountDistinct => drop(self.distinct.insert(value.to_text().to_lowercase())),
            Function::Sum | Function::Avg => {
                self.sum += if let Value::Number(n) = value { *n } else { 0.0 }
            }
            Function::Min => {
                if self
                    .least
                    .as_ref()
                    .is_none_or(|least| collation.compare(value, least) == Ordering::Less)
                {
                    self.least = Some(value.clone());
                }
            }
            Function::Max => {
                if self
                    .most
                    .as_ref()
                    .is_none_or(|most| collation.compare(value, most) == Ordering::Greater)
                {
                    self.most = Some(value.clone());
                }
            }
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn value(self, function: Function) -> Value {
        match function {
            Function::Count => Value::Number(self.count as f64),
            Function::CountDistinct => Value::Number(self.distinct.len() as f64),
            Function::Sum if self.count > 0 => Value::Number(self.sum),
            Function::Avg if self.count > 0 => Value::Number(self.sum / self.count as f64),
            Function::Sum | Function::Avg | Function::Grouping => Value::Null,
            Function::Min => self.least.unwrap_or(Value::Null),
            Function::Max => self.most.unwrap_or(Value::Null),
        }
    }
}

/// A group: what its rows share, and its aggregates in the order of the plan's measures.
struct Group {
    shared: Vec<Value>,
    /// What of that it doesn't share, because it is a subtotal.
    open: Vec<bool>,
    measures: Vec<Value>,
}

impl Group {
    /// The value of a column that the plan groups by or measures.
    fn value(&self, plan: &Plan, column: &Column) -> &Value {
        let (columns, values) = match column.function {
            None => (&plan.group, &self.shared),
            Some(_) => (&plan.measures, &self.measures),
        };
        let place = columns.iter().position(|known| known == column);
        place.and_then(|place| values.get(place)).unwrap_or(&Value::Null)
    }
}

/// The groups of these rows: one row of values each, in the order of the plan's outputs.
pub(super) fn groups(database: &Database, plan: &Plan, rows: &[&Row]) -> Vec<Vec<Value>> {
    let mut found = gather(database, plan, rows);
    if let Some(test) = &plan.having {
        found.retain(|group| {
            holds(database, test, &|column: &Column| Cow::Borrowed(group.value(plan, column)))
        });
    }
    let keys: Vec<_> =
        plan.order.iter().map(|key| (key, Collation::of(database, &key.0))).collect();
    let shared: Vec<_> = plan.group.iter().map(|column| Collation::of(database, column)).collect();
    found.sort_by(|a, b| {
        let keys = keys.iter().map(|((column, descending, nulls_last), collation)| {
            let (a, b) = (a.value(plan, column), b.value(plan, column));
            collation.order(a, b, *descending, *nulls_last)
        });
        // A subtotal comes after what it sums up.
        let natural = shared.iter().enumerate().map(|(place, collation)| {
            let shared = a.shared.get(place).zip(b.shared.get(place));
            let order = |(a, b)| collation.order(a, b, false, false);
            let subtotals = a.open.get(place).cmp(&b.open.get(place));
            subtotals.then_with(|| shared.map_or(Ordering::Equal, order))
        });
        keys.chain(natural).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    let window = found.iter().skip(plan.offset).take(plan.limit.unwrap_or(usize::MAX));
    window.map(|group| outputs_of(database, plan, group)).collect()
}

/// The groups of all sets: those of the query's own, then those of its subtotals.
fn gather(database: &Database, plan: &Plan, rows: &[&Row]) -> Vec<Group> {
    plan.sets.iter().flat_map(|open| gather_set(database, plan, rows, open)).collect()
}

/// The groups in which these of the shared columns stand open.
fn gather_set(database: &Database, plan: &Plan, rows: &[&Row], open: &[bool]) -> Vec<Group> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut found: Vec<(Vec<Value>, Vec<Tally>)> = Vec::new();
    let collations: Vec<_> =
        plan.measures.iter().map(|column| Collation::of(database, column)).collect();
    let empty = || plan.measures.iter().map(|_| Tally::default()).collect::<Vec<_>>();
    for row in rows {
        let shared = plan.group.iter().zip(open).map(|(column, open)| match open {
            true => Value::Null,
            false => value_of(database, row, column).into_owned(),
        });
        let values: Vec<Value> = shared.collect();
        let key =
            values.iter().map(|v| v.to_text().to_lowercase()).collect::<Vec<_>>().join("\u{0}");
        let place = *places.entry(key).or_insert_with(|| {
            found.push((values, empty()));
            found.len() - 1
        });
        let Some((_, tallies)) = found.get_mut(place) else { continue };
        for ((column, collation), tally) in plan.measures.iter().zip(&collations).zip(tallies) {
            if let Some(function) = column.function {
                tally.add(function, &value_of(database, row, column), collation);
            }
        }
    }
    // Over no rows at all there still is a total.
    if open.iter().all(|open| *open) && found.is_empty() {
        found.push((open.iter().map(|_| Value::Null).collect(), empty()));
    }
    let each = found.into_iter().map(|(shared, tallies)| {
        let measures = plan.measures.iter().zip(tallies);
        let measures = measures.map(|(column, tally)| match column.function {
            Some(Function::Grouping) => {
                let bare = Column { function: None, ..column.clone() };
                let place = plan.group.iter().position(|of| *of == bare);
                let is_open = place.and_then(|place| open.get(place)).is_some_and(|open| *open);
                Value::Number(f64::from(u8::from(is_open)))
            }
            Some(function) => tally.value(function),
            None => Value::Null,
        });
        Group { shared, open: open.to_vec(), measures: measures.collect() }
    });
    each.collect()
}

fn outputs_of(database: &Database, plan: &Plan, group: &Group) -> Vec<Value> {
    let each = plan.outputs.iter().map(|output| match output {
        Output::Column { column, formatted, .. } | Output::Aggregate { column, formatted, .. } => {
            let value = group.value(plan, column);
            match formatted {
                Some(zone) => localized(value, column.kind(database).as_ref(), zone),
                None => value.clone(),
            }
        }
        Output::Children { .. } => Value::Null,
    });
    each.collect()
}
