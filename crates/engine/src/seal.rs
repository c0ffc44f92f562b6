//! Seals what must not be read from the disk: `XChaCha20`-Poly1305, a random
//! nonce each, bound to whose it is. Keys are wrapped by the key above them:
//! master key, then org keys, then the keys of their events.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::clock::World;

const NONCE: usize = 24;

/// A key of 32 bytes, wiped when dropped.
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<[u8; 32]>,
    /// Made once: half of a short message's HMAC is taking in the key. Wiped, too.
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(secret)")
    }
}

/// Sealed bytes could not be opened: another key, another owner, or damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "sealed data can't be opened: it is damaged, or the master key is not the one it was sealed with"
)]
pub struct SealError;

impl Key {
    /// With these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        // A key of any length is taken: the fallback can't be reached.
        let mac = Hmac::new_from_slice(&*bytes).unwrap_or_else(|_| Hmac::new(&Default::default()));
        Self { bytes, mac }
    }

    /// A fresh one.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn random(world: &dyn World) -> Result<Self, SealError> {
        let mut bytes = [0; 32];
        world.random(&mut bytes).map_err(|_| SealError)?;
        Ok(Self::new(bytes))
    }

    /// The bytes, for wrapping and deriving.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// A key for one purpose, from which this one can't be told.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Self {
        Self::new(self.hmac(&[b"derive\0", purpose.as_bytes()]))
    }

    /// HMAC-SHA256 of the parts, one after the other; the caller keeps them apart.
    #[must_use]
    pub fn hmac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Seals `plain` for `owner`.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn seal(
        &self,
        world: &dyn World,
        owner: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        world.random(&mut nonce).map_err(|_| SealError)?;
        let payload = Payload { msg: plain, aad: owner };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Key::seal`] made for the same owner.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, owner: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or(SealError)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| SealError)?;
        let payload = Payload { msg: sealed, aad: owner };
        let plain = self.cipher().decrypt(&XNonce::from(nonce), payload).map_err(|_| SealError)?;
        Ok(Zeroizing::new(plain))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::Machine;

    #[test]
    fn only_the_right_key_and_owner_open_what_was_sealed() {
        let key = Key::random(&Machine).unwrap();
        let sealed = key.seal(&Machine, b"ours", b"secret").unwrap();
        assert_eq!(**key.open(b"ours", &sealed).unwrap(), *b"secret");
        assert_eq!(key.open(b"theirs", &sealed), Err(SealError));
        assert_eq!(key.derive("other").open(b"ours", &sealed), Err(SealError));
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(key.open(b"ours", &damaged), Err(SealError));
        }
        assert_eq!(key.open(b"ours", &sealed[..10]), Err(SealError));
    }
}
