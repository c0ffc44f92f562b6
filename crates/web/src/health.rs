//! For whoever runs Sloe: is it alive, may requests come, what do the
//! counters say.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use subtle::ConstantTimeEq;

use crate::error::{Cause, Problem};
use crate::state::{AppState, Phase};

/// How often recorded durations are sorted into buckets.
const TIDY: Duration = Duration::from_secs(5);
/// Seconds at which durations are counted: from a page out of memory to the deadline.
const BUCKETS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 0.5, 1.0, 5.0, 15.0];

/// Seconds at which the way of a registration to its org is counted: from the next moment to a day.
const LAG: [f64; 13] =
    [0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0];

const PROMETHEUS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Records this process's metrics from here on, and tidies what was recorded
/// for as long as the runtime lives: call it on one.
///
/// # Errors
/// Something else records them already.
pub fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let lag = Matcher::Full("sloe_org_sync_lag_seconds".to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(seconds, &BUCKETS)?
        .set_buckets_for_metric(lag, &LAG)?;
    let handle = builder.install_recorder()?;
    let kept = handle.clone();
    tokio::spawn(async move {
        // Durations pile up one by one until they are sorted into buckets.
        let mut rounds = tokio::time::interval(TIDY);
        loop {
            rounds.tick().await;
            kept.run_upkeep();
        }
    });
    Ok(handle)
}

/// The process runs.
#[utoipa::path(
    get, path = "/livez", tag = "operation", operation_id = "livez",
    responses((status = 200, description = "The process runs.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn livez() -> Response {
    ([(header::CONTENT_TYPE, PLAIN)], "ok\n").into_response()
}

/// Requests may come: not while starting or stopping, nor with a wrong clock.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", operation_id = "readyz",
    responses((status = 200, description = "Requests may come; the text says if the store is away, so that only pages can be had.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn readyz(State(state): State<AppState>) -> Result<Response, Problem> {
    if let Some(ahead) = state.engine.clock_ahead() {
        return Err(not_ready(&clock_off(ahead)));
    }
    match state.phase() {
        Phase::Ready => Ok(([(header::CONTENT_TYPE, PLAIN)], ready(&state)).into_response()),
        Phase::Starting => Err(not_ready("Sloe is starting.")),
        Phase::Draining => Err(not_ready("Sloe is stopping.")),
    }
}

/// Why no request should come, in a sentence, and what to do.
pub(crate) fn not_ready(why: &str) -> Problem {
    let todo = "Nothing was done here: ask another node, or this one again in a moment.";
    Problem::plain(Cause::NotReady, format!("{why} {todo}"))
}

/// Others must take the claims of a node whose clock is wrong: holds would end too soon or too late.
fn clock_off(ahead: i64) -> String {
    let (seconds, way) = (ahead.abs() / 1_000, if ahead > 0 { "ahead of" } else { "behind" });
    format!(
        "This node's clock is {seconds} s {way} the store's, so it takes no claims until its clock is put right."
    )
}

/// That requests may come, and what they won't get. A node without its store stays among those that
/// are sent some: no other has a better one, and its pages come from memory.
fn ready(state: &AppState) -> String {
    match state.engine.store_away_since() {
        None => "ready\n".to_owned(),
        Some(since) => format!(
            "ready, for pages only: the store has not answered since {}\n",
            since.to_rfc3339()
        ),
    }
}

/// Counters in Prometheus' text format, for whoever has the token.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", operation_id = "metrics",
    security(("token" = [])),
    responses((status = 200, description = "Counters in Prometheus' text format.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics_with_token(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = state.settings.metrics_token.as_deref().ok_or(Cause::NotFound)?;
    let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let given = given.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
    if !bool::from(given.ct_eq(token.as_bytes())) {
        return Err(Cause::Unauthorized.into());
    }
    metrics(State(state)).await
}

/// The same where only staff can reach it.
pub(crate) async fn metrics(State(state): State<AppState>) -> Result<Response, Problem> {
    let handle = state.metrics.as_ref().ok_or(Cause::NotFound)?;
    Ok(([(header::CONTENT_TYPE, PROMETHEUS)], handle.render()).into_response())
}
