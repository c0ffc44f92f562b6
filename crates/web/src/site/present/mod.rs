//! From what the engine knows to what pages show. Pure: time comes in as a
//! value, and the same values make the same page.

mod checkout;
mod event;
mod list;
mod mail;
mod order;
mod shortage;
mod standing;

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use sloe_core::catalog::{Place, Snapshot};
use sloe_core::money::Price;
use sloe_core::time::Timestamp;
use sloe_engine::tenant;

use super::assets;
use super::color::Color;
use super::look::{Corners, Face, Look, Pattern};
use super::view::{self, Org};
use super::when::When;

pub use checkout::{Typed, TypedPerson, checkout, hold_is_gone};
pub use event::{Visitor, event_page};
pub use list::event_list;
pub use mail::{confirmation, order_mail};
pub use order::{Done, order_page};
pub use shortage::{credited, fault_of, sentence};
pub use standing::{Counts, Standing, standing};

/// The zones in the binary: what a page says must not depend on the machine.
/// Kept, as it remembers the zones it has read.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// How an org looks.
#[must_use]
pub fn look(profile: &tenant::Profile) -> Look {
    let accent = Color::parse(&profile.accent).unwrap_or_else(|| Look::default().accent);
    if profile.style == "classic" {
        Look { accent, pattern: Pattern::Waves, corners: Corners::Round, face: Face::Serif }
    } else {
        Look { accent, pattern: Pattern::Grid, corners: Corners::Soft, face: Face::Sans }
    }
}

/// The hash in the address of an org's stylesheet: changes with the profile
/// and, as Sloe's own look is part of `site.css`, with the way it is made.
#[must_use]
pub fn look_hash(profile: &tenant::Profile) -> String {
    let made_by = assets::href("site.css");
    assets::content_hash(format!("{made_by}\n{}\n{}", profile.accent, profile.style).as_bytes())
}

/// An org as its visitors see it.
#[must_use]
pub fn org(org: &tenant::Org) -> Org {
    let profile = &org.profile;
    Org {
        slug: profile.slug.clone(),
        name: profile.name.clone(),
        tagline: Some(profile.tagline.clone()).filter(|line| !line.is_empty()),
        contact: profile.contact_email.clone(),
        mark: Org::mark_of(&profile.name),
        css: format!("/assets/org/{}.css?v={}", profile.slug, look_hash(profile)),
    }
}

/// The zone called `name`; UTC for one this build does not know, which a
/// refresh refuses.
#[must_use]
pub fn zone(name: &str) -> TimeZone {
    ZONES.get(name).unwrap_or(TimeZone::UTC)
}

/// A moment of the core as one that can be formatted.
#[must_use]
pub fn instant(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::MAX)
}

/// An event's time.
#[must_use]
pub fn when(snapshot: &Snapshot) -> When {
    When::new(instant(snapshot.starts_at), instant(snapshot.ends_at), &zone(&snapshot.time_zone))
}

/// An event's place.
#[must_use]
pub fn place(place: &Place) -> view::Place {
    let lines = place.address.as_deref().unwrap_or_default().lines();
    view::Place {
        venue: place.venue.clone(),
        address: lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
        online: place.online_url.is_some(),
        online_url: place.online_url.clone(),
    }
}

/// `Free`, `€12.50`, `CHF 12.50`.
#[must_use]
pub fn price(price: Option<Price>) -> String {
    let Some(price) = price else { return "Free".to_owned() };
    let sign = match price.currency.code() {
        "EUR" => "€",
        "USD" => "$",
        "GBP" => "£",
        "JPY" => "¥",
        code => return format!("{code} {}", price.amount()),
    };
    format!("{sign}{}", price.amount())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use sloe_core::money::{Currency, Price};

    use super::price;

    #[test]
    fn prices_are_told_as_people_write_them() {
        let of =
            |code, minor| price(Some(Price { minor, currency: Currency::parse(code).unwrap() }));
        assert_eq!(price(None), "Free");
        assert_eq!(of("EUR", 1250), "€12.50");
        assert_eq!(of("JPY", 1200), "¥1200");
        assert_eq!(of("CHF", 900), "CHF 9.00");
    }
}
