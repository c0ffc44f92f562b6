//! `/__control`: what a person or a test changes about the org while it runs. Not a part of any real org.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::reply::Reply;
use crate::org::faults::Faults;
use crate::org::state::{Hook, State as Org, Stats, lock};

pub(crate) type Answer = Response<axum::body::Body>;

/// The control API's addresses.
pub(crate) fn routes() -> Router<Arc<Org>> {
    Router::new()
        .route("/__control", get(overview))
        .route("/__control/faults", get(show_faults).put(set_faults).delete(clear_faults))
        .route("/__control/limits", get(show_limits).put(set_limits))
        .route("/__control/tokens", axum::routing::delete(expire_tokens))
        .route("/__control/hook", get(show_hook).put(set_hook).delete(remove_hook))
        .route("/__control/stats", get(show_stats).delete(reset_stats))
        .route("/__control/save", post(save))
}

pub(crate) fn ok(body: &impl serde::Serialize) -> Answer {
    Reply::json(200, body).into_response()
}

pub(crate) fn refuse(message: &str) -> Answer {
    Reply::json(StatusCode::UNPROCESSABLE_ENTITY.as_u16(), &json!({ "error": message }))
        .into_response()
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Box<Answer>> {
    serde_json::from_slice(body).map_err(|e| Box::new(refuse(&e.to_string())))
}

async fn overview(State(org): State<Arc<Org>>) -> Answer {
    ok(&json!({
        "org_id": org.org.as_str(),
        "name": org.name,
        "url": org.url,
        "apps": org.apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(),
        "resources": ["faults", "limits", "tokens", "hook", "events", "stats", "save"],
    }))
}

async fn show_faults(State(org): State<Arc<Org>>) -> Answer {
    ok(&*org.faults.borrow())
}

/// Replaces all faults: what the body leaves out is off.
async fn set_faults(State(org): State<Arc<Org>>, body: Bytes) -> Answer {
    let faults: Faults = match read(&body) {
        Ok(faults) => faults,
        Err(refused) => return *refused,
    };
    if let Err(message) = faults.check() {
        return refuse(&message);
    }
    org.faults.send_replace(faults.clone());
    ok(&faults)
}

async fn clear_faults(State(org): State<Arc<Org>>) -> Answer {
    org.faults.send_replace(Faults::default());
    ok(&Faults::default())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    daily: Option<u64>,
    concurrent: Option<u32>,
    long_after_ms: Option<u64>,
    used: Option<u64>,
}

async fn show_limits(State(org): State<Arc<Org>>) -> Answer {
    let allowance = lock(&org.meter).allowance;
    ok(&json!({
        "daily": allowance.daily,
        "concurrent": allowance.concurrent,
        "long_after_ms": allowance.long_after_ms,
        "used": org.used(),
    }))
}

/// Changes what the body names.
async fn set_limits(State(org): State<Arc<Org>>, body: Bytes) -> Answer {
    let limits: Limits = match read(&body) {
        Ok(limits) => limits,
        Err(refused) => return *refused,
    };
    {
        let allowance = &mut lock(&org.meter).allowance;
        allowance.daily = limits.daily.unwrap_or(allowance.daily);
        allowance.concurrent = limits.concurrent.unwrap_or(allowance.concurrent);
        allowance.long_after_ms = limits.long_after_ms.unwrap_or(allowance.long_after_ms);
    }
    if let Some(used) = limits.used {
        org.set_used(used);
    }
    match org.keep(org.limit_entries()) {
        Ok(()) => show_limits(State(org)).await,
        Err(message) => refuse(&message),
    }
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
    let hook: Hook = match read(&body) {
        Ok(hook) => hook,
        Err(refused) => return *refused,
    };
    if !hook.url.starts_with("http://") && !hook.url.starts_with("https://") {
        return refuse("url begins with http:// or https://");
    }
    change_hook(org, Some(hook)).await
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
