//! SOQL: read by a grammar, bound to the schema, run over the indexes, rendered as JSON or CSV.

pub(crate) mod ast;
mod bind;
mod condition;
mod dates;
mod fields;
mod filter;
mod grouping;
mod groups;
mod lexer;
mod literal;
mod localized;
mod outputs;
mod parser;
mod reckon;
mod render;
mod run;

pub(crate) use bind::{Output, Plan, bind};
pub(crate) use filter::like;
pub(crate) use parser::parse;
pub(crate) use render::{csv_columns, csv_values, write_record};
pub(crate) use run::{Answer, children_of, run};

/// Why a query is refused, in Salesforce's code and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryError {
    /// `MALFORMED_QUERY`, `INVALID_FIELD`, `INVALID_TYPE` …
    pub(crate) code: &'static str,
    /// What is wrong and, where that helps, at which place.
    pub(crate) message: String,
}

impl QueryError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A fault at a place of the text, shown as Salesforce shows it.
    pub(crate) fn located(code: &'static str, text: &str, at: usize, message: &str) -> Self {
        let at = (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        let before = text.get(..at).unwrap_or_default();
        let row = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let tail: String = before.chars().rev().take(40).collect();
        let lead: String = tail.chars().rev().collect();
        let rest: String = text.get(at..).unwrap_or_default().chars().take(40).collect();
        let mark = format!("{}^", " ".repeat(lead.chars().count()));
        Self::new(
            code,
            format!("\n{lead}{rest}\n{mark}\nERROR at Row:{row}:Column:{column}\n{message}"),
        )
    }
}
