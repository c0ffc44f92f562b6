//! Many rows by one statement: what a statement costs by itself is half of
//! what a short row costs.

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Transaction, params_from_iter};

/// Rows that one statement inserts: so many of the first size as there are, then of the next.
const SIZES: [usize; 3] = [64, 8, 1];

/// Inserts rows in their order; how many were inserted or updated. `into` is all of
/// the statement before the values, `on_conflict` all after them.
pub(super) fn insert<'r, R, const N: usize>(
    transaction: &Transaction<'_>,
    (into, on_conflict): (&str, &str),
    rows: &'r [R],
    values: impl Fn(&'r R) -> [ToSqlOutput<'r>; N],
) -> rusqlite::Result<usize> {
    let (mut changed, mut rest) = (0, rows);
    for size in SIZES {
        if rest.len() < size {
            continue;
        }
        let row = format!("({})", vec!["?"; N].join(", "));
        let sql = format!("{into} VALUES {} {on_conflict}", vec![row; size].join(", "));
        let mut statement = transaction.prepare_cached(&sql)?;
        while let Some((some, more)) = rest.split_at_checked(size) {
            changed += statement.execute(params_from_iter(some.iter().flat_map(&values)))?;
            rest = more;
        }
    }
    Ok(changed)
}

pub(super) fn number(number: i64) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(Value::Integer(number))
}

pub(super) fn text(text: &str) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
}

pub(super) fn blob(bytes: Option<&[u8]>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(bytes.map_or(ValueRef::Null, ValueRef::Blob))
}
