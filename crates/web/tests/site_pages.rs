//! What must hold on every page of the site, checked on every page and state
//! of the gallery, with kind and with hostile names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../examples/gallery/events.rs"]
mod events;
#[path = "../examples/gallery/orders.rs"]
mod orders;
#[path = "../examples/gallery/orgs.rs"]
mod orgs;
#[path = "../examples/gallery/rest.rs"]
mod rest;

use std::collections::HashSet;

use askama::Template;
use sloe_web::site::assets;
use sloe_web::site::prose;
use sloe_web::site::view::event::EventPage;

/// A start or end tag with its attributes.
struct Tag {
    name: String,
    end: bool,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Reads the tags of our own output. Strict: an attribute is bare or in double
/// quotes, and a `<` outside a tag must begin one.
fn tags(html: &str) -> Vec<Tag> {
    let mut out = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let (mut name, mut attributes, mut quoted, mut end) = (String::new(), Vec::new(), false, 0);
        let mut word = String::new();
        for (i, c) in rest.char_indices() {
            match c {
                '"' => quoted = !quoted,
                '>' if !quoted => {
                    end = i;
                    break;
                }
                '<' if !quoted => panic!("a tag in a tag at {rest:.80}"),
                c if c.is_whitespace() && !quoted => {
                    if name.is_empty() {
                        name = std::mem::take(&mut word);
                    } else if !word.is_empty() {
                        attributes.push(std::mem::take(&mut word));
                    }
                    continue;
                }
                _ => {}
            }
            word.push(c);
        }
        if name.is_empty() {
            name = word;
        } else if !word.is_empty() && word != "/" {
            attributes.push(word);
        }
        rest = &rest[end + 1..];
        let attributes = attributes
            .into_iter()
            .map(|text| match text.trim_end_matches('/').split_once('=') {
                Some((n, v)) => (
                    n.to_owned(),
                    v.strip_prefix('"')
                        .and_then(|v| v.strip_suffix('"'))
                        .unwrap_or_else(|| panic!("unquoted: {text}"))
                        .to_owned(),
                ),
                None => (text.clone(), String::new()),
            })
            .collect();
        let closing = name.starts_with('/');
        out.push(Tag { name: name.trim_matches('/').to_lowercase(), end: closing, attributes });
    }
    out
}

/// Everything that must hold of one page.
fn check(page: &str, html: &str) {
    let tags = tags(html);
    let starts = || tags.iter().filter(|tag| !tag.end);
    let mut ids = HashSet::new();
    for tag in starts() {
        if let Some(id) = tag.get("id") {
            assert!(ids.insert(id), "{page}: the id {id} stands twice");
        }
    }
    let mut level = 0;
    for tag in starts() {
        for (name, value) in &tag.attributes {
            assert!(
                !name.starts_with("on") && name != "style",
                "{page}: {name}={value} breaks the content policy"
            );
            let targets: Vec<&str> = match name.as_str() {
                "for" | "aria-describedby" | "aria-labelledby" => value.split(' ').collect(),
                "href" if value.starts_with('#') => vec![&value[1..]],
                _ => Vec::new(),
            };
            for target in targets {
                assert!(
                    ids.contains(target),
                    "{page}: {name} leads to {target}, which is not there"
                );
            }
        }
        assert!(tag.name != "style", "{page}: inline style");
        assert!(
            tag.name != "script" || tag.get("src").is_some_and(|src| src.starts_with("/assets/")),
            "{page}: inline script"
        );
        if let Some(rank) = tag.name.strip_prefix('h').and_then(|n| n.parse::<u8>().ok()) {
            assert!(rank <= level + 1, "{page}: h{rank} after h{level}");
            level = rank;
        }
        if tag.name == "input" && tag.get("type") != Some("hidden") {
            let labeled = tag.get("aria-label").is_some()
                || tags.iter().any(|t| {
                    t.name == "label" && t.get("for").is_some() && t.get("for") == tag.get("id")
                });
            assert!(labeled, "{page}: an input without a label");
        }
    }
    assert_eq!(starts().filter(|tag| tag.name == "h1").count(), 1, "{page}: one h1");
    for landmark in ["header", "main", "footer"] {
        assert_eq!(
            starts().filter(|tag| tag.name == landmark).count(),
            1,
            "{page}: one {landmark}"
        );
    }
    for name in
        ["main", "form", "fieldset", "section", "ul", "li", "div", "p", "a", "details", "label"]
    {
        let opened = starts().filter(|tag| tag.name == name).count();
        let closed = tags.iter().filter(|tag| tag.end && tag.name == name).count();
        assert_eq!(opened, closed, "{page}: <{name}>");
    }
}

fn pages() -> impl Iterator<Item = (String, String)> {
    events::pages()
        .into_iter()
        .chain(orders::pages())
        .chain(rest::pages())
        .filter(|(name, _)| !name.starts_with("mail."))
}

#[test]
fn every_page_and_state_is_sound() {
    for (name, html) in pages() {
        check(&name, &html);
    }
}

const HOSTILE: &str =
    r#""><script>alert(1)</script><img src=x onerror=alert(2)> ' </title> {{ 7*7 }}"#;

#[test]
fn hostile_names_stay_text_on_the_event_page() {
    let mut page: EventPage = events::conference();
    for text in
        [&mut page.name, &mut page.summary, &mut page.org.name, &mut page.org.mark, &mut page.price]
    {
        HOSTILE.clone_into(text);
    }
    page.shell.title = HOSTILE.into();
    page.shell.description = Some(HOSTILE.into());
    page.shell.org = Some(page.org.clone());
    page.about = prose::to_markup(HOSTILE);
    page.organizer = Some(HOSTILE.into());
    page.place.venue = Some(HOSTILE.into());
    page.place.address = vec![HOSTILE.into()];
    for item in &mut page.items {
        item.name = HOSTILE.into();
        item.description = HOSTILE.into();
    }
    for session in
        page.days.iter_mut().flat_map(|day| &mut day.slots).flat_map(|slot| &mut slot.sessions)
    {
        session.name = HOSTILE.into();
        session.speaker = Some(HOSTILE.into());
        session.track = Some((HOSTILE.into(), 0));
        session.description = HOSTILE.into();
    }
    let html = page.render().unwrap();
    check("hostile event", &html);
    assert!(!html.contains("<img") && html.matches("<script").count() == 1);
}

#[test]
fn hostile_attendees_stay_text_in_checkout_order_and_mail() {
    let mut checkout = orders::faulty();
    for person in &mut checkout.people {
        for field in [&mut person.first_name, &mut person.last_name, &mut person.email] {
            field.value = HOSTILE.into();
        }
    }
    let html = checkout.render().unwrap();
    check("hostile checkout", &html);
    assert_eq!(html.matches("<script").count(), 1);

    let mut order = orders::order();
    for ticket in &mut order.tickets {
        ticket.name = Some(HOSTILE.into());
    }
    let html = order.render().unwrap();
    check("hostile order", &html);
    assert_eq!(html.matches("<script").count(), 1);

    let mut mail = orders::mail();
    mail.event = format!("{HOSTILE}\r\nBcc: all@example.org");
    mail.tickets[0].name = HOSTILE.into();
    assert!(!mail.subject().contains(['\r', '\n']));
    assert!(
        !sloe_web::site::view::mail::OrderMailHtml { mail: &mail }
            .render()
            .unwrap()
            .contains("<script")
    );
}

#[test]
fn an_event_page_with_its_style_and_script_weighs_at_most_60_kilobytes() {
    let files = ["site.css", "site.js"]
        .map(|name| assets::content(name).unwrap().len())
        .iter()
        .sum::<usize>();
    let weight = events::conference().render().unwrap().len()
        + files
        + orgs::looks()[0].1.stylesheet().len();
    assert!(weight <= 60_000, "{weight} bytes");
}

#[test]
fn the_cached_event_page_holds_nothing_of_one_visitor() {
    let html = events::conference().render().unwrap();
    assert!(!html.contains("name=\"hold\"") && !html.contains(" checked"));
}

#[test]
fn the_mail_says_the_same_in_both_parts() {
    let mail = orders::mail();
    let html = sloe_web::site::view::mail::OrderMailHtml { mail: &mail }.render().unwrap();
    let text = sloe_web::site::view::mail::OrderMailText { mail: &mail }.render().unwrap();
    for said in
        [&mail.event, &mail.reference, &mail.url, &mail.when.date_line, &mail.tickets[1].name]
    {
        assert!(html.contains(said.as_str()) && text.contains(said.as_str()), "{said}");
    }
    assert!(!html.contains("<img") && !html.contains("src="), "a mail loads nothing");
}
