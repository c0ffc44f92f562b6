//! What the outbox asks of an org, whoever answers: Salesforce, or an org that
//! exists in a simulation only.

use std::pin::Pin;
use std::sync::Arc;

use sloe_core::budget::Purpose;
use sloe_salesforce::{
    Adopted, Column, Error, Figure, FigureRow, Gate, Job, Operation, Org, OrgRow, Row, RowKind,
    Rows, Sent, Together, Update,
};

/// An answer on its way.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An org, called for one purpose. Every method says what the method of
/// [`sloe_salesforce::Org`] with its name does.
pub trait Remote: Send + Sync {
    /// Whether the org has fields for figures of such records.
    fn has_figures(&self, of: Figure) -> bool;
    /// See [`Org::parent_locks`].
    fn parent_locks(&self, kind: RowKind) -> Vec<Column>;
    /// See [`Org::upsert`].
    fn upsert<'a>(&'a self, kind: RowKind, rows: &'a [Row]) -> Later<'a, Sent>;
    /// See [`Org::upsert_together`].
    fn upsert_together<'a>(
        &'a self,
        attendees: &'a [Row],
        sessions: &'a [Row],
    ) -> Later<'a, Result<Together, Error>>;
    /// See [`Org::update`].
    fn update<'a>(&'a self, kind: RowKind, rows: &'a [Update]) -> Later<'a, Sent>;
    /// See [`Org::update_figures`].
    fn update_figures<'a>(&'a self, rows: &'a mut [FigureRow]) -> Later<'a, Sent>;
    /// See [`Org::rows_by_key`].
    fn rows_by_key<'a>(
        &'a self,
        kind: RowKind,
        keys: &'a [String],
    ) -> Later<'a, Result<Vec<OrgRow>, Error>>;
    /// See [`Org::bulk_open`].
    fn bulk_open(&self, kind: RowKind, operation: Operation) -> Later<'_, Result<Job, Error>>;
    /// See [`Org::bulk_run`].
    fn bulk_run<'a>(
        &'a self,
        job: &'a Job,
        rows: Rows<'a>,
    ) -> Later<'a, Result<Vec<sloe_salesforce::RowOutcome>, Error>>;
    /// See [`Org::bulk_adopt`].
    fn bulk_adopt<'a>(&'a self, job: &'a Job, rows: Rows<'a>) -> Later<'a, Result<Adopted, Error>>;
}

/// Where orgs are reached instead of over the network.
pub trait Dial: Send + Sync {
    /// The org, to be called for `purpose`; every call asks `gate` first.
    fn dial(&self, purpose: Purpose, gate: Arc<dyn Gate>) -> Arc<dyn Remote>;
}

impl Remote for Org {
    fn has_figures(&self, of: Figure) -> bool {
        self.mapping().has_figures(of)
    }

    fn parent_locks(&self, kind: RowKind) -> Vec<Column> {
        Org::parent_locks(self, kind)
    }

    fn upsert<'a>(&'a self, kind: RowKind, rows: &'a [Row]) -> Later<'a, Sent> {
        Box::pin(Org::upsert(self, kind, rows))
    }

    fn upsert_together<'a>(
        &'a self,
        attendees: &'a [Row],
        sessions: &'a [Row],
    ) -> Later<'a, Result<Together, Error>> {
        Box::pin(Org::upsert_together(self, attendees, sessions))
    }

    fn update<'a>(&'a self, kind: RowKind, rows: &'a [Update]) -> Later<'a, Sent> {
        Box::pin(Org::update(self, kind, rows))
    }

    fn update_figures<'a>(&'a self, rows: &'a mut [FigureRow]) -> Later<'a, Sent> {
        Box::pin(Org::update_figures(self, rows))
    }

    fn rows_by_key<'a>(
        &'a self,
        kind: RowKind,
        keys: &'a [String],
    ) -> Later<'a, Result<Vec<OrgRow>, Error>> {
        Box::pin(Org::rows_by_key(self, kind, keys))
    }

    fn bulk_open(&self, kind: RowKind, operation: Operation) -> Later<'_, Result<Job, Error>> {
        Box::pin(Org::bulk_open(self, kind, operation))
    }

    fn bulk_run<'a>(
        &'a self,
        job: &'a Job,
        rows: Rows<'a>,
    ) -> Later<'a, Result<Vec<sloe_salesforce::RowOutcome>, Error>> {
        Box::pin(Org::bulk_run(self, job, rows))
    }

    fn bulk_adopt<'a>(&'a self, job: &'a Job, rows: Rows<'a>) -> Later<'a, Result<Adopted, Error>> {
        Box::pin(Org::bulk_adopt(self, job, rows))
    }
}
