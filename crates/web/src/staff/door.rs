//! Signing in by a link, and who is signed in. Opening a link only shows a
//! button: programs that look at links in mails and chats must not use it up.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use moka::sync::Cache;
use sloe_engine::error::Denied;
use sloe_engine::staff::LinkState;
use sloe_engine::tenant::Org;

use super::answer::{self, Failure, see_other};
use super::view::DoorPage;
use super::words;
use crate::error::Cause;
use crate::site::cookie;
use crate::site::form::{Address, SiteForm};
use crate::stack::caller;
use crate::state::AppState;

/// Holds the session's secret.
const SESSION: &str = "sloe_staff";
/// How long a browser keeps it: no longer than the session lasts at most.
const COOKIE_SECONDS: i64 = sloe_engine::staff::SESSION_MILLIS / 1_000;

/// Wrong links and sessions of one address, then none of it is looked at.
const GUESSES: u32 = 20;
/// For how long.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);

/// Addresses that tried what is not there.
pub(super) struct Guesses(Cache<IpAddr, Arc<AtomicU32>>);

impl Default for Guesses {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(100_000).time_to_live(FORGOTTEN).build())
    }
}

impl Guesses {
    /// # Errors
    /// This address has guessed too often.
    fn check(&self, from: IpAddr) -> Result<(), Failure> {
        let wrong = self.0.get(&from).map_or(0, |wrong| wrong.load(Ordering::Relaxed));
        if wrong < GUESSES {
            return Ok(());
        }
        Err(Failure::new(Cause::TooManyRequests, words::too_many_guesses())
            .after(FORGOTTEN.as_secs()))
    }

    fn count(&self, from: IpAddr) {
        self.0.get_with(from, Arc::default).fetch_add(1, Ordering::Relaxed);
    }
}

/// Whoever calls from where that can't be told shares one count.
fn address(app: &AppState, headers: &HeaderMap, extensions: &Extensions) -> IpAddr {
    let known = caller(headers, extensions, app.settings.behind_proxy);
    known.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// What every page inside asks first; without a session nothing is told, not
/// even whether there is such a page.
pub(super) async fn require_session(
    State(app): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let Some(secret) = cookie::value(request.headers(), SESSION).map(str::to_owned) else {
        return Failure::new(Cause::Unauthorized, words::outside()).into_response();
    };
    let from = address(&app, request.headers(), request.extensions());
    if let Err(failure) = app.staff.guesses.check(from) {
        return failure.into_response();
    }
    match app.engine.staff(&secret).await {
        Ok(Some(_)) => next.run(request).await,
        Ok(None) => {
            app.staff.guesses.count(from);
            let mut response =
                Failure::new(Cause::Unauthorized, words::session_over()).into_response();
            forget(&app, &mut response);
            response
        }
        Err(denied) => answer::refused(&denied).into_response(),
    }
}

fn forget(app: &AppState, response: &mut Response) {
    let gone = cookie::cookie(SESSION, "", "/staff", 0, true, app.is_https());
    response.headers_mut().extend(gone.map(|cookie| (header::SET_COOKIE, cookie)));
}

/// `GET /staff/sign-in/{token}`.
///
/// # Errors
/// A page that says why.
pub(super) async fn open(
    State(app): State<AppState>,
    Address(token): Address<String>,
    request: Request,
) -> Result<Response, Failure> {
    let from = address(&app, request.headers(), request.extensions());
    app.staff.guesses.check(from)?;
    match app.engine.staff_link(&token).await.map_err(|denied| answer::refused(&denied))? {
        LinkState::Open => Ok(answer::plain(&DoorPage::new(token))),
        other => Err(refused(&app, from, other)),
    }
}

/// `POST /staff/sign-in`.
///
/// # Errors
/// A page that says why.
pub(super) async fn sign_in(
    State(app): State<AppState>,
    Caller(from): Caller,
    form: SiteForm,
) -> Result<Response, Failure> {
    app.staff.guesses.check(from)?;
    let token = form.first("token").unwrap_or_default();
    let signed = app.engine.sign_staff_in(token).await;
    let secret = signed
        .map_err(|denied| answer::refused(&denied))?
        .map_err(|state| refused(&app, from, state))?;
    tracing::info!("staff signed in to the console");
    let mut response = see_other("/staff");
    let set = cookie::cookie(SESSION, &secret.text, "/staff", COOKIE_SECONDS, true, app.is_https());
    response.headers_mut().extend(set.map(|cookie| (header::SET_COOKIE, cookie)));
    Ok(response)
}

fn refused(app: &AppState, from: IpAddr, state: LinkState) -> Failure {
    let page = match state {
        LinkState::Used => words::link_used(),
        LinkState::Expired => words::link_expired(),
        LinkState::Open | LinkState::Unknown => {
            app.staff.guesses.count(from);
            words::link_unknown()
        }
    };
    Failure::new(Cause::Unauthorized, page)
}

/// `POST /staff/sign-out`.
///
/// # Errors
/// The session can't be ended now.
pub(super) async fn sign_out(
    State(app): State<AppState>,
    headers: HeaderMap,
    _own: SiteForm,
) -> Result<Response, Failure> {
    if let Some(secret) = cookie::value(&headers, SESSION) {
        let ended = app.engine.sign_staff_out(secret).await;
        ended.map_err(|denied| answer::refused(&denied))?;
    }
    let mut response = answer::message(&words::signed_out());
    forget(&app, &mut response);
    Ok(response)
}

/// The org whose slug is in the address.
pub(super) struct Slug(pub(super) Arc<Org>);

impl FromRequestParts<AppState> for Slug {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Failure> {
        let Address(slug) = Address::<String>::from_request_parts(parts, app).await?;
        let org = app.engine.registry().by_slug(&slug);
        org.map(Self).ok_or_else(|| answer::refused(&Denied::NotFound))
    }
}

/// Where a request comes from.
pub(super) struct Caller(IpAddr);

impl FromRequestParts<AppState> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &AppState,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self(address(app, &parts.headers, &parts.extensions)))
    }
}
