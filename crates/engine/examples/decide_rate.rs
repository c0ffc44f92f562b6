//! How many claims a second the ledger decides, alone: in memory, on one
//! core, over an event, an item and two sessions, with so many live already.
//! Each claim and its request stay known, as in a server.
//!
//! `cargo run --release -p sloe-engine --example decide_rate [LIVE] [CLAIMS]`
//! (defaults: 1,000,000 live, 500,000 more). Prints one JSON object.

use std::time::{Duration, Instant};

use sloe_core::fact::{ItemTerms, PoolTerms, Request, SessionTerms, Standing, Terms};
use sloe_core::ids::{ClaimId, SfId};
use sloe_core::ledger::{Command, Ledger, PlaceRequest};
use sloe_core::time::Timestamp;

type Failure = Box<dyn std::error::Error>;

/// Claims in one batch: half of those that wait, as when 512 do.
const BATCH: u64 = 256;
/// No pool is ever full.
const SEATS: u32 = 50_000_000;
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY: i64 = 86_400_000;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| args.next().map_or(Ok(default), |text| text.parse());
    let (live, claims) = (number(1_000_000)?, number(500_000)?);
    let [item, first, second] = [1, 11, 12].map(|n| SfId::parse(&format!("a00{n:012}")));
    let (item, sessions) = (item?, [first?, second?]);
    let mut ledger = Ledger::default();
    let terms = Command::SetTerms(Box::new(terms(item, &sessions)));
    for fact in ledger.decide(NOW, &terms).map_err(|refusal| format!("{refusal:?}"))?.facts {
        ledger.apply(&fact, NOW)?;
    }
    let place = PlaceRequest { item, sessions: sessions.to_vec() };
    let mut next = 0;
    take(&mut ledger, &place, &mut next, live)?;
    let took = take(&mut ledger, &place, &mut next, claims)?;
    let counted: Vec<u32> = ledger.counts().map(|count| count.taken()).collect();
    if counted.len() != 4 || counted.iter().any(|taken| u64::from(*taken) != next) {
        return Err(format!("{next} claims over four pools came to {counted:?}").into());
    }
    let told = serde_json::json!({
        "pools": counted.len(), "live": live, "claims": next - live,
        "per_second": (next - live) as f64 / took.as_secs_f64(),
    });
    println!("{told}");
    Ok(())
}

/// Takes so many claims, in whole batches, as the combiner does; the time in the ledger.
fn take(
    ledger: &mut Ledger,
    place: &PlaceRequest,
    next: &mut u64,
    claims: u64,
) -> Result<Duration, Failure> {
    let (mut took, last) = (Duration::ZERO, *next + claims);
    while *next < last {
        let asked: Vec<Command> = (0..BATCH)
            .map(|_| {
                *next += 1;
                hold(place.clone(), *next)
            })
            .collect();
        let began = Instant::now();
        for fact in ledger.expire(NOW) {
            ledger.apply(&fact, NOW)?;
        }
        for command in &asked {
            let decision = ledger.decide(NOW, command).map_err(|no| format!("{no:?}"))?;
            for fact in &decision.facts {
                ledger.apply(fact, NOW)?;
            }
        }
        ledger.close(NOW, u128::from(*next));
        took += began.elapsed();
    }
    Ok(took)
}

fn hold(place: PlaceRequest, n: u64) -> Command {
    // Time first, as in UUIDv7; the rest scattered.
    let scattered = u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let claim = ClaimId(u128::from(n / 64) << 80 | scattered);
    let request = Request { key: scattered << 64 | u128::from(n), body: n };
    Command::Hold { claim, request, places: vec![place], replaces: None }
}

fn terms(item: SfId, sessions: &[SfId]) -> Terms {
    let pool = |record| PoolTerms { record, limit: Some(SEATS), external: 0 };
    let ends_at = NOW.plus_millis(30 * DAY);
    let session = |record: &SfId| SessionTerms { pool: pool(*record), ends_at };
    Terms {
        as_of: NOW,
        standing: Standing::Published,
        opens_at: None,
        closes_at: None,
        ends_at,
        hold_millis: DAY,
        max_per_order: 10,
        limit: Some(SEATS),
        external: 0,
        items: vec![ItemTerms {
            pool: pool(item),
            free: true,
            opens_at: None,
            closes_at: None,
            max_per_order: 10,
        }],
        sessions: sessions.iter().map(session).collect(),
    }
}
