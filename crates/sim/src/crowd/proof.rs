//! The proof: what must hold after a storm, each point checked with what the
//! outside can see, and none taken on trust.

mod org;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Deserialize;
use tokio::task::JoinSet;

pub(super) use org::OrgReader;

use super::offer::Pool;
use super::report::{Finding, Verdict};
use super::tally::{Acknowledged, Figures};
use super::wire::{Client, write_request};
use super::{Ground, Options};

/// How long what is left may take to show the last registrations; the
/// interface promises one second.
const SETTLING: Duration = Duration::from_secs(3);
/// Examples that a finding names.
const EXAMPLES: usize = 5;
/// Attempts at reading one order back.
const READS: u32 = 5;

/// Judges every point.
pub(super) async fn judge(
    options: &Options,
    ground: &Arc<Ground>,
    figures: &Figures,
    org: Option<&OrgReader>,
    bar: &ProgressBar,
) -> Vec<Finding> {
    bar.set_message("checking the pools");
    let mut findings = vec![pools(ground, figures).await];
    bar.set_message("reading the orders back");
    findings.push(orders(options, ground, figures).await);
    match org {
        Some(org) => findings.extend(org.judge(ground, figures, bar).await),
        None => findings.push(Finding {
            claim: "every acknowledged attendee is in the org exactly once",
            verdict: Verdict::Unchecked,
            detail: "no org was named to look in".to_owned(),
        }),
    }
    findings
}

/// Units that these visitors take from each pool.
fn taken(ground: &Ground, visitors: impl Iterator<Item = u64>) -> BTreeMap<Pool, u64> {
    let mut taken = BTreeMap::new();
    for visitor in visitors {
        let wish = ground.wish(visitor);
        for pool in wish.pools() {
            *taken.entry(pool).or_insert(0) += u64::from(wish.people);
        }
    }
    taken
}

/// No more was acknowledged than was left before, and what is left after has
/// gone down by at least what was acknowledged.
async fn pools(ground: &Ground, figures: &Figures) -> Finding {
    let claim = "no pool is oversold";
    let acknowledged = taken(ground, figures.acknowledged.iter().map(|a| a.visitor));
    let before = &ground.offer.left;
    let mut client = ground.client();
    let give_up = Instant::now() + SETTLING;
    let after = loop {
        let after = match ground.offer.left_now(&mut client).await {
            Ok(after) => after,
            Err(error) => {
                let detail = error.to_string();
                return Finding { claim, verdict: Verdict::Unchecked, detail };
            }
        };
        if faults(before, &acknowledged, &after).is_empty() || Instant::now() > give_up {
            break after;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let faults = faults(before, &acknowledged, &after);
    let limited = before.len();
    if !faults.is_empty() {
        let detail = faults.join("; ");
        return Finding { claim, verdict: Verdict::Broken, detail };
    }
    let detail = match (before.get("event"), after.get("event"), acknowledged.get("event")) {
        (Some(before), Some(after), taken) => format!(
            "{limited} limited pools; the event had {before} left, {} were acknowledged, {after} are left",
            taken.unwrap_or(&0)
        ),
        _ => format!("{limited} limited pools"),
    };
    Finding { claim, verdict: Verdict::Held, detail }
}

fn faults(
    before: &BTreeMap<Pool, u64>,
    taken: &BTreeMap<Pool, u64>,
    after: &BTreeMap<Pool, u64>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (pool, before) in before {
        let taken = taken.get(pool).copied().unwrap_or(0);
        let after = after.get(pool).copied().unwrap_or(u64::MAX);
        if taken > *before {
            faults.push(format!("{pool}: {before} were left, {taken} were acknowledged"));
        } else if after > before - taken {
            faults.push(format!(
                "{pool}: {before} were left and {taken} were acknowledged, yet {after} are left \
                 (unless somebody else gave seats back meanwhile)"
            ));
        }
    }
    faults
}

#[derive(Deserialize)]
struct OrderWire {
    #[serde(default)]
    reference: Option<String>,
    tickets: Vec<serde::de::IgnoredAny>,
}

/// Every acknowledged order can be read, with a ticket for everybody.
async fn orders(options: &Options, ground: &Arc<Ground>, figures: &Figures) -> Finding {
    let claim = "every acknowledged registration is in Sloe";
    let sample = sample(ground, &figures.acknowledged, options.read_back);
    let (all, read) = (figures.acknowledged.len(), sample.len());
    let sample = Arc::new(sample);
    let next = Arc::new(AtomicUsize::new(0));
    let mut readers = JoinSet::new();
    for _ in 0..options.connections.clamp(1, 64) {
        let (ground, sample, next) = (Arc::clone(ground), Arc::clone(&sample), Arc::clone(&next));
        readers.spawn(async move {
            let mut client = ground.client();
            let mut faults = Vec::new();
            while let Some(order) = sample.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(fault) = read_back(&ground, &mut client, order).await {
                    faults.push(fault);
                }
            }
            faults
        });
    }
    let faults: Vec<String> = readers.join_all().await.into_iter().flatten().collect();
    if !faults.is_empty() {
        let shown: Vec<&str> = faults.iter().take(EXAMPLES).map(String::as_str).collect();
        let detail = format!("{} of {read} are not: {}", faults.len(), shown.join("; "));
        return Finding { claim, verdict: Verdict::Broken, detail };
    }
    let detail = if read == all {
        format!("all {all} orders were read back")
    } else {
        format!("a random sample of {read} out of {all} orders was read back")
    };
    Finding { claim, verdict: Verdict::Held, detail }
}

/// All orders, or so many of them drawn at random.
fn sample(ground: &Ground, orders: &[Acknowledged], most: usize) -> Vec<Acknowledged> {
    let mut orders = orders.to_vec();
    let mut dice = ground.crowd.dice(u64::MAX, 0);
    for at in 0..orders.len().min(most) {
        let rest = (orders.len() - at) as u64;
        let other = at + usize::try_from(dice.below(rest)).unwrap_or(0);
        orders.swap(at, other);
    }
    orders.truncate(most);
    orders
}

async fn read_back(
    ground: &Ground,
    client: &mut Client,
    order: &Acknowledged,
) -> Result<(), String> {
    let name = order.reference.as_deref().unwrap_or("an order");
    let path = format!("/api/v1/orders/{}", order.order);
    let mut request = Vec::new();
    write_request(&mut request, ("GET", &path), &ground.target.authority, &[], None);
    let mut last = String::new();
    for _ in 0..READS {
        match client.exchange(&request).await {
            Ok(200) => {
                let read: OrderWire = serde_json::from_slice(client.reply().body)
                    .map_err(|error| format!("{name}: {error}"))?;
                return compare(ground, order, &read).map_err(|what| format!("{name}: {what}"));
            }
            Ok(status @ (429 | 500..)) => last = format!("{name}: status {status}"),
            Ok(status) => return Err(format!("{name}: status {status}")),
            Err(trouble) => last = format!("{name}: {}", trouble.name()),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(last)
}

fn compare(ground: &Ground, order: &Acknowledged, read: &OrderWire) -> Result<(), String> {
    let people = usize::from(ground.wish(order.visitor).people);
    if read.tickets.len() != people {
        return Err(format!("{} tickets instead of {people}", read.tickets.len()));
    }
    match (&order.reference, &read.reference) {
        (Some(told), Some(read)) if told != read => Err(format!("its reference is now {read}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(pairs: &[(&str, u64)]) -> BTreeMap<Pool, u64> {
        pairs.iter().map(|(pool, units)| ((*pool).to_owned(), *units)).collect()
    }

    #[test]
    fn an_oversold_pool_and_a_forgotten_registration_are_named() {
        let before = pools(&[("event", 100), ("item a", 10)]);
        let good = pools(&[("event", 60), ("item a", 0)]);
        assert!(faults(&before, &pools(&[("event", 40), ("item a", 10)]), &good).is_empty());
        // Somebody else may take seats too.
        assert!(faults(&before, &pools(&[("event", 30)]), &good).is_empty());
        let oversold = faults(&before, &pools(&[("event", 40), ("item a", 11)]), &good);
        assert_eq!(oversold, ["item a: 10 were left, 11 were acknowledged"]);
        let forgotten = faults(&before, &pools(&[("event", 41)]), &good);
        assert!(forgotten[0].starts_with("event: 100 were left and 41 were acknowledged, yet 60"));
        // A limit that vanished proves nothing was counted.
        assert_eq!(faults(&before, &BTreeMap::new(), &BTreeMap::new()).len(), 2);
    }
}
