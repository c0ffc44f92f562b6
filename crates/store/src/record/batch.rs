//! The stored form of a batch's facts: the truth of Sloe, so every format that
//! was ever written stays readable. Version, time and nonce of the batch stand
//! beside it in the journal's row; moments are stored relative to that time.
//!
//! Format 1: the byte 1, the number of facts, the facts (a tag each), a
//! CRC-32. Numbers are LEB128; a claim's id is 16 bytes, a record's id 15.

use sloe_core::fact::{
    Actor, Batch, Fact, ItemTerms, PoolIx, PoolTerms, Request, Selection, SessionTerms, Standing,
    Terms,
};
use sloe_core::ids::ClaimId;
use sloe_core::time::Timestamp;

use super::wire::{Reader, Writer};
use super::{DecodeError, Fault};

#[cfg(test)]
mod tests;

/// The format that is written. A change of layout takes the next number and
/// keeps the decoders of all before it.
const FORMAT: u8 = 1;

/// Bytes of the smallest fact: terms without items and sessions.
const LEAST_FACT: usize = 12;

const TERMS_SET: u8 = 1;
const HELD: u8 = 2;
const CONFIRMED: u8 = 3;
const RELEASED: u8 = 4;
const EXPIRED: u8 = 5;
const CANCELLED: u8 = 6;
const ERASED: u8 = 7;

/// The facts of `batch` in stored form.
#[must_use]
pub fn encode(batch: &Batch) -> Vec<u8> {
    let mut out = Writer::with_capacity(8 + 64 * batch.facts.len());
    out.byte(FORMAT);
    out.len(batch.facts.len());
    for fact in &batch.facts {
        write_fact(&mut out, fact, batch.at);
    }
    out.finish()
}

/// The facts of a batch decided `at`, from what [`encode`] wrote.
///
/// # Errors
/// What is wrong with the bytes. Memory is set aside in proportion to their
/// number only.
pub fn decode(form: &[u8], at: Timestamp) -> Result<Vec<Fact>, DecodeError> {
    let mut reader = Reader::checked(form)?;
    match reader.byte()? {
        1 => {}
        format => return reader.fail(Fault::Format(format)),
    }
    let count = reader.len("a number of facts", LEAST_FACT)?;
    let mut facts = Vec::with_capacity(count);
    for _ in 0..count {
        facts.push(read_fact(&mut reader, at)?);
    }
    reader.finish()?;
    Ok(facts)
}

fn write_fact(out: &mut Writer, fact: &Fact, at: Timestamp) {
    match fact {
        Fact::TermsSet(terms) => {
            out.byte(TERMS_SET);
            write_terms(out, terms, at);
        }
        Fact::Held { claim, request, expires_at, places } => {
            write_head(out, HELD, *claim);
            write_request(out, *request);
            out.moment(*expires_at, at);
            write_places(out, places);
        }
        Fact::Confirmed { claim, request, places } => {
            write_head(out, CONFIRMED, *claim);
            write_request(out, *request);
            write_places(out, places);
        }
        Fact::Released { claim } => write_head(out, RELEASED, *claim),
        Fact::Expired { claim } => write_head(out, EXPIRED, *claim),
        Fact::Cancelled { claim, place, actor } => {
            write_head(out, CANCELLED, *claim);
            out.varint(u64::from(*place));
            out.byte(match actor {
                Actor::Registrant => 0,
                Actor::Org => 1,
                Actor::Staff => 2,
            });
        }
        Fact::Erased { claim, place } => {
            write_head(out, ERASED, *claim);
            out.varint(u64::from(*place));
        }
    }
}

fn read_fact(reader: &mut Reader<'_>, at: Timestamp) -> Result<Fact, DecodeError> {
    let tag = reader.byte()?;
    if tag == TERMS_SET {
        return Ok(Fact::TermsSet(Box::new(read_terms(reader, at)?)));
    }
    if !(HELD..=ERASED).contains(&tag) {
        return reader.bad("a kind of fact", u64::from(tag));
    }
    let claim = ClaimId(u128::from_be_bytes(reader.array()?));
    Ok(match tag {
        HELD => Fact::Held {
            claim,
            request: read_request(reader)?,
            expires_at: reader.moment(at)?,
            places: read_places(reader)?,
        },
        CONFIRMED => {
            Fact::Confirmed { claim, request: read_request(reader)?, places: read_places(reader)? }
        }
        RELEASED => Fact::Released { claim },
        EXPIRED => Fact::Expired { claim },
        CANCELLED => Fact::Cancelled {
            claim,
            place: reader.small("a place")?,
            actor: match reader.byte()? {
                0 => Actor::Registrant,
                1 => Actor::Org,
                2 => Actor::Staff,
                value => return reader.bad("an actor", u64::from(value)),
            },
        },
        _ => Fact::Erased { claim, place: reader.small("a place")? },
    })
}

fn write_head(out: &mut Writer, tag: u8, claim: ClaimId) {
    out.byte(tag);
    out.bytes(&claim.0.to_be_bytes());
}

pub(super) fn write_request(out: &mut Writer, request: Request) {
    out.bytes(&request.key.to_be_bytes());
    out.bytes(&request.body.to_be_bytes());
}

pub(super) fn read_request(reader: &mut Reader<'_>) -> Result<Request, DecodeError> {
    Ok(Request {
        key: u128::from_be_bytes(reader.array()?),
        body: u64::from_be_bytes(reader.array()?),
    })
}

fn write_places(out: &mut Writer, places: &[Selection]) {
    out.len(places.len());
    for place in places {
        write_selection(out, place);
    }
}

pub(super) fn write_selection(out: &mut Writer, selection: &Selection) {
    out.varint(u64::from(selection.item.0));
    out.len(selection.sessions.len());
    for session in &selection.sessions {
        out.varint(u64::from(session.0));
    }
}

fn read_places(reader: &mut Reader<'_>) -> Result<Vec<Selection>, DecodeError> {
    let count = reader.len("a number of places", 2)?;
    let mut places = Vec::with_capacity(count);
    for _ in 0..count {
        places.push(read_selection(reader)?);
    }
    Ok(places)
}

pub(super) fn read_selection(reader: &mut Reader<'_>) -> Result<Selection, DecodeError> {
    let item = PoolIx(reader.small("a pool")?);
    let count = reader.len("a number of sessions", 1)?;
    let sessions: Result<_, _> = (0..count).map(|_| reader.small("a pool").map(PoolIx)).collect();
    Ok(Selection { item, sessions: sessions? })
}

pub(super) fn write_terms(out: &mut Writer, terms: &Terms, at: Timestamp) {
    out.moment(terms.as_of, at);
    out.byte(match terms.standing {
        Standing::Published => 0,
        Standing::Unpublished => 1,
        Standing::Cancelled => 2,
    });
    out.optional_moment(terms.opens_at, at);
    out.optional_moment(terms.closes_at, at);
    out.moment(terms.ends_at, at);
    out.moment(Timestamp(terms.hold_millis), Timestamp(0));
    out.varint(u64::from(terms.max_per_order));
    out.limit(terms.limit);
    out.varint(u64::from(terms.external));
    out.len(terms.items.len());
    for item in &terms.items {
        write_pool(out, &item.pool);
        out.byte(u8::from(item.free));
        out.optional_moment(item.opens_at, at);
        out.optional_moment(item.closes_at, at);
        out.varint(u64::from(item.max_per_order));
    }
    out.len(terms.sessions.len());
    for session in &terms.sessions {
        write_pool(out, &session.pool);
        out.moment(session.ends_at, at);
    }
}

pub(super) fn read_terms(reader: &mut Reader<'_>, at: Timestamp) -> Result<Terms, DecodeError> {
    let as_of = reader.moment(at)?;
    let standing = match reader.byte()? {
        0 => Standing::Published,
        1 => Standing::Unpublished,
        2 => Standing::Cancelled,
        value => return reader.bad("a standing", u64::from(value)),
    };
    let mut terms = Terms {
        as_of,
        standing,
        opens_at: reader.optional_moment(at)?,
        closes_at: reader.optional_moment(at)?,
        ends_at: reader.moment(at)?,
        hold_millis: reader.moment(Timestamp(0))?.0,
        max_per_order: reader.small("a number of attendees")?,
        limit: reader.limit()?,
        external: reader.small("a number of attendees")?,
        items: Vec::new(),
        sessions: Vec::new(),
    };
    for _ in 0..reader.len("a number of items", 21)? {
        terms.items.push(ItemTerms {
            pool: read_pool(reader)?,
            free: reader.flag("a freedom from charge")?,
            opens_at: reader.optional_moment(at)?,
            closes_at: reader.optional_moment(at)?,
            max_per_order: reader.small("a number of units")?,
        });
    }
    for _ in 0..reader.len("a number of sessions", 18)? {
        terms.sessions.push(SessionTerms { pool: read_pool(reader)?, ends_at: reader.moment(at)? });
    }
    Ok(terms)
}

fn write_pool(out: &mut Writer, pool: &PoolTerms) {
    out.record_id(pool.record);
    out.limit(pool.limit);
    out.varint(u64::from(pool.external));
}

fn read_pool(reader: &mut Reader<'_>) -> Result<PoolTerms, DecodeError> {
    Ok(PoolTerms {
        record: reader.record_id()?,
        limit: reader.limit()?,
        external: reader.small("a number of attendees")?,
    })
}
