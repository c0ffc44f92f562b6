//! A visitor with a browser but without scripts: reads the event page, sends
//! its form, fills in the checkout it is led to, and arrives at the order.

use super::super::tally::Outcome;
use super::super::wire::write_request;
use super::{Step, Visitor};

const VISITOR: &str = "/assets/visitor.css";
/// How the cookie of a hold begins.
const HOLD: &str = "sloe_hold_";
const FORM: &str = "application/x-www-form-urlencoded";

/// Every step of the checkout, following redirects and keeping cookies.
pub(super) async fn check_out(visitor: &mut Visitor<'_>) -> Step<Outcome> {
    let mut browser = Browser::default();
    let checkout = browser.hold(visitor).await?;
    let details = browser.details(visitor, &checkout).await?;
    let request = browser.form(visitor, &details);
    let order = browser.send(visitor, &request).await?;
    let outcome = arrived(visitor, &order)?;
    browser.get(visitor, &order).await?;
    Ok(outcome)
}

/// As far as the form with the details, and no further.
pub(super) async fn abandon(visitor: &mut Visitor<'_>) -> Step<Outcome> {
    let mut browser = Browser::default();
    let checkout = browser.hold(visitor).await?;
    browser.details(visitor, &checkout).await?;
    Ok(Outcome::Left)
}

/// What it means to be led to this page in the end.
pub(super) fn arrived(visitor: &mut Visitor<'_>, page: &str) -> Step<Outcome> {
    let token = page.strip_prefix("/order/").map(|rest| rest.split(['?', '#']).next());
    let token = token.flatten().unwrap_or_default();
    if token.is_empty() {
        return Err(visitor.confused("the checkout did not lead to an order"));
    }
    visitor.acknowledged(token.to_owned(), None);
    Ok(Outcome::Registered)
}

impl Visitor<'_> {
    /// The page just received.
    fn page(&self) -> String {
        String::from_utf8_lossy(self.clients.reply().body).into_owned()
    }

    /// The path that the answer just received leads to.
    pub(super) fn led_to(&self) -> String {
        let origin = &self.ground.fleet.name().origin;
        let to = self.clients.reply().header("location").unwrap_or_default();
        to.strip_prefix(origin.as_str()).unwrap_or(to).to_owned()
    }

    /// The path of the event's page.
    pub(super) fn event_page(&self) -> String {
        self.ground.offer.page.clone().unwrap_or_default()
    }
}

/// What a browser remembers for one visitor.
#[derive(Default)]
pub(super) struct Browser {
    cookies: Vec<(String, String)>,
}

/// A form as it is sent.
pub(super) struct Sent {
    action: String,
    fields: Vec<(String, String)>,
}

impl Browser {
    /// From the event's page to its checkout, whose path this gives.
    pub(super) async fn hold(&mut self, visitor: &mut Visitor<'_>) -> Step<String> {
        let choice = self.choice(visitor).await?;
        let request = self.form(visitor, &choice);
        self.send(visitor, &request).await
    }

    /// The event's page and the choice that is made on it.
    pub(super) async fn choice(&mut self, visitor: &mut Visitor<'_>) -> Step<Sent> {
        let wish = visitor.ground.wish(visitor.number);
        let page = visitor.event_page();
        self.get(visitor, &page).await?;
        let page = visitor.page();
        let choose = Form::read(&page, &format!("qty-{}", wish.item));
        let Form { action, hidden: mut fields } =
            choose.ok_or_else(|| visitor.stuck("the event page has no form"))?;
        // The style sheet that names the visitor, so that a form sent twice is one hold.
        if page.contains(VISITOR) {
            self.get(visitor, VISITOR).await?;
        }
        fields.push((format!("qty-{}", wish.item), wish.people.to_string()));
        fields.extend(wish.sessions.into_iter().map(|id| ("session".to_owned(), id)));
        Ok(Sent { action, fields })
    }

    /// The checkout's page and what is filled in there.
    pub(super) async fn details(
        &mut self,
        visitor: &mut Visitor<'_>,
        checkout: &str,
    ) -> Step<Sent> {
        self.get(visitor, checkout).await?;
        let details = Form::read(&visitor.page(), "first-1");
        let Form { action, hidden: mut fields } =
            details.ok_or_else(|| visitor.stuck("the checkout has no form"))?;
        for place in 1..=visitor.ground.people(visitor.number) {
            let person = visitor.ground.crowd.person(visitor.number, place);
            fields.push((format!("first-{place}"), person.first_name));
            fields.push((format!("last-{place}"), person.last_name));
            fields.push((format!("email-{place}"), person.email));
        }
        fields.push(("sessions".to_owned(), "same".to_owned()));
        Ok(Sent { action, fields })
    }

    pub(super) async fn get(&mut self, visitor: &mut Visitor<'_>, path: &str) -> Step<()> {
        let request = self.page(visitor, path, None);
        visitor.expect(&request, 200).await?;
        self.keep_cookies(visitor);
        Ok(())
    }

    /// The request for a page, perhaps only if it is not the one with this entity tag.
    pub(super) fn page(&self, visitor: &Visitor<'_>, path: &str, tag: Option<&str>) -> Vec<u8> {
        let cookie = self.cookie_header();
        let tag = tag.map(|tag| format!("If-None-Match: {tag}"));
        let mut headers = vec!["Accept: text/html", "Accept-Language: en"];
        headers.extend(cookie.as_deref());
        headers.extend(tag.as_deref());
        let mut request = Vec::new();
        write_request(&mut request, ("GET", path), visitor.ground.authority(), &headers, None);
        request
    }

    /// The request that sends a form.
    pub(super) fn form(&self, visitor: &Visitor<'_>, form: &Sent) -> Vec<u8> {
        let body = encode(&form.fields);
        let cookie = self.cookie_header();
        let origin = format!("Origin: {}", visitor.ground.fleet.name().origin);
        let mut headers = vec!["Accept: text/html", "Sec-Fetch-Site: same-origin", &origin];
        headers.extend(cookie.as_deref());
        let mut request = Vec::new();
        let body = Some((FORM, body.as_bytes()));
        let authority = visitor.ground.authority();
        write_request(&mut request, ("POST", &form.action), authority, &headers, body);
        request
    }

    /// Sends a form and gives the path it is redirected to.
    pub(super) async fn send(&mut self, visitor: &mut Visitor<'_>, form: &[u8]) -> Step<String> {
        visitor.expect(form, 303).await?;
        self.keep_cookies(visitor);
        Ok(visitor.led_to())
    }

    fn cookie_header(&self) -> Option<String> {
        let pairs: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        (!pairs.is_empty()).then(|| format!("Cookie: {}", pairs.join("; ")))
    }

    /// Keeps the answer's cookies; the one of a hold says how long it lasts.
    pub(super) fn keep_cookies(&mut self, visitor: &mut Visitor<'_>) {
        let mut held = None;
        for line in visitor.clients.reply().headers("set-cookie") {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            if name.starts_with(HOLD) {
                held = parts.find_map(|part| part.strip_prefix("Max-Age=")?.parse::<i64>().ok());
            }
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        if let Some(seconds) = held.filter(|seconds| *seconds > 0) {
            visitor.left.held = Some(jiff::Timestamp::now().as_millisecond() + seconds * 1_000);
        }
    }
}

/// A form of a page: where it goes, and what it carries unseen.
#[derive(Debug, PartialEq, Eq)]
struct Form {
    action: String,
    hidden: Vec<(String, String)>,
}

impl Form {
    /// The form that has a field of this name.
    fn read(page: &str, field: &str) -> Option<Self> {
        let named = format!("name=\"{field}\"");
        let form = page.split("<form").skip(1).find_map(|rest| {
            let form = rest.split("</form>").next()?;
            form.contains(&named).then_some(form)
        })?;
        let hidden = form.split("<input").skip(1).filter_map(|rest| {
            let tag = rest.split('>').next()?;
            if attribute(tag, "type").as_deref() != Some("hidden") {
                return None;
            }
            Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()))
        });
        Some(Self {
            action: attribute(form.split('>').next()?, "action")?,
            hidden: hidden.collect(),
        })
    }
}

/// An attribute of a tag, its character references resolved.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let value = rest.split('"').next()?;
    let mut plain = value.to_owned();
    for (reference, character) in [
        ("&#38;", "&"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&amp;", "&"),
    ] {
        plain = plain.replace(reference, character);
    }
    Some(plain)
}

/// Fields as a form is sent.
fn encode(fields: &[(String, String)]) -> String {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        encoded.append_pair(name, value);
    }
    encoded.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_with_the_field_is_found_with_its_hidden_values() {
        let page = "<form method=\"get\" action=\"/search\"><input name=\"q\"></form>\
            <form class=\"choose\" method=\"post\" action=\"/o/e/hold?a=1&#38;b=2\">\
            <input type=\"hidden\" name=\"key\" value=\"k&#34;1\">\
            <input type=\"number\" name=\"qty-a1\" value=\"0\"></form>";
        let form = Form::read(page, "qty-a1");
        let hidden = vec![("key".to_owned(), "k\"1".to_owned())];
        assert_eq!(form, Some(Form { action: "/o/e/hold?a=1&b=2".to_owned(), hidden }));
        assert_eq!(Form::read(page, "qty-b2"), None);
    }
}
