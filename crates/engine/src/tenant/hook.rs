//! Who may call an org's hook: the holder of a secret in force, or of the
//! signing key that goes with it (Standard Webhooks). Two of each are valid
//! while they are rotated.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use sloe_core::ids::{OrgId, base32};
use sloe_core::time::Timestamp;
use sloe_store::api::{Store, StoreError, Write};
use sloe_store::key as store;
use subtle::ConstantTimeEq;

use super::{Org, OrgError, Registry};
use crate::engine::Engine;
use crate::seal::Key;
use crate::worker::stored;

/// How far a call's time may be from ours, in milliseconds.
const WINDOW_MILLIS: i64 = 5 * 60 * 1_000;
/// Calls remembered, of all orgs; only who knows a key makes one.
const REMEMBERED: usize = 50_000;

/// A hook call with a signature, as Standard Webhooks wants it.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// `webhook-id`: the same for each try of the same call.
    pub id: &'a str,
    /// `webhook-timestamp`: seconds since 1970.
    pub timestamp: &'a str,
    /// `webhook-signature`: one or more of `v1,BASE64`, with spaces between.
    pub signature: &'a str,
    /// The body, byte by byte.
    pub body: &'a [u8],
}

/// What a signed call is that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It comes for the first time.
    New,
    /// Another try of one that was taken: there is nothing to do.
    Again,
}

/// Why a signed call is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// It is signed with none of the org's keys, or by nobody.
    Signature,
    /// Its time is more than five minutes from ours.
    Time,
    /// This very call was taken before.
    Replayed,
    /// It is signed no later than one that was taken before Sloe was last
    /// started, so it may be that one: which they were is not remembered.
    Before,
    /// The store does not answer, so that it could be taken again later.
    NotNow,
}

/// What to put into Salesforce, or into another caller; told only when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookSecrets {
    /// For the header of the Update button.
    pub secret: String,
    /// For Standard Webhooks: `whsec_…`.
    pub signing: String,
}

/// What is remembered of the calls that were taken.
#[derive(Default)]
pub(super) struct Taken {
    /// Those of late, with their times and when they were taken.
    calls: Mutex<BTreeMap<(OrgId, String), (i64, Timestamp)>>,
    marks: Mutex<BTreeMap<OrgId, Mark>>,
}

/// Up to when an org's calls that were taken are signed, in seconds since 1970.
#[derive(Clone, Copy)]
struct Mark {
    /// By an earlier process: that remembers them no more.
    before: i64,
    /// By any, as it stands in the store.
    kept: i64,
}

impl Taken {
    fn mark(&self, org: OrgId) -> Option<Mark> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).get(&org).copied()
    }

    /// Notes what stood in the store before this process took a call of the org.
    fn begin(&self, org: OrgId, before: i64) -> Mark {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        *marks.entry(org).or_insert(Mark { before, kept: before })
    }

    fn kept(&self, org: OrgId, sent: i64) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mark) = marks.get_mut(&org) {
            mark.kept = mark.kept.max(sent);
        }
    }

    /// Remembers a call; refuses one that is remembered with the very same time.
    fn take(&self, org: OrgId, id: &str, sent: i64, now: Timestamp) -> Result<Heard, Unheard> {
        let mut taken = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (org, id.to_owned());
        let old = |at: Timestamp| now.millis_since(at) > 2 * WINDOW_MILLIS;
        if let Some((before, at)) = taken.get(&key).copied()
            && !old(at)
        {
            if before == sent {
                return Err(Unheard::Replayed);
            }
            taken.insert(key, (sent, at));
            return Ok(Heard::Again);
        }
        if taken.len() >= REMEMBERED {
            taken.retain(|_, (_, at)| !old(*at));
        }
        if taken.len() >= REMEMBERED
            && let Some(oldest) =
                taken.iter().min_by_key(|(_, (_, at))| *at).map(|(k, _)| k.clone())
        {
            taken.remove(&oldest);
        }
        taken.insert(key, (sent, now));
        Ok(Heard::New)
    }
}

pub(super) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// The key that goes with a secret: from the org's own key, so that the
/// secret's hash alone, as it is stored, signs nothing.
fn signing_key(key: &Key, secret: &[u8; 32]) -> Key {
    Key::new(key.derive("hook signing").hmac(&[secret]))
}

fn secrets(key: &Key, secret: String) -> HookSecrets {
    let signing = BASE64_STANDARD.encode(signing_key(key, &hash(&secret)).bytes());
    HookSecrets { secret, signing: format!("whsec_{signing}") }
}

impl Registry {
    /// A secret that nobody has yet.
    pub(super) fn fresh_secret(&self, key: &Key) -> Result<HookSecrets, OrgError> {
        Ok(secrets(key, base32::encode(self.random_key()?.bytes())))
    }

    /// Makes a new hook secret; the one before stays good until the next, or
    /// until [`Registry::end_old_hook`]. `None` if the org is not connected.
    ///
    /// # Errors
    /// The store's; then nothing changed.
    pub fn rotate_hook(
        &self,
        store: &dyn Store,
        org: OrgId,
    ) -> Result<Option<HookSecrets>, OrgError> {
        let Some(before) = self.by_id(org) else { return Ok(None) };
        let fresh = self.fresh_secret(&before.key)?;
        let changed = self.change(store, org, |opened| {
            let current = opened.hook_secrets.first().copied();
            opened.hook_secrets = std::iter::once(hash(&fresh.secret)).chain(current).collect();
        })?;
        Ok(changed.map(|_| fresh))
    }

    /// Ends the hook secret before the newest; whether the org is connected.
    ///
    /// # Errors
    /// The store's; then nothing changed.
    pub fn end_old_hook(&self, store: &dyn Store, org: OrgId) -> Result<bool, OrgError> {
        Ok(self.change(store, org, |opened| opened.hook_secrets.truncate(1))?.is_some())
    }

    /// Whether `secret` is one of an org's hook secrets.
    #[must_use]
    pub fn knows_hook_secret(org: &Org, secret: &str) -> bool {
        let hashed = hash(secret);
        org.hook_secrets.iter().fold(false, |known, s| known | bool::from(s.ct_eq(&hashed)))
    }

    /// When a call was signed, in seconds since 1970, if it is the org's.
    fn signed_at(org: &Org, call: &Signed<'_>, now: Timestamp) -> Result<i64, Unheard> {
        let key_of = |secret| signing_key(&org.key, secret);
        let parts = [call.id.as_bytes(), b".", call.timestamp.as_bytes(), b".", call.body].concat();
        let wanted: Vec<_> = org.hook_secrets.iter().map(|s| key_of(s).hmac(&[&parts])).collect();
        let mut known = false;
        for given in call.signature.split(' ').take(8) {
            let given = given.strip_prefix("v1,").and_then(|g| BASE64_STANDARD.decode(g).ok());
            let Some(given) = given else { continue };
            for wanted in &wanted {
                known |= bool::from(wanted.ct_eq(&given));
            }
        }
        if !known || call.id.is_empty() || call.id.len() > 255 {
            return Err(Unheard::Signature);
        }
        let seconds: i64 = call.timestamp.parse().map_err(|_| Unheard::Time)?;
        let sent = Timestamp(seconds.saturating_mul(1_000));
        if now.millis_since(sent).saturating_abs() > WINDOW_MILLIS {
            return Err(Unheard::Time);
        }
        Ok(seconds)
    }
}

impl Engine {
    /// As [`Registry::rotate_hook`].
    ///
    /// # Errors
    /// The store's; then nothing changed.
    pub fn rotate_hook(&self, org: OrgId) -> Result<Option<HookSecrets>, OrgError> {
        self.registry().rotate_hook(&**self.store(), org)
    }

    /// As [`Registry::end_old_hook`].
    ///
    /// # Errors
    /// The store's; then nothing changed.
    pub fn end_old_hook(&self, org: OrgId) -> Result<bool, OrgError> {
        self.registry().end_old_hook(&**self.store(), org)
    }

    /// Whether a signed hook call is the org's, and new. A restart forgets which
    /// calls were taken, but not up to when they were signed: at most one write
    /// a second and org keeps that, and none is taken before it is kept.
    ///
    /// # Errors
    /// [`Unheard`].
    pub async fn hears(&self, org: &Arc<Org>, call: &Signed<'_>) -> Result<Heard, Unheard> {
        let sent = Registry::signed_at(org, call, self.now())?;
        let not_now = |error: StoreError| {
            tracing::error!(org = %org.id(), %error, "a signed hook call can't be taken");
            Unheard::NotNow
        };
        let (taken, key) = (&self.registry().taken, store::Key::hook_mark(org.scope));
        let mark = match taken.mark(org.id()) {
            Some(mark) => mark,
            None => {
                let at = key.clone();
                let kept = stored(self, move |store| store.get(&at)).await.map_err(not_now)?;
                let before = kept.and_then(|kept| i64::try_from(kept.version).ok());
                taken.begin(org.id(), before.unwrap_or(0))
            }
        };
        if sent <= mark.before {
            return Err(Unheard::Before);
        }
        if sent > mark.kept {
            let version = u64::try_from(sent).unwrap_or_default();
            let write = Write { key, version, body: Some(Vec::new()) };
            stored(self, move |store| store.put(&[write])).await.map_err(not_now)?;
            taken.kept(org.id(), sent);
        }
        taken.take(org.id(), call.id, sent, self.now())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_call_is_taken_once_another_try_of_it_does_nothing_and_a_replay_is_refused() {
        let (taken, org) = (Taken::default(), OrgId::parse("00D000000000001").unwrap());
        let now = Timestamp(1_000_000_000);
        assert_eq!(taken.take(org, "a", 7, now), Ok(Heard::New));
        assert_eq!(taken.take(org, "a", 7, now), Err(Unheard::Replayed));
        assert_eq!(taken.take(org, "a", 8, now), Ok(Heard::Again));
        assert_eq!(taken.take(org, "a", 8, now), Err(Unheard::Replayed));
        assert_eq!(taken.take(org, "b", 7, now), Ok(Heard::New));
        let other = OrgId::parse("00D000000000002").unwrap();
        assert_eq!(taken.take(other, "a", 7, now), Ok(Heard::New));
        // Once no call of that time would be taken any more, its id is free.
        let later = now.plus_millis(2 * WINDOW_MILLIS + 1);
        assert_eq!(taken.take(org, "a", 9, later), Ok(Heard::New));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (taken, org) = (Taken::default(), OrgId::parse("00D000000000001").unwrap());
        for n in 0..REMEMBERED + 10 {
            let now = Timestamp(i64::try_from(n).unwrap());
            taken.take(org, &n.to_string(), 0, now).unwrap();
        }
        assert_eq!(taken.calls.lock().unwrap().len(), REMEMBERED);
    }
}
