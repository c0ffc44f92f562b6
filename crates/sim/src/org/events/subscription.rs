//! One subscription: events as they come, as many as were asked for, and an empty answer when none come.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::pubsub::{
    SUBSCRIBE, Topic, check_maintenance, check_outage, fault, find_topic, halt, reset, rpc_id,
    unauthenticated,
};
use super::wire::{ConsumerEvent, FetchRequest, FetchResponse, ProducerEvent, ReplayPreset};
use super::{Event, Events, HOUR_MS, avro};
use crate::org::state::{State, lock};

/// The most events a subscriber may have outstanding.
const MOST: i32 = 100;

/// What a subscriber gets.
pub(super) type Answers = ReceiverStream<Result<FetchResponse, Status>>;

/// Begins a subscription; it runs until either side ends it.
pub(super) fn open(org: Arc<State>, token: String, requests: Streaming<FetchRequest>) -> Answers {
    let (answers, stream) = mpsc::channel(1);
    tokio::spawn(async move {
        let ended = match Place::take(Arc::clone(&org)) {
            Ok(_place) => run(&org, &token, requests, &answers).await,
            Err(refused) => Err(refused),
        };
        if let Err(status) = ended {
            // Nobody may be listening any more.
            let _ = answers.send(Err(status)).await;
        }
    });
    ReceiverStream::new(stream)
}

/// One of the subscriptions that the org allows at once.
struct Place(Arc<State>);

impl Place {
    fn take(org: Arc<State>) -> Result<Self, Status> {
        let most = org.events.knobs().subscribers;
        {
            let mut kept = lock(&org.events.kept);
            if kept.subscribers >= most {
                let message = "there are too many subscriptions already";
                let code = "concurrent.client.limit.exceeded";
                return Err(fault(Code::ResourceExhausted, Some(code), message));
            }
            kept.subscribers += 1;
        }
        Ok(Self(org))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.0.events.kept).subscribers -= 1;
    }
}

/// Where a subscription stands.
struct Reader<'a> {
    org: &'a State,
    topic: Topic,
    /// The last event that was looked at.
    at: u64,
    pending: i32,
    /// When the next empty answer is due, or, with nothing pending, the next request.
    due: Instant,
}

async fn run(
    org: &State,
    token: &str,
    mut requests: Streaming<FetchRequest>,
    answers: &mpsc::Sender<Result<FetchResponse, Status>>,
) -> Result<(), Status> {
    // Watched before the first look, so that nothing is missed between.
    let mut news = org.events.last.subscribe();
    let mut cuts = org.events.cuts.subscribe();
    cuts.mark_unchanged();
    let mut faults = org.faults.subscribe();
    let mut windows = org.maintenance.subscribe();
    let Some(first) = requests.message().await? else { return Ok(()) };
    let mut reader = Reader::begin(org, &first)?;
    loop {
        check_maintenance(org)?;
        news.mark_unchanged();
        while let Some(answer) = reader.deliver()? {
            if !send(org, answers, answer).await {
                return Ok(());
            }
        }
        let window = org.until_window();
        tokio::select! {
            request = requests.message() => match request? {
                Some(request) => reader.ask(&request, token)?,
                None => return Ok(()),
            },
            // The senders live as long as the org.
            _ = news.changed() => {}
            _ = cuts.changed() => {
                return Err(reset());
            }
            _ = faults.changed() => check_outage(org, SUBSCRIBE)?,
            _ = windows.changed() => {}
            () = tokio::time::sleep(window.unwrap_or_default()), if window.is_some() => {}
            () = answers.closed() => return Ok(()),
            () = tokio::time::sleep_until(reader.due) => {
                let answer = reader.wait_on(token)?;
                if !send(org, answers, answer).await {
                    return Ok(());
                }
            }
        }
    }
}

/// Sends an answer once no stall keeps it; answers whether there is still somebody who listens.
async fn send(
    org: &State,
    answers: &mpsc::Sender<Result<FetchResponse, Status>>,
    answer: FetchResponse,
) -> bool {
    tokio::select! {
        () = answers.closed() => return false,
        () = halt(org) => {}
    }
    answers.send(Ok(answer)).await.is_ok()
}

impl<'a> Reader<'a> {
    fn begin(org: &'a State, first: &FetchRequest) -> Result<Self, Status> {
        let topic = find_topic(org, &first.topic_name)?;
        let wrong = |code, message: &str| {
            let code = format!("subscription.fetch.replayid.{code}");
            Err(fault(Code::InvalidArgument, Some(&code), message))
        };
        let (floor, last) = org.events.span((org.now)().as_millisecond());
        let at = match ReplayPreset::try_from(first.replay_preset) {
            Ok(ReplayPreset::Earliest) => floor,
            Ok(ReplayPreset::Custom) => match <[u8; 8]>::try_from(&*first.replay_id) {
                Err(_) => return wrong("corrupted", "a replay id has 8 bytes"),
                Ok(bytes) => match u64::from_be_bytes(bytes) {
                    at if (floor..=last).contains(&at) => at,
                    _ => {
                        let message = "the event of this replay id is not kept";
                        return wrong("validation.failed", message);
                    }
                },
            },
            Ok(ReplayPreset::Latest) | Err(_) => last,
        };
        let mut reader = Self { org, topic, at, pending: 0, due: Instant::now() };
        reader.add(first.num_requested)?;
        Ok(reader)
    }

    fn add(&mut self, count: i32) -> Result<(), Status> {
        if count <= 0 {
            return Err(fault(Code::InvalidArgument, None, "num_requested is at least 1"));
        }
        self.pending = self.pending.saturating_add(count).min(MOST);
        self.rest();
        Ok(())
    }

    /// A later request: more events of the same topic.
    fn ask(&mut self, request: &FetchRequest, token: &str) -> Result<(), Status> {
        if !request.topic_name.is_empty() && request.topic_name != self.topic.name {
            return Err(fault(Code::InvalidArgument, None, "a subscription has one topic"));
        }
        if self.org.session(token).is_none() {
            return Err(unauthenticated());
        }
        self.add(request.num_requested)
    }

    /// From now on the time until an empty answer, or to the end, counts anew.
    fn rest(&mut self) {
        let knobs = self.org.events.knobs();
        let millis = if self.pending > 0 { knobs.keepalive_ms } else { knobs.idle_ms };
        self.due = Instant::now() + Duration::from_millis(millis);
    }

    /// Nothing came for long: an empty answer, or the end if nothing is asked for.
    fn wait_on(&mut self, token: &str) -> Result<FetchResponse, Status> {
        if self.pending == 0 {
            return Err(fault(Code::DeadlineExceeded, None, "nothing was asked for in time"));
        }
        if self.org.session(token).is_none() {
            return Err(unauthenticated());
        }
        self.rest();
        Ok(self.answer(Vec::new()))
    }

    /// What there is of what is asked for.
    fn deliver(&mut self) -> Result<Option<FetchResponse>, Status> {
        let wanted = usize::try_from(self.pending).unwrap_or(0);
        let objects = self.captured();
        let now = (self.org.now)().as_millisecond();
        // One that may not be delivered is looked for all the same: it is what ends the subscription.
        let allowed = self.org.events.deliverable(now);
        let captured = |event: &Event| objects.contains(&event.entity);
        let (events, at) = self.org.events.after(self.at, wanted.min(allowed.max(1)), captured);
        if events.is_empty() {
            if wanted > 0 {
                self.at = at;
            }
            return Ok(None);
        }
        if allowed == 0 {
            let message = "the org's events of 24 hours are delivered";
            let code = "subscription.limit.exceeded";
            return Err(fault(Code::ResourceExhausted, Some(code), message));
        }
        let events = self.org.events.trouble(events);
        let count = i32::try_from(events.len()).unwrap_or(MOST);
        self.org.events.count_delivered(now, u64::try_from(events.len()).unwrap_or(0));
        self.at = at;
        self.pending = (self.pending - count).max(0);
        self.rest();
        let events = self.write(&events);
        Ok(Some(self.answer(events)))
    }

    /// Whose events it gets: an object that nobody selects has none.
    fn captured(&self) -> Vec<String> {
        let knobs = self.org.events.knobs();
        match find_topic(self.org, &self.topic.name) {
            Ok(topic) => topic.objects.into_iter().filter(|name| knobs.captures(name)).collect(),
            Err(_) => Vec::new(),
        }
    }

    fn answer(&self, events: Vec<ConsumerEvent>) -> FetchResponse {
        FetchResponse {
            events,
            latest_replay_id: replay_id(self.at),
            rpc_id: rpc_id(),
            pending_num_requested: self.pending,
        }
    }

    fn write(&self, events: &[Event]) -> Vec<ConsumerEvent> {
        let database = lock(&self.org.database);
        let each = events.iter().filter_map(|event| {
            let object = database.schema().get(&event.entity)?;
            let event = ConsumerEvent {
                replay_id: replay_id(event.replay),
                event: Some(ProducerEvent {
                    id: format!("{:032x}", event.replay),
                    schema_id: avro::schema(object).id,
                    payload: avro::payload(object, event).into(),
                    headers: Vec::new(),
                }),
            };
            Some(event)
        });
        each.collect()
    }
}

fn replay_id(id: u64) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

impl Events {
    /// The last event that is not kept any more, and the last one of all.
    fn span(&self, now: i64) -> (u64, u64) {
        self.drop_old(now);
        let kept = lock(&self.kept);
        (kept.floor, kept.last)
    }

    /// At most so many events after this one, and how far that is.
    fn after(&self, at: u64, count: usize, of: impl Fn(&Event) -> bool) -> (Vec<Event>, u64) {
        let kept = lock(&self.kept);
        let from = kept.events.partition_point(|event| event.replay <= at);
        let (mut found, mut seen) = (Vec::new(), at);
        for event in kept.events.range(from..) {
            if found.len() >= count {
                return (found, seen);
            }
            seen = event.replay;
            if of(event) {
                found.push(event.clone());
            }
        }
        (found, seen)
    }

    /// What the knobs make of an answer's events.
    fn trouble(&self, events: Vec<Event>) -> Vec<Event> {
        let knobs = self.knobs();
        let mut out = Vec::with_capacity(events.len());
        for event in events {
            if lock(&self.repeats).hits(knobs.duplicate_rate) {
                out.push(event.clone());
            }
            out.push(event);
        }
        if knobs.reorder {
            out.reverse();
        }
        out
    }

    /// How many events may still be delivered today.
    fn deliverable(&self, now: i64) -> usize {
        let left = self.knobs().daily.saturating_sub(lock(&self.kept).delivered_today(now));
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    fn count_delivered(&self, now: i64, count: u64) {
        let mut kept = lock(&self.kept);
        let hour = now.div_euclid(HOUR_MS);
        match kept.delivered.back_mut().filter(|(then, _)| *then == hour) {
            Some((_, delivered)) => *delivered += count,
            None => kept.delivered.push_back((hour, count)),
        }
    }
}
