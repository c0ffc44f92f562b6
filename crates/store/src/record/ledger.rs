//! The stored form of a whole ledger: a checkpoint in chunks. Discardable, so
//! a new format needs no decoder of the old one.

use sloe_core::fact::Selection;
use sloe_core::ids::ClaimId;
use sloe_core::ledger::{ClaimImage, ClaimStatus, Image, PoolKey, RequestImage};
use sloe_core::time::Timestamp;

use super::batch::{
    read_places, read_request, read_terms, write_places, write_request, write_terms,
};
use super::wire::{Reader, Writer};
use super::{DecodeError, Fault};

const FORMAT: u8 = 1;
/// Claims and requests in one chunk: far below 4 MB at 50 attendees each.
const PER_CHUNK: usize = 10_000;

const HEAD: u8 = 0;
const CLAIMS: u8 = 1;
const REQUESTS: u8 = 2;

/// The chunks of `image`; their order matters.
#[must_use]
pub fn encode(image: &Image) -> Vec<Vec<u8>> {
    let mut chunks = vec![head(image)];
    for claims in image.claims.chunks(PER_CHUNK) {
        let mut out = begin(CLAIMS, claims.len(), 40);
        for claim in claims {
            out.bytes(&claim.id.0.to_be_bytes());
            out.byte(match claim.status {
                ClaimStatus::Held => 0,
                ClaimStatus::Confirmed => 1,
                ClaimStatus::Released => 2,
                ClaimStatus::Expired => 3,
            });
            out.moment(claim.expires_at, image.at);
            out.len(claim.places.len());
            for place in &claim.places {
                out.varint(u64::from(*place));
            }
        }
        chunks.push(out.finish());
    }
    for requests in image.requests.chunks(PER_CHUNK) {
        let mut out = begin(REQUESTS, requests.len(), 30);
        for remembered in requests {
            write_request(&mut out, remembered.request);
            out.varint(u64::from(remembered.claim));
        }
        chunks.push(out.finish());
    }
    chunks
}

/// The image that [`encode`] was given.
///
/// # Errors
/// What is wrong with the bytes; whether the image makes sense is the
/// ledger's to say.
pub fn decode(chunks: &[Vec<u8>]) -> Result<Image, DecodeError> {
    let Some((first, rest)) = chunks.split_first() else {
        return Err(DecodeError { fault: Fault::Short, at: 0 });
    };
    let mut image = read_head(first)?;
    for chunk in rest {
        let mut reader = Reader::checked(chunk)?;
        match (reader.byte()?, reader.byte()?) {
            (FORMAT, CLAIMS) => {
                for _ in 0..reader.len("a number of claims", 19)? {
                    image.claims.push(read_claim(&mut reader, image.at)?);
                }
            }
            (FORMAT, REQUESTS) => {
                for _ in 0..reader.len("a number of requests", 25)? {
                    let request = read_request(&mut reader)?;
                    let claim = reader.small("a claim's index")?;
                    image.requests.push(RequestImage { request, claim });
                }
            }
            (format, _) => return reader.fail(Fault::Format(format)),
        }
        reader.finish()?;
    }
    Ok(image)
}

fn begin(kind: u8, len: usize, each: usize) -> Writer {
    let mut out = Writer::with_capacity(16 + len * each);
    out.byte(FORMAT);
    out.byte(kind);
    if kind != HEAD {
        out.len(len);
    }
    out
}

fn head(image: &Image) -> Vec<u8> {
    let mut out = begin(HEAD, 0, 0);
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
    write_places(&mut out, &image.selections);
    out.finish()
}

fn read_head(chunk: &[u8]) -> Result<Image, DecodeError> {
    let mut reader = Reader::checked(chunk)?;
    match (reader.byte()?, reader.byte()?) {
        (FORMAT, HEAD) => {}
        (format, _) => return reader.fail(Fault::Format(format)),
    }
    let version = reader.varint()?;
    let at = reader.moment(Timestamp(0))?;
    let nonce = u128::from_be_bytes(reader.array()?);
    let terms =
        if reader.flag("the terms' presence")? { Some(read_terms(&mut reader, at)?) } else { None };
    let mut pools = Vec::new();
    for _ in 0..reader.len("a number of pools", 1)? {
        pools.push(match reader.byte()? {
            0 => PoolKey::Event,
            1 => PoolKey::Item(reader.record_id()?),
            2 => PoolKey::Session(reader.record_id()?),
            value => return reader.bad("a kind of pool", u64::from(value)),
        });
    }
    let selections: Vec<Selection> = read_places(&mut reader)?;
    reader.finish()?;
    let (claims, requests) = (Vec::new(), Vec::new());
    Ok(Image { version, at, nonce, terms, pools, selections, claims, requests })
}

fn read_claim(reader: &mut Reader<'_>, at: Timestamp) -> Result<ClaimImage, DecodeError> {
    let id = ClaimId(u128::from_be_bytes(reader.array()?));
    let status = match reader.byte()? {
        0 => ClaimStatus::Held,
        1 => ClaimStatus::Confirmed,
        2 => ClaimStatus::Released,
        3 => ClaimStatus::Expired,
        value => return reader.bad("a claim's status", u64::from(value)),
    };
    let expires_at = reader.moment(at)?;
    let count = reader.len("a number of places", 1)?;
    let mut places = Vec::with_capacity(count);
    for _ in 0..count {
        places.push(reader.small("a place")?);
    }
    Ok(ClaimImage { id, status, expires_at, places })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use sloe_core::fact::Request;
    use sloe_core::ids::SfId;

    fn image(claims: u32) -> Image {
        let claim = |n: u32| ClaimImage {
            id: ClaimId(u128::from(n)),
            status: [ClaimStatus::Held, ClaimStatus::Confirmed, ClaimStatus::Expired]
                [n as usize % 3],
            expires_at: Timestamp(i64::from(n)),
            places: vec![0, 1 << 31 | 1],
        };
        let request = |n: u32| RequestImage {
            request: Request { key: u128::from(n) << 64, body: u64::from(n) },
            claim: n,
        };
        let record = SfId::parse("a00000000000001").unwrap();
        Image {
            version: 7,
            at: Timestamp(1_000),
            nonce: 9,
            terms: None,
            pools: vec![PoolKey::Event, PoolKey::Item(record), PoolKey::Session(record)],
            selections: vec![],
            claims: (0..claims).map(claim).collect(),
            requests: (0..claims).map(request).collect(),
        }
    }

    #[test]
    fn an_image_reads_back_across_chunks() {
        let image = image(25_000);
        let chunks = encode(&image);
        assert_eq!(chunks.len(), 7);
        assert_eq!(decode(&chunks).unwrap(), image);
    }

    #[test]
    fn a_missing_or_damaged_chunk_is_found_or_leaves_a_claim_out() {
        assert!(decode(&[]).is_err());
        let mut chunks = encode(&image(3));
        chunks[1][5] ^= 1;
        assert!(decode(&chunks).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(chunks: Vec<Vec<u8>>) {
            let _ = decode(&chunks);
        }
    }
}
