//! A ledger's image reads back from its chunks, or not at all.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use sloe_core::fact::{PoolIx, Request, Selection, Standing, Terms};
use sloe_core::ids::SfId;

use super::*;

fn terms() -> Terms {
    Terms {
        as_of: Timestamp(5),
        standing: Standing::Unpublished,
        opens_at: Some(Timestamp(-7)),
        closes_at: None,
        ends_at: Timestamp(900_000_000),
        hold_millis: 600_000,
        max_per_order: 5,
        limit: Some(0),
        external: 2,
        items: vec![],
        sessions: vec![],
    }
}

fn image() -> impl Strategy<Value = Image> {
    let status = prop_oneof![
        Just(ClaimStatus::Held),
        Just(ClaimStatus::Confirmed),
        Just(ClaimStatus::Released),
        Just(ClaimStatus::Expired),
    ];
    let record = || "[a-zA-Z0-9]{15}".prop_map(|id| SfId::parse(&id).unwrap());
    let pool = prop_oneof![
        Just(PoolKey::Event),
        record().prop_map(PoolKey::Item),
        record().prop_map(PoolKey::Session),
    ];
    let selection = (any::<u16>(), vec(any::<u16>(), 0..6)).prop_map(|(item, sessions)| {
        Selection { item: PoolIx(item), sessions: sessions.into_iter().map(PoolIx).collect() }
    });
    let claim = (any::<u128>(), status, any::<i64>(), vec(any::<u32>(), 0..4)).prop_map(
        |(id, status, expires_at, places)| ClaimImage {
            id: ClaimId(id),
            status,
            expires_at: Timestamp(expires_at),
            places,
        },
    );
    let request = (any::<u128>(), any::<u64>(), any::<u32>())
        .prop_map(|(key, body, claim)| RequestImage { request: Request { key, body }, claim });
    (
        (any::<u64>(), any::<i64>(), any::<u128>(), any::<bool>()),
        (vec(pool, 0..5), vec(selection, 0..5), vec(claim, 0..20), vec(request, 0..20)),
    )
        .prop_map(|(first, (pools, selections, claims, requests))| Image {
            version: first.0,
            at: Timestamp(first.1),
            nonce: first.2,
            terms: first.3.then(terms),
            pools,
            selections,
            claims,
            requests,
        })
}

proptest! {
    #[test]
    fn an_image_reads_back_as_it_was(image in image()) {
        prop_assert_eq!(decode(&encode(&image)), Ok(image));
    }

    #[test]
    fn no_chunks_make_the_decoder_panic(bytes in vec(any::<u8>(), 0..200), kind in 0_u8..6) {
        let mut head = begin(HEAD);
        head.bytes(&bytes);
        let mut chunk = begin(kind);
        chunk.bytes(&bytes);
        let empty = Image {
            version: 1,
            at: Timestamp(0),
            nonce: 0,
            terms: None,
            pools: vec![],
            selections: vec![],
            claims: vec![],
            requests: vec![],
        };
        let good = encode(&empty).remove(0);
        let _ = decode(&[head.finish()]);
        let _ = decode(&[good, chunk.finish()]);
        let _ = decode(&[bytes]);
    }

    #[test]
    fn a_chunk_that_is_missing_or_doubled_is_found(image in image(), at: proptest::sample::Index) {
        let chunks = encode(&image);
        let at = at.index(chunks.len());
        let mut less = chunks.clone();
        less.remove(at);
        prop_assert!(decode(&less).is_err());
        let mut more = chunks.clone();
        more.push(chunks[at].clone());
        prop_assert!(decode(&more).is_err());
    }
}

#[test]
fn half_a_million_orders_take_chunks_of_four_megabytes_and_few_bytes_each() {
    const ORDERS: u32 = 500_000;
    let at = Timestamp(1_800_000_000_000);
    let id = |n: u32| 0x0190_0000_0000_7000_8000_0000_0000_0000_u128 | u128::from(n);
    let image = Image {
        version: 1_000,
        at,
        nonce: 9,
        terms: Some(terms()),
        pools: vec![PoolKey::Event],
        selections: vec![],
        claims: (0..ORDERS)
            .map(|n| ClaimImage {
                id: ClaimId(id(n)),
                status: ClaimStatus::Confirmed,
                expires_at: at.plus_millis(-1_000 * i64::from(n)),
                places: vec![1, 2],
            })
            .collect(),
        requests: (0..ORDERS)
            .map(|n| RequestImage { request: Request { key: id(n), body: 7 }, claim: n })
            .collect(),
    };
    let chunks = encode(&image);
    assert!(chunks.iter().all(|chunk| chunk.len() <= CHUNK_BYTES));
    let bytes: usize = chunks.iter().map(Vec::len).sum();
    assert!(bytes / (ORDERS as usize) < 56, "{} bytes an order", bytes / (ORDERS as usize));
    assert!(decode(&chunks) == Ok(image));
}
