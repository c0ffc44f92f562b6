//! What a query says, before it is held against the schema.

use sloe_core::ids::SfId;

use super::dates::Stretch;

/// A field, perhaps of a parent: `Event__r.Name`, perhaps aggregated: `MAX(Name)`; with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    pub(crate) function: Option<Function>,
    /// A date function, and whether it is of the user's zone (`convertTimezone`).
    pub(crate) part: Option<(Part, bool)>,
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
    /// `USING SCOPE mine`.
    pub(crate) mine: bool,
    pub(crate) filter: Option<Condition>,
    pub(crate) group: Vec<Path>,
    pub(crate) subtotals: Subtotals,
    pub(crate) having: Option<Having>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

impl Query {
    /// Narrows a query with `USING SCOPE mine` down to the records of this user.
    pub(crate) fn owned_by(&mut self, user: SfId) {
        if !self.mine {
            return;
        }
        let parts = vec!["OwnerId".to_owned()];
        let owner = Path { function: None, part: None, parts, at: self.from_at };
        let own = Condition::Compare(owner, Comparison::Equal, Literal::Text(user.to_string()));
        self.filter = Some(match self.filter.take() {
            Some(filter) => Condition::All(vec![own, filter]),
            None => own,
        });
    }
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
    /// `FORMAT(Amount)`, also of an aggregate.
    Format {
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

impl Select {
    /// Whether it is made of many rows.
    pub(super) fn measures(&self) -> bool {
        match self {
            Self::Aggregate { .. } => true,
            Self::Format { path, .. } => path.function.is_some(),
            _ => false,
        }
    }
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
    /// Whether a subtotal leaves a field open.
    Grouping,
}

/// A date function: what it takes of a day or a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Year,
    Quarter,
    Month,
    DayInMonth,
    DayInWeek,
    DayInYear,
    Day,
    Hour,
    WeekInMonth,
    WeekInYear,
}

/// Which sums of groups come with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subtotals {
    None,
    Rollup,
    Cube,
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
