//! What people set in their browser: less motion, larger text, a narrow window,
//! no script. And the clock that runs in a checkout.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::support::{Browser, Demo, eventually};

/// Lets a test turn the page's clock on; what waits for the clock still waits
/// its own second.
const CLOCK: &str = "
    const now = Date.now.bind(Date);
    let ahead = 0;
    Date.now = () => now() + ahead;
    window.pass = (seconds) => { ahead += seconds * 1000; };";

/// Notes what is said, and when.
const LISTEN: &str = "
    window.said = [];
    const place = document.querySelector('[data-announce]');
    const clock = document.querySelector('[data-clock]');
    new MutationObserver(() => place.textContent && said.push([clock.textContent, place.textContent]))
        .observe(place, { childList: true, characterData: true, subtree: true });
    return [place.getAttribute('role'), place.textContent];";

/// Holds one seat; answers the hold.
async fn hold(demo: &Demo, event: &str, item: &str) -> Value {
    let item = demo.id_of(event, item).await;
    demo.hold(event, &json!([{ "item": item, "quantity": 1 }])).await
}

fn checkout(demo: &Demo, hold: &Value) -> String {
    demo.url(&format!("/checkout/{}", hold["id"].as_str().unwrap()))
}

/// Lets ten minutes pass in a checkout; answers what was said at which time.
pub(crate) async fn said_in_ten_minutes(demo: &Demo, browser: &Browser) -> Vec<(u64, String)> {
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": CLOCK })).await;
    let event = demo.org("meridian").event("keynote-live");
    browser.goto(&checkout(demo, &hold(demo, event, "Stream seat").await)).await;
    browser.find(".clock:not([hidden])").await;
    assert_eq!(browser.evaluate(LISTEN).await, json!(["status", ""]));
    for target in [420, 301, 280, 180, 121, 90, 61, 30, 1] {
        let left = seconds(&browser.text(".clock").await).unwrap();
        browser.evaluate(&format!("pass({})", left.saturating_sub(target))).await;
        // The mark after it is passed by waiting, as it is passed in life.
        eventually(async || match seconds(&browser.text(".clock").await) {
            Some(left) if left >= target && target > 1 => Err(format!("{left} seconds are left")),
            _ => Ok(()),
        })
        .await;
    }
    browser.shows("The time is over. Confirm anyway").await;
    assert!(!browser.find(".clock").await.is_displayed().await.unwrap());
    assert_eq!(
        browser.find("[data-announce]").await.prop("textContent").await.unwrap().unwrap(),
        ""
    );
    let said = browser.evaluate("return said").await;
    let said: Vec<(String, String)> = serde_json::from_value(said).unwrap();
    said.into_iter().map(|(clock, text)| (seconds(&clock).unwrap(), text)).collect()
}

/// `9:45` in seconds.
fn seconds(clock: &str) -> Option<u64> {
    let (minutes, seconds) = clock.split_once(':')?;
    Some(minutes.parse::<u64>().ok()? * 60 + seconds.parse::<u64>().ok()?)
}

/// A checkout without script; answers what it says of the time, and what it should.
pub(crate) async fn held_until(demo: &Demo, browser: &Browser) -> (String, String) {
    let event = demo.org("harbor").event("tokyo-jazz");
    let hold = hold(demo, event, "一般席 (General)").await;
    browser.goto(&checkout(demo, &hold)).await;
    let expires: Timestamp = hold["expires_at"].as_str().unwrap().parse().unwrap();
    // The visitor's time ends a little before the ledger's.
    let shown = Timestamp::from_second(expires.as_second() - 15).unwrap();
    let zone = TimeZone::get("Asia/Tokyo").unwrap();
    let until = shown.to_zoned(zone).strftime("%H:%M").to_string();
    let expected = format!("Your seats are held until {until}, Tokyo time (UTC+9).");
    (browser.text(".timer").await, expected)
}

/// How long anything in the page moves, in seconds.
pub(crate) async fn longest_motion(browser: &Browser) -> f64 {
    let script = "
        const long = (style) => [style.transitionDuration, style.animationDuration]
            .flatMap((list) => list.split(',').map(parseFloat));
        const smooth = [...document.querySelectorAll('*')].filter((e) => getComputedStyle(e).scrollBehavior === 'smooth');
        return Math.max(smooth.length, ...[...document.querySelectorAll('*')]
            .flatMap((e) => ['', '::before', '::after'].flatMap((part) => long(getComputedStyle(e, part || null)))));";
    browser.evaluate(script).await.as_f64().unwrap()
}

/// Whoever wants no motion has said so.
pub(crate) async fn wish_no_motion(browser: &Browser) {
    let wish = json!({ "name": "prefers-reduced-motion", "value": "reduce" });
    browser.devtools("Emulation.setEmulatedMedia", json!({ "features": [wish] })).await;
}
