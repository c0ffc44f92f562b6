//! What a comparison with the org came to, in words.

use std::time::Duration;

use sloe_core::time::Timestamp;
use sloe_core::verify::Difference;
use sloe_engine::sync::SyncFault;
use sloe_engine::verify::Verified;
use sloe_engine::worker::Calls24h;

use super::ago::Ago;
use super::draw::{count, counted};
use super::facts::Facts;
use super::judge::Level;
use super::view::{Line, Pass};

/// Comparisons that may be missed before the last one counts as old.
const MISSED: i64 = 3;

/// Whether a comparison that is to be made anew every so often was not for long.
pub(super) fn is_old(verified: &Verified, every: Duration, now: Timestamp) -> bool {
    let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    now.millis_since(verified.ended) > every.saturating_mul(MISSED)
}

/// What differs, for people.
pub(super) fn word(difference: Difference) -> &'static str {
    match difference {
        Difference::Missing => "missing in Salesforce",
        Difference::Deleted => "deleted in Salesforce",
        Difference::Stale => "in an older state there",
        Difference::Cancelled => "cancelled in Salesforce",
        Difference::Changed => "changed in Salesforce",
        Difference::Surplus => "not Sloe’s, but said to be",
        Difference::Figures => "with other figures there",
    }
}

/// How bad what was found is.
pub(super) fn level(verified: &Verified) -> Level {
    let open = verified.differences.values().any(|found| found.mended < found.found);
    match verified {
        verified if open => with_fault(verified, Level::Bad),
        verified if verified.found() > 0 => with_fault(verified, Level::Busy),
        verified if verified.left_out > 0 || verified.unsure > 0 => {
            with_fault(verified, Level::Busy)
        }
        verified => with_fault(verified, Level::Good),
    }
}

fn with_fault(verified: &Verified, level: Level) -> Level {
    if verified.fault.is_some() { level.max(Level::Warn) } else { level }
}

/// Why a comparison ended early, without when it may go on: that is told of the calls.
pub(super) fn means(fault: &SyncFault) -> &str {
    if Calls24h::is_the_remedy(&fault.remedy) {
        return "Sloe keeps to its share of the org’s API calls.";
    }
    &fault.means
}

/// What a comparison found, in a sentence.
pub(super) fn sentence(verified: &Verified) -> String {
    let rows = usize::try_from(verified.rows).unwrap_or(usize::MAX);
    if verified.found() > 0 {
        let parts: Vec<_> = verified
            .differences
            .iter()
            .map(|(difference, found)| format!("{} {}", count(found.found), word(*difference)))
            .collect();
        return format!(
            "{}: {}",
            counted_u64(verified.found(), "row differs", "rows differ"),
            parts.join(", ")
        );
    }
    match (verified.fault.is_some(), verified.left_out) {
        (true, _) => "It ended early".to_owned(),
        (false, 0) if rows == 0 => "Compared; there is no row yet".to_owned(),
        (false, 0) => format!("{} compared, none differs", counted(rows, "row", "rows")),
        (false, left) => format!("{} could not be compared", counted_u64(left, "event", "events")),
    }
}

fn counted_u64(n: u64, one: &str, many: &str) -> String {
    counted(usize::try_from(n).unwrap_or(usize::MAX), one, many)
}

/// The last comparison, for both pages.
pub(super) fn lines(facts: &Facts) -> Vec<Line> {
    let Ok(stored) = &facts.stored else {
        return vec![Line::new("Can’t be read").level(Level::Bad)];
    };
    let mut lines = Vec::new();
    if facts.verifying {
        lines.push(Line::new("Being compared now").level(Level::Busy));
    }
    match &stored.verified {
        None if facts.verifying => {}
        None => lines.push(Line::new("Not compared yet").level(Level::Busy)),
        Some(verified) => {
            let at = Some(Ago::new(verified.ended, facts.at));
            let mut level = level(verified);
            if is_old(verified, stored.compare_every, facts.at) {
                level = level.max(Level::Busy);
            }
            lines.push(Line::new(sentence(verified)).at(at).level(level));
            if verified.unsure > 0 {
                let rows = counted_u64(verified.unsure, "row was", "rows were");
                lines.push(Line::new(format!("{rows} still on the way or refused")));
            }
        }
    }
    lines
}

/// The last comparisons one by one.
pub(super) fn passes(all: &[Verified], now: Timestamp) -> Vec<Pass> {
    let pass = |verified: &Verified| {
        let mended: u64 = verified.differences.values().map(|found| found.mended).sum();
        let mut notes = Vec::new();
        if mended > 0 {
            notes.push(format!("{} put right by Sloe", count(mended)));
        }
        if verified.found() > 0 && !verified.surplus.is_empty() {
            notes.push(format!("not Sloe’s: {}", verified.surplus.join(", ")));
        }
        if let Some(fault) = &verified.fault {
            notes.push(format!("{} {}", means(fault), fault.remedy));
        }
        if let Some(refusal) = &verified.refusal {
            notes.push(format!("{} {}", refusal.means, refusal.remedy));
        }
        Pass {
            at: Ago::new(verified.ended, now),
            level: level(verified),
            said: sentence(verified),
            note: notes.join("; "),
        }
    };
    all.iter().map(pass).collect()
}
