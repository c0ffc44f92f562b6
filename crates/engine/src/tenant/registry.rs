//! All connected orgs, by id and by slug.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use sloe_core::budget::Rules;
use sloe_core::ids::OrgId;
use sloe_core::time::{self, Timestamp};
use sloe_salesforce::Credentials;
use sloe_store::api::{Store, StoreError};
use sloe_store::key::{self, Collection, Range};
use sloe_store::scope::OrgScope;

use super::hook::{self, HookSecrets};
use super::stored::{self, Opened, Profile, RESERVED};
use super::{Licenses, Org, OrgMapping};
use crate::clock::World;
use crate::seal::Key;

/// Why an org can't be connected or read.
#[derive(Debug, thiserror::Error)]
pub enum OrgError {
    /// Every fault of a profile.
    #[error("{}", .0.join("; "))]
    Profile(Vec<String>),
    /// The master key is not the one the org was connected under.
    #[error(
        "the master key does not open this org's key: start with the key the data was made with"
    )]
    MasterKey,
    /// Its document can't be read.
    #[error("the org's document is damaged: {0}")]
    Damaged(String),
    /// It was removed a moment ago.
    #[error("what is left of this org is still being deleted: try again in a minute")]
    Leaving,
    /// Licenses come from the source org.
    #[error(
        "licenses are read from the source org {0}, so they can't be recorded by hand: change the \
         license there, or start Sloe without --license-url"
    )]
    Sourced(String),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Default)]
struct Orgs {
    by_id: HashMap<OrgId, Arc<Org>>,
    by_slug: HashMap<String, Arc<Org>>,
}

/// An org that nobody sees any more, and that is still being deleted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    pub(crate) scope: OrgScope,
    /// Of what is left of its document.
    pub(crate) version: u64,
}

/// What another node changed.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// Orgs that were connected, or are connected in another way.
    pub(crate) changed: Vec<OrgId>,
    /// Orgs that were removed.
    pub(crate) gone: Vec<OrgId>,
}

/// Every org, and their licenses.
pub struct Registry {
    orgs: ArcSwap<Orgs>,
    /// Who may be live.
    pub licenses: Licenses,
    master: Key,
    world: Arc<dyn World>,
    /// Held by whoever makes a new org of an old one.
    changing: Mutex<()>,
    leaving: Mutex<BTreeMap<OrgId, Leaving>>,
    /// Orgs whose document can't be read, and why. The others go on.
    damaged: BTreeMap<OrgId, String>,
    /// The version of each org's document that was looked at last.
    seen: Mutex<BTreeMap<OrgId, u64>>,
    /// Signed hook calls of late.
    pub(super) taken: hook::Taken,
}

impl Registry {
    /// Reads all orgs from the store.
    ///
    /// # Errors
    /// [`OrgError::MasterKey`], [`OrgError::Damaged`], [`OrgError::Store`]. Damage
    /// of one org's document keeps that org away only.
    pub fn load(store: &dyn Store, master: Key, world: Arc<dyn World>) -> Result<Self, OrgError> {
        let licenses = Licenses::default();
        licenses.load(store)?;
        let changing = Mutex::default();
        let (orgs, taken) = (ArcSwap::default(), hook::Taken::default());
        let leaving = Mutex::default();
        let (damaged, seen) = (BTreeMap::new(), Mutex::default());
        let mut registry =
            Self { orgs, licenses, master, world, changing, leaving, damaged, taken, seen };
        let mut orgs = Vec::new();
        for (key, document) in store.scan(Range::All(Collection::Orgs), None, usize::MAX)? {
            let Ok(id) = OrgId::parse(key.id()) else {
                tracing::error!(key = key.id(), "a document among the orgs names none");
                continue;
            };
            // Gone since it was listed: another node has just ended its removal.
            let Some(scope) = store.open_org(id)? else { continue };
            if stored::is_leaving(&document.body) {
                registry.leaving().insert(id, Leaving { scope, version: document.version });
                continue;
            }
            let opened = match stored::decode(&document.body, &registry.master, id.as_bytes()) {
                Err(OrgError::Damaged(why)) => {
                    tracing::error!(org = %id, why, "an org's document can't be read; it is not served");
                    registry.damaged.insert(id, why);
                    continue;
                }
                opened => opened?,
            };
            let mapping = store.get(&key::Key::mapping(scope))?;
            let mapping = mapping.map(|stored| OrgMapping::take(&stored, None));
            orgs.push(Arc::new(org(scope, opened, document.version, mapping.unwrap_or_default())));
        }
        for org in orgs {
            registry.insert(&org);
        }
        Ok(registry)
    }

    /// Takes up what other nodes changed.
    ///
    /// # Errors
    /// The store's. What can't be read of one org leaves that org as it was.
    pub(crate) fn follow(&self, store: &dyn Store) -> Result<Followed, OrgError> {
        // An org that is connected meanwhile is not among the versions, and not gone.
        let before: Vec<OrgId> = self.all().iter().map(|org| org.id()).collect();
        let versions = store.versions(Range::All(Collection::Orgs))?;
        self.follow_from(store, before, versions)
    }

    /// Takes up what the versions tell; `before` are the orgs that were known before they
    /// were read.
    fn follow_from(
        &self,
        store: &dyn Store,
        before: Vec<OrgId>,
        versions: Vec<(key::Key, u64)>,
    ) -> Result<Followed, OrgError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut followed = Followed::default();
        let mut there = BTreeSet::new();
        for (key, version) in versions {
            let Ok(id) = OrgId::parse(key.id()) else { continue };
            there.insert(id);
            let known = self.by_id(id).map(|org| org.version);
            if known.is_some_and(|known| known >= version)
                || self.seen().get(&id) == Some(&version)
                || self.damaged.contains_key(&id)
            {
                continue;
            }
            // Not before it was read: what the store kept back is asked for again.
            self.take_up(store, &key, id, &mut followed)?;
            self.seen().insert(id, version);
        }
        for id in before.into_iter().filter(|id| !there.contains(id)) {
            if self.by_id(id).is_some() {
                self.remove(id);
                followed.gone.push(id);
            }
        }
        self.leaving().retain(|id, _| there.contains(id));
        // Should it come back, its versions begin anew.
        self.seen().retain(|id, _| there.contains(id));
        Ok(followed)
    }

    /// Reads one org anew.
    fn take_up(
        &self,
        store: &dyn Store,
        key: &key::Key,
        id: OrgId,
        followed: &mut Followed,
    ) -> Result<(), OrgError> {
        let Some(document) = store.get(key)? else { return Ok(()) };
        let Some(scope) = store.open_org(id)? else { return Ok(()) };
        if stored::is_leaving(&document.body) {
            self.leaving().insert(id, Leaving { scope, version: document.version });
            if self.by_id(id).is_some() {
                self.remove(id);
                followed.gone.push(id);
            }
            return Ok(());
        }
        self.leaving().remove(&id);
        match stored::decode(&document.body, &self.master, id.as_bytes()) {
            Ok(opened) => {
                let mapping = match self.by_id(id) {
                    Some(org) => Arc::clone(&org.mapping),
                    None => {
                        let mapping = store.get(&key::Key::mapping(scope))?;
                        let mapping = mapping.map(|stored| OrgMapping::take(&stored, None));
                        Arc::new(mapping.unwrap_or_default())
                    }
                };
                self.insert(&Arc::new(org(scope, opened, document.version, mapping)));
                followed.changed.push(id);
            }
            Err(error) => {
                tracing::error!(org = %id, %error, "what another node stored of this org can't be read");
            }
        }
        Ok(())
    }

    fn remove(&self, id: OrgId) {
        self.orgs.rcu(|orgs| {
            let mut orgs = Orgs { by_id: orgs.by_id.clone(), by_slug: orgs.by_slug.clone() };
            orgs.by_id.remove(&id);
            orgs.by_slug.retain(|_, org| org.id() != id);
            orgs
        });
    }

    /// Orgs that are connected and can't be served, as their document can't be
    /// read, and why.
    #[must_use]
    pub fn damaged(&self) -> &BTreeMap<OrgId, String> {
        &self.damaged
    }

    /// The org with this slug.
    #[must_use]
    pub fn by_slug(&self, slug: &str) -> Option<Arc<Org>> {
        self.orgs.load().by_slug.get(slug).cloned()
    }

    /// The org with this id.
    #[must_use]
    pub fn by_id(&self, id: OrgId) -> Option<Arc<Org>> {
        self.orgs.load().by_id.get(&id).cloned()
    }

    /// All orgs, by slug.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Org>> {
        let mut all: Vec<_> = self.orgs.load().by_id.values().cloned().collect();
        all.sort_by(|a, b| a.profile.slug.cmp(&b.profile.slug));
        all
    }

    /// Connects an org, or changes how; returns the hook's secrets, which are
    /// told only here. The ones before stay good beside them.
    ///
    /// # Errors
    /// [`OrgError::Profile`] with every fault; the store's.
    pub fn connect(
        &self,
        store: &dyn Store,
        id: OrgId,
        profile: Profile,
        connection: Credentials,
    ) -> Result<(Arc<Org>, HookSecrets), OrgError> {
        self.check(id, &profile)?;
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.leaving().contains_key(&id) {
            return Err(OrgError::Leaving);
        }
        if let Some(why) = self.damaged.get(&id) {
            // A new key would open nothing of what is stored of it.
            return Err(OrgError::Damaged(format!("{why}; restore it from a backup")));
        }
        let before = self.by_id(id);
        let key = match &before {
            Some(org) => org.key.clone(),
            None => self.random_key()?,
        };
        let fresh = self.fresh_secret(&key)?;
        let known = before.iter().flat_map(|org| org.hook_secrets.first().copied());
        let opened = Opened {
            profile,
            connection,
            key,
            hook_secrets: std::iter::once(hook::hash(&fresh.secret)).chain(known).collect(),
            budget: before.as_ref().map_or_else(Rules::default, |org| org.budget),
            closed_until: None,
        };
        let version = before.as_ref().map_or(1, |org| org.version + 1);
        Ok((self.keep(store, id, opened, version)?, fresh))
    }

    /// Lets Sloe take so much of an org's API allowance; `None` if it is not connected.
    ///
    /// # Errors
    /// The store's; then nothing changed.
    pub fn set_budget(
        &self,
        store: &dyn Store,
        id: OrgId,
        budget: Rules,
    ) -> Result<Option<Arc<Org>>, OrgError> {
        self.change(store, id, |opened| opened.budget = budget)
    }

    /// Lets every node take nothing of an org until then, or everything again; `None` if it is
    /// not connected.
    ///
    /// # Errors
    /// The store's; then nothing changed.
    pub(crate) fn close_until(
        &self,
        store: &dyn Store,
        id: OrgId,
        until: Option<Timestamp>,
    ) -> Result<Option<Arc<Org>>, OrgError> {
        self.change(store, id, |opened| opened.closed_until = until)
    }

    /// Changes one thing of a connected org's document.
    pub(super) fn change(
        &self,
        store: &dyn Store,
        id: OrgId,
        change: impl FnOnce(&mut Opened),
    ) -> Result<Option<Arc<Org>>, OrgError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = self.by_id(id) else { return Ok(None) };
        let mut opened = Opened {
            profile: before.profile.clone(),
            connection: Credentials::clone(&before.connection),
            key: before.key.clone(),
            hook_secrets: before.hook_secrets.clone(),
            budget: before.budget,
            closed_until: before.closed_until,
        };
        change(&mut opened);
        self.keep(store, id, opened, before.version + 1).map(Some)
    }

    fn keep(
        &self,
        store: &dyn Store,
        id: OrgId,
        opened: Opened,
        version: u64,
    ) -> Result<Arc<Org>, OrgError> {
        let body = stored::encode(&opened, &self.master, &*self.world, id.as_bytes())?;
        let scope = Self::write(store, id, version, &body)?;
        let mapping = self.by_id(id).map(|org| Arc::clone(&org.mapping)).unwrap_or_default();
        let org = Arc::new(org(scope, opened, version, mapping));
        self.insert(&org);
        Ok(org)
    }

    /// Writes an org's document, if nobody else has changed it since it was read here.
    fn write(
        store: &dyn Store,
        id: OrgId,
        version: u64,
        body: &[u8],
    ) -> Result<OrgScope, StoreError> {
        let scope = store.add_org(id, version, body.to_vec())?;
        // Of two nodes that change it at once the store keeps the first.
        let stored = store.get(&key::Key::org(id))?;
        if stored.is_none_or(|stored| stored.body != body) {
            let why = "the org was changed elsewhere at the same moment: try again".to_owned();
            return Err(StoreError::Unavailable(why));
        }
        Ok(scope)
    }

    /// Takes an org out of everybody's sight and destroys its key, credentials
    /// and hook secrets; `None` if it is not connected. Its data is still there,
    /// and what of it is personal can't be read any more.
    ///
    /// # Errors
    /// The store's; then nothing changed.
    pub(crate) fn leave(&self, store: &dyn Store, id: OrgId) -> Result<Option<Arc<Org>>, OrgError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(org) = self.by_id(id) else { return Ok(None) };
        let version = org.version + 1;
        let body = stored::encode_leaving(self.world.now())?;
        let scope = Self::write(store, id, version, &body)?;
        self.leaving().insert(id, Leaving { scope, version });
        self.remove(id);
        Ok(Some(org))
    }

    /// The orgs that are still being deleted.
    pub(crate) fn all_leaving(&self) -> Vec<Leaving> {
        self.leaving().values().copied().collect()
    }

    /// Whether an org is still being deleted.
    pub(crate) fn is_leaving(&self, id: OrgId) -> bool {
        self.leaving().contains_key(&id)
    }

    /// Nothing of an org is left.
    pub(crate) fn has_left(&self, id: OrgId) {
        self.leaving().remove(&id);
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<OrgId, u64>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leaving(&self) -> MutexGuard<'_, BTreeMap<OrgId, Leaving>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another mapping in force for an org, if it is still connected.
    pub(crate) fn set_mapping(&self, id: OrgId, mapping: OrgMapping) -> Option<Arc<Org>> {
        let mapping = Arc::new(mapping);
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.by_id(id)?;
        let org = Arc::new(Org { mapping, ..Org::clone(&before) });
        self.insert(&org);
        Some(org)
    }

    pub(super) fn random_key(&self) -> Result<Key, OrgError> {
        Key::random(&*self.world).map_err(|e| OrgError::Damaged(e.to_string()))
    }

    fn insert(&self, org: &Arc<Org>) {
        self.orgs.rcu(|orgs| {
            let mut by_id = orgs.by_id.clone();
            by_id.insert(org.id(), Arc::clone(org));
            let by_slug =
                by_id.values().map(|org| (org.profile.slug.clone(), Arc::clone(org))).collect();
            Orgs { by_id, by_slug }
        });
    }

    fn check(&self, id: OrgId, profile: &Profile) -> Result<(), OrgError> {
        let mut faults = Vec::new();
        let mut require = |good: bool, fault: &str| {
            if !good {
                faults.push(fault.to_owned());
            }
        };
        let slug = &profile.slug;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let shaped = (2..=63).contains(&slug.len()) && slug.chars().all(plain);
        require(shaped, "the slug must be 2 to 63 lower-case letters, digits and hyphens");
        require(!RESERVED.contains(&slug.as_str()), "the slug is one that Sloe itself uses");
        let taken = self.by_slug(slug).is_some_and(|other| other.id() != id);
        require(!taken, "the slug belongs to another org");
        require(!profile.name.trim().is_empty(), "the name is empty");
        let hex = |c: char| c.is_ascii_hexdigit();
        let color = profile.accent.strip_prefix('#');
        let color = color.is_some_and(|c| c.len() == 6 && c.chars().all(hex));
        require(color, "the accent must be a color such as #4338ca");
        require(
            matches!(profile.style.as_str(), "modern" | "classic"),
            "the style must be modern or classic",
        );
        require(time::is_time_zone(&profile.time_zone), "the time zone must be an IANA name");
        let https = profile.privacy_url.as_ref().is_none_or(|url| url.starts_with("https://"));
        require(https, "the privacy notice must be an https:// address");
        require(
            (1..=3_650).contains(&profile.retention_days),
            "the retention must be 1 to 3650 days",
        );
        if faults.is_empty() { Ok(()) } else { Err(OrgError::Profile(faults)) }
    }
}

fn org(scope: OrgScope, opened: Opened, version: u64, mapping: impl Into<Arc<OrgMapping>>) -> Org {
    Org {
        mapping: mapping.into(),
        scope,
        profile: opened.profile,
        connection: Arc::new(opened.connection),
        key: opened.key,
        hook_secrets: opened.hook_secrets,
        budget: opened.budget,
        closed_until: opened.closed_until,
        version,
    }
}

#[cfg(test)]
mod tests;
