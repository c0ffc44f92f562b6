//! The org's page for people: its objects and records, live, a form for each, and the Update button.

mod activity;
mod confirm;
mod form;
mod input;
mod update;
mod view;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use sloe_core::ids::SfId;

use self::view::{Message, Notice};
use super::data::Database;
use super::license::{self, Terms};
use super::schema::lma;
use super::state::{State as Org, lock};

/// How long a call to Sloe's hook may take, as for a callout of a Salesforce component.
pub(crate) const HOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// What the rows of these forms are to the fault knobs.
const KIND: &str = "page";

const STYLE: &str = include_str!("../../../assets/org.css");
const SCRIPT: &str = include_str!("../../../assets/org.js");
const ICON: &str = include_str!("../../../assets/org.svg");
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

type Parameters = HashMap<String, String>;

/// The page's addresses.
pub(crate) fn routes() -> Router<Arc<Org>> {
    Router::new()
        .route("/", get(home))
        .route("/o/{object}", get(list))
        .route("/o/{object}/new", get(blank).post(create))
        .route("/r/{id}", get(show).post(save))
        .route("/r/{id}/delete", get(confirm).post(delete))
        .route("/activity", get(activity))
        .route("/update", post(update))
        .route("/events", get(view::events::show))
        .route("/assets/org.css", get(|| async { asset("text/css; charset=utf-8", STYLE) }))
        .route("/assets/org.js", get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/assets/org.svg", get(|| async { asset("image/svg+xml", ICON) }))
        .layer(axum::middleware::map_response(guard))
        .layer(axum::middleware::from_fn(same_origin))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

async fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses forms that another site sends.
async fn same_origin(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let site = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if request.method() == axum::http::Method::POST
        && !matches!(site, None | Some("same-origin" | "none"))
    {
        return (StatusCode::FORBIDDEN, "This form came from another site.").into_response();
    }
    next.run(request).await
}

fn render(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn missing(org: &Org, database: &Database) -> Response {
    let frame = view::frame(org, database, "Not found", "", None);
    render(
        StatusCode::NOT_FOUND,
        &Message { frame, text: "There is no such record or object in this org.".to_owned() },
    )
}

async fn home(State(org): State<Arc<Org>>, Query(parameters): Query<Parameters>) -> Response {
    let is_source = license::object(&lock(&org.database)).is_some();
    list_of(&org, if is_source { lma::LICENSE } else { "Sloe_Event__c" }, &parameters)
}

async fn list(
    State(org): State<Arc<Org>>,
    Path(object): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    list_of(&org, &object, &parameters)
}

fn list_of(org: &Org, object: &str, parameters: &Parameters) -> Response {
    let database = lock(&org.database);
    let from = parameters.get("from").and_then(|from| from.parse().ok()).unwrap_or(0);
    match database.schema().find(object) {
        Some(object) => {
            let page = view::list(org, &database, object, (from, update::notice(parameters)));
            render(StatusCode::OK, &page)
        }
        None => missing(org, &database),
    }
}

/// The live record an address names.
fn record(database: &Database, id: &str) -> Option<(usize, SfId)> {
    let id = SfId::parse(id).ok()?;
    let object = database.schema().find_by_prefix(id.as_str())?;
    database.table(object).get_live(id).map(|row| (object, row.id))
}

async fn show(
    State(org): State<Arc<Org>>,
    Path(id): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let database = lock(&org.database);
    let Some((object, id)) = record(&database, &id) else { return missing(&org, &database) };
    let notice = update::notice(&parameters)
        .or_else(|| parameters.get("saved").map(|_| Notice::good("Saved.")));
    let values = form::stored(&database, object, id);
    render(StatusCode::OK, &view::record(&org, &database, object, Some(id), (&values, &[], notice)))
}

async fn blank(State(org): State<Arc<Org>>, Path(object): Path<String>) -> Response {
    let database = lock(&org.database);
    let Some(object) = database.schema().find(&object).filter(|o| database.object(*o).writable)
    else {
        return missing(&org, &database);
    };
    let values = form::defaults(&database, object);
    render(StatusCode::OK, &view::record(&org, &database, object, None, (&values, &[], None)))
}

async fn create(State(org): State<Arc<Org>>, Path(object): Path<String>, body: Bytes) -> Response {
    write(org, move |org, database| {
        match database.schema().find(&object).filter(|o| database.object(*o).writable) {
            Some(object) => store(org, database, object, None, &body),
            None => missing(org, database),
        }
    })
    .await
}

async fn save(State(org): State<Arc<Org>>, Path(id): Path<String>, body: Bytes) -> Response {
    write(org, move |org, database| match record(database, &id) {
        Some((object, id)) if view::modifiable(database.object(object)) => {
            store(org, database, object, Some(id), &body)
        }
        _ => missing(org, database),
    })
    .await
}

/// Carries out what a form asks for as one transaction: it waits for row locks as any call does.
async fn write(
    org: Arc<Org>,
    mut work: impl FnMut(&Org, &mut Database) -> Response + Send + 'static,
) -> Response {
    let done = tokio::task::spawn_blocking(move || {
        let carried_out = |database: &mut Database| {
            // No API makes this change.
            database.set_origin(String::new());
            work(&org, database)
        };
        org.transact(KIND, carried_out, |_, response| response)
    });
    let failed = |error: String| (StatusCode::INTERNAL_SERVER_ERROR, error).into_response();
    match done.await {
        Ok(carried_out) => carried_out.unwrap_or_else(failed),
        Err(error) => failed(error.to_string()),
    }
}

/// Saves what a form says, or shows it again with what is wrong.
fn store(
    org: &Org,
    database: &mut Database,
    object: usize,
    id: Option<SfId>,
    body: &[u8],
) -> Response {
    let typed = form::typed(database, object, body);
    let user = form::person(database);
    let assigns = if database.object(object).managed {
        license::assigns(database, id, &Terms::typed(&typed))
    } else {
        form::assigns(database, object, id, &typed)
    };
    let result = assigns.and_then(|assigns| match id {
        Some(id) => database.update(object, id, &assigns, user),
        None => database.insert(object, &assigns, user),
    });
    match result {
        Ok(saved) => Redirect::to(&format!("/r/{}?saved=1", saved.id)).into_response(),
        Err(errors) => render(
            StatusCode::UNPROCESSABLE_ENTITY,
            &view::record(org, database, object, id, (&typed, &errors, None)),
        ),
    }
}

/// Asks whether a record is really to be deleted, and says what goes with it.
async fn confirm(State(org): State<Arc<Org>>, Path(id): Path<String>) -> Response {
    let database = lock(&org.database);
    match record(&database, &id).filter(|(object, _)| database.object(*object).writable) {
        Some((object, id)) => {
            render(StatusCode::OK, &confirm::confirm(&org, &database, object, id))
        }
        None => missing(&org, &database),
    }
}

async fn activity(State(org): State<Arc<Org>>) -> Response {
    let database = lock(&org.database);
    render(StatusCode::OK, &activity::activity(&org, &database))
}

async fn delete(State(org): State<Arc<Org>>, Path(id): Path<String>) -> Response {
    write(org, move |org, database| {
        match record(database, &id).filter(|(object, _)| database.object(*object).writable) {
            Some((object, id)) => remove(org, database, object, id),
            None => missing(org, database),
        }
    })
    .await
}

/// Deletes a record, or shows it again with what keeps it.
fn remove(org: &Org, database: &mut Database, object: usize, id: SfId) -> Response {
    let user = form::person(database);
    match database.delete(object, id, user) {
        Ok(()) => Redirect::to(&format!("/o/{}", database.object(object).name)).into_response(),
        Err(errors) => {
            let values = form::stored(database, object, id);
            let page = view::record(org, database, object, Some(id), (&values, &errors, None));
            render(StatusCode::CONFLICT, &page)
        }
    }
}

async fn update(State(org): State<Arc<Org>>, headers: HeaderMap, body: Bytes) -> Response {
    let typed = form_urlencoded::parse(&body).find(|(key, _)| key == "event");
    let event = match typed.as_ref().map(|(_, id)| id.trim()).filter(|id| !id.is_empty()) {
        None => None,
        Some(id) => match SfId::parse(id) {
            Ok(id) => Some(id),
            // All events are not what was meant.
            Err(_) => {
                let message = "The event's id isn't one of 15 or 18 characters.";
                return (StatusCode::UNPROCESSABLE_ENTITY, message).into_response();
            }
        },
    };
    let outcome = update::call(&org, event).await;
    // Scripts ask for JSON and get the same answer.
    if headers.get(header::ACCEPT).is_some_and(|accept| accept == "application/json") {
        return axum::Json(outcome.json()).into_response();
    }
    let back = event.map_or_else(|| "/".to_owned(), |id| format!("/r/{id}"));
    Redirect::to(&format!("{back}?{}", outcome.query())).into_response()
}
