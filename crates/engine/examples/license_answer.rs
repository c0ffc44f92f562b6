//! How long "may this org be live?" takes, as every public request asks it:
//! of so many licensed orgs, in an engine on a store of its own, while
//! another thread replaces what is known.
//!
//! `cargo run --release -p sloe-engine --example license_answer [ORGS] [QUESTIONS]`
//! (defaults: 10,000 orgs, 10,000,000 questions). Prints nanoseconds a question.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use sloe_core::ids::OrgId;
use sloe_core::license::{License, Status, end_of_day};
use sloe_engine::clock::{Machine, World};
use sloe_engine::tenant::Licenses;
use sloe_store::api::{Store, Write};
use sloe_store::embedded::Embedded;
use sloe_store::key::Key;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: usize| args.next().map_or(Ok(default), |text| text.parse());
    let (count, questions) = (number(10_000)?, number(10_000_000)?);
    let directory = tempfile::tempdir_in(".")?;
    let store = Embedded::open(directory.path())?;
    let orgs: Vec<OrgId> =
        (0..count).map(|n| OrgId::parse(&format!("00D{n:012}"))).collect::<Result<_, _>>()?;
    let licenses = Arc::new(Licenses::default());
    let row = |number: usize, status, expires_at| License {
        number: format!("L-{number:05}"),
        status,
        expires_at,
    };
    // Two rows each, the better one last.
    let end = end_of_day("2199-12-31");
    let rows = [row(1, Status::Suspended, None), row(2, Status::Trial, end)];
    let body = Licenses::encode(&rows)?;
    for chunk in orgs.chunks(1_000) {
        let write =
            |org: &OrgId| Write { key: Key::licenses(*org), version: 1, body: Some(body.clone()) };
        store.put(&chunk.iter().map(write).collect::<Vec<_>>())?;
    }
    licenses.load(&store)?;

    let (over, kept) = (Arc::new(AtomicBool::new(false)), Arc::clone(&licenses));
    let told = Arc::clone(&over);
    let other = std::thread::spawn(move || {
        let mut loads = 0_u64;
        while !told.load(Ordering::Relaxed) && kept.load(&store).is_ok() {
            loads += 1;
        }
        loads
    });
    let now = Machine.now();
    let (mut live, mut at) = (0_usize, 0_usize);
    let start = Instant::now();
    for _ in 0..questions {
        // Not the same one twice in a row, so that no cache line does all the work.
        at = (at + 7_919) % orgs.len();
        live += usize::from(orgs.get(at).is_some_and(|org| licenses.is_live(*org, now)));
    }
    let took = start.elapsed();
    over.store(true, Ordering::Relaxed);
    let loads = other.join().map_err(|_| "the other thread ended by a panic")?;
    if live != questions {
        return Err(format!("{live} of {questions} answers were yes").into());
    }
    let nanos = took.as_nanos() as f64 / questions as f64;
    println!("{nanos:.0}");
    eprintln!("{count} orgs, {questions} questions, replaced {loads} times meanwhile");
    Ok(())
}
