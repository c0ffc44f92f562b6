//! `/checkout/{hold}`: details, confirming, giving seats back.

use std::collections::HashSet;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use sloe_core::ids::PublicId;
use sloe_core::ledger::ClaimStatus;
use sloe_engine::claims::RequestId;
use sloe_engine::error::{Denied, Fault, Part};
use sloe_engine::view::{AttendeeInput, HoldView};

use super::answer::{Failure, private, see_other};
use super::form::{Address, SiteForm};
use super::present::{Typed, TypedPerson, checkout, credited, hold_is_gone, sentence};
use super::refused::At;
use super::view::message::Again;
use super::{cookie, handle, present, words};
use crate::error::{Cause, status_of};
use crate::state::AppState;

/// `GET /checkout/{hold}`.
///
/// # Errors
/// A page that says why.
pub async fn show(
    State(app): State<AppState>,
    Address(token): Address<String>,
) -> Result<Response, Failure> {
    let hold = app.engine.hold_by_token(&token).await.map_err(|denied| handle::bare(&denied))?;
    match (hold.status, &hold.order) {
        (ClaimStatus::Confirmed, Some(order)) => Ok(see_other(&format!("/order/{order}"))),
        (ClaimStatus::Released, _) | (ClaimStatus::Confirmed, None) => {
            Err(at(&hold).refused(&Denied::HoldReleased))
        }
        (ClaimStatus::Held | ClaimStatus::Expired, _) => {
            form(&app, &hold, None, &[], StatusCode::OK).await
        }
    }
}

/// The form; of an expired hold only while its seats are free.
async fn form(
    app: &AppState,
    hold: &HoldView,
    typed: Option<&Typed>,
    faults: &[Fault],
    status: StatusCode,
) -> Result<Response, Failure> {
    let availability = handle::availability(app, &hold.org, &hold.snapshot).await?;
    if hold.status == ClaimStatus::Expired {
        let gone = hold_is_gone(hold, &availability);
        if !gone.is_empty() {
            return Err(at(hold).refused(&Denied::HoldExpired(gone)));
        }
    }
    let key = uuid::Uuid::now_v7().to_string();
    Ok(private(status, &checkout(hold, &availability, app.engine.now(), key, typed, faults)))
}

fn at(hold: &HoldView) -> At {
    At::event(present::org(&hold.org), &hold.snapshot)
}

/// `POST /checkout/{hold}`.
///
/// # Errors
/// A page that says why.
pub async fn confirm(
    State(app): State<AppState>,
    Address(token): Address<String>,
    headers: HeaderMap,
    form: SiteForm,
) -> Result<Response, Failure> {
    let hold = match app.engine.hold_by_token(&token).await {
        Ok(hold) => hold,
        Err(denied) => {
            return Err(handle::bare_form(&denied, format!("/checkout/{token}"), form));
        }
    };
    let typed = read(&hold, &form).map_err(|faults| {
        let page = words::bad_request(Some(&present::org(&hold.org)), faults);
        let back = format!("/checkout/{token}");
        Failure::new(
            Cause::Malformed,
            page.about(&hold.snapshot.name).link("Back to the form", &back),
        )
    })?;
    let mut inputs: Vec<AttendeeInput> =
        typed.people.iter().map(|person| person.details.clone()).collect();
    // Whoever was invited comes first; the others come along.
    let invited = cookie::invitation(&headers, hold.snapshot.id)
        .filter(|token| app.engine.invited(hold.snapshot.event, token).is_some());
    if let (Some(first), Some(token)) = (inputs.first_mut(), invited) {
        token.clone_into(&mut first.invitation);
    }
    let sessions: Vec<Vec<PublicId>> =
        typed.people.iter().map(|person| person.sessions.clone()).collect();
    let id = form.first("key").map_or(RequestId::Fresh, |key| RequestId::Given(key.to_owned()));
    let chosen = typed.per_person.then_some(sessions.as_slice());
    match app.engine.confirm(&token, &id, &inputs, chosen).await {
        Ok(order) => {
            let mut response =
                forgetting(&app, &hold, see_other(&format!("/order/{}", order.token)));
            if invited.is_some() {
                let used = cookie::remember_invitation(hold.snapshot.id, None, app.is_https());
                response.headers_mut().extend(used.map(|cookie| (header::SET_COOKIE, cookie)));
            }
            Ok(response)
        }
        Err(denied) => refused(&app, &hold, &typed, form, &denied).await,
    }
}

/// The form again, or a page that says why there is none.
async fn refused(
    app: &AppState,
    hold: &HoldView,
    typed: &Typed,
    sent: SiteForm,
    denied: &Denied,
) -> Result<Response, Failure> {
    match denied {
        Denied::Invalid(faults) => form(app, hold, Some(typed), faults, status_of(denied)).await,
        // Only sessions chosen anew can be sold out while the seats are held.
        Denied::SoldOut(short) => {
            let fault =
                |message| Fault { place: None, part: Part::Sessions, code: "sold-out", message };
            let faults: Vec<_> =
                short.iter().map(|short| fault(sentence(&credited(short, &hold.places)))).collect();
            form(app, hold, Some(typed), &faults, status_of(denied)).await
        }
        // It went through before, perhaps with other details: show what there is.
        Denied::IdReused | Denied::AlreadyConfirmed => {
            let now = app
                .engine
                .hold_by_token(&hold.token)
                .await
                .map_err(|denied| handle::bare(&denied))?;
            match now.order {
                Some(order) => Ok(see_other(&format!("/order/{order}"))),
                None => Err(at(hold).refused(denied)),
            }
        }
        _ => {
            let again = Again::after(denied, format!("/checkout/{}", hold.token), sent.0);
            Err(At { again, ..at(hold) }.refused(denied))
        }
    }
}

/// Without the cookie that remembers the hold.
fn forgetting(app: &AppState, hold: &HoldView, mut response: Response) -> Response {
    let page = format!("/{}/{}", hold.org.profile.slug, hold.snapshot.slug);
    for cookie in
        cookie::remember_hold(hold.snapshot.id, "", &page, 0, app.is_https()).into_iter().flatten()
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// What was typed for each place of `hold`.
fn read(hold: &HoldView, form: &SiteForm) -> Result<Typed, Vec<String>> {
    let mut typed =
        Typed { people: vec![TypedPerson::default(); hold.places.len()], per_person: false };
    let mut foreign = Vec::new();
    let mut named = HashSet::new();
    for (name, value) in &form.0 {
        let mut wrong = || {
            foreign.push(format!(
                "“{}” is not a field of this form, or can't be “{}”.",
                clipped(name),
                clipped(value)
            ));
        };
        // Sessions are ticked one by one; of anything else only one can be meant.
        if !name.starts_with("session-") && !named.insert(name) {
            wrong();
        }
        if name == "key" {
            if value.len() > 255 {
                wrong();
            }
            continue;
        }
        if name == "sessions" {
            typed.per_person = value == "each";
            if !matches!(value.as_str(), "each" | "same") {
                wrong();
            }
            continue;
        }
        let part = name.split_once('-').and_then(|(part, place)| {
            let number = place.parse::<usize>().ok().filter(|n| n.to_string() == place)?;
            Some((part, number.checked_sub(1)?))
        });
        match part.and_then(|(part, index)| Some((part, typed.people.get_mut(index)?))) {
            Some(("first", person)) => person.details.first_name.clone_from(value),
            Some(("last", person)) => person.details.last_name.clone_from(value),
            Some(("email", person)) => person.details.email.clone_from(value),
            Some(("session", person)) => match PublicId::parse(value) {
                Some(id) => person.sessions.push(id),
                None => wrong(),
            },
            _ => wrong(),
        }
    }
    foreign.truncate(20);
    if foreign.is_empty() { Ok(typed) } else { Err(foreign) }
}

fn clipped(text: &str) -> String {
    text.chars().take(40).collect()
}

/// `POST /checkout/{hold}/release`.
///
/// # Errors
/// A page that says why.
pub async fn release(
    State(app): State<AppState>,
    Address(token): Address<String>,
    form: SiteForm,
) -> Result<Response, Failure> {
    let action = format!("/checkout/{token}/release");
    let hold = match app.engine.hold_by_token(&token).await {
        Ok(hold) => hold,
        Err(denied) => return Err(handle::bare_form(&denied, action, form)),
    };
    match app.engine.release(&token).await {
        Ok(()) => {}
        Err(Denied::AlreadyConfirmed) => {
            let order = hold.order.as_deref().unwrap_or_default();
            return Ok(see_other(&format!("/order/{order}")));
        }
        Err(denied) => {
            let again = Again::after(&denied, action, form.0);
            return Err(At { again, ..at(&hold) }.refused(&denied));
        }
    }
    let event = format!("/{}/{}", hold.org.profile.slug, hold.snapshot.slug);
    let page = words::released(&present::org(&hold.org), &event).about(&hold.snapshot.name);
    Ok(forgetting(&app, &hold, private(StatusCode::OK, &page)))
}
