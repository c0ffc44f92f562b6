//! The layout of document keys, on one screen. No key of an org's document
//! exists without its scope.

use sloe_core::ids::{ClaimId, OrgId, SfId};

use crate::scope::OrgScope;

/// The kinds of documents. Each is a name space of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// Connected orgs: profile, credentials (sealed), sealed data key.
    Orgs,
    /// License rows by org.
    Licenses,
    /// Event snapshots.
    Snapshots,
    /// Old event slugs, for redirects.
    Slugs,
    /// Keys of events' requests, wrapped; destroyed when a retention ends.
    EventKeys,
    /// Orders, projected from the journal.
    Orders,
    /// How far an event's orders are projected.
    Projections,
    /// What the org holds of a record that Sloe sent.
    Delivered,
    /// Sends under way, recorded before they start.
    Sends,
    /// Rows to be sent again later.
    Retries,
    /// Rows that failed for good.
    DeadLetters,
    /// How comparisons with the org went.
    Verified,
    /// An org's API calls, counted.
    Budgets,
    /// What orgs call their objects and fields.
    Mappings,
    /// How the last refreshes of an org's events went, and what was read then.
    Reads,
    /// Up to where changes in an org were read, and up to when its hook's calls were taken.
    Marks,
    /// Whether an org tells of changes by itself, and up to where it did.
    ChangeEvents,
    /// Settings of the platform itself, its wrapped keys among them.
    Platform,
    /// Staff's sign-in links and sessions; hashes only.
    Staff,
    /// The nodes that run on this store.
    Nodes,
    /// Which node does which work that one does at a time.
    Leases,
    /// What one node asks of whichever node does an org's work.
    Asks,
    /// How an org's work stands, told by the node that does it.
    Standings,
}

impl Collection {
    /// All of them, for tools.
    pub const ALL: [Self; 23] = [
        Self::Orgs,
        Self::Licenses,
        Self::Snapshots,
        Self::Slugs,
        Self::EventKeys,
        Self::Orders,
        Self::Projections,
        Self::Delivered,
        Self::Sends,
        Self::Retries,
        Self::DeadLetters,
        Self::Verified,
        Self::Budgets,
        Self::Mappings,
        Self::Reads,
        Self::Marks,
        Self::ChangeEvents,
        Self::Platform,
        Self::Staff,
        Self::Nodes,
        Self::Leases,
        Self::Asks,
        Self::Standings,
    ];

    /// Its stable name in stored form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Orgs => "orgs",
            Self::Licenses => "licenses",
            Self::Snapshots => "snapshots",
            Self::Slugs => "slugs",
            Self::EventKeys => "event_keys",
            Self::Orders => "orders",
            Self::Projections => "projections",
            Self::Delivered => "delivered",
            Self::Sends => "sends",
            Self::Retries => "retries",
            Self::DeadLetters => "dead_letters",
            Self::Verified => "verified",
            Self::Budgets => "budgets",
            Self::Mappings => "mappings",
            Self::Reads => "reads",
            Self::Marks => "marks",
            Self::ChangeEvents => "change_events",
            Self::Platform => "platform",
            Self::Staff => "staff",
            Self::Nodes => "nodes",
            Self::Leases => "leases",
            Self::Asks => "asks",
            Self::Standings => "standings",
        }
    }
}

/// The key of one document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    collection: Collection,
    id: String,
}

impl Key {
    fn new(collection: Collection, id: String) -> Self {
        Self { collection, id }
    }

    /// An org itself; listing them is how scopes are got, so no scope here.
    #[must_use]
    pub fn org(org: OrgId) -> Self {
        Self::new(Collection::Orgs, org.to_string())
    }

    /// An org's licenses; the source org tells of orgs not connected yet.
    #[must_use]
    pub fn licenses(org: OrgId) -> Self {
        Self::new(Collection::Licenses, org.to_string())
    }

    /// How far the source org of licenses was read.
    #[must_use]
    pub fn license_source() -> Self {
        Self::platform("licenses")
    }

    /// The source org's API calls, counted: it need not be a connected org.
    #[must_use]
    pub fn license_budget() -> Self {
        Self::platform("license calls")
    }

    /// A setting of the platform.
    #[must_use]
    pub fn platform(name: &str) -> Self {
        Self::new(Collection::Platform, name.to_owned())
    }

    /// A sign-in link of staff, by a part of its token's hash.
    #[must_use]
    pub fn staff_link(hash: &str) -> Self {
        Self::new(Collection::Staff, format!("link/{hash}"))
    }

    /// A session of staff, by a part of its secret's hash.
    #[must_use]
    pub fn staff_session(hash: &str) -> Self {
        Self::new(Collection::Staff, format!("session/{hash}"))
    }

    /// A node that runs, by its own name.
    #[must_use]
    pub fn node(name: &str) -> Self {
        Self::new(Collection::Nodes, name.to_owned())
    }

    /// Who does a piece of work that one node does at a time.
    #[must_use]
    pub fn lease(work: &str) -> Self {
        Self::new(Collection::Leases, work.to_owned())
    }

    /// What is asked of whichever node does an org's work, by a name of its own.
    #[must_use]
    pub fn ask(scope: OrgScope, name: &str) -> Self {
        Self::scoped(Collection::Asks, scope, name)
    }

    /// How an org's work stands.
    #[must_use]
    pub fn standing(scope: OrgScope) -> Self {
        Self::scoped(Collection::Standings, scope, "work")
    }

    /// An event's snapshot.
    #[must_use]
    pub fn snapshot(scope: OrgScope, event: SfId) -> Self {
        Self::scoped(Collection::Snapshots, scope, event.as_str())
    }

    /// A slug that an event had.
    #[must_use]
    pub fn slug(scope: OrgScope, slug: &str) -> Self {
        Self::scoped(Collection::Slugs, scope, slug)
    }

    /// The key of an event's requests.
    #[must_use]
    pub fn event_key(scope: OrgScope, event: SfId) -> Self {
        Self::scoped(Collection::EventKeys, scope, event.as_str())
    }

    /// An order.
    #[must_use]
    pub fn order(scope: OrgScope, claim: ClaimId) -> Self {
        Self::scoped(Collection::Orders, scope, &claim.text())
    }

    /// How far an event's orders are projected.
    #[must_use]
    pub fn projection(scope: OrgScope, event: SfId) -> Self {
        Self::scoped(Collection::Projections, scope, event.as_str())
    }

    /// A record sent to the org, by its external id.
    #[must_use]
    pub fn delivered(scope: OrgScope, external_id: &str) -> Self {
        Self::scoped(Collection::Delivered, scope, external_id)
    }

    /// A send under way to the org.
    #[must_use]
    pub fn send(scope: OrgScope, name: &str) -> Self {
        Self::scoped(Collection::Sends, scope, name)
    }

    /// A row to be sent again, by its external id.
    #[must_use]
    pub fn retry(scope: OrgScope, external_id: &str) -> Self {
        Self::scoped(Collection::Retries, scope, external_id)
    }

    /// A row that failed for good, by its external id.
    #[must_use]
    pub fn dead_letter(scope: OrgScope, external_id: &str) -> Self {
        Self::scoped(Collection::DeadLetters, scope, external_id)
    }

    /// How a comparison with the org went: of all, or of one event.
    #[must_use]
    pub fn verified(scope: OrgScope, name: &str) -> Self {
        Self::scoped(Collection::Verified, scope, name)
    }

    /// An org's API calls, counted.
    #[must_use]
    pub fn budget(scope: OrgScope) -> Self {
        Self::scoped(Collection::Budgets, scope, "calls")
    }

    /// What an org calls its objects and fields.
    #[must_use]
    pub fn mapping(scope: OrgScope) -> Self {
        Self::scoped(Collection::Mappings, scope, "mapping")
    }

    /// How a refresh went: of an event by its Salesforce id, or of the whole org.
    #[must_use]
    pub fn read(scope: OrgScope, of: &str) -> Self {
        Self::scoped(Collection::Reads, scope, of)
    }

    /// Up to where the poll has read an org's changes.
    #[must_use]
    pub fn marks(scope: OrgScope) -> Self {
        Self::scoped(Collection::Marks, scope, "poll")
    }

    /// Up to when the calls of an org's hook that were taken are signed.
    #[must_use]
    pub fn hook_mark(scope: OrgScope) -> Self {
        Self::scoped(Collection::Marks, scope, "hook")
    }

    /// One of the notes about an org's change events.
    #[must_use]
    pub fn change_events(scope: OrgScope, name: &str) -> Self {
        Self::scoped(Collection::ChangeEvents, scope, name)
    }

    fn scoped(collection: Collection, scope: OrgScope, id: &str) -> Self {
        Self::new(collection, format!("{}/{id}", scope.org()))
    }

    /// Its name space.
    #[must_use]
    pub fn collection(&self) -> Collection {
        self.collection
    }

    /// Its place there: the org's id, then a slash, for scoped documents.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id without its org.
    #[must_use]
    pub fn local_id(&self) -> &str {
        self.id.split_once('/').map_or(self.id.as_str(), |(_, local)| local)
    }

    pub(crate) fn from_parts(collection: Collection, id: String) -> Self {
        Self::new(collection, id)
    }
}

/// Whose documents a scan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// All of a collection; for start-up and tools.
    All(Collection),
    /// One org's.
    Org(Collection, OrgScope),
}

impl Range {
    /// Its collection, its first possible id, and the id that all of its are before.
    pub(crate) fn bounds(self) -> (Collection, String, String) {
        match self {
            // No id begins with the last of all characters.
            Self::All(collection) => (collection, String::new(), char::MAX.to_string()),
            // An org's documents are named by its id, or begin with it and a slash;
            // no id of 18 letters and digits begins another.
            Self::Org(collection, scope) => {
                let org = scope.org().to_string();
                let end = format!("{org}0");
                (collection, org, end)
            }
        }
    }
}
