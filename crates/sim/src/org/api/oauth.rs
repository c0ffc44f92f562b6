//! Signing in: the client credentials, JWT bearer and refresh token flows, and who a token belongs to.

use axum::http::{HeaderMap, Method, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use sha2::Sha256;
use sloe_core::ids::SfId;

use super::reply::Reply;
use crate::org::state::{App, State, lock};

/// Answers everything under `/services/oauth2`; none where nothing lives there.
pub(crate) fn answer(
    state: &State,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<Reply> {
    Some(match (path, method) {
        ("/services/oauth2/token", &Method::POST) => token(state, headers, body),
        ("/services/oauth2/revoke", &Method::POST | &Method::GET) => revoke(state, body),
        ("/services/oauth2/userinfo", &Method::GET | &Method::POST) => userinfo(state, headers),
        ("/services/oauth2/token" | "/services/oauth2/revoke" | "/services/oauth2/userinfo", _) => {
            refuse(405, "invalid_request", "must use HTTP POST")
        }
        _ => return None,
    })
}

fn refuse(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, &json!({ "error": error, "error_description": description }))
}

/// The bearer token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    matches!(scheme.to_ascii_lowercase().as_str(), "bearer" | "oauth").then(|| token.trim())
}

struct Form(Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The refresh token, where that is what signs in.
    fn refresh(&self) -> Option<&str> {
        (self.get("grant_type") == "refresh_token").then(|| self.get("refresh_token"))
    }
}

fn token(state: &State, headers: &HeaderMap, body: &[u8]) -> Reply {
    let form = Form(form_urlencoded::parse(body).into_owned().collect());
    let result = match form.get("grant_type") {
        "client_credentials" => client_credentials(state, headers, &form),
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => jwt_bearer(state, form.get("assertion")),
        "refresh_token" => refresh_token(state, headers, &form),
        "" => Err(refuse(400, "invalid_request", "grant_type is missing")),
        _ => Err(refuse(400, "unsupported_grant_type", "grant type not supported")),
    };
    match result {
        Ok((app, user)) => issue(state, app, user, form.refresh()),
        Err(reply) => reply,
    }
}

/// The app that a request names, in its form or by HTTP Basic, and the secret it gives.
fn client<'a>(
    state: &'a State,
    headers: &HeaderMap,
    form: &Form,
) -> Result<(&'a App, String), Reply> {
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|text| {
            let text = String::from_utf8(BASE64_STANDARD.decode(text.trim()).ok()?).ok()?;
            text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
        });
    let (id, secret) = basic.unwrap_or_else(|| {
        (form.get("client_id").to_owned(), form.get("client_secret").to_owned())
    });
    let app = state.apps.iter().find(|app| app.client_id == id);
    let app = app.ok_or_else(|| refuse(400, "invalid_client_id", "client identifier invalid"))?;
    Ok((app, secret))
}

/// An app without a secret (a command line's, say) needs none; one that has it must give it.
///
/// A refresh token isn't renewed: it stays good until it is revoked.
fn refresh_token<'a>(
    state: &'a State,
    headers: &HeaderMap,
    form: &Form,
) -> Result<(&'a App, SfId), Reply> {
    let (app, secret) = client(state, headers, form)?;
    if app.client_secret.as_deref().is_some_and(|known| !same(known, &secret)) {
        return Err(refuse(400, "invalid_client", "invalid client credentials"));
    }
    let given = form.get("refresh_token");
    let good = app.refresh_token.as_deref().is_some_and(|known| same(known, given));
    if !good || state.is_revoked(given) {
        return Err(refuse(400, "invalid_grant", "expired access/refresh token"));
    }
    let user = app.run_as.and_then(|user| state.active_user(user));
    user.map(|user| (app, user)).ok_or_else(|| refuse(400, "inactive_user", "user is inactive"))
}

fn client_credentials<'a>(
    state: &'a State,
    headers: &HeaderMap,
    form: &Form,
) -> Result<(&'a App, SfId), Reply> {
    let (app, secret) = client(state, headers, form)?;
    let good = app.client_secret.as_deref().is_some_and(|known| same(known, &secret));
    if !good {
        return Err(refuse(400, "invalid_client", "invalid client credentials"));
    }
    let user = app.run_as.and_then(|user| state.active_user(user));
    user.map(|user| (app, user))
        .ok_or_else(|| refuse(400, "invalid_grant", "no client credentials user enabled"))
}

/// Compares in constant time.
fn same(known: &str, given: &str) -> bool {
    let digest = |text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"compare").ok()?;
        mac.update(text.as_bytes());
        Some(mac)
    };
    match (digest(known), digest(given)) {
        (Some(known), Some(given)) => known.verify(&given.finalize().into_bytes()).is_ok(),
        _ => false,
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Json,
    exp: Json,
}

fn jwt_bearer<'a>(state: &'a State, assertion: &str) -> Result<(&'a App, SfId), Reply> {
    let invalid = |text: &str| refuse(400, "invalid_grant", text);
    let claims = unverified(assertion).ok_or_else(|| invalid("invalid assertion"))?;
    let app = state.apps.iter().find(|app| app.client_id == claims.iss);
    let app = app.ok_or_else(|| refuse(400, "invalid_client_id", "client identifier invalid"))?;
    let key = app.jwt_key.as_ref().ok_or_else(|| invalid("user hasn't approved this consumer"))?;
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.required_spec_claims.clear();
    // Salesforce takes `exp` as a text and in milliseconds too, so it is judged below.
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = jsonwebtoken::decode::<Claims>(assertion, key, &validation)
        .map_err(|_| invalid("invalid assertion"))?
        .claims;
    let audience = claims.aud.as_str().unwrap_or_default().trim_end_matches('/');
    let hosts = ["https://login.salesforce.com", "https://test.salesforce.com", state.url.as_str()];
    if !hosts.contains(&audience) {
        return Err(invalid("audience is invalid"));
    }
    let expiry = match &claims.exp {
        Json::Number(n) => n.as_i64(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    };
    let now = (state.now)().as_second();
    // Clients round up and clocks differ: five minutes ahead still pass. Milliseconds come from
    // the sf command line, which adds its 300 seconds to them as milliseconds: they are given here.
    let in_time = |at: i64| match at {
        100_000_000_000.. => (now - 300..=now + 300).contains(&(at / 1000)),
        _ => (now + 1..=now + 300).contains(&at),
    };
    if !expiry.is_some_and(in_time) {
        return Err(invalid("expired authorization code"));
    }
    let user = state
        .user_named(&claims.sub)
        .ok_or_else(|| invalid("user hasn't approved this consumer"))?;
    Ok((app, user))
}

fn unverified(assertion: &str) -> Option<Claims> {
    let middle = assertion.split('.').nth(1)?;
    let bytes =
        base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(middle.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn issue(state: &State, app: &App, user: SfId, refresh: Option<&str>) -> Reply {
    if !lock(&state.meter).sign_in(state.clock(), user) {
        return refuse(400, "invalid_grant", "login rate exceeded");
    }
    let Some(token) = state.open_session(user, refresh) else {
        return refuse(500, "server_error", "no token could be made and kept");
    };
    let id = format!("{}/id/{}/{user}", state.url, state.org);
    let issued_at = (state.now)().as_millisecond().to_string();
    let secret = app.client_secret.as_deref().unwrap_or_default();
    let signature = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map(|mut mac| {
        mac.update(id.as_bytes());
        mac.update(issued_at.as_bytes());
        BASE64_STANDARD.encode(mac.finalize().into_bytes())
    });
    Reply::json(
        200,
        &json!({
            "access_token": token,
            "instance_url": state.url,
            "id": id,
            "token_type": "Bearer",
            "scope": if refresh.is_some() { "refresh_token api" } else { "api" },
            "issued_at": issued_at,
            "signature": signature.unwrap_or_default(),
        }),
    )
    .with("cache-control", "no-store")
}

fn revoke(state: &State, body: &[u8]) -> Reply {
    let form = Form(form_urlencoded::parse(body).into_owned().collect());
    let token = form.get("token");
    let refresh = |app: &App| app.refresh_token.as_deref().is_some_and(|known| same(known, token));
    let closed = if state.apps.iter().any(refresh) && !state.is_revoked(token) {
        state.revoke_refresh(token).map(|()| true)
    } else {
        state.close_session(token)
    };
    match closed {
        Ok(true) => Reply::raw(200, Vec::new()),
        Ok(false) => refuse(400, "unsupported_token_type", "this token is not supported"),
        Err(error) => {
            tracing::error!(%error, "the org's log can't be written");
            refuse(500, "server_error", "the revocation couldn't be kept")
        }
    }
}

fn userinfo(state: &State, headers: &HeaderMap) -> Reply {
    match bearer(headers).and_then(|token| state.session(token)) {
        Some(user) => identity(state, user),
        None => Reply { content_type: "text/html", ..Reply::raw(403, b"Bad_OAuth_Token".to_vec()) },
    }
}

/// Who a user is: `/services/oauth2/userinfo` and `/id/ORG/USER`.
pub(crate) fn identity(state: &State, user: SfId) -> Reply {
    let facts = state.user_facts(user);
    let text = |name: &str| facts.get(name).cloned().unwrap_or_default();
    Reply::json(
        200,
        &json!({
            "id": format!("{}/id/{}/{user}", state.url, state.org),
            "sub": format!("{}/id/{}/{user}", state.url, state.org),
            "user_id": user.as_str(),
            "organization_id": state.org.as_str(),
            "preferred_username": text("Username"),
            "username": text("Username"),
            "display_name": text("Name"),
            "nick_name": text("Name"),
            "name": text("Name"),
            "email": text("Email"),
            "email_verified": true,
            "active": text("IsActive") == "true",
            "user_type": "STANDARD",
            "urls": {
                "rest": format!("{}/services/data/v{{version}}/", state.url),
                "sobjects": format!("{}/services/data/v{{version}}/sobjects/", state.url),
                "query": format!("{}/services/data/v{{version}}/query/", state.url),
            },
        }),
    )
}
