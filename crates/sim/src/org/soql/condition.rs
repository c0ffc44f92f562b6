//! The part of the grammar that says which rows: conditions, lists and literals.

use super::ast::{Comparison, Condition, Literal, Path};
use super::dates;
use super::lexer::Kind;
use super::parser::{Parsed, Parser};

impl Parser<'_> {
    /// As Salesforce, refuses `a AND b OR c` without brackets.
    pub(super) fn condition(&mut self) -> Parsed<Condition> {
        let first = self.deeper(Self::term)?;
        let word = if self.is_word("AND") {
            "AND"
        } else if self.is_word("OR") {
            "OR"
        } else {
            return Ok(first);
        };
        let mut terms = vec![first];
        while self.take_word(word) {
            terms.push(self.deeper(Self::term)?);
        }
        if self.is_word("AND") || self.is_word("OR") {
            return Err(self.unexpected());
        }
        Ok(if word == "AND" { Condition::All(terms) } else { Condition::Any(terms) })
    }

    fn term(&mut self) -> Parsed<Condition> {
        if self.take_word("NOT") {
            return Ok(Condition::Not(Box::new(self.deeper(Self::term)?)));
        }
        if self.take_sign("(") {
            let inner = self.condition()?;
            self.expect_sign(")")?;
            return Ok(inner);
        }
        let path = self.operand()?;
        let negated = self.take_word("NOT");
        if self.take_word("IN") {
            return self.in_list(path, negated);
        }
        if negated {
            return Err(self.unexpected());
        }
        let comparison = self.comparison()?;
        Ok(Condition::Compare(path, comparison, self.literal()?))
    }

    fn comparison(&mut self) -> Parsed<Comparison> {
        let comparison = match self.peek() {
            Kind::Sign("=") => Comparison::Equal,
            Kind::Sign("!=") => Comparison::Differs,
            Kind::Sign("<") => Comparison::Less,
            Kind::Sign("<=") => Comparison::LessOrEqual,
            Kind::Sign(">") => Comparison::Greater,
            Kind::Sign(">=") => Comparison::GreaterOrEqual,
            Kind::Word(word) if word.eq_ignore_ascii_case("LIKE") => Comparison::Like,
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(comparison)
    }

    fn in_list(&mut self, path: Path, negated: bool) -> Parsed<Condition> {
        self.expect_sign("(")?;
        if self.is_word("SELECT") {
            if self.grouped {
                return Err(self.fail("HAVING takes no subquery"));
            }
            let query = Box::new(self.deeper(Self::query)?);
            self.expect_sign(")")?;
            return Ok(Condition::InQuery { path, negated, query });
        }
        let mut values = vec![self.literal()?];
        while self.take_sign(",") {
            values.push(self.literal()?);
        }
        self.expect_sign(")")?;
        Ok(Condition::In { path, negated, values })
    }

    fn literal(&mut self) -> Parsed<Literal> {
        let literal = match self.peek().clone() {
            Kind::Text(text) => Literal::Text(text),
            Kind::Number(text) => number_or_date(&text).ok_or_else(|| self.unexpected())?,
            Kind::Word(word) => return self.word_literal(&word.to_ascii_uppercase()),
            Kind::Sign(_) | Kind::End => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(literal)
    }

    fn word_literal(&mut self, word: &str) -> Parsed<Literal> {
        let literal = match word {
            "NULL" => Literal::Null,
            "TRUE" => Literal::Bool(true),
            "FALSE" => Literal::Bool(false),
            _ => match (dates::plain(word), dates::counted(word)) {
                (Some(stretch), _) => Literal::Stretch(stretch),
                (None, Some(of)) => {
                    self.at += 1;
                    self.expect_sign(":")?;
                    let n = i64::try_from(self.whole_number()?).unwrap_or(i64::MAX);
                    return Ok(Literal::Stretch(of(n)));
                }
                (None, None) => return Err(self.unexpected()),
            },
        };
        self.at += 1;
        Ok(literal)
    }
}

fn number_or_date(text: &str) -> Option<Literal> {
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then_some(Literal::Number(number));
    }
    if text.contains('T') {
        return crate::org::data::parse_time(text).map(|_| Literal::DateTime(text.to_owned()));
    }
    text.parse::<jiff::civil::Date>().ok().map(|_| Literal::Date(text.to_owned()))
}
