//! A checkout from the event's page to a cancelled ticket, with no other means
//! than the keys.

use thirtyfour::Key;

use super::keyboard::{focus_comes_to, tab_to};
use super::support::{Browser, Demo};

/// Makes it; `script` says whether there is any.
pub(crate) async fn register_two(demo: &Demo, browser: &Browser, script: bool) {
    browser.goto(&demo.url("/meridian/systems-days")).await;
    tab_to(browser, ".skip").await;
    browser.press(Key::Enter).await;
    focus_comes_to(browser, "main").await;
    tab_to(browser, ".session input").await;
    browser.press(" ").await;
    assert!(browser.is_ticked(".session input").await);
    tab_to(browser, "input[type=number]").await;
    browser.press(Key::Up).await;
    if script {
        tab_to(browser, "input[type=number] + button").await;
        browser.press(" ").await;
    } else {
        browser.press(Key::Up).await;
    }
    assert_eq!(browser.value("input[type=number]").await, "2");
    tab_to(browser, ".tickets [type=submit]").await;
    browser.press(Key::Enter).await;
    browser.arrive("/checkout/").await;
    tell_who_comes(browser).await;
    put_right(browser).await;
    cancel_the_second_ticket(browser).await;
    // The form that came back has the status of a refusal, which is no fault.
    let mut complaints = browser.complaints().await;
    complaints.retain(|complaint| !complaint.contains("a status of 422"));
    assert_eq!(complaints, Vec::<String>::new());
}

async fn tell_who_comes(browser: &Browser) {
    tab_to(browser, "#first-1").await;
    // The last name of the second person is left out.
    for text in ["Ada", "Lovelace", "ada@example.org", "Grace", "", "grace@example.org"] {
        browser.press(text).await;
        browser.press(Key::Tab).await;
    }
    focus_comes_to(browser, "#sessions-same").await;
    browser.press(Key::Down).await;
    focus_comes_to(browser, "#sessions-each:checked").await;
    tab_to(browser, "[name=session-2]:checked").await;
    browser.press(" ").await;
    assert!(!browser.has("[name=session-2]:checked").await);
    tab_to(browser, ".finish [type=submit]").await;
    browser.press(Key::Enter).await;
}

async fn put_right(browser: &Browser) {
    browser.shows("There is one thing to put right").await;
    focus_comes_to(browser, "#faults").await;
    browser.press(Key::Tab).await;
    focus_comes_to(browser, "#faults a").await;
    browser.press(Key::Enter).await;
    focus_comes_to(browser, "#last-2[aria-invalid]").await;
    browser.press("Hopper").await;
    assert_eq!(browser.value("#first-1").await, "Ada");
    tab_to(browser, ".finish [type=submit]").await;
    browser.press(Key::Enter).await;
    browser.arrive("/order/").await;
    browser.shows("You’re both registered").await;
    let agendas = browser.texts(".agenda").await;
    assert_eq!(agendas.len(), 1, "only the first comes to a session: {agendas:?}");
}

async fn cancel_the_second_ticket(browser: &Browser) {
    tab_to(browser, ".ticket:nth-child(2) summary").await;
    browser.press(Key::Enter).await;
    tab_to(browser, ".ticket:nth-child(2) [type=submit]").await;
    browser.press(Key::Enter).await;
    browser.arrive("?cancelled").await;
    browser.shows("The ticket is cancelled").await;
    assert_eq!(browser.texts(".ticket.is-void h3").await, ["Grace Hopper"]);
}
