//! Which fields a query may ask for: whole records by `FIELDS()`, none twice, and long texts neither sorted nor grouped.

use std::collections::HashSet;

use super::QueryError;
use super::ast::{Path, Query, Which};
use super::bind::{Binder, Column, Output};
use crate::org::schema::Kind;

/// How many rows a query with `FIELDS(ALL)` or `FIELDS(CUSTOM)` may ask for.
const WHOLE_ROWS: usize = 200;

impl Binder<'_> {
    pub(super) fn must_not_be_long(
        &self,
        column: &Column,
        path: &Path,
        done: &str,
    ) -> Result<(), QueryError> {
        if column.function.is_some() || !matches!(self.kind(column), Some(Kind::LongText(_))) {
            return Ok(());
        }
        let name = path.parts.join(".");
        let message = format!("field '{name}' can not be {done} in a query call");
        Err(QueryError::located("INVALID_FIELD", self.text, path.at, &message))
    }

    /// The outputs that `FIELDS()` stands for.
    pub(super) fn all_fields(
        &self,
        which: Which,
        at: usize,
        query: &Query,
        (object, aggregate): (usize, bool),
    ) -> Result<Vec<Output>, QueryError> {
        let refuse =
            |message: &str| Err(QueryError::located("MALFORMED_QUERY", self.text, at, message));
        if aggregate {
            return refuse("The SOQL FIELDS function is not supported with aggregates");
        }
        let bounded = query.limit.is_some_and(|limit| limit <= WHOLE_ROWS);
        if which != Which::Standard && !bounded {
            return refuse("The SOQL FIELDS function must have a LIMIT of at most 200");
        }
        let fields = self.database.object(object).fields.iter().enumerate();
        let wanted = fields.filter(|(_, field)| match which {
            Which::All => true,
            Which::Standard => !field.custom(),
            Which::Custom => field.custom(),
        });
        let outputs = wanted.map(|(number, field)| Output::Column {
            column: Column {
                function: None,
                hops: Vec::new(),
                object,
                field: number,
                names: vec![field.name.clone()],
            },
            name: field.name.clone(),
        });
        Ok(outputs.collect())
    }

    /// No field of a record may be asked for twice.
    pub(super) fn refuse_repeated(
        &self,
        outputs: &[Output],
        query: &Query,
    ) -> Result<(), QueryError> {
        let mut seen = HashSet::new();
        for output in outputs {
            let name = match output {
                Output::Column { column, .. } => column.names.join("."),
                Output::Children { name, .. } => name.clone(),
                Output::Aggregate { .. } => continue,
            };
            if !seen.insert(name.clone()) {
                let message = format!("duplicate field selected: {name}");
                return Err(QueryError::located(
                    "INVALID_FIELD",
                    self.text,
                    query.from_at,
                    &message,
                ));
            }
        }
        Ok(())
    }
}
