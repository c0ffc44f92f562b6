//! The small pieces of binary forms: numbers of variable length, ids, options
//! and a checksum. Knows nothing of what they mean.

use sloe_core::ids::SfId;
use sloe_core::time::Timestamp;

use super::{DecodeError, Fault};

/// Bytes of the checksum at the end of a form.
const CHECKSUM: usize = 4;

/// Writes a form.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    pub(crate) fn byte(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.out.extend_from_slice(value);
    }

    /// Seven bits a byte, lowest first; all but the last have the high bit set (LEB128).
    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            // Masked to seven bits, so nothing is cut off.
            self.out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.out.push((value & 0x7f) as u8);
    }

    pub(crate) fn len(&mut self, value: usize) {
        self.varint(value as u64);
    }

    /// `None` is 0, `Some(n)` is n + 1.
    pub(crate) fn limit(&mut self, value: Option<u32>) {
        self.varint(value.map_or(0, |n| u64::from(n) + 1));
    }

    /// Relative to `base`, in whatever direction: near moments take few bytes.
    pub(crate) fn moment(&mut self, value: Timestamp, base: Timestamp) {
        let delta = value.0.wrapping_sub(base.0);
        self.varint(((delta << 1) ^ (delta >> 63)).cast_unsigned());
    }

    pub(crate) fn optional_moment(&mut self, value: Option<Timestamp>, base: Timestamp) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            self.moment(value, base);
        }
    }

    /// Fifteen characters: the other three follow from them.
    pub(crate) fn record_id(&mut self, id: SfId) {
        let (first, _check) = id.as_bytes().split_at(15);
        self.bytes(first);
    }

    /// Bytes so far.
    pub(crate) fn size(&self) -> usize {
        self.out.len()
    }

    /// The form with its checksum behind it.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let sum = crc32(&self.out);
        self.out.extend_from_slice(&sum.to_le_bytes());
        self.out
    }
}

/// Reads a form.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader of what [`Writer::finish`] wrote.
    pub(crate) fn checked(form: &'a [u8]) -> Result<Self, DecodeError> {
        let short = DecodeError { fault: Fault::Short, at: form.len() };
        let (body, sum) = form.split_last_chunk::<CHECKSUM>().ok_or(short)?;
        if u32::from_le_bytes(*sum) != crc32(body) {
            return Err(DecodeError { fault: Fault::Checksum, at: body.len() });
        }
        Ok(Self { rest: body, at: 0 })
    }

    pub(crate) fn fail<T>(&self, fault: Fault) -> Result<T, DecodeError> {
        Err(DecodeError { fault, at: self.at })
    }

    pub(crate) fn bad<T>(&self, what: &'static str, value: u64) -> Result<T, DecodeError> {
        self.fail(Fault::Value { what, value })
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((value, rest)) = self.rest.split_first_chunk::<N>() else {
            return self.fail(Fault::Short);
        };
        self.rest = rest;
        self.at += N;
        Ok(*value)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                return self.fail(Fault::Varint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.fail(Fault::Varint)
    }

    pub(crate) fn small<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, DecodeError> {
        let value = self.varint()?;
        T::try_from(value).or_else(|_| self.bad(what, value))
    }

    pub(crate) fn flag(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            value => self.bad(what, u64::from(value)),
        }
    }

    /// A count of values that take at least `least` bytes each: a count that
    /// the rest of the form can't hold is refused before memory is set aside.
    pub(crate) fn len(&mut self, what: &'static str, least: usize) -> Result<usize, DecodeError> {
        let value = self.varint()?;
        match usize::try_from(value) {
            Ok(len) if len <= self.rest.len() / least => Ok(len),
            _ => self.bad(what, value),
        }
    }

    pub(crate) fn limit(&mut self) -> Result<Option<u32>, DecodeError> {
        let value = self.varint()?;
        match value.checked_sub(1).map(u32::try_from) {
            None => Ok(None),
            Some(Ok(limit)) => Ok(Some(limit)),
            Some(Err(_)) => self.bad("a limit", value),
        }
    }

    pub(crate) fn moment(&mut self, base: Timestamp) -> Result<Timestamp, DecodeError> {
        let value = self.varint()?;
        let delta = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
        Ok(Timestamp(base.0.wrapping_add(delta)))
    }

    pub(crate) fn optional_moment(
        &mut self,
        base: Timestamp,
    ) -> Result<Option<Timestamp>, DecodeError> {
        if self.flag("a moment's presence")? { self.moment(base).map(Some) } else { Ok(None) }
    }

    pub(crate) fn record_id(&mut self) -> Result<SfId, DecodeError> {
        let first = self.array::<15>()?;
        let text = std::str::from_utf8(&first).unwrap_or_default();
        SfId::parse(text).or_else(|error| self.fail(Fault::Id(error)))
    }

    /// Whether all was read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Ends the reading: nothing may be left.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { self.fail(Fault::Long(self.rest.len())) }
    }
}

/// CRC-32 as in gzip and PNG (RFC 1952, section 8): finds what a disk changed
/// by itself; no protection against intent.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0_u32;
        while i < 256 {
            let mut value = i;
            let mut bit = 0;
            while bit < 8 {
                value = (value >> 1) ^ (0xedb8_8320 * (value & 1));
                bit += 1;
            }
            table[i as usize] = value;
            i += 1;
        }
        table
    };
    !bytes
        .iter()
        .fold(!0, |sum: u32, byte| TABLE[((sum ^ u32::from(*byte)) & 0xff) as usize] ^ (sum >> 8))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_the_common_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_number_has_one_form_only() {
        for form in [&[0x80, 0x00][..], &[0xff; 10], &[0x80; 11]] {
            let mut reader = Reader { rest: form, at: 0 };
            assert_eq!(reader.varint().unwrap_err().fault, Fault::Varint, "{form:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_and_moments_read_back(value: u64, moment: i64, base: i64, limit: Option<u32>) {
            let mut writer = Writer::default();
            writer.varint(value);
            writer.moment(Timestamp(moment), Timestamp(base));
            writer.limit(limit);
            let form = writer.finish();
            let mut reader = Reader::checked(&form).unwrap();
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.moment(Timestamp(base)), Ok(Timestamp(moment)));
            prop_assert_eq!(reader.limit(), Ok(limit));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn one_changed_byte_is_found(
            body in proptest::collection::vec(any::<u8>(), 1..200),
            at: proptest::sample::Index,
            change in 1..=u8::MAX,
        ) {
            let mut writer = Writer::default();
            writer.bytes(&body);
            let mut form = writer.finish();
            let at = at.index(form.len());
            form[at] ^= change;
            prop_assert_eq!(Reader::checked(&form).unwrap_err().fault, Fault::Checksum);
        }
    }
}
