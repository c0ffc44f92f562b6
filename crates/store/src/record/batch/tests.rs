//! What the stored form of a batch promises: it reads back, it stays as it is,
//! and no bytes make the decoder panic or run away with memory.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sloe_core::ids::SfId;

fn record(text: &str) -> SfId {
    SfId::parse(text).unwrap()
}

fn moment() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<i64>(), 1_700_000_000_000..1_900_000_000_000_i64].prop_map(Timestamp)
}

fn pool() -> impl Strategy<Value = PoolTerms> {
    ("[a-zA-Z0-9]{15}", any::<Option<u32>>(), any::<u32>())
        .prop_map(|(id, limit, external)| PoolTerms { record: record(&id), limit, external })
}

fn item() -> impl Strategy<Value = ItemTerms> {
    (pool(), any::<bool>(), option::of(moment()), option::of(moment()), any::<u32>()).prop_map(
        |(pool, free, opens_at, closes_at, max_per_order)| ItemTerms {
            pool,
            free,
            opens_at,
            closes_at,
            max_per_order,
        },
    )
}

fn terms() -> impl Strategy<Value = Terms> {
    let standing = prop_oneof![
        Just(Standing::Published),
        Just(Standing::Unpublished),
        Just(Standing::Cancelled)
    ];
    let session = (pool(), moment()).prop_map(|(pool, ends_at)| SessionTerms { pool, ends_at });
    (
        (moment(), standing, option::of(moment()), option::of(moment()), moment()),
        (any::<i64>(), any::<u32>(), any::<Option<u32>>(), any::<u32>()),
        (vec(item(), 0..4), vec(session, 0..4)),
    )
        .prop_map(|(first, second, (items, sessions))| Terms {
            as_of: first.0,
            standing: first.1,
            opens_at: first.2,
            closes_at: first.3,
            ends_at: first.4,
            hold_millis: second.0,
            max_per_order: second.1,
            limit: second.2,
            external: second.3,
            items,
            sessions,
        })
}

fn fact() -> impl Strategy<Value = Fact> {
    let claim = || any::<u128>().prop_map(ClaimId);
    let request = || (any::<u128>(), any::<u64>()).prop_map(|(key, body)| Request { key, body });
    let place = (any::<u16>(), vec(any::<u16>(), 0..6)).prop_map(|(item, sessions)| Selection {
        item: PoolIx(item),
        sessions: sessions.into_iter().map(PoolIx).collect(),
    });
    let places = vec(place, 0..5);
    let actor = prop_oneof![Just(Actor::Registrant), Just(Actor::Org), Just(Actor::Staff)];
    prop_oneof![
        terms().prop_map(|terms| Fact::TermsSet(Box::new(terms))),
        (claim(), request(), moment(), places.clone()).prop_map(
            |(claim, request, expires_at, places)| Fact::Held {
                claim,
                request,
                expires_at,
                places
            }
        ),
        (claim(), request(), places).prop_map(|(claim, request, places)| Fact::Confirmed {
            claim,
            request,
            places
        }),
        claim().prop_map(|claim| Fact::Released { claim }),
        claim().prop_map(|claim| Fact::Expired { claim }),
        (claim(), any::<u16>(), actor).prop_map(|(claim, place, actor)| Fact::Cancelled {
            claim,
            place,
            actor
        }),
        (claim(), any::<u16>()).prop_map(|(claim, place)| Fact::Erased { claim, place }),
    ]
}

fn batch() -> impl Strategy<Value = Batch> {
    (moment(), vec(fact(), 0..20)).prop_map(|(at, facts)| Batch { version: 1, at, nonce: 0, facts })
}

/// The form that `body` would have, had it been written by [`encode`].
fn with_checksum(body: &[u8]) -> Vec<u8> {
    let mut out = Writer::default();
    out.bytes(body);
    out.finish()
}

proptest! {
    #[test]
    fn a_batch_reads_back_as_it_was(batch in batch()) {
        prop_assert_eq!(decode(&encode(&batch), batch.at), Ok(batch.facts));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in vec(any::<u8>(), 0..300), at in moment()) {
        let _ = decode(&bytes, at);
        // Past checksum and format, into the facts.
        let mut body = vec![FORMAT];
        body.extend(&bytes);
        let _ = decode(&with_checksum(&body), at);
    }

    #[test]
    fn a_damaged_batch_never_panics_and_reads_back_only_as_itself(
        batch in batch(),
        at: proptest::sample::Index,
        change in 1..=u8::MAX,
    ) {
        let mut form = encode(&batch);
        form.truncate(form.len() - 4);
        let at = at.index(form.len());
        form[at] ^= change;
        if let Ok(facts) = decode(&with_checksum(&form), batch.at) {
            // One value, one form: other bytes are another value.
            prop_assert_ne!(&facts, &batch.facts);
        }
    }

    #[test]
    fn a_batch_cut_short_is_refused(batch in batch(), at: proptest::sample::Index) {
        let form = encode(&batch);
        let body = &form[..at.index(form.len() - 4)];
        prop_assert!(decode(&with_checksum(body), batch.at).is_err());
    }
}

#[test]
fn a_registration_in_one_step_takes_at_most_sixty_bytes() {
    let place =
        Selection { item: PoolIx(1), sessions: [PoolIx(3), PoolIx(12)].into_iter().collect() };
    let fact = Fact::Confirmed {
        claim: ClaimId(u128::MAX),
        request: Request { key: u128::MAX, body: u64::MAX },
        places: vec![place.clone(), place],
    };
    let at = Timestamp(1_800_000_000_000);
    let form = encode(&Batch { version: 9, at, nonce: 7, facts: vec![fact; 100] });
    assert!(form.len() <= 100 * 60, "{} bytes for 100", form.len());
}

#[test]
fn huge_counts_are_refused_before_memory_is_set_aside() {
    let mut body = vec![FORMAT];
    body.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    let error = decode(&with_checksum(&body), Timestamp(0)).unwrap_err();
    assert_eq!(error.to_string(), "a number of facts can't be 9223372036854775807 (at byte 10)");
}

#[test]
fn a_format_of_the_future_is_named() {
    let error = decode(&with_checksum(&[9, 0]), Timestamp(0)).unwrap_err();
    assert_eq!(error.fault, Fault::Format(9));
}

/// One batch with every kind of fact and every branch of the layout.
fn every_kind() -> Batch {
    let at = Timestamp(1_800_000_000_000);
    let pool = |id: &str, limit| PoolTerms { record: record(id), limit, external: 3 };
    let request =
        Request { key: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10, body: 0x1112_1314_1516_1718 };
    let claim = ClaimId(0x0190_0000_0000_7000_8000_0000_0000_0001);
    let places = vec![Selection {
        item: PoolIx(1),
        sessions: [PoolIx(2), PoolIx(300)].into_iter().collect(),
    }];
    let facts = vec![
        Fact::TermsSet(Box::new(Terms {
            as_of: at.plus_millis(-1_500),
            standing: Standing::Published,
            opens_at: None,
            closes_at: Some(at.plus_millis(86_400_000)),
            ends_at: at.plus_millis(90_000_000),
            hold_millis: 600_000,
            max_per_order: 10,
            limit: Some(50_000),
            external: 0,
            items: vec![ItemTerms {
                pool: pool("a011A0000006Vm9", Some(0)),
                free: true,
                opens_at: Some(at),
                closes_at: None,
                max_per_order: 4,
            }],
            sessions: vec![SessionTerms {
                pool: pool("a021A0000006Vm9", None),
                ends_at: at.plus_millis(80_000_000),
            }],
        })),
        Fact::Held { claim, request, expires_at: at.plus_millis(600_000), places: places.clone() },
        Fact::Confirmed { claim, request, places },
        Fact::Released { claim },
        Fact::Expired { claim },
        Fact::Cancelled { claim, place: 1, actor: Actor::Org },
        Fact::Erased { claim, place: 2 },
    ];
    Batch { version: 1, at, nonce: 5, facts }
}

/// Journals in the world hold these bytes. If this test fails, the layout has
/// changed: give the new one the next format number, keep a decoder for this
/// one and add a second line here. Never replace the line.
#[test]
fn format_1_stays_as_it_is() {
    const FORMAT_1: &str = concat!(
        "010701b71700000180f0b25280aaea55809f490ad186030001613031314130303030303036566d39",
        "0103010100000401613032314130303030303036566d39000380d0a54c0201900000000070008000",
        "0000000000010102030405060708090a0b0c0d0e0f101112131415161718809f4901010202ac0203",
        "019000000000700080000000000000010102030405060708090a0b0c0d0e0f101112131415161718",
        "01010202ac0204019000000000700080000000000000010501900000000070008000000000000001",
        "06019000000000700080000000000000010101070190000000007000800000000000000102f3241d",
        "93",
    );
    let batch = every_kind();
    let hex: String = encode(&batch).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, FORMAT_1);
    let bytes: Vec<u8> = (0..FORMAT_1.len() / 2)
        .map(|i| u8::from_str_radix(&FORMAT_1[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    assert_eq!(decode(&bytes, batch.at), Ok(batch.facts));
}
