//! Front page, mailbox and the pages that say one thing.

use askama::Template;
use sloe_web::site::view::Shell;
use sloe_web::site::view::demo::{LandingOrg, LandingPage, MailBrief, MailOpen, MailboxPage};
use sloe_web::site::view::message::{Again, MessagePage};
use sloe_web::site::words;

use crate::orgs::{garden, looks, north};

fn landing(demo: bool) -> LandingPage {
    LandingPage {
        shell: Shell { title: "Sloe".into(), index: true, ..Shell::default() },
        orgs: if demo {
            vec![
                LandingOrg {
                    org: north(),
                    swatch: looks()[0].1.swatch("northlight"),
                    events: 6,
                    salesforce: Some("http://127.0.0.1:8081/".into()),
                },
                LandingOrg {
                    org: garden(),
                    swatch: looks()[1].1.swatch("hofgarten"),
                    events: 3,
                    salesforce: Some("http://127.0.0.1:8082/".into()),
                },
            ]
        } else {
            Vec::new()
        },
        mailbox: demo.then(|| "/demo/mailbox".into()),
    }
}

fn mailbox() -> MailboxPage {
    let brief = |n: u32| MailBrief {
        href: format!("/demo/mailbox/{n}"),
        to: "misaki@example.org".into(),
        subject: "You’re registered: Resilience 2026".into(),
        time: "14:32".into(),
    };
    MailboxPage {
        shell: Shell { title: "Demo mailbox".into(), ..Shell::default() },
        mails: vec![brief(1), brief(2)],
        open: Some(MailOpen {
            brief: brief(1),
            from: "Northlight Conferences <tickets@northlight.example>".into(),
            text: "Hello 美咲,\n\nyou’re registered.".into(),
            html: Some("/mail.html".into()),
            attachments: vec![("event.ics".into(), "/demo/mailbox/1/event.ics".into())],
        }),
    }
}

fn again(after: Option<u32>) -> Again {
    Again {
        action: "/checkout/h".into(),
        fields: vec![("key".into(), "k".into())],
        label: "Check again".into(),
        after,
    }
}

pub(crate) fn pages() -> Vec<(String, String)> {
    let event = "/northlight/resilience-2026";
    let org = north();
    let said: Vec<(&str, MessagePage)> = vec![
        ("unknown-event", words::unknown_event(&org)),
        ("not-found", words::not_found()),
        ("released", words::released(&org, event).about("Resilience 2026")),
        (
            "hold-gone",
            words::hold_gone(
                &garden(),
                event,
                vec![
                    "Student ticket: you had 2, 1 is left".into(),
                    "“One Fsync to Rule Them All”: sold out".into(),
                ],
            ),
        ),
        ("hold-over", words::hold_over(&org, event)),
        ("busy", words::busy(Some(&org), Some(again(None)))),
        ("too-many", words::too_many(None)),
        ("not-now", words::not_now(Some(&org), Some(again(None)))),
        ("checking", words::outcome_unknown(Some(&org), Some(again(Some(3600))))),
        (
            "bad-request",
            words::bad_request(
                Some(&org),
                vec![
                    "qty-i1 must be a whole number".into(),
                    "session is not a session of this event".into(),
                ],
            ),
        ),
        ("cross-site", words::cross_site(Some(&org))),
        ("too-large", words::too_large(None)),
        ("wrong-media", words::wrong_media(None)),
        ("wrong-method", words::wrong_method()),
        ("internal", words::internal("0193a4f2-7c1e-7b02-9d8e-5a4f3c2b1a09")),
        ("paused", words::told(Some(&org), &words::paused(), ("Back to the event", event))),
        ("nothing-held", words::nothing_held(&org, event)),
        ("out-of-order", words::out_of_order(Some(&org))),
        ("sent-before", words::sent_before(Some(&org), event)),
    ];
    let mut pages: Vec<(String, String)> = said
        .into_iter()
        .map(|(name, page)| (format!("message-{name}.html"), page.render().unwrap()))
        .collect();
    pages.push(("landing-demo.html".into(), landing(true).render().unwrap()));
    pages.push(("landing.html".into(), landing(false).render().unwrap()));
    pages.push(("mailbox.html".into(), mailbox().render().unwrap()));
    pages
}
