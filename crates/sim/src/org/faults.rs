//! What can be made to go wrong at run time.

use serde::{Deserialize, Serialize};

/// The faults in force; everything zero or false is a healthy org.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Faults {
    /// Every call takes at least this long.
    pub(crate) latency_ms: u64,
    /// And up to so much more.
    pub(crate) jitter_ms: u64,
    /// The share of calls that fail, 0 to 1.
    pub(crate) error_rate: f64,
    /// How they fail.
    pub(crate) error_status: u16,
    pub(crate) error_code: String,
    pub(crate) error_message: String,
    /// Every call is answered 503.
    pub(crate) outage: bool,
    /// Calls are taken and not answered until this is off again.
    pub(crate) stall: bool,
    /// The share of written rows that fail, 0 to 1.
    pub(crate) row_error_rate: f64,
    /// How they fail: `UNABLE_TO_LOCK_ROW` or `UNKNOWN_EXCEPTION`.
    pub(crate) row_error_code: RowFault,
    /// Only these kinds of call are hit (as in the statistics: `query`, `bulk_ingest`, `token` …); empty: all.
    pub(crate) kinds: Vec<String>,
}

/// How a written row fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RowFault {
    UnableToLockRow,
    UnknownException,
}

impl RowFault {
    /// Salesforce's code and words.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            RowFault::UnableToLockRow => (
                "UNABLE_TO_LOCK_ROW",
                "unable to obtain exclusive access to this record or 1 records",
            ),
            RowFault::UnknownException => ("UNKNOWN_EXCEPTION", "An unexpected error occurred."),
        }
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            latency_ms: 0,
            jitter_ms: 0,
            error_rate: 0.0,
            error_status: 503,
            error_code: "SERVER_UNAVAILABLE".to_owned(),
            error_message: "The server is temporarily unable to respond. Try again later."
                .to_owned(),
            outage: false,
            stall: false,
            row_error_rate: 0.0,
            row_error_code: RowFault::UnableToLockRow,
            kinds: Vec::new(),
        }
    }
}

impl Faults {
    /// Whether they are meant for calls of this kind.
    pub(crate) fn hit(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|k| k == kind)
    }

    /// What they do, for people; empty if nothing.
    pub(crate) fn summary(&self) -> String {
        let percent = |rate: f64| format!("{} %", (rate * 1000.0).round() / 10.0);
        let all = [
            self.outage.then(|| "every call is refused".to_owned()),
            self.stall.then(|| "calls are not answered".to_owned()),
            (self.error_rate > 0.0).then(|| format!("{} of calls fail", percent(self.error_rate))),
            (self.row_error_rate > 0.0)
                .then(|| format!("{} of written rows fail", percent(self.row_error_rate))),
            (self.latency_ms + self.jitter_ms > 0)
                .then(|| format!("calls take {} ms longer", self.latency_ms + self.jitter_ms / 2)),
        ];
        let mut out = all.into_iter().flatten().collect::<Vec<_>>().join(", ");
        if !out.is_empty() && !self.kinds.is_empty() {
            out = format!("{out} ({} only)", self.kinds.join(", "));
        }
        out
    }

    /// What is wrong with them, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, rate) in
            [("error_rate", self.error_rate), ("row_error_rate", self.row_error_rate)]
        {
            if !(0.0..=1.0).contains(&rate) {
                return Err(format!("{name} is a share from 0 to 1, not {rate}"));
            }
        }
        if !(400..=599).contains(&self.error_status) {
            return Err(format!("error_status is from 400 to 599, not {}", self.error_status));
        }
        if self.latency_ms > 600_000 || self.jitter_ms > 600_000 {
            return Err("latency_ms and jitter_ms are at most 600000".to_owned());
        }
        Ok(())
    }
}

/// Picks every so-manieth event, evenly, so that a share is met exactly and the same way each time.
#[derive(Debug, Default)]
pub(crate) struct Share(f64);

impl Share {
    /// Whether this one is picked.
    pub(crate) fn pick(&mut self, rate: f64) -> bool {
        self.0 += rate;
        let picked = self.0 >= 1.0;
        if picked {
            self.0 -= 1.0;
        }
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_words() {
        assert_eq!(Faults::default().summary(), "");
        let faults = Faults {
            latency_ms: 200,
            jitter_ms: 100,
            error_rate: 0.125,
            kinds: vec!["query".to_owned()],
            ..Faults::default()
        };
        assert_eq!(faults.summary(), "12.5 % of calls fail, calls take 250 ms longer (query only)");
    }

    #[test]
    fn a_share_is_met_exactly() {
        let mut share = Share::default();
        assert_eq!((0..1000).filter(|_| share.pick(0.25)).count(), 250);
        assert_eq!((0..1000).filter(|_| share.pick(0.0)).count(), 0);
        assert_eq!((0..1000).filter(|_| share.pick(1.0)).count(), 1000);
    }
}
