//! How many claims a second the embedded store takes: batches of registrations
//! in one step, with sealed details, one commit after the other, on this disk.
//!
//! `cargo run --release -p sloe-store --example append_rate [EVENTS] [BATCH] [SECONDS]`
//! (defaults: 1 event, 512 claims in one commit, 10 s).

use std::time::{Duration, Instant};

use sloe_core::fact::{Batch, Fact, PoolIx, Request, Selection};
use sloe_core::ids::{ClaimId, EventRef, OrgId, SfId};
use sloe_core::time::Timestamp;
use sloe_store::api::{Append, Appended, Destination, Sealed, Store};
use sloe_store::embedded::Embedded;

type Failure = Box<dyn std::error::Error>;

/// One per claim; as long as two attendees' names and addresses once sealed.
const SEALED_BYTES: usize = 300;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| args.next().map_or(Ok(default), |text| text.parse());
    let (events, batch, seconds) = (number(1)?, number(512)?, number(10)?);
    let directory = tempfile::tempdir_in(".")?;
    let store = Embedded::open(directory.path())?;
    let events = (0..events).map(event).collect::<Result<Vec<_>, _>>()?;
    let share = batch.div_ceil(events.len() as u64);

    let (mut version, mut claims) = (0, 0_u64);
    let (mut waits, mut slices) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        version += 1;
        let appends: Vec<Append> =
            events.iter().map(|event| registrations(*event, version, share, &mut claims)).collect();
        let before = Instant::now();
        let answers = store.append(&appends)?;
        waits.push(before.elapsed());
        if answers.iter().any(|answer| *answer != Appended::Committed) {
            return Err("a batch was refused".into());
        }
        if start.elapsed() > Duration::from_secs(slices.len() as u64 + 1) {
            slices.push(claims);
        }
    }
    let busy: Duration = waits.iter().sum();
    waits.sort_unstable();
    let quantile = |permille: usize| waits[(waits.len() - 1) * permille / 1_000];
    println!("{claims} claims in {} commits over {} events", waits.len(), events.len());
    println!("{:.0} claims/s in append alone", claims as f64 / busy.as_secs_f64());
    println!(
        "a commit: p50 {:?}, p99 {:?}, longest {:?}",
        quantile(500),
        quantile(990),
        quantile(1_000)
    );
    let per_second: Vec<u64> = slices.windows(2).map(|pair| pair[1] - pair[0]).collect();
    println!("claims by second: {per_second:?}");
    let bytes = std::fs::metadata(directory.path().join("sloe.db"))?.len();
    println!("{} bytes a claim on disk", bytes / claims.max(1));
    Ok(())
}

fn event(n: u64) -> Result<EventRef, Failure> {
    Ok(EventRef {
        org: OrgId::parse("00D000000000001")?,
        event: SfId::parse(&format!("a00{n:012}"))?,
    })
}

fn registrations(event: EventRef, version: u64, count: u64, claims: &mut u64) -> Append {
    let at = Timestamp(1_800_000_000_000);
    let (mut facts, mut sealed) = (Vec::new(), Vec::new());
    for _ in 0..count {
        *claims += 1;
        // Time first, as in UUIDv7; the rest scattered.
        let scattered = u128::from(claims.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let claim = ClaimId(u128::from(*claims / 64) << 80 | scattered);
        let place = Selection { item: PoolIx(1), sessions: [PoolIx(3)].into_iter().collect() };
        let request = Request { key: scattered << 64 | u128::from(*claims), body: *claims };
        facts.push(Fact::Confirmed { claim, request, places: vec![place.clone(), place] });
        sealed.push(Sealed { claim, body: Some(vec![0xa5; SEALED_BYTES]) });
    }
    Append {
        event,
        batch: Batch { version, at, nonce: u128::from(version), facts },
        sealed,
        destinations: vec![Destination::Org, Destination::Mail],
    }
}
