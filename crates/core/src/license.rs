//! May this org be live? Answered from rows replicated from the vendor's own
//! org, never by asking Salesforce.

use crate::time::Timestamp;

/// What a license row says of itself (`sfLma__License_Status__c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Paid for and running.
    Active,
    /// On trial until its expiry.
    Trial,
    /// Stopped by the vendor.
    Suspended,
    /// The package was removed from the org.
    Uninstalled,
}

/// One license row: everything Sloe keeps of it. No personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// Its number, `L-00042` for instance.
    pub number: String,
    /// Its status.
    pub status: Status,
    /// When it ends; `None` is never.
    pub expires_at: Option<Timestamp>,
}

impl License {
    /// Whether this row alone lets its org be live at `now`: Active, or Trial
    /// not past its expiry.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        match self.status {
            Status::Active => true,
            Status::Trial => self.expires_at.is_none_or(|end| now <= end),
            Status::Suspended | Status::Uninstalled => false,
        }
    }
}

/// Whether an org holding `licenses` may take new holds at `now`: any live row will do.
#[must_use]
pub fn is_live(licenses: &[License], now: Timestamp) -> bool {
    licenses.iter().any(|license| license.is_live(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn license(status: Status, expires_at: Option<i64>) -> License {
        License { number: "L-00001".into(), status, expires_at: expires_at.map(Timestamp) }
    }

    #[test]
    fn one_live_row_is_enough() {
        let now = Timestamp(100);
        assert!(!is_live(&[], now));
        assert!(is_live(&[license(Status::Active, None)], now));
        assert!(is_live(&[license(Status::Trial, Some(100))], now));
        assert!(!is_live(&[license(Status::Trial, Some(99))], now));
        assert!(!is_live(&[license(Status::Suspended, None)], now));
        assert!(is_live(&[license(Status::Suspended, None), license(Status::Active, None)], now));
    }
}
