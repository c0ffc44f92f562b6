//! Compares what each org holds with what it was sent, and has the
//! differences put right: counts and sums of many events in one call, and row
//! by row only where those differ. Goes last of all that calls the org.

mod closer;
mod detail;
mod figures;
mod marks;
mod ours;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sloe_core::budget::Purpose;
use sloe_core::ids::EventRef;
use sloe_core::verify::Expected;
use sloe_salesforce::{COUNTED_EVENTS, Counted, RowKind};

use super::halt::Halt;
use super::orgs::OrgWork;
use super::outbox::mend::{Mend, Repair};
use super::stored;
use crate::engine::Engine;
use crate::tenant::Org;
use crate::verify::{self, Verified};
use ours::{Enough, Known, Standing};

/// How often in a row it is compared again soon, if differences stay.
const SOON_TIMES: u32 = 3;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;
/// How long an event must be over to be compared once a day only.
const LONG_OVER_MILLIS: i64 = 7 * DAY_MILLIS;
/// External ids of strangers that are remembered.
const STRANGERS: usize = 20;

/// What Sloe expects of an event: attendees, and places in sessions.
#[derive(Clone, Copy, Default)]
struct OfEvent {
    attendees: Expected,
    places: Expected,
}

impl OfEvent {
    fn of(&self, kind: RowKind) -> &Expected {
        match kind {
            RowKind::Attendee => &self.attendees,
            RowKind::SessionAttendee => &self.places,
        }
    }
}

/// One org's comparisons until the engine stops.
pub(super) async fn run(engine: Engine, work: Arc<OrgWork>) {
    let stopping = engine.workers().stopping.clone();
    let comparing = async {
        work.budget.load(&engine, work.org).await;
        // It may be set by a task that panicked.
        work.verifying.store(false, Ordering::Release);
        let mut repeats = 0;
        let mut pause = first_pause(&engine, &work).await;
        loop {
            let asked = tokio::time::timeout(pause, work.verify.notified()).await.is_ok();
            work.verifying.store(true, Ordering::Release);
            let whole = asked || is_whole_due(&engine, &work).await;
            let verified = compare(&engine, &work, whole).await;
            work.verifying.store(false, Ordering::Release);
            let every = engine.workers().settings.verify_every;
            // What was put right is looked at again, but not for ever.
            repeats = if verified.is_some_and(|v| v.is_clean()) { 0 } else { repeats + 1 };
            let soon = (1..=SOON_TIMES).contains(&repeats);
            pause = if soon { engine.workers().settings.verify_soon.min(every) } else { every };
        }
    };
    tokio::select! {
        () = comparing => {}
        // What was begun is begun again at the next start.
        () = stopping.cancelled() => work.verifying.store(false, Ordering::Release),
    }
}

/// How long to wait after a start: until the next comparison is due, and not
/// at once together with everything else.
async fn first_pause(engine: &Engine, work: &OrgWork) -> Duration {
    let every = engine.workers().settings.verify_every;
    let soon = engine.workers().settings.verify_soon;
    let last = engine.last_verify(work.org).await.ok().flatten();
    let since = last.map(|last| engine.now().millis_since(last.ended));
    let since = since.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
    let left = since.map_or(Duration::ZERO, |since| every.saturating_sub(since));
    left.max(soon.min(every))
}

/// Whether all events are due to be compared: once a day, and as long as the
/// last time found something. What differs in an event long over would be
/// forgotten otherwise when the others are in order.
async fn is_whole_due(engine: &Engine, work: &OrgWork) -> bool {
    let remembered = engine.verifies(work.org, usize::MAX).await.unwrap_or_default();
    let last = remembered.iter().find(|last| last.whole);
    last.is_none_or(|last| !last.is_clean() || engine.now().millis_since(last.began) >= DAY_MILLIS)
}

/// Compares an org and writes down how that went; `None` if nothing could be begun.
async fn compare(engine: &Engine, work: &Arc<OrgWork>, whole: bool) -> Option<Verified> {
    let org = engine.registry().by_id(work.org)?;
    let mut verified = Verified { began: engine.now(), whole, ..Verified::default() };
    let mut pass = Pass { engine, work, org: &org, verified: &mut verified };
    if let Err(halt) = pass.run().await {
        verified.fault = Some(halt.tell(org.id(), engine.now(), "verify"));
    }
    verified.ended = engine.now();
    let (found, rows) = (verified.found(), verified.rows);
    tracing::info!(org = %org.id(), rows, found, unsure = verified.unsure, "compared with the org");
    show(&org, &verified);
    let scope = org.scope;
    let write = verify::record(scope, &verified);
    let kept = stored(engine, move |store| {
        let old = verify::forget(store, scope)?;
        store.put(&[write])?;
        store.put(&old)
    });
    if let Err(error) = kept.await {
        tracing::error!(org = %org.id(), %error, "a comparison can't be written down");
    }
    Some(verified)
}

fn show(org: &Org, verified: &Verified) {
    let float = |count: u64| u32::try_from(count).map_or(f64::MAX, f64::from);
    let label = org.id().to_string();
    metrics::gauge!("sloe_org_differences", "org" => label.clone()).set(float(verified.found()));
    for (difference, found) in &verified.differences {
        let labels = [("org", label.clone()), ("kind", difference.name().to_owned())];
        metrics::counter!("sloe_org_differences_total", &labels).increment(found.found);
    }
}

/// One comparison of one org.
struct Pass<'a> {
    engine: &'a Engine,
    work: &'a Arc<OrgWork>,
    org: &'a Arc<Org>,
    verified: &'a mut Verified,
}

impl Pass<'_> {
    async fn run(&mut self) -> Result<(), Halt> {
        self.work.budget.start(Purpose::Verify, "compare")?;
        let settings = &self.engine.workers().settings.salesforce;
        let client = self.work.client(self.org, settings)?.for_purpose(Purpose::Verify);
        let standing = Standing::read(self.engine, self.org.scope).await?;
        let mut ready = standing.caught_up(self.engine, None).await?;
        self.verified.left_out = standing.events().count().saturating_sub(ready.len()) as u64;
        if !self.verified.whole {
            ready.retain(|event| !self.is_long_over(*event));
        }
        let mut events: BTreeMap<EventRef, OfEvent> = BTreeMap::new();
        if self.verified.whole {
            // Also those without an order: the org may hold rows that none of ours are.
            events.extend(ready.iter().map(|event| (*event, OfEvent::default())));
        }
        let see = |known: Known| {
            let of_event = events.entry(known.event).or_default();
            match known.kind() {
                RowKind::Attendee => of_event.attendees.add(known.ours),
                RowKind::SessionAttendee => of_event.places.add(known.ours),
            }
            Enough::No
        };
        standing.each(self.engine, &Arc::new(ready), None, see).await?;
        self.verified.events = events.len() as u64;
        for of_event in events.values() {
            for kind in [RowKind::Attendee, RowKind::SessionAttendee] {
                self.verified.rows += of_event.of(kind).rows();
                self.verified.unsure += of_event.of(kind).unsure;
            }
        }
        // Attendees first: what the org did to them is then known of their sessions.
        let mut closer = [BTreeMap::new(), BTreeMap::new()];
        let all: Vec<EventRef> = events.keys().copied().collect();
        for some in all.chunks(COUNTED_EVENTS) {
            let ids: Vec<_> = some.iter().map(|event| event.event).collect();
            let told = figures::told(self.engine, self.org.scope, some).await?;
            let counted = client.count_rows(&ids).await?;
            self.sort_out(some, &events, &counted, &mut closer).await?;
            figures::compare(self.engine, self.work, told, &counted, self.verified).await?;
        }
        let [attendees, places] = closer;
        self.closer(&client, &standing, RowKind::Attendee, attendees).await?;
        self.closer(&client, &standing, RowKind::SessionAttendee, places).await
    }

    fn is_long_over(&self, event: EventRef) -> bool {
        let now = self.verified.began;
        let listing = self.engine.catalog().listing(event);
        listing.is_some_and(|listing| now.millis_since(listing.ends_at) > LONG_OVER_MILLIS)
    }

    /// Which events must be looked at more closely, with about how many rows
    /// each has.
    async fn sort_out(
        &self,
        some: &[EventRef],
        events: &BTreeMap<EventRef, OfEvent>,
        counted: &Counted,
        closer: &mut [BTreeMap<EventRef, u64>; 2],
    ) -> Result<(), Halt> {
        let marks = marks::read(self.engine, self.org.scope, some).await?;
        for event in some {
            let Some(of_event) = events.get(event) else { continue };
            for (kind, closer) in
                [RowKind::Attendee, RowKind::SessionAttendee].into_iter().zip(&mut *closer)
            {
                let found = match kind {
                    RowKind::Attendee => counted.attendees.get(&event.event),
                    RowKind::SessionAttendee => counted.sessions.get(&event.event),
                };
                let found = found.copied().unwrap_or_default();
                let before = marks.get(&(*event, kind));
                if !of_event.of(kind).agrees(&found, before) {
                    closer.insert(*event, of_event.of(kind).rows().max(found.rows()));
                }
            }
        }
        Ok(())
    }
}

fn repair(known: &Known, mend: Mend) -> Repair {
    Repair {
        key: known.key,
        event: known.event,
        confirmed_at: known.confirmed_at,
        seen: known.seen,
        version: known.version,
        mend,
    }
}
