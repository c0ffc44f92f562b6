//! The part of the grammar that says what a group is: `GROUP BY`, with subtotals by `ROLLUP` and `CUBE`, and `HAVING`.

use super::ast::{Having, Path, Subtotals};
use super::lexer::Kind;
use super::parser::{Parsed, Parser};

/// How many fields `ROLLUP` and `CUBE` take.
const MOST: usize = 3;

/// What the words after a query's filter say of its groups.
pub(super) type Groups = (Vec<Path>, Subtotals, Option<Having>);

impl Parser<'_> {
    pub(super) fn group_by(&mut self) -> Parsed<Groups> {
        if !self.take_word("GROUP") {
            return Ok((Vec::new(), Subtotals::None, None));
        }
        self.expect_word("BY")?;
        let subtotals = self.subtotals();
        let mut group = Vec::new();
        if subtotals == Subtotals::None {
            group = self.group_fields()?;
        } else {
            self.at += 1;
            self.expect_sign("(")?;
            group.extend(self.group_fields()?);
            if group.len() > MOST {
                return Err(self.fail("ROLLUP and CUBE take at most 3 fields"));
            }
            self.expect_sign(")")?;
        }
        let at = self.place();
        if !self.take_word("HAVING") {
            return Ok((group, subtotals, None));
        }
        self.grouped = true;
        let condition = self.condition()?;
        self.grouped = false;
        Ok((group, subtotals, Some(Having { at, condition })))
    }

    fn subtotals(&self) -> Subtotals {
        match self.peek() {
            Kind::Word(word) if self.next_is_open() => match word.to_ascii_uppercase().as_str() {
                "ROLLUP" => Subtotals::Rollup,
                "CUBE" => Subtotals::Cube,
                _ => Subtotals::None,
            },
            _ => Subtotals::None,
        }
    }

    fn group_fields(&mut self) -> Parsed<Vec<Path>> {
        let mut fields = vec![self.operand()?];
        while self.take_sign(",") {
            fields.push(self.operand()?);
        }
        Ok(fields)
    }
}

impl Subtotals {
    /// Which of so many fields stand open in each set of groups: once none, then those of each subtotal.
    pub(super) fn sets(self, fields: usize) -> Vec<Vec<bool>> {
        match self {
            Self::None => vec![vec![false; fields]],
            Self::Rollup => {
                (0..=fields).rev().map(|kept| (0..fields).map(|at| at >= kept).collect()).collect()
            }
            Self::Cube => (0..1_usize << fields.min(MOST))
                .map(|set| (0..fields).map(|at| set >> at & 1 == 1).collect())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollup_leaves_fields_open_from_the_last_on_and_a_cube_in_every_way() {
        let (no, yes) = (false, true);
        assert_eq!(Subtotals::Rollup.sets(2), [[no, no], [no, yes], [yes, yes]]);
        assert_eq!(Subtotals::Cube.sets(2), [[no, no], [yes, no], [no, yes], [yes, yes]]);
        assert_eq!(Subtotals::None.sets(1), [[no]]);
    }
}
