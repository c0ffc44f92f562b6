//! The grammar of SOQL: recursive descent, one function per rule, bounded depth.

use super::QueryError;
use super::ast::{Function, Order, Part, Path, Query, Select, Which};
use super::lexer::{Kind, Token, scan};

/// Salesforce's bound on a query's length.
const LONGEST: usize = 100_000;
/// How deep conditions and subqueries may nest.
const DEPTH: usize = 50;
/// Words that end a clause and so can't be an alias.
const CLAUSES: [&str; 16] = [
    "FROM", "WHERE", "GROUP", "ORDER", "LIMIT", "OFFSET", "HAVING", "FOR", "USING", "WITH", "AND",
    "OR", "ASC", "DESC", "NULLS", "ALL",
];

/// Reads a query.
///
/// # Errors
/// `MALFORMED_QUERY` with the place, also for the parts of SOQL this org doesn't have.
pub(crate) fn parse(text: &str) -> Result<Query, QueryError> {
    if text.len() > LONGEST {
        return Err(QueryError::new(
            "MALFORMED_QUERY",
            "SOQL statements cannot be longer than 100000 characters.",
        ));
    }
    let tokens = scan(text)?;
    let mut parser = Parser { text, tokens: &tokens, at: 0, depth: 0, grouped: false };
    let query = parser.query()?;
    match parser.peek() {
        Kind::End => Ok(query),
        _ => Err(parser.unexpected()),
    }
}

pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    pub(super) at: usize,
    depth: usize,
    /// Whether what is read is about groups, so that a field may be aggregated.
    pub(super) grouped: bool,
}

pub(super) type Parsed<T> = Result<T, QueryError>;

impl Parser<'_> {
    fn token(&self) -> Option<&Token> {
        self.tokens.get(self.at).or_else(|| self.tokens.last())
    }

    pub(super) fn peek(&self) -> &Kind {
        self.token().map_or(&Kind::End, |token| &token.kind)
    }

    pub(super) fn place(&self) -> usize {
        self.token().map_or(0, |token| token.at)
    }

    pub(super) fn fail(&self, message: &str) -> QueryError {
        QueryError::located("MALFORMED_QUERY", self.text, self.place(), message)
    }

    pub(super) fn unexpected(&self) -> QueryError {
        let shown = match self.peek() {
            Kind::Word(word) | Kind::Number(word) => word.clone(),
            Kind::Text(text) => format!("'{text}'"),
            Kind::Sign(sign) => (*sign).to_owned(),
            Kind::End => "<EOF>".to_owned(),
        };
        self.fail(&format!("unexpected token: '{shown}'"))
    }

    pub(super) fn is_word(&self, wanted: &str) -> bool {
        matches!(self.peek(), Kind::Word(word) if word.eq_ignore_ascii_case(wanted))
    }

    pub(super) fn take_word(&mut self, wanted: &str) -> bool {
        let hit = self.is_word(wanted);
        self.at += usize::from(hit);
        hit
    }

    pub(super) fn expect_word(&mut self, wanted: &str) -> Parsed<()> {
        if self.take_word(wanted) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(super) fn take_sign(&mut self, wanted: &str) -> bool {
        let hit = matches!(self.peek(), Kind::Sign(sign) if *sign == wanted);
        self.at += usize::from(hit);
        hit
    }

    pub(super) fn expect_sign(&mut self, wanted: &str) -> Parsed<()> {
        if self.take_sign(wanted) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(super) fn next_is_open(&self) -> bool {
        matches!(self.tokens.get(self.at + 1).map(|t| &t.kind), Some(Kind::Sign("(")))
    }

    fn next_is_word(&self) -> bool {
        matches!(self.tokens.get(self.at + 1).map(|t| &t.kind), Some(Kind::Word(_)))
    }

    fn name(&mut self) -> Parsed<String> {
        match self.peek() {
            Kind::Word(word) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.unexpected()),
        }
    }

    pub(super) fn deeper<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.fail("the query is nested too deeply"));
        }
        let parsed = rule(self);
        self.depth -= 1;
        parsed
    }

    pub(super) fn query(&mut self) -> Parsed<Query> {
        self.expect_word("SELECT")?;
        let mut select = vec![self.deeper(Self::select)?];
        while self.take_sign(",") {
            select.push(self.deeper(Self::select)?);
        }
        self.expect_word("FROM")?;
        let from_at = self.place();
        let from = self.name()?;
        let alias = self.alias()?;
        let mine = self.scope()?;
        let filter = if self.take_word("WHERE") { Some(self.condition()?) } else { None };
        self.refuse_rest(&["WITH"])?;
        let (group, subtotals, having) = self.group_by()?;
        let order = self.order_by()?;
        let limit = if self.take_word("LIMIT") { Some(self.whole_number()?) } else { None };
        let offset = if self.take_word("OFFSET") { self.whole_number()? } else { 0 };
        if offset > 2000 {
            return Err(QueryError::new(
                "NUMBER_OUTSIDE_VALID_RANGE",
                "Maximum SOQL offset allowed is 2000",
            ));
        }
        while self.take_word("FOR") {
            // What a person looked at is not kept here, so that there is nothing to note.
            if !self.take_word("VIEW") && !self.take_word("REFERENCE") {
                return Err(self.fail("the simulated org supports FOR VIEW and FOR REFERENCE only"));
            }
            self.take_sign(",");
        }
        if self.is_word("ALL") {
            return Err(self.fail("ALL ROWS is not allowed in this context; use queryAll"));
        }
        Ok(Query {
            select,
            from,
            from_at,
            alias,
            mine,
            filter,
            group,
            subtotals,
            having,
            order,
            limit,
            offset,
        })
    }

    /// Parts of SOQL that the simulated org doesn't have are named, not misread.
    fn refuse_rest(&self, words: &[&str]) -> Parsed<()> {
        match words.iter().find(|word| self.is_word(word)) {
            Some(word) => {
                Err(self.fail(&format!("the simulated org doesn't support {word} in SOQL")))
            }
            None => Ok(()),
        }
    }

    /// `USING SCOPE`: whether it narrows the records down to the user's own.
    fn scope(&mut self) -> Parsed<bool> {
        if !self.take_word("USING") {
            return Ok(false);
        }
        self.expect_word("SCOPE")?;
        let mine = self.is_word("mine");
        if !mine && !self.is_word("everything") {
            return Err(self.fail("the simulated org supports the scopes everything and mine only"));
        }
        self.at += 1;
        Ok(mine)
    }

    fn alias(&mut self) -> Parsed<Option<String>> {
        match self.peek() {
            Kind::Word(word) if !CLAUSES.iter().any(|clause| word.eq_ignore_ascii_case(clause)) => {
                self.name().map(Some)
            }
            _ => Ok(None),
        }
    }

    fn path(&mut self) -> Parsed<Path> {
        let at = self.place();
        let mut parts = vec![self.name()?];
        while self.take_sign(".") {
            parts.push(self.name()?);
        }
        Ok(Path { function: None, part: None, parts, at })
    }

    /// A field, a part of a date or, where groups are told of, an aggregate.
    pub(super) fn operand(&mut self) -> Parsed<Path> {
        if !self.next_is_open() {
            return self.path();
        }
        let name = self.name()?;
        self.expect_sign("(")?;
        if let Some(part) = Part::named(&name) {
            return self.part_of(part);
        }
        if name.eq_ignore_ascii_case("toLabel") {
            // A picklist's labels are its values here.
            let path = self.path()?;
            return self.expect_sign(")").map(|()| path);
        }
        if !self.grouped {
            return Err(self.fail(&format!("the simulated org doesn't support {name}() here")));
        }
        self.aggregate(&name)
    }

    /// What follows a date function's bracket.
    fn part_of(&mut self, part: Part) -> Parsed<Path> {
        let local = self.next_is_open() && self.take_word("convertTimezone");
        if local {
            self.expect_sign("(")?;
        }
        let path = self.path()?;
        if local {
            self.expect_sign(")")?;
        }
        self.expect_sign(")")?;
        Ok(Path { part: Some((part, local)), ..path })
    }

    /// What follows an aggregate function's bracket.
    fn aggregate(&mut self, name: &str) -> Parsed<Path> {
        let name = name.to_ascii_uppercase();
        let function = match name.as_str() {
            "COUNT" => Function::Count,
            "COUNT_DISTINCT" => Function::CountDistinct,
            "SUM" => Function::Sum,
            "MIN" => Function::Min,
            "MAX" => Function::Max,
            "AVG" => Function::Avg,
            "GROUPING" => Function::Grouping,
            other => {
                return Err(
                    self.fail(&format!("the simulated org doesn't support {other}() in SOQL"))
                );
            }
        };
        let path = if function == Function::Grouping { self.operand()? } else { self.path()? };
        self.expect_sign(")")?;
        Ok(Path { function: Some(function), ..path })
    }

    /// What follows `FORMAT(`: a field or an aggregate.
    fn formatted(&mut self) -> Parsed<Select> {
        let path = if self.next_is_open() {
            let name = self.name()?;
            self.expect_sign("(")?;
            self.aggregate(&name)?
        } else {
            self.path()?
        };
        self.expect_sign(")")?;
        Ok(Select::Format { path, alias: self.alias()? })
    }

    fn select(&mut self) -> Parsed<Select> {
        if self.take_sign("(") {
            let query = self.query()?;
            self.expect_sign(")")?;
            return Ok(Select::Children(Box::new(query)));
        }
        if !self.next_is_open() {
            if self.is_word("TYPEOF") && self.next_is_word() {
                return Err(self.fail("the simulated org doesn't support TYPEOF in SOQL"));
            }
            return Ok(Select::Field { path: self.path()?, alias: self.alias()? });
        }
        let at = self.place();
        let name = self.name()?;
        self.expect_sign("(")?;
        match name.to_ascii_uppercase().as_str() {
            "COUNT" if self.take_sign(")") => Ok(Select::CountRows),
            "FIELDS" => self.fields(at),
            "TOLABEL" => {
                let path = self.path()?;
                self.expect_sign(")")?;
                Ok(Select::Label { path, alias: self.alias()? })
            }
            "FORMAT" => self.formatted(),
            name => match Part::named(name) {
                Some(part) => Ok(Select::Field { path: self.part_of(part)?, alias: self.alias()? }),
                None => Ok(Select::Aggregate { path: self.aggregate(name)?, alias: self.alias()? }),
            },
        }
    }

    /// What follows `FIELDS(`.
    fn fields(&mut self, at: usize) -> Parsed<Select> {
        let which = match self.peek() {
            Kind::Word(word) => match word.to_ascii_uppercase().as_str() {
                "ALL" => Which::All,
                "STANDARD" => Which::Standard,
                "CUSTOM" => Which::Custom,
                _ => return Err(self.unexpected()),
            },
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        self.expect_sign(")")?;
        Ok(Select::All { which, at })
    }

    fn order_by(&mut self) -> Parsed<Vec<Order>> {
        let mut order = Vec::new();
        if !self.take_word("ORDER") {
            return Ok(order);
        }
        self.expect_word("BY")?;
        loop {
            self.grouped = true;
            let path = self.operand()?;
            self.grouped = false;
            let descending = !self.take_word("ASC") && self.take_word("DESC");
            let mut nulls_last = false;
            if self.take_word("NULLS") {
                nulls_last = self.take_word("LAST");
                if !nulls_last {
                    self.expect_word("FIRST")?;
                }
            }
            order.push(Order { path, descending, nulls_last });
            if !self.take_sign(",") {
                return Ok(order);
            }
        }
    }

    pub(super) fn whole_number(&mut self) -> Parsed<usize> {
        let number = match self.peek() {
            Kind::Number(digits) => digits.parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.unexpected())?;
        self.at += 1;
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::ast::{Condition, Literal};
    use super::super::dates::{Stretch, Unit};
    use super::*;

    #[test]
    fn a_query_is_read_in_all_its_parts() {
        let query = parse(
            "select Id, e.Name, COUNT(Id) n, (SELECT Id FROM Items__r LIMIT 5) from Sloe_Event__c e \
             WHERE (Name LIKE 'a%' OR NOT Capacity__c >= -1.5) AND Id NOT IN ('x', null) \
             GROUP BY Name ORDER BY Name DESC NULLS LAST, Id LIMIT 10 OFFSET 20",
        )
        .unwrap();
        assert_eq!(query.select.len(), 4);
        assert_eq!((query.from.as_str(), query.alias.as_deref()), ("Sloe_Event__c", Some("e")));
        assert_eq!((query.limit, query.offset, query.group.len()), (Some(10), 20, 1));
        assert!(
            query.order[0].descending && query.order[0].nulls_last && !query.order[1].descending
        );
        let Some(Condition::All(terms)) = query.filter else { unreachable!() };
        assert!(matches!(&terms[0], Condition::Any(inner) if inner.len() == 2));
        assert!(
            matches!(&terms[1], Condition::In { negated: true, values, .. } if values.len() == 2)
        );
    }

    #[test]
    fn literals_are_told_apart() {
        let literal = |text: &str| match parse(&format!("SELECT Id FROM A WHERE B = {text}")) {
            Ok(Query { filter: Some(Condition::Compare(_, _, literal)), .. }) => Some(literal),
            _ => None,
        };
        assert_eq!(literal("'it\\'s'"), Some(Literal::Text("it's".to_owned())));
        assert_eq!(literal("-12.5"), Some(Literal::Number(-12.5)));
        assert_eq!(literal("2026-11-23"), Some(Literal::Date("2026-11-23".to_owned())));
        let moment = "2026-11-23T10:00:00+01:00";
        assert_eq!(literal(moment), Some(Literal::DateTime(moment.to_owned())));
        let week = Stretch { unit: Unit::Day, first: -7, count: 8 };
        assert_eq!(literal("LAST_N_DAYS:7"), Some(Literal::Stretch(week)));
        assert_eq!(literal("last_n_days : 7"), Some(Literal::Stretch(week)));
        assert_eq!(literal("null"), Some(Literal::Null));
        for bad in [
            "LAST_N_DAYS",
            "TODAY:1",
            "LAST_N_DAYS:x",
            "2026-99-99",
            "1e999",
            "x",
            "'open",
            "'\\x'",
            "-",
            "",
        ] {
            assert_eq!(literal(bad), None, "{bad}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_not_a_crash() {
        for (open, close) in [("(", ")"), ("NOT ", "")] {
            let text = format!(
                "SELECT Id FROM A WHERE {}B = 1{}",
                open.repeat(20_000),
                close.repeat(20_000)
            );
            assert_eq!(parse(&text).unwrap_err().code, "MALFORMED_QUERY");
        }
        let nested = "(SELECT Id, ".repeat(5000);
        assert!(parse(&format!("SELECT {nested}")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_mixture_of_its_own_words_makes_the_parser_panic(
            words in proptest::collection::vec(
                proptest::sample::select(vec![
                    "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "LIKE", "GROUP", "ORDER", "BY", "LIMIT",
                    "HAVING", "OFFSET", "NULLS", "LAST", "COUNT", "(", ")", ",", ".", "=", "<", "'", "'a'", "1", "2026-01-01",
                    "2026-01-01T00:00:00Z", "Id", "Event__r", "TODAY", "LAST_N_DAYS", ":", "null", "\\", "é",
                ]),
                0..40,
            )
        ) {
            let _ = parse(&words.join(" "));
        }
    }
}
