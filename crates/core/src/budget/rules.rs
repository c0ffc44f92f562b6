//! How much of an org's allowance Sloe may take: the customer's choice, within
//! bounds that leave both sides able to work.

/// What an org lets Sloe have of its API allowance. Can't hold a share or a
/// reserve outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    share: u8,
    reserve: u8,
    at_once: u8,
}

impl Default for Rules {
    fn default() -> Self {
        Self { share: 15, reserve: 20, at_once: 4 }
    }
}

impl Rules {
    /// Of the allowance, what Sloe may use in 24 hours, in hundredths.
    pub const SHARE: std::ops::RangeInclusive<u8> = 1..=80;
    /// Of the allowance, what Sloe leaves alone whoever used the rest, in hundredths.
    pub const RESERVE: std::ops::RangeInclusive<u8> = 5..=80;
    /// Calls at the same time. Salesforce allows 25 that take longer than 20 s
    /// in production and sandboxes, all integrations together ("Salesforce
    /// Developer Limits Quick Reference", API request limits).
    pub const AT_ONCE: std::ops::RangeInclusive<u8> = 1..=15;

    /// Checks and takes them.
    ///
    /// # Errors
    /// Every number that is out of its range, in a sentence each.
    pub fn new(share: u8, reserve: u8, at_once: u8) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut check = |name, value, range: std::ops::RangeInclusive<u8>, unit| {
            if !range.contains(&value) {
                let (from, to) = (range.start(), range.end());
                faults.push(format!("{name} must be {from} to {to}{unit}, not {value}"));
            }
        };
        check("the share", share, Self::SHARE, " percent of the allowance");
        check("the reserve", reserve, Self::RESERVE, " percent of the allowance");
        check("calls at once", at_once, Self::AT_ONCE, "");
        if faults.is_empty() && share + reserve > 100 {
            faults.push(format!(
                "the share ({share} percent) and the reserve ({reserve} percent) are more than \
                 the whole allowance"
            ));
        }
        if faults.is_empty() { Ok(Self { share, reserve, at_once }) } else { Err(faults) }
    }

    /// Of the allowance, what Sloe may use in 24 hours, in hundredths.
    #[must_use]
    pub fn share(self) -> u8 {
        self.share
    }

    /// Of the allowance, what Sloe leaves alone, in hundredths.
    #[must_use]
    pub fn reserve(self) -> u8 {
        self.reserve
    }

    /// Calls at the same time.
    #[must_use]
    pub fn at_once(self) -> u8 {
        self.at_once
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_out_of_its_range_is_named() {
        let faults = Rules::new(0, 90, 16).err().unwrap_or_default();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(Rules::new(80, 30, 1).is_err_and(|faults| faults.len() == 1));
        assert_eq!(Rules::new(15, 20, 4), Ok(Rules::default()));
    }
}
