//! What staff can do: plain forms, and back to the page that shows it.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use sloe_core::ids::{OrgId, SfId};
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::sync::{LetterFilter, Which};
use sloe_engine::tenant::Org;

use super::ago;
use super::answer::{self, Did, Failure};
use super::door::Slug;
use super::draw::counted;
use super::letters;
use super::overview::Asked;
use super::view::{ConfirmPage, Frame};
use super::words;
use crate::error::Cause;
use crate::site::form::SiteForm;
use crate::state::AppState;

/// Rows that one form may name.
const MOST: usize = 500;

fn bad(what: &str) -> Failure {
    Failure::new(Cause::Invalid, words::bad_form(what))
}

/// `POST /staff/orgs/{org}/refresh`: an `event`, or the whole org.
///
/// # Errors
/// A page that says why.
pub(super) async fn refresh(
    State(app): State<AppState>,
    Slug(org): Slug,
    form: SiteForm,
) -> Result<Response, Failure> {
    let event = match form.first("event") {
        None => None,
        Some(text) => {
            Some(SfId::parse(text).map_err(|error| bad(&format!("“event” is no id: {error}.")))?)
        }
    };
    if !app.engine.request_update(org.id(), event) {
        return Err(Failure::new(Cause::NotReady, words::no_worker()));
    }
    app.staff.forget().await;
    Ok(answer::done(&app, &format!("/staff/orgs/{}#reads", org.profile.slug), Did::Refresh, 1))
}

/// `POST /staff/orgs/{org}/compare`.
///
/// # Errors
/// A page that says why.
pub(super) async fn compare(
    State(app): State<AppState>,
    Slug(org): Slug,
    _own: SiteForm,
) -> Result<Response, Failure> {
    app.engine
        .request_verify(org.id())
        .map_err(|_| Failure::new(Cause::NotReady, words::no_worker()))?;
    app.staff.forget().await;
    Ok(answer::done(&app, &format!("/staff/orgs/{}#compare", org.profile.slug), Did::Compare, 1))
}

/// Which letters a form means: `only` one, the `id`s chosen, or `all` of a kind.
fn which(form: &SiteForm) -> Result<Option<Which>, Failure> {
    if let Some(only) = form.first("only") {
        return Ok(Some(Which::Rows(vec![only.to_owned()])));
    }
    if form.first("all").is_some() {
        let filter = letters::filter(|name| form.first(name).filter(|value| !value.is_empty()));
        return Ok(Some(Which::All(filter)));
    }
    let ids: Vec<_> = form.all("id").map(str::to_owned).collect();
    if ids.len() > MOST {
        return Err(bad("It names more rows than a page shows."));
    }
    Ok((!ids.is_empty()).then_some(Which::Rows(ids)))
}

/// Does something with the letters that a form means, and goes back to those
/// that are left; `act` answers with how many it was done.
async fn with_letters(
    app: &AppState,
    org: &Org,
    form: &SiteForm,
    did: Did,
    act: impl AsyncFnOnce(&Engine, OrgId, Which) -> Result<usize, Denied>,
) -> Result<Response, Failure> {
    let back = format!("/staff/orgs/{}#letters", org.profile.slug);
    let Some(which) = which(form)? else {
        return Ok(answer::done(app, &back, Did::Nothing, 0));
    };
    let rows = act(&app.engine, org.id(), which).await;
    let rows = rows.map_err(|denied| answer::refused(&denied))?;
    app.staff.forget().await;
    Ok(answer::done(app, &back, did, rows))
}

/// `POST /staff/orgs/{org}/replay`.
///
/// # Errors
/// A page that says why.
pub(super) async fn replay(
    State(app): State<AppState>,
    Slug(org): Slug,
    form: SiteForm,
) -> Result<Response, Failure> {
    let replay = async |engine: &Engine, org, which| Ok(engine.replay(org, which).await?.rows);
    with_letters(&app, &org, &form, Did::Replay, replay).await
}

/// `POST /staff/orgs/{org}/aside`: forgets mails that were given up.
///
/// # Errors
/// A page that says why.
pub(super) async fn aside(
    State(app): State<AppState>,
    Slug(org): Slug,
    form: SiteForm,
) -> Result<Response, Failure> {
    with_letters(&app, &org, &form, Did::Aside, Engine::put_mails_aside).await
}

/// `GET /staff/orgs/{org}/accept`: asks first, for it can't be undone. Of `only`
/// one row, or of all of a kind.
///
/// # Errors
/// A page that says why.
pub(super) async fn confirm_accept(
    State(app): State<AppState>,
    Slug(org): Slug,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let asked = Asked::read(query.as_deref());
    let field = |name: &str| asked.get(name).map(|value| (name.to_owned(), value.to_owned()));
    let (fields, count): (Vec<_>, _) = match field("only") {
        Some(only) => (vec![only], 1),
        None => {
            let filter = letters::filter(|name| asked.get(name));
            let filter = LetterFilter { conflict: Some(true), ..filter };
            let piles = app.engine.piles(org.id(), &filter).await;
            let piles = piles.map_err(|denied| answer::refused(&denied))?;
            let all = ("all".to_owned(), "yes".to_owned());
            let fields = letters::NAMES.into_iter().filter_map(field);
            (fields.chain([all]).collect(), piles.iter().map(|pile| pile.count).sum())
        }
    };
    let path = format!("/staff/orgs/{}", org.profile.slug);
    if count == 0 {
        return Ok(answer::done(&app, &format!("{path}#letters"), Did::Accept, 0));
    }
    let rows = counted(count, "row", "rows");
    let it = if count == 1 { "it" } else { "them" };
    let page = ConfirmPage {
        frame: Frame {
            title: format!("Leave to Salesforce · {}", org.profile.name),
            as_of: ago::clock(app.engine.now()),
            here: asked.here(&format!("{path}/accept")),
            path: path.clone(),
            ..Frame::default()
        },
        name: org.profile.name.clone(),
        heading: format!("Leave {rows} as Salesforce has {it}?"),
        text: vec![
            "Somebody deleted in Salesforce what Sloe had put there, or changed it. Sloe makes no deleted record anew and writes over no such change by itself: it asks you.".to_owned(),
            "Left as Salesforce has it, what was deleted stays deleted, what was changed stays so until the order changes, and Sloe asks no more. This can’t be undone here. The registrants’ orders and tickets stay as they are.".to_owned(),
        ],
        action: format!("{path}/accept"),
        fields,
        label: format!("Leave {it} so"),
        back: format!("{path}#letters"),
    };
    Ok(answer::plain(&page))
}

/// `POST /staff/orgs/{org}/accept`.
///
/// # Errors
/// A page that says why.
pub(super) async fn accept(
    State(app): State<AppState>,
    Slug(org): Slug,
    form: SiteForm,
) -> Result<Response, Failure> {
    let accept = async |engine: &Engine, org, which| {
        let which = match which {
            Which::All(filter) => Which::All(LetterFilter { conflict: Some(true), ..filter }),
            rows @ Which::Rows(_) => rows,
        };
        Ok(engine.accept_conflicts(org, which).await?.rows)
    };
    with_letters(&app, &org, &form, Did::Accept, accept).await
}
