//! `/__control`: what a person or a test changes about the org while it runs. Not a part of any real org.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use sloe_core::ids::SfId;

use super::reply::Reply;
use crate::org::faults::Faults;
use crate::org::knobs::Knobs;
use crate::org::limits::Others;
use crate::org::maintenance::Window;
use crate::org::state::{Hook, State as Org, Stats, lock};
use crate::org::work::LOCK_WAIT_MS;

/// The largest number of calls a limit may be.
const MOST: u64 = 1_000_000_000;

pub(crate) type Answer = Response<axum::body::Body>;

/// The control API's addresses.
pub(crate) fn routes() -> Router<Arc<Org>> {
    Router::new()
        .route("/__control", get(overview))
        .route("/__control/faults", get(show_faults).put(set_faults).delete(clear_faults))
        .route("/__control/limits", get(show_limits).put(set_limits).delete(reset_limits))
        .route(
            "/__control/maintenance",
            get(show_maintenance).put(set_maintenance).delete(end_maintenance),
        )
        .route("/__control/locks", get(show_locks).put(set_locks).delete(reset_locks))
        .route("/__control/tokens", axum::routing::delete(expire_tokens))
        .route("/__control/hook", get(show_hook).put(set_hook).delete(remove_hook))
        .route("/__control/stats", get(show_stats).delete(reset_stats))
        .route("/__control/save", post(save))
        .merge(super::licenses::routes())
}

pub(crate) fn ok(body: &impl serde::Serialize) -> Answer {
    Reply::json(200, body).into_response()
}

pub(crate) fn refuse(message: &str) -> Answer {
    refuse_all(&[message.to_owned()])
}

/// Names everything that is wrong with what was sent.
pub(crate) fn refuse_all(faults: &[String]) -> Answer {
    let body = json!({ "error": faults.join("; "), "faults": faults });
    Reply::json(StatusCode::UNPROCESSABLE_ENTITY.as_u16(), &body).into_response()
}

pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Box<Answer>> {
    serde_json::from_slice(body).map_err(|e| Box::new(refuse(&e.to_string())))
}

async fn overview(State(org): State<Arc<Org>>) -> Answer {
    ok(&json!({
        "org_id": org.org.as_str(),
        "name": org.name,
        "url": org.url,
        "apps": org.apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(),
        "resources": ["events", "faults", "hook", "limits", "locks", "maintenance", "save", "stats", "tokens"],
    }))
}

async fn show_faults(State(org): State<Arc<Org>>) -> Answer {
    ok(&org.faults.borrow().shown())
}

/// Replaces all rules by the one, or the list, that is sent.
async fn set_faults(State(org): State<Arc<Org>>, body: Bytes) -> Answer {
    match Faults::parse(&body) {
        Ok(faults) => {
            org.faults.send_replace(Arc::new(faults));
            show_faults(State(org)).await
        }
        Err(faults) => refuse_all(&faults),
    }
}

async fn clear_faults(State(org): State<Arc<Org>>) -> Answer {
    org.faults.send_replace(Arc::default());
    show_faults(State(org)).await
}

async fn show_limits(State(org): State<Arc<Org>>) -> Answer {
    let used = org.used();
    let meter = lock(&org.meter);
    let (allowance, others) = (meter.allowance, meter.others());
    ok(&json!({
        "daily": allowance.daily,
        "concurrent": allowance.concurrent,
        "long_after_ms": allowance.long_after_ms,
        "logins_per_hour": allowance.logins,
        "bulk_batches": allowance.bulk_batches,
        "bulk_queries": allowance.bulk_queries,
        "used": used,
        "under_way": meter.under_way(),
        "others_per_minute": others.per_minute,
        "others_long_running": others.long_running,
    }))
}

/// Changes what the body names.
async fn set_limits(State(org): State<Arc<Org>>, body: Bytes) -> Answer {
    let mut knobs = Knobs::parse(&body);
    let (daily, used) = (knobs.whole("daily", MOST), knobs.whole("used", MOST));
    let small = |number: Option<u64>| number.and_then(|n| u32::try_from(n).ok());
    let concurrent = small(knobs.whole("concurrent", 100_000));
    let long_after_ms = knobs.whole("long_after_ms", 3_600_000);
    let logins = knobs.whole("logins_per_hour", MOST);
    let bulk_batches = knobs.whole("bulk_batches", MOST);
    let bulk_queries = knobs.whole("bulk_queries", MOST);
    let per_minute = knobs.whole("others_per_minute", MOST);
    let long_running = small(knobs.whole("others_long_running", 100_000));
    let wrong = knobs.end();
    if !wrong.is_empty() {
        return refuse_all(&wrong);
    }
    {
        let mut meter = lock(&org.meter);
        let others = meter.others();
        let others = Others {
            per_minute: per_minute.unwrap_or(others.per_minute),
            long_running: long_running.unwrap_or(others.long_running),
        };
        // What they have called by now was under the limits that held.
        meter.set_others(org.clock(), others);
        let allowance = &mut meter.allowance;
        allowance.daily = daily.unwrap_or(allowance.daily);
        allowance.concurrent = concurrent.unwrap_or(allowance.concurrent);
        allowance.long_after_ms = long_after_ms.unwrap_or(allowance.long_after_ms);
        allowance.logins = logins.unwrap_or(allowance.logins);
        allowance.bulk_batches = bulk_batches.unwrap_or(allowance.bulk_batches);
        allowance.bulk_queries = bulk_queries.unwrap_or(allowance.bulk_queries);
    }
    if let Some(used) = used {
        org.set_used(used);
    }
    keep_limits(org).await
}

/// The limits the org was started with, and nobody else calls; what is used stays used.
async fn reset_limits(State(org): State<Arc<Org>>) -> Answer {
    {
        let mut meter = lock(&org.meter);
        meter.set_others(org.clock(), Others::default());
        meter.allowance = org.given;
    }
    keep_limits(org).await
}

async fn keep_limits(org: Arc<Org>) -> Answer {
    match org.keep(org.limit_entries()) {
        Ok(()) => show_limits(State(org)).await,
        Err(message) => refuse(&message),
    }
}

async fn show_maintenance(State(org): State<Arc<Org>>) -> Answer {
    let now = (org.now)();
    ok(&org.window().map_or(Json::Null, |window| window.shown(now)))
}

async fn set_maintenance(State(org): State<Arc<Org>>, body: Bytes) -> Answer {
    match Window::parse(&body, (org.now)()) {
        Ok(window) => {
            change_maintenance(&org, Some(window));
            show_maintenance(State(org)).await
        }
        Err(faults) => refuse_all(&faults),
    }
}

async fn end_maintenance(State(org): State<Arc<Org>>) -> Answer {
    change_maintenance(&org, None);
    show_maintenance(State(org)).await
}

/// Under the database's lock: no Bulk row is written any more once a window is answered for.
fn change_maintenance(org: &Org, window: Option<Window>) {
    let _database = lock(&org.database);
    org.maintenance.send_replace(window);
}

async fn show_locks(State(org): State<Arc<Org>>) -> Answer {
    let (held, waiting) = {
        let mut database = lock(&org.database);
        let locks = database.locks();
        (locks.held(), locks.waiting())
    };
    let held: Vec<&str> = held.iter().map(SfId::as_str).collect();
    let wait_ms = org.lock_wait_ms.load(Ordering::Relaxed);
    ok(&json!({ "wait_ms": wait_ms, "held": held, "waiting": waiting }))
}

async fn set_locks(State(org): State<Arc<Org>>, body: Bytes) -> Answer {
    let mut knobs = Knobs::parse(&body);
    let wait = knobs.whole("wait_ms", 600_000);
    let wrong = knobs.end();
    if !wrong.is_empty() {
        return refuse_all(&wrong);
    }
    org.lock_wait_ms.store(wait.unwrap_or(LOCK_WAIT_MS), Ordering::Relaxed);
    show_locks(State(org)).await
}

async fn reset_locks(State(org): State<Arc<Org>>) -> Answer {
    org.lock_wait_ms.store(LOCK_WAIT_MS, Ordering::Relaxed);
    show_locks(State(org)).await
}

async fn expire_tokens(State(org): State<Arc<Org>>) -> Answer {
    match org.expire_sessions() {
        Ok(count) => ok(&json!({ "expired": count })),
        Err(message) => refuse(&message),
    }
}

async fn show_hook(State(org): State<Arc<Org>>) -> Answer {
    let hook = lock(&org.hook);
    ok(&json!({ "url": hook.as_ref().map(|hook| hook.url.as_str()), "secret_set": hook.is_some() }))
}

async fn set_hook(State(org): State<Arc<Org>>, body: Bytes) -> Answer {
    let mut knobs = Knobs::parse(&body);
    let (url, secret) = (knobs.needed("url"), knobs.needed("secret"));
    let address = reqwest::Url::parse(&url)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !address && !url.is_empty() {
        knobs.fault("url", "is an address that begins with http:// or https://");
    }
    if HeaderValue::from_str(&secret).is_err() {
        knobs.fault(
            "secret",
            "goes into a header: it has no line breaks and no letters beyond ASCII",
        );
    }
    let wrong = knobs.end();
    if !wrong.is_empty() {
        return refuse_all(&wrong);
    }
    change_hook(org, Some(Hook { url, secret })).await
}

async fn remove_hook(State(org): State<Arc<Org>>) -> Answer {
    change_hook(org, None).await
}

async fn change_hook(org: Arc<Org>, hook: Option<Hook>) -> Answer {
    match org.set_hook(hook) {
        Ok(()) => show_hook(State(org)).await,
        Err(message) => refuse(&message),
    }
}

async fn show_stats(State(org): State<Arc<Org>>) -> Answer {
    let stats = lock(&org.stats).clone();
    let records: serde_json::Map<String, serde_json::Value> = {
        let database = lock(&org.database);
        let objects = database.schema().objects().iter().enumerate();
        objects
            .map(|(number, object)| (object.name.clone(), database.table(number).live().into()))
            .collect()
    };
    let usage = org.used();
    ok(&json!({ "stats": stats, "used_today": usage, "records": records }))
}

async fn reset_stats(State(org): State<Arc<Org>>) -> Answer {
    *lock(&org.stats) = Stats::default();
    show_stats(State(org)).await
}

/// Rewrites the data directory's log, as a clean stop does.
async fn save(State(org): State<Arc<Org>>) -> Answer {
    let result = tokio::task::spawn_blocking(move || org.save()).await;
    match result {
        Ok(Ok(())) => ok(&json!({ "saved": true })),
        Ok(Err(message)) => refuse(&message),
        Err(_) => refuse("the log couldn't be written"),
    }
}
