//! What a query gives back, one thing at a time: fields, parts of dates, aggregates and children.

use super::QueryError;
use super::ast::{Path, Query, Select};
use super::bind::{Binder, Column, Output};
use crate::org::schema::Field;

impl Binder<'_> {
    pub(super) fn output(
        &self,
        select: &Select,
        query: &Query,
        object: usize,
        (aggregate, group, unnamed): (bool, &[Column], usize),
    ) -> Result<Output, QueryError> {
        match select {
            Select::Field { path, alias } => {
                if let (Some(alias), false) = (alias, aggregate) {
                    let message = format!("only aggregate expressions use field aliasing: {alias}");
                    return Err(self.malformed(path.at, &message));
                }
                self.shown((path, alias.as_ref()), query, object, (aggregate, group, unnamed))
            }
            // A picklist's labels are its values here.
            Select::Aggregate { path, alias } | Select::Label { path, alias } => {
                self.shown((path, alias.as_ref()), query, object, (aggregate, group, unnamed))
            }
            Select::Format { path, alias } => {
                let mut output =
                    self.shown((path, alias.as_ref()), query, object, (aggregate, group, unnamed))?;
                if let Output::Column { formatted, .. } | Output::Aggregate { formatted, .. } =
                    &mut output
                {
                    *formatted = Some(self.zone());
                }
                Ok(output)
            }
            Select::Children(child) => self.children(child, object, aggregate),
            Select::All { .. } | Select::CountRows => {
                Err(QueryError::new("MALFORMED_QUERY", "unexpected COUNT()"))
            }
        }
    }

    /// The output of a field, a part of a date or an aggregate under its name.
    fn shown(
        &self,
        (path, alias): (&Path, Option<&String>),
        query: &Query,
        object: usize,
        (aggregate, group, unnamed): (bool, &[Column], usize),
    ) -> Result<Output, QueryError> {
        let mut column = self.column(path, query, object)?;
        let measured = column.function.is_some();
        // Parts of dates can be shown only of groups.
        if !measured && (aggregate || path.part.is_some()) && !group.contains(&column) {
            return Err(self.ungrouped(path.at, &path.parts));
        }
        if measured || path.part.is_some() {
            let name = alias.cloned().unwrap_or_else(|| format!("expr{unnamed}"));
            return Ok(Output::Aggregate { column, name, formatted: None });
        }
        if let (Some(alias), Some(last), false) = (alias, column.names.last_mut(), aggregate) {
            last.clone_from(alias);
        }
        let last = column.names.last().cloned().unwrap_or_default();
        let name = alias.cloned().unwrap_or(last);
        Ok(Output::Column { column, name, formatted: None })
    }

    fn children(
        &self,
        query: &Query,
        parent: usize,
        aggregate: bool,
    ) -> Result<Output, QueryError> {
        let shape = self.database.object(parent);
        let hit = self.database.schema().child(&shape.name, &query.from);
        let Some((child, field)) = hit else {
            let message = format!(
                "Didn't understand relationship '{}' in FROM part of query call. If you are attempting to use a custom \
                 relationship, be sure to append the '__r' after the custom relationship name. Please reference your \
                 WSDL or the describe call for the appropriate names.",
                query.from
            );
            return Err(QueryError::located("INVALID_TYPE", self.text, query.from_at, &message));
        };
        let reference = self.database.object(child).fields.get(field).and_then(Field::reference);
        let name = reference.and_then(|reference| reference.children.clone()).unwrap_or_default();
        let plan = self.plan(query, child)?;
        if aggregate || plan.aggregate || plan.count_rows {
            return Err(QueryError::new(
                "MALFORMED_QUERY",
                "aggregates can't be combined with child subqueries",
            ));
        }
        Ok(Output::Children { name, field, plan: Box::new(plan) })
    }
}
