//! Text on the painted headers, which axe can't judge: measured pixel by pixel
//! in pictures of the pages.

use serde::Deserialize;
use serde_json::json;

use super::support::Browser;

const TEXTS: &str = include_str!("texts.js");
const PAINT: &str = include_str!("paint.js");

/// One line of text, and how it reads.
#[derive(Debug, Deserialize)]
struct Read {
    words: String,
    needs: f64,
    lowest: f64,
}

/// What can't be read well in the headers of the page, and how many lines there are.
pub(crate) async fn faint(browser: &Browser) -> (Vec<String>, usize) {
    // The picture is taken without scroll bars, so they must take no room before.
    browser.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    let texts = browser.evaluate(TEXTS).await;
    let whole = json!({ "format": "png", "captureBeyondViewport": true });
    let picture = browser.devtools("Page.captureScreenshot", whole).await["data"].clone();
    let read = browser.evaluate_with(PAINT, vec![picture, texts]).await;
    let read: Vec<Read> = serde_json::from_value(read).unwrap();
    let lines = read.len();
    let faint = read.into_iter().filter(|read| read.lowest < read.needs);
    (faint.map(|read| format!("{} at {}: {read:?}", read.words, read.lowest)).collect(), lines)
}
