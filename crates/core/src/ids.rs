//! The registry of ids. Each kind is a type, so that one can't stand for another.

use std::fmt;

use sha2::{Digest, Sha256};

/// Why a text is not the id it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 15 or 18 letters and digits.
    #[error("a Salesforce id has 15 or 18 letters and digits")]
    Form,
    /// The three check characters don't fit the first fifteen.
    #[error("the Salesforce id's check characters don't fit: a letter was lost or changed")]
    Check,
    /// A Salesforce id, but not of an organization.
    #[error("an org id begins with 00D")]
    NotAnOrg,
}

/// A Salesforce record id in its 18-character form.
///
/// Unique only within its org: a full sandbox keeps production's ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SfId([u8; 18]);

impl SfId {
    /// Reads the 15-character form (case matters) or the 18-character form
    /// (case is restored from the check characters' own agreement).
    ///
    /// # Errors
    /// [`IdError::Form`] and [`IdError::Check`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let bytes = text.as_bytes();
        if !matches!(bytes.len(), 15 | 18) || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return Err(IdError::Form);
        }
        let mut id = [0; 18];
        id[..15].copy_from_slice(&bytes[..15]);
        let check = Self::check(&bytes[..15]);
        id[15..].copy_from_slice(&check);
        if bytes.len() == 18 && bytes[15..] != check {
            return Err(IdError::Check);
        }
        Ok(Self(id))
    }

    /// Three characters, each telling which of five letters are upper case
    /// (Salesforce help article 000383751).
    fn check(first: &[u8]) -> [u8; 3] {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
        let mut out = [b'A'; 3];
        for (slot, group) in out.iter_mut().zip(first.chunks(5)) {
            let bits = group
                .iter()
                .enumerate()
                .fold(0_usize, |bits, (i, b)| bits | usize::from(b.is_ascii_uppercase()) << i);
            *slot = ALPHABET[bits & 31];
        }
        out
    }

    /// The 18 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII letters and digits get in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The 18 bytes, for stored forms.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 18] {
        &self.0
    }
}

impl fmt::Display for SfId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SfId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A customer's Salesforce org: the tenant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrgId(SfId);

impl OrgId {
    /// Reads an org id of 15 or 18 characters.
    ///
    /// # Errors
    /// As [`SfId::parse`], and [`IdError::NotAnOrg`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let id = SfId::parse(text)?;
        if id.as_str().starts_with("00D") { Ok(Self(id)) } else { Err(IdError::NotAnOrg) }
    }

    /// The 18 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The 15 characters that the License Management App knows an org by.
    #[must_use]
    pub fn short(&self) -> &str {
        self.as_str().get(..15).unwrap_or_default()
    }

    /// The 18 bytes, for stored forms.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 18] {
        self.0.as_bytes()
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event of an org: the key of its ledger, its snapshot and its journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventRef {
    /// Whose event.
    pub org: OrgId,
    /// Its record in that org.
    pub event: SfId,
}

impl EventRef {
    /// The journal's partition: `event:<OrgId>:<EventId>`.
    #[must_use]
    pub fn partition(&self) -> String {
        format!("event:{}:{}", self.org, self.event)
    }

    /// Reads what [`EventRef::partition`] writes.
    #[must_use]
    pub fn from_partition(text: &str) -> Option<Self> {
        let (org, event) = text.strip_prefix("event:")?.split_once(':')?;
        Some(Self { org: OrgId::parse(org).ok()?, event: SfId::parse(event).ok()? })
    }

    /// The event's public id.
    #[must_use]
    pub fn public_id(&self) -> PublicId {
        PublicId::derive(&self.org, &self.event)
    }
}

impl fmt::Debug for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.org, self.event)
    }
}

/// Sloe's own id of an event, an item or a session: derived from org and
/// Salesforce id, so that any node names a record alike and no Salesforce id
/// stands in a URL. Public, no capability.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicId([u8; 16]);

impl PublicId {
    /// The id of record `record` of `org`.
    #[must_use]
    pub fn derive(org: &OrgId, record: &SfId) -> Self {
        let digest = Sha256::new()
            .chain_update(b"sloe public id 1\0")
            .chain_update(org.as_bytes())
            .chain_update(record.as_bytes())
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// Reads the 26 characters that [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        base32::decode(text)?.try_into().ok().map(Self)
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32::encode(&self.0))
    }
}

impl fmt::Debug for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A claim: a hold and, once confirmed, the order. A UUIDv7 made by the
/// server: time-ordered ids keep the B-trees of the store append-only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimId(pub u128);

impl ClaimId {
    /// The first 32 characters of every external id of this claim's records.
    #[must_use]
    pub fn text(&self) -> String {
        base32::encode(&self.0.to_be_bytes())
    }

    /// Reads what [`ClaimId::text`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        base32::decode(text)?.try_into().ok().map(|bytes| Self(u128::from_be_bytes(bytes)))
    }

    /// The short name of an order that people read out and staff search for:
    /// eight letters and digits without look-alikes, `7K3M-9QXZ`. Not unique
    /// by construction and no capability.
    #[must_use]
    pub fn reference(&self) -> String {
        let digest = Sha256::new()
            .chain_update(b"sloe reference 1\0")
            .chain_update(self.0.to_be_bytes())
            .finalize();
        let text = base32::encode(&digest[..5]).to_ascii_uppercase();
        format!("{}-{}", &text[..4], &text[4..])
    }

    /// The external id of the attendee at `place` (from 1): at most 64
    /// characters, unique in the org.
    #[must_use]
    pub fn attendee_key(&self, place: u16) -> String {
        format!("{}-{place}", self.text())
    }

    /// The external id of that attendee's row for `session`.
    #[must_use]
    pub fn session_attendee_key(&self, place: u16, session: PublicId) -> String {
        format!("{}-{place}-{session}", self.text())
    }

    /// Reads an attendee's external id back.
    #[must_use]
    pub fn parse_attendee_key(text: &str) -> Option<(Self, u16)> {
        let (claim, place) = text.split_once('-')?;
        Some((Self::parse(claim)?, place.parse().ok().filter(|p| *p > 0)?))
    }
}

impl fmt::Debug for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Crockford's base 32 in lower case: no i, l, o, u, so that an id survives
/// being read aloud. Decoding is strict: one text per id.
pub mod base32 {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

    /// Five bits a character, the last one padded with zero bits.
    #[must_use]
    pub fn encode(bytes: &[u8]) -> String {
        let mut out = Vec::with_capacity(bytes.len().div_ceil(5) * 8);
        for five in bytes.chunks(5) {
            let acc = (0..5)
                .fold(0_u64, |acc, at| acc << 8 | five.get(at).map_or(0, |byte| u64::from(*byte)));
            out.extend((0..8).map(|at| ALPHABET[(acc >> (35 - 5 * at) & 31) as usize]));
        }
        out.truncate((bytes.len() * 8).div_ceil(5));
        // The alphabet is ASCII: the fallback can't be reached.
        String::from_utf8(out).unwrap_or_default()
    }

    /// `None` for any character outside the alphabet, a length no encoding
    /// has, or padding bits that are not zero.
    #[must_use]
    pub fn decode(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(text.len() * 5 / 8);
        let (mut acc, mut bits) = (0_u32, 0_u32);
        for c in text.bytes() {
            let value = ALPHABET.iter().position(|a| *a == c)?;
            acc = acc << 5 | u32::try_from(value).ok()?;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                out.push(u8::try_from(acc >> bits & 255).ok()?);
                acc &= (1 << bits) - 1;
            }
        }
        (bits < 5 && acc == 0).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_of_a_salesforce_id_are_one_id() {
        let long = SfId::parse("001A0000006Vm9uIAC");
        assert_eq!(long, SfId::parse("001A0000006Vm9u"));
        assert_eq!(long.map(|id| id.to_string()), Ok("001A0000006Vm9uIAC".into()));
    }

    #[test]
    fn damaged_ids_are_refused() {
        assert_eq!(SfId::parse("001A0000006Vm9uIAD"), Err(IdError::Check));
        assert_eq!(SfId::parse("001a0000006Vm9uIAC"), Err(IdError::Check));
        assert_eq!(SfId::parse("001A0000006Vm9"), Err(IdError::Form));
        assert_eq!(SfId::parse("001A0000006Vmß"), Err(IdError::Form));
        assert_eq!(OrgId::parse("001A0000006Vm9u"), Err(IdError::NotAnOrg));
    }

    #[test]
    fn the_same_record_id_in_two_orgs_has_two_public_ids() {
        let record = SfId::parse("a001A0000006Vm9").ok();
        let ids: Vec<_> = ["00D000000000001", "00D000000000002"]
            .iter()
            .filter_map(|org| Some(PublicId::derive(&OrgId::parse(org).ok()?, &record?)))
            .collect();
        assert_eq!(ids.len(), 2);
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn external_ids_fit_64_characters() {
        let org = OrgId::parse("00D000000000001");
        let session = SfId::parse("a021A0000006Vm9");
        let (Ok(org), Ok(session)) = (org, session) else { unreachable!() };
        let key =
            ClaimId(u128::MAX).session_attendee_key(u16::MAX, PublicId::derive(&org, &session));
        assert!(key.len() <= 64, "{key}");
    }

    proptest! {
        #[test]
        fn base32_reads_back_what_it_wrote(bytes: Vec<u8>) {
            prop_assert_eq!(base32::decode(&base32::encode(&bytes)), Some(bytes));
        }

        #[test]
        fn no_text_makes_an_id_parser_panic(text: String) {
            let _ = (SfId::parse(&text), PublicId::parse(&text), ClaimId::parse_attendee_key(&text));
            let _ = EventRef::from_partition(&text);
        }

        #[test]
        fn attendee_keys_read_back(id: u128, place in 1..u16::MAX) {
            let key = ClaimId(id).attendee_key(place);
            prop_assert_eq!(ClaimId::parse_attendee_key(&key), Some((ClaimId(id), place)));
        }
    }
}
