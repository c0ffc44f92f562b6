//! Logging in, server to server: one token per org, shared by all calls,
//! renewed once however many calls find it expired at the same time.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sloe_core::ids::{OrgId, SfId};
use tokio::sync::Mutex;

use crate::client::read_bounded;
use crate::error::{Error, Private, plain_code};
use crate::wire::{TokenAnswer, TokenRefusal};

const CALL: &str = "login";
/// Salesforce refuses assertions that live longer than three minutes.
const ASSERTION_SECONDS: i64 = 120;
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How Sloe proves to an org who it is.
#[derive(Clone)]
pub struct Credentials {
    /// Where to log in: the org's My Domain (`https://NAME.my.salesforce.com`);
    /// for the JWT flow also `https://login.salesforce.com` or
    /// `https://test.salesforce.com`. Plain `http` only to this machine.
    pub login_url: String,
    /// By what means.
    pub flow: Flow,
}

/// An OAuth 2.0 flow that needs no person.
#[derive(Clone)]
pub enum Flow {
    /// The client credentials of a connected app with a run-as user.
    ClientCredentials {
        /// The app's consumer key.
        client_id: String,
        /// The app's consumer secret.
        client_secret: SecretString,
    },
    /// A signed assertion (RFC 7523, RS256) for a user whom the app is approved for.
    JwtBearer {
        /// The app's consumer key.
        client_id: String,
        /// The integration user's name.
        username: String,
        /// The private key of the certificate that the app holds, PEM.
        private_key_pem: SecretString,
        /// `https://login.salesforce.com`, `https://test.salesforce.com` or a site's address.
        audience: String,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = match self.flow {
            Flow::ClientCredentials { .. } => "client credentials",
            Flow::JwtBearer { .. } => "JWT bearer",
        };
        f.debug_struct("Credentials")
            .field("login_url", &self.login_url)
            .field("flow", &flow)
            .finish()
    }
}

/// A session in the org.
pub(crate) struct Token {
    pub(crate) access: SecretString,
    /// Where the org's API is.
    pub(crate) instance: Url,
    pub(crate) org: OrgId,
    pub(crate) user: SfId,
    /// Which login of this process it came from, from 1.
    serial: u64,
}

/// The login of one org.
pub(crate) struct Auth {
    http: reqwest::Client,
    endpoint: Url,
    flow: Flow,
    expected: Option<OrgId>,
    current: RwLock<Option<Arc<Token>>>,
    /// Held while logging in; remembers how the last attempt failed, and when.
    renewing: Mutex<Option<(Instant, Error)>>,
}

impl Auth {
    /// Checks the settings without calling anybody.
    pub(crate) fn new(
        http: reqwest::Client,
        credentials: Credentials,
        expected: Option<OrgId>,
    ) -> Result<Self, Error> {
        let login = parse_login_url(&credentials.login_url)?;
        let endpoint = login
            .join("/services/oauth2/token")
            .map_err(|_| Error::Settings("the login address is not a URL".into()))?;
        if let Flow::JwtBearer { private_key_pem, .. } = &credentials.flow {
            signing_key(private_key_pem)?;
        }
        let (current, renewing) = (RwLock::new(None), Mutex::new(None));
        Ok(Self { http, endpoint, flow: credentials.flow, expected, current, renewing })
    }

    /// The session at hand, else a new one.
    pub(crate) async fn token(&self) -> Result<Arc<Token>, Error> {
        match self.current() {
            Some(token) => Ok(token),
            None => self.renew(None).await,
        }
    }

    /// A session newer than `stale`. Many may ask at once: the first logs in,
    /// the others get its result, be it a session or the refusal.
    pub(crate) async fn renew(&self, stale: Option<&Token>) -> Result<Arc<Token>, Error> {
        let asked = Instant::now();
        let known = stale.map_or(0, |token| token.serial);
        let mut failure = self.renewing.lock().await;
        if let Some(token) = self.current().filter(|token| token.serial > known) {
            return Ok(token);
        }
        if let Some((_, error)) = failure.as_ref().filter(|(at, _)| *at >= asked) {
            return Err(error.clone());
        }
        match self.log_in(known + 1).await {
            Ok(token) => {
                *failure = None;
                let token = Arc::new(token);
                *self.current.write().unwrap_or_else(PoisonError::into_inner) =
                    Some(Arc::clone(&token));
                tracing::info!(org = %token.org, host = token.instance.host_str(), "logged in");
                Ok(token)
            }
            Err(error) => {
                tracing::warn!(%error, "login failed");
                *failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn current(&self) -> Option<Arc<Token>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn log_in(&self, serial: u64) -> Result<Token, Error> {
        let form = self.form().await?;
        let fields: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        let sent = self.http.post(self.endpoint.clone()).form(&fields).send().await;
        let answer = sent.map_err(|error| Error::unreachable(CALL, error))?;
        let status = answer.status();
        let body = read_bounded(CALL, answer, MAX_ANSWER_BYTES).await?;
        if !status.is_success() {
            let refusal = serde_json::from_slice::<TokenRefusal>(&body).ok();
            let (code, text) = refusal.map_or_else(
                || ("unreadable".into(), String::new()),
                |r| (r.error, r.error_description),
            );
            return Err(Error::Login {
                status: status.as_u16(),
                code: plain_code(&code),
                description: Private::new(&text),
            });
        }
        let answer: TokenAnswer =
            serde_json::from_slice(&body).map_err(|error| Error::malformed(CALL, &error))?;
        self.accept(answer, serial)
    }

    fn accept(&self, answer: TokenAnswer, serial: u64) -> Result<Token, Error> {
        let odd = |what: &str| Error::Malformed { call: CALL, what: what.into() };
        let instance =
            Url::parse(&answer.instance_url).map_err(|_| odd("instance_url is not a URL"))?;
        if instance.scheme() != "https" && self.endpoint.scheme() == "https" {
            return Err(odd("instance_url gives up https"));
        }
        let mut parts = answer.id.rsplit('/');
        let user = parts.next().and_then(|text| SfId::parse(text).ok());
        let org = parts.next().and_then(|text| OrgId::parse(text).ok());
        let (Some(user), Some(org)) = (user, org) else {
            return Err(odd("id does not end with /ORG/USER"));
        };
        if let Some(expected) = self.expected.or_else(|| self.current().map(|token| token.org))
            && expected != org
        {
            return Err(Error::WrongOrg { expected, found: org });
        }
        Ok(Token { access: answer.access_token.into(), instance, org, user, serial })
    }

    async fn form(&self) -> Result<Vec<(&'static str, SecretString)>, Error> {
        match &self.flow {
            Flow::ClientCredentials { client_id, client_secret } => Ok(vec![
                ("grant_type", "client_credentials".into()),
                ("client_id", client_id.clone().into()),
                ("client_secret", client_secret.clone()),
            ]),
            Flow::JwtBearer { client_id, username, private_key_pem, audience } => {
                let claims = Claims {
                    iss: client_id.clone(),
                    sub: username.clone(),
                    aud: audience.clone(),
                    exp: jiff::Timestamp::now().as_second() + ASSERTION_SECONDS,
                };
                let pem = private_key_pem.clone();
                // Signing takes milliseconds of CPU: not on the event loop.
                let signed = tokio::task::spawn_blocking(move || sign(&claims, &pem)).await;
                let assertion = signed
                    .map_err(|_| Error::Settings("the assertion could not be signed".into()))??;
                Ok(vec![
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".into()),
                    ("assertion", assertion.into()),
                ])
            }
        }
    }
}

#[derive(Serialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    /// Seconds since 1970.
    exp: i64,
}

fn sign(claims: &Claims, pem: &SecretString) -> Result<String, Error> {
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &signing_key(pem)?)
        .map_err(|_| Error::Settings("the private key can't sign".into()))
}

fn signing_key(pem: &SecretString) -> Result<EncodingKey, Error> {
    EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes())
        .map_err(|_| Error::Settings("the private key is not an RSA key in PEM form".into()))
}

/// The login address: `https`, or this machine.
pub(crate) fn parse_login_url(text: &str) -> Result<Url, Error> {
    let wrong = |what: &str| Error::Settings(format!("the login address {what}"));
    let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(wrong("must begin with https://: a secret is sent there")),
        _ => Err(wrong("must begin with https://")),
    }
}

/// Whether `url` stays on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// How long a login may take within a call's deadline.
pub(crate) const LOGIN_TIMEOUT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_sent_over_https_or_to_this_machine_only() {
        assert!(parse_login_url("https://acme.my.salesforce.com").is_ok());
        assert!(parse_login_url("http://127.0.0.1:9000").is_ok());
        assert!(parse_login_url("http://[::1]:9000").is_ok());
        assert!(parse_login_url("http://localhost:9000").is_ok());
        for bad in ["http://acme.my.salesforce.com", "http://10.0.0.1", "ftp://x", "acme", ""] {
            assert!(matches!(parse_login_url(bad), Err(Error::Settings(_))), "{bad}");
        }
    }

    #[test]
    fn credentials_never_print_their_secrets() {
        let credentials = Credentials {
            login_url: "https://acme.my.salesforce.com".into(),
            flow: Flow::ClientCredentials {
                client_id: "id-7".into(),
                client_secret: "s3cret".into(),
            },
        };
        assert!(!format!("{credentials:?}").contains("s3cret"));
    }

    #[test]
    fn a_key_that_is_no_rsa_key_is_a_fault_of_the_settings() {
        assert!(matches!(signing_key(&"not a key".into()), Err(Error::Settings(_))));
    }
}
