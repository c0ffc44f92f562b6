//! One visitor, from the first request to an answer that is final.

mod api;
mod bot;
mod double;
mod html;
mod look;
mod reload;

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::fleet::Clients;
use super::kind::Kind;
use super::pace::Turn;
use super::tally::{Acknowledged, Left, Outcome, Tally};
use super::wire::Trouble;
use super::{Ground, Mode};

/// The longest wait between two attempts, whatever `Retry-After` says.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Lets one visitor come, do what they are up to, and go. Whoever clicks twice
/// has a second connection.
pub(super) async fn visit(
    ground: &Ground,
    (clients, second): (&mut Clients, &mut Clients),
    turn: Turn,
    tally: &Tally,
) {
    let (kind, mode) = ground.role(turn.visitor);
    let now = Instant::now();
    tally.begin(turn, kind, now);
    let mut visitor = Visitor {
        ground,
        clients,
        tally,
        number: turn.visitor,
        kind,
        step: turn.visitor,
        give_up: now + ground.persistence,
        unknown: false,
        left: Left::default(),
    };
    let ended = match (kind, mode) {
        (Kind::Registrants, Mode::Api) => api::register(&mut visitor).await,
        (Kind::Registrants, Mode::Hold) => api::hold_and_confirm(&mut visitor).await,
        (Kind::Registrants, Mode::Html) => html::check_out(&mut visitor).await,
        (Kind::Abandoners, Mode::Api | Mode::Hold) => api::abandon(&mut visitor).await,
        (Kind::Abandoners, Mode::Html) => html::abandon(&mut visitor).await,
        // Rare and large: kept apart, so that the others' visits stay small.
        (Kind::Lookers, _) => Box::pin(look::look(&mut visitor)).await,
        (Kind::Reloaders, _) => Box::pin(reload::check_out(&mut visitor)).await,
        (Kind::Bots, _) => Box::pin(bot::pester(&mut visitor)).await,
        (Kind::DoubleClickers, _) => Box::pin(double::register(&mut visitor, second, mode)).await,
    };
    let left = std::mem::take(&mut visitor.left);
    tally.visit(turn, kind, left, ended.unwrap_or_else(|outcome| outcome));
}

/// A visitor at work.
struct Visitor<'a> {
    ground: &'a Ground,
    clients: &'a mut Clients,
    tally: &'a Tally,
    number: u64,
    kind: Kind,
    /// Counts requests, each of which goes to the next target.
    step: u64,
    give_up: Instant,
    /// What the last request asked for may have been done although nobody said so.
    unknown: bool,
    /// What the visitor has so far.
    left: Left,
}

/// What comes of a step: its value, or how the visit ends here.
type Step<T> = Result<T, Outcome>;

impl Visitor<'_> {
    /// Sends a request until it has a final answer, the same one each time and each time to
    /// the next target, and gives the answer's status; [`Clients::reply`] has the rest.
    async fn ask(&mut self, request: &[u8]) -> Step<u16> {
        let mut wait = Duration::from_millis(20);
        let mut silent = 0;
        loop {
            let pick = self.ground.fleet.pick(self.step);
            self.step += 1;
            if let Some(skipped) = pick.instead_of {
                self.tally.skipped(skipped);
            }
            let sent = Instant::now();
            let outcome = self.clients.exchange(pick.target, request).await;
            let kind = match outcome {
                Ok(status) => {
                    self.tally.request(self.kind, (pick.target, status), sent);
                    if !matches!(status, 429 | 500..) {
                        // What was in doubt is not any more.
                        self.unknown = false;
                        return Ok(status);
                    }
                    if let Some(seconds) = self.clients.reply().header("retry-after") {
                        wait = seconds.parse().map_or(wait, Duration::from_secs);
                    }
                    self.named(status)
                }
                Err(trouble) => {
                    self.tally.unanswered(pick.target);
                    self.ground.fleet.rest(pick.target);
                    silent += 1;
                    trouble.name().to_owned()
                }
            };
            // Whoever only reads is never in doubt.
            self.unknown |= request.starts_with(b"POST ") && may_be_done(outcome, &kind);
            // Another target may answer at once; the others of one that is silent are asked first.
            let elsewhere = outcome.is_err() && silent < self.ground.fleet.len();
            let wait_now = if elsewhere { Duration::ZERO } else { wait.min(LONGEST_WAIT) };
            if Instant::now() + wait_now >= self.give_up {
                return Err(Outcome::Failed { kind, unknown: self.unknown });
            }
            self.tally.retry(&kind);
            if !elsewhere {
                tokio::time::sleep(wait_now).await;
                wait = (wait * 2).min(Duration::from_secs(1));
            }
        }
    }

    /// Sends a request and expects this status; anything else ends the visit.
    async fn expect(&mut self, request: &[u8], expected: u16) -> Step<()> {
        let status = self.ask(request).await?;
        if status == expected { Ok(()) } else { Err(self.unexpected(status)) }
    }

    /// How a visit ends at an answer that was not hoped for.
    fn unexpected(&self, status: u16) -> Outcome {
        let kind = self.named(status);
        match status {
            403 | 409 | 410 => Outcome::Refused(kind),
            _ => Outcome::Failed { kind, unknown: false },
        }
    }

    /// Sloe has acknowledged an order: from here on it must stand.
    fn acknowledged(&mut self, order: String, reference: Option<String>) {
        self.left.order = Some(Acknowledged { visitor: self.number, order, reference });
    }

    /// A visit ends because an answer can't be understood.
    fn confused(&self, what: &str) -> Outcome {
        Outcome::Failed { kind: what.to_owned(), unknown: true }
    }

    /// A visit ends because a page offers no way on, or another than it must.
    fn stuck(&self, what: &str) -> Outcome {
        Outcome::Failed { kind: what.to_owned(), unknown: false }
    }

    /// The last answer's name in reports: its status and its problem's name.
    fn named(&self, status: u16) -> String {
        #[derive(Deserialize)]
        struct Problem {
            r#type: String,
        }
        let reply = self.clients.reply();
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
