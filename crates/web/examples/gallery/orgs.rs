//! Two organizers with looks of their own.

use sloe_web::site::color::Color;
use sloe_web::site::look::{Corners, Face, Look, Pattern};
use sloe_web::site::view::Org;

pub(crate) fn north() -> Org {
    Org {
        slug: "northlight".into(),
        name: "Northlight Conferences".into(),
        tagline: Some("Three days a year, the people who keep the web running meet in one room. The rest of the year, we meet online.".into()),
        contact: Some("hello@northlight.example".into()),
        mark: Org::mark_of("Northlight Conferences"),
        css: "/assets/org/northlight.css".into(),
    }
}

pub(crate) fn garden() -> Org {
    Org {
        slug: "hofgarten".into(),
        name: "Hofgarten Kulturverein".into(),
        tagline: Some("Readings, concerts and Sunday walks around an old botanical garden.".into()),
        contact: None,
        mark: Org::mark_of("Hofgarten Kulturverein"),
        css: "/assets/org/hofgarten.css".into(),
    }
}

pub(crate) fn looks() -> [(&'static str, Look); 2] {
    [
        (
            "northlight",
            Look {
                accent: Color::parse("#0e7490").unwrap(),
                pattern: Pattern::Grid,
                corners: Corners::Soft,
                face: Face::Sans,
            },
        ),
        (
            "hofgarten",
            Look {
                accent: Color::parse("#b4532a").unwrap(),
                pattern: Pattern::Waves,
                corners: Corners::Round,
                face: Face::Serif,
            },
        ),
    ]
}
