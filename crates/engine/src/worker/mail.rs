//! One mail for each confirmed order, over SMTP: at least once. The cursor
//! passes a batch when each of its mails was taken by the server, stands among
//! the retries, or was refused for good; a server that can't be reached holds
//! the cursor where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sloe_core::fact::Fact;
use sloe_core::ids::{ClaimId, EventRef};
use sloe_core::time::Timestamp;
use sloe_store::api::{Destination, Pending, StoreError, Write};
use sloe_store::key::{Collection, Key, Range};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::outbox::file::{self, Dead};
use super::outbox::letter;
use super::stored;
use crate::calendar;
use crate::engine::{Engine, StartError};
use crate::error::Denied;
use crate::mail::{Links, MailSettings};
use crate::sync::is_mail;
use crate::tenant::Org;
use crate::view::OrderView;

/// Mails on their way at once: after a kill at most these go a second time.
const AT_ONCE: usize = 20;
/// How often a mail is tried before it is given up.
const ATTEMPTS: u32 = 12;
/// The first pause before a mail is tried again, in milliseconds; each is twice as long.
const PAUSE_MILLIS: i64 = 15_000;
/// The longest.
const LONGEST_MILLIS: i64 = 4 * 60 * 60 * 1_000;
/// The longest pause when the server can't be reached.
const LONGEST: Duration = Duration::from_secs(60);
/// SMTP replies about the session, not about the message: the service is not
/// available (RFC 5321, 4.2.3), or wants another sign-in (RFC 4954, 6).
const ABOUT_THE_SESSION: [u16; 6] = [421, 432, 530, 534, 535, 538];
/// Why a mail waits that the server did not answer, though it answers others.
const UNANSWERED: &str = "smtp-unanswered";
/// More orders than a batch can confirm; parts versions of progress documents.
const PER_BATCH: u64 = 100_000;

/// A mail to be sent again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Again {
    mail: String,
    claim: String,
    attempts: u32,
    not_before: i64,
    /// How often it was sent before it was given up and staff asked for it.
    #[serde(default)]
    before: u32,
    /// When it was given up first, in milliseconds since 1970.
    #[serde(default)]
    since: Option<i64>,
}

impl Again {
    /// A mail that staff want sent although it was given up.
    pub(crate) fn asked(dead: &Dead, now: Timestamp) -> Self {
        Self {
            mail: dead.event.clone(),
            claim: dead.claim.clone(),
            attempts: 0,
            not_before: now.0,
            before: dead.tries.max(1),
            since: Some(dead.since.unwrap_or(dead.at)),
        }
    }
}

/// Why no mail goes out at present.
enum Halt {
    Server(String),
    Store(StoreError),
    Stopping,
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What became of one mail.
enum Posted {
    Done,
    /// There is nobody to be told any more.
    Moot,
    Later(String),
    Never(String),
}

/// The way to the mail server, and what waits to be sent again.
pub(super) struct Mailer {
    settings: MailSettings,
    from: Mailbox,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    state: Mutex<State>,
    /// Others have put mails among those to be sent again.
    asked: AtomicBool,
}

#[derive(Default)]
struct State {
    /// With the version of the document; `None` until read.
    again: Option<BTreeMap<(EventRef, ClaimId), (u64, Again)>>,
    failures: u32,
    quiet_until: Option<Instant>,
    /// Events of which the log says that their mail waits.
    damaged: BTreeSet<EventRef>,
}

impl Mailer {
    pub(super) fn new(settings: MailSettings) -> Result<Self, StartError> {
        let fault = |what: &str| StartError::Mail(what.to_owned());
        let from = settings.from.parse();
        let from = from.map_err(|_| fault("the sender is not like Name <name@example.org>"))?;
        let url = settings.smtp_url.expose_secret();
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        // The URL may hold a password, so it is not repeated.
        let transport =
            transport.map_err(|_| fault("the SMTP URL is not like smtps://user:password@host"))?;
        let transport = transport.timeout(Some(Duration::from_secs(30))).build();
        Ok(Self {
            settings,
            from,
            transport,
            state: Mutex::default(),
            asked: AtomicBool::new(false),
        })
    }

    /// Lets mails go that were put among those to be sent again.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }
}

/// Sends what is to be sent; without a mailer passes over it, so that a server
/// configured later gets no old mail.
pub(super) async fn look(engine: Engine, mailer: Option<Arc<Mailer>>) -> Result<(), String> {
    let Some(mailer) = mailer else { return pass_over(&engine).await.map_err(|e| e.to_string()) };
    let mut state = mailer.state.lock().await;
    if state.quiet_until.is_some_and(|until| until > Instant::now()) {
        return Ok(());
    }
    let run = Round { engine: &engine, mailer: &mailer };
    let done = match run.again(&mut state).await {
        Ok(()) => run.news(&mut state).await,
        Err(halt) => Err(halt),
    };
    match done {
        Ok(()) => {
            (state.failures, state.quiet_until) = (0, None);
            Ok(())
        }
        Err(Halt::Stopping) => Ok(()),
        Err(halt) => {
            let pause = LONGEST.min(Duration::from_secs(1 << state.failures.min(6)));
            state.failures = state.failures.saturating_add(1);
            state.quiet_until = Some(Instant::now() + pause);
            Err(match halt {
                Halt::Server(why) => format!("the mail server takes nothing: {why}"),
                Halt::Store(error) => error.to_string(),
                Halt::Stopping => String::new(),
            })
        }
    }
}

async fn pass_over(engine: &Engine) -> Result<(), StoreError> {
    stored(engine, |store| {
        for pending in store.pending(Destination::Mail)? {
            store.advance(Destination::Mail, pending.event, pending.latest, &[])?;
        }
        Ok(())
    })
    .await
}

struct Round<'a> {
    engine: &'a Engine,
    mailer: &'a Arc<Mailer>,
}

impl Round<'_> {
    /// Tries again what is due.
    async fn again(&self, state: &mut State) -> Result<(), Halt> {
        if self.mailer.asked.swap(false, Ordering::AcqRel) {
            state.again = None;
        }
        if state.again.is_none() {
            state.again = Some(self.load().await?);
        }
        let now = self.engine.now();
        let due = state.again.iter().flatten();
        let due: Vec<_> =
            due.filter(|(_, (_, a))| a.not_before <= now.0).map(|(mail, _)| *mail).collect();
        for some in due.chunks(AT_ONCE) {
            match self.post(state, some).await {
                // A damaged event's mails wait with it.
                Ok(()) | Err(Halt::Store(StoreError::Damaged(_))) => {}
                Err(halt) => return Err(halt),
            }
        }
        Ok(())
    }

    async fn load(&self) -> Result<BTreeMap<(EventRef, ClaimId), (u64, Again)>, StoreError> {
        let all = stored(self.engine, |store| {
            store.scan(Range::All(Collection::Retries), None, usize::MAX)
        });
        let read = |(key, document): (Key, sloe_store::api::Document)| {
            if !is_mail(key.local_id()) {
                return None;
            }
            let again: Again = file::decode(&document.body).ok()?;
            let mail = (EventRef::from_partition(&again.mail)?, ClaimId::parse(&again.claim)?);
            Some((mail, (document.version, again)))
        };
        Ok(all.await?.into_iter().filter_map(read).collect())
    }

    /// Sends the mails of what was confirmed since.
    async fn news(&self, state: &mut State) -> Result<(), Halt> {
        loop {
            let mut passed = false;
            for pending in stored(self.engine, |store| store.pending(Destination::Mail)).await? {
                // A batch of each event in turn: a busy one doesn't keep the others waiting.
                match self.batch(state, pending).await {
                    Ok(went_on) => passed |= went_on,
                    Err(Halt::Store(StoreError::Damaged(reason))) => {
                        if state.damaged.insert(pending.event) {
                            tracing::error!(event = ?pending.event, reason, "an event is damaged; its mail waits");
                        }
                    }
                    Err(halt) => return Err(halt),
                }
            }
            if !passed {
                return Ok(());
            }
        }
    }

    /// Sends the mails of an event's next batch and passes it; false at the journal's end.
    async fn batch(&self, state: &mut State, pending: Pending) -> Result<bool, Halt> {
        let Pending { event, cursor, .. } = pending;
        let Some(org) = self.engine.registry().by_id(event.org) else { return Ok(false) };
        let key = Key::send(org.scope, &format!("mail {}", event.event));
        let mark = key.clone();
        let (mark, batches) = stored(self.engine, move |store| {
            Ok((store.get(&mark)?, store.read(event, cursor, 1)?))
        })
        .await?;
        let Some(batch) = batches.into_iter().next() else { return Ok(false) };
        let confirmed = batch.facts.iter().filter_map(|fact| match fact {
            Fact::Confirmed { claim, .. } => Some((event, *claim)),
            _ => None,
        });
        let mails: Vec<_> = confirmed.collect();
        // The mark's version tells the batch, and how many of its mails went.
        let base = batch.version.saturating_mul(PER_BATCH);
        let done = mark.and_then(|document| document.version.checked_sub(base));
        let mut sent = done.filter(|done| *done < PER_BATCH).unwrap_or(0);
        let at = usize::try_from(sent).unwrap_or(usize::MAX).min(mails.len());
        for some in mails.split_at(at).1.chunks(AT_ONCE) {
            self.post(state, some).await?;
            sent += some.len() as u64;
            let write = Write { key: key.clone(), version: base + sent, body: Some(Vec::new()) };
            stored(self.engine, move |store| store.put(&[write])).await?;
        }
        let passed = batch.version;
        stored(self.engine, move |store| store.advance(Destination::Mail, event, passed, &[]))
            .await?;
        Ok(true)
    }

    /// Posts a few mails side by side and writes down what became of them.
    async fn post(&self, state: &mut State, some: &[(EventRef, ClaimId)]) -> Result<(), Halt> {
        if self.engine.workers().stopping.is_cancelled() {
            return Err(Halt::Stopping);
        }
        let mut running = tokio::task::JoinSet::new();
        for (event, claim) in some.iter().copied() {
            let (engine, mailer) = (self.engine.clone(), Arc::clone(self.mailer));
            running.spawn(async move {
                ((event, claim), post_one(&engine, &mailer, event, claim).await)
            });
        }
        let (mut done, mut unanswered, mut halted) = (Vec::new(), Vec::new(), None);
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok((mail, Ok(posted))) => done.push((mail, posted)),
                Ok((mail, Err(Halt::Server(why)))) => unanswered.push((mail, why)),
                // Others that can be sent say more than one of a damaged event.
                Ok((_, Err(Halt::Store(StoreError::Damaged(_))))) if halted.is_some() => {}
                Ok((_, Err(halt))) => halted = Some(halt),
                Err(_) => halted = Some(Halt::Server("a mail's task ended by itself".to_owned())),
            }
        }
        if done.iter().any(|(_, posted)| !matches!(posted, Posted::Moot)) {
            // Tried by themselves later: together they would go a second time to those who have theirs.
            let later = |(mail, _)| (mail, Posted::Later(UNANSWERED.to_owned()));
            done.extend(unanswered.into_iter().map(later));
        } else if let Some((_, why)) = unanswered.pop() {
            halted = Some(Halt::Server(why));
        }
        let writes: Vec<_> =
            done.into_iter().flat_map(|(mail, posted)| self.settle(state, mail, posted)).collect();
        stored(self.engine, move |store| store.put(&writes)).await?;
        halted.map_or(Ok(()), Err)
    }

    fn settle(&self, state: &mut State, mail: (EventRef, ClaimId), posted: Posted) -> Vec<Write> {
        let (event, claim) = mail;
        let again = state.again.get_or_insert_default();
        let (version, before) = again.remove(&mail).unzip();
        let Some(org) = self.engine.registry().by_id(event.org) else { return Vec::new() };
        let name = format!("mail {}", claim.text());
        let version = version.unwrap_or(0) + 1;
        let attempts = before.as_ref().map_or(0, |again| again.attempts) + 1;
        let key = Key::retry(org.scope, &name);
        let forget = |key| Write { key, version: letter::ANY, body: None };
        let mut writes: Vec<_> = before.iter().map(|_| forget(key.clone())).collect();
        match posted {
            Posted::Done | Posted::Moot if before.is_some() => {
                writes.push(forget(Key::dead_letter(org.scope, &name)));
            }
            Posted::Done | Posted::Moot => {}
            Posted::Later(_) if attempts < ATTEMPTS => {
                let pause = PAUSE_MILLIS.saturating_mul(1 << attempts.min(16));
                let entry = Again {
                    mail: event.partition(),
                    claim: claim.text(),
                    attempts,
                    not_before: self.engine.now().plus_millis(pause.min(LONGEST_MILLIS)).0,
                    before: before.as_ref().map_or(0, |again| again.before),
                    since: before.and_then(|again| again.since),
                };
                let body = Some(file::encode(&entry));
                again.insert(mail, (version, entry));
                return vec![Write { key, version, body }];
            }
            Posted::Later(code) | Posted::Never(code) => {
                tracing::warn!(org = %org.id(), code, "a mail failed for good");
                let tries = before.as_ref().map_or(0, |again| again.before) + attempts;
                let since = before.and_then(|again| again.since);
                writes.push(self.dead(&org, mail, &name, code, (tries, since)));
            }
        }
        writes
    }

    fn dead(
        &self,
        org: &Org,
        (event, claim): (EventRef, ClaimId),
        name: &str,
        code: String,
        (tries, since): (u32, Option<i64>),
    ) -> Write {
        let now = self.engine.now();
        let dead = Dead {
            event: event.partition(),
            claim: claim.text(),
            place: 1,
            at: now.0,
            code,
            fields: vec!["E-mail".to_owned()],
            since,
            tries,
            state: 0,
            confirmed_at: None,
            conflict: false,
            forced: false,
            there: false,
            accepted: false,
            unlinked: false,
            sealed_message: None,
        };
        let key = Key::dead_letter(org.scope, name);
        // One that was replayed takes the place of the one before.
        Write { key, version: now.0.unsigned_abs().max(1), body: Some(file::encode(&dead)) }
    }
}

async fn post_one(
    engine: &Engine,
    mailer: &Mailer,
    event: EventRef,
    claim: ClaimId,
) -> Result<Posted, Halt> {
    let order = match order(engine, event, claim).await {
        Ok(order) => order,
        Err(Denied::NotFound) => return Ok(Posted::Moot),
        Err(denied @ Denied::Quarantined) => {
            return Err(Halt::Store(StoreError::Damaged(denied.to_string())));
        }
        Err(denied) => {
            return Err(Halt::Store(StoreError::Unavailable(denied.to_string())));
        }
    };
    // Nobody is told of what was cancelled or erased meanwhile.
    let standing = order.tickets.iter().any(|ticket| ticket.cancelled.is_none());
    let first = order.tickets.iter().find_map(|ticket| ticket.attendee.as_ref());
    let (true, Some(first)) = (standing, first) else { return Ok(Posted::Moot) };
    let Ok(address) = first.email.parse() else { return Ok(Posted::Never("address".to_owned())) };
    let to = Mailbox::new(Some(format!("{} {}", first.first_name, first.last_name)), address);
    let Ok(message) = write(engine, mailer, &order, to) else {
        return Ok(Posted::Never("message".to_owned()));
    };
    let Err(error) = mailer.transport.send(message).await else { return Ok(Posted::Done) };
    if error.status().is_none() && matches!(mailer.transport.test_connection().await, Ok(true)) {
        // It is there, and this is what it does not answer: nobody else is to wait for it.
        return Ok(Posted::Later(UNANSWERED.to_owned()));
    }
    judge(&error)
}

async fn order(engine: &Engine, event: EventRef, claim: ClaimId) -> Result<OrderView, Denied> {
    let (org, snapshot) = engine.known(event)?;
    let view = engine.desk().view(event, claim).await;
    let view = view.map_err(|why| crate::claims::denied(&snapshot, why))?;
    engine.order_view(org, snapshot, view.ok_or(Denied::NotFound)?).await
}

fn write(
    engine: &Engine,
    mailer: &Mailer,
    order: &OrderView,
    to: Mailbox,
) -> Result<Message, lettre::error::Error> {
    let settings = &mailer.settings;
    let (org, snapshot) = (&order.org.profile, &order.snapshot);
    let links = Links {
        order: format!("{}/order/{}", settings.public_url, order.token),
        event: format!("{}/{}/{}", settings.public_url, org.slug, snapshot.slug),
    };
    let body = (settings.render)(order, &links);
    let ics = calendar::order(order, &links.event, engine.now());
    let calendar_type = ContentType::parse("text/calendar; charset=utf-8; method=PUBLISH")
        .unwrap_or(ContentType::TEXT_PLAIN);
    let mut message = Message::builder()
        // The same for the same order: a mailbox that gets it twice can tell.
        .message_id(Some(format!("<{}@{}>", order.claim.text(), mailer.from.email.domain())))
        .from(mailer.from.clone())
        .to(to)
        .subject(body.subject);
    let contact = snapshot.organizer.email.as_ref().or(org.contact_email.as_ref());
    if let Some(contact) = contact.and_then(|contact| contact.parse().ok()) {
        message = message.reply_to(contact);
    }
    message.multipart(
        MultiPart::mixed()
            .multipart(
                MultiPart::alternative()
                    .singlepart(SinglePart::plain(body.text))
                    .singlepart(SinglePart::html(body.html)),
            )
            .singlepart(Attachment::new("event.ics".to_owned()).body(ics, calendar_type)),
    )
}

/// What the server's answer means; its words may quote an address and stay out of logs.
fn judge(error: &smtp::Error) -> Result<Posted, Halt> {
    let Some(status) = error.status().map(u16::from) else {
        let why = if error.is_timeout() { "no answer in time" } else { "it can't be reached" };
        return Err(Halt::Server(why.to_owned()));
    };
    if ABOUT_THE_SESSION.contains(&status) {
        return Err(Halt::Server(format!("it answers {status}")));
    }
    let code = format!("smtp-{status}");
    Ok(if error.is_permanent() { Posted::Never(code) } else { Posted::Later(code) })
}
