//! Colors: sRGB in and out, contrast as WCAG 2.2 defines it, and changes of
//! lightness and hue in Oklab (Björn Ottosson, 2020), where they look even.

use std::fmt;

/// An opaque sRGB color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    r: u8,
    g: u8,
    b: u8,
}

impl Color {
    /// From its three channels.
    #[must_use]
    pub const fn rgb(r: u8, g: u8, b: u8) -> Self {
        Self { r, g, b }
    }

    /// Reads `#rrggbb`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text
            .strip_prefix('#')
            .filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let value = u32::from_str_radix(digits, 16).ok()?;
        let [_, r, g, b] = value.to_be_bytes();
        Some(Self { r, g, b })
    }

    /// The share `other` (0 to 1) of another color mixed in.
    #[must_use]
    pub fn mixed(self, with: Self, other: f64) -> Self {
        let (a, b) = (self.oklab(), with.oklab());
        let mix = |x: f64, y: f64| x + (y - x) * other;
        Self::from_oklab([mix(a[0], b[0]), mix(a[1], b[1]), mix(a[2], b[2])])
    }

    /// This hue turned by `turn` degrees at Oklab lightness `lightness`
    /// (0 black, 1 white), with at most a moderate chroma.
    #[must_use]
    pub fn toned(self, lightness: f64, turn: f64) -> Self {
        let [_, a, b] = self.oklab();
        let chroma = a.hypot(b).min(0.13);
        let hue = b.atan2(a) + turn.to_radians();
        Self::from_oklab([lightness, chroma * hue.cos(), chroma * hue.sin()])
    }

    /// Which way around the wheel this color's neighbors look better in the
    /// dark: warm colors toward red, as orange toward green turns muddy.
    #[must_use]
    pub fn turn(self) -> f64 {
        let [_, a, b] = self.oklab();
        if (10.0..125.0).contains(&b.atan2(a).to_degrees()) { -1.0 } else { 1.0 }
    }

    /// The nearest lightness of this color that has a contrast of at least
    /// `ratio` (at most 15) to each of `backgrounds`, which are alike: darker
    /// on light ones, lighter on dark ones.
    #[must_use]
    pub fn fitted(self, backgrounds: &[Self], ratio: f64) -> Self {
        let enough = |color: Self| backgrounds.iter().all(|page| contrast(color, *page) >= ratio);
        if enough(self) {
            return self;
        }
        let dark = backgrounds.iter().all(|page| page.luminance() < 0.18);
        let [start, a, b] = self.oklab();
        let (mut bad, mut good) = (start, if dark { 1.0 } else { 0.0 });
        for _ in 0..24 {
            let middle = f64::midpoint(bad, good);
            // Chroma fades toward white and black, as the gamut does.
            if enough(Self::shaded(middle, a, b)) { good = middle } else { bad = middle }
        }
        Self::shaded(good, a, b)
    }

    fn shaded(lightness: f64, a: f64, b: f64) -> Self {
        let room = (lightness.min(1.0 - lightness) * 3.0).clamp(0.0, 1.0);
        Self::from_oklab([lightness, a * room, b * room])
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let [r, g, b] = self.linear();
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    fn linear(self) -> [f64; 3] {
        [self.r, self.g, self.b].map(|channel| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn oklab(self) -> [f64; 3] {
        let [r, g, b] = self.linear();
        let l = (0.412_221_470_8 * r + 0.536_332_536_3 * g + 0.051_445_992_9 * b).cbrt();
        let m = (0.211_903_498_2 * r + 0.680_699_545_1 * g + 0.107_396_956_6 * b).cbrt();
        let s = (0.088_302_461_9 * r + 0.281_718_837_6 * g + 0.629_978_700_5 * b).cbrt();
        [
            0.210_454_255_3 * l + 0.793_617_785_0 * m - 0.004_072_046_8 * s,
            1.977_998_495_1 * l - 2.428_592_205_0 * m + 0.450_593_709_9 * s,
            0.025_904_037_1 * l + 0.782_771_766_2 * m - 0.808_675_766_0 * s,
        ]
    }

    fn from_oklab([lightness, a, b]: [f64; 3]) -> Self {
        let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
        let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
        let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
        Self {
            r: channel(4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s),
            g: channel(-1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s),
            b: channel(-0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s),
        }
    }
}

/// One linear channel as eight bits.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=255 first"
)]
fn channel(linear: f64) -> u8 {
    let c = linear.clamp(0.0, 1.0);
    let c = if c <= 0.003_130_8 { c * 12.92 } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 };
    (c * 255.0).round().clamp(0.0, 255.0) as u8
}

/// The contrast ratio of two colors, 1 to 21 (WCAG 2.2).
#[must_use]
pub fn contrast(a: Color, b: Color) -> f64 {
    let (a, b) = (a.luminance(), b.luminance());
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.r, self.g, self.b)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Color, contrast};

    #[test]
    fn contrast_agrees_with_the_standard_s_examples() {
        assert!((contrast(Color::rgb(0, 0, 0), Color::rgb(255, 255, 255)) - 21.0).abs() < 0.001);
        // #767676 is the lightest gray that passes AA on white.
        assert!(contrast(Color::parse("#767676").unwrap(), Color::rgb(255, 255, 255)) >= 4.5);
        assert!(contrast(Color::parse("#777777").unwrap(), Color::rgb(255, 255, 255)) < 4.5);
    }

    #[test]
    fn only_six_digits_after_a_hash_are_a_color() {
        for text in ["", "#", "#12345", "#1234567", "123456", "#12345g", "#+12345", "#é2345"] {
            assert_eq!(Color::parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_color_survives_the_way_through_oklab(r: u8, g: u8, b: u8) {
            let color = Color::rgb(r, g, b);
            let back = Color::from_oklab(color.oklab());
            assert!(color.r.abs_diff(back.r) <= 1 && color.g.abs_diff(back.g) <= 1 && color.b.abs_diff(back.b) <= 1);
            assert_eq!(Color::parse(&color.to_string()), Some(color));
        }
    }
}
