//! Row locks: what a transaction changes, and the parents that count on it, nobody else changes meanwhile.
//!
//! A detail locks its master when it is created, changed or deleted; a required look-up that keeps its parent from
//! being deleted locks it when it is set or changed; a look-up that clears locks nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sloe_core::ids::SfId;

use super::{Database, Row, RowError};
use crate::org::schema::{Object, OnDelete, Slot};

/// Who holds what, and what the open transaction wants.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    /// By whom.
    held: HashMap<SfId, u64>,
    last: u64,
    /// The open transaction's number; 0 is somebody who never holds anything.
    owner: u64,
    wanted: BTreeSet<SfId>,
    refused: bool,
    /// How many transactions wait for rows that others hold.
    waiting: usize,
    /// How many rows it has written, by object.
    rows: BTreeMap<usize, usize>,
}

impl Locks {
    /// A number for a new transaction.
    pub(crate) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The transaction begins, perhaps again.
    pub(crate) fn open(&mut self, owner: u64) {
        self.owner = owner;
        self.wanted.clear();
        self.rows.clear();
        self.refused = false;
    }

    /// Whether somebody else's lock stood in its way.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    /// How many rows it has written, by object.
    pub(crate) fn rows(&self) -> &BTreeMap<usize, usize> {
        &self.rows
    }

    /// Holds everything the open transaction wanted, and sets it aside.
    pub(crate) fn hold(&mut self) {
        let owner = self.owner;
        for id in std::mem::take(&mut self.wanted) {
            self.held.entry(id).or_insert(owner);
        }
        self.open(0);
    }

    /// The transaction is over; answers whether it has held anything.
    pub(crate) fn release(&mut self, owner: u64) -> bool {
        let before = self.held.len();
        self.held.retain(|_, holder| *holder != owner);
        self.open(0);
        self.held.len() < before
    }

    /// A transaction begins to wait, or goes on.
    pub(crate) fn wait(&mut self, waits: bool) {
        self.waiting = if waits { self.waiting + 1 } else { self.waiting.saturating_sub(1) };
    }

    /// How many transactions wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// What is held now.
    pub(crate) fn held(&self) -> BTreeSet<SfId> {
        self.held.keys().copied().collect()
    }

    fn want(&mut self, ids: impl IntoIterator<Item = SfId>) -> Result<(), RowError> {
        let (mut others, owner) = (BTreeSet::new(), self.owner);
        for id in ids {
            if self.held.get(&id).is_some_and(|holder| *holder != owner) {
                others.insert(id);
            } else if owner != 0 {
                self.wanted.insert(id);
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        self.refused = true;
        let ids: Vec<&str> = others.iter().filter_map(|id| id.as_str().get(..15)).collect();
        Err(RowError::new(
            "UNABLE_TO_LOCK_ROW",
            format!(
                "unable to obtain exclusive access to this record or {} records: {}",
                ids.len(),
                ids.join(",")
            ),
        ))
    }
}

impl Database {
    /// How many rows are locked now.
    pub(crate) fn held_locks(&self) -> usize {
        self.locks.held.len()
    }

    /// The row locks.
    pub(crate) fn locks(&mut self) -> &mut Locks {
        &mut self.locks
    }

    /// Locks what storing a row in place of another needs, or that other's deletion.
    ///
    /// # Errors
    /// `UNABLE_TO_LOCK_ROW`: somebody else holds some of it.
    pub(super) fn lock_for(
        &mut self,
        object: usize,
        old: Option<&Row>,
        new: Option<&Row>,
    ) -> Result<(), Vec<RowError>> {
        let mut ids: Vec<SfId> = old.map(|row| row.id).into_iter().collect();
        ids.extend(parents(self.object(object), old, new));
        self.locks.want(ids).map_err(|error| vec![error])?;
        *self.locks.rows.entry(object).or_default() += 1;
        Ok(())
    }
}

fn parents(shape: &Object, old: Option<&Row>, new: Option<&Row>) -> Vec<SfId> {
    let mut out = Vec::new();
    for field in shape.fields.iter().filter(|field| matches!(field.slot, Slot::Stored(_))) {
        let Some(reference) = field.reference() else { continue };
        let of = |row: Option<&Row>| row.and_then(|row| row.get(field.slot).id());
        let (before, after) = (of(old), of(new));
        let locks = match reference.on_delete {
            OnDelete::Cascade => true,
            OnDelete::Restrict => before != after && new.is_some(),
            OnDelete::Clear => false,
        };
        if locks {
            out.extend(before.into_iter().chain(after));
        }
    }
    out
}
