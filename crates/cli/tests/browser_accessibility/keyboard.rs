//! A visitor without a mouse: where the keys lead, and whether one sees it.

use serde::Deserialize;
use thirtyfour::Key;

use super::support::{Browser, eventually};

const STOP: &str = include_str!("stop.js");

/// More stops than any page has.
const STOPS: usize = 200;

/// Where the focus is.
#[derive(Deserialize)]
struct Stop {
    /// Names the element within its page; nothing outside of the page.
    at: Option<u64>,
    faults: Vec<String>,
    #[serde(default)]
    told: String,
    /// Left, top, right and bottom in the page.
    #[serde(default)]
    r#box: [f64; 4],
    #[serde(default)]
    skip: bool,
}

impl Stop {
    /// Whether somebody who reads by lines and columns comes to this before `other`.
    fn is_seen_before(&self, other: &Self) -> bool {
        let ([left, top, _, bottom], [its_left, its_top, _, its_bottom]) =
            (self.r#box, other.r#box);
        let shared = bottom.min(its_bottom) - top.max(its_top);
        let in_one_line = shared > (bottom - top).min(its_bottom - its_top) / 2.0;
        left < its_left && (in_one_line || bottom <= its_top)
    }
}

async fn stop(browser: &Browser) -> Stop {
    serde_json::from_value(browser.evaluate(STOP).await).unwrap()
}

/// Walks through the whole page with Tab and back with Shift and Tab; answers
/// what was wrong on the way.
pub(crate) async fn walk(browser: &Browser) -> Vec<String> {
    let there = way(browser, async || browser.press(Key::Tab).await).await;
    let back = way(browser, async || browser.press_with_shift(Key::Tab).await).await;
    let mut wrong = Vec::new();
    if !there.first().is_some_and(|first| first.skip) {
        wrong.push("the first stop is not the link that skips the header".to_owned());
    }
    let names = |stops: &[Stop]| stops.iter().map(|stop| stop.at).collect::<Vec<_>>();
    let mut reversed = names(&back);
    reversed.reverse();
    if names(&there) != reversed {
        let way = |stops: &[Stop]| {
            stops.iter().map(|stop| stop.told.as_str()).collect::<Vec<_>>().join("\n  ")
        };
        wrong.push(format!("the way back is another:\n  {}\n--\n  {}", way(&there), way(&back)));
    }
    for pair in there.windows(2).skip(1) {
        if let [one, next] = pair
            && next.is_seen_before(one)
        {
            wrong.push(format!("{} comes after {}, but is seen before it", next.told, one.told));
        }
    }
    wrong.extend(there.into_iter().chain(back).flat_map(|stop| stop.faults));
    wrong
}

/// The stops from outside of the page to outside of it.
async fn way(browser: &Browser, press: impl AsyncFn()) -> Vec<Stop> {
    let mut stops = Vec::new();
    while stops.len() < STOPS {
        press().await;
        let stop = stop(browser).await;
        // Some browsers go on at the other end at once.
        let round = stops.first().is_some_and(|first: &Stop| first.at == stop.at);
        if stop.at.is_none() || round {
            // What is wrong with a stop may show only once it is left.
            if let Some(last) = stops.last_mut() {
                last.faults.extend(stop.faults);
            }
            return stops;
        }
        stops.push(stop);
    }
    panic!("{STOPS} stops, and no way out: {}", stops.pop().unwrap().told)
}

/// Presses Tab until the focus is on the element of a selector; every stop on
/// the way must be seen.
pub(crate) async fn tab_to(browser: &Browser, css: &str) {
    for _ in 0..STOPS {
        browser.press(Key::Tab).await;
        let stop = stop(browser).await;
        assert_eq!(stop.faults, Vec::<String>::new(), "on the way to {css}");
        if is_on(browser, css).await {
            return;
        }
    }
    panic!("no key leads to {css} at {}", browser.url().await)
}

/// Waits until the focus is on the element of a selector.
pub(crate) async fn focus_comes_to(browser: &Browser, css: &str) {
    eventually(async || {
        if is_on(browser, css).await {
            return Ok(());
        }
        Err(format!("the focus is on {}, not on {css}", stop(browser).await.told))
    })
    .await;
}

async fn is_on(browser: &Browser, css: &str) -> bool {
    let script = "return document.activeElement.matches(arguments[0])";
    browser.evaluate_with(script, vec![css.into()]).await == true
}
