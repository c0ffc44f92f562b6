//! A visitor who clicks twice: everything that takes seats is sent two times
//! at the same moment, over two connections, and must be done once.

use super::super::Mode;
use super::super::fleet::Clients;
use super::super::tally::{Left, Outcome};
use super::html::{self, Browser};
use super::{Step, Visitor, api};

/// Registers, clicking twice all the way.
pub(super) async fn register(
    visitor: &mut Visitor<'_>,
    second: &mut Clients,
    mode: Mode,
) -> Step<Outcome> {
    match mode {
        Mode::Api => {
            let request = api::registration(visitor)?;
            twice(visitor, second, (&request, 201), "registering", confirmed).await?;
            Ok(Outcome::Registered)
        }
        Mode::Hold => {
            let request = api::hold(visitor)?;
            let held = twice(visitor, second, (&request, 201), "holding", held).await?;
            let request = api::confirmation(visitor, &held)?;
            twice(visitor, second, (&request, 201), "confirming", confirmed).await?;
            Ok(Outcome::Registered)
        }
        Mode::Html => {
            let mut browser = Browser::default();
            let choice = browser.choice(visitor).await?;
            let request = browser.form(visitor, &choice);
            let checkout = twice(visitor, second, (&request, 303), "holding", |v| {
                browser.keep_cookies(v);
                Ok(v.led_to())
            });
            let checkout = checkout.await?;
            let details = browser.details(visitor, &checkout).await?;
            let request = browser.form(visitor, &details);
            let order = twice(visitor, second, (&request, 303), "confirming", |v| Ok(v.led_to()));
            let order = order.await?;
            let outcome = html::arrived(visitor, &order)?;
            browser.get(visitor, &order).await?;
            Ok(outcome)
        }
    }
}

fn held(visitor: &mut Visitor<'_>) -> Step<api::Held> {
    visitor.holding()
}

fn confirmed(visitor: &mut Visitor<'_>) -> Step<Order> {
    visitor.confirmed()?;
    Ok(Order(visitor.left.order.as_ref().map(|made| made.order.clone()).unwrap_or_default()))
}

/// What two answers must have in common.
trait Made {
    fn id(&self) -> &str;
}

impl Made for String {
    fn id(&self) -> &str {
        self
    }
}

impl Made for api::Held {
    fn id(&self) -> &str {
        &self.id
    }
}

/// An order has been acknowledged, under this id.
struct Order(String);

impl Made for Order {
    fn id(&self) -> &str {
        &self.0
    }
}

/// Sends a request over both connections at the same time. Both must have made the same
/// thing. Where one is refused and the other not, it is asked again: a refusal may have come
/// before a seat was free, but what was made is the answer to every repeat.
async fn twice<T: Made>(
    visitor: &mut Visitor<'_>,
    second: &mut Clients,
    (request, expected): (&[u8], u16),
    what: &str,
    mut read: impl FnMut(&mut Visitor<'_>) -> Step<T>,
) -> Step<T> {
    let mut other = Visitor {
        ground: visitor.ground,
        clients: second,
        tally: visitor.tally,
        number: visitor.number,
        kind: visitor.kind,
        step: visitor.step + 1,
        give_up: visitor.give_up,
        unknown: false,
        left: Left::default(),
    };
    let (first, again) =
        tokio::join!(visitor.expect(request, expected), other.expect(request, expected));
    let mut first = first.and_then(|()| read(visitor));
    let mut again = again.and_then(|()| read(&mut other));
    match (&first, &again) {
        (Ok(_), Err(Outcome::Refused(_))) => {
            again = other.expect(request, expected).await.and_then(|()| read(&mut other));
        }
        (Err(Outcome::Refused(_)), Ok(_)) => {
            first = visitor.expect(request, expected).await.and_then(|()| read(visitor));
        }
        _ => {}
    }
    visitor.left.held = visitor.left.held.max(other.left.held);
    visitor.left.order = visitor.left.order.take().or(other.left.order);
    let number = visitor.number;
    match (first, again) {
        (Ok(first), Ok(again)) => {
            let twice = first.id() != again.id();
            let fault =
                twice.then(|| format!("visitor {number}: {what} twice at once was done twice"));
            visitor.tally.double(fault);
            Ok(first)
        }
        (Ok(made), Err(Outcome::Refused(why))) | (Err(Outcome::Refused(why)), Ok(made)) => {
            let fault = format!("visitor {number}: {what} was done, and its repeat refused: {why}");
            visitor.tally.double(Some(fault));
            Ok(made)
        }
        (Ok(made), Err(_)) | (Err(_), Ok(made)) => Ok(made),
        (Err(first), Err(_)) => Err(first),
    }
}
