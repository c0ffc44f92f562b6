//! An org's document as it lies in the store. Its secrets lie in it sealed.

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sloe_core::budget::Rules;
use sloe_core::limits;
use sloe_core::time::Timestamp;
use sloe_salesforce::{Credentials, Flow};

use super::OrgError;
use crate::clock::World;
use crate::seal::Key;

/// First path segments that no org may have.
pub(super) const RESERVED: [&str; 22] = [
    "admin",
    "api",
    "assets",
    "checkout",
    "favicon.ico",
    "healthz",
    "hooks",
    "livez",
    "mailbox",
    "metrics",
    "ofrep",
    "openapi.json",
    "order",
    "problems",
    "readyz",
    "robots.txt",
    "staff",
    "status",
    "status.json",
    "t",
    "waitroom",
    "well-known",
];

/// How an org looks to the public and whom to ask; chosen when it is connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// First part of its addresses.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// A sentence under it.
    pub tagline: String,
    /// Its color as `#rrggbb`; contrast is seen to when it is used.
    pub accent: String,
    /// Its style: `modern` or `classic`.
    pub style: String,
    /// IANA zone of events that name none.
    pub time_zone: String,
    /// Privacy notice of events that link none; `https` only.
    pub privacy_url: Option<String>,
    /// Where registrants may write to, for events that say nothing.
    pub contact_email: Option<String>,
    /// Days that personal data is kept after an event's end.
    pub retention_days: i64,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            slug: String::new(),
            name: String::new(),
            tagline: String::new(),
            accent: "#4338ca".to_owned(),
            style: "modern".to_owned(),
            time_zone: "UTC".to_owned(),
            privacy_url: None,
            contact_email: None,
            retention_days: limits::DEFAULT_RETENTION_DAYS,
        }
    }
}

/// What is chosen of a profile when an org is connected. What is `None` stays as the connected
/// org has it; an org that is connected for the first time takes [`Profile::default`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProfileChange {
    /// [`Profile::slug`].
    pub slug: Option<String>,
    /// [`Profile::name`].
    pub name: Option<String>,
    /// [`Profile::tagline`].
    pub tagline: Option<String>,
    /// [`Profile::accent`].
    pub accent: Option<String>,
    /// [`Profile::style`].
    pub style: Option<String>,
    /// [`Profile::time_zone`].
    pub time_zone: Option<String>,
    /// [`Profile::privacy_url`]; an empty text takes it away.
    pub privacy_url: Option<String>,
    /// [`Profile::contact_email`]; an empty text takes it away.
    pub contact_email: Option<String>,
    /// [`Profile::retention_days`].
    pub retention_days: Option<i64>,
}

impl ProfileChange {
    /// The profile before, with what is chosen.
    pub(super) fn of(self, before: Profile) -> Profile {
        let or_none = |chosen: Option<String>, before| match chosen {
            Some(text) => Some(text).filter(|text| !text.is_empty()),
            None => before,
        };
        Profile {
            slug: self.slug.unwrap_or(before.slug),
            name: self.name.unwrap_or(before.name),
            tagline: self.tagline.unwrap_or(before.tagline),
            accent: self.accent.unwrap_or(before.accent),
            style: self.style.unwrap_or(before.style),
            time_zone: self.time_zone.unwrap_or(before.time_zone),
            privacy_url: or_none(self.privacy_url, before.privacy_url),
            contact_email: or_none(self.contact_email, before.contact_email),
            retention_days: self.retention_days.unwrap_or(before.retention_days),
        }
    }
}

impl From<Profile> for ProfileChange {
    /// Chooses everything.
    fn from(profile: Profile) -> Self {
        Self {
            slug: Some(profile.slug),
            name: Some(profile.name),
            tagline: Some(profile.tagline),
            accent: Some(profile.accent),
            style: Some(profile.style),
            time_zone: Some(profile.time_zone),
            privacy_url: Some(profile.privacy_url.unwrap_or_default()),
            contact_email: Some(profile.contact_email.unwrap_or_default()),
            retention_days: Some(profile.retention_days),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "flow", rename_all = "snake_case")]
enum PlainFlow {
    ClientCredentials { client_id: String, client_secret: String },
    JwtBearer { client_id: String, username: String, private_key: String, audience: String },
}

#[derive(Serialize, Deserialize)]
struct Document {
    format: u8,
    profile: Profile,
    login_url: String,
    /// The org's key under the master key; both as hexadecimal.
    wrapped_key: String,
    /// The flow with its secrets under the org's key.
    sealed_flow: String,
    hook_secrets: Vec<String>,
    /// Share and reserve in hundredths, calls at once; the defaults if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    budget: Option<(u8, u8, u8)>,
    /// Until when no node takes claims, as one is about to remove it; in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed_until: Option<i64>,
}

/// All that is left of the document of an org that is being removed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaving {
    format: u8,
    /// Milliseconds since 1970.
    leaving_since: i64,
}

/// The document of an org that is being removed: no key, no credentials.
pub(super) fn encode_leaving(since: Timestamp) -> Result<Vec<u8>, OrgError> {
    serde_json::to_vec(&Leaving { format: 1, leaving_since: since.0 }).map_err(damaged)
}

/// Whether a document is that of an org that is being removed.
pub(super) fn is_leaving(body: &[u8]) -> bool {
    serde_json::from_slice::<Leaving>(body).is_ok_and(|leaving| leaving.format == 1)
}

/// What a document holds, opened.
pub(super) struct Opened {
    pub(super) profile: Profile,
    pub(super) connection: Credentials,
    pub(super) key: Key,
    pub(super) hook_secrets: Vec<[u8; 32]>,
    pub(super) budget: Rules,
    pub(super) closed_until: Option<Timestamp>,
}

pub(super) fn encode(
    opened: &Opened,
    master: &Key,
    world: &dyn World,
    org: &[u8],
) -> Result<Vec<u8>, OrgError> {
    let plain = match &opened.connection.flow {
        Flow::ClientCredentials { client_id, client_secret } => PlainFlow::ClientCredentials {
            client_id: client_id.clone(),
            client_secret: client_secret.expose_secret().to_owned(),
        },
        Flow::JwtBearer { client_id, username, private_key_pem, audience } => {
            PlainFlow::JwtBearer {
                client_id: client_id.clone(),
                username: username.clone(),
                private_key: private_key_pem.expose_secret().to_owned(),
                audience: audience.clone(),
            }
        }
    };
    let flow = zeroize::Zeroizing::new(serde_json::to_vec(&plain).map_err(damaged)?);
    let document = Document {
        format: 1,
        profile: opened.profile.clone(),
        login_url: opened.connection.login_url.clone(),
        wrapped_key: hex(&master.seal(world, org, opened.key.bytes()).map_err(damaged)?),
        sealed_flow: hex(&opened.key.seal(world, org, &flow).map_err(damaged)?),
        hook_secrets: opened.hook_secrets.iter().map(|secret| hex(secret)).collect(),
        budget: Some((opened.budget.share(), opened.budget.reserve(), opened.budget.at_once())),
        closed_until: opened.closed_until.map(|until| until.0),
    };
    serde_json::to_vec(&document).map_err(damaged)
}

pub(super) fn decode(body: &[u8], master: &Key, org: &[u8]) -> Result<Opened, OrgError> {
    let document: Document = serde_json::from_slice(body).map_err(damaged)?;
    if document.format != 1 {
        return Err(damaged(format!("format {} is not known here", document.format)));
    }
    let key = master.open(org, &unhex(&document.wrapped_key)?).map_err(|_| OrgError::MasterKey)?;
    let key: [u8; 32] = key.as_slice().try_into().map_err(damaged)?;
    let key = Key::new(key);
    let plain = key.open(org, &unhex(&document.sealed_flow)?).map_err(damaged)?;
    let flow = match serde_json::from_slice(&plain).map_err(damaged)? {
        PlainFlow::ClientCredentials { client_id, client_secret } => {
            Flow::ClientCredentials { client_id, client_secret: client_secret.into() }
        }
        PlainFlow::JwtBearer { client_id, username, private_key, audience } => {
            Flow::JwtBearer { client_id, username, private_key_pem: private_key.into(), audience }
        }
    };
    let secret = |text: &String| unhex(text)?.as_slice().try_into().map_err(damaged);
    Ok(Opened {
        profile: document.profile,
        connection: Credentials { login_url: document.login_url, flow },
        key,
        hook_secrets: document.hook_secrets.iter().map(secret).collect::<Result<_, _>>()?,
        // A value that today's ranges refuse must not keep the org away.
        budget: document.budget.and_then(|(s, r, n)| Rules::new(s, r, n).ok()).unwrap_or_default(),
        closed_until: document.closed_until.map(Timestamp),
    })
}

fn damaged(what: impl std::fmt::Display) -> OrgError {
    OrgError::Damaged(what.to_string())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex(text: &str) -> Result<Vec<u8>, OrgError> {
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).map_err(damaged)?;
        u8::from_str_radix(pair, 16).map_err(damaged)
    };
    text.as_bytes().chunks(2).map(byte).collect()
}
