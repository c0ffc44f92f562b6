//! Comparisons with literals: each literal becomes a value of the kind that its column has.

use jiff::civil::Date;

use super::QueryError;
use super::ast::{Comparison, Literal, Path};
use super::bind::{Binder, Column, Test};
use super::dates::Stretch;
use super::lexer::unescape;
use crate::org::data::{Value, parse_time};
use crate::org::schema::Kind;

impl Binder<'_> {
    pub(super) fn comparison(
        &self,
        column: Column,
        path: &Path,
        comparison: Comparison,
        literal: &Literal,
    ) -> Result<Test, QueryError> {
        let kind = self.kind(&column);
        if let (Literal::Stretch(stretch), Some(kind)) = (literal, &kind) {
            let Some((from, until)) = self.stretch(kind, *stretch) else {
                return Err(self.wrong_type(path, kind));
            };
            return Ok(Test::Between { column, from, until, comparison });
        }
        let texts = matches!(
            kind,
            Some(
                Kind::Text(_)
                    | Kind::LongText(_)
                    | Kind::Email
                    | Kind::Phone
                    | Kind::Url
                    | Kind::Picklist { .. }
                    | Kind::AutoNumber(..)
                    | Kind::FullName
            )
        );
        if matches!(kind, Some(Kind::LongText(_))) {
            let name = path.parts.join(".");
            let message = format!("field '{name}' can not be filtered in a query call");
            return Err(QueryError::located("INVALID_FIELD", self.text, path.at, &message));
        }
        if comparison == Comparison::Like {
            return match literal {
                Literal::Text(pattern) if texts => {
                    Ok(Test::Compare(column, comparison, Value::Text(pattern.as_str().into())))
                }
                _ => Err(QueryError::located(
                    "INVALID_FIELD",
                    self.text,
                    path.at,
                    "invalid operator LIKE for this field",
                )),
            };
        }
        let value = self.value(&column, path, literal)?;
        Ok(Test::Compare(column, comparison, value))
    }

    fn stretch(&self, kind: &Kind, stretch: Stretch) -> Option<(Value, Value)> {
        let now = jiff::Timestamp::from_millisecond(self.database.now()).ok()?;
        let (from, until) = stretch.days(now.to_zoned(jiff::tz::TimeZone::UTC).date())?;
        let value = |day: Date| match kind {
            Kind::Date => Some(Value::Date(day)),
            Kind::DateTime => parse_time(&format!("{day}T00:00:00Z")).map(Value::Time),
            _ => None,
        };
        Some((value(from)?, value(until)?))
    }

    fn wrong_type(&self, path: &Path, kind: &Kind) -> QueryError {
        let name = path.parts.join(".");
        let (wanted, quoted) = match kind {
            Kind::DateTime => ("dateTime", "should not be"),
            Kind::Checkbox | Kind::Date | Kind::Number(..) | Kind::Currency(..) => {
                (crate::org::data::soap_name(kind), "should not be")
            }
            // All others are written as texts.
            _ => ("string", "should be"),
        };
        let message = format!(
            "value of filter criterion for field '{name}' must be of type {wanted} and {quoted} enclosed in quotes"
        );
        QueryError::located("INVALID_FIELD", self.text, path.at, &message)
    }

    pub(super) fn value(
        &self,
        column: &Column,
        path: &Path,
        literal: &Literal,
    ) -> Result<Value, QueryError> {
        let Some(kind) = self.kind(column) else { return Ok(Value::Null) };
        let value = match (&kind, literal) {
            (_, Literal::Null) => Some(Value::Null),
            (Kind::Checkbox, Literal::Bool(b)) => Some(Value::Bool(*b)),
            (Kind::Number(..) | Kind::Currency(..), Literal::Number(n)) => Some(Value::Number(*n)),
            (Kind::Date, Literal::Date(text)) => text.parse::<Date>().ok().map(Value::Date),
            (Kind::DateTime, Literal::DateTime(text)) => parse_time(text).map(Value::Time),
            (Kind::Id | Kind::Reference(_), Literal::Text(text)) => {
                match sloe_core::ids::SfId::parse(text) {
                    Ok(id) => Some(Value::Id(id)),
                    Err(_) => {
                        let message = format!("invalid ID field: {text}");
                        return Err(QueryError::located(
                            "INVALID_QUERY_FILTER_OPERATOR",
                            self.text,
                            path.at,
                            &message,
                        ));
                    }
                }
            }
            (
                Kind::Number(..)
                | Kind::Currency(..)
                | Kind::Checkbox
                | Kind::Date
                | Kind::DateTime,
                _,
            ) => None,
            (_, Literal::Text(text)) => Some(Value::Text(unescape(text).into())),
            _ => None,
        };
        value.ok_or_else(|| self.wrong_type(path, &kind))
    }
}
