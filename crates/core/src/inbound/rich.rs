//! Rich text as plain text. Salesforce's rich text areas hold HTML, and a field
//! does not tell which kind it is, so the text itself must: it is taken for
//! HTML only if every `<` begins a tag, the tags close each other, and at least
//! one is an element of HTML. Then paragraphs, line breaks, lists, headings and
//! links become what the pages make of plain text; all else of the markup goes.
//! What comes out is text, and is escaped wherever it is shown.

mod entities;
mod tags;

use std::borrow::Cow;

use tags::{Tag, Token};

/// `text` without markup, if it is HTML; else as it is.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains('<') {
        return Cow::Borrowed(text);
    }
    match tags::read(text) {
        Some(tokens) => Cow::Owned(write(&tokens)),
        None => Cow::Borrowed(text),
    }
}

fn write(tokens: &[Token<'_>]) -> String {
    let mut writer = Writer::default();
    for token in tokens {
        match token {
            Token::Text(text) => writer.text(&entities::decode(text)),
            Token::Open(tag) => writer.open(tag),
            Token::Close(name) => writer.close(name),
        }
    }
    writer.out
}

/// What must come before the next word.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Break {
    #[default]
    None,
    Space,
    Line,
    Paragraph,
}

#[derive(Default)]
struct Writer {
    out: String,
    before: Break,
    /// What the next word's line begins with.
    mark: String,
    /// The lists around: the number of the last entry, `None` without numbers.
    lists: Vec<Option<u32>>,
    /// Links around: where their words begin, and where they lead.
    links: Vec<(usize, Option<String>)>,
    /// Whether line breaks in the text count.
    verbatim: usize,
    /// Whether a cell of this row came before.
    row: bool,
}

impl Writer {
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' if self.verbatim > 0 => self.end(Break::Line),
                c if c.is_whitespace() => self.end(Break::Space),
                c => self.put(c),
            }
        }
    }

    /// Asks for a break; the strongest of several counts.
    fn end(&mut self, with: Break) {
        self.before = self.before.max(with);
    }

    fn put(&mut self, c: char) {
        let before = std::mem::take(&mut self.before);
        if !self.out.is_empty() {
            self.out.push_str(match before {
                Break::None => "",
                Break::Space => " ",
                Break::Line => "\n",
                Break::Paragraph => "\n\n",
            });
        }
        self.out.push_str(&std::mem::take(&mut self.mark));
        self.out.push(c);
    }

    /// What a block is set apart with: a row of a table stays one line, an
    /// entry of a list one entry.
    fn apart(&self) -> Break {
        match (self.row, self.lists.is_empty()) {
            (true, _) => Break::Space,
            (false, false) => Break::Line,
            (false, true) => Break::Paragraph,
        }
    }

    /// What a line ends with.
    fn line(&self) -> Break {
        if self.row { Break::Space } else { Break::Line }
    }

    fn open(&mut self, tag: &Tag<'_>) {
        match &*tag.name {
            "br" if self.before >= Break::Line => self.end(self.apart()),
            "br" | "div" | "dt" | "dd" | "caption" => self.end(self.line()),
            "p" | "blockquote" | "table" | "address" | "hr" | "dl" => self.end(self.apart()),
            "pre" => {
                self.end(self.apart());
                self.verbatim += 1;
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.end(self.apart());
                if self.apart() == Break::Paragraph {
                    self.mark = "## ".to_owned();
                }
            }
            name @ ("ul" | "ol") => {
                self.end(self.apart());
                self.lists.push((name == "ol").then_some(0));
            }
            "li" => self.entry(),
            "tr" => {
                self.end(Break::Line);
                self.row = false;
            }
            "td" | "th" => self.cell(),
            "a" => {
                // Of links in links, which can't be, the outer one leads: each word is looked at once.
                let to = tag.attribute("href").filter(|_| self.links.is_empty());
                self.links.push((self.out.len(), to));
            }
            "img" => {
                if let Some(alt) = tag.attribute("alt") {
                    self.text(&alt);
                }
            }
            _ => {}
        }
    }

    fn entry(&mut self) {
        self.end(Break::Line);
        self.mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{number}. ")
            }
            Some(None) | None => "- ".to_owned(),
        };
    }

    fn cell(&mut self) {
        let first = !std::mem::replace(&mut self.row, true);
        if !first {
            self.end(Break::Space);
            self.mark = "| ".to_owned();
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "p" | "blockquote" | "address" | "dl" => self.end(self.apart()),
            "div" | "dt" | "dd" | "caption" => self.end(self.line()),
            "tr" => {
                self.end(Break::Line);
                self.row = false;
            }
            "li" => {
                self.end(Break::Line);
                self.mark.clear();
            }
            "pre" => {
                self.verbatim = self.verbatim.saturating_sub(1);
                self.end(self.apart());
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.mark.clear();
                self.end(self.apart());
            }
            "ul" | "ol" => {
                self.lists.pop();
                self.end(self.apart());
            }
            "table" => {
                self.row = false;
                self.end(self.apart());
            }
            "a" => self.link(),
            _ => {}
        }
    }

    /// Where a link leads, unless its words say so.
    fn link(&mut self) {
        let Some((from, Some(to))) = self.links.pop() else { return };
        let to = to.trim();
        let shown = match to.strip_prefix("mailto:") {
            Some(address) => address.split('?').next().unwrap_or_default(),
            None if to.starts_with("https://") => to,
            None => return,
        };
        let said = self.out.get(from..).unwrap_or_default();
        let plain = |c: char| !c.is_whitespace() && !c.is_control();
        if shown.is_empty() || !shown.chars().all(plain) || said.contains(shown) {
            return;
        }
        let (open, close) = if said.trim().is_empty() { ("", "") } else { ("(", ")") };
        self.end(Break::Space);
        self.text(&format!("{open}{shown}{close}"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paragraphs_breaks_and_entities_become_plain_text() {
        for (html, text) in [
            ("<p>Hello<br>there</p><p>Bye &amp; thanks</p>", "Hello\nthere\n\nBye & thanks"),
            ("<p>One</p>\r\n<p>&nbsp;</p>\r\n<p>Two</p>", "One\n\nTwo"),
            ("One<br><br>Two<br/>Three", "One\n\nTwo\nThree"),
            ("<div>One</div><div>Two</div>", "One\nTwo"),
            (
                "a <b>bold</b>, <i>slanted</i> <span style=\"color: red;\">red</span> word",
                "a bold, slanted red word",
            ),
            (
                "<p>caf&eacute; &#8211; 5&nbsp;&euro; &#x1F600; &quot;so&quot; &unknown; R&D</p>",
                "café – 5 € 😀 \"so\" &unknown; R&D",
            ),
            ("<h2>What</h2>It is<hr>that", "## What\n\nIt is\n\nthat"),
            ("<pre>a\n  b</pre>", "a\nb"),
            ("<!-- note --><p>seen</p><style>p > b { color: red }</style>", "seen"),
            ("<P CLASS='x' hidden>Loud</P>", "Loud"),
            ("<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>", "<script>alert(1)</script>"),
        ] {
            assert_eq!(plain(html), text, "{html}");
        }
    }

    #[test]
    fn lists_tables_links_and_pictures_keep_what_they_say() {
        for (html, text) in [
            (
                "<p>Bring:</p><ul><li>a pen</li><li><p>paper</p></li></ul><p>Bye</p>",
                "Bring:\n\n- a pen\n- paper\n\nBye",
            ),
            ("<ol><li>one<li>two<ul><li>half</ul></ol>", "1. one\n2. two\n- half"),
            (
                "<table><tr><th>When</th><th>What</th></tr><tr><td>9:00</td><td><p>Tea</p></td></tr>\
              </table>end",
                "When | What\n9:00 | Tea\n\nend",
            ),
            (
                "See <a href=\"https://example.org/a?b=1&amp;c=2\" target=\"_blank\">the program</a>.",
                "See the program (https://example.org/a?b=1&c=2).",
            ),
            ("<a href='https://example.org'>https://example.org</a>", "https://example.org"),
            ("<a href=\"mailto:ada@example.org?subject=Hi\">Ada</a>", "Ada (ada@example.org)"),
            ("<a href=\"javascript:alert(1)\">click</a>", "click"),
            (
                "<a href=\"https://a.example\">x <a href=\"https://b.example\">y</a></a>",
                "x y (https://a.example)",
            ),
            ("<img src=\"/x.png\" alt=\"The hall\"></img><br>", "The hall"),
        ] {
            assert_eq!(plain(html), text, "{html}");
        }
    }

    #[test]
    fn what_is_no_html_stays_as_it_is() {
        for text in [
            "5 < 6 and <b>",
            "Write to <ada@example.org>",
            "See <https://example.org>",
            "Learn <b> and <i>",
            "</p>",
            "<p>open <b>crossed</p></b>",
            "<thing>of XML</thing>",
            "<p title=\"open>",
            "<",
            "R&amp;D",
            "a\n\n- b\n- c",
        ] {
            assert_eq!(plain(text), text);
        }
    }

    const NAMES: [&str; 12] =
        ["p", "b", "div", "ul", "ol", "li", "a", "span", "h1", "td", "tr", "pre"];

    /// HTML as an editor makes it, with words that hold no markup.
    fn html() -> impl Strategy<Value = String> {
        let leaf = prop_oneof!["[a-z .\n]{0,12}", Just("<br>".to_owned()), Just("&nbsp;".into())];
        leaf.prop_recursive(5, 60, 5, |inner| {
            let name = proptest::sample::select(NAMES.as_slice());
            (name, proptest::collection::vec(inner, 0..5)).prop_map(|(name, parts)| {
                format!("<{name} class=\"x\">{}</{name}>", parts.concat())
            })
        })
    }

    proptest! {
        #[test]
        fn of_html_nothing_but_its_words_is_left(html in html()) {
            let html = format!("<p>{html}</p>");
            let text = plain(&html);
            prop_assert!(!text.contains(['<', '>']), "{html:?} gave {text:?}");
            prop_assert_eq!(text.trim(), &*text);
            prop_assert!(!text.contains("\n\n\n"), "{:?}", text);
            let words = |text: &str| {
                text.chars().filter(char::is_ascii_lowercase).collect::<String>()
            };
            let mut bare = html.clone();
            for part in ["class=\"x\"", "&nbsp;", "<br>"] {
                bare = bare.replace(part, "");
            }
            for name in NAMES {
                bare = bare.replace(&format!("<{name} >"), "").replace(&format!("<{name}>"), "");
                bare = bare.replace(&format!("</{name}>"), "");
            }
            prop_assert_eq!(words(&text), words(&entities::decode(&bare)));
        }

        #[test]
        fn any_text_at_all_is_taken(text in "[<>/a-c!\\- \"'=&#;x0-9p]{0,80}", more in "\\PC{0,40}") {
            let _ = plain(&text);
            let _ = plain(&more);
        }
    }
}
