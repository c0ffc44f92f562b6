//! Rust text, split into code, comments and literals: enough to tell a word in code from the same
//! word in a comment, and to find where functions begin and end. No parser: it knows tokens only.

use std::ops::Range;

use super::tree::File;

/// A Rust file. `code` and `comments` are the text with everything else blanked, so that a
/// position means the same in all three.
pub(super) struct Source<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    pub(super) code: String,
    pub(super) comments: String,
    /// The lines (from 1) of items under `#[cfg(test)]`.
    tests: Vec<Range<usize>>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Of the word `fn`, from 1.
    pub(super) line: usize,
    /// From the word `fn` to the closing brace.
    pub(super) lines: usize,
}

/// The Rust files among these.
pub(super) fn all(files: &[File]) -> Vec<Source<'_>> {
    let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
    rust.map(|file| Source::new(&file.path, &file.text)).collect()
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &'a str, text: &'a str) -> Self {
        let kinds = kinds(text.as_bytes());
        let code = only(text, &kinds, Kind::Code);
        let comments = only(text, &kinds, Kind::Comment);
        let tests = test_items(&code);
        Self { path, text, code, comments, tests }
    }

    /// Whether a line (from 1) is a test's: in a file of tests, or under `#[cfg(test)]`.
    pub(super) fn is_test(&self, line: usize) -> bool {
        is_test_file(self.path) || self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// Every function with a body, nested ones too.
    pub(super) fn functions(&self) -> Vec<Function> {
        let code = self.code.as_str();
        let mut found = Vec::new();
        for at in words(code, "fn") {
            let rest = code[at + 2..].trim_start();
            let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
            // A type `fn(A) -> B` has no name, a declaration in a trait no body.
            let Some(body) = body(code, at).filter(|_| !name.is_empty()) else { continue };
            let line = line_of(code, at);
            found.push(Function { name, line, lines: line_of(code, body.end) - line + 1 });
        }
        found
    }
}

/// Whether the whole file is tests, benchmarks or examples: nothing that ships.
pub(super) fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
        || path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples" | "fuzz"))
}

/// Where `word` stands in `text` by itself, not as a part of a longer word.
pub(super) fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let open = word.starts_with(is_word);
    let close = word.ends_with(is_word);
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back().is_some_and(is_word);
        let after = text[at + word.len()..].starts_with(is_word);
        !(open && before || close && after)
    })
}

/// The line (from 1) of a position.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn test_items(code: &str) -> Vec<Range<usize>> {
    code.match_indices("#[cfg(test)]")
        .filter_map(|(at, _)| {
            body(code, at + "#[cfg(test)]".len())
                .map(|body| line_of(code, at)..line_of(code, body.end) + 1)
        })
        .collect()
}

/// From the first brace after `from` to the one that closes it (`end` is its position); none if
/// the item ends with a semicolon before.
fn body(code: &str, from: usize) -> Option<Range<usize>> {
    let mut round = 0_i32;
    let mut open: Option<(usize, i32)> = None;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match (byte, &mut open) {
            (b'(' | b'[', None) => round += 1,
            (b')' | b']', None) => round -= 1,
            (b';', None) if round == 0 => return None,
            (b'{', None) if round == 0 => open = Some((at, 1)),
            (b'{', Some((_, depth))) => *depth += 1,
            (b'}', Some((start, depth))) => {
                *depth -= 1;
                if *depth == 0 {
                    return Some(*start..at);
                }
            }
            _ => {}
        }
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// The text with every byte of another kind blanked; line ends stay.
fn only(text: &str, kinds: &[Kind], kind: Kind) -> String {
    let kept = text.char_indices().flat_map(|(at, c)| {
        let blank = c != '\n' && kinds.get(at) != Some(&kind);
        // As many blanks as the character has bytes, so that positions agree.
        let (c, times) = if blank { (' ', c.len_utf8()) } else { (c, 1) };
        std::iter::repeat_n(c, times)
    });
    kept.collect()
}

/// The kind of each byte.
fn kinds(text: &[u8]) -> Vec<Kind> {
    let mut kinds = Vec::with_capacity(text.len());
    while kinds.len() < text.len() {
        let (kind, length) = token(text, kinds.len());
        kinds.extend(std::iter::repeat_n(kind, length.max(1)));
    }
    kinds
}

/// The kind and length of what begins at `at`; code goes byte by byte.
fn token(text: &[u8], at: usize) -> (Kind, usize) {
    let rest = text.get(at..).unwrap_or_default();
    let in_word =
        at > 0 && text.get(at - 1).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    match rest {
        [b'/', b'/', ..] => (Kind::Comment, until(rest, 0, b"\n")),
        [b'/', b'*', ..] => (Kind::Comment, block_comment(rest)),
        [b'"', ..] => (Kind::Literal, quoted(rest, b'"')),
        [b'\'', ..] => character(rest).map_or((Kind::Code, 1), |length| (Kind::Literal, length)),
        [b'r' | b'b' | b'c', ..] if !in_word => {
            prefixed(rest).map_or((Kind::Code, 1), |length| (Kind::Literal, length))
        }
        _ => (Kind::Code, 1),
    }
}

/// The length up to `end`, which begins at `from` or later; all of it if there is none.
fn until(text: &[u8], from: usize, end: &[u8]) -> usize {
    let tail = text.get(from..).unwrap_or_default();
    tail.windows(end.len()).position(|window| window == end).map_or(text.len(), |at| from + at)
}

fn block_comment(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(pair) = text.get(at..at + 2) {
        at += match pair {
            b"/*" => {
                depth += 1;
                2
            }
            b"*/" => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of a literal that begins and ends with `quote`, with escapes.
fn quoted(text: &[u8], quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(1) {
        match *byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if byte == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal; none if the quote begins a lifetime.
fn character(text: &[u8]) -> Option<usize> {
    if text.get(1) == Some(&b'\\') {
        return Some(quoted(text, b'\''));
    }
    let head = text.get(1..text.len().min(5))?;
    let first = head.utf8_chunks().next()?.valid().chars().next()?;
    (text.get(1 + first.len_utf8()) == Some(&b'\'')).then(|| first.len_utf8() + 2)
}

/// The length of a literal with a prefix (`r"`, `br#"`, `b'`, `c"` …); none if it is no literal.
fn prefixed(text: &[u8]) -> Option<usize> {
    let letters = text.iter().take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count();
    let raw = text.get(..letters)?.contains(&b'r');
    let hashes = text.get(letters..)?.iter().take_while(|byte| **byte == b'#').count();
    let quote = letters + hashes;
    match text.get(quote)? {
        b'"' if raw => {
            let end: Vec<u8> =
                std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
            Some((until(text, quote + 1, &end) + end.len()).min(text.len()))
        }
        quote_mark @ (b'"' | b'\'') if hashes == 0 && letters == 1 => {
            Some(1 + quoted(text.get(1..)?, *quote_mark))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source<'_> {
        Source::new("crates/core/src/a.rs", text)
    }

    #[test]
    fn literals_and_comments_are_no_code() {
        let text = r##"a("x{", 'c', '"', b'\'', r#"y"{"#, br"z\", 'é'); // k{ "
/* m /* n */ o */ fn f<'a>(r#in: &'a str) {}"##;
        let source = source(text);
        assert_eq!(source.code.len(), text.len());
        let code: String = source.code.split_whitespace().collect();
        assert_eq!(code, "a(,,,,,,);fnf<'a>(r#in:&'astr){}");
        assert!(source.comments.contains("k{ \"") && source.comments.contains("/* n */ o"));
        assert!(!source.comments.contains('a'));
    }

    #[test]
    fn an_unclosed_literal_or_comment_reaches_to_the_end() {
        for text in ["a \"b", "a /* b", "a r#\"b\"", "a '\\", "a b'", "a '", "é'"] {
            let source = source(text);
            assert_eq!(source.code.len(), text.len(), "{text}");
            assert!(!source.code.contains('b') || text == "a b'", "{text}");
        }
    }

    #[test]
    fn functions_are_measured_from_fn_to_the_closing_brace() {
        let text = "
trait T { fn declared(&self) -> [u8; 2]; }
struct S { call: fn(u8) -> u8 }
pub(crate) async fn outer<T>(a: [u8; 3], b: T)
where
    T: Copy,
{
    let text = \"}\"; // }
    fn inner() {}
}
";
        let found = source(text).functions();
        let shown: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(shown, [("outer", 4, 7), ("inner", 9, 1)]);
    }

    #[test]
    fn lines_under_cfg_test_are_tests() {
        let source = source("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n");
        let tests: Vec<usize> = (1..=6).filter(|line| source.is_test(*line)).collect();
        assert_eq!(tests, [2, 3, 4, 5]);
    }

    #[test]
    fn files_of_tests_are_known_by_their_path() {
        for path in [
            "crates/cli/tests/crash.rs",
            "crates/core/src/inbound/tests.rs",
            "crates/web/examples/a.rs",
        ] {
            assert!(is_test_file(path), "{path}");
        }
        assert!(!is_test_file("crates/core/src/contests.rs"));
    }

    #[test]
    fn words_stand_by_themselves() {
        assert_eq!(words("env:: my_env:: std::env::x", "env::").collect::<Vec<_>>(), [0, 20]);
        assert_eq!(words("todo!() todos!", "todo!").collect::<Vec<_>>(), [0]);
    }
}
