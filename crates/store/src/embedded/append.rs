//! Commits to the journal: all batches of one commit in one transaction, and
//! what goes with each batch in rows that all of them write together.

use rusqlite::{OptionalExtension, Transaction, params};
use sloe_core::fact::Fact;
use sloe_core::ids::ClaimId;

use super::rows::{self, blob, number, text};
use super::write::{intern, last_version};
use super::{Embedded, explain, name, signed};
use crate::api::{Append, Appended, StoreError};
use crate::record;

/// Why a transaction of appends is given up.
enum Stop {
    Store(StoreError),
    /// The append at this place brings in a claim that its journal already has.
    Taken(usize, ClaimId),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(explain(error))
    }
}

/// An append with all that can be done before it is its turn to write.
struct Entry<'a> {
    append: &'a Append,
    partition: String,
    facts: Vec<u8>,
}

impl<'a> Entry<'a> {
    fn new(append: &'a Append) -> Self {
        let partition = append.event.partition();
        Self { append, partition, facts: record::batch::encode(&append.batch) }
    }
}

/// A claim that a batch brings in. Neighbors on the way in are neighbors on the page.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    id: [u8; 16],
    partition: i64,
    version: i64,
    /// The append's.
    place: usize,
}

/// A claim's sealed details, or that they are destroyed.
struct Detail<'a> {
    claim: [u8; 16],
    partition: i64,
    body: Option<&'a [u8]>,
}

/// What goes with the batches of a commit.
#[derive(Default)]
struct Rows<'a> {
    /// Claims that must be new.
    held: Vec<Claim>,
    /// Claims that are new only if they never were a hold.
    confirmed: Vec<Claim>,
    details: Vec<Detail<'a>>,
    /// Destination, partition and version.
    news: Vec<(&'static str, i64, i64)>,
}

pub(super) fn append(store: &Embedded, appends: &[Append]) -> Result<Vec<Appended>, StoreError> {
    if appends.is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<Entry<'_>> = appends.iter().map(Entry::new).collect();
    let mut taken: Vec<Option<ClaimId>> = vec![None; entries.len()];
    // A taken claim shows when its batch is written. It never happens to a
    // sound ledger, so all is undone and the others are written again.
    loop {
        let answer = store.write(|transaction| {
            let (mut answers, mut rows) = (Vec::with_capacity(entries.len()), Rows::default());
            for (place, (entry, taken)) in entries.iter().zip(&taken).enumerate() {
                answers.push(match taken {
                    Some(claim) => Appended::Taken(*claim),
                    None => append_one(transaction, entry, place, &mut rows)?,
                });
            }
            rows.write(transaction)?;
            Ok(answers)
        });
        match answer {
            Ok(answers) => return Ok(answers),
            Err(Stop::Store(error)) => return Err(error),
            Err(Stop::Taken(place, claim)) => {
                if let Some(slot) = taken.get_mut(place) {
                    *slot = Some(claim);
                }
            }
        }
    }
}

fn append_one<'a>(
    transaction: &Transaction<'_>,
    entry: &Entry<'a>,
    place: usize,
    rows: &mut Rows<'a>,
) -> Result<Appended, Stop> {
    let batch = &entry.append.batch;
    let partition = intern(transaction, &entry.partition)?;
    let version = signed(batch.version)?;
    if last_version(transaction, partition)?.checked_add(1) != Some(version) {
        return Ok(Appended::Conflict);
    }
    transaction
        .prepare_cached(
            "INSERT INTO journal (partition, version, at, nonce, facts) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![partition, version, batch.at.0, batch.nonce.to_be_bytes(), entry.facts])?;
    for fact in &batch.facts {
        let (to, claim) = match fact {
            Fact::Held { claim, .. } => (&mut rows.held, claim),
            Fact::Confirmed { claim, .. } => (&mut rows.confirmed, claim),
            _ => continue,
        };
        to.push(Claim { id: claim.0.to_be_bytes(), partition, version, place });
    }
    rows.details.extend(entry.append.sealed.iter().map(|sealed| Detail {
        claim: sealed.claim.0.to_be_bytes(),
        partition,
        body: sealed.body.as_deref(),
    }));
    let news = entry.append.destinations.iter().map(|to| (name(*to), partition, version));
    rows.news.extend(news);
    Ok(Appended::Committed)
}

impl Rows<'_> {
    fn write(mut self, transaction: &Transaction<'_>) -> Result<(), Stop> {
        self.held.sort_unstable();
        if bring_in(transaction, &self.held)? < self.held.len() {
            return Err(taken(transaction, &self.held)?);
        }
        self.confirmed.sort_unstable();
        bring_in(transaction, &self.confirmed)?;
        // Stable: of two entries for one claim the later one stands.
        self.details.sort_by_key(|detail| (detail.claim, detail.partition));
        let into = "INSERT INTO vault (claim, partition, body)";
        let later = "ON CONFLICT DO UPDATE SET body = excluded.body";
        rows::insert(transaction, (into, later), &self.details, |detail| {
            [blob(Some(&detail.claim)), number(detail.partition), blob(detail.body)]
        })?;
        let into = "INSERT INTO outbox (destination, partition, latest, cursor)";
        let later = "ON CONFLICT DO UPDATE SET latest = excluded.latest";
        rows::insert(transaction, (into, later), &self.news, |(to, partition, version)| {
            [text(to), number(*partition), number(*version), number(0)]
        })?;
        Ok(())
    }
}

/// How many of these claims are new.
fn bring_in(transaction: &Transaction<'_>, claims: &[Claim]) -> rusqlite::Result<usize> {
    let into = "INSERT INTO claims (claim, partition, version)";
    rows::insert(transaction, (into, "ON CONFLICT DO NOTHING"), claims, |claim| {
        [blob(Some(&claim.id)), number(claim.partition), number(claim.version)]
    })
}

/// The claim, of some that are written now, that was there before, or is twice among them.
fn taken(transaction: &Transaction<'_>, claims: &[Claim]) -> Result<Stop, Stop> {
    let mut first = transaction
        .prepare_cached("SELECT version FROM claims WHERE claim = ?1 AND partition = ?2")?;
    let mut before: Option<&Claim> = None;
    for claim in claims {
        let known: Option<i64> =
            first.query_row(params![claim.id, claim.partition], |row| row.get(0)).optional()?;
        let twice = before.is_some_and(|b| (b.id, b.partition) == (claim.id, claim.partition));
        if twice || known != Some(claim.version) {
            return Ok(Stop::Taken(claim.place, ClaimId(u128::from_be_bytes(claim.id))));
        }
        before = Some(claim);
    }
    Err(StoreError::Damaged("a claim was not written, and is not there".to_owned()).into())
}
