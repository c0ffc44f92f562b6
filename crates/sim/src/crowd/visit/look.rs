//! A visitor who only looks, as most do: reads the page, asks what is left,
//! and comes back to see whether anything has changed.

use super::super::tally::Outcome;
use super::super::wire::write_request;
use super::html::Browser;
use super::{Step, Visitor};

/// The page, what is left, and the page again.
pub(super) async fn look(visitor: &mut Visitor<'_>) -> Step<Outcome> {
    let mut browser = Browser::default();
    let page = visitor.event_page();
    browser.get(visitor, &page).await?;
    let tag = visitor.clients.reply().header("etag").map(str::to_owned);
    let tag = tag.ok_or_else(|| visitor.stuck("the event page has no entity tag"))?;
    let path = format!("/api/v1/events/{}/availability", visitor.ground.offer.id);
    let mut request = Vec::new();
    let headers = ["Accept: application/json"];
    write_request(&mut request, ("GET", &path), visitor.ground.authority(), &headers, None);
    visitor.expect(&request, 200).await?;
    again(visitor, &browser, &page, &tag).await?;
    Ok(Outcome::Left)
}

/// The page once more, if it has changed since.
pub(super) async fn again(
    visitor: &mut Visitor<'_>,
    browser: &Browser,
    page: &str,
    tag: &str,
) -> Step<()> {
    let request = browser.page(visitor, page, Some(tag));
    let status = visitor.ask(&request).await?;
    if !matches!(status, 200 | 304) {
        return Err(visitor.unexpected(status));
    }
    visitor.tally.revalidated(status == 304);
    if status == 200 && visitor.clients.reply().header("etag") == Some(tag) {
        return Err(visitor.stuck("an unchanged page was sent again"));
    }
    Ok(())
}
