//! The stored form of a ledger's image: chunks of at most 4 MB, each with its
//! own checksum. Discardable: a format that is no longer known is as good as
//! no checkpoint, so old decoders need not be kept.
//!
//! The first chunk holds what there is once, and how many of the rest; then
//! come selections, claims and requests, each chunk holding one kind.

use sloe_core::ids::ClaimId;
use sloe_core::ledger::{ClaimImage, ClaimStatus, Image, PoolKey, RequestImage};
use sloe_core::time::Timestamp;

use super::batch::{
    read_request, read_selection, read_terms, write_request, write_selection, write_terms,
};
use super::wire::{Reader, Writer};
use super::{DecodeError, Fault};

#[cfg(test)]
mod tests;

/// Bytes of a chunk, its last record excepted: what a store takes in one piece.
pub const CHUNK_BYTES: usize = 4_000_000;
/// No record is longer than this, within the limits of the core.
const ROOM_FOR_ONE: usize = 1_000;

const FORMAT: u8 = 1;
const HEAD: u8 = 1;
const SELECTIONS: u8 = 2;
const CLAIMS: u8 = 3;
const REQUESTS: u8 = 4;

/// `image` in stored form.
#[must_use]
pub fn encode(image: &Image) -> Vec<Vec<u8>> {
    let mut chunks = vec![head(image)];
    split(&mut chunks, SELECTIONS, &image.selections, write_selection);
    split(&mut chunks, CLAIMS, &image.claims, |out, claim| write_claim(out, claim, image.at));
    split(&mut chunks, REQUESTS, &image.requests, |out, remembered| {
        write_request(out, remembered.request);
        out.varint(u64::from(remembered.claim));
    });
    chunks
}

/// What [`encode`] made `chunks` of.
///
/// # Errors
/// What is wrong with which bytes of a chunk.
pub fn decode(chunks: &[Vec<u8>]) -> Result<Image, DecodeError> {
    let missing = DecodeError { fault: Fault::Parts("all chunks"), at: 0 };
    let (first, rest) = chunks.split_first().ok_or(missing)?;
    let (mut image, counts) = read_head(first)?;
    for chunk in rest {
        let (kind, mut reader) = open(chunk)?;
        // Kinds come in order and each is counted, so a chunk too many or in
        // another's place shows below or in `from_image`.
        while !reader.is_at_end() {
            match kind {
                SELECTIONS => image.selections.push(read_selection(&mut reader)?),
                CLAIMS => image.claims.push(read_claim(&mut reader, image.at)?),
                REQUESTS => image.requests.push(RequestImage {
                    request: read_request(&mut reader)?,
                    claim: reader.small("a claim's index")?,
                }),
                kind => return reader.bad("a kind of chunk", u64::from(kind)),
            }
        }
    }
    let parts = [
        ("selections", image.selections.len()),
        ("claims", image.claims.len()),
        ("requests", image.requests.len()),
    ];
    for ((what, found), expected) in parts.into_iter().zip(counts) {
        if found as u64 != expected {
            return Err(DecodeError { fault: Fault::Parts(what), at: 0 });
        }
    }
    Ok(image)
}

fn begin(kind: u8) -> Writer {
    let mut out = Writer::default();
    out.byte(FORMAT);
    out.byte(kind);
    out
}

fn open(chunk: &[u8]) -> Result<(u8, Reader<'_>), DecodeError> {
    let mut reader = Reader::checked(chunk)?;
    match reader.byte()? {
        FORMAT => Ok((reader.byte()?, reader)),
        format => reader.fail(Fault::Format(format)),
    }
}

fn split<T>(chunks: &mut Vec<Vec<u8>>, kind: u8, records: &[T], write: impl Fn(&mut Writer, &T)) {
    let mut out = None;
    for record in records {
        let chunk = out.get_or_insert_with(|| begin(kind));
        write(chunk, record);
        if chunk.size() > CHUNK_BYTES - ROOM_FOR_ONE {
            chunks.extend(out.take().map(Writer::finish));
        }
    }
    chunks.extend(out.map(Writer::finish));
}

fn head(image: &Image) -> Vec<u8> {
    let mut out = begin(HEAD);
    out.varint(image.version);
    out.moment(image.at, Timestamp(0));
    out.bytes(&image.nonce.to_be_bytes());
    out.byte(u8::from(image.terms.is_some()));
    if let Some(terms) = &image.terms {
        write_terms(&mut out, terms, image.at);
    }
    out.len(image.pools.len());
    for pool in &image.pools {
        match pool {
            PoolKey::Event => out.byte(0),
            PoolKey::Item(record) => {
                out.byte(1);
                out.record_id(*record);
            }
            PoolKey::Session(record) => {
                out.byte(2);
                out.record_id(*record);
            }
        }
    }
    out.len(image.selections.len());
    out.len(image.claims.len());
    out.len(image.requests.len());
    out.finish()
}

fn read_head(chunk: &[u8]) -> Result<(Image, [u64; 3]), DecodeError> {
    let (kind, mut reader) = open(chunk)?;
    if kind != HEAD {
        return reader.bad("the first chunk's kind", u64::from(kind));
    }
    let version = reader.varint()?;
    let at = reader.moment(Timestamp(0))?;
    let nonce = u128::from_be_bytes(reader.array()?);
    let known = reader.flag("the terms' presence")?;
    let terms = if known { Some(read_terms(&mut reader, at)?) } else { None };
    let count = reader.len("a number of pools", 1)?;
    let mut pools = Vec::with_capacity(count);
    for _ in 0..count {
        pools.push(match reader.byte()? {
            0 => PoolKey::Event,
            1 => PoolKey::Item(reader.record_id()?),
            2 => PoolKey::Session(reader.record_id()?),
            kind => return reader.bad("a kind of pool", u64::from(kind)),
        });
    }
    let counts = [reader.varint()?, reader.varint()?, reader.varint()?];
    reader.finish()?;
    let (selections, claims, requests) = (vec![], vec![], vec![]);
    Ok((Image { version, at, nonce, terms, pools, selections, claims, requests }, counts))
}

fn write_claim(out: &mut Writer, claim: &ClaimImage, at: Timestamp) {
    out.bytes(&claim.id.0.to_be_bytes());
    out.byte(match claim.status {
        ClaimStatus::Held => 0,
        ClaimStatus::Confirmed => 1,
        ClaimStatus::Released => 2,
        ClaimStatus::Expired => 3,
    });
    out.moment(claim.expires_at, at);
    out.len(claim.places.len());
    for place in &claim.places {
        out.varint(u64::from(*place));
    }
}

fn read_claim(reader: &mut Reader<'_>, at: Timestamp) -> Result<ClaimImage, DecodeError> {
    let id = ClaimId(u128::from_be_bytes(reader.array()?));
    let status = match reader.byte()? {
        0 => ClaimStatus::Held,
        1 => ClaimStatus::Confirmed,
        2 => ClaimStatus::Released,
        3 => ClaimStatus::Expired,
        status => return reader.bad("a claim's status", u64::from(status)),
    };
    let expires_at = reader.moment(at)?;
    let count = reader.len("a number of places", 1)?;
    let places: Result<_, _> = (0..count).map(|_| reader.small("a place")).collect();
    Ok(ClaimImage { id, status, expires_at, places: places? })
}
