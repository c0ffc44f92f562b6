//! A text as tags and what is between them; `None` for what is no HTML.

use std::borrow::Cow;

use super::entities;

/// A part of a text.
pub(super) enum Token<'a> {
    Text(&'a str),
    Open(Tag<'a>),
    /// The element's name in lower case.
    Close(Cow<'a, str>),
}

/// A tag that opens an element, or is all of it.
pub(super) struct Tag<'a> {
    /// In lower case.
    pub(super) name: Cow<'a, str>,
    attributes: &'a str,
}

impl Tag<'_> {
    /// An attribute's value, if it has one.
    pub(super) fn attribute(&self, wanted: &str) -> Option<String> {
        let mut rest = self.attributes;
        while let Some((name, value, after)) = attribute(rest) {
            if name.eq_ignore_ascii_case(wanted) {
                return value.map(|value| entities::decode(value).into_owned());
            }
            rest = after;
        }
        None
    }
}

/// Elements of which at least one must be there.
const KNOWN: [&str; 44] = [
    "a",
    "abbr",
    "address",
    "b",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "del",
    "div",
    "dl",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tt",
    "u",
    "ul",
    "section",
];
/// Elements without an end.
const EMPTY: [&str; 8] = ["br", "hr", "img", "col", "input", "meta", "link", "wbr"];
/// Elements that need no end tag.
const IMPLIED: [&str; 10] = ["p", "li", "td", "th", "tr", "tbody", "thead", "tfoot", "dt", "dd"];
/// Elements that say nothing to people: all within goes.
const UNSAID: [&str; 4] = ["script", "style", "title", "template"];

/// The parts of a text that is HTML.
pub(super) fn read(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut open: Vec<Cow<'_, str>> = Vec::new();
    let (mut rest, mut known) = (text, false);
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        tokens.push(Token::Text(before));
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = comment.split_once("-->")?.1;
            continue;
        }
        let (ends, inner) = match tag.strip_prefix("</") {
            Some(inner) => (true, inner),
            None => (false, tag.get(1..)?),
        };
        let (name, inner) = name(inner)?;
        let (attributes, after) = attributes(inner)?;
        known |= KNOWN.contains(&&*name);
        rest = after;
        if ends {
            if !EMPTY.contains(&&*name) {
                close(&mut open, &name)?;
            }
            tokens.push(Token::Close(name));
        } else if UNSAID.contains(&&*name) {
            rest = skip(rest, &name)?;
        } else {
            if !EMPTY.contains(&&*name) && !attributes.ends_with('/') {
                open.push(name.clone());
            }
            tokens.push(Token::Open(Tag { name, attributes }));
        }
    }
    tokens.push(Token::Text(rest));
    let left = open.iter().all(|name| IMPLIED.contains(&&**name));
    (known && left).then_some(tokens)
}

/// Ends the innermost element of this name; what needs no end within it ends too.
fn close(open: &mut Vec<Cow<'_, str>>, name: &str) -> Option<()> {
    loop {
        let last = open.pop()?;
        if last == name {
            return Some(());
        }
        if !IMPLIED.contains(&&*last) {
            return None;
        }
    }
}

/// What follows the end of an element whose contents are not for people.
fn skip<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let at = rest.find("</")?;
        rest = rest.get(at + 2..)?;
        let is_it = rest.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
        if is_it {
            return Some(rest.split_once('>')?.1);
        }
    }
}

/// A tag's name, in lower case, and what follows it.
fn name(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.ends_with(':');
    if !good {
        return None;
    }
    let name = match name.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    };
    Some((name, after))
}

/// A tag's attributes, and what follows the tag.
fn attributes(text: &str) -> Option<(&str, &str)> {
    let mut rest = text;
    while let Some((_, _, after)) = attribute(rest) {
        rest = after;
    }
    let end = rest.trim_start();
    let end = end.strip_prefix('/').unwrap_or(end);
    let after = end.strip_prefix('>')?;
    let length = text.len().checked_sub(after.len() + 1)?;
    Some((text.get(..length)?, after))
}

/// The attribute that `text` begins with, after a space: its name, its value,
/// and what follows.
fn attribute(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let name = text.trim_start();
    if name.len() == text.len() {
        return None;
    }
    let sign = |c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | '@'));
    let (name, after) = name.split_at(name.find(sign).unwrap_or(name.len()));
    if name.is_empty() {
        return None;
    }
    let Some(value) = after.trim_start().strip_prefix('=') else {
        return Some((name, None, after));
    };
    let value = value.trim_start();
    for quote in ['"', '\''] {
        if let Some(value) = value.strip_prefix(quote) {
            let (value, after) = value.split_once(quote)?;
            return Some((name, Some(value), after));
        }
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\'' | '=' | '`');
    let (value, after) = value.split_at(value.find(ends).unwrap_or(value.len()));
    (!value.is_empty()).then_some((name, Some(value), after))
}
