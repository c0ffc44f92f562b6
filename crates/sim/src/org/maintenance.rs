//! A maintenance window: from one moment to another every call is answered 503, and Bulk jobs halt.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use super::codes::UNAVAILABLE;
use super::faults::{Failure, Form};
use super::knobs::Knobs;
use super::state::State;

/// How long a window is unless told otherwise, and at most, in minutes.
const MINUTES: (u64, u64) = (30, 7 * 24 * 60);

/// How often one who waits looks at the org's clock, which may run otherwise than the machine's.
const LOOK: Duration = Duration::from_millis(500);

/// A window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    from: Timestamp,
    until: Timestamp,
    form: Form,
    message: String,
}

impl Window {
    /// Reads a window: `from` (now unless given), `until` or `minutes`, `form`, `message`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn parse(body: &[u8], now: Timestamp) -> Result<Self, Vec<String>> {
        let mut knobs = Knobs::parse(if body.is_empty() { b"{}" } else { body });
        let from = moment(&mut knobs, "from").unwrap_or(now);
        let until = moment(&mut knobs, "until");
        let minutes = knobs.whole("minutes", MINUTES.1);
        if until.is_some() && minutes.is_some() {
            knobs.fault("minutes", "and until say the same; give one of them");
        }
        let length = i64::try_from(minutes.unwrap_or(MINUTES.0)).unwrap_or_default();
        let until = until.unwrap_or_else(|| {
            from.checked_add(SignedDuration::from_mins(length)).unwrap_or(Timestamp::MAX)
        });
        if until <= from {
            knobs.fault("until", format!("is after the window's begin {from}, not {until}"));
        }
        let form = match knobs.text("form").as_deref() {
            None | Some("json") => Form::Json,
            Some("html") => Form::Html,
            Some("empty") => Form::Empty,
            Some(other) => {
                knobs.fault("form", format!("is json, html or empty, not {other}"));
                Form::Json
            }
        };
        let message = knobs.text("message").unwrap_or_else(|| UNAVAILABLE.message.to_owned());
        let wrong = knobs.end();
        if wrong.is_empty() { Ok(Self { from, until, form, message }) } else { Err(wrong) }
    }

    /// Whether it is now.
    pub(crate) fn is_on(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.until <= now
    }

    /// From when until when.
    pub(crate) fn span(&self) -> (Timestamp, Timestamp) {
        (self.from, self.until)
    }

    /// What a call gets meanwhile.
    pub(crate) fn failure(&self) -> Failure {
        Failure {
            status: UNAVAILABLE.status,
            code: UNAVAILABLE.code.to_owned(),
            message: self.message.clone(),
            form: self.form,
        }
    }

    /// As the control API shows it.
    pub(crate) fn shown(&self, now: Timestamp) -> Json {
        let form = match self.form {
            Form::Html => "html",
            Form::Empty => "empty",
            Form::Json | Form::WrongType => "json",
        };
        json!({
            "from": self.from.to_string(),
            "until": self.until.to_string(),
            "form": form,
            "message": self.message,
            "on": self.is_on(now),
        })
    }
}

impl State {
    /// The maintenance window that is on.
    pub(crate) fn window_on(&self) -> Option<Window> {
        let now = (self.now)();
        self.maintenance.borrow().clone().filter(|window| window.is_on(now))
    }

    /// How long one who waits may do so before a window that is ahead is to be looked for; none without one.
    #[cfg(feature = "pubsub")]
    pub(crate) fn until_window(&self) -> Option<Duration> {
        let (from, _) = self.window()?.span();
        let ahead = Duration::try_from(from.duration_since((self.now)())).ok()?;
        Some(ahead.min(LOOK))
    }

    /// Blocks until no maintenance window is on, or the org ends.
    pub(crate) fn sit_out_maintenance(&self) {
        // Always there: jobs run on the runtime's blocking threads.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut windows = self.maintenance.subscribe();
        while self.window_on().is_some() && !self.stopping.load(Ordering::Relaxed) {
            // A changed window, a lapse of time and the org's end all lead to another look.
            let _ = runtime.block_on(async { tokio::time::timeout(LOOK, windows.changed()).await });
        }
    }
}

fn moment(knobs: &mut Knobs, name: &'static str) -> Option<Timestamp> {
    let text = knobs.text(name)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        knobs.fault(name, format!("is a moment such as 2026-11-26T02:00:00Z, not {text}"));
    }
    parsed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_window_is_read_with_every_fault_named() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let window = Window::parse(b"", now).unwrap();
        assert_eq!(window.span().1, "2026-11-26T12:30:00Z".parse().unwrap());
        assert!(window.is_on(now) && !window.is_on(window.span().1));
        let later = br#"{"from": "2026-11-27T02:00:00Z", "minutes": 90, "form": "html"}"#;
        let later = Window::parse(later, now).unwrap();
        assert!(!later.is_on(now) && !later.is_over(now));
        assert_eq!(later.span().1, "2026-11-27T03:30:00Z".parse().unwrap());
        let bad = br#"{"from": "soon", "until": "2026-11-25T00:00:00Z", "minutes": 1, "form": "pdf", "x": 1}"#;
        assert_eq!(Window::parse(bad, now).unwrap_err().len(), 5);
    }
}
