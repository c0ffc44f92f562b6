//! Refusals for people: the page under each problem's `type`, and the page
//! that stands in for a document wherever a browser asked.

use askama::Template;
use axum::extract::Path;
use axum::response::{Html, IntoResponse, Response};

use crate::error::{Cause, Problem};
use crate::site::view::message::MessagePage;
use crate::site::words;

/// Explains one problem.
#[utoipa::path(
    get, path = "/problems/{name}", tag = "operation", operation_id = "explain_problem",
    params(("name" = String, Path, description = "Last part of a problem's `type`.")),
    responses((status = 200, description = "A page that explains the problem.", body = String, content_type = "text/html"))
)]
pub(crate) async fn explain(Path(name): Path<String>) -> Result<Response, Problem> {
    let known = Cause::ALL.iter().find(|cause| cause.entry().name == name);
    let entry = known.ok_or(Cause::NotFound)?.entry();
    // In documents for programs a backtick marks a name; on a page it would be a smudge.
    let [meaning, remedy] = [entry.meaning, entry.remedy].map(|text| text.replace('`', ""));
    let mut page = MessagePage::new(None, "info", entry.title, &[&meaning, &remedy])
        .link("API description", "/openapi.json");
    page.list = vec![
        format!("type: /problems/{}", entry.name),
        format!("status: {}", entry.status.as_u16()),
    ];
    let page = page.render().map_err(|error| broken(&error))?;
    Ok(Html(page).into_response())
}

fn broken(error: &askama::Error) -> Problem {
    tracing::error!(%error, "a page can't be rendered");
    Cause::Internal.into()
}

/// A refusal as a page.
pub(crate) fn page(problem: &Problem, request_id: &str) -> String {
    let faults = || problem.faults().iter().map(|fault| fault.message.clone()).collect();
    let page = match problem.cause() {
        Cause::NotFound | Cause::Unpublished => words::not_found(),
        Cause::MethodNotAllowed => words::wrong_method(),
        Cause::CrossSite => words::cross_site(None),
        Cause::TooLarge => words::too_large(None),
        Cause::UnsupportedMediaType => words::wrong_media(None),
        Cause::TooManyRequests => words::too_many(None),
        Cause::NotAccepted => words::busy(None, None),
        Cause::NotReady => words::not_ready(),
        Cause::OutcomeUnknown => words::outcome_unknown(None, None),
        Cause::Malformed | Cause::Invalid | Cause::TooSlow => words::bad_request(None, faults()),
        Cause::Internal => words::internal(request_id),
        // The site has pages of its own for these, about the event at hand.
        Cause::Unauthorized
        | Cause::LicenseInactive
        | Cause::SoldOut
        | Cause::IdReused
        | Cause::NotYetOpen
        | Cause::Closed
        | Cause::Over
        | Cause::Cancelled
        | Cause::HoldReleased
        | Cause::AlreadyConfirmed
        | Cause::NotConfirmed
        | Cause::HoldExpired
        | Cause::OutOfOrder => {
            let entry = problem.cause().entry();
            MessagePage::new(None, "alert", entry.title, &[entry.meaning, entry.remedy])
        }
    };
    let page = MessagePage { request_id: Some(request_id.to_owned()), ..page };
    // A template that fails here has failed at every request: say it plainly.
    page.render().unwrap_or_else(|_| problem.cause().entry().title.to_owned())
}
