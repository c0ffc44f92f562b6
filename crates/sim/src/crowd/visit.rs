//! One visitor, from the first request to an answer that is final.

mod api;
mod html;

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::pace::Turn;
use super::tally::{Outcome, Tally};
use super::wire::{Client, Trouble};
use super::{Ground, Mode};

/// The longest wait between two attempts, whatever `Retry-After` says.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Lets one visitor come, register and go.
pub(super) async fn visit(ground: &Ground, client: &mut Client, turn: Turn, tally: &Tally) {
    let mut visitor = Visitor {
        ground,
        client,
        tally,
        number: turn.visitor,
        give_up: Instant::now() + ground.persistence,
        unknown: false,
    };
    let ended = match ground.mode {
        Mode::Api => api::register(&mut visitor).await,
        Mode::Hold => api::hold_and_confirm(&mut visitor).await,
        Mode::Html => html::check_out(&mut visitor).await,
    };
    tally.visit(turn.visitor, turn.due.elapsed(), ended.unwrap_or_else(|outcome| outcome));
}

/// A visitor at work.
struct Visitor<'a> {
    ground: &'a Ground,
    client: &'a mut Client,
    tally: &'a Tally,
    number: u64,
    give_up: Instant,
    /// A request whose outcome is not known may have been done.
    unknown: bool,
}

/// What comes of a step: its value, or how the visit ends here.
type Step<T> = Result<T, Outcome>;

impl Visitor<'_> {
    /// Sends a request until it has a final answer, the same one each time,
    /// and gives the answer's status; [`Client::reply`] has the rest.
    async fn ask(&mut self, request: &[u8]) -> Step<u16> {
        let mut wait = Duration::from_millis(20);
        loop {
            let sent = Instant::now();
            let outcome = self.client.exchange(request).await;
            let kind = match outcome {
                Ok(status) => {
                    self.tally.request(sent.elapsed());
                    if !matches!(status, 429 | 500..) {
                        return Ok(status);
                    }
                    if let Some(seconds) = self.client.reply().header("retry-after") {
                        wait = seconds.parse().map_or(wait, Duration::from_secs);
                    }
                    self.kind(status)
                }
                Err(trouble) => trouble.name().to_owned(),
            };
            self.unknown |= may_be_done(outcome, &kind);
            let wait_now = wait.min(LONGEST_WAIT);
            if Instant::now() + wait_now >= self.give_up {
                return Err(Outcome::Failed { kind, unknown: self.unknown });
            }
            self.tally.retry(&kind);
            tokio::time::sleep(wait_now).await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
    }

    /// Sends a request and expects this status; anything else ends the visit.
    async fn expect(&mut self, request: &[u8], expected: u16) -> Step<()> {
        let status = self.ask(request).await?;
        if status == expected { Ok(()) } else { Err(self.unexpected(status)) }
    }

    /// How a visit ends at an answer that was not hoped for. What was in
    /// doubt is not any more: the request had a definite answer.
    fn unexpected(&self, status: u16) -> Outcome {
        let kind = self.kind(status);
        match status {
            403 | 409 | 410 => Outcome::Refused(kind),
            _ => Outcome::Failed { kind, unknown: false },
        }
    }

    /// A visit ends because an answer can't be understood.
    fn confused(&self, what: &str) -> Outcome {
        Outcome::Failed { kind: what.to_owned(), unknown: true }
    }

    /// The last answer's name in reports: its status and its problem's name.
    fn kind(&self, status: u16) -> String {
        #[derive(Deserialize)]
        struct Problem {
            r#type: String,
        }
        let reply = self.client.reply();
        match serde_json::from_slice::<Problem>(reply.body) {
            Ok(problem) => {
                let name = problem.r#type.rsplit('/').next().unwrap_or_default();
                format!("{status} {name}")
            }
            Err(_) => status.to_string(),
        }
    }
}

/// Whether the server may have done what was asked, although it didn't say so.
fn may_be_done(outcome: Result<u16, Trouble>, kind: &str) -> bool {
    match outcome {
        Ok(429) | Err(Trouble::Connect) => false,
        Ok(_) => !kind.ends_with("not-accepted"),
        Err(Trouble::Closed | Trouble::Timeout | Trouble::Malformed) => true,
    }
}
