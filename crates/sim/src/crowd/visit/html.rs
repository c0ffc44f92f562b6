//! A visitor with a browser but without scripts: reads the event page, sends
//! its form, fills in the checkout it is led to, and arrives at the order.

use super::super::tally::Outcome;
use super::super::wire::write_request;
use super::{Step, Visitor};

const VISITOR: &str = "/assets/visitor.css";
const FORM: &str = "application/x-www-form-urlencoded";

/// Every step of the checkout, following redirects and keeping cookies.
pub(super) async fn check_out(visitor: &mut Visitor<'_>) -> Step<Outcome> {
    let wish = visitor.ground.wish(visitor.number);
    let mut browser = Browser { cookies: Vec::new() };
    let page = visitor.ground.offer.page.clone().unwrap_or_default();
    browser.get(visitor, &page).await?;
    let page = visitor.page();
    let choose = Form::read(&page, &format!("qty-{}", wish.item));
    let choose = choose.ok_or_else(|| visitor.stuck("the event page has no form"))?;
    // The style sheet that names the visitor, so that a form sent twice is one hold.
    if page.contains(VISITOR) {
        browser.get(visitor, VISITOR).await?;
    }
    let quantity = wish.people.to_string();
    let mut fields = choose.hidden;
    fields.push((format!("qty-{}", wish.item), quantity));
    fields.extend(wish.sessions.iter().map(|id| ("session".to_owned(), id.clone())));
    let checkout = browser.post(visitor, &choose.action, &fields).await?;
    browser.get(visitor, &checkout).await?;
    let details = Form::read(&visitor.page(), "first-1");
    let details = details.ok_or_else(|| visitor.stuck("the checkout has no form"))?;
    let mut fields = details.hidden;
    for place in 1..=wish.people {
        let person = visitor.ground.crowd.person(visitor.number, place);
        fields.push((format!("first-{place}"), person.first_name));
        fields.push((format!("last-{place}"), person.last_name));
        fields.push((format!("email-{place}"), person.email));
    }
    fields.push(("sessions".to_owned(), "same".to_owned()));
    let order = browser.post(visitor, &details.action, &fields).await?;
    let token = order.strip_prefix("/order/").map(|rest| rest.split(['?', '#']).next());
    let token = token.flatten().unwrap_or_default().to_owned();
    if token.is_empty() {
        return Err(visitor.confused("the checkout did not lead to an order"));
    }
    browser.get(visitor, &order).await?;
    Ok(Outcome::Registered { order: token, reference: None })
}

impl Visitor<'_> {
    /// The page just received.
    fn page(&self) -> String {
        String::from_utf8_lossy(self.client.reply().body).into_owned()
    }

    /// A page offers no way on: refused if it says so by its status, which
    /// was 200 here, so something is wrong with the page or the storm.
    fn stuck(&self, what: &str) -> Outcome {
        Outcome::Failed { kind: what.to_owned(), unknown: false }
    }
}

/// What a browser remembers for one visitor.
struct Browser {
    cookies: Vec<(String, String)>,
}

impl Browser {
    async fn get(&mut self, visitor: &mut Visitor<'_>, path: &str) -> Step<()> {
        let cookie = self.cookie_header();
        let mut headers = vec!["Accept: text/html", "Accept-Language: en"];
        headers.extend(cookie.as_deref());
        let mut request = Vec::new();
        let authority = &visitor.ground.target.authority;
        write_request(&mut request, ("GET", path), authority, &headers, None);
        visitor.expect(&request, 200).await?;
        self.keep_cookies(visitor);
        Ok(())
    }

    /// Sends a form and gives the path it is redirected to.
    async fn post(
        &mut self,
        visitor: &mut Visitor<'_>,
        path: &str,
        fields: &[(String, String)],
    ) -> Step<String> {
        let body = encode(fields);
        let cookie = self.cookie_header();
        let origin = format!("Origin: {}", visitor.ground.target.origin);
        let mut headers = vec!["Accept: text/html", "Sec-Fetch-Site: same-origin", &origin];
        headers.extend(cookie.as_deref());
        let mut request = Vec::new();
        let authority = &visitor.ground.target.authority;
        let body = Some((FORM, body.as_bytes()));
        write_request(&mut request, ("POST", path), authority, &headers, body);
        visitor.expect(&request, 303).await?;
        self.keep_cookies(visitor);
        let origin = &visitor.ground.target.origin;
        let to = visitor.client.reply().header("location").unwrap_or_default();
        Ok(to.strip_prefix(origin.as_str()).unwrap_or(to).to_owned())
    }

    fn cookie_header(&self) -> Option<String> {
        let pairs: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        (!pairs.is_empty()).then(|| format!("Cookie: {}", pairs.join("; ")))
    }

    fn keep_cookies(&mut self, visitor: &Visitor<'_>) {
        for line in visitor.client.reply().headers("set-cookie") {
            let pair = line.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else { continue };
            self.cookies.retain(|(known, _)| known != name.trim());
            self.cookies.push((name.trim().to_owned(), value.trim().to_owned()));
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
