//! The handle to one org: everything Sloe asks of it and tells it.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::Url;
use sloe_core::budget::Purpose;
use sloe_core::ids::{OrgId, SfId};
use sloe_core::inbound::RawEvent;
use sloe_core::time::Timestamp;

use crate::auth::Credentials;
use crate::batch::bulk::{self, Adopted, Job, JobId, Operation, Rows};
use crate::batch::collections::{self, Sent};
use crate::batch::together::{self, Together};
use crate::check::{self, Finding, FormRules};
use crate::client::{API_VERSION, Client, Options, Request, limits_path};
use crate::error::Error;
use crate::fetch::{self, EventPages};
use crate::limits::{Limits, Usage};
use crate::look::{self, Looked, Mark, Watched};
use crate::map::{Column, Mapping, RowKind};
use crate::row::{FigureRow, Row, RowOutcome, Update};
use crate::wire::Version;

/// Who answered the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgIdentity {
    /// The org.
    pub org: OrgId,
    /// The user that Sloe acts as.
    pub user: SfId,
    /// Where the org's API is.
    pub instance_url: Url,
}

/// A connected org. Clones share the session, the connections and the allowance.
#[derive(Clone)]
pub struct Org {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    mapping: Arc<Mapping>,
}

impl Org {
    /// A handle that calls nobody yet.
    ///
    /// # Errors
    /// [`Error::Settings`] when the address, the key or the mapping can't be.
    pub fn new(
        credentials: Credentials,
        mapping: Mapping,
        options: Options,
    ) -> Result<Self, Error> {
        mapping.validate()?;
        let client = Client::new(credentials, options)?;
        Ok(Self { inner: Arc::new(Inner { client, mapping: Arc::new(mapping) }) })
    }

    /// The same org, called for another purpose: its budget may let some calls
    /// through and not others. [`Purpose::Refresh`] unless told.
    #[must_use]
    pub fn for_purpose(&self, purpose: Purpose) -> Self {
        let client = self.inner.client.for_purpose(purpose);
        let mapping = Arc::clone(&self.inner.mapping);
        Self { inner: Arc::new(Inner { client, mapping }) }
    }

    /// The same org under other names.
    ///
    /// # Errors
    /// [`Error::Settings`] when the mapping can't be.
    pub fn with_mapping(&self, mapping: Mapping) -> Result<Self, Error> {
        mapping.validate()?;
        let client = self.inner.client.clone();
        Ok(Self { inner: Arc::new(Inner { client, mapping: Arc::new(mapping) }) })
    }

    /// The names in use.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.inner.mapping
    }

    /// The parents that a row of `kind` locks while it is written, because it is
    /// their detail: rows side by side that share one run into each other.
    #[must_use]
    pub fn parent_locks(&self, kind: RowKind) -> Vec<Column> {
        self.mapping().rows(kind).masters.clone()
    }

    pub(crate) fn parts(&self) -> (&Client, &Mapping) {
        (&self.inner.client, &self.inner.mapping)
    }

    /// Logs in, if need be, asks whether the org speaks Sloe's API version,
    /// and tells who answered.
    ///
    /// # Errors
    /// As any call; [`Error::Refused`] with `UNSUPPORTED_API_VERSION`.
    pub async fn identify(&self) -> Result<OrgIdentity, Error> {
        let (client, _) = self.parts();
        let request = Request::get("read API versions", "/services/data".into());
        let versions: Vec<Version> = client.fetch(&request).await?;
        let wanted = API_VERSION.trim_start_matches('v');
        if !versions.iter().any(|offered| offered.version == wanted) {
            return Err(Error::Refused {
                call: "read API versions",
                status: 200,
                code: "UNSUPPORTED_API_VERSION".into(),
                message: crate::error::Private::new("the org doesn't list the version"),
            });
        }
        let token = client.auth.token().await?;
        let instance_url = token.instance.clone();
        Ok(OrgIdentity { org: token.org, user: token.user, instance_url })
    }

    /// In what the org and the mapping differ, blockers first; without a
    /// blocker the org is ready.
    ///
    /// # Errors
    /// As any call.
    pub async fn check(&self) -> Result<Vec<Finding>, Error> {
        let (client, mapping) = self.parts();
        check::check(client, mapping).await
    }

    /// What the org asks of the attendee form.
    ///
    /// # Errors
    /// As any call.
    pub async fn describe_attendee_form(&self) -> Result<FormRules, Error> {
        let (client, mapping) = self.parts();
        check::form_rules(client, mapping).await
    }

    /// One event with its items, sessions, external counts, and Sloe's
    /// attendees that were cancelled or deleted in the org (only those touched
    /// since `since`, by the org's clock), in one API call. `None` when the org
    /// has no such event.
    ///
    /// `as_of` is the org's clock, to the second: of two refreshes of an event
    /// that overlap in time, the later `as_of` need not hold the later state.
    /// Refresh one event by one call at a time.
    ///
    /// # Errors
    /// As any call.
    pub async fn fetch_event(
        &self,
        event: SfId,
        since: Option<Timestamp>,
    ) -> Result<Option<RawEvent>, Error> {
        let (client, mapping) = self.parts();
        fetch::event(client, mapping, event, since).await
    }

    /// All events of the org, page by page: two API calls per
    /// [`Options::page_events`] events, and by Bulk query those beyond
    /// [`Options::bulk_events`].
    #[must_use]
    pub fn fetch_all(&self, since: Option<Timestamp>) -> EventPages {
        EventPages::new(self.clone(), since)
    }

    /// What changed in the org since `marks`, of the objects they name: one API
    /// call. Where an object has more, its next mark is in [`Looked::more`].
    ///
    /// # Errors
    /// As any call.
    pub async fn look(&self, marks: &BTreeMap<Watched, Mark>) -> Result<Looked, Error> {
        let (client, mapping) = self.parts();
        look::look(client, mapping, marks).await
    }

    /// Seats that attendees take whom Sloe did not make: of each of `events` that
    /// has any, and of its sessions. One API call for 200 events.
    ///
    /// # Errors
    /// As any call.
    pub async fn count_external(&self, events: &[SfId]) -> Result<BTreeMap<SfId, u32>, Error> {
        let (client, mapping) = self.parts();
        fetch::external(client, mapping, events).await
    }

    /// Rows by external id, 200 a call, each made or brought up to date.
    pub async fn upsert(&self, kind: RowKind, rows: &[Row]) -> Sent {
        let (client, mapping) = self.parts();
        collections::upsert(client, mapping, kind, rows).await
    }

    /// Attendees and their sessions by external id in one call, which they must
    /// fit: [`crate::fits_one_call`].
    ///
    /// # Errors
    /// As any call. Sending the same again is safe, whatever the org has done.
    pub async fn upsert_together(
        &self,
        attendees: &[Row],
        sessions: &[Row],
    ) -> Result<Together, Error> {
        let (client, mapping) = self.parts();
        together::upsert(client, mapping, attendees, sessions).await
    }

    /// Rows by Salesforce id, 200 a call, none made.
    pub async fn update(&self, kind: RowKind, rows: &[Update]) -> Sent {
        let (client, mapping) = self.parts();
        collections::update(client, mapping, kind, rows).await
    }

    /// Figures of events, items and sessions, 200 a call. Sorts `rows` by what
    /// they belong to; the outcomes come in that order.
    pub async fn update_figures(&self, rows: &mut [FigureRow]) -> Sent {
        let (client, mapping) = self.parts();
        collections::update_figures(client, mapping, rows).await
    }

    /// Makes a Bulk job, in which nothing runs yet: record its id, then [`Org::bulk_run`].
    ///
    /// # Errors
    /// As any call.
    pub async fn bulk_open(&self, kind: RowKind, operation: Operation) -> Result<Job, Error> {
        let (client, mapping) = self.parts();
        bulk::open(client, mapping, kind, operation).await
    }

    /// Sends `rows` by `job` and waits for their outcomes, in their order. Those
    /// that lock one parent belong side by side: the org works on some 10,000 at
    /// a time. Keys must be unique among them. On an error the job may still run: record
    /// it as open and [`Org::bulk_adopt`] it later.
    ///
    /// # Errors
    /// As any call; [`Error::Deadline`] after [`Options::job_patience`];
    /// [`Error::Settings`] for more than [`crate::MAX_BULK_ROWS`] rows.
    pub async fn bulk_run(&self, job: &Job, rows: Rows<'_>) -> Result<Vec<RowOutcome>, Error> {
        let (client, mapping) = self.parts();
        bulk::run(client, mapping, job, rows).await
    }

    /// Takes over a job that an earlier process opened for `rows`: aborts it
    /// if it never started, else waits for it and reads its outcomes.
    ///
    /// # Errors
    /// As [`Org::bulk_run`].
    pub async fn bulk_adopt(&self, job: &Job, rows: Rows<'_>) -> Result<Adopted, Error> {
        let (client, mapping) = self.parts();
        bulk::adopt(client, mapping, job, rows).await
    }

    /// Stops a job that nobody wants any more. Rows it has written stay written.
    ///
    /// # Errors
    /// As any call.
    pub async fn bulk_abort(&self, job: &JobId) -> Result<(), Error> {
        bulk::abort(&self.inner.client, job).await
    }

    /// The org's allowances. Needs the right "View Setup and Configuration".
    ///
    /// # Errors
    /// As any call.
    pub async fn limits(&self) -> Result<Limits, Error> {
        let request = Request::get("read limits", limits_path());
        let answer = self.inner.client.fetch(&request).await?;
        Ok(Limits::read(answer))
    }

    /// Calls used and allowed, as the last answer of the org told.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.inner.client.meter.usage()
    }
}
