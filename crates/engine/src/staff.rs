//! Who may look at the staff console: links that sign in once, and sessions.
//! Both are 256 random bits that only their holder knows; the store has their
//! hashes, so that any node serves a session and a restart keeps it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sloe_core::ids::base32;
use sloe_core::time::Timestamp;
use sloe_store::api::{Store, StoreError, Write};
use sloe_store::key::{Collection, Key, Range};
use subtle::ConstantTimeEq;

use crate::engine::Engine;
use crate::error::Denied;
use crate::worker::outbox::file;

/// How long a link may be used, in milliseconds.
pub const LINK_MILLIS: i64 = 15 * 60 * 1_000;
/// How long a session lasts after its last use, in milliseconds.
pub const IDLE_MILLIS: i64 = 12 * 60 * 60 * 1_000;
/// How long a session lasts at most, in milliseconds.
pub const SESSION_MILLIS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// How old the note of a session's last use may become before it is written again.
const TOUCH_MILLIS: i64 = 5 * 60 * 1_000;
/// How long a used or expired link is remembered, to say what became of it.
const REMEMBERED_MILLIS: i64 = 24 * 60 * 60 * 1_000;
/// The version of what is over: nothing replaces it.
const OVER: u64 = ANY - 1;
/// Greater than any version there is: removes whatever stands.
const ANY: u64 = i64::MAX.unsigned_abs();

/// What somebody may do in the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything, refreshes, replays and compares.
    Operator,
}

impl Role {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
        }
    }
}

/// A secret that was just made: told here, and nowhere else again.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// 52 characters.
    pub text: String,
    /// Until when it is good.
    pub until: Timestamp,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("until", &self.until).finish_non_exhaustive()
    }
}

/// How a sign-in link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It may be used.
    Open,
    /// It was used.
    Used,
    /// Its time is over.
    Expired,
    /// There is no such link, or not any more.
    Unknown,
}

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staff {
    /// What they may do.
    pub role: Role,
    /// When they signed in.
    pub since: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct StoredLink {
    hash: String,
    role: Role,
    until: i64,
    /// The hash of the session that it became, once used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_by: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredSession {
    hash: String,
    role: Role,
    since: i64,
    seen: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    over: bool,
}

impl StoredSession {
    fn is_good(&self, now: Timestamp) -> bool {
        let idle = now.0.saturating_sub(self.seen);
        let lasts = now.0.saturating_sub(self.since);
        !self.over && idle < IDLE_MILLIS && lasts < SESSION_MILLIS
    }
}

/// Where a secret's document lies, and the hash that proves it.
struct Hashed {
    place: String,
    hash: String,
}

impl Hashed {
    fn of(secret: &str) -> Self {
        let hash = Sha256::digest(secret.as_bytes());
        let (place, _) = hash.split_at(16);
        Self { place: base32::encode(place), hash: base32::encode(&hash) }
    }

    fn is(&self, stored: &str) -> bool {
        bool::from(self.hash.as_bytes().ct_eq(stored.as_bytes()))
    }
}

/// Whether `text` may be a secret of ours at all.
fn is_shaped(text: &str) -> bool {
    text.len() == 52 && base32::decode(text).is_some()
}

impl Engine {
    /// Makes a link's token that signs in once, within `millis`.
    ///
    /// # Errors
    /// [`Denied`]: there is no randomness, or the store does not take it.
    pub async fn make_staff_link(&self, millis: i64) -> Result<Secret, Denied> {
        let now = self.now();
        let text = self.random_secret()?;
        let Hashed { place, hash } = Hashed::of(&text);
        let until = now.plus_millis(millis);
        let link = StoredLink { hash, role: Role::Operator, until: until.0, used_by: None };
        let write = Write { key: Key::staff_link(&place), version: 1, body: encoded(&link) };
        self.blocking(move |store| {
            sweep(store, now)?;
            store.put(&[write])
        })
        .await?;
        Ok(Secret { text, until })
    }

    /// How a link stands; asking does not use it.
    ///
    /// # Errors
    /// The store's.
    pub async fn staff_link(&self, token: &str) -> Result<LinkState, Denied> {
        if !is_shaped(token) {
            return Ok(LinkState::Unknown);
        }
        let (hashed, now) = (Hashed::of(token), self.now());
        self.blocking(move |store| Ok(find_link(store, &hashed, now)?.0)).await
    }

    /// Uses a link: the secret of the session that it opens, or how it stands.
    ///
    /// # Errors
    /// The store's; then the link may have been used.
    pub async fn sign_staff_in(&self, token: &str) -> Result<Result<Secret, LinkState>, Denied> {
        if !is_shaped(token) {
            return Ok(Err(LinkState::Unknown));
        }
        let (hashed, now) = (Hashed::of(token), self.now());
        let text = self.random_secret()?;
        let session = Hashed::of(&text);
        let used = self.blocking(move |store| use_link(store, &hashed, &session, now)).await?;
        let until = now.plus_millis(IDLE_MILLIS);
        Ok(used.map(|()| Secret { text, until }))
    }

    /// Whose session a secret is, if it is one; that it was used is noted.
    ///
    /// # Errors
    /// The store's.
    pub async fn staff(&self, secret: &str) -> Result<Option<Staff>, Denied> {
        if !is_shaped(secret) {
            return Ok(None);
        }
        let (hashed, now) = (Hashed::of(secret), self.now());
        self.blocking(move |store| find_session(store, &hashed, now)).await
    }

    /// Ends a session, on every node.
    ///
    /// # Errors
    /// The store's.
    pub async fn sign_staff_out(&self, secret: &str) -> Result<(), Denied> {
        if !is_shaped(secret) {
            return Ok(());
        }
        let (hashed, now) = (Hashed::of(secret), self.now());
        self.blocking(move |store| {
            let key = Key::staff_session(&hashed.place);
            let Some(found) = store.get(&key)? else { return Ok(()) };
            let session = file::decode::<StoredSession>(&found.body)?;
            // It stays until it would have ended: a note of its use under way must not revive it.
            let over = StoredSession { over: true, seen: now.0, ..session };
            store.put(&[Write { key, version: OVER, body: encoded(&over) }])
        })
        .await
    }

    fn random_secret(&self) -> Result<String, Denied> {
        let mut bytes = [0; 32];
        match self.world().random(&mut bytes) {
            Ok(()) => Ok(base32::encode(&bytes)),
            Err(error) => {
                tracing::error!(%error, "the system has no randomness for a secret");
                Err(Denied::not_now())
            }
        }
    }
}

fn encoded<T: Serialize>(content: &T) -> Option<Vec<u8>> {
    Some(file::encode(content))
}

fn find_link(
    store: &dyn Store,
    hashed: &Hashed,
    now: Timestamp,
) -> Result<(LinkState, Option<StoredLink>), StoreError> {
    let Some(found) = store.get(&Key::staff_link(&hashed.place))? else {
        return Ok((LinkState::Unknown, None));
    };
    let link = file::decode::<StoredLink>(&found.body)?;
    let state = match &link {
        link if !hashed.is(&link.hash) => return Ok((LinkState::Unknown, None)),
        StoredLink { used_by: Some(_), .. } => LinkState::Used,
        link if link.until <= now.0 => LinkState::Expired,
        _ => LinkState::Open,
    };
    Ok((state, Some(link)))
}

/// The first write of version 2 stands, on whatever node: whoever finds itself
/// named there has used the link.
fn use_link(
    store: &dyn Store,
    hashed: &Hashed,
    session: &Hashed,
    now: Timestamp,
) -> Result<Result<(), LinkState>, StoreError> {
    let link = match find_link(store, hashed, now)? {
        (LinkState::Open, Some(link)) => link,
        (state, _) => return Ok(Err(state)),
    };
    let role = link.role;
    let used = StoredLink { used_by: Some(session.hash.clone()), ..link };
    let key = Key::staff_link(&hashed.place);
    store.put(&[Write { key: key.clone(), version: 2, body: encoded(&used) }])?;
    let stands = store.get(&key)?.map(|found| file::decode::<StoredLink>(&found.body));
    if stands.transpose()?.and_then(|link| link.used_by).as_ref() != Some(&session.hash) {
        return Ok(Err(LinkState::Used));
    }
    let hash = session.hash.clone();
    let opened = StoredSession { hash, role, since: now.0, seen: now.0, over: false };
    let key = Key::staff_session(&session.place);
    store.put(&[Write { key, version: version_of(now), body: encoded(&opened) }])?;
    Ok(Ok(()))
}

fn find_session(
    store: &dyn Store,
    hashed: &Hashed,
    now: Timestamp,
) -> Result<Option<Staff>, StoreError> {
    let key = Key::staff_session(&hashed.place);
    let Some(found) = store.get(&key)? else { return Ok(None) };
    let session = file::decode::<StoredSession>(&found.body)?;
    if !hashed.is(&session.hash) || !session.is_good(now) {
        return Ok(None);
    }
    let staff = Staff { role: session.role, since: Timestamp(session.since) };
    if now.0.saturating_sub(session.seen) >= TOUCH_MILLIS {
        let touched = StoredSession { seen: now.0, ..session };
        store.put(&[Write { key, version: version_of(now), body: encoded(&touched) }])?;
    }
    Ok(Some(staff))
}

/// Sessions are versioned by time, so that a later note of use replaces an earlier.
fn version_of(now: Timestamp) -> u64 {
    u64::try_from(now.0).unwrap_or(0).max(1)
}

/// Forgets what has been over for long.
fn sweep(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let all = store.scan(Range::All(Collection::Staff), None, usize::MAX)?;
    let is_old = |key: &Key, body: &[u8]| {
        let over = if key.id().starts_with("link/") {
            file::decode::<StoredLink>(body).map(|link| link.until)
        } else {
            file::decode::<StoredSession>(body).map(|s| {
                s.seen.saturating_add(IDLE_MILLIS).min(s.since.saturating_add(SESSION_MILLIS))
            })
        };
        over.is_ok_and(|over| over.saturating_add(REMEMBERED_MILLIS) < now.0)
    };
    let old = all.into_iter().filter(|(key, document)| is_old(key, &document.body));
    let gone: Vec<_> = old.map(|(key, _)| Write { key, version: ANY, body: None }).collect();
    if gone.is_empty() { Ok(()) } else { store.put(&gone) }
}
