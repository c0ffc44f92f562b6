//! A process that writes is killed with -9, over and over: what it was told is
//! durable is there, and the journal has no gaps. (What a power cut does is
//! the flush's matter; this is about what the process holds in memory.)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use sloe_core::fact::{Batch, Fact, PoolIx, Request, Selection};
use sloe_core::ids::{ClaimId, EventRef, OrgId, SfId};
use sloe_core::time::Timestamp;
use sloe_store::api::{Append, Appended, Checkpoint, Destination, Sealed, Store, Write};
use sloe_store::embedded::Embedded;
use sloe_store::key::Key;

const ROUNDS: u64 = 8;
const EVENTS: usize = 3;
/// Acknowledgements that a round waits for before it kills.
const ENOUGH: usize = 150;
/// Names the directory to the process that is to be killed.
const DIRECTORY: &str = "SLOE_CRASH_TEST_DIRECTORY";

fn events() -> [EventRef; EVENTS] {
    [1, 2, 3].map(|n| EventRef {
        org: OrgId::parse("00D000000000001").unwrap(),
        event: SfId::parse(&format!("a0000000000000{n}")).unwrap(),
    })
}

/// Claims of event `event` in the batch of that version: told by their numbers.
fn claims(event: usize, version: u64) -> [ClaimId; 4] {
    [0, 1, 2, 3].map(|n| ClaimId(u128::from(version) << 64 | (event as u128) << 8 | n))
}

fn append(event: usize, version: u64) -> Append {
    let claims = claims(event, version);
    let place = Selection { item: PoolIx(1), sessions: [PoolIx(2)].into_iter().collect() };
    let confirmed = |claim: ClaimId| Fact::Confirmed {
        claim,
        request: Request { key: claim.0, body: version },
        places: vec![place.clone()],
    };
    let facts = claims.map(confirmed).to_vec();
    let sealed = |claim: ClaimId| Sealed { claim, body: Some(claim.0.to_be_bytes().repeat(20)) };
    Append {
        event: events()[event],
        batch: Batch { version, at: Timestamp(0), nonce: u128::from(version) * 3, facts },
        sealed: claims.map(sealed).to_vec(),
        destinations: vec![Destination::Org],
    }
}

/// Writes until it is killed, and says what is durable.
fn write_until_killed(directory: &Path) {
    let store = Embedded::open(directory).unwrap();
    let last: Vec<u64> = events()
        .iter()
        .map(|event| {
            let journals = store.journals().unwrap();
            journals.iter().find(|(journal, _)| journal == event).map_or(0, |found| found.1)
        })
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| copy_documents(&store));
        for step in 1_u64.. {
            let appends: Vec<Append> =
                last.iter().enumerate().map(|(event, last)| append(event, last + step)).collect();
            let answers = store.append(&appends).unwrap();
            assert_eq!(answers, [Appended::Committed; EVENTS]);
            let mut told = String::new();
            for (event, append) in appends.iter().enumerate() {
                told += &format!("durable {event} {}\n", append.batch.version);
            }
            // In one write: a pipe takes it whole or not at all.
            std::io::stdout().write_all(told.as_bytes()).unwrap();
        }
    });
}

/// Other writers are at work when the end comes.
fn copy_documents(store: &Embedded) {
    for version in 1_u64.. {
        let key = Key::platform("crash");
        store.put(&[Write { key, version, body: Some(vec![1; 5_000]) }]).unwrap();
        let byte = version.to_le_bytes()[0];
        let chunks = vec![vec![byte; 40_000], vec![byte; 40_000]];
        let checkpoint = Checkpoint { version, nonce: u128::from(byte), chunks };
        store.put_checkpoint(events()[0], &checkpoint).unwrap();
    }
}

#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        // This is the process to be killed: the test started itself once more.
        return write_until_killed(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut durable: BTreeSet<(usize, u64)> = BTreeSet::new();
    for round in 1..=ROUNDS {
        let told = run_and_kill(directory.path());
        assert!(told.len() >= ENOUGH, "round {round} wrote only {}", told.len());
        durable.extend(told);
        let store = Embedded::open(directory.path()).unwrap();
        check(&store, &durable);
    }
}

/// What the victim said was durable before it died.
fn run_and_kill(directory: &Path) -> Vec<(usize, u64)> {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_acknowledged_is_lost_to_kill_9", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = Vec::new();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    for line in lines {
        // The last line may be cut off, with the process.
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        if let ["durable", event, version] = words.as_slice() {
            told.push((event.parse().unwrap(), version.parse().unwrap()));
        }
        if told.len() == ENOUGH {
            victim.kill().unwrap();
        }
    }
    victim.wait().unwrap();
    told
}

fn check(store: &Embedded, durable: &BTreeSet<(usize, u64)>) {
    let mut lasts = [0; EVENTS];
    for (event, at) in events().into_iter().enumerate() {
        let batches = store.read(at, 0, usize::MAX).unwrap();
        for (batch, version) in batches.iter().zip(1_u64..) {
            let expected = append(event, version);
            assert_eq!(*batch, expected.batch, "whole and without gaps");
            for sealed in &expected.sealed {
                assert_eq!(store.sealed(at, sealed.claim).unwrap(), sealed.body);
                assert_eq!(store.find(at, sealed.claim).unwrap(), Some(version));
            }
        }
        lasts[event] = batches.len() as u64;
    }
    for (event, version) in durable {
        assert!(*version <= lasts[*event], "batch {version} of event {event} is lost");
    }
    for pending in store.pending(Destination::Org).unwrap() {
        let event = events().iter().position(|event| *event == pending.event).unwrap();
        assert_eq!(pending.latest, lasts[event]);
    }
    if let Some(checkpoint) = store.checkpoint(events()[0]).unwrap() {
        let byte = checkpoint.version.to_le_bytes()[0];
        assert_eq!(checkpoint.chunks, vec![vec![byte; 40_000]; 2], "of one generation");
    }
}
