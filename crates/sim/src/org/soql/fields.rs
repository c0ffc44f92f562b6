//! Which fields a query may ask for: whole records by `FIELDS()`, none twice, and long texts neither sorted nor grouped.

use std::collections::HashSet;

use jiff::tz::TimeZone;

use super::QueryError;
use super::ast::{Function, Path, Query, Which};
use super::bind::{Binder, Column, Output};
use super::reckon::Reckoned;
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

    /// The part of a date that a path names.
    pub(super) fn reckoned(
        &self,
        path: &Path,
        column: &Column,
    ) -> Result<Option<Reckoned>, QueryError> {
        let Some((part, local)) = path.part else { return Ok(None) };
        if !part.fits(self.field(column).map(|field| &field.kind)) {
            let name = path.parts.join(".");
            let message = format!("field {name} does not support this date function");
            return Err(self.malformed(path.at, &message));
        }
        let zone = if local { self.zone() } else { TimeZone::UTC };
        Ok(Some(Reckoned { part, zone }))
    }

    /// The zone of the org, which is that of all its users.
    pub(super) fn zone(&self) -> TimeZone {
        let found = self.database.schema().find("Organization").and_then(|number| {
            let slot = self.database.object(number).field("TimeZoneSidKey")?.slot;
            let org = self.database.table(number).rows().next()?;
            TimeZone::get(org.get(slot).text()?).ok()
        });
        found.unwrap_or(TimeZone::UTC)
    }

    /// `GROUPING()` is asked of what the query groups by.
    pub(super) fn must_be_grouped(
        &self,
        column: &Column,
        group: &[Column],
        query: &Query,
    ) -> Result<(), QueryError> {
        let bare = Column { function: None, ..column.clone() };
        if column.function != Some(Function::Grouping) || group.contains(&bare) {
            return Ok(());
        }
        let message = format!("GROUPING needs a grouped field: {}", column.names.join("."));
        Err(self.malformed(query.from_at, &message))
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
                reckoned: None,
                hops: Vec::new(),
                object,
                field: number,
                names: vec![field.name.clone()],
            },
            name: field.name.clone(),
            formatted: None,
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
