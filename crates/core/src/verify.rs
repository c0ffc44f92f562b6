//! Whether an org holds what Sloe sent: first by counts and sums per event,
//! and where those differ, row by row. Says what differs and what mends it;
//! looks at nothing by itself.

use std::collections::BTreeMap;

use crate::ids::{ClaimId, PublicId};

#[cfg(test)]
mod tests;

/// A record that Sloe keeps in an org, by what its external id is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// The order.
    pub claim: ClaimId,
    /// The attendee, from 1.
    pub place: u16,
    /// The session, for an attendee's place in one.
    pub session: Option<PublicId>,
}

impl RecordKey {
    /// The external id.
    #[must_use]
    pub fn text(&self) -> String {
        match self.session {
            Some(session) => self.claim.session_attendee_key(self.place, session),
            None => self.claim.attendee_key(self.place),
        }
    }

    /// Reads what [`RecordKey::text`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (claim, place) = (ClaimId::parse(parts.next()?)?, parts.next()?.parse().ok()?);
        let session = match parts.next() {
            Some(session) => Some(PublicId::parse(session)?),
            None => None,
        };
        // Only the one way to write it is an external id of ours.
        Some(Self { claim, place, session }).filter(|key| key.text() == text)
    }
}

/// What a row says of its attendee, in Sloe's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowStatus {
    /// Has a ticket.
    Registered,
    /// Had one.
    Cancelled,
    /// Something that Sloe never writes.
    Other,
}

/// What Sloe knows of one of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    /// The org took this state.
    Sent {
        /// Its version; `None` if it is not known which was taken.
        version: Option<u64>,
        /// Whether the ticket stands.
        registered: bool,
    },
    /// On its way, waiting, or refused: it can't be judged now.
    Moving,
    /// It never arrived, and that is known: a letter says so.
    Absent,
    /// The org's own: cancelled or deleted there, or left to it. Whatever it
    /// holds is right.
    Theirs,
}

/// What the org holds of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theirs {
    /// The version that it says.
    pub version: Option<u64>,
    /// What it says of the attendee.
    pub status: RowStatus,
    /// It lies in the recycle bin.
    pub deleted: bool,
}

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difference {
    /// The org doesn't have it.
    Missing,
    /// The org deleted it.
    Deleted,
    /// The org holds an older state than the one it took.
    Stale,
    /// The org cancelled it.
    Cancelled,
    /// The org changed what Sloe wrote: its status, or its version.
    Changed,
    /// The org holds a row that names itself Sloe's and is not.
    Surplus,
    /// The figures of an event, item or session are not those last told.
    Figures,
}

impl Difference {
    /// All, as people read them.
    pub const ALL: [Self; 7] = [
        Self::Missing,
        Self::Deleted,
        Self::Stale,
        Self::Cancelled,
        Self::Changed,
        Self::Surplus,
        Self::Figures,
    ];

    /// Its stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Deleted => "deleted",
            Self::Stale => "stale",
            Self::Cancelled => "cancelled",
            Self::Changed => "changed",
            Self::Surplus => "surplus",
            Self::Figures => "figures",
        }
    }
}

/// Rows counted, and the sum of their versions: it tells most changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// The sum of their versions.
    pub versions: u64,
}

impl Group {
    fn add(&mut self, version: u64) {
        self.count += 1;
        self.versions = self.versions.saturating_add(version);
    }
}

/// What an org holds, or should hold, of one event's rows of one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those with a ticket.
    pub registered: Group,
    /// Those that had one.
    pub cancelled: Group,
    /// Those that say something that Sloe never writes.
    pub others: Group,
}

impl Tally {
    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.groups().iter().fold(0, |rows, (_, group)| rows.saturating_add(group.count))
    }

    fn groups(&self) -> [(RowStatus, Group); 3] {
        let Self { registered, cancelled, others } = *self;
        [
            (RowStatus::Registered, registered),
            (RowStatus::Cancelled, cancelled),
            (RowStatus::Other, others),
        ]
    }

    /// Takes in a group of rows.
    pub fn add(&mut self, status: RowStatus, group: Group) {
        let to = match status {
            RowStatus::Registered => &mut self.registered,
            RowStatus::Cancelled => &mut self.cancelled,
            RowStatus::Other => &mut self.others,
        };
        to.count = to.count.saturating_add(group.count);
        to.versions = to.versions.saturating_add(group.versions);
    }
}

/// What Sloe expects of an event's rows of one object, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Rows whose state in the org is known.
    pub tally: Tally,
    /// Rows that are the org's own, which it may hold or not.
    pub theirs: u64,
    /// Rows that can't be foretold.
    pub unsure: u64,
}

impl Expected {
    /// Takes in one row.
    pub fn add(&mut self, ours: Ours) {
        match ours {
            Ours::Sent { version: Some(version), registered: true } => {
                self.tally.registered.add(version);
            }
            Ours::Sent { version: Some(version), registered: false } => {
                self.tally.cancelled.add(version);
            }
            Ours::Sent { version: None, .. } | Ours::Moving => self.unsure += 1,
            Ours::Theirs => self.theirs += 1,
            Ours::Absent => {}
        }
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tally.rows() + self.theirs + self.unsure
    }

    /// Takes in other rows of the same event and object.
    pub fn join(&mut self, others: &Self) {
        for (status, group) in others.tally.groups() {
            self.tally.add(status, group);
        }
        self.theirs += others.theirs;
        self.unsure += others.unsure;
    }

    /// Whether counts alone say that the org holds what it should: they are as
    /// foretold, or both sides are as they were (`before`) when the rows were
    /// last compared one by one and none differed.
    #[must_use]
    pub fn agrees(&self, found: &Tally, before: Option<&(Self, Tally)>) -> bool {
        let foretold = self.unsure == 0 && self.theirs == 0 && self.tally == *found;
        foretold || (self.unsure == 0 && before == Some(&(*self, *found)))
    }
}

/// Rows of one event and object, compared one by one. Of each row Sloe may
/// note something, `N`, to know it by afterwards.
#[derive(Clone, Debug)]
pub struct Comparison<N> {
    ours: BTreeMap<RecordKey, (Ours, N, Option<Theirs>)>,
    surplus: Vec<String>,
}

impl<N> Default for Comparison<N> {
    fn default() -> Self {
        Self { ours: BTreeMap::new(), surplus: Vec::new() }
    }
}

/// What a comparison row by row came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared<N> {
    /// Rows of ours that differ, by key, with what was known and noted of them.
    pub differ: Vec<Differs<N>>,
    /// External ids that are none of ours.
    pub surplus: Vec<String>,
}

/// A row of ours that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Differs<N> {
    /// Which.
    pub key: RecordKey,
    /// What Sloe knew of it.
    pub ours: Ours,
    /// What was noted with it.
    pub note: N,
    /// How it differs.
    pub how: Difference,
}

impl<N> Comparison<N> {
    /// Takes in a row that Sloe knows.
    pub fn expect(&mut self, key: RecordKey, ours: Ours, note: N) {
        self.ours.insert(key, (ours, note, None));
    }

    /// Takes in a row that the org holds, by its external id.
    pub fn see(&mut self, key: &str, theirs: Theirs) {
        let known = RecordKey::parse(key).and_then(|key| self.ours.get_mut(&key));
        match known {
            // One that lives says more than one in the recycle bin.
            Some((_, _, seen)) => {
                if seen.is_none_or(|seen| seen.deleted) {
                    *seen = Some(theirs);
                }
            }
            None if theirs.deleted => {}
            None => self.surplus.push(key.to_owned()),
        }
    }

    /// How many rows Sloe knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ours.len()
    }

    /// Whether Sloe knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ours.is_empty()
    }

    /// What differs; rows that agree are given to `agrees`.
    #[must_use]
    pub fn judged(self, mut agrees: impl FnMut(RecordKey, Ours, N)) -> Compared<N> {
        let mut differ = Vec::new();
        for (key, (ours, note, theirs)) in self.ours {
            match judge(ours, theirs) {
                Some(how) => differ.push(Differs { key, ours, note, how }),
                None => agrees(key, ours, note),
            }
        }
        let mut surplus = self.surplus;
        surplus.sort_unstable();
        Compared { differ, surplus }
    }
}

/// How a row differs, if it does.
#[must_use]
pub fn judge(ours: Ours, theirs: Option<Theirs>) -> Option<Difference> {
    let (version, registered) = match ours {
        Ours::Sent { version, registered } => (version, registered),
        Ours::Moving | Ours::Absent | Ours::Theirs => return None,
    };
    let Some(theirs) = theirs else { return Some(Difference::Missing) };
    if theirs.deleted {
        return Some(Difference::Deleted);
    }
    if theirs.version < version {
        return Some(Difference::Stale);
    }
    match (registered, theirs.status) {
        (true, RowStatus::Cancelled) => Some(Difference::Cancelled),
        (true, RowStatus::Other) | (false, RowStatus::Registered | RowStatus::Other) => {
            Some(Difference::Changed)
        }
        // A version beyond what Sloe sent would have the org refuse what comes.
        _ if version.is_some() && theirs.version > version => Some(Difference::Changed),
        _ => None,
    }
}
