//! The org's allowance: what it says is used, and how many calls Sloe makes at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use reqwest::header::HeaderMap;
use sloe_core::budget::{May, Purpose};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::wire::{LimitEntry, LimitsAnswer};

/// Calls of the rolling 24 hours, by everybody in the org together, as the
/// header `Sforce-Limit-Info` told with the last answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Calls made.
    pub used: u64,
    /// Calls allowed. Salesforce may let some more pass.
    pub max: u64,
    /// Made and allowed for Sloe's connected app alone, when the org limits it.
    pub app: Option<(u64, u64)>,
}

impl Usage {
    /// Reads `api-usage=18/5000; per-app-api-usage=17/250(appName=sloe)`.
    /// `None` unless the org-wide part is there and makes sense.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let find = |name: &str| {
            header.split(';').find_map(|part| {
                let (key, value) = part.split_once('=')?;
                if key.trim() != name {
                    return None;
                }
                let (used, rest) = value.split_once('/')?;
                let max: String = rest.trim().chars().take_while(char::is_ascii_digit).collect();
                Some((used.trim().parse().ok()?, max.parse().ok()?))
            })
        };
        let (used, max) = find("api-usage")?;
        Some(Self { used, max, app: find("per-app-api-usage") })
    }
}

/// An allowance of `/limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How many in the period.
    pub max: u64,
    /// How many of them are left.
    pub remaining: u64,
}

/// The org's allowances, from `/limits`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    all: BTreeMap<String, Allowance>,
}

impl Limits {
    pub(crate) fn read(answer: LimitsAnswer) -> Self {
        let entry = |value| {
            let entry: LimitEntry = serde_json::from_value(value).ok()?;
            let at_least_zero = |n: i64| u64::try_from(n).unwrap_or(0);
            Some(Allowance {
                max: at_least_zero(entry.max),
                remaining: at_least_zero(entry.remaining),
            })
        };
        let all = answer.into_iter().filter_map(|(name, v)| Some((name, entry(v)?))).collect();
        Self { all }
    }

    /// The allowance that Salesforce calls `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Allowance> {
        self.all.get(name).copied()
    }

    /// API calls of the rolling 24 hours.
    #[must_use]
    pub fn daily_calls(&self) -> Option<Allowance> {
        self.get("DailyApiRequests")
    }

    /// Bulk ingest batches of the rolling 24 hours.
    #[must_use]
    pub fn daily_bulk_batches(&self) -> Option<Allowance> {
        self.get("DailyBulkApiBatches")
    }
}

/// Who says whether a call may go, and counts it. One per org, shared by all
/// that call it.
pub trait Gate: std::fmt::Debug + Send + Sync {
    /// Whether a call may go now; one that may is counted as under way.
    fn begin(&self, purpose: Purpose) -> May;
    /// The call is counted once more: it is sent again after a new login.
    fn again(&self);
    /// What the org tells with its answer.
    fn follow(&self, usage: Usage);
    /// The org refused a call because an allowance is used up.
    fn refuse(&self, which: Exhausted);
    /// How many calls may go at the same time; at least one.
    fn at_once(&self) -> usize;
    /// A call is over, whatever came of it.
    fn end(&self);
}

/// Which allowance a `REQUEST_LIMIT_EXCEEDED` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// Calls of the rolling 24 hours.
    Daily,
    /// Calls that run at the same time.
    AtOnce,
}

impl Exhausted {
    /// Reads a refusal: the code is the same for both, so its words decide
    /// (`TotalRequests Limit exceeded.`, `ConcurrentRequests (Concurrent API
    /// Requests) Limit exceeded.`, and older ones that begin alike).
    #[must_use]
    pub(crate) fn read(code: &str, message: &str) -> Option<Self> {
        if code != "REQUEST_LIMIT_EXCEEDED" {
            return None;
        }
        Some(if message.starts_with("Concurrent") { Self::AtOnce } else { Self::Daily })
    }
}

/// A call that was let through; over when it is dropped.
#[derive(Debug)]
pub(crate) struct Pass(Arc<dyn Gate>);

impl Pass {
    /// Of a call that `gate` has just counted.
    pub(crate) fn of(gate: &Arc<dyn Gate>) -> Self {
        Self(Arc::clone(gate))
    }

    /// Counts the same call once more.
    pub(crate) fn again(&self) -> Self {
        self.0.again();
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What this process has seen and how much it does at once.
#[derive(Debug)]
pub(crate) struct Meter {
    seen: RwLock<Option<Usage>>,
    permits: Arc<Semaphore>,
    /// How many permits there are, those in use too.
    lanes: Mutex<usize>,
}

impl Meter {
    pub(crate) fn new(at_once: usize) -> Self {
        let lanes = at_once.max(1);
        Self {
            seen: RwLock::new(None),
            permits: Arc::new(Semaphore::new(lanes)),
            lanes: Mutex::new(lanes),
        }
    }

    /// Waits for one of the few calls at once, as many as the gate says now.
    /// `None` never happens: the semaphore is not closed anywhere.
    pub(crate) async fn permit(
        &self,
        gate: Option<&Arc<dyn Gate>>,
    ) -> Option<OwnedSemaphorePermit> {
        if let Some(gate) = gate {
            self.resize(gate.at_once().max(1));
        }
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// Permits in use are taken away when a later call finds them free.
    fn resize(&self, to: usize) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if to > *lanes {
            self.permits.add_permits(to - *lanes);
            *lanes = to;
        } else {
            *lanes -= self.permits.forget_permits(*lanes - to);
        }
    }

    pub(crate) fn follow(&self, headers: &HeaderMap, gate: Option<&Arc<dyn Gate>>) {
        let text = headers.get("sforce-limit-info").and_then(|value| value.to_str().ok());
        if let Some(usage) = text.and_then(Usage::parse) {
            if let Some(gate) = gate {
                gate.follow(usage);
            }
            *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Some(usage);
        }
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        *self.seen.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_usage_header_is_read_with_and_without_the_app_s_share() {
        let plain = Usage { used: 18, max: 5000, app: None };
        assert_eq!(Usage::parse("api-usage=18/5000"), Some(plain));
        let header = "api-usage=25/5000; per-app-api-usage=17/250(appName=sample-app)";
        let both = Usage { used: 25, max: 5000, app: Some((17, 250)) };
        assert_eq!(Usage::parse(header), Some(both));
    }

    #[test]
    fn a_usage_header_that_makes_no_sense_is_ignored() {
        for text in ["", "api-usage", "api-usage=", "api-usage=a/b", "api-usage=1", "x=1/2"] {
            assert_eq!(Usage::parse(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn calls_under_way_go_on_when_fewer_may_go_at_once_and_none_more_begin() {
        let meter = Meter::new(3);
        let taken = [meter.permit(None).await, meter.permit(None).await];
        meter.resize(1);
        assert_eq!(meter.permits.available_permits(), 0);
        drop(taken);
        meter.resize(1);
        assert_eq!(meter.permits.available_permits(), 1);
        meter.resize(5);
        assert_eq!(meter.permits.available_permits(), 5);
    }

    #[test]
    fn a_refusal_says_by_its_words_which_allowance_is_gone() {
        let read = |message| Exhausted::read("REQUEST_LIMIT_EXCEEDED", message);
        assert_eq!(read("TotalRequests Limit exceeded."), Some(Exhausted::Daily));
        assert_eq!(read(""), Some(Exhausted::Daily));
        let at_once = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
        assert_eq!(read(at_once), Some(Exhausted::AtOnce));
        assert_eq!(read("ConcurrentPerOrgLongTxn Limit exceeded"), Some(Exhausted::AtOnce));
        assert_eq!(Exhausted::read("LIMIT_EXCEEDED", at_once), None);
    }

    #[test]
    fn allowances_of_an_unknown_shape_are_skipped_not_fatal() {
        let answer = serde_json::json!({
            "DailyApiRequests": {"Max": 15000, "Remaining": 14998, "Some App": {"Max": 0, "Remaining": 0}},
            "DailyBulkApiBatches": {"Max": 15000, "Remaining": -3},
            "Odd": 7,
        });
        let limits = Limits::read(serde_json::from_value(answer).unwrap());
        assert_eq!(limits.daily_calls(), Some(Allowance { max: 15000, remaining: 14998 }));
        assert_eq!(limits.daily_bulk_batches(), Some(Allowance { max: 15000, remaining: 0 }));
        assert_eq!(limits.get("Odd"), None);
    }
}
