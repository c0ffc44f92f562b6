//! Pages that are the same for everybody, rendered once and kept as bytes: an
//! event's page until its snapshot, a band of what is left, the license or the
//! clock changes it; an org's list for a second.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use askama::Template;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use moka::sync::Cache;
use sloe_core::catalog::Snapshot;
use sloe_core::ids::{EventRef, OrgId};
use sloe_core::time::Timestamp;
use sloe_engine::tenant::Org;
use sloe_engine::view::Availability;

use super::assets;
use super::present::event_page;
use super::view::Band;
use super::view::event_list::EventListPage;

/// Bytes of rendered pages kept, plain and compressed together.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// How old an org's list may be, in milliseconds.
const LIST_MILLIS: i64 = 1_000;

/// Shared caches may keep a page for five seconds, show it half a minute
/// longer while they ask again, and a day longer while we don't answer.
const SHARED: HeaderValue =
    HeaderValue::from_static("public, max-age=5, stale-while-revalidate=30, stale-if-error=86400");

const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// One page as it is sent.
#[derive(Debug)]
pub struct Sent {
    plain: Bytes,
    gzip: Bytes,
    etag: HeaderValue,
    surrogate: HeaderValue,
}

impl Sent {
    fn new(html: String, surrogate: &str) -> Self {
        let etag = format!("W/\"{}\"", assets::content_hash(html.as_bytes()));
        Self {
            gzip: assets::gzip(html.as_bytes()),
            plain: Bytes::from(html),
            etag: HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("W/\"\"")),
            surrogate: HeaderValue::try_from(surrogate).unwrap_or(HeaderValue::from_static("-")),
        }
    }

    /// The response to a request with `headers`.
    pub(super) fn respond(&self, headers: &HeaderMap) -> Response {
        let mut response = assets::respond(headers, &self.etag, &self.plain, &self.gzip);
        let out = response.headers_mut();
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        out.insert(header::CACHE_CONTROL, SHARED);
        out.insert(SURROGATE_KEY, self.surrogate.clone());
        response
    }

    fn weight(&self) -> u32 {
        u32::try_from(self.plain.len() + self.gzip.len()).unwrap_or(u32::MAX)
    }
}

/// An event's page and what it was made of.
struct EventEntry {
    org: Arc<Org>,
    snapshot: u64,
    /// The newest ledger version known to have the same bands.
    availability: AtomicU64,
    bands: u64,
    live: bool,
    valid_until: Timestamp,
    sent: Arc<Sent>,
}

struct ListEntry {
    org: Arc<Org>,
    made_at: Timestamp,
    sent: Arc<Sent>,
}

/// All rendered pages.
pub struct Rendered {
    events: Cache<EventRef, Arc<EventEntry>>,
    lists: Cache<OrgId, Arc<ListEntry>>,
}

impl Default for Rendered {
    fn default() -> Self {
        Self {
            events: Cache::builder()
                .max_capacity(CACHE_BYTES)
                .weigher(|_, e: &Arc<EventEntry>| e.sent.weight())
                .build(),
            lists: Cache::builder()
                .max_capacity(CACHE_BYTES / 8)
                .weigher(|_, e: &Arc<ListEntry>| e.sent.weight())
                .build(),
        }
    }
}

impl Rendered {
    /// The page of an event.
    ///
    /// # Errors
    /// The page can't be rendered.
    pub fn event(
        &self,
        org: &Arc<Org>,
        snapshot: &Snapshot,
        availability: &Availability,
        live: bool,
        now: Timestamp,
    ) -> Result<Arc<Sent>, askama::Error> {
        let known = self.events.get(&snapshot.event);
        let known = known.filter(|e| {
            e.snapshot == snapshot.version
                && e.live == live
                && now < e.valid_until
                && Arc::ptr_eq(&e.org, org)
        });
        if let Some(entry) = &known
            && entry.availability.load(Ordering::Relaxed) == availability.version
        {
            return Ok(Arc::clone(&entry.sent));
        }
        let bands = bands(availability);
        if let Some(entry) = known.filter(|entry| entry.bands == bands) {
            entry.availability.store(availability.version, Ordering::Relaxed);
            return Ok(Arc::clone(&entry.sent));
        }
        let (page, standing) = event_page(org, snapshot, availability, live, now, None);
        let surrogate = format!("org-{} event-{}", org.profile.slug, snapshot.id);
        let sent = Arc::new(Sent::new(page.render()?, &surrogate));
        let entry = EventEntry {
            org: Arc::clone(org),
            snapshot: snapshot.version,
            availability: AtomicU64::new(availability.version),
            bands,
            live,
            valid_until: standing.valid_until,
            sent: Arc::clone(&sent),
        };
        self.events.insert(snapshot.event, Arc::new(entry));
        Ok(sent)
    }

    /// The list of an org, if it is fresh enough.
    #[must_use]
    pub fn list(&self, org: &Arc<Org>, now: Timestamp) -> Option<Arc<Sent>> {
        let entry = self.lists.get(&org.id())?;
        let age = now.millis_since(entry.made_at);
        ((0..LIST_MILLIS).contains(&age) && Arc::ptr_eq(&entry.org, org))
            .then(|| Arc::clone(&entry.sent))
    }

    /// Keeps the list of an org.
    ///
    /// # Errors
    /// The page can't be rendered.
    pub fn keep_list(
        &self,
        org: &Arc<Org>,
        page: &EventListPage,
        now: Timestamp,
    ) -> Result<Arc<Sent>, askama::Error> {
        let sent = Arc::new(Sent::new(page.render()?, &format!("org-{}", org.profile.slug)));
        let entry = ListEntry { org: Arc::clone(org), made_at: now, sent: Arc::clone(&sent) };
        self.lists.insert(org.id(), Arc::new(entry));
        Ok(sent)
    }
}

/// What the page shows of `availability`, as a number: as long as it stays,
/// so does the page.
fn bands(availability: &Availability) -> u64 {
    let mut hasher = DefaultHasher::new();
    let event = availability.left;
    (Band::of(event, availability.limit) as u8).hash(&mut hasher);
    for item in &availability.items {
        // As `Counts::item`: an item has no more than the event.
        let (left, limit) = match (item.left, event) {
            (Some(item), Some(event)) if event < item => (Some(event), availability.limit),
            (None, Some(event)) => (Some(event), availability.limit),
            _ => (item.left, item.limit),
        };
        (Band::of(left, limit) as u8).hash(&mut hasher);
    }
    for session in &availability.sessions {
        (Band::of(session.left, session.limit) as u8).hash(&mut hasher);
    }
    hasher.finish()
}
