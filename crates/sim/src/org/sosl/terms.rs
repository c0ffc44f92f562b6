//! The words between the braces of `FIND {…}`, and whether a record's texts have them.

use crate::org::soql::{QueryError, like};

/// How deep brackets may nest.
const DEPTH: usize = 50;

/// What a record's words must have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Terms {
    All(Vec<Terms>),
    Any(Vec<Terms>),
    Not(Box<Terms>),
    /// Words one after the other, each perhaps with wildcards.
    Phrase(Vec<String>),
}

/// A record's texts, each cut into words in lower case.
pub(super) fn words(texts: &[&str]) -> Vec<Vec<String>> {
    texts.iter().map(|text| cut(text, |_| false)).collect()
}

/// The words of a text; what `kept` names belongs to them.
fn cut(text: &str, kept: impl Fn(char) -> bool) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && !kept(c));
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

impl Terms {
    /// Reads what stands between the braces.
    ///
    /// # Errors
    /// `MALFORMED_SEARCH`.
    pub(crate) fn parse(text: &str) -> Result<Self, QueryError> {
        let tokens = scan(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
        let terms = parser.any()?;
        if parser.at < tokens.len() {
            return Err(malformed("unexpected token in the search term"));
        }
        Ok(terms)
    }

    /// Whether these texts, cut into words, have them.
    pub(super) fn hold(&self, texts: &[Vec<String>]) -> bool {
        match self {
            Self::All(terms) => terms.iter().all(|term| term.hold(texts)),
            Self::Any(terms) => terms.iter().any(|term| term.hold(texts)),
            Self::Not(term) => !term.hold(texts),
            Self::Phrase(phrase) => texts.iter().any(|words| {
                words
                    .windows(phrase.len())
                    .any(|some| some.iter().zip(phrase).all(|(word, wanted)| is_like(word, wanted)))
            }),
        }
    }
}

/// `*` stands for any run of characters, `?` for one.
fn is_like(word: &str, wanted: &str) -> bool {
    if !wanted.contains(['*', '?']) {
        return word == wanted;
    }
    // Words have nothing else that a query would take for a wildcard.
    like(word, &wanted.replace('*', "%").replace('?', "_"))
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    /// Words that belong together.
    Words(Vec<String>),
}

fn malformed(message: &str) -> QueryError {
    QueryError::new("MALFORMED_SEARCH", message)
}

fn scan(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.peek().copied() {
        match c {
            '(' | ')' | '&' | '|' | '!' => {
                chars.next();
                tokens.push(match c {
                    '(' => Token::Open,
                    ')' => Token::Close,
                    '&' => Token::And,
                    '|' => Token::Or,
                    _ => Token::Not,
                });
            }
            '"' => {
                chars.next();
                let mut phrase = String::new();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => phrase.extend(chars.next()),
                        Some(c) => phrase.push(c),
                        None => return Err(malformed("a quotation mark is not closed")),
                    }
                }
                push_words(&mut tokens, &phrase)?;
            }
            c if c.is_whitespace() => drop(chars.next()),
            _ => {
                let mut word = String::new();
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !"()\"&|!".contains(*c))
                {
                    // What is meant as it stands parts words, as it does in texts.
                    match c {
                        '\\' => word.extend(
                            chars.next().map(|c| if c.is_alphanumeric() { c } else { ' ' }),
                        ),
                        c => word.push(c),
                    }
                }
                match word.to_ascii_uppercase().as_str() {
                    "AND" => tokens.push(Token::And),
                    "OR" => tokens.push(Token::Or),
                    "NOT" => tokens.push(Token::Not),
                    _ => push_words(&mut tokens, &word)?,
                }
            }
        }
    }
    Ok(tokens)
}

fn push_words(tokens: &mut Vec<Token>, text: &str) -> Result<(), QueryError> {
    let words = cut(text, |c| matches!(c, '*' | '?'));
    let letters = words.iter().flat_map(|word| word.chars()).filter(|c| c.is_alphanumeric());
    if letters.count() < 2 {
        return Err(malformed(&format!("search term must be longer than one character: {text}")));
    }
    tokens.push(Token::Words(words));
    Ok(())
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn take(&mut self, wanted: &Token) -> bool {
        let hit = self.tokens.get(self.at) == Some(wanted);
        self.at += usize::from(hit);
        hit
    }

    fn any(&mut self) -> Result<Terms, QueryError> {
        let mut terms = vec![self.all()?];
        while self.take(&Token::Or) {
            terms.push(self.all()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Terms::Any(terms) })
    }

    /// Words side by side are all looked for.
    fn all(&mut self) -> Result<Terms, QueryError> {
        let mut terms = vec![self.one()?];
        loop {
            let told = self.take(&Token::And);
            let more = match self.tokens.get(self.at) {
                Some(Token::Words(_) | Token::Open | Token::Not) => true,
                Some(_) | None => told,
            };
            if !more {
                break;
            }
            terms.push(if self.take(&Token::Not) {
                Terms::Not(Box::new(self.one()?))
            } else {
                self.one()?
            });
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Terms::All(terms) })
    }

    fn one(&mut self) -> Result<Terms, QueryError> {
        if self.take(&Token::Open) {
            self.depth += 1;
            if self.depth > DEPTH {
                return Err(malformed("the search term is nested too deeply"));
            }
            let inner = self.any()?;
            self.depth -= 1;
            if !self.take(&Token::Close) {
                return Err(malformed("a bracket in the search term is not closed"));
            }
            return Ok(inner);
        }
        match self.tokens.get(self.at) {
            Some(Token::Words(words)) => {
                self.at += 1;
                Ok(Terms::Phrase(words.clone()))
            }
            _ => {
                Err(malformed("No search term found. The search term must be enclosed in braces."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_whole_ones_unless_wildcards_say_otherwise() {
        let texts = ["Ada O'Neil-Smith", "ada@mill.example", "+49 170 555"];
        for (term, wanted) in [
            ("ada", true),
            ("Ad", false),
            ("Ad*", true),
            ("a?a", true),
            ("*ith", true),
            ("smith ada", true),
            ("\"smith ada\"", false),
            ("\"ada o\\'neil\"", true),
            ("ada@mill.example", true),
            ("ada@mill.org", false),
            ("nobody OR (smith AND mill)", true),
            ("ada AND NOT smith", false),
            ("ada & ! nobody", true),
            ("nobody | 555", true),
            ("\\+49", true),
        ] {
            let terms = Terms::parse(term).unwrap();
            assert_eq!(terms.hold(&words(&texts)), wanted, "{term}");
        }
    }

    #[test]
    fn what_is_no_search_term_is_refused() {
        let deep = "(".repeat(20_000);
        for term in [
            "", " ", "a", "*", "?x", "ada AND", "OR ada", "(ada", "ada)", "\"ada", "NOT ada", &deep,
        ] {
            let refused = Terms::parse(term).unwrap_err();
            assert_eq!(refused.code, "MALFORMED_SEARCH", "{term}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,100}", words_of in ".{0,100}") {
            if let Ok(terms) = Terms::parse(&text) {
                let _ = terms.hold(&words(&[&words_of]));
            }
        }
    }
}
