//! What programs that measure the engine share: an org that nobody answers
//! for, its events, and what people want of them.
#![allow(dead_code, unreachable_pub, reason = "each program uses its own part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use sloe_core::ids::{EventRef, OrgId, SfId};
use sloe_core::inbound::{Field, RawEvent, RawRecord, Value};
use sloe_core::license::{License, Status};
use sloe_engine::clock::{Machine, World};
use sloe_engine::engine::{Engine, LEDGER_BYTES, Options};
use sloe_engine::seal::Key;
use sloe_engine::tenant::Profile;
use sloe_engine::view::{AttendeeInput, Choice};
use sloe_engine::worker;
use sloe_salesforce::{Credentials, Flow};
use sloe_store::api::Store;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// No pool is ever full.
const SEATS: u32 = 50_000_000;
const DAY: i64 = 86_400_000;
/// An address where nobody answers.
const NOBODY: &str = "http://127.0.0.1:9";

pub fn org() -> Result<OrgId, Failure> {
    Ok(OrgId::parse("00D000000000001")?)
}

pub fn event(n: usize) -> Result<EventRef, Failure> {
    Ok(EventRef { org: org()?, event: record("a00", n)? })
}

fn record(kind: &str, n: usize) -> Result<SfId, Failure> {
    Ok(SfId::parse(&format!("{kind}{n:012}"))?)
}

pub fn start(
    store: Arc<dyn Store>,
    world: Arc<dyn World>,
    workers: Option<worker::Settings>,
) -> Result<Engine, Failure> {
    let master_key = Key::new([7; 32]);
    Ok(Engine::start(Options { store, master_key, world, ledger_bytes: LEDGER_BYTES, workers })?)
}

/// Connects the org, with a live license.
pub fn connect(engine: &Engine, store: &dyn Store) -> Result<(), Failure> {
    let profile = Profile { slug: "bench".into(), name: "Bench".into(), ..Profile::default() };
    let flow = Flow::ClientCredentials {
        client_id: "sloe".to_owned(),
        client_secret: "secret".to_owned().into(),
    };
    let credentials = Credentials { login_url: NOBODY.to_owned(), flow };
    engine.registry().connect(store, org()?, profile, credentials)?;
    let license = License { number: "L-1".to_owned(), status: Status::Active, expires_at: None };
    engine.registry().licenses.replace(store, org()?, &[license])?;
    Ok(())
}

/// An event in a month as the org would answer it, with so many pools that
/// have a limit: itself, its item, and sessions.
pub fn raw(n: usize, name: &str, pools: usize) -> Result<RawEvent, Failure> {
    let now = Machine.now();
    let text = |text: &str| Value::Text(text.to_owned());
    let at = |days: i64| text(&now.plus_millis(days * DAY).to_rfc3339());
    let limit = || (Field::Limit, Value::Number(SEATS.into()));
    let timed = |name: &str| {
        [(Field::Name, text(name)), (Field::StartsAt, at(30)), (Field::EndsAt, at(31)), limit()]
    };
    let mut fields = BTreeMap::from(timed(name));
    fields.insert(Field::Published, Value::Bool(true));
    fields.insert(Field::Slug, text(&format!("event-{n}")));
    let mut item = BTreeMap::from([(Field::Name, text("Ticket"))]);
    item.extend((pools > 1).then(limit));
    let session = |s: usize| {
        let fields = BTreeMap::from(timed(&format!("Session {s}")));
        Ok(RawRecord { id: record("a02", n * 100 + s)?, fields })
    };
    Ok(RawEvent {
        event: RawRecord { id: record("a00", n)?, fields },
        items: vec![RawRecord { id: record("a01", n)?, fields: item }],
        sessions: (2..pools).map(session).collect::<Result<_, Failure>>()?,
        external_total: 0,
        external_by_item: Vec::new(),
        external_by_session: Vec::new(),
        cancelled: Vec::new(),
        as_of: now,
    })
}

/// The event's item and all its sessions: a seat of every pool.
pub fn everything(engine: &Engine, event: EventRef) -> Result<Choice, Failure> {
    let (_, snapshot) = engine.event(event.public_id())?;
    let item = snapshot.items.first().ok_or("the event has no item")?.id;
    let sessions = snapshot.sessions.iter().map(|session| session.id).collect();
    Ok(Choice { item, sessions })
}

/// A person, by number.
pub fn person(n: u64) -> AttendeeInput {
    AttendeeInput {
        first_name: "Ada".to_owned(),
        last_name: format!("Reid {n}"),
        email: format!("person{n}@bench.example"),
        invitation: String::new(),
    }
}

/// Bytes resident now, and at most so far.
pub fn memory() -> Result<(u64, u64), Failure> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    Ok(field("VmRSS:").zip(field("VmHWM:")).ok_or("the system does not tell the memory")?)
}

/// Times in microseconds, of which quantiles are asked; in milliseconds.
#[derive(Default)]
pub struct Times(Vec<u32>);

impl Times {
    pub fn push(&mut self, took: std::time::Duration) {
        self.0.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that `permille` of them don't exceed.
    pub fn quantile(&mut self, permille: usize) -> f64 {
        self.0.sort_unstable();
        let at = self.0.len().saturating_sub(1) * permille / 1_000;
        self.0.get(at).map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
    }
}
