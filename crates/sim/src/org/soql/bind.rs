//! Holds a query against the schema: every name becomes an object, a field, a relationship; every literal a value.

use jiff::tz::TimeZone;

use super::QueryError;
use super::ast::{Comparison, Condition, Function, Having, Path, Query, Select};
use super::reckon::Reckoned;
use crate::org::data::{Database, Value};
use crate::org::schema::{Field, Kind, Object};

/// A field reached over parents: each hop is (object it starts at, index of the reference field).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    /// What is made of the field's values over a group, if not the values themselves.
    pub(crate) function: Option<Function>,
    /// The part of a date that is meant, if not the whole.
    pub(crate) reckoned: Option<Reckoned>,
    pub(crate) hops: Vec<(usize, usize)>,
    /// The object that has the field.
    pub(crate) object: usize,
    pub(crate) field: usize,
    /// The names on the way, as the schema spells them, the field last.
    pub(crate) names: Vec<String>,
}

impl Column {
    /// Whether it is a field of the row itself, as it is.
    pub(super) fn is_own(&self) -> bool {
        self.hops.is_empty() && self.reckoned.is_none()
    }

    /// The kind of its values: counts are numbers, whatever is counted.
    pub(super) fn kind(&self, database: &Database) -> Option<Kind> {
        match (self.function, &self.reckoned) {
            (Some(Function::Count | Function::CountDistinct | Function::Grouping), _) => {
                Some(Kind::Number(18, 0))
            }
            (_, Some(reckoned)) => Some(reckoned.part.kind()),
            (_, None) => {
                let field = database.object(self.object).fields.get(self.field);
                field.map(|field| field.kind.clone())
            }
        }
    }
}

/// A sort key: by what, whether descending, whether nothing comes last.
pub(crate) type Key = (Column, bool, bool);

/// A query that fits the schema.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) object: usize,
    pub(crate) outputs: Vec<Output>,
    pub(crate) filter: Option<Test>,
    pub(crate) group: Vec<Column>,
    /// Which of the columns that groups share stand open, once for each set of groups.
    pub(crate) sets: Vec<Vec<bool>>,
    /// What a group must satisfy.
    pub(crate) having: Option<Test>,
    /// Every aggregate that outputs, `HAVING` and `ORDER BY` need, each once.
    pub(crate) measures: Vec<Column>,
    pub(crate) order: Vec<Key>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
    /// `SELECT COUNT()`: a number and no records.
    pub(crate) count_rows: bool,
    /// Whether the answer is made of groups and not of records.
    pub(crate) aggregate: bool,
}

impl Plan {
    /// Whether records come with their children.
    pub(crate) fn has_children(&self) -> bool {
        self.outputs.iter().any(|output| matches!(output, Output::Children { .. }))
    }
}

/// One thing a plan gives back.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    Column {
        column: Column,
        name: String,
        /// The zone in which `FORMAT()` shows it.
        formatted: Option<TimeZone>,
    },
    Aggregate {
        column: Column,
        name: String,
        formatted: Option<TimeZone>,
    },
    Children {
        name: String,
        field: usize,
        plan: Box<Plan>,
    },
}

/// A condition on a row.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Compare(Column, Comparison, Value),
    /// From the first moment to before the last.
    Between {
        column: Column,
        from: Value,
        until: Value,
        comparison: Comparison,
    },
    In {
        column: Column,
        negated: bool,
        values: Vec<Value>,
    },
    InPlan {
        column: Column,
        negated: bool,
        plan: Box<Plan>,
    },
}

impl Test {
    /// Adds the columns it looks at.
    fn columns(&self, out: &mut Vec<Column>) {
        match self {
            Test::All(tests) | Test::Any(tests) => tests.iter().for_each(|test| test.columns(out)),
            Test::Not(inner) => inner.columns(out),
            Test::Compare(column, ..)
            | Test::Between { column, .. }
            | Test::In { column, .. }
            | Test::InPlan { column, .. } => out.push(column.clone()),
        }
    }
}

/// How many levels of parents and children a query may span.
const DEEPEST: usize = 5;

pub(super) struct Binder<'a> {
    pub(super) database: &'a Database,
    pub(super) text: &'a str,
}

/// Binds a query.
///
/// # Errors
/// `INVALID_TYPE`, `INVALID_FIELD` or `MALFORMED_QUERY`, as Salesforce words them.
pub(crate) fn bind(database: &Database, text: &str, query: &Query) -> Result<Plan, QueryError> {
    let binder = Binder { database, text };
    let Some(object) = database.schema().find(&query.from) else {
        let message = format!(
            "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append the \
             '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.",
            query.from
        );
        return Err(QueryError::located("INVALID_TYPE", text, query.from_at, &message));
    };
    if levels(query) > DEEPEST {
        let message = format!(
            "SOQL statements may go down {DEEPEST} levels from parents to children, no further"
        );
        return Err(QueryError::new("MALFORMED_QUERY", message));
    }
    binder.plan(query, object)
}

/// How many levels of parents and children a query spans.
fn levels(query: &Query) -> usize {
    let below = query.select.iter().map(|select| match select {
        Select::Children(child) => levels(child),
        _ => 0,
    });
    below.max().unwrap_or(0) + 1
}

impl Binder<'_> {
    pub(super) fn plan(&self, query: &Query, object: usize) -> Result<Plan, QueryError> {
        let aggregate = !query.group.is_empty() || query.select.iter().any(Select::measures);
        let count_rows = query.select.contains(&Select::CountRows);
        if count_rows && (query.select.len() > 1 || aggregate) {
            return Err(QueryError::new(
                "MALFORMED_QUERY",
                "COUNT() must be the only element in the SELECT list",
            ));
        }
        let group = self.columns(&query.group, query, object)?;
        for (column, path) in group.iter().zip(&query.group) {
            self.must_not_be_long(column, path, "grouped")?;
        }
        let mut outputs = Vec::new();
        for select in query.select.iter().filter(|s| **s != Select::CountRows) {
            let unnamed = outputs
                .iter()
                .filter(|o| matches!(o, Output::Aggregate { name, .. } if name.starts_with("expr")))
                .count();
            if let Select::All { which, at } = select {
                outputs.extend(self.all_fields(*which, *at, query, (object, aggregate))?);
                continue;
            }
            outputs.push(self.output(select, query, object, (aggregate, &group, unnamed))?);
        }
        self.refuse_repeated(&outputs, query)?;
        let mut order = Vec::new();
        for key in &query.order {
            let column = self.column(&key.path, query, object)?;
            let fits = match column.function {
                Some(_) => aggregate,
                None => group.contains(&column) || !aggregate && column.reckoned.is_none(),
            };
            if !fits {
                return Err(self.ungrouped(key.path.at, &key.path.parts));
            }
            self.must_not_be_long(&column, &key.path, "sorted")?;
            order.push((column, key.descending, key.nulls_last));
        }
        let (having, measures) = self.having(query, object, (&group, &outputs, &order))?;
        let filter = query.filter.as_ref().map(|c| self.test(c, query, object)).transpose()?;
        Ok(Plan {
            object,
            outputs,
            filter,
            sets: query.subtotals.sets(group.len()),
            group,
            having,
            measures,
            order,
            limit: query.limit,
            offset: query.offset,
            count_rows,
            aggregate,
        })
    }

    /// What the groups must satisfy, and every aggregate that the query needs.
    fn having(
        &self,
        query: &Query,
        object: usize,
        (group, outputs, order): (&[Column], &[Output], &[Key]),
    ) -> Result<(Option<Test>, Vec<Column>), QueryError> {
        let mut needed = Vec::new();
        let mut having = None;
        if let Some(Having { at, condition }) = &query.having {
            let test = self.test(condition, query, object)?;
            test.columns(&mut needed);
            let unknown = |c: &&Column| c.function.is_none() && !group.contains(c);
            if let Some(column) = needed.iter().find(unknown) {
                return Err(self.ungrouped(*at, &column.names));
            }
            having = Some(test);
        }
        needed.extend(outputs.iter().filter_map(|output| match output {
            Output::Aggregate { column, .. } => Some(column.clone()),
            Output::Column { .. } | Output::Children { .. } => None,
        }));
        needed.extend(order.iter().map(|(column, ..)| column.clone()));
        let mut measures: Vec<Column> = Vec::new();
        for column in needed {
            self.must_be_grouped(&column, group, query)?;
            if column.function.is_some() && !measures.contains(&column) {
                measures.push(column);
            }
        }
        Ok((having, measures))
    }

    fn columns(
        &self,
        paths: &[Path],
        query: &Query,
        object: usize,
    ) -> Result<Vec<Column>, QueryError> {
        paths.iter().map(|path| self.column(path, query, object)).collect()
    }

    pub(super) fn ungrouped(&self, at: usize, names: &[String]) -> QueryError {
        let message = format!("Field must be grouped or aggregated: {}", names.join("."));
        self.malformed(at, &message)
    }

    pub(super) fn malformed(&self, at: usize, message: &str) -> QueryError {
        QueryError::located("MALFORMED_QUERY", self.text, at, message)
    }

    pub(super) fn field(&self, column: &Column) -> Option<&Field> {
        self.database.object(column.object).fields.get(column.field)
    }

    pub(super) fn kind(&self, column: &Column) -> Option<Kind> {
        column.kind(self.database)
    }

    pub(super) fn column(
        &self,
        path: &Path,
        query: &Query,
        object: usize,
    ) -> Result<Column, QueryError> {
        let mut parts = path.parts.as_slice();
        let own = [Some(&query.from), query.alias.as_ref()];
        if let [first, rest @ ..] = parts
            && !rest.is_empty()
            && own.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(first))
        {
            parts = rest;
        }
        let function = path.function;
        let mut column = Column {
            function,
            reckoned: None,
            hops: Vec::new(),
            object,
            field: 0,
            names: Vec::new(),
        };
        let Some((last, parents)) = parts.split_last() else {
            return Err(self.no_column("", path, object));
        };
        if parents.len() > 5 {
            return Err(self.malformed(path.at, "more than 5 levels of parents"));
        }
        for parent in parents {
            let shape = self.database.object(column.object);
            let reference = shape
                .find_parent(parent)
                .and_then(|field| Some((field, shape.fields.get(field)?.reference()?)))
                .and_then(|(field, r)| {
                    Some((field, r.relationship.clone(), self.database.schema().find(&r.to)?))
                });
            let Some((field, name, to)) = reference else {
                let message = format!(
                    "Didn't understand relationship '{parent}' in field path. If you are attempting to use a custom \
                     relationship, be sure to append the '__r' after the custom relationship name. Please reference \
                     your WSDL or the describe call for the appropriate names."
                );
                return Err(QueryError::located("INVALID_FIELD", self.text, path.at, &message));
            };
            column.hops.push((column.object, field));
            column.names.push(name);
            column.object = to;
        }
        let shape: &Object = self.database.object(column.object);
        let Some(field) = shape.find(last) else {
            return Err(self.no_column(last, path, column.object));
        };
        column.field = field;
        column.names.push(shape.fields.get(field).map_or_else(String::new, |f| f.name.clone()));
        let numeric = matches!(
            self.field(&column).map(|f| &f.kind),
            Some(Kind::Number(..) | Kind::Currency(..))
        );
        if matches!(function, Some(Function::Sum | Function::Avg)) && !numeric {
            let name = path.parts.join(".");
            let message = format!("field {name} does not support aggregate operator");
            return Err(self.malformed(path.at, &message));
        }
        column.reckoned = self.reckoned(path, &column)?;
        Ok(column)
    }

    fn no_column(&self, name: &str, path: &Path, object: usize) -> QueryError {
        let message = format!(
            "No such column '{name}' on entity '{}'. If you are attempting to use a custom field, be sure to append \
             the '__c' after the custom field name. Please reference your WSDL or the describe call for the \
             appropriate names.",
            self.database.object(object).name
        );
        QueryError::located("INVALID_FIELD", self.text, path.at, &message)
    }

    fn test(
        &self,
        condition: &Condition,
        query: &Query,
        object: usize,
    ) -> Result<Test, QueryError> {
        let each = |terms: &[Condition]| {
            terms.iter().map(|t| self.test(t, query, object)).collect::<Result<_, _>>()
        };
        Ok(match condition {
            Condition::All(terms) => Test::All(each(terms)?),
            Condition::Any(terms) => Test::Any(each(terms)?),
            Condition::Not(inner) => Test::Not(Box::new(self.test(inner, query, object)?)),
            Condition::Compare(path, comparison, literal) => {
                let column = self.column(path, query, object)?;
                self.comparison(column, path, *comparison, literal)?
            }
            Condition::In { path, negated, values } => {
                let column = self.column(path, query, object)?;
                let values = values
                    .iter()
                    .map(|v| self.value(&column, path, v))
                    .collect::<Result<_, _>>()?;
                Test::In { column, negated: *negated, values }
            }
            Condition::InQuery { path, negated, query: inner } => {
                let column = self.column(path, query, object)?;
                let plan = bind(self.database, self.text, inner)?;
                if plan.outputs.len() != 1
                    || !matches!(plan.outputs.first(), Some(Output::Column { .. }))
                {
                    return Err(self.malformed(path.at, "IN takes one selected field"));
                }
                Test::InPlan { column, negated: *negated, plan: Box::new(plan) }
            }
        })
    }
}
