//! One visitor who looks at pages, in both color schemes, and notes whatever
//! is wrong with them.

use serde_json::{Value, json};

use super::support::{Browser, Look, eventually};

/// The checker's source, as it is published.
const AXE: &str = include_str!("../../../../tests/vendor/axe.min.js");

/// What it checks: WCAG 2.2 A and AA, and what its makers advise.
const TAGS: [&str; 6] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/// What must hold on every page.
const PAGE: &str = include_str!("page.js");

/// What a page must tell.
pub(crate) struct Told<'a> {
    /// What the state is called here.
    pub(crate) name: &'a str,
    /// The answer's status.
    pub(crate) status: u16,
    /// The document's title, whole.
    pub(crate) title: &'a str,
    /// What is the matter, and what to do: each must be shown.
    pub(crate) says: &'a [&'a str],
}

/// A visitor with one browser.
pub(crate) struct Visit {
    pub(crate) browser: Browser,
    look: Look,
    /// How many pages were looked at.
    pub(crate) seen: usize,
    /// What was wrong with them, a line each.
    pub(crate) wrong: Vec<String>,
}

impl Visit {
    /// Opens a browser; `look` is the light one.
    pub(crate) async fn open(look: Look) -> Self {
        let browser = Browser::open(look).await;
        Self { browser, look, seen: 0, wrong: Vec::new() }
    }

    /// Goes to an address and looks at it.
    pub(crate) async fn see(&mut self, url: &str, told: &Told<'_>) {
        self.browser.goto(url).await;
        self.look(told).await;
    }

    /// Looks at the page that is open.
    pub(crate) async fn look(&mut self, told: &Told<'_>) {
        self.check(told, &TAGS).await;
    }

    /// Looks at a mail that is open: it is shown within a page, so that the
    /// advice for whole pages doesn't fit it.
    pub(crate) async fn look_at_mail(&mut self, told: &Told<'_>) {
        let binding = TAGS.split_last().map(|(_, tags)| tags).unwrap_or_default();
        self.check(told, binding).await;
    }

    async fn check(&mut self, told: &Told<'_>, tags: &[&str]) {
        self.seen += 1;
        self.browser.evaluate(AXE).await;
        for look in [self.look, self.look.dark()] {
            self.browser.turn(look).await;
            for breach in breaches(&self.browser, look.width(), &json!(tags)).await {
                self.note(told.name, look, &breach);
            }
            self.browser.shoot(told.name).await;
        }
        self.browser.turn(self.look).await;
        self.words(told).await;
    }

    async fn words(&mut self, told: &Told<'_>) {
        let script = "return [performance.getEntriesByType('navigation')[0].responseStatus, document.title, document.body.innerText]";
        let shown = self.browser.evaluate(script).await;
        if shown[0] != told.status {
            self.note(told.name, self.look, &format!("status {}, not {}", shown[0], told.status));
        }
        if shown[1] != told.title {
            self.note(told.name, self.look, &format!("titled {}, not “{}”", shown[1], told.title));
        }
        let page = words_of(shown[2].as_str().unwrap());
        for says in told.says.iter().filter(|says| !page.contains(&words_of(says))) {
            self.note(told.name, self.look, &format!("“{says}” is not in {page}"));
        }
        for complaint in self.browser.complaints().await {
            // A refusal's own status is no fault of the page.
            let own = format!("the server responded with a status of {}", told.status);
            if told.status < 400 || !complaint.contains(&own) {
                self.note(told.name, self.look, &complaint);
            }
        }
    }

    fn note(&mut self, page: &str, look: Look, what: &str) {
        self.wrong.push(format!("{page}, {}, {} px: {what}", look.scheme(), look.width()));
    }
}

/// What is wrong with the page in `browser`, `width` pixels wide; by `tags` as
/// axe has it, which must be in the page, and by nobody else's rules if `tags` is null.
pub(crate) async fn breaches(browser: &Browser, width: u32, tags: &Value) -> Vec<String> {
    let found = browser.evaluate_with(PAGE, vec![tags.clone(), json!(width)]).await;
    serde_json::from_value(found).unwrap()
}

/// Text with single blanks, whatever the lines.
fn words_of(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Waits until the answer of `url` contains `words`.
pub(crate) async fn until(client: &reqwest::Client, url: &str, words: &str) {
    eventually(async || {
        let answer = client.get(url).send().await.map_err(|error| error.to_string())?;
        let page = answer.text().await.map_err(|error| error.to_string())?;
        if page.contains(words) {
            Ok(())
        } else {
            Err(format!("“{words}” is not at {url}: {page}"))
        }
    })
    .await;
}
