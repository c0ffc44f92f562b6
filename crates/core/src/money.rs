//! Prices: whole minor units and an ISO 4217 currency.

use std::fmt;

/// An ISO 4217 currency code, three upper-case letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// ISO 4217's code for no currency at all.
    pub(crate) const NONE: Self = Self(*b"XXX");

    /// `None` unless `code` is three upper-case ASCII letters.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Self(bytes))
    }

    /// The code, `EUR` for instance.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Digits after the decimal point (ISO 4217, "minor unit").
    #[must_use]
    pub fn exponent(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG"
            | b"RWF" | b"UGX" | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

/// A price above zero. Free is `None` wherever a price is optional.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Price {
    /// In the currency's minor unit: cents for EUR, yen for JPY.
    pub minor: i64,
    /// What it is counted in.
    pub currency: Currency,
}

impl Price {
    /// The amount as a decimal without a currency: `12.50`.
    #[must_use]
    pub fn amount(&self) -> String {
        let digits = self.currency.exponent();
        let unit = 10_i64.pow(digits);
        if digits == 0 {
            return self.minor.to_string();
        }
        let (whole, rest) = (self.minor / unit, (self.minor % unit).abs());
        format!("{whole}.{rest:0width$}", width = digits as usize)
    }

    /// Reads a decimal such as `12.5`. `Ok(None)` is free (zero); `Err` says
    /// what is wrong: not a number, negative, more digits than the currency
    /// has, or beyond what can be counted.
    ///
    /// # Errors
    /// A sentence about the amount, for the organizer.
    pub fn parse(amount: &str, currency: Currency) -> Result<Option<Self>, &'static str> {
        let digits = currency.exponent() as usize;
        let text = amount.trim();
        if text.starts_with('-') {
            return Err("a price can't be negative");
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = fraction.trim_end_matches('0');
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err("a price is a decimal number such as 12.50");
        }
        if fraction.len() > digits {
            return Err("the price has more decimals than its currency");
        }
        let minor = format!("{whole}{fraction:0<digits$}");
        match minor.parse::<i64>() {
            Ok(0) => Ok(None),
            Ok(minor) => Ok(Some(Self { minor, currency })),
            Err(_) => Err("the price is too large"),
        }
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(amount: &str, code: &str) -> Result<Option<String>, &'static str> {
        let currency = Currency::parse(code).ok_or("currency")?;
        Price::parse(amount, currency).map(|p| p.map(|p| p.to_string()))
    }

    #[test]
    fn amounts_keep_their_currency_s_digits() {
        assert_eq!(read("12.5", "EUR"), Ok(Some("12.50 EUR".into())));
        assert_eq!(read("1200", "JPY"), Ok(Some("1200 JPY".into())));
        assert_eq!(read("1.234", "KWD"), Ok(Some("1.234 KWD".into())));
        assert_eq!(read("0.00", "EUR"), Ok(None));
    }

    #[test]
    fn impossible_amounts_are_refused() {
        for bad in ["", "-1", "1.001", "1e9", "abc", ".5", "99999999999999999999"] {
            assert!(read(bad, "EUR").is_err(), "{bad}");
        }
    }
}
