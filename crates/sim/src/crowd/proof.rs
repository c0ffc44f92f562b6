//! The proof: what must hold after a storm, each point checked with what the
//! outside can see, and none taken on trust.

mod mix;
mod org;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Deserialize;
use tokio::task::JoinSet;

pub(super) use org::OrgReader;

use super::fleet::Clients;
use super::offer::{Pool, Wish};
use super::report::{Finding, Verdict, grouped};
use super::tally::{Acknowledged, Figures};
use super::wire::write_request;
use super::{Ground, Options};

/// How long what is left may take to show the last registrations; the
/// interface promises one second.
const SETTLING: Duration = Duration::from_secs(3);
/// Examples that a finding names.
const EXAMPLES: usize = 5;
/// Attempts at reading one order back.
const READS: usize = 5;

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
    findings.extend(mix::judge(options, ground, figures, bar).await);
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
    let mut clients = ground.clients();
    let give_up = Instant::now() + SETTLING;
    let after = loop {
        let after = match ground.offer.left_now(&mut clients, ground.fleet.name()).await {
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
        (Some(before), Some(after), taken) => {
            let [before, taken, after] = [*before, *taken.unwrap_or(&0), *after].map(grouped);
            format!(
                "{limited} limited pools; the event had {before} left, {taken} were acknowledged, \
                 {after} are left"
            )
        }
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
    tickets: Vec<TicketWire>,
}

#[derive(Deserialize)]
struct TicketWire {
    #[serde(default)]
    item: Option<String>,
    #[serde(default)]
    sessions: Option<Vec<String>>,
    #[serde(default)]
    cancelled: bool,
}

/// Every acknowledged order is somebody's own and can be read, with the right ticket for
/// everybody. Several targets are asked in turn.
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
            let mut clients = ground.clients();
            let mut faults = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(order) = sample.get(at) else { return faults };
                if let Err(fault) = read_back(&ground, (&mut clients, at), order).await {
                    faults.push(fault);
                }
            }
        });
    }
    let mut faults: Vec<String> = readers.join_all().await.into_iter().flatten().collect();
    faults.extend(shared(&figures.acknowledged));
    if !faults.is_empty() {
        let shown: Vec<&str> = faults.iter().take(EXAMPLES).map(String::as_str).collect();
        let detail = format!("{} of {read} are not: {}", faults.len(), shown.join("; "));
        return Finding { claim, verdict: Verdict::Broken, detail };
    }
    let detail = if read == all {
        format!("all {} orders were read back", grouped(all as u64))
    } else {
        let [read, all] = [read, all].map(|count| grouped(count as u64));
        format!("a random sample of {read} out of {all} orders was read back")
    };
    Finding { claim, verdict: Verdict::Held, detail }
}

/// Orders that more than one visitor was given.
fn shared(orders: &[Acknowledged]) -> Vec<String> {
    let mut seen = HashSet::with_capacity(orders.len());
    let again = orders.iter().filter(|order| !seen.insert(order.order.as_str()));
    let name = |order: &Acknowledged| order.reference.clone().unwrap_or("an order".to_owned());
    again.map(|order| format!("{}: given to two visitors", name(order))).collect()
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
    (clients, first): (&mut Clients, usize),
    order: &Acknowledged,
) -> Result<(), String> {
    let name = order.reference.as_deref().unwrap_or("an order");
    let path = format!("/api/v1/orders/{}", order.order);
    let mut request = Vec::new();
    write_request(&mut request, ("GET", &path), ground.authority(), &[], None);
    let mut last = String::new();
    for attempt in 0..READS {
        match clients.somewhere(first + attempt, &request).await {
            Ok(200) => {
                let read: OrderWire = serde_json::from_slice(clients.reply().body)
                    .map_err(|error| format!("{name}: {error}"))?;
                let wish = ground.wish(order.visitor);
                return compare(&wish, order, &read).map_err(|what| format!("{name}: {what}"));
            }
            Ok(status @ (429 | 500..)) => last = format!("{name}: status {status}"),
            Ok(status) => return Err(format!("{name}: status {status}")),
            Err(trouble) => last = format!("{name}: {}", trouble.name()),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(last)
}

fn compare(wish: &Wish, order: &Acknowledged, read: &OrderWire) -> Result<(), String> {
    let people = usize::from(wish.people);
    if read.tickets.len() != people {
        return Err(format!("{} tickets instead of {people}", read.tickets.len()));
    }
    let mut wanted = wish.sessions.clone();
    wanted.sort();
    for ticket in &read.tickets {
        if ticket.cancelled {
            return Err("a ticket is cancelled".to_owned());
        }
        if ticket.item.as_ref().is_some_and(|item| *item != wish.item) {
            return Err("a ticket of another type".to_owned());
        }
        if let Some(sessions) = &ticket.sessions {
            let mut sessions = sessions.clone();
            sessions.sort();
            if sessions != wanted {
                return Err("a ticket for other sessions".to_owned());
            }
        }
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

    #[test]
    fn an_order_must_be_somebodys_own_with_the_right_tickets() {
        let order = |visitor, id: &str| Acknowledged {
            visitor,
            order: id.to_owned(),
            reference: Some("R-1".to_owned()),
        };
        assert!(shared(&[order(1, "a"), order(2, "b")]).is_empty());
        assert_eq!(shared(&[order(1, "a"), order(2, "a")]), ["R-1: given to two visitors"]);
        let wish = Wish { people: 1, item: "i".into(), sessions: vec!["s".into(), "t".into()] };
        let read = |text: &str| -> OrderWire {
            serde_json::from_str(text)
                .unwrap_or_else(|_| OrderWire { reference: None, tickets: Vec::new() })
        };
        let judged = |text: &str| compare(&wish, &order(1, "a"), &read(text));
        let good = r#"{"reference":"R-1","tickets":[{"item":"i","sessions":["t","s"]}]}"#;
        assert_eq!(judged(good), Ok(()));
        for (text, fault) in [
            (r#"{"tickets":[]}"#, "0 tickets instead of 1"),
            (r#"{"tickets":[{"item":"x"}]}"#, "a ticket of another type"),
            (r#"{"tickets":[{"sessions":["s"]}]}"#, "a ticket for other sessions"),
            (r#"{"tickets":[{"cancelled":true}]}"#, "a ticket is cancelled"),
            (r#"{"reference":"R-2","tickets":[{}]}"#, "its reference is now R-2"),
        ] {
            assert_eq!(judged(text), Err(fault.to_owned()), "{text}");
        }
    }
}
