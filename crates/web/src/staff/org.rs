//! `/staff/orgs/{org}`: everything about one org, and what can be done.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use sloe_core::ids::SfId;
use sloe_core::license::Knowledge;
use sloe_core::time::Timestamp;
use sloe_engine::refresh::{Outcome, Refresh};
use sloe_engine::sync::Waiting;

use super::ago::{self, Ago};
use super::answer::{self, Failure};
use super::draw::{columns, count, counted, meter};
use super::facts::{Facts, Stored};
use super::judge::{Level, Verdict, judge};
use super::overview::Asked;
use super::view::{Calls, EventRow, Frame, Hours, Line, OrgPage, WaitingRow};
use super::{compare, door, letters};
use crate::state::AppState;

/// Events listed: all with faults, within reason, and the latest others.
const FAULTY: usize = 50;
const LATEST: usize = 8;
/// Waiting rows listed.
const WAITING: usize = 10;
/// Comparisons listed.
const PASSES: usize = 5;
const HOUR_MILLIS: i64 = 60 * 60 * 1_000;
/// Hours in the chart.
const HOURS: i64 = 24;

/// `GET /staff/orgs/{org}`.
///
/// # Errors
/// A page that says why.
pub(super) async fn show(
    State(app): State<AppState>,
    door::Slug(org): door::Slug,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let asked = Asked::read(query.as_deref());
    let facts = Facts::of(&app.engine, org).await;
    let stored = facts.stored.as_ref().map_err(answer::refused)?;
    let letters = letters::page(&app.engine, &facts, stored, &asked).await?;
    let id = facts.org.id();
    let waiting = app.engine.waiting_rows(id, None, WAITING).await;
    let waiting = waiting.map_err(|denied| answer::refused(&denied))?;
    let passes = app.engine.verifies(id, PASSES).await;
    let passes = passes.map_err(|denied| answer::refused(&denied))?;
    let verdict = judge(&facts);
    let profile = &facts.org.profile;
    let path = format!("/staff/orgs/{}", profile.slug);
    let frame = Frame {
        title: profile.name.clone(),
        as_of: ago::clock(facts.at),
        said: answer::said(&headers),
        here: asked.here(&path),
        path,
        every: asked.every(),
    };
    let (events, quiet) = events(&facts);
    let page = OrgPage {
        frame,
        slug: profile.slug.clone(),
        name: profile.name.clone(),
        id: id.to_string(),
        salesforce: facts.org.login_url().to_owned(),
        level: verdict.level,
        lead: lead(&verdict),
        troubles: verdict.troubles,
        live: facts.license.live,
        why: facts.license.why.clone(),
        licenses: facts.license.rows.clone(),
        license_known: license_known(&facts),
        calls: calls(&facts),
        rules: rules(stored),
        hours: hours(stored, facts.at),
        way: way(&facts),
        waiting_more: waiting.next.is_some(),
        waiting: waiting.rows.iter().map(|row| waiting_row(row, facts.at)).collect(),
        letters,
        compared: compare::lines(&facts),
        passes: compare::passes(&passes, facts.at),
        reads: reads(&facts),
        events,
        quiet,
    };
    Ok(answer::watched(&headers, &page, &ago::clock(facts.at)))
}

fn lead(verdict: &Verdict) -> String {
    match (verdict.troubles.len(), verdict.busy.first()) {
        (0, None) => "Sloe and Salesforce have the same, as far as Sloe has looked.".to_owned(),
        (0, Some(busy)) => format!("Nothing is wrong; {busy}."),
        (1, _) => "One thing is the matter.".to_owned(),
        (n, _) => format!("{n} things are the matter, the worst first."),
    }
}

/// As of when the license is known.
fn license_known(facts: &Facts) -> Line {
    match facts.license.known {
        Knowledge::Recorded => Line::new("Recorded by hand"),
        Knowledge::Read(None) => Line::new("The source org was never read").level(Level::Warn),
        Knowledge::Read(Some(at)) => {
            Line::new("The source org was read").at(Some(Ago::new(at, facts.at)))
        }
    }
}

/// An org's API calls in words and as a bar.
pub(super) fn calls(facts: &Facts) -> Calls {
    let Ok(Stored { calls, .. }) = &facts.stored else { return Calls::default() };
    let ours = format!("{} by Sloe, which may make {} more", count(calls.ours), count(calls.left));
    let waits = calls.waits_until.filter(|until| until.millis_since(facts.at) > 60_000);
    let waits = waits.map(|until| Ago::new(until, facts.at));
    let Some(told) = calls.told else {
        return Calls {
            told: "Salesforce has told no limit yet".to_owned(),
            ours,
            meter: None,
            waits,
        };
    };
    let others = told.used.saturating_sub(calls.ours);
    Calls {
        told: format!("{} of {} used", count(told.used), count(told.max)),
        ours,
        meter: Some(meter(others, calls.ours, told.max, calls.rules.reserve())),
        waits,
    }
}

fn rules(stored: &Stored) -> String {
    let (rules, at_once) = (stored.calls.rules, stored.calls.at_once);
    format!(
        "Sloe may use {} % of what the org allows in 24 hours, stops where everybody together has used {} %, and makes {} at the same time. Change it with sloe org budget.",
        rules.share(),
        100_u8.saturating_sub(rules.reserve()),
        counted(at_once, "call", "calls"),
    )
}

fn hours(stored: &Stored, now: Timestamp) -> Option<Hours> {
    let known = &stored.calls.hours;
    if known.is_empty() {
        return None;
    }
    let this = now.0.div_euclid(HOUR_MILLIS);
    let of = |hour: i64| known.iter().find(|(at, _)| *at == hour).map_or(0, |(_, calls)| *calls);
    let all: Vec<u64> = (this - HOURS + 1..=this).map(of).collect();
    let most = all.iter().copied().max().unwrap_or(0);
    let at = all.iter().rposition(|calls| *calls == most).unwrap_or(0);
    let hour = Timestamp((this - HOURS + 1 + i64::try_from(at).unwrap_or(0)) * HOUR_MILLIS);
    let words = if most == 0 {
        "Sloe made no call in the last 24 hours.".to_owned()
    } else {
        format!(
            "Sloe’s calls by the hour, of the last 24: most in the one from {}, with {}.",
            ago::clock(hour).replace(":00:00", ":00"),
            count(most)
        )
    };
    Some(Hours { drawing: columns(&all), words })
}

/// How far what Sloe has for the org is on its way.
pub(super) fn way(facts: &Facts) -> Vec<Line> {
    let Ok(stored) = &facts.stored else {
        return vec![Line::new("Can’t be read").level(Level::Bad)];
    };
    let sync = &stored.sync;
    let mut lines = Vec::new();
    let since = |at: Option<Timestamp>| at.map(|at| Ago::new(at, facts.at));
    if sync.is_drained() {
        lines.push(Line::new("Nothing waits"));
    } else {
        let mut parts = Vec::new();
        if sync.pending_events > 0 {
            parts
                .push(format!("News of {} waits", counted(sync.pending_events, "event", "events")));
        }
        if sync.retrying > 0 {
            parts.push(format!("{} sent again", counted(sync.retrying, "row is", "rows are")));
        }
        let line = Line::new(parts.join(", ")).level(Level::Busy);
        lines.push(line.at(since(sync.waiting_since)));
    }
    let [refused, undecided, _] = stored.undelivered();
    if refused > 0 {
        let text = format!("{} could not be delivered", counted(refused, "row", "rows"));
        lines.push(Line::new(text).level(Level::Bad));
    }
    if undecided > 0 {
        let text = format!("{} a decision", counted(undecided, "row needs", "rows need"));
        lines.push(Line::new(text).level(Level::Warn));
    }
    let last = since(sync.last_drain);
    lines.push(match last {
        Some(at) => Line::new("Last sent").at(Some(at)),
        None => Line::new("Nothing sent since the start"),
    });
    lines
}

/// How the org is read.
pub(super) fn reads(facts: &Facts) -> Vec<Line> {
    let mut lines = Vec::new();
    match (&facts.progress, facts.whole()) {
        (Some(progress), _) => {
            let of = counted(progress.known.max(progress.read), "event", "events");
            lines.push(
                Line::new(format!("Reading: {} of {of}", count(progress.read as u64)))
                    .level(Level::Busy),
            );
        }
        (None, None) => lines.push(Line::new("Not read yet").level(Level::Busy)),
        (None, Some(whole)) => {
            let at = Some(Ago::new(whole.at, facts.at));
            lines.push(match &whole.outcome {
                Outcome::Failed { again, .. } => {
                    let level = if *again { Level::Warn } else { Level::Bad };
                    Line::new("Could not be read").at(at).level(level)
                }
                Outcome::Read { good, faulty: 0 } => {
                    Line::new(format!("{} read", counted(*good, "event", "events"))).at(at)
                }
                Outcome::Read { good, faulty } => {
                    let text = format!(
                        "{} read, {} with faults",
                        count((good + faulty) as u64),
                        count(*faulty as u64)
                    );
                    Line::new(text).at(at).level(Level::Warn)
                }
                Outcome::Applied(_) | Outcome::Gone | Outcome::Faulty(_) => {
                    Line::new("Read").at(at)
                }
            });
        }
    }
    lines.extend(inbound(facts));
    lines
}

/// By what ways changes come.
fn inbound(facts: &Facts) -> Option<Line> {
    let poll = facts.poll.as_ref()?;
    let look = match poll.every {
        Some(every) => format!("a look every {}", spoken(every)),
        None => "looks soon".to_owned(),
    };
    let quiet = if poll.fault.is_some() { Level::Warn } else { Level::Good };
    let changes = facts.stored.as_ref().ok().map(|stored| &stored.changes);
    let Some(changes) = changes.filter(|changes| changes.source.is_some()) else {
        return Some(Line::new(format!("Update button, and {look}")).level(quiet));
    };
    if changes.trouble().is_some() {
        let text = format!("Change events fail; Update button, and {look}");
        return Some(Line::new(text).level(Level::Warn));
    }
    if !changes.healthy() {
        let text = format!("Change events begin; Update button, and {look}");
        return Some(Line::new(text).level(Level::Busy));
    }
    let text = format!("Change events, Update button, and {look}");
    let last = changes.last.map(|at| Ago::new(at, facts.at));
    Some(Line::new(text).at(last).level(quiet))
}

fn spoken(every: std::time::Duration) -> String {
    match every.as_secs() {
        secs @ 0..=119 => format!("{secs} s"),
        secs => format!("{} min", secs / 60),
    }
}

/// The events that are listed, and how many more are in order.
fn events(facts: &Facts) -> (Vec<EventRow>, usize) {
    let one = |refresh: &&Refresh| refresh.event.is_some();
    let mut all: Vec<_> = facts.refreshes.iter().filter(one).collect();
    all.sort_by_key(|refresh| (refresh.trouble().is_none(), std::cmp::Reverse(refresh.at)));
    let faulty = all.iter().filter(|refresh| refresh.trouble().is_some()).count();
    let listed = faulty.min(FAULTY) + LATEST;
    let quiet = all.len().saturating_sub(listed);
    let rows = all.into_iter().take(listed).filter_map(|refresh| event_row(facts, refresh));
    (rows.collect(), quiet)
}

fn event_row(facts: &Facts, refresh: &Refresh) -> Option<EventRow> {
    let event = refresh.event?;
    let listing = facts.listing(event);
    let (level, said, faults) = outcome(&refresh.outcome);
    let page = listing.filter(|listing| listing.published);
    let page = page.map(|listing| format!("/{}/{}", facts.org.profile.slug, listing.slug));
    Some(EventRow {
        id: event.to_string(),
        name: facts.name_of(event),
        page,
        level,
        said,
        faults,
        at: Some(Ago::new(refresh.at, facts.at)),
    })
}

fn outcome(outcome: &Outcome) -> (Level, String, Vec<String>) {
    match outcome {
        Outcome::Applied(applied) if applied.changed => {
            (Level::Good, "Changed here as in Salesforce".to_owned(), Vec::new())
        }
        Outcome::Applied(_) | Outcome::Read { .. } => {
            (Level::Good, "As Salesforce has it".to_owned(), Vec::new())
        }
        Outcome::Gone => {
            (Level::Good, "Gone from Salesforce, so it isn’t shown".to_owned(), Vec::new())
        }
        Outcome::Faulty(faults) => {
            let said = format!(
                "The last good page stays, for {}:",
                counted(faults.len(), "fault", "faults")
            );
            (Level::Warn, said, faults.iter().map(ToString::to_string).collect())
        }
        Outcome::Failed { means, remedy, again } => {
            let again = if *again { " Sloe tries again by itself." } else { "" };
            (Level::Bad, format!("{means} {remedy}{again}"), Vec::new())
        }
    }
}

fn waiting_row(row: &Waiting, now: Timestamp) -> WaitingRow {
    WaitingRow {
        what: format!("{}, {} no. {}", row.kind.word(), row.reference, row.place),
        code: row.code.clone(),
        tries: row.tries,
        next: Ago::new(row.next_try, now),
    }
}

impl Facts {
    /// What an event is called; its id if nothing is known of it.
    pub(super) fn name_of(&self, event: SfId) -> String {
        self.listing(event).map_or_else(|| format!("Event {event}"), |listing| listing.name.clone())
    }
}
