//! Ids in URLs: opaque, self-locating, unguessable. A hold's or order's token
//! is the capability to act on it. Ticket codes name a ticket and nothing else.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sloe_core::ids::{ClaimId, EventRef, PublicId, SfId, base32};
use subtle::ConstantTimeEq;

const LOCATOR: usize = 8;
const CLAIM: usize = 16;
const MAC: usize = 16;

/// What a token lets its bearer act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A hold.
    Hold,
    /// An order.
    Order,
}

impl Kind {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Hold => b"hold",
            Self::Order => b"order",
        }
    }
}

/// The first bytes of an event's public id: enough to find its partition.
pub type Locator = [u8; LOCATOR];

/// The locator of an event.
#[must_use]
pub fn locator(id: PublicId) -> Locator {
    let mut out = [0; LOCATOR];
    out.copy_from_slice(&id.as_bytes()[..LOCATOR]);
    out
}

/// Makes and checks tokens; its key is derived from the platform's master key.
#[derive(Clone)]
pub struct Tokens {
    key: Hmac<Sha256>,
}

impl Tokens {
    /// With a key of 32 bytes.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        // A key of any length is taken: the fallback can't be reached.
        let key = Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        Self { key }
    }

    fn mac(&self, label: &[u8], event: EventRef, claim: ClaimId, place: u16) -> [u8; 32] {
        self.key
            .clone()
            .chain_update(label)
            .chain_update([0])
            .chain_update(event.org.as_bytes())
            .chain_update(event.event.as_bytes())
            .chain_update(claim.0.to_be_bytes())
            .chain_update(place.to_be_bytes())
            .finalize()
            .into_bytes()
            .into()
    }

    /// The token of a hold or order: 64 characters.
    #[must_use]
    pub fn seal(&self, kind: Kind, event: EventRef, claim: ClaimId) -> String {
        let mut bytes = Vec::with_capacity(LOCATOR + CLAIM + MAC);
        bytes.extend_from_slice(&locator(event.public_id()));
        bytes.extend_from_slice(&claim.0.to_be_bytes());
        bytes.extend_from_slice(&self.mac(kind.label(), event, claim, 0)[..MAC]);
        base32::encode(&bytes)
    }

    /// Reads a token; `event_at` finds the event of a locator. Forged and
    /// unknown look the same.
    #[must_use]
    pub fn open(
        &self,
        kind: Kind,
        token: &str,
        event_at: impl FnOnce(Locator) -> Option<EventRef>,
    ) -> Option<(EventRef, ClaimId)> {
        if token.len() != 64 {
            return None;
        }
        let bytes = base32::decode(token)?;
        let (head, mac) = bytes.split_at_checked(LOCATOR + CLAIM)?;
        let (at, claim) = head.split_at_checked(LOCATOR)?;
        let at: Locator = at.try_into().ok()?;
        let event = event_at(at).filter(|event| locator(event.public_id()) == at)?;
        let claim = ClaimId(u128::from_be_bytes(claim.try_into().ok()?));
        let good = self.mac(kind.label(), event, claim, 0);
        bool::from(good[..MAC].ct_eq(mac)).then_some((event, claim))
    }

    /// The token of an invitation of `record` to `event`: 55 characters.
    #[must_use]
    pub fn invitation(&self, event: EventRef, record: SfId) -> String {
        let mut bytes = record.as_bytes().to_vec();
        bytes.extend_from_slice(&self.invitation_mac(event, record)[..MAC]);
        base32::encode(&bytes)
    }

    /// Whom a token invites to `event`; forged and another event's look the same.
    #[must_use]
    pub fn open_invitation(&self, event: EventRef, token: &str) -> Option<SfId> {
        if token.len() > 64 {
            return None;
        }
        let bytes = base32::decode(token)?;
        let (record, mac) = bytes.split_last_chunk::<MAC>()?;
        let record = SfId::parse(std::str::from_utf8(record).ok()?).ok()?;
        let good = self.invitation_mac(event, record);
        bool::from(good[..MAC].ct_eq(mac)).then_some(record)
    }

    fn invitation_mac(&self, event: EventRef, record: SfId) -> [u8; 32] {
        self.key
            .clone()
            .chain_update(b"invitation\0")
            .chain_update(event.org.as_bytes())
            .chain_update(event.event.as_bytes())
            .chain_update(record.as_bytes())
            .finalize()
            .into_bytes()
            .into()
    }

    /// The code in a ticket's QR: 26 characters that name a ticket to whoever
    /// can look it up, and tell nothing else.
    #[must_use]
    pub fn ticket(&self, event: EventRef, claim: ClaimId, place: u16) -> String {
        base32::encode(&self.mac(b"ticket", event, claim, place)[..16])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use sloe_core::ids::OrgId;

    fn event(org: &str) -> EventRef {
        let record = SfId::parse("a00000000000001").unwrap();
        EventRef { org: OrgId::parse(org).unwrap(), event: record }
    }

    #[test]
    fn a_token_opens_what_it_was_made_for_and_nothing_else() {
        let tokens = Tokens::new(&[1; 32]);
        let (ours, theirs) = (event("00D000000000001"), event("00D000000000002"));
        let token = tokens.seal(Kind::Hold, ours, ClaimId(7));
        assert_eq!(token.len(), 64);
        assert_eq!(tokens.open(Kind::Hold, &token, |_| Some(ours)), Some((ours, ClaimId(7))));
        assert_eq!(tokens.open(Kind::Order, &token, |_| Some(ours)), None);
        assert_eq!(tokens.open(Kind::Hold, &token, |_| Some(theirs)), None);
        assert_eq!(Tokens::new(&[2; 32]).open(Kind::Hold, &token, |_| Some(ours)), None);
    }

    #[test]
    fn an_invitation_is_to_one_event_and_can_t_be_turned_to_somebody_else() {
        let tokens = Tokens::new(&[1; 32]);
        let (ours, theirs) = (event("00D000000000001"), event("00D000000000002"));
        let (ada, alan) = ("003000000000001", "003000000000002");
        let [ada, alan] = [ada, alan].map(|id| SfId::parse(id).unwrap());
        let token = tokens.invitation(ours, ada);
        assert_eq!(token.len(), 55);
        assert_eq!(tokens.open_invitation(ours, &token), Some(ada));
        assert_eq!(tokens.open_invitation(theirs, &token), None);
        assert_eq!(Tokens::new(&[2; 32]).open_invitation(ours, &token), None);
        let others = tokens.invitation(ours, alan);
        for at in 0..token.len() {
            for wrong in ["0", "1", "z", &others[at..=at]] {
                let mut turned = token.clone();
                turned.replace_range(at..=at, wrong);
                if turned != token {
                    assert_eq!(tokens.open_invitation(ours, &turned), None, "{turned}");
                }
            }
        }
        for text in ["", "0", "é", &"0".repeat(64), &token[..54]] {
            assert_eq!(tokens.open_invitation(ours, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_opens_or_panics(text: String, at in 0usize..64, to in "[0-9a-z]") {
            let tokens = Tokens::new(&[1; 32]);
            let ours = event("00D000000000001");
            prop_assert_eq!(tokens.open(Kind::Hold, &text, |_| Some(ours)), None);
            let mut token = tokens.seal(Kind::Hold, ours, ClaimId(7));
            let before = token.clone();
            token.replace_range(at..=at, &to);
            if token != before {
                prop_assert_eq!(tokens.open(Kind::Hold, &token, |_| Some(ours)), None);
            }
        }
    }
}
