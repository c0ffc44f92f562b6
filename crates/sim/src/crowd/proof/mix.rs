//! What must hold of those who do more than register, or less.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::super::kind::Kind;
use super::super::offer::Pool;
use super::super::report::{Finding, Verdict, grouped};
use super::super::tally::{Faults, Figures};
use super::super::{Ground, Options};
use super::{SETTLING, on_each, taken};

const DOUBLED: &str = "clicking twice, reloading and going back make one order";
const REFUSED: &str = "bots get nothing but refusals";
const BACK: &str = "abandoned seats come back, and none is taken for nobody";
/// How long after its expiry a seat may take to be on offer again: a sweep and a second's age
/// of what is told, and some more on a busy machine.
const GRACE: Duration = Duration::from_secs(20);

/// The findings about everybody but plain registrants; none if there was nobody else.
pub(super) async fn judge(
    options: &Options,
    ground: &Ground,
    figures: &Figures,
    bar: &ProgressBar,
) -> Vec<Finding> {
    let mix = options.mix;
    let mut findings = Vec::new();
    if mix.weight(Kind::DoubleClickers) > 0 || mix.weight(Kind::Reloaders) > 0 {
        let seen = format!("{} times it was tried", grouped(figures.doubles));
        findings.push(faultless(DOUBLED, &figures.double_faults, figures.doubles, seen));
    }
    if mix.weight(Kind::Bots) > 0 {
        let answers = figures.bots.values().sum();
        findings.push(faultless(REFUSED, &figures.bot_faults, answers, refusals(figures)));
    }
    if mix.only_way().is_none() {
        findings.push(seats_back(options, ground, figures, bar).await);
    }
    findings
}

fn faultless(claim: &'static str, faults: &Faults, tried: u64, seen: String) -> Finding {
    if faults.count == 0 {
        // What was never tried is not proven.
        let verdict = if tried > 0 { Verdict::Held } else { Verdict::Unchecked };
        return Finding { claim, verdict, detail: seen };
    }
    let detail = format!("{} times not: {}", faults.count, faults.examples.join("; "));
    Finding { claim, verdict: Verdict::Broken, detail }
}

/// What bots were answered, and how it went for the others meanwhile.
fn refusals(figures: &Figures) -> String {
    let answers: u64 = figures.bots.values().sum();
    let answered = figures.bots.iter().map(|(status, count)| (status.to_string(), *count));
    let silent = figures.bot_silences.iter().map(|(kind, count)| (kind.clone(), *count));
    let each = answered.chain(silent).map(|(what, count)| format!("{what}: {}", grouped(count)));
    let each: Vec<String> = each.collect();
    let failed: u64 = Kind::ALL
        .iter()
        .filter(|kind| **kind != Kind::Bots)
        .filter_map(|kind| figures.kinds.get(kind.index()))
        .map(|kind| kind.failed)
        .sum();
    format!(
        "{} answers ({}); {} other visitors failed meanwhile",
        grouped(answers),
        each.join(", "),
        grouped(failed)
    )
}

/// Waits until the seats that were held and left are due, and looks for them.
async fn seats_back(
    options: &Options,
    ground: &Ground,
    figures: &Figures,
    bar: &ProgressBar,
) -> Finding {
    let units = |visitors: &mut dyn Iterator<Item = u64>| taken(ground, visitors);
    let known = units(
        &mut figures.acknowledged.iter().map(|a| a.visitor).chain(figures.unknown.iter().copied()),
    );
    let held = units(&mut figures.held.iter().map(|held| held.visitor));
    let seats: u64 = held.get("event").copied().unwrap_or(0);
    let last = figures.held.iter().map(|held| held.until).max();
    let remaining = last.map_or(Duration::ZERO, until);
    let due = remaining <= options.expiry;
    let mut spoken_for = known;
    if !due {
        for (pool, units) in held {
            *spoken_for.entry(pool).or_insert(0) += units;
        }
    }
    let wait = if due { remaining + GRACE } else { SETTLING };
    let faults = settle(ground, &spoken_for, wait, bar).await;
    let holds = grouped(figures.held.len() as u64);
    match faults {
        Err(detail) => Finding { claim: BACK, verdict: Verdict::Unchecked, detail },
        Ok(faults) if !faults.is_empty() => {
            Finding { claim: BACK, verdict: Verdict::Broken, detail: faults.join("; ") }
        }
        Ok(_) if due => {
            let detail = format!(
                "all {} seats of {holds} abandoned holds are on offer again",
                grouped(seats)
            );
            Finding { claim: BACK, verdict: Verdict::Held, detail }
        }
        Ok(_) => {
            let detail = format!(
                "not yet due: {} seats of {holds} abandoned holds are free again in {} s at the \
                 latest; to see it, wait with --expiry {}. No other seat is taken for nobody",
                grouped(seats),
                remaining.as_secs() + 1,
                remaining.as_secs() + 60
            );
            Finding { claim: BACK, verdict: Verdict::Unchecked, detail }
        }
    }
}

/// How long until a time in milliseconds since 1970.
fn until(millis: i64) -> Duration {
    let left = millis - jiff::Timestamp::now().as_millisecond();
    Duration::from_millis(u64::try_from(left).unwrap_or(0))
}

/// Looks until nothing is missing, at most so long; what is missing then.
async fn settle(
    ground: &Ground,
    spoken_for: &BTreeMap<Pool, u64>,
    wait: Duration,
    bar: &ProgressBar,
) -> Result<Vec<String>, String> {
    let mut clients = ground.clients();
    let give_up = Instant::now() + wait;
    loop {
        let after = ground.offer.left_everywhere(&mut clients, &ground.fleet).await;
        let after = after.map_err(|error| error.to_string())?;
        let faults = on_each(&after, |after| missing(&ground.offer.left, spoken_for, after));
        let now = Instant::now();
        if faults.is_empty() || now > give_up {
            return Ok(faults);
        }
        let seconds = (give_up - now).as_secs();
        bar.set_message(format!("waiting for abandoned seats, {seconds} s at most"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Pools that have less left than they had before, less what somebody has or may have.
fn missing(
    before: &BTreeMap<Pool, u64>,
    spoken_for: &BTreeMap<Pool, u64>,
    after: &BTreeMap<Pool, u64>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (pool, before) in before {
        let least = before.saturating_sub(spoken_for.get(pool).copied().unwrap_or(0));
        let after = after.get(pool).copied().unwrap_or(0);
        if after < least {
            faults.push(format!(
                "{pool}: {after} are left and {least} should be (unless somebody else took seats \
                 meanwhile)"
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(pairs: &[(&str, u64)]) -> BTreeMap<Pool, u64> {
        pairs.iter().map(|(pool, units)| ((*pool).to_owned(), *units)).collect()
    }

    #[test]
    fn a_seat_that_nobody_has_and_that_is_not_on_offer_is_named() {
        let before = pools(&[("event", 100), ("item a", 10)]);
        let spoken_for = pools(&[("event", 40), ("item a", 10)]);
        let good = pools(&[("event", 60), ("item a", 0)]);
        assert!(missing(&before, &spoken_for, &good).is_empty());
        let gone = missing(&before, &spoken_for, &pools(&[("event", 59), ("item a", 0)]));
        assert!(gone.len() == 1 && gone[0].starts_with("event: 59 are left and 60 should be"));
        // More may be on offer: what was in doubt may not have happened.
        assert!(missing(&before, &spoken_for, &before).is_empty());
    }

    #[test]
    fn what_is_past_is_due_now() {
        let now = jiff::Timestamp::now().as_millisecond();
        assert_eq!(until(now - 1_000), Duration::ZERO);
        assert!(until(now + 60_000) > Duration::from_secs(50));
    }
}
