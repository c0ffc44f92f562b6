//! Whether a row satisfies a condition.

use std::borrow::Cow;

use super::ast::Comparison;
use super::bind::{Column, Test};
use crate::org::data::{Database, Row, Value};

/// The value of a column, seen from a row of the object it starts at; nothing where a parent is missing.
pub(super) fn value_of<'a>(
    database: &'a Database,
    row: &'a Row,
    column: &Column,
) -> Cow<'a, Value> {
    let mut row = row;
    for (object, field) in &column.hops {
        let shape = database.object(*object);
        let parent = shape.fields.get(*field).and_then(|f| {
            let id = row.get(f.slot).id()?;
            let to = database.schema().find(&f.reference()?.to)?;
            database.table(to).get_live(id)
        });
        match parent {
            Some(parent) => row = parent,
            None => return Cow::Owned(Value::Null),
        }
    }
    let value = match database.object(column.object).fields.get(column.field) {
        Some(field) => row.get(field.slot),
        None => return Cow::Owned(Value::Null),
    };
    match &column.reckoned {
        Some(reckoned) => Cow::Owned(reckoned.of(&value)),
        None => value,
    }
}

/// Whether the column tells letters' case apart.
fn case_sensitive(database: &Database, column: &Column) -> bool {
    database
        .object(column.object)
        .fields
        .get(column.field)
        .is_some_and(|field| field.case_sensitive)
}

/// Whether the row passes. Subqueries have been run before and stand as lists.
pub(super) fn passes(database: &Database, row: &Row, test: &Test) -> bool {
    holds(database, test, &|column: &Column| value_of(database, row, column))
}

/// Whether the test holds of the values that the columns have.
pub(super) fn holds<'a, F>(database: &Database, test: &Test, value_of: &F) -> bool
where
    F: Fn(&Column) -> Cow<'a, Value>,
{
    match test {
        Test::All(tests) => tests.iter().all(|t| holds(database, t, value_of)),
        Test::Any(tests) => tests.iter().any(|t| holds(database, t, value_of)),
        Test::Not(inner) => !holds(database, inner, value_of),
        Test::Compare(column, comparison, wanted) => {
            let value = value_of(column);
            compare(&value, *comparison, wanted, case_sensitive(database, column))
        }
        Test::Between { column, from, until, comparison } => {
            let value = value_of(column);
            let starts = value.compare(from, true);
            let ends = value.compare(until, true);
            let (Some(starts), Some(ends)) = (starts, ends) else {
                return *comparison == Comparison::Differs;
            };
            match comparison {
                Comparison::Equal | Comparison::Like => starts.is_ge() && ends.is_lt(),
                Comparison::Differs => starts.is_lt() || ends.is_ge(),
                Comparison::Less => starts.is_lt(),
                Comparison::LessOrEqual => ends.is_lt(),
                Comparison::Greater => ends.is_ge(),
                Comparison::GreaterOrEqual => starts.is_ge(),
            }
        }
        Test::In { column, negated, values } => {
            let value = value_of(column);
            let exact = case_sensitive(database, column);
            let hit = values.iter().any(|wanted| same(&value, wanted, exact));
            hit != *negated
        }
        // Resolved into `In` before rows are looked at.
        Test::InPlan { .. } => false,
    }
}

fn same(value: &Value, wanted: &Value, exact: bool) -> bool {
    (value.is_null() && wanted.is_null())
        || value.compare(wanted, exact).is_some_and(std::cmp::Ordering::is_eq)
}

fn compare(value: &Value, comparison: Comparison, wanted: &Value, exact: bool) -> bool {
    let order = value.compare(wanted, exact);
    match comparison {
        Comparison::Equal => same(value, wanted, exact),
        Comparison::Differs => !same(value, wanted, exact),
        Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Comparison::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
        Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Comparison::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        Comparison::Like => match (value.text(), wanted.text()) {
            (Some(text), Some(pattern)) => like(text, pattern),
            _ => false,
        },
    }
}

/// `%` stands for any run of characters, `_` for one; case does not matter. Linear in both lengths' product at worst.
pub(crate) fn like(text: &str, pattern: &str) -> bool {
    #[derive(PartialEq)]
    enum Part {
        Run,
        One,
        Is(char),
    }
    let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    let mut parts = Vec::new();
    let mut chars = pattern.chars().flat_map(char::to_lowercase);
    while let Some(c) = chars.next() {
        parts.push(match c {
            '%' => Part::Run,
            '_' => Part::One,
            '\\' => Part::Is(chars.next().unwrap_or('\\')),
            c => Part::Is(c),
        });
    }
    let (mut t, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match parts.get(p) {
            Some(Part::Run) => {
                retry = Some((p, t));
                p += 1;
            }
            Some(Part::One) => {
                t += 1;
                p += 1;
            }
            Some(Part::Is(c)) if text.get(t) == Some(c) => {
                t += 1;
                p += 1;
            }
            _ => match retry {
                Some((run, from)) => {
                    retry = Some((run, from + 1));
                    p = run + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    parts.get(p..).is_some_and(|rest| rest.iter().all(|part| *part == Part::Run))
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn like_knows_both_wildcards_and_ignores_case() {
        for (text, pattern, wanted) in [
            ("Rust Conference", "rust%", true),
            ("Rust Conference", "%CONF%", true),
            ("Rust", "R_st", true),
            ("Rust", "R_t", false),
            ("100%", "100\\%", true),
            ("1000", "100\\%", false),
            ("", "%", true),
            ("", "_", false),
            ("abcabc", "%abc", true),
            ("abcabd", "%abc", false),
        ] {
            assert_eq!(like(text, pattern), wanted, "{text} like {pattern}");
        }
    }
}
