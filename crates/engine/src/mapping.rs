//! Changing what an org calls its objects and fields: checked by the reader's
//! own code and against the org itself, stored with the one before it, and in
//! force at the next refresh and the next batch. Every node looks at what is
//! stored, so that a change reaches all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use sloe_core::ids::OrgId;
use sloe_core::verify::RecordKey;
use sloe_salesforce::{Advice, Error, Mapping};
pub use sloe_salesforce::{Finding, MappingFault, Severity};
use sloe_store::api::{StoreError, Write};
use sloe_store::key::{Collection, Key, Range};

use crate::engine::Engine;
use crate::tenant::{MappingText, Org, OrgError, OrgMapping};
use crate::worker::{orgs, stored};

/// Why a mapping stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// Sloe serves no such org.
    #[error("the org is not connected")]
    NotFound,
    /// Every fault of the text.
    #[error("the mapping can't be used")]
    Faulty(Vec<MappingFault>),
    /// The org could not be asked.
    #[error("{}", told(.0))]
    Org(#[from] Error),
    /// The org and the mapping don't fit.
    #[error("the org is not ready for this mapping")]
    NotReady(Vec<Finding>),
    /// The org holds records under the names before.
    #[error(transparent)]
    Moved(#[from] Moved),
    /// There is none before it.
    #[error("there was no other mapping before this one")]
    NothingBefore,
    /// Nothing stored can be used.
    #[error("{0}")]
    Unusable(String),
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What happened and what to do, for somebody who waits for the answer: nothing
/// tries again by itself.
pub(crate) fn told(error: &Error) -> String {
    match error.advice() {
        Advice::Retry | Advice::Wait => format!("{} Try again later.", error.means()),
        _ => format!("{} {}", error.means(), error.remedy()),
    }
}

/// A mapping that would lose the way to what the org holds.
#[derive(Debug, thiserror::Error)]
#[error(
    "the org holds attendees that Sloe wrote under the names before, and Sloe can't move them: the \
     {0} can't be changed any more. Other fields can."
)]
pub struct Moved(String);

impl Engine {
    /// In what an org and its mapping differ, blockers first.
    ///
    /// # Errors
    /// [`MappingError::NotFound`], [`MappingError::Unusable`], [`MappingError::Org`],
    /// [`MappingError::Store`].
    pub async fn check_org(&self, org: OrgId) -> Result<Vec<Finding>, MappingError> {
        let org = self.registry().by_id(org).ok_or(MappingError::NotFound)?;
        let unusable = || org.mapping.trouble.clone().unwrap_or_default();
        let mapping = org.mapping.mapping.clone();
        let mapping = mapping.ok_or_else(|| MappingError::Unusable(unusable()))?;
        orgs::check(self, &org, mapping).await
    }

    /// Checks a mapping's text and puts it in force; what isn't as it should
    /// be, but keeps nothing from working. The whole org is read anew then.
    ///
    /// # Errors
    /// [`MappingError`]; then the one in force stays.
    pub async fn set_mapping(
        &self,
        org: OrgId,
        text: String,
    ) -> Result<Vec<Finding>, MappingError> {
        let org = self.registry().by_id(org).ok_or(MappingError::NotFound)?;
        let mapping = Mapping::parse(&text).map_err(MappingError::Faulty)?;
        if let Some(old) = &org.mapping.mapping {
            self.may_move(&org, old, &mapping).await?;
        }
        let findings = orgs::check(self, &org, mapping.clone()).await?;
        if findings.iter().any(|finding| finding.severity == Severity::Blocker) {
            return Err(MappingError::NotReady(findings));
        }
        self.keep_mapping(&org, mapping, text).await?;
        Ok(findings)
    }

    /// Puts the mapping before the one in force in force again; where what is
    /// stored can't be used, the last good one, which is in force already. It was
    /// checked when it came, so the org is not asked: going back must not depend on it.
    ///
    /// # Errors
    /// [`MappingError`]; then the one in force stays.
    pub async fn set_mapping_back(&self, org: OrgId) -> Result<(), MappingError> {
        let org = self.registry().by_id(org).ok_or(MappingError::NotFound)?;
        let last_good = org.mapping.mapping.as_ref().filter(|_| org.mapping.trouble.is_some());
        let text = match (last_good, &org.mapping.before) {
            (Some(_), _) => org.mapping.text().to_owned(),
            (None, Some(before)) => before.text.clone(),
            (None, None) => return Err(MappingError::NothingBefore),
        };
        let mapping = Mapping::parse(&text).map_err(MappingError::Faulty)?;
        if let Some(old) = &org.mapping.mapping {
            self.may_move(&org, old, &mapping).await?;
        }
        self.keep_mapping(&org, mapping, text).await?;
        Ok(())
    }

    /// Refuses names that would lead away from what the org holds: a record is
    /// known by its object, its external id and its id there.
    pub(crate) async fn may_move(
        &self,
        org: &Org,
        old: &Mapping,
        new: &Mapping,
    ) -> Result<(), MoveError> {
        let names = |mapping: &Mapping| {
            let (attendee, session) = (&mapping.attendee, &mapping.session_attendee);
            BTreeMap::from([
                ("attendee's object", attendee.object.clone()),
                ("attendee's external_id", attendee.key.clone()),
                ("session attendee's object", session.object.clone()),
                ("session attendee's external_id", session.key.clone()),
            ])
        };
        let (old, new) = (names(old), names(new));
        let moved = old.iter().filter(|(what, name)| {
            !new.get(*what).is_some_and(|other| other.eq_ignore_ascii_case(name))
        });
        let moved: Vec<&str> = moved.map(|(what, _)| *what).collect();
        if moved.is_empty() {
            return Ok(());
        }
        let scope = org.scope;
        let holds = stored(self, move |store| {
            let range = Range::Org(Collection::Delivered, scope);
            let mut after = None;
            loop {
                let some = store.scan(range, after.as_ref(), 1_000)?;
                let Some((last, _)) = some.last() else { return Ok(false) };
                // Figures and retention have notes of their own there.
                let is_row = |key: &Key| RecordKey::parse(key.local_id()).is_some();
                if some.iter().any(|(key, _)| is_row(key)) {
                    return Ok(true);
                }
                after = Some(last.clone());
            }
        });
        if holds.await? { Err(Moved(moved.join(" and the ")).into()) } else { Ok(()) }
    }

    /// Stores a mapping that was checked, and puts it in force, if nobody else has changed it
    /// since the one that it takes the place of was read here.
    pub(crate) async fn keep_mapping(
        &self,
        org: &Org,
        mapping: Mapping,
        text: String,
    ) -> Result<Arc<Org>, StoreError> {
        let text = MappingText::new(text, self.now());
        let next = org.mapping.replaced(mapping, Some(text));
        let (key, version, body) = (Key::mapping(org.scope), next.version, next.encode());
        stored(self, move |store| {
            let write = Write { key: key.clone(), version, body: Some(body.clone()) };
            store.put(&[write])?;
            // Of two nodes that change it at once the store keeps the first.
            if store.get(&key)?.is_none_or(|stored| stored.body != body) {
                let why = "the mapping was changed elsewhere at the same moment: look at that one, \
                           then try again";
                return Err(StoreError::Unavailable(why.to_owned()));
            }
            Ok(())
        })
        .await?;
        let org = self.registry().set_mapping(org.id(), next);
        let org = org.ok_or_else(|| StoreError::Unavailable("the org is gone".to_owned()))?;
        tracing::info!(org = %org.id(), version = org.mapping.version, "another mapping is in force");
        self.request_refresh(org.id(), None);
        Ok(org)
    }
}

/// Why names may not be changed, or why that isn't known.
#[derive(Debug)]
pub(crate) enum MoveError {
    Moved(Moved),
    Store(StoreError),
}

impl From<Moved> for MoveError {
    fn from(moved: Moved) -> Self {
        Self::Moved(moved)
    }
}

impl From<StoreError> for MoveError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<MoveError> for MappingError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::Moved(moved) => Self::Moved(moved),
            MoveError::Store(error) => Self::Store(error),
        }
    }
}

impl From<MoveError> for crate::tenant::ConnectError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::Moved(moved) => Self::Moved(moved),
            MoveError::Store(error) => Self::Org(OrgError::Store(error)),
        }
    }
}

/// Takes up what another node, or another version of Sloe, has stored. What
/// can't be used leaves the last good mapping in force and says so.
pub(crate) async fn look(engine: Engine) -> Result<(), String> {
    let read =
        stored(&engine, |store| store.scan(Range::All(Collection::Mappings), None, usize::MAX));
    for (key, document) in read.await.map_err(|error| error.to_string())? {
        let org = key.id().split('/').next().and_then(|org| OrgId::parse(org).ok());
        let Some(org) = org.and_then(|org| engine.registry().by_id(org)) else { continue };
        if document.version <= org.mapping.version {
            continue;
        }
        let next = OrgMapping::take(&document, Some(&org.mapping));
        if let Some(trouble) = &next.trouble {
            tracing::error!(org = %org.id(), trouble, "a stored mapping can't be used");
        }
        let changed = next.mapping != org.mapping.mapping;
        engine.registry().set_mapping(org.id(), next);
        if changed {
            engine.request_refresh(org.id(), None);
        }
    }
    Ok(())
}
