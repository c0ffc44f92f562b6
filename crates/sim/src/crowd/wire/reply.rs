//! Reading answers: the head, how its body ends, and chunks.

use std::ops::Range;

/// Bytes that a head may have.
const LONGEST_HEAD: usize = 64 * 1024;

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Its status.
    pub status: u16,
    pub(super) head: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

impl<'a> Reply<'a> {
    /// The first header of this name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers(name).next()
    }

    /// All headers of this name (in lower case).
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &'a str> {
        lines(self.head).filter_map(move |(n, value)| n.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// Name and value of each header.
fn lines(head: &str) -> impl Iterator<Item = (&str, &str)> {
    head.split("\r\n").filter_map(|line| line.split_once(':')).map(|(n, v)| (n, v.trim()))
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

/// Whether what has come is enough.
pub(super) enum Progress {
    Done(Head),
    More,
}

/// The head of an answer.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) lines: Range<usize>,
    pub(super) framing: Framing,
    /// Where the body begins.
    pub(super) end: usize,
}

/// Reads the head of what has been received; `None` if it is no HTTP.
pub(super) fn read_head(received: &[u8]) -> Option<Progress> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return (received.len() <= LONGEST_HEAD).then_some(Progress::More);
    };
    let head = std::str::from_utf8(received.get(..end)?).ok()?;
    let (first, rest) = head.split_once("\r\n").unwrap_or((head, ""));
    let status: u16 = first.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let lines = end - rest.len()..end;
    let framing = framing(status, rest)?;
    Some(Progress::Done(Head { status, lines, framing, end: end + 4 }))
}

fn framing(status: u16, head: &str) -> Option<Framing> {
    if status < 200 || status == 204 || status == 304 {
        return Some(Framing::Length(0));
    }
    let mut length = None;
    for (name, value) in lines(head) {
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse().ok()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return value.eq_ignore_ascii_case("chunked").then_some(Framing::Chunked);
        }
    }
    Some(length.map_or(Framing::UntilClosed, Framing::Length))
}

/// Puts the chunks' content into `into`; says whether the last has come.
/// `None` if they are malformed.
pub(super) fn unchunk(mut chunks: &[u8], into: &mut Vec<u8>) -> Option<bool> {
    into.clear();
    loop {
        let Some(line) = chunks.windows(2).position(|two| two == b"\r\n") else {
            return (chunks.len() < 1024).then_some(false);
        };
        let size = std::str::from_utf8(chunks.get(..line)?).ok()?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        chunks = chunks.get(line + 2..)?;
        // After each chunk's content comes an empty line.
        let whole = size.checked_add(2)?;
        let Some(content) = chunks.get(..whole) else { return Some(false) };
        if !content.ends_with(b"\r\n") {
            return None;
        }
        if size == 0 {
            return Some(true);
        }
        into.extend_from_slice(content.get(..size)?);
        chunks = chunks.get(whole..)?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn head(text: &str) -> Head {
        match read_head(text.as_bytes()) {
            Some(Progress::Done(head)) => head,
            _ => panic!("no head in {text}"),
        }
    }

    #[test]
    fn a_head_says_its_status_and_how_the_body_ends() {
        let text = "HTTP/1.1 201 Created\r\nContent-Length: 12\r\nLocation: /a\r\n\r\nbody";
        let read = head(text);
        assert_eq!((read.status, read.framing), (201, Framing::Length(12)));
        assert!(text.get(read.end..).unwrap() == "body");
        let reply = Reply { status: 201, head: text.get(read.lines).unwrap(), body: b"" };
        assert_eq!(reply.header("location"), Some("/a"));
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(head(chunked).framing, Framing::Chunked);
        assert_eq!(head("HTTP/1.1 304 Not Modified\r\n\r\n").framing, Framing::Length(0));
        assert_eq!(head("HTTP/1.1 200 OK\r\n\r\n").framing, Framing::UntilClosed);
    }

    #[test]
    fn half_a_head_is_waited_for_and_nonsense_is_not() {
        assert!(matches!(read_head(b"HTTP/1.1 200 OK\r\nCont"), Some(Progress::More)));
        assert!(read_head(b"SSH-2.0-hello\r\n\r\n").is_none());
        assert!(read_head(b"HTTP/1.1 abc\r\n\r\n").is_none());
        assert!(read_head(&vec![b'x'; LONGEST_HEAD + 1]).is_none());
    }

    #[test]
    fn chunks_are_put_together_wherever_they_are_cut() {
        let text = b"4\r\nWiki\r\n6;x=y\r\npedia \r\n0\r\n\r\n";
        let mut body = Vec::new();
        for cut in 0..text.len() {
            assert_eq!(unchunk(&text[..cut], &mut body), Some(false), "cut at {cut}");
        }
        assert_eq!(unchunk(text, &mut body), Some(true));
        assert_eq!(body, b"Wikipedia ");
        assert_eq!(unchunk(b"zz\r\n", &mut body), None);
        assert_eq!(unchunk(b"1\r\nabc\r\n", &mut body), None);
    }
}
