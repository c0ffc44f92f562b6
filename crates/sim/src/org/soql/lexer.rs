//! Cuts a query's text into tokens.

use super::QueryError;

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name, a keyword or a date literal.
    Word(String),
    /// A quoted text, in which backslashes stand before `%`, `_` and other backslashes; see [`unescape`].
    Text(String),
    /// A number, a date or a moment, told apart by the parser.
    Number(String),
    /// `( ) , . = != < <= > >= :`
    Sign(&'static str),
    End,
}

/// Longest first, so that `<=` is not read as `<`.
const SIGNS: [&str; 12] = ["!=", "<>", "<=", ">=", "(", ")", ",", ".", "=", "<", ">", ":"];

/// Reads the whole text.
pub(super) fn scan(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(c) = rest.chars().next() else { break };
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (kind, length) = if c == '\'' {
            quoted(text, at, rest)?
        } else if c.is_ascii_alphabetic() || c == '_' {
            let length =
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            (Kind::Word(rest.get(..length).unwrap_or_default().to_owned()), length)
        } else if c.is_ascii_digit() || (matches!(c, '-' | '+') && starts_number(rest)) {
            let length = rest
                .char_indices()
                .find(|(i, c)| {
                    *i > 0 && !(c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.' | '+'))
                })
                .map_or(rest.len(), |(i, _)| i);
            (Kind::Number(rest.get(..length).unwrap_or_default().to_owned()), length)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Kind::Sign(if *sign == "<>" { "!=" } else { sign }), sign.len())
        } else {
            let message = format!("unexpected token: '{c}'");
            return Err(QueryError::located("MALFORMED_QUERY", text, at, &message));
        };
        tokens.push(Token { kind, at });
        at += length;
    }
    tokens.push(Token { kind: Kind::End, at: text.len() });
    Ok(tokens)
}

fn starts_number(rest: &str) -> bool {
    rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit() || c == '.')
}

/// What a quoted text says where nothing in it is a wildcard.
pub(super) fn unescape(text: &str) -> String {
    let mut chars = text.chars();
    let mut out = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}

fn quoted(text: &str, at: usize, rest: &str) -> Result<(Kind, usize), QueryError> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            '\'' => return Ok((Kind::Text(out), i + 1)),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n' | 'N') => out.push('\n'),
                Some('r' | 'R') => out.push('\r'),
                Some('t' | 'T') => out.push('\t'),
                Some('b' | 'B') => out.push('\u{8}'),
                Some('f' | 'F') => out.push('\u{c}'),
                // Kept with their backslash: LIKE has to tell them from wildcards.
                Some(c @ ('%' | '_' | '\\')) => out.extend(['\\', c]),
                Some(c @ ('\'' | '"')) => out.push(c),
                _ => {
                    return Err(QueryError::located(
                        "MALFORMED_QUERY",
                        text,
                        at + i,
                        "Illegal escape sequence",
                    ));
                }
            },
            c => out.push(c),
        }
    }
    Err(QueryError::located(
        "MALFORMED_QUERY",
        text,
        at,
        "line breaks or a missing quote: the text is not closed",
    ))
}
