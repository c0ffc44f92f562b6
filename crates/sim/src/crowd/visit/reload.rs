//! A visitor who trusts no page: loads each one again and again, and after the
//! order is there goes back and sends the form once more.

use super::super::tally::Outcome;
use super::html::{self, Browser};
use super::look;
use super::{Step, Visitor};

/// How often the order's page is loaded.
const LOADS: u32 = 4;

/// The whole checkout, every page of it more than once.
pub(super) async fn check_out(visitor: &mut Visitor<'_>) -> Step<Outcome> {
    let mut browser = Browser::default();
    let page = visitor.event_page();
    browser.get(visitor, &page).await?;
    if let Some(tag) = visitor.clients.reply().header("etag").map(str::to_owned) {
        look::again(visitor, &browser, &page, &tag).await?;
    }
    let checkout = browser.hold(visitor).await?;
    browser.get(visitor, &checkout).await?;
    let details = browser.details(visitor, &checkout).await?;
    let form = browser.form(visitor, &details);
    let order = browser.send(visitor, &form).await?;
    let outcome = html::arrived(visitor, &order)?;
    for _ in 0..LOADS {
        browser.get(visitor, &order).await?;
    }
    // Back: the checkout is over and leads to the order.
    let back = browser.page(visitor, &checkout, None);
    visitor.expect(&back, 303).await?;
    let led_to = visitor.led_to();
    same(visitor, "going back", &order, &led_to);
    // Whoever has the form in the browser's memory can still send it.
    let led_to = browser.send(visitor, &form).await?;
    same(visitor, "sending the form again", &order, &led_to);
    browser.get(visitor, &page).await?;
    Ok(outcome)
}

/// There must be one order only, whatever the visitor does.
fn same(visitor: &Visitor<'_>, what: &str, order: &str, led_to: &str) {
    let fault = (order != led_to)
        .then(|| format!("visitor {}: {what} led to another page than the order", visitor.number));
    visitor.tally.double(fault);
}
