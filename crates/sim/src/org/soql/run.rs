//! Runs a bound query: the cheapest index first, then the filter, then order, groups and limits.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use sloe_core::ids::SfId;

use super::ast::Comparison;
use super::bind::{Column, Output, Plan, Test};
use super::filter::{passes, value_of};
use super::groups::groups;
use crate::org::data::{Database, Row, Value};
use crate::org::schema::{Kind, Slot};

/// Up to so many ids from an index are a short list.
const SHORT: usize = 1024;

/// What a query answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// `SELECT COUNT()`.
    Count(usize),
    /// Records, by id, in order.
    Records(Vec<SfId>),
    /// Groups: one row of values each, in the order of the plan's outputs.
    Groups(Vec<Vec<Value>>),
}

/// Runs a query; `all` means deleted records too (`queryAll`).
pub(crate) fn run(database: &Database, plan: &Plan, all: bool) -> Answer {
    let mut plan = plan.clone();
    if let Some(test) = &mut plan.filter {
        resolve(database, test, all);
    }
    let mut rows = matching(database, &plan, all);
    if plan.count_rows {
        return Answer::Count(
            rows.len().saturating_sub(plan.offset).min(plan.limit.unwrap_or(usize::MAX)),
        );
    }
    if plan.aggregate {
        return Answer::Groups(groups(database, &plan, &rows));
    }
    sort(database, &plan, &mut rows);
    let window = rows.iter().skip(plan.offset).take(plan.limit.unwrap_or(usize::MAX));
    Answer::Records(window.map(|row| row.id).collect())
}

/// The records a child subquery gives for one parent.
pub(crate) fn children_of(
    database: &Database,
    plan: &Plan,
    field: usize,
    parent: SfId,
) -> Vec<SfId> {
    let table = database.table(plan.object);
    let own = table.children(field, parent).into_iter().flatten();
    let mut rows: Vec<&Row> = own
        .filter_map(|id| table.get_live(id))
        .filter(|row| plan.filter.as_ref().is_none_or(|test| passes(database, row, test)))
        .collect();
    sort(database, plan, &mut rows);
    let window = rows.iter().skip(plan.offset).take(plan.limit.unwrap_or(usize::MAX));
    window.map(|row| row.id).collect()
}

/// Runs the subqueries of `IN (SELECT …)` and puts their values in their place.
fn resolve(database: &Database, test: &mut Test, all: bool) {
    match test {
        Test::All(tests) | Test::Any(tests) => {
            tests.iter_mut().for_each(|t| resolve(database, t, all));
        }
        Test::Not(inner) => resolve(database, inner, all),
        Test::InPlan { column, negated, plan } => {
            let mut values = Vec::new();
            let table = database.table(plan.object);
            if let (Answer::Records(ids), Some(Output::Column { column: wanted, .. })) =
                (run(database, plan, all), plan.outputs.first())
            {
                let found = ids.iter().filter_map(|id| table.get(*id));
                values.extend(found.map(|row| value_of(database, row, wanted).into_owned()));
            }
            values.retain(|value| !value.is_null());
            *test = Test::In { column: column.clone(), negated: *negated, values };
        }
        Test::Compare(..) | Test::Between { .. } | Test::In { .. } => {}
    }
}

fn matching<'a>(database: &'a Database, plan: &Plan, all: bool) -> Vec<&'a Row> {
    let table = database.table(plan.object);
    let keep = |row: &&Row| {
        (all || !row.deleted) && plan.filter.as_ref().is_none_or(|test| passes(database, row, test))
    };
    match indexed(database, plan, all) {
        Some(ids) => ids.into_iter().filter_map(|id| table.get(id)).filter(keep).collect(),
        None => table.rows().filter(keep).collect(),
    }
}

/// The ids of the best index: a short list if any has one, before a long one is gathered.
fn indexed(database: &Database, plan: &Plan, all: bool) -> Option<Vec<SfId>> {
    let test = plan.filter.as_ref()?;
    let offer = |most| candidates(database, plan.object, test, all, most);
    offer(SHORT).or_else(|| offer(usize::MAX))
}

/// The ids an index offers, sorted; none where only a scan will do or there are more than `most`.
fn candidates(
    database: &Database,
    object: usize,
    test: &Test,
    all: bool,
    most: usize,
) -> Option<Vec<SfId>> {
    let mut ids = match test {
        Test::All(tests) => {
            let offers = tests.iter().filter_map(|t| candidates(database, object, t, all, most));
            offers.min_by_key(Vec::len)?
        }
        Test::Compare(column, comparison, value) if column.is_own() => {
            compare_candidates(database, object, column, (*comparison, value), (all, most))?
        }
        Test::In { column, negated: false, values } if column.is_own() => {
            let each = values.iter().map(|v| {
                compare_candidates(database, object, column, (Comparison::Equal, v), (all, most))
            });
            each.collect::<Option<Vec<_>>>()?.concat()
        }
        _ => return None,
    };
    if ids.len() > most {
        return None;
    }
    ids.sort_unstable();
    ids.dedup();
    Some(ids)
}

fn compare_candidates(
    database: &Database,
    object: usize,
    column: &Column,
    (comparison, value): (Comparison, &Value),
    (all, most): (bool, usize),
) -> Option<Vec<SfId>> {
    // One more than wanted shows that there are too many.
    let bound = most.saturating_add(1);
    let table = database.table(object);
    let field = database.object(object).fields.get(column.field)?;
    if let (Slot::SystemModstamp, Value::Time(at)) = (field.slot, value) {
        let span = match comparison {
            Comparison::Equal => *at..=*at,
            Comparison::Less | Comparison::LessOrEqual => i64::MIN..=*at,
            Comparison::Greater | Comparison::GreaterOrEqual => *at..=i64::MAX,
            Comparison::Differs | Comparison::Like => return None,
        };
        return Some(table.changed(span).take(bound).collect());
    }
    if comparison != Comparison::Equal {
        return None;
    }
    match (&field.kind, value) {
        (Kind::Id, Value::Id(id)) => Some(vec![*id]),
        // The other indexes hold live rows only.
        _ if all => None,
        (Kind::Reference(_), Value::Id(parent)) => {
            Some(table.children(column.field, *parent)?.take(bound).collect())
        }
        (_, Value::Null) => table
            .blanks(column.field)
            .map(|ids: &BTreeSet<SfId>| ids.iter().copied().take(bound).collect()),
        _ => Some(table.by_key(column.field, value)?.into_iter().collect()),
    }
}

/// How the values of a column come one after the other: those of a picklist as the list has them.
pub(super) struct Collation<'a>(&'a [(String, bool)]);

impl<'a> Collation<'a> {
    pub(super) fn of(database: &'a Database, column: &Column) -> Self {
        let field = database.object(column.object).fields.get(column.field);
        match field.map(|field| &field.kind) {
            Some(Kind::Picklist { values, .. }) => Self(values),
            _ => Self(&[]),
        }
    }

    /// The order of two values; what a picklist doesn't list comes after what it does.
    pub(super) fn compare(&self, a: &Value, b: &Value) -> Ordering {
        let natural = || a.compare(b, false).unwrap_or(Ordering::Equal);
        let place = |text: &str| {
            let found = self.0.iter().position(|(value, _)| value.eq_ignore_ascii_case(text));
            found.unwrap_or(self.0.len())
        };
        match (a.text(), b.text()) {
            (Some(a), Some(b)) if !self.0.is_empty() => place(a).cmp(&place(b)).then_with(natural),
            _ => natural(),
        }
    }

    /// The same with nothing first or last, and perhaps descending.
    pub(super) fn order(
        &self,
        a: &Value,
        b: &Value,
        descending: bool,
        nulls_last: bool,
    ) -> Ordering {
        match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if nulls_last => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, true) if nulls_last => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => {
                let order = self.compare(a, b);
                if descending { order.reverse() } else { order }
            }
        }
    }
}

fn sort(database: &Database, plan: &Plan, rows: &mut [&Row]) {
    if plan.order.is_empty() {
        return;
    }
    let keys: Vec<_> =
        plan.order.iter().map(|key| (key, Collation::of(database, &key.0))).collect();
    rows.sort_by(|a, b| {
        keys.iter()
            .map(|((column, descending, nulls_last), collation)| {
                let (a, b) = (value_of(database, a, column), value_of(database, b, column));
                collation.order(&a, &b, *descending, *nulls_last)
            })
            .find(|order| order.is_ne())
            .unwrap_or_else(|| a.id.cmp(&b.id))
    });
}
