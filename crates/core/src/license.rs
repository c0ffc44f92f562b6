//! May this org be live? Answered from rows replicated from the vendor's own
//! org, never by asking Salesforce.
//!
//! One live row is enough. Active is live; Trial is live to its expiry; what
//! the source org said last stands for as long as it says nothing else. An
//! expiry is a date, and counts to the end of that day in UTC: a `Date` of
//! Salesforce holds no time and no zone (SOAP API Developer Guide, "Primitive
//! Data Types"), and UTC is the zone that its API counts in.
//!
//! An expiry ends a trial once the source org was read after it. A vendor who
//! renewed it in time must not lose an event because that org can't be asked;
//! so until it was read again the trial stands, for at most seven days.

use std::fmt;

use crate::time::Timestamp;

#[cfg(test)]
mod model;

/// How long an expiry is not held against an org while the source org is dark.
pub const GRACE_MILLIS: i64 = 7 * 24 * 60 * 60 * 1_000;

/// What a license row says of itself (`sfLma__License_Status__c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl Status {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Active, Self::Trial, Self::Suspended, Self::Uninstalled];

    /// As the License Management App writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Trial => "Trial",
            Self::Suspended => "Suspended",
            Self::Uninstalled => "Uninstalled",
        }
    }

    /// The status of this name, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name().eq_ignore_ascii_case(text.trim()))
    }
}

/// One license row: everything Sloe keeps of it. No personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// Its number, `L-00042` for instance.
    pub number: String,
    /// Its status.
    pub status: Status,
    /// The last moment that it counts; `None` is never over.
    pub expires_at: Option<Timestamp>,
}

/// The last moment of a day written as `2027-01-31`, in UTC.
#[must_use]
pub fn end_of_day(date: &str) -> Option<Timestamp> {
    let day: jiff::civil::Date = date.trim().parse().ok()?;
    let next = day.tomorrow().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp(next.timestamp().as_millisecond() - 1))
}

/// Where rows come from, and how old what is known of them is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Knowledge {
    /// Recorded by hand: there is no source org, so nothing can be newer.
    #[default]
    Recorded,
    /// Replicated from the source org, as it was at this moment; `None` if it
    /// was never read.
    Read(Option<Timestamp>),
}

impl Knowledge {
    /// Whether an expiry that has passed can have been renewed without our knowing.
    fn may_be_renewed(self, expiry: Timestamp) -> bool {
        match self {
            Self::Recorded => false,
            Self::Read(at) => at.is_none_or(|at| at <= expiry),
        }
    }
}

/// What one row means at a moment. The first of this list that any row gives is the org's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Active.
    Active,
    /// On trial, and not over.
    Trial,
    /// On trial by what is known, over by its date, and the source org was
    /// not read since.
    Grace,
    /// A trial that is over.
    Expired,
    /// Stopped by the vendor.
    Suspended,
    /// Removed from the org.
    Uninstalled,
}

impl Standing {
    /// Whether it lets an org be live.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Active | Self::Trial | Self::Grace)
    }
}

impl License {
    /// What this row means at `now`.
    #[must_use]
    pub fn standing(&self, knowledge: Knowledge, now: Timestamp) -> Standing {
        match (self.status, self.expires_at) {
            (Status::Active, _) => Standing::Active,
            (Status::Suspended, _) => Standing::Suspended,
            (Status::Uninstalled, _) => Standing::Uninstalled,
            (Status::Trial, None) => Standing::Trial,
            (Status::Trial, Some(end)) if now <= end => Standing::Trial,
            (Status::Trial, Some(end)) => {
                let in_grace = now <= end.plus_millis(GRACE_MILLIS);
                if in_grace && knowledge.may_be_renewed(end) {
                    Standing::Grace
                } else {
                    Standing::Expired
                }
            }
        }
    }
}

/// Whether an org holding `licenses` may take new holds at `now`: any live row will do.
#[must_use]
pub fn is_live(licenses: &[License], knowledge: Knowledge, now: Timestamp) -> bool {
    licenses.iter().any(|license| license.standing(knowledge, now).is_live())
}

/// The answer for one org, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The row that decides and what it means; `None` when the org has no row.
    pub by: Option<(License, Standing)>,
    /// How old what is known is.
    pub knowledge: Knowledge,
    /// When it was asked.
    pub now: Timestamp,
}

/// The answer at `now` for an org holding `licenses`: the best row decides, and
/// of several that are as good the one that lasts longest.
#[must_use]
pub fn answer(licenses: &[License], knowledge: Knowledge, now: Timestamp) -> Answer {
    let lasts = |license: &License| license.expires_at.map_or(i64::MAX, |end| end.0);
    let by = licenses
        .iter()
        .map(|license| (license, license.standing(knowledge, now)))
        .min_by_key(|(license, standing)| {
            (*standing, std::cmp::Reverse(lasts(license)), license.number.as_str())
        })
        .map(|(license, standing)| (license.clone(), standing));
    Answer { by, knowledge, now }
}

impl Answer {
    /// Whether new holds are taken.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.by.as_ref().is_some_and(|(_, standing)| standing.is_live())
    }

    /// Until when a passed expiry is not held against the org.
    #[must_use]
    pub fn grace_until(&self) -> Option<Timestamp> {
        let (license, standing) = self.by.as_ref()?;
        let end = license.expires_at.filter(|_| *standing == Standing::Grace)?;
        Some(end.plus_millis(GRACE_MILLIS))
    }

    /// How long ago the source org was read, in milliseconds.
    #[must_use]
    pub fn age_millis(&self) -> Option<i64> {
        match self.knowledge {
            Knowledge::Read(Some(at)) => Some(self.now.millis_since(at).max(0)),
            Knowledge::Read(None) | Knowledge::Recorded => None,
        }
    }

    /// Which row decides and what it means, in a sentence that stays the same
    /// for as long as that does.
    #[must_use]
    pub fn reason(&self) -> String {
        Reason(self).to_string()
    }

    fn write_reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((License { number, expires_at, .. }, standing)) = &self.by else {
            return write!(f, "Not live: there is no license for this org.");
        };
        let end = expires_at.map(Timestamp::to_date).unwrap_or_default();
        match standing {
            Standing::Active => write!(f, "Live: license {number} is Active."),
            Standing::Trial if expires_at.is_none() => {
                write!(f, "Live: license {number} is a trial without an end.")
            }
            Standing::Trial => write!(f, "Live: license {number} is a trial to the end of {end}."),
            Standing::Grace => {
                let until = self.grace_until().map(Timestamp::to_words).unwrap_or_default();
                write!(
                    f,
                    "Live until {until} at most: the trial of license {number} ended on {end}, but \
                     the source org was not read since, so it may have been renewed."
                )
            }
            Standing::Expired => {
                write!(f, "Not live: the trial of license {number} ended on {end}.")
            }
            Standing::Suspended => write!(f, "Not live: license {number} is Suspended."),
            Standing::Uninstalled => {
                write!(f, "Not live: license {number} says that the package was Uninstalled.")
            }
        }
    }
}

/// Which row decides, without how old that is.
struct Reason<'a>(&'a Answer);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_reason(f)
    }
}

/// The whole answer in words: which row, how old what is known is.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_reason(f)?;
        match (self.knowledge, self.age_millis()) {
            (Knowledge::Read(Some(at)), Some(age)) => {
                write!(f, " The source org was read {}, at {}.", Age(age).ago(), at.to_words())
            }
            (Knowledge::Read(_), _) => write!(f, " The source org was never read."),
            (Knowledge::Recorded, _) if self.by.is_some() => write!(f, " It was recorded by hand."),
            (Knowledge::Recorded, _) => Ok(()),
        }
    }
}

/// A length of time as people say it, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Age(pub i64);

impl Age {
    /// So long ago: `just now`, `2 minutes ago`.
    #[must_use]
    pub fn ago(self) -> String {
        if self.0 < 1_000 { "just now".to_owned() } else { format!("{self} ago") }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.max(0) / 1_000;
        let (count, unit) = match seconds {
            0..120 => (seconds, "second"),
            120..7_200 => (seconds / 60, "minute"),
            7_200..172_800 => (seconds / 3_600, "hour"),
            _ => (seconds / 86_400, "day"),
        };
        write!(f, "{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}
