//! The journals, a document for each batch:
//!
//! ```text
//! _id:       { event: "event:<org>:<event>", version: 7 }   the commit point
//! at:        a date
//! nonce:     16 bytes; tells who wrote it, when an answer was lost
//! facts:     the batch as `record::batch` encodes it: the truth
//! summary:   how many facts of each kind, for whoever looks at it
//! held:      claims that the batch brings in as holds; unique in their event
//! confirmed: claims that it confirms
//! sealed:    [{ claim, body }] personal data; null is what was destroyed
//! erasing:   claims whose earlier sealed data is still to be destroyed
//! to:        the outboxes that have still to look at it
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson as Value, DateTime, Document as Bson, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::sync::Collection;
use sloe_core::fact::{Batch, Fact};
use sloe_core::ids::{ClaimId, EventRef};
use sloe_core::time::Timestamp;

use super::error::{DUPLICATE, explain, explain_write};
use super::{Mongo, capped, event_of, name, partition, passed_over, signed};
use crate::api::{Append, Appended, StoreError};
use crate::record;

pub(super) const COLLECTION: &str = "journal";
/// Journals that are looked at in one call.
const AT_ONCE: usize = 1_000;

fn journal(store: &Mongo) -> Collection<Bson> {
    store.collection(COLLECTION)
}

fn id(event: EventRef, version: i64) -> Bson {
    doc! { "event": partition(event), "version": version }
}

pub(super) fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::TermsSet(_) => "terms_set",
        Fact::Held { .. } => "held",
        Fact::Confirmed { .. } => "confirmed",
        Fact::Released { .. } => "released",
        Fact::Expired { .. } => "expired",
        Fact::Cancelled { .. } => "cancelled",
        Fact::Erased { .. } => "erased",
    }
}

/// The document of an append.
fn document(append: &Append) -> Result<Bson, StoreError> {
    let batch = &append.batch;
    let (mut held, mut confirmed, mut summary) =
        (Vec::new(), BTreeSet::new(), BTreeMap::<_, i64>::new());
    for fact in &batch.facts {
        *summary.entry(kind(fact)).or_default() += 1;
        match fact {
            Fact::Held { claim, .. } => held.push(claim.text()),
            Fact::Confirmed { claim, .. } => drop(confirmed.insert(claim.text())),
            _ => {}
        }
    }
    let mut document = doc! {
        "_id": id(append.event, signed(batch.version)?),
        "at": DateTime::from_millis(batch.at.0),
        "nonce": binary(&batch.nonce.to_be_bytes()),
        "facts": binary(&record::batch::encode(batch)),
        "summary": summary.into_iter().map(|(kind, n)| (kind.to_owned(), n.into())).collect::<Bson>(),
    };
    if !held.is_empty() {
        document.insert("held", held);
    }
    if !confirmed.is_empty() {
        document.insert("confirmed", confirmed.into_iter().collect::<Vec<_>>());
    }
    // Of two entries for one claim the later one stands.
    let sealed: BTreeMap<String, Option<&Vec<u8>>> =
        append.sealed.iter().map(|one| (one.claim.text(), one.body.as_ref())).collect();
    if !sealed.is_empty() {
        let gone = sealed.iter().filter(|(_, body)| body.is_none());
        let gone: Vec<String> = gone.map(|(claim, _)| claim.clone()).collect();
        if !gone.is_empty() {
            document.insert("erasing", gone);
        }
        let entry = |(claim, body): (String, Option<&Vec<u8>>)| {
            let body = body.map_or(Value::Null, |body| Value::Binary(binary(body)));
            Value::Document(doc! { "claim": claim, "body": body })
        };
        document.insert("sealed", sealed.into_iter().map(entry).collect::<Vec<_>>());
    }
    if !append.destinations.is_empty() {
        let to: BTreeSet<_> = append.destinations.iter().map(|to| name(*to)).collect();
        document.insert("to", to.into_iter().collect::<Vec<_>>());
    }
    Ok(document)
}

pub(super) fn append(store: &Mongo, appends: &[Append]) -> Result<Vec<Appended>, StoreError> {
    let gaps = gaps(store, appends)?;
    let (mut answers, mut places, mut documents) =
        (vec![Appended::Conflict; appends.len()], Vec::new(), Vec::new());
    for (place, append) in appends.iter().enumerate() {
        if append.batch.version > 0 && !gaps.contains(&place) {
            places.push(place);
            documents.push(document(append)?);
        }
    }
    if documents.is_empty() {
        return Ok(answers);
    }
    let refused = match journal(store).insert_many(&documents).ordered(false).run() {
        Ok(_) => BTreeSet::new(),
        Err(error) => refusals(error)?,
    };
    for (at, place) in places.into_iter().enumerate() {
        let (Some(append), Some(answer)) = (appends.get(place), answers.get_mut(place)) else {
            continue;
        };
        *answer = if refused.contains(&at) {
            judge(store, append).map_err(unsure)?
        } else {
            Appended::Committed
        };
        if *answer == Appended::Committed {
            reached(store, append.event, append.batch.version);
            let gone = append.sealed.iter().filter(|sealed| sealed.body.is_none());
            let gone: Vec<_> = gone.map(|sealed| sealed.claim.text()).collect();
            // The batch is durable: what is left of this is done at the next start.
            if !gone.is_empty()
                && let Err(error) = erase(store, append.event, append.batch.version, gone)
            {
                tracing::warn!(%error, "sealed details are still to be destroyed");
            }
        }
    }
    Ok(answers)
}

/// Places of appends whose journals are not there yet.
fn gaps(store: &Mongo, appends: &[Append]) -> Result<BTreeSet<usize>, StoreError> {
    let mut asked = Vec::new();
    {
        let known = store.reached.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, append) in appends.iter().enumerate() {
            let before = append.batch.version.saturating_sub(1);
            if before > known.get(&append.event).copied().unwrap_or(0) {
                asked.push((place, append.event, before));
            }
        }
    }
    if asked.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut ids = Vec::with_capacity(asked.len());
    for (_, event, before) in &asked {
        // What is no number is no version.
        if let Ok(before) = signed(*before) {
            ids.push(id(*event, before));
        }
    }
    let found = journal(store)
        .find(doc! { "_id": { "$in": ids } })
        .projection(doc! { "_id": 1 })
        .run()
        .map_err(explain)?;
    let mut there = BTreeSet::new();
    for found in found {
        let (event, version) = place_of(&found.map_err(explain)?)?;
        reached(store, event, version);
        there.insert((event, version));
    }
    let missing =
        asked.into_iter().filter(|(_, event, before)| !there.contains(&(*event, *before)));
    Ok(missing.map(|(place, ..)| place).collect())
}

fn reached(store: &Mongo, event: EventRef, version: u64) {
    let mut all = store.reached.lock().unwrap_or_else(PoisonError::into_inner);
    let known = all.entry(event).or_default();
    *known = version.max(*known);
}

/// The documents that were refused, by their places, if it is known that the
/// others were taken.
fn refusals(error: Error) -> Result<BTreeSet<usize>, StoreError> {
    let ErrorKind::InsertMany(failure) = error.kind.as_ref() else {
        return Err(explain_write(error));
    };
    if failure.write_concern_error.is_some() {
        return Err(StoreError::OutcomeUnknown("MongoDB did not confirm a majority".into()));
    }
    let refused = failure.write_errors.clone().unwrap_or_default();
    if let Some(other) = refused.iter().find(|write| write.code != DUPLICATE) {
        // The others may be durable: whoever asked must look.
        let code = other.code;
        return Err(StoreError::OutcomeUnknown(format!("MongoDB refused a batch (code {code})")));
    }
    Ok(refused.into_iter().map(|write| write.index).collect())
}

/// Why a refusal can't be explained. The other batches of the same call are
/// durable by then, so nothing of it may be told to be refused.
#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
fn unsure(error: StoreError) -> StoreError {
    StoreError::OutcomeUnknown(error.to_string())
}

/// What it means that a batch's document was refused.
fn judge(store: &Mongo, append: &Append) -> Result<Appended, StoreError> {
    let there = journal(store)
        .find_one(doc! { "_id": id(append.event, signed(append.batch.version)?) })
        .projection(doc! { "nonce": 1 })
        .run()
        .map_err(explain)?;
    if let Some(there) = there {
        // The driver sends once more what it got no answer to: then it is ours.
        let ours = there.get_binary_generic("nonce").ok().map(Vec::as_slice);
        let ours = ours == Some(append.batch.nonce.to_be_bytes().as_slice());
        return Ok(if ours { Appended::Committed } else { Appended::Conflict });
    }
    for fact in &append.batch.facts {
        if let Fact::Held { claim, .. } = fact
            && find(store, append.event, *claim)?.is_some()
        {
            return Ok(Appended::Taken(*claim));
        }
    }
    Ok(Appended::Conflict)
}

/// Destroys the sealed data that earlier batches have of claims.
fn erase(
    store: &Mongo,
    event: EventRef,
    version: u64,
    claims: Vec<String>,
) -> Result<(), StoreError> {
    let version = signed(version)?;
    let of = doc! {
        "_id.event": partition(event),
        "_id.version": { "$lt": version },
        "sealed.claim": { "$in": &claims },
    };
    let pull = doc! { "$pull": { "sealed": { "claim": { "$in": claims } } } };
    journal(store).update_many(of, pull).run().map_err(explain_write)?;
    let done = doc! { "$unset": { "erasing": 1 } };
    journal(store)
        .update_one(doc! { "_id": id(event, version) }, done)
        .run()
        .map(drop)
        .map_err(explain_write)
}

/// Destroys what an ended process left to be destroyed.
pub(super) fn finish_erasures(store: &Mongo) -> Result<(), StoreError> {
    let left = journal(store)
        .find(doc! { "erasing": { "$exists": true } })
        .projection(doc! { "erasing": 1 })
        .run()
        .map_err(explain)?;
    for found in left {
        let found = found.map_err(explain)?;
        let Some((event, version)) = passed_over(place_of(&found)) else { continue };
        let claims = found.get_array("erasing").map(Vec::as_slice).unwrap_or_default();
        let claims = claims.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        erase(store, event, version, claims)?;
    }
    Ok(())
}

/// Which batch a document is.
fn place_of(document: &Bson) -> Result<(EventRef, u64), StoreError> {
    let damaged = || StoreError::Damaged("a batch of the journal has no sound _id".into());
    let id = document.get_document("_id").map_err(|_| damaged())?;
    let event = event_of(id.get_str("event").map_err(|_| damaged())?)?;
    Ok((event, super::count(id, "version")?))
}

pub(super) fn read(
    store: &Mongo,
    event: EventRef,
    after: u64,
    limit: usize,
) -> Result<Vec<Batch>, StoreError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let found = journal(store)
        .find(doc! { "_id.event": partition(event), "_id.version": { "$gt": signed(after)? } })
        .projection(doc! { "at": 1, "nonce": 1, "facts": 1 })
        .sort(doc! { "_id.event": 1, "_id.version": 1 })
        .limit(capped(limit))
        .run()
        .map_err(explain)?;
    let mut batches = Vec::new();
    for document in found {
        batches.push(batch(&document.map_err(explain)?)?);
    }
    if let Some(last) = batches.last() {
        let whole = batches.iter().zip(after + 1..).all(|(batch, next)| batch.version == next);
        if !whole {
            return Err(StoreError::Damaged(format!(
                "the journal {} lacks a batch after version {after}",
                partition(event)
            )));
        }
        reached(store, event, last.version);
    }
    Ok(batches)
}

fn batch(document: &Bson) -> Result<Batch, StoreError> {
    let (event, version) = place_of(document)?;
    let damaged = |what: &dyn std::fmt::Display| {
        StoreError::Damaged(format!("batch {version} of {}: {what}", partition(event)))
    };
    let at = document.get_datetime("at").map_err(|error| damaged(&error))?;
    let at = Timestamp(at.timestamp_millis());
    let facts = document.get_binary_generic("facts").map_err(|error| damaged(&error))?;
    let facts = record::batch::decode(facts, at).map_err(|error| damaged(&error))?;
    let nonce = document.get_binary_generic("nonce").map_err(|error| damaged(&error))?;
    let nonce = nonce.as_slice().try_into().map_err(|error| damaged(&error))?;
    Ok(Batch { version, at, nonce: u128::from_be_bytes(nonce), facts })
}

pub(super) fn find(
    store: &Mongo,
    event: EventRef,
    claim: ClaimId,
) -> Result<Option<u64>, StoreError> {
    let mut first = None;
    for field in ["held", "confirmed"] {
        let found = journal(store)
            .find_one(doc! { "_id.event": partition(event), field: claim.text() })
            .projection(doc! { "_id": 1 })
            .sort(doc! { "_id.version": 1 })
            .run()
            .map_err(explain)?;
        if let Some(found) = found {
            let (_, version) = place_of(&found)?;
            first = Some(first.map_or(version, |first: u64| first.min(version)));
        }
    }
    Ok(first)
}

pub(super) fn list(store: &Mongo) -> Result<Vec<(EventRef, u64)>, StoreError> {
    let last = vec![
        doc! { "$sort": { "_id.event": 1, "_id.version": -1 } },
        doc! { "$group": { "_id": "$_id.event", "version": { "$first": "$_id.version" } } },
        doc! { "$sort": { "_id": 1 } },
    ];
    let mut journals = Vec::new();
    for found in journal(store).aggregate(last).run().map_err(explain)? {
        let found = found.map_err(explain)?;
        let event = event_of(found.get_str("_id").unwrap_or_default());
        let place = event.and_then(|event| Ok((event, super::count(&found, "version")?)));
        journals.extend(passed_over(place));
    }
    Ok(journals)
}

/// Journals that have the batch after the one named.
pub(super) fn beyond(
    store: &Mongo,
    known: &[(EventRef, u64)],
) -> Result<Vec<EventRef>, StoreError> {
    let mut news = Vec::new();
    for some in known.chunks(AT_ONCE) {
        // A journal has no gaps, so one place tells whether it goes on.
        let next = some.iter().map(|(event, version)| Ok(id(*event, signed(version + 1)?)));
        let next = next.collect::<Result<Vec<_>, StoreError>>()?;
        let found = journal(store)
            .find(doc! { "_id": { "$in": next } })
            .projection(doc! { "_id": 1 })
            .run()
            .map_err(explain)?;
        for found in found {
            news.push(place_of(&found.map_err(explain)?)?.0);
        }
    }
    Ok(news)
}

/// The last version of a journal; 0 where there is none.
pub(super) fn last_version(store: &Mongo, event: EventRef) -> Result<u64, StoreError> {
    let found = journal(store)
        .find_one(doc! { "_id.event": partition(event) })
        .projection(doc! { "_id": 1 })
        .sort(doc! { "_id.event": 1, "_id.version": -1 })
        .run()
        .map_err(explain)?;
    found.map_or(Ok(0), |found| place_of(&found).map(|(_, version)| version))
}

/// A batch's document has the details of all its claims, so what is asked for
/// together is found together; of one claim alone, only that one's come.
pub(super) fn sealed_of(
    store: &Mongo,
    event: EventRef,
    claims: &[ClaimId],
) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    let texts: Vec<String> = claims.iter().map(ClaimId::text).collect();
    let mut bodies: BTreeMap<&str, Option<Vec<u8>>> =
        texts.iter().map(|text| (text.as_str(), None)).collect();
    for some in texts.chunks(AT_ONCE) {
        let entries = match some {
            [one] => doc! { "$elemMatch": { "claim": one } }.into(),
            _ => Value::Int32(1),
        };
        let found = journal(store)
            .find(doc! { "_id.event": partition(event), "sealed.claim": { "$in": some } })
            .projection(doc! { "sealed": entries })
            .sort(doc! { "_id.version": 1 })
            .run()
            .map_err(explain)?;
        for found in found {
            let found = found.map_err(explain)?;
            let entries = found.get_array("sealed").map(Vec::as_slice).unwrap_or_default();
            for entry in entries.iter().filter_map(Value::as_document) {
                let Some(body) = entry.get_str("claim").ok().and_then(|c| bodies.get_mut(c)) else {
                    continue; // Somebody else's of the same batch.
                };
                // A later batch's word stands, also that there is nothing any more.
                *body = entry.get_binary_generic("body").ok().cloned();
            }
        }
    }
    Ok(texts.iter().map(|text| bodies.get(text.as_str()).cloned().flatten()).collect())
}
