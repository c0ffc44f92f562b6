//! What a query says, before it is held against the schema.

use super::dates::Stretch;

/// A field, perhaps of a parent: `Event__r.Name`, perhaps aggregated: `MAX(Name)`; with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    pub(crate) function: Option<Function>,
    pub(crate) parts: Vec<String>,
    pub(crate) at: usize,
}

/// A whole query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) select: Vec<Select>,
    pub(crate) from: String,
    pub(crate) from_at: usize,
    pub(crate) alias: Option<String>,
    pub(crate) filter: Option<Condition>,
    pub(crate) group: Vec<Path>,
    pub(crate) having: Option<Having>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

/// What a group must satisfy, and where that is said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Having {
    pub(crate) at: usize,
    pub(crate) condition: Condition,
}

/// One thing a query selects.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Select {
    Field {
        path: Path,
        alias: Option<String>,
    },
    /// `COUNT()`.
    CountRows,
    Aggregate {
        path: Path,
        alias: Option<String>,
    },
    /// `toLabel(Status)`.
    Label {
        path: Path,
        alias: Option<String>,
    },
    /// `FIELDS(ALL)`, and where that is said.
    All {
        which: Which,
        at: usize,
    },
    Children(Box<Query>),
}

/// Which fields `FIELDS()` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    Standard,
    Custom,
}

/// An aggregate function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Count,
    CountDistinct,
    Sum,
    Min,
    Max,
    Avg,
}

/// One sort key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) path: Path,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}

/// What a row or a group must satisfy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Path, Comparison, Literal),
    In { path: Path, negated: bool, values: Vec<Literal> },
    InQuery { path: Path, negated: bool, query: Box<Query> },
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Differs,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
}

/// A value in a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// `2026-11-23`.
    Date(String),
    /// `2026-11-23T15:00:00Z`.
    DateTime(String),
    /// `TODAY`, `LAST_N_DAYS:7` …
    Stretch(Stretch),
}
