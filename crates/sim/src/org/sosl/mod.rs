//! SOSL: which words are looked for, in which fields, and which objects' records come back.

mod parser;
mod terms;

use sloe_core::ids::SfId;

pub(crate) use self::parser::{Search, parse};
pub(crate) use self::terms::Terms;
use super::data::{Database, Row};
use super::schema::{Field, Kind, Object};
use super::soql::{self, Answer, Plan, QueryError};

/// The most records that one search gives.
pub(crate) const MOST: usize = 2000;

/// In which fields the words are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    Name,
    Email,
    Phone,
}

impl Scope {
    /// The scope of this name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [
            ("ALL", Self::All),
            ("NAME", Self::Name),
            ("EMAIL", Self::Email),
            ("PHONE", Self::Phone),
        ];
        all.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, scope)| *scope)
    }

    fn covers(self, field: &Field) -> bool {
        match self {
            Self::All => matches!(
                field.kind,
                Kind::Text(_)
                    | Kind::LongText(_)
                    | Kind::Email
                    | Kind::Phone
                    | Kind::Url
                    | Kind::Picklist { .. }
                    | Kind::AutoNumber(..)
                    | Kind::FullName
            ),
            // Of Lead, the company too, as in a real org.
            Self::Name => {
                matches!(field.name.as_str(), "Name" | "FirstName" | "LastName" | "Company")
            }
            Self::Email => field.kind == Kind::Email,
            Self::Phone => field.kind == Kind::Phone,
        }
    }
}

/// What comes back of one object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Returning {
    pub(crate) object: String,
    /// What is told of each record, as a `SELECT` has it.
    pub(crate) fields: String,
    /// `WHERE`, `ORDER BY`, `LIMIT` and `OFFSET`, as a query has them.
    pub(crate) rest: String,
}

impl Returning {
    /// The ids alone.
    pub(crate) fn ids(object: &str) -> Self {
        Self { object: object.to_owned(), fields: "Id".to_owned(), rest: String::new() }
    }
}

/// The records of one object that a search found.
pub(crate) struct Found {
    pub(crate) plan: Plan,
    pub(crate) ids: Vec<SfId>,
}

/// Whether records of this object are looked through.
pub(crate) fn searchable(object: &Object) -> bool {
    object.writable || object.name == "User"
}

/// Looks for the words, object by object.
///
/// # Errors
/// `MALFORMED_SEARCH`, or what a query is refused with that names unknown objects or fields.
pub(crate) fn run(
    database: &Database,
    search: &Search,
    user: SfId,
) -> Result<Vec<Found>, QueryError> {
    let everything: Vec<Returning>;
    let returning = if search.returning.is_empty() {
        let objects = database.schema().objects().iter().filter(|object| searchable(object));
        everything = objects.map(|object| Returning::ids(&object.name)).collect();
        &everything
    } else {
        &search.returning
    };
    let mut left = search.limit.unwrap_or(MOST).min(MOST);
    let mut found = Vec::new();
    for of in returning {
        let one = run_one(database, search, of, (user, left))?;
        left -= one.ids.len();
        found.push(one);
    }
    Ok(found)
}

fn run_one(
    database: &Database,
    search: &Search,
    of: &Returning,
    (user, most): (SfId, usize),
) -> Result<Found, QueryError> {
    let text = format!("SELECT {} FROM {} {}", of.fields, of.object, of.rest);
    let malformed = |message: String| QueryError::new("MALFORMED_SEARCH", message);
    let mut query = soql::parse(&text).map_err(|error| match error.code {
        "MALFORMED_QUERY" => malformed(error.message),
        _ => error,
    })?;
    query.owned_by(user);
    let mut plan = soql::bind(database, &text, &query)?;
    let shape = database.object(plan.object);
    if !searchable(shape) {
        return Err(malformed(format!("entity type {} does not support search", shape.name)));
    }
    if plan.aggregate || plan.count_rows || plan.has_children() {
        return Err(malformed("RETURNING takes fields of the records only".to_owned()));
    }
    let fields: Vec<&Field> =
        shape.fields.iter().filter(|field| search.scope.covers(field)).collect();
    let (limit, offset) = (plan.limit.take(), std::mem::take(&mut plan.offset));
    let Answer::Records(ids) = soql::run(database, &plan, false) else {
        return Err(malformed("RETURNING takes records only".to_owned()));
    };
    let table = database.table(plan.object);
    let holds = |id: &SfId| table.get(*id).is_some_and(|row| matches(search, &fields, row));
    let most = limit.unwrap_or(MOST).min(most);
    let ids = ids.into_iter().filter(holds).skip(offset).take(most).collect();
    Ok(Found { plan, ids })
}

fn matches(search: &Search, fields: &[&Field], row: &Row) -> bool {
    let texts: Vec<_> = fields.iter().map(|field| row.get(field.slot)).collect();
    let texts: Vec<&str> = texts.iter().filter_map(|value| value.text()).collect();
    search.terms.hold(&terms::words(&texts))
}
