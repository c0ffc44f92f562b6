//! Counts and durations by route. A route's template is known when the
//! program is built, so the names can't grow with what callers send.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::Method;
use metrics::{Counter, Histogram, counter, histogram};

/// All routes' meters, each made at its first request.
#[derive(Default)]
pub(super) struct Meters(RwLock<HashMap<String, Arc<Meter>>>);

struct Meter {
    methods: Vec<(&'static str, [Counter; 6])>,
    seconds: Histogram,
}

const METHODS: [&str; 7] = ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "other"];
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

impl Meter {
    fn new(route: &str) -> Self {
        let counters = |method: &'static str| {
            CLASSES.map(|class| {
                let route = route.to_owned();
                counter!("sloe_http_requests_total", "route" => route, "method" => method, "status" => class)
            })
        };
        Self {
            methods: METHODS.iter().map(|method| (*method, counters(method))).collect(),
            seconds: histogram!("sloe_http_seconds", "route" => route.to_owned()),
        }
    }

    fn count(&self, method: &Method, class: usize, took: Duration) {
        self.seconds.record(took.as_secs_f64());
        let known = self.methods.iter().find(|(name, _)| *name == method.as_str());
        let counters = known.or_else(|| self.methods.last()).and_then(|(_, c)| c.get(class));
        if let Some(counter) = counters {
            counter.increment(1);
        }
    }
}

impl Meters {
    /// Counts one answer.
    pub(super) fn count(&self, method: &Method, route: &str, class: usize, took: Duration) {
        if let Some(meter) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(route) {
            return meter.count(method, class, took);
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let meter = all.entry(route.to_owned()).or_insert_with(|| Arc::new(Meter::new(route)));
        meter.count(method, class, took);
    }
}
