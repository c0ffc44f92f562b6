//! An organizer's plain text as HTML: paragraphs, `- ` lists, `## ` headings
//! and bare `https` links. Nothing else means anything; everything is escaped.

use super::markup::{Markup, escape_into};

/// What the lines read so far belong to.
#[derive(PartialEq, Eq)]
enum Block {
    None,
    Paragraph,
    List,
}

impl Block {
    fn close(&mut self, out: &mut String) {
        match self {
            Self::None => {}
            Self::Paragraph => out.push_str("</p>"),
            Self::List => out.push_str("</li></ul>"),
        }
        *self = Self::None;
    }
}

/// Renders `text`. Headings come out as `h3`: they stand in a section whose
/// own heading is an `h2`.
#[must_use]
pub fn to_markup(text: &str) -> Markup {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut block = Block::None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            block.close(&mut out);
        } else if let Some(heading) = line.strip_prefix("## ") {
            block.close(&mut out);
            out.push_str(r#"<h3 dir="auto">"#);
            inline(&mut out, heading.trim());
            out.push_str("</h3>");
        } else if let Some(entry) = line.strip_prefix("- ") {
            if block == Block::List {
                out.push_str("</li>");
            } else {
                block.close(&mut out);
                out.push_str("<ul>");
                block = Block::List;
            }
            out.push_str(r#"<li dir="auto">"#);
            inline(&mut out, entry.trim());
        } else {
            match block {
                Block::None => {
                    out.push_str(r#"<p dir="auto">"#);
                    block = Block::Paragraph;
                }
                Block::Paragraph => out.push_str("<br>"),
                Block::List => out.push(' '),
            }
            inline(&mut out, line);
        }
    }
    block.close(&mut out);
    Markup::vouched(out)
}

/// Escapes a line and turns bare `https` addresses into links.
fn inline(out: &mut String, line: &str) {
    let mut rest = line;
    while let Some(at) = rest.find("https://") {
        let (before, from) = rest.split_at(at);
        escape_into(out, before);
        let url = address(from);
        if url.len() > "https://".len() {
            out.push_str("<a rel=\"noopener noreferrer nofollow\" href=\"");
            escape_into(out, url);
            out.push_str("\">");
            escape_into(out, &url["https://".len()..]);
            out.push_str("</a>");
        } else {
            escape_into(out, url);
        }
        rest = &from[url.len()..];
    }
    escape_into(out, rest);
}

/// The address that `text` begins with: up to white space or a character that
/// can't stand in one, without the punctuation of the sentence around it.
fn address(text: &str) -> &str {
    let end = text
        .find(|c: char| {
            c.is_whitespace()
                || c.is_control()
                || matches!(c, '<' | '>' | '"' | '\'' | '`' | '|' | '{' | '}')
        })
        .unwrap_or(text.len());
    let url = &text[..end];
    let trimmed = url.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']']);
    // "https://" itself ends in none of these, so at least it remains.
    trimmed.get(..trimmed.len().max("https://".len())).unwrap_or(url)
}

/// The first sentences of `text` as one line of at most about `limit`
/// characters, for descriptions in search results.
#[must_use]
pub fn excerpt(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let words = text
        .lines()
        .map(|l| l.trim().trim_start_matches("## ").trim_start_matches("- "))
        .flat_map(str::split_whitespace);
    let mut count = 0;
    for word in words {
        let length = word.chars().count();
        if count + length >= limit {
            out.push('…');
            break;
        }
        if count > 0 {
            out.push(' ');
        }
        out.push_str(word);
        count += length + 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{excerpt, to_markup};

    #[test]
    fn paragraphs_lists_and_headings_become_their_elements() {
        let html = to_markup("Hello\nthere\n\n## What\n- one\n- two\n  more\n\nBye").to_string();
        assert_eq!(
            html,
            "<p dir=\"auto\">Hello<br>there</p><h3 dir=\"auto\">What</h3><ul><li dir=\"auto\">one</li><li dir=\"auto\">two more</li></ul><p dir=\"auto\">Bye</p>"
        );
    }

    #[test]
    fn markup_in_the_text_stays_text() {
        let html =
            to_markup("<script>alert(1)</script> & \"quotes\"\n- <img src=x onerror=y>\n## <b>")
                .to_string();
        assert!(
            !html.contains("<script") && !html.contains("<img") && !html.contains("<b>"),
            "{html}"
        );
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot;"));
    }

    #[test]
    fn only_https_addresses_become_links_without_the_punctuation_around_them() {
        let html = to_markup("See https://example.org/a?b=1&c=2, (https://example.com/x). javascript:alert(1) http://no.example").to_string();
        assert!(
            html.contains(
                r#"href="https://example.org/a?b=1&amp;c=2">example.org/a?b=1&amp;c=2</a>, ("#
            ),
            "{html}"
        );
        assert!(html.contains(r#"href="https://example.com/x">example.com/x</a>)."#), "{html}");
        assert_eq!(html.matches("<a ").count(), 2);
    }

    #[test]
    fn an_address_cannot_break_out_of_its_attribute() {
        let html = to_markup("https://example.org/\"onmouseover=alert(1)// https:// https://...")
            .to_string();
        assert_eq!(html.matches("href=\"").count(), 1, "{html}");
        assert!(html.contains("example.org/</a>&quot;onmouseover"), "{html}");
    }

    #[test]
    fn an_excerpt_is_one_line_and_ends_at_a_word() {
        assert_eq!(excerpt("## Hi\n- one two\nthree", 12), "Hi one two…");
        assert_eq!(excerpt("short", 50), "short");
    }

    /// The only markup there is.
    const OURS: [&str; 10] = [
        "<p dir=\"auto\">",
        "</p>",
        "<br>",
        "<ul>",
        "</ul>",
        "<li dir=\"auto\">",
        "</li>",
        "<h3 dir=\"auto\">",
        "</h3>",
        "</a>",
    ];

    proptest::proptest! {
        #[test]
        fn no_rich_text_makes_markup_of_its_own(
            parts in proptest::collection::vec(
                "(<(p|b|a|li|ul|script|img|style)( (href|alt)=\"[a-z:/<>&;']{0,12}\")?>|\
                  </(p|b|a|li|ul|script|style)>|&(lt|gt|quot|#60|#x3c|amp);|[ a-z<>\"'&;/]{0,8})",
                0..12,
            ),
        ) {
            let html = to_markup(&sloe_core::inbound::plain(&parts.concat())).to_string();
            for (at, _) in html.match_indices('<') {
                let rest = &html[at..];
                let link = rest.starts_with("<a rel=\"noopener noreferrer nofollow\" href=\"https://");
                assert!(link || OURS.iter().any(|ours| rest.starts_with(ours)), "{html}");
            }
        }

        #[test]
        fn no_text_panics_or_leaves_an_element_open(text in "[-#<>&\"'a-z :/.\nhtps]{0,200}") {
            let html = to_markup(&text).to_string();
            for tag in ["p", "ul", "li", "h3", "a"] {
                let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
                let closed = html.matches(&format!("</{tag}>")).count();
                assert_eq!(opened, closed, "{tag} in {html}");
            }
        }
    }
}
