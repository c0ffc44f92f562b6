//! Text that is already HTML. Templates escape everything but [`Markup`], and
//! only the neighbors in this folder can make one.

use std::fmt;

/// HTML that is safe to put into a page as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Markup(String);

impl Markup {
    /// Vouches for `html`: whoever calls this has escaped what others wrote.
    pub(super) fn vouched(html: String) -> Self {
        Self(html)
    }

    /// Whether there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The HTML.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Markup {}

/// Appends `text` to `out` with the five characters escaped that mean
/// something in HTML text and quoted attributes.
pub(super) fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
}

/// An icon out of the sprite that every page carries; decoration only, so
/// that what it says must also stand in words.
#[must_use]
pub fn icon(name: &'static str) -> Markup {
    Markup::vouched(format!(
        r##"<svg class="icon" aria-hidden="true"><use href="#i-{name}"/></svg>"##
    ))
}
