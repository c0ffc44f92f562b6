//! How an org's pages look: its accent color fitted to both themes so that
//! every pair of colors has the contrast WCAG 2.2 AA asks for, its pattern, its
//! corners and its display face, as one small generated stylesheet.

use std::fmt::Write as _;

use super::color::Color;
use super::markup::{Markup, escape_into};

/// Page and card backgrounds of `site.css` in both themes; the accent is
/// fitted to the one that is harder to read on.
const LIGHT: [Color; 2] = [Color::rgb(0xfb, 0xfa, 0xf8), Color::rgb(0xff, 0xff, 0xff)];
const DARK: [Color; 2] = [Color::rgb(0x13, 0x12, 0x15), Color::rgb(0x1d, 0x1b, 0x20)];
const WHITE: Color = Color::rgb(0xff, 0xff, 0xff);
const NIGHT: Color = Color::rgb(0x13, 0x12, 0x15);

/// The drawing behind an org's headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pattern {
    /// Concentric rings from a corner.
    #[default]
    Rings,
    /// A fine grid with dots where the lines meet.
    Grid,
    /// Rolling lines.
    Waves,
}

/// How round boxes and buttons are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Corners {
    /// A little.
    #[default]
    Soft,
    /// Hardly.
    Sharp,
    /// Very.
    Round,
}

/// The face of headings; both are stacks of fonts that systems bring along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Face {
    /// Without serifs, tight.
    #[default]
    Sans,
    /// With serifs.
    Serif,
}

/// An org's look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The org's color.
    pub accent: Color,
    /// Behind its headers.
    pub pattern: Pattern,
    /// Of boxes and buttons.
    pub corners: Corners,
    /// Of headings.
    pub face: Face,
}

impl Default for Look {
    /// Sloe's own: the color of the fruit.
    fn default() -> Self {
        Self {
            accent: Color::rgb(0x46, 0x3f, 0x8f),
            pattern: Pattern::Rings,
            corners: Corners::Soft,
            face: Face::Sans,
        }
    }
}

impl Look {
    /// The org's stylesheet, loaded after `site.css`.
    #[must_use]
    pub fn stylesheet(&self) -> String {
        let light = self.accent.fitted(&LIGHT, 5.2).fitted(&[WHITE], 5.2);
        let dark = self.accent.fitted(&DARK, 7.2);
        let mut css = String::with_capacity(2_500);
        let (radius, pill) = match self.corners {
            Corners::Soft => ("12px", "10px"),
            Corners::Sharp => ("3px", "3px"),
            Corners::Round => ("24px", "99px"),
        };
        let _ = write!(
            css,
            ":root{{--accent:{light};--on-accent:#fff;--tint:{};--radius:{radius};--pill:{pill};{}--pattern:{}}}",
            light.mixed(WHITE, 0.92),
            self.face.declarations(),
            self.pattern.image(),
        );
        self.tones(&mut css, 0.37);
        let _ = write!(
            css,
            "@media(prefers-color-scheme:dark){{:root{{--accent:{dark};--on-accent:{NIGHT};--tint:{}}}",
            dark.mixed(DARK[1], 0.86)
        );
        self.tones(&mut css, 0.27);
        css.push('}');
        css
    }

    /// Four related header colors, so that events of one org differ and belong
    /// together.
    fn tones(&self, css: &mut String, lightness: f64) {
        for (tone, turn) in [0.0, 28.0, -30.0, 56.0].into_iter().enumerate() {
            let (from, to) = self.header(lightness, turn);
            let _ = write!(css, ".tone-{tone}{{--hero-a:{from};--hero-b:{to}}}");
        }
    }

    /// Both ends of a header's color, turned by `turn` degrees from the
    /// accent; white text reads well on each.
    fn header(&self, lightness: f64, turn: f64) -> (Color, Color) {
        let way = self.accent.turn();
        (
            self.accent.toned(lightness, way * turn).fitted(&[WHITE], 7.0),
            self.accent.toned(lightness + 0.08, way * (turn + 36.0)).fitted(&[WHITE], 6.0),
        )
    }

    /// The org's colors as a small picture, for a page that shows several orgs
    /// and so can't load each one's stylesheet. `id` is unique in the page.
    #[must_use]
    pub fn swatch(&self, id: &str) -> Markup {
        let (from, to) = self.header(0.4, 0.0);
        let mut safe = String::new();
        escape_into(&mut safe, id);
        Markup::vouched(format!(
            r##"<svg class="swatch" viewBox="0 0 320 96" preserveAspectRatio="none" aria-hidden="true"><defs><linearGradient id="swatch-{safe}"><stop stop-color="{from}"/><stop offset="1" stop-color="{to}"/></linearGradient></defs><path fill="url(#swatch-{safe})" d="M0 0h320v96H0z"/></svg>"##
        ))
    }

    /// The color for mail, whose readers see a white page.
    #[must_use]
    pub fn mail_accent(&self) -> String {
        self.accent.fitted(&[WHITE], 5.2).to_string()
    }
}

impl Face {
    fn declarations(self) -> &'static str {
        match self {
            Self::Sans => "",
            Self::Serif => {
                "--display:\"Iowan Old Style\",\"Palatino Linotype\",Palatino,\"URW Palladio L\",P052,Georgia,\"DejaVu Serif\",serif;--display-weight:600;--display-track:-.012em;"
            }
        }
    }
}

impl Pattern {
    fn image(self) -> &'static str {
        match self {
            Self::Rings => {
                "url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='720' height='720' fill='none' stroke='%23fff' stroke-opacity='.13' stroke-width='26'%3E%3Ccircle cx='600' cy='120' r='90'/%3E%3Ccircle cx='600' cy='120' r='190'/%3E%3Ccircle cx='600' cy='120' r='290'/%3E%3Ccircle cx='600' cy='120' r='390'/%3E%3C/svg%3E\") right top/720px no-repeat"
            }
            Self::Grid => {
                "url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='36' height='36'%3E%3Cpath d='M36 0H0v36' fill='none' stroke='%23fff' stroke-opacity='.11'/%3E%3Ccircle cx='0' cy='0' r='2.2' fill='%23fff' fill-opacity='.2'/%3E%3Ccircle cx='36' cy='0' r='2.2' fill='%23fff' fill-opacity='.2'/%3E%3Ccircle cx='0' cy='36' r='2.2' fill='%23fff' fill-opacity='.2'/%3E%3Ccircle cx='36' cy='36' r='2.2' fill='%23fff' fill-opacity='.2'/%3E%3C/svg%3E\") right top/36px"
            }
            Self::Waves => {
                "url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='240' height='48' fill='none' stroke='%23fff' stroke-opacity='.17' stroke-width='2'%3E%3Cpath d='M0 24c40-28 80-28 120 0s80 28 120 0M0 48c40-28 80-28 120 0s80 28 120 0M0 0c40-28 80-28 120 0s80 28 120 0'/%3E%3C/svg%3E\") right top/240px"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::color::{Color, contrast};
    use super::{DARK, LIGHT, Look, NIGHT, WHITE};

    /// The value of `name` where it is set the `nth` time.
    fn value(css: &str, name: &str, nth: usize) -> Color {
        let at = css.match_indices(&format!("{name}:#")).nth(nth).unwrap().0 + name.len() + 1;
        Color::parse(&css[at..at + 7]).unwrap()
    }

    proptest::proptest! {
        #[test]
        fn any_accent_reads_well_in_both_themes(r: u8, g: u8, b: u8) {
            let css = Look { accent: Color::rgb(r, g, b), ..Look::default() }.stylesheet();
            let (light, dark) = (value(&css, "--accent", 0), value(&css, "--accent", 1));
            for page in LIGHT {
                assert!(contrast(light, page) >= 4.5, "{light} on {page}");
            }
            assert!(contrast(light, WHITE) >= 4.5);
            assert!(contrast(light, value(&css, "--tint", 0)) >= 4.5);
            for page in DARK {
                assert!(contrast(dark, page) >= 4.5, "{dark} on {page}");
            }
            assert!(contrast(dark, NIGHT) >= 4.5);
            assert!(contrast(dark, value(&css, "--tint", 1)) >= 4.5);
            for nth in 0..8 {
                assert!(contrast(value(&css, "--hero-a", nth), WHITE) >= 7.0);
                assert!(contrast(value(&css, "--hero-b", nth), WHITE) >= 6.0);
            }
        }
    }

    #[test]
    fn the_stylesheet_is_small_and_balanced() {
        let css = Look::default().stylesheet();
        assert!(css.len() < 2_500, "{}", css.len());
        assert_eq!(css.matches('{').count(), css.matches('}').count());
    }
}
