//! How the platform is, whatever its orgs are.

use sloe_core::words::counted;

use super::{Line, ago};
use crate::engine::Engine;

pub(super) async fn lines(engine: &Engine) -> Vec<Line> {
    let mut lines = vec![store(engine).await, license_source(engine)];
    lines.extend(nodes(engine));
    lines.extend(damaged(engine));
    lines.extend(workers(engine));
    lines
}

/// The nodes on the store, and whether all that one of them does at a time is done.
fn nodes(engine: &Engine) -> Option<Line> {
    let subject = "running nodes";
    let (nodes, mine, undone) = engine.nodes().standing()?;
    let says = format!(
        "{} on this store; this one does {} of what one node at a time does.",
        counted(nodes, "node"),
        counted(mine, "piece")
    );
    Some(match undone {
        0 => Line::good(subject, says),
        _ => Line::attention(
            subject,
            format!("{says} Nobody does {}: what belongs to it waits.", counted(undone, "piece")),
            "It passes within ten seconds after a node has ended. If it stays, start a node with \
             --role worker or --role all.",
        ),
    })
}

/// Orgs that are not served because of what their document says.
fn damaged(engine: &Engine) -> impl Iterator<Item = Line> {
    let damaged = engine.registry().damaged().iter();
    damaged.map(|(org, why)| {
        Line::attention(
            "damaged org",
            format!("{org} is not served: its document can't be read ({why})."),
            "Restore that document from a backup and start Sloe again; the other orgs go on.",
        )
    })
}

fn license_source(engine: &Engine) -> Line {
    let subject = "license source";
    let standing = engine.license_source();
    let Some((url, _)) = &standing.source else {
        return Line::note(subject, "They are recorded by hand: there is no source org.");
    };
    let troubles = standing.troubles();
    let says = match standing.read_at {
        Some(at) => {
            format!("{}, read from {url} {}.", counted(standing.rows, "row"), ago(engine, at))
        }
        None => format!("{url} was not read yet."),
    };
    if troubles.is_empty() {
        return Line::good(subject, says);
    }
    let says = format!("{says} {}", troubles.join(" "));
    if standing.alarm() || !standing.unreadable.is_empty() {
        return Line::attention(
            subject,
            says,
            "Check Sloe's user in the source org, and that org.",
        );
    }
    Line::note(subject, says)
}

async fn store(engine: &Engine) -> Line {
    let subject = "store";
    match engine.blocking(|store| Ok(store.journals()?.len())).await {
        Ok(journals) => Line::good(
            subject,
            format!("It answers, and holds {}.", counted(journals, "event journal")),
        ),
        Err(error) => Line::attention(
            subject,
            format!("It does not answer: {error}"),
            "Look at Sloe's log and at the disk.",
        ),
    }
}

fn workers(engine: &Engine) -> Vec<Line> {
    let line = |(name, run): (&'static str, crate::worker::Run)| {
        let at = ago(engine, run.at);
        match run.fault {
            None => Line::good(name, format!("Ran {at}.")),
            Some(fault) => Line::attention(
                name,
                format!("Its last run, {at}, failed: {fault}"),
                "It tries again by itself; look at Sloe's log if it stays so.",
            ),
        }
    };
    engine.runs().into_iter().map(line).collect()
}
