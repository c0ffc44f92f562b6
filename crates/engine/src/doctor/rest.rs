//! How an org was when the platform ran last, as far as that is written down.

use sloe_core::time::Timestamp;
use sloe_core::words::counted;

use super::{Line, ago, budget, comparison, connection, letters, license, outbox, refresh};
use crate::engine::Engine;
use crate::refresh::Refresh;
use crate::tenant::Org;
use crate::worker::{PollState, poll, reads};

pub(super) async fn org_lines(engine: &Engine, org: &Org) -> Vec<Line> {
    let mut lines = match reads::noted(engine, org).await {
        Ok(refreshes) => read(engine, org, &refreshes).await,
        Err(error) => vec![unreadable("refresh", &error)],
    };
    lines.extend([
        changes(engine, org).await,
        looks(engine, org).await,
        budget(engine, org).await,
        outbox(engine, org).await,
        letters(engine, org).await,
        license(engine, org),
        comparison(engine, org).await,
    ]);
    lines
}

async fn read(engine: &Engine, org: &Org, refreshes: &[Refresh]) -> Vec<Line> {
    let asked = connection(engine, org, &PollState::default(), refreshes).await;
    vec![asked, refresh(engine, org, refreshes)]
}

fn unreadable(subject: &'static str, error: &impl std::fmt::Display) -> Line {
    Line::attention(subject, format!("It can't be read: {error}"), "Look at the disk.")
}

async fn changes(engine: &Engine, org: &Org) -> Line {
    let subject = "changes";
    match engine.changes(org.id()).await {
        Err(error) => unreadable(subject, &error),
        Ok(changes) => match changes.source {
            Some(source) => Line::note(
                subject,
                format!("While it runs, by change events from {} and by looks.", source.url),
            ),
            None => Line::note(
                subject,
                "While it runs, by the Update button and by looks: the org sends no change events.",
            ),
        },
    }
}

async fn looks(engine: &Engine, org: &Org) -> Line {
    let subject = "last look";
    match poll::noted(engine, org).await {
        Err(error) => unreadable(subject, &error),
        Ok(None) => Line::note(subject, "None is on record: the org is read as a whole first."),
        Ok(Some(noted)) => {
            // Some of them may have been made since that was noted.
            let waiting = match noted.due {
                0 => String::new(),
                due => format!("; to be read again at the start: {}", counted(due, "event")),
            };
            // Marks are by the org's clock, which may be ahead of ours.
            let at = Timestamp(noted.up_to.0.min(engine.now().0));
            Line::note(subject, format!("On record up to {}{waiting}.", ago(engine, at)))
        }
    }
}
