//! How nodes of one platform know each other: by the master key. A call proves
//! that one of them sends it now, an answer that one of them gives it to that call.

use sloe_core::time::Timestamp;
use subtle::ConstantTimeEq;

use crate::seal::Key;

/// Bytes of the proof in front of a call's body, and of its answer's.
const MAC: usize = 32;
/// What the proof of an answer begins with: no call's proof is one.
const ANSWER: &[u8] = b"answer\0";
/// How far the clocks of two nodes may differ.
const SKEW_MILLIS: i64 = 30_000;

/// Why another node's claims are not decided here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It does not know the master key, or its clock is wrong.
    #[error("the call is not from a node of this platform, or its clock is off")]
    NotOurs,
    /// The node does not speak the same version of Sloe.
    #[error("the call can't be read")]
    Unreadable,
}

/// Makes and checks proofs.
pub(super) struct Proofs(Key);

/// What an answer's proof says which call it is to: the proof of the call.
pub(super) type Asked = [u8; MAC];

impl Proofs {
    pub(super) fn new(key: Key) -> Self {
        Self(key)
    }

    /// A call with the proof that a node of this platform sends it now.
    pub(super) fn sign(&self, now: Timestamp, body: &[u8]) -> (Asked, Vec<u8>) {
        let time = now.0.to_be_bytes();
        let mac = self.0.hmac(&[&time, body]);
        (mac, [mac.as_slice(), &time, body].concat())
    }

    /// Which call that is, when it was sent, and what it says.
    pub(super) fn open<'a>(
        &self,
        now: Timestamp,
        message: &'a [u8],
    ) -> Result<(Asked, Timestamp, &'a [u8]), PeerError> {
        let (mac, rest) = message.split_first_chunk::<MAC>().ok_or(PeerError::NotOurs)?;
        let (time, body) = rest.split_first_chunk::<8>().ok_or(PeerError::NotOurs)?;
        let ours = self.0.hmac(&[time, body]);
        let sent = Timestamp(i64::from_be_bytes(*time));
        let near = now.millis_since(sent).unsigned_abs() <= SKEW_MILLIS.unsigned_abs();
        if bool::from(ours.ct_eq(mac)) && near {
            Ok((*mac, sent, body))
        } else {
            Err(PeerError::NotOurs)
        }
    }

    /// Answers with the proof that a node of this platform gives them to this call.
    pub(super) fn answer(&self, asked: &Asked, answers: &[u8]) -> Vec<u8> {
        [self.0.hmac(&[ANSWER, asked, answers]).as_slice(), answers].concat()
    }

    /// The answers to this call: who took over a node's address must not confirm what nobody
    /// booked.
    pub(super) fn hear<'a>(&self, asked: &Asked, message: &'a [u8]) -> Option<&'a [u8]> {
        let (mac, answers) = message.split_first_chunk::<MAC>()?;
        let ours = self.0.hmac(&[ANSWER, asked, answers]);
        bool::from(ours.ct_eq(mac)).then_some(answers)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn proofs(key: u8) -> Proofs {
        Proofs::new(Key::new([key; 32]))
    }

    #[test]
    fn only_a_node_that_knows_the_master_key_is_heard_and_only_for_a_while() {
        let (ours, now) = (proofs(1), Timestamp(1_000_000));
        let (asked, message) = ours.sign(now, b"claims");
        assert_eq!(ours.open(now, &message), Ok((asked, now, b"claims".as_slice())));
        let late = now.plus_millis(SKEW_MILLIS + 1);
        assert_eq!(ours.open(late, &message), Err(PeerError::NotOurs));
        let (_, foreign) = proofs(2).sign(now, b"claims");
        assert_eq!(ours.open(now, &foreign), Err(PeerError::NotOurs));
        for n in 0..message.len() {
            let mut changed = message.clone();
            changed[n] ^= 1;
            assert_eq!(ours.open(now, &changed), Err(PeerError::NotOurs));
            assert_eq!(ours.open(now, &message[..n]), Err(PeerError::NotOurs));
        }
    }

    #[test]
    fn an_answer_is_heard_only_from_who_knows_the_key_and_only_to_its_own_call() {
        let (ours, now) = (proofs(1), Timestamp(1_000_000));
        let ((asked, _), (other, _)) = (ours.sign(now, b"call"), ours.sign(now, b"other"));
        let answer = ours.answer(&asked, b"confirmed");
        assert_eq!(ours.hear(&asked, &answer), Some(b"confirmed".as_slice()));
        assert_eq!(ours.hear(&other, &answer), None);
        assert_eq!(ours.hear(&asked, &proofs(2).answer(&asked, b"confirmed")), None);
        assert_eq!(ours.hear(&asked, &answer[..10]), None);
    }
}
