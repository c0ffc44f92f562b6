//! What people are told while the store fails under their forms: never that
//! so many others are there, never that nothing was booked where it may have
//! been, and never without the form that they filled in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use sloe_core::catalog::Snapshot;
use sloe_store::faulty::{Call, Fault, Plan};
use support::{Browser, Page, faulty};

/// Holds one seat; the address of its checkout, and its form filled in.
async fn hold(browser: &mut Browser, event: &Snapshot) -> (String, Vec<(&'static str, String)>) {
    let page = format!("/acme/{}", event.slug);
    browser.open_event(&page).await;
    let quantity = format!("qty-{}", event.items[0].id);
    let held = browser.post(&format!("{page}/hold"), &[(&quantity, "1")]).await;
    let checkout = held.location().to_owned();
    let key = browser.get(&checkout).await.hidden("key");
    let typed = [("first-1", "Ada"), ("last-1", "Lovelace"), ("email-1", "ada@example.org")];
    let mut typed: Vec<_> = typed.map(|(name, value)| (name, value.to_owned())).into();
    typed.push(("key", key));
    (checkout, typed)
}

async fn send(browser: &mut Browser, to: &str, form: &[(&'static str, String)]) -> Page {
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post(to, &form).await
}

/// A page that says why it is not done, and has everything that was typed.
fn keeps(page: &Page, heading: &str, form: &[(&'static str, String)]) {
    page.is(503).says(heading);
    assert!(page.headers.contains_key("retry-after"), "{:?}", page.headers);
    for (name, value) in form {
        assert_eq!(&page.hidden(name), value);
    }
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_no_crowd_and_the_form_can_be_sent_again() {
    let (store, _engine, app, event, _directory) = faulty().await;
    let mut browser = Browser::of(&app);
    let (checkout, form) = hold(&mut browser, &event).await;
    store.set_plan(Plan::new().always(Call::Append, Fault::Refused));
    let refused = send(&mut browser, &checkout, &form).await;
    keeps(&refused, "We can’t do this just now", &form);
    refused.says("Nothing was booked");
    assert!(!refused.body.contains("So many people"), "{}", refused.body);
    // A selection that meets it loses nothing either.
    let quantity = format!("qty-{}", event.items[0].id);
    let path = format!("/acme/{}/hold", event.slug);
    let other = browser.post(&path, &[(&quantity, "2")]).await;
    other.is(503).says("We can’t do this just now");
    assert_eq!(other.hidden(&quantity), "2");
    store.set_plan(Plan::new());
    let order = send(&mut browser, &checkout, &form).await;
    assert!(order.location().starts_with("/order/"), "{}", order.location());
}

#[tokio::test]
async fn what_may_have_been_booked_is_never_told_as_not_booked() {
    let (store, _engine, app, event, _directory) = faulty().await;
    let mut browser = Browser::of(&app);
    let (checkout, form) = hold(&mut browser, &event).await;
    store.set_plan(Plan::new().always(Call::Append, Fault::RequestLost));
    let lost = send(&mut browser, &checkout, &form).await;
    keeps(&lost, "We are checking", &form);
    // Now it is not even there to be asked: neither the same form nor a look at it may say more.
    store.set_away(true);
    let again = send(&mut browser, &checkout, &form).await;
    keeps(&again, "We are checking", &form);
    let looked = browser.get(&checkout).await;
    looked.is(503).says("We are checking").says("reload this page");
    for page in [&lost, &again, &looked] {
        assert!(!page.body.contains("Nothing was booked"), "{}", page.body);
    }
    store.set_away(false);
    store.set_plan(Plan::new());
    let order = send(&mut browser, &checkout, &form).await;
    let order = order.location().to_owned();
    let same = send(&mut browser, &checkout, &form).await;
    assert_eq!(same.location(), order);
}

#[tokio::test]
async fn a_ticket_that_could_not_be_cancelled_can_be_cancelled_again() {
    let (store, _engine, app, event, _directory) = faulty().await;
    let mut browser = Browser::of(&app);
    let (checkout, form) = hold(&mut browser, &event).await;
    let order = send(&mut browser, &checkout, &form).await.location().to_owned();
    let cancel = format!("{order}/cancel");
    store.set_plan(Plan::new().always(Call::Append, Fault::Refused));
    let refused = browser.post(&cancel, &[("place", "1")]).await;
    refused.is(503).says("We can’t do this just now").says(&format!("action=\"{cancel}\""));
    assert_eq!(refused.hidden("place"), "1");
    store.set_plan(Plan::new().always(Call::Append, Fault::RequestLost));
    let lost = browser.post(&cancel, &[("place", "1")]).await;
    lost.is(503).says("We are checking");
    assert!(!lost.body.contains("Nothing was booked"), "{}", lost.body);
    store.set_plan(Plan::new());
    assert!(browser.post(&cancel, &[("place", "1")]).await.location().starts_with(&order));
}
