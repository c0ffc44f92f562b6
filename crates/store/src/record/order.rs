//! An order as the journal tells it, for reading: who registered is in the
//! vault, so nothing personal lies here.

use serde::{Deserialize, Serialize};
use sloe_core::fact::Actor;
use sloe_core::ids::{ClaimId, EventRef, SfId};
use sloe_core::time::Timestamp;

use super::DocumentError;
use super::document::{self, Claim, Moment, Org, Record};

const FORMAT: u32 = 1;

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub claim: ClaimId,
    /// What it is for.
    pub event: EventRef,
    /// The journal's version that last changed it.
    pub version: u64,
    /// What people and staff call it.
    pub reference: String,
    /// When it was confirmed.
    pub registered_at: Timestamp,
    /// One per attendee; places count from 1.
    pub places: Vec<OrderPlace>,
}

/// One attendee's part of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPlace {
    /// The ticket type.
    pub item: SfId,
    /// The sessions.
    pub sessions: Vec<SfId>,
    /// When and by whom the ticket was cancelled, if it was.
    pub cancelled: Option<Cancellation>,
    /// Whether the personal data was destroyed.
    pub erased: bool,
}

/// The end of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    claim: Claim,
    org: Org,
    event: Record,
    version: u64,
    reference: String,
    registered_at: Moment,
    places: Vec<StoredPlace>,
}

#[derive(Serialize, Deserialize)]
struct StoredPlace {
    item: Record,
    sessions: Vec<Record>,
    cancelled: Option<StoredCancellation>,
    erased: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredCancellation {
    at: Moment,
    by: By,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    Registrant,
    Org,
    Staff,
}

/// `order` in stored form.
#[must_use]
pub fn encode(order: &Order) -> Vec<u8> {
    let place = |place: &OrderPlace| StoredPlace {
        item: Record(place.item),
        sessions: place.sessions.iter().copied().map(Record).collect(),
        cancelled: place.cancelled.map(|cancellation| StoredCancellation {
            at: Moment(cancellation.at),
            by: match cancellation.by {
                Actor::Registrant => By::Registrant,
                Actor::Org => By::Org,
                Actor::Staff => By::Staff,
            },
        }),
        erased: place.erased,
    };
    let stored = Stored {
        format: FORMAT,
        claim: Claim(order.claim),
        org: Org(order.event.org),
        event: Record(order.event.event),
        version: order.version,
        reference: order.reference.clone(),
        registered_at: Moment(order.registered_at),
        places: order.places.iter().map(place).collect(),
    };
    document::write(&stored)
}

/// The order in `bytes`.
///
/// # Errors
/// What is wrong with the document.
pub fn decode(bytes: &[u8]) -> Result<Order, DocumentError> {
    let stored: Stored = document::read(FORMAT, bytes)?;
    let place = |place: StoredPlace| OrderPlace {
        item: place.item.0,
        sessions: place.sessions.into_iter().map(|session| session.0).collect(),
        cancelled: place.cancelled.map(|cancellation| Cancellation {
            at: cancellation.at.0,
            by: match cancellation.by {
                By::Registrant => Actor::Registrant,
                By::Org => Actor::Org,
                By::Staff => Actor::Staff,
            },
        }),
        erased: place.erased,
    };
    Ok(Order {
        claim: stored.claim.0,
        event: EventRef { org: stored.org.0, event: stored.event.0 },
        version: stored.version,
        reference: stored.reference,
        registered_at: stored.registered_at.0,
        places: stored.places.into_iter().map(place).collect(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use sloe_core::ids::OrgId;

    /// What operators read, and what stores in the world hold. A change that
    /// old documents don't fit takes the next format.
    const FORMAT_1: &str = concat!(
        r#"{"format":1,"claim":"00000000000000000000000008","org":"00D000000000001EAA","#,
        r#""event":"a00000000000001AAA","version":7,"reference":"7K3M-9QXZ","#,
        r#""registered_at":"2027-01-15T08:00:00Z","places":[{"item":"a01000000000001AAA","#,
        r#""sessions":["a02000000000001AAA"],"cancelled":{"at":"2027-01-15T08:00:01.5Z","#,
        r#""by":"org"},"erased":false},{"item":"a01000000000001AAA","sessions":[],"#,
        r#""cancelled":null,"erased":true}]}"#
    );

    fn order() -> Order {
        let record = |text| SfId::parse(text).unwrap();
        let at = Timestamp(1_800_000_000_000);
        Order {
            claim: ClaimId(2),
            event: EventRef {
                org: OrgId::parse("00D000000000001").unwrap(),
                event: record("a00000000000001"),
            },
            version: 7,
            reference: "7K3M-9QXZ".into(),
            registered_at: at,
            places: vec![
                OrderPlace {
                    item: record("a01000000000001"),
                    sessions: vec![record("a02000000000001")],
                    cancelled: Some(Cancellation { at: at.plus_millis(1_500), by: Actor::Org }),
                    erased: false,
                },
                OrderPlace {
                    item: record("a01000000000001"),
                    sessions: vec![],
                    cancelled: None,
                    erased: true,
                },
            ],
        }
    }

    #[test]
    fn format_1_stays_as_it_is() {
        assert_eq!(String::from_utf8(encode(&order())).unwrap(), FORMAT_1);
        assert_eq!(decode(FORMAT_1.as_bytes()), Ok(order()));
    }

    #[test]
    fn what_is_wrong_with_a_document_is_told() {
        let error =
            |from: &str, to: &str| decode(FORMAT_1.replace(from, to).as_bytes()).unwrap_err();
        assert_eq!(error("\"format\":1", "\"format\":2"), DocumentError::Format(2));
        for (from, to, told) in [
            ("\"format\":1", "\"format\":\"1\"", "expected u32"),
            ("00D000000000001EAA", "00D", "\"00D\" is no org id"),
            ("2027-01-15T08:00:00Z", "soon", "\"soon\" is no moment in RFC 3339"),
            ("\"version\":7,", "", "missing field `version`"),
            ("}]}", "}]", "EOF"),
        ] {
            let error = error(from, to).to_string();
            assert!(error.contains(told), "{told}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>, text: String) {
            let _ = (decode(&bytes), decode(text.as_bytes()));
        }
    }
}
