//! The grammar of SOSL. What stands in an object's brackets is a query's, and read as such.

use super::{Returning, Scope, Terms};
use crate::org::soql::QueryError;

/// Salesforce's bound on a search's length.
const LONGEST: usize = 100_000;
/// Words that begin what an object's brackets hold behind its fields.
const CLAUSES: [&str; 5] = ["USING", "WHERE", "ORDER", "LIMIT", "OFFSET"];

/// A whole search.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Search {
    pub(crate) terms: Terms,
    pub(crate) scope: Scope,
    /// All objects if there is none.
    pub(crate) returning: Vec<Returning>,
    pub(crate) limit: Option<usize>,
}

/// Reads a search.
///
/// # Errors
/// `MALFORMED_SEARCH`, also for the parts of SOSL this org doesn't have.
pub(crate) fn parse(text: &str) -> Result<Search, QueryError> {
    if text.len() > LONGEST {
        return Err(QueryError::new(
            "MALFORMED_SEARCH",
            "SOSL statements cannot be longer than 100000 characters.",
        ));
    }
    let mut parser = Parser { text, at: 0 };
    parser.search()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn fail(&self, message: &str) -> QueryError {
        QueryError::located("MALFORMED_SEARCH", self.text, self.at, message)
    }

    fn unexpected(&self) -> QueryError {
        let rest = self.rest();
        let shown = match rest.split_whitespace().next() {
            Some(word) => word.chars().take(40).collect(),
            None => "<EOF>".to_owned(),
        };
        self.fail(&format!("unexpected token: '{shown}'"))
    }

    /// What is left, without the spaces before it.
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default().trim_start()
    }

    fn skip(&mut self, length: usize) {
        self.at = self.text.len() - self.rest().len() + length;
    }

    fn take_sign(&mut self, sign: char) -> bool {
        let hit = self.rest().starts_with(sign);
        if hit {
            self.skip(sign.len_utf8());
        }
        hit
    }

    fn peek_word(&self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let hit = self.peek_word().eq_ignore_ascii_case(wanted);
        if hit {
            self.skip(wanted.len());
        }
        hit
    }

    fn word(&mut self) -> Result<&'a str, QueryError> {
        let word = self.peek_word();
        if word.is_empty() {
            return Err(self.unexpected());
        }
        self.skip(word.len());
        Ok(word)
    }

    fn search(&mut self) -> Result<Search, QueryError> {
        if !self.take_word("FIND") {
            return Err(self.unexpected());
        }
        let terms = Terms::parse(&self.braces()?)?;
        let mut scope = Scope::All;
        if self.take_word("IN") {
            let name = self.word()?;
            scope = Scope::named(name).ok_or_else(|| {
                self.fail(&format!("the simulated org doesn't support IN {name} FIELDS"))
            })?;
            if !self.take_word("FIELDS") {
                return Err(self.unexpected());
            }
        }
        let mut returning = Vec::new();
        if self.take_word("RETURNING") {
            returning.push(self.returning()?);
            while self.take_sign(',') {
                returning.push(self.returning()?);
            }
        }
        for word in ["WITH", "UPDATE"] {
            if self.peek_word().eq_ignore_ascii_case(word) {
                return Err(self.fail(&format!("the simulated org doesn't support {word} in SOSL")));
            }
        }
        let mut limit = None;
        if self.take_word("LIMIT") {
            limit = Some(self.peek_word().parse().map_err(|_| self.unexpected())?);
            self.word()?;
        }
        if !self.rest().is_empty() {
            return Err(self.unexpected());
        }
        Ok(Search { terms, scope, returning, limit })
    }

    /// What stands between braces, its backslashes too.
    fn braces(&mut self) -> Result<String, QueryError> {
        const MISSING: &str = "No search term found. The search term must be enclosed in braces.";
        if !self.take_sign('{') {
            return Err(self.fail(MISSING));
        }
        let mut out = String::new();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut chars = rest.char_indices();
        while let Some((place, c)) = chars.next() {
            match c {
                '}' => {
                    self.at += place + 1;
                    return Ok(out);
                }
                '\\' => {
                    out.push(c);
                    out.extend(chars.next().map(|(_, c)| c));
                }
                c => out.push(c),
            }
        }
        Err(self.fail(MISSING))
    }

    fn returning(&mut self) -> Result<Returning, QueryError> {
        let object = self.word()?;
        let mut returning = Returning::ids(object);
        if !self.take_sign('(') {
            return Ok(returning);
        }
        let inner = self.brackets()?;
        let (fields, rest) = match clause(inner) {
            Some(at) => inner.split_at_checked(at).unwrap_or((inner, "")),
            None => (inner, ""),
        };
        if fields.trim().is_empty() {
            return Err(self.fail("the fields to return are missing"));
        }
        returning.fields = fields.trim().to_owned();
        returning.rest = rest.to_owned();
        Ok(returning)
    }

    /// What stands until the bracket that closes the open one.
    fn brackets(&mut self) -> Result<&'a str, QueryError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut depth = 1_usize;
        for (place, c) in outside_quotes(rest) {
            depth = match c {
                '(' => depth + 1,
                ')' => depth - 1,
                _ => depth,
            };
            if depth == 0 {
                self.at += place + 1;
                return Ok(rest.get(..place).unwrap_or_default());
            }
        }
        Err(self.fail("a bracket is not closed"))
    }
}

/// The characters that stand in no quoted text.
fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices().filter(move |(_, c)| {
        let inside = quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '\'' => quoted = !quoted,
            _ => {}
        }
        !inside
    })
}

/// Where the first clause behind the fields begins.
fn clause(inner: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (place, c) in outside_quotes(inner) {
        let rest = inner.get(place..).unwrap_or_default();
        let is_clause = |word: &str| {
            rest.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
                && !rest.get(word.len()..).is_some_and(|tail| tail.starts_with(is_name))
        };
        if depth == 0
            && !is_name(before)
            && before != '.'
            && CLAUSES.iter().any(|word| is_clause(word))
        {
            return Some(place);
        }
        depth = match c {
            '(' => depth + 1,
            ')' => depth.saturating_sub(1),
            _ => depth,
        };
        before = c;
    }
    None
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_search_is_read_in_all_its_parts() {
        let search = parse(
            "find {a\\}b*} in NAME fields returning Contact(Id, toLabel(LeadSource), Limit__c where \
             Name = 'x) LIMIT 1' AND (Id != null) order by Name limit 5), Lead LIMIT 7",
        )
        .unwrap();
        assert_eq!((search.scope, search.limit), (Scope::Name, Some(7)));
        let [contact, lead] = search.returning.as_slice() else { panic!("{search:?}") };
        assert_eq!(contact.fields, "Id, toLabel(LeadSource), Limit__c");
        assert_eq!(
            contact.rest,
            "where Name = 'x) LIMIT 1' AND (Id != null) order by Name limit 5"
        );
        assert_eq!(*lead, Returning::ids("Lead"));
    }

    #[test]
    fn what_is_no_search_or_not_supported_is_refused() {
        for text in [
            "",
            "SELECT Id FROM Contact",
            "FIND",
            "FIND 'Ada'",
            "FIND {Ada",
            "FIND {Ada} IN",
            "FIND {Ada} IN SIDEBAR FIELDS",
            "FIND {Ada} IN ALL",
            "FIND {Ada} RETURNING",
            "FIND {Ada} RETURNING Contact(",
            "FIND {Ada} RETURNING Contact()",
            "FIND {Ada} RETURNING Contact(Id) WITH SNIPPET",
            "FIND {Ada} LIMIT x",
            "FIND {Ada} nonsense",
        ] {
            assert_eq!(parse(text).unwrap_err().code, "MALFORMED_SEARCH", "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,100}") {
            let _ = parse(&text);
            let _ = parse(&format!("FIND {{Ada}} RETURNING Contact({text})"));
        }
    }
}
