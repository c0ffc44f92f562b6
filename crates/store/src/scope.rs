//! The only proof of tenancy: whoever holds an [`OrgScope`] got it from a
//! store that knows the org. Its constructor is private to this crate.

use sloe_core::ids::OrgId;

/// Access to one org's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrgScope(OrgId);

impl OrgScope {
    pub(crate) fn new(org: OrgId) -> Self {
        Self(org)
    }

    /// Whose.
    #[must_use]
    pub fn org(&self) -> OrgId {
        self.0
    }
}
