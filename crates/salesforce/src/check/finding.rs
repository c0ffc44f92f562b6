//! What a check finds, and in which order it is told.

/// How bad a finding is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The org can't go live like this.
    Blocker,
    /// It works, but not as well as it should, or not for every record.
    Warning,
    /// Nothing to do, but good to know.
    Note,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocker => "blocker",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing in which the org and the mapping differ, in an administrator's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for its kind.
    pub code: &'static str,
    /// The object it is about.
    pub object: String,
    /// The field, if it is about one.
    pub field: Option<String>,
    /// What isn't as it must be.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// The findings of one check.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(
        &mut self,
        (severity, code): (Severity, &'static str),
        (object, field): (&str, Option<&str>),
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.0.push(Finding {
            severity,
            code,
            object: object.to_owned(),
            field: field.map(str::to_owned),
            what: what.into(),
            fix: fix.into(),
        });
    }

    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| finding.severity);
        self.0
    }
}
