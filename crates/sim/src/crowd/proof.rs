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

/// The points that no storm is without.
pub(super) const POOLS: &str = "no pool is oversold";
pub(super) const ORDERS: &str = "every acknowledged registration is in Sloe";
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
    let claim = POOLS;
    let acknowledged = taken(ground, figures.acknowledged.iter().map(|a| a.visitor));
    let before = &ground.offer.left;
    let mut clients = ground.clients();
    let give_up = Instant::now() + SETTLING;
    let after = loop {
        let after = match ground.offer.left_everywhere(&mut clients, &ground.fleet).await {
            Ok(after) => after,
            Err(error) => {
                let detail = error.to_string();
                return Finding { claim, verdict: Verdict::Unchecked, detail };
            }
        };
        let faults = on_each(&after, |after| faults(before, &acknowledged, after));
        if faults.is_empty() || Instant::now() > give_up {
            break (after, faults);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let (after, faults) = after;
    let limited = before.len();
    if !faults.is_empty() {
        let detail = faults.join("; ");
        return Finding { claim, verdict: Verdict::Broken, detail };
    }
    if limited == 0 {
        let detail = "nothing of this event has a limit".to_owned();
        return Finding { claim, verdict: Verdict::Unchecked, detail };
    }
    let told = after.first().and_then(|(_, after)| after.get("event"));
    let detail = match (before.get("event"), told, acknowledged.get("event")) {
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

/// The faults in what each node tells, which is named where there are several.
fn on_each(
    told: &[(String, BTreeMap<Pool, u64>)],
    faults: impl Fn(&BTreeMap<Pool, u64>) -> Vec<String>,
) -> Vec<String> {
    let named = |origin: &str, fault: String| match told.len() {
        1 => fault,
        _ => format!("{origin}: {fault}"),
    };
    let all = told.iter().flat_map(|(origin, after)| {
        faults(after).into_iter().map(|fault| named(origin, fault)).collect::<Vec<_>>()
    });
    all.collect()
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

#[derive(Default, Deserialize)]
struct OrderWire {
    #[serde(default)]
    reference: Option<String>,
    tickets: Vec<TicketWire>,
}

#[derive(Deserialize)]
struct TicketWire {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    item: Option<String>,
    #[serde(default)]
    sessions: Option<Vec<String>>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    cancelled: bool,
}

/// Why an order is not known to be as it must.
enum Doubt {
    /// It is not as it was acknowledged.
    Wrong(String),
    /// Nobody said how it is.
    Unseen(String),
}

/// What reading orders back has shown.
#[derive(Default)]
struct Seen {
    wrong: Vec<String>,
    unseen: Vec<String>,
    /// The codes of all tickets.
    codes: Vec<String>,
}

/// Every acknowledged order is somebody's own and can be read, with the right ticket for
/// everybody. Several targets are asked in turn.
async fn orders(options: &Options, ground: &Arc<Ground>, figures: &Figures) -> Finding {
    let claim = ORDERS;
    let sample = sample(ground, &figures.acknowledged, options.read_back);
    let (all, read) = (figures.acknowledged.len(), sample.len());
    let sample = Arc::new(sample);
    let next = Arc::new(AtomicUsize::new(0));
    let mut readers = JoinSet::new();
    for _ in 0..options.connections.clamp(1, 64) {
        let (ground, sample, next) = (Arc::clone(ground), Arc::clone(&sample), Arc::clone(&next));
        readers.spawn(async move {
            let mut clients = ground.clients();
            let mut seen = Seen::default();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(order) = sample.get(at) else { return seen };
                match read_back(&ground, (&mut clients, at), order).await {
                    Ok(codes) => seen.codes.extend(codes),
                    Err(Doubt::Wrong(fault)) => seen.wrong.push(fault),
                    Err(Doubt::Unseen(trouble)) => seen.unseen.push(trouble),
                }
            }
        });
    }
    let mut seen = Seen::default();
    for part in readers.join_all().await {
        seen.wrong.extend(part.wrong);
        seen.unseen.extend(part.unseen);
        seen.codes.extend(part.codes);
    }
    seen.wrong.extend(shared(&figures.acknowledged));
    seen.wrong.extend(same_codes(seen.codes));
    let some = |all: &[String]| all.iter().take(EXAMPLES).cloned().collect::<Vec<_>>().join("; ");
    let count = |count: usize| grouped(count as u64);
    let (verdict, detail) = if !seen.wrong.is_empty() {
        let (faults, shown) = (count(seen.wrong.len()), some(&seen.wrong));
        (Verdict::Broken, format!("{faults} of {} are not: {shown}", count(read)))
    } else if !seen.unseen.is_empty() {
        let (troubles, shown) = (count(seen.unseen.len()), some(&seen.unseen));
        (Verdict::Unchecked, format!("{troubles} of {} can't be read: {shown}", count(read)))
    } else if read == 0 {
        (Verdict::Unchecked, "none was read back".to_owned())
    } else if read == all {
        (Verdict::Held, format!("all {} orders were read back", count(all)))
    } else {
        let [read, all] = [read, all].map(count);
        (Verdict::Held, format!("a random sample of {read} out of {all} orders was read back"))
    };
    Finding { claim, verdict, detail }
}

/// Codes that more than one ticket has: one of the two would be turned away at the door.
fn same_codes(codes: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::with_capacity(codes.len());
    let again = codes.into_iter().filter(|code| !seen.insert(code.clone()));
    again.map(|code| format!("two tickets have the code {code}")).collect()
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

/// Reads an order; the codes of its tickets.
async fn read_back(
    ground: &Ground,
    (clients, first): (&mut Clients, usize),
    order: &Acknowledged,
) -> Result<Vec<String>, Doubt> {
    let name = order.reference.as_deref().unwrap_or("an order");
    let wrong = |what: String| Doubt::Wrong(format!("{name}: {what}"));
    let path = format!("/api/v1/orders/{}", order.order);
    let mut request = Vec::new();
    write_request(&mut request, ("GET", &path), ground.authority(), &[], None);
    let mut last = Doubt::Unseen(String::new());
    for attempt in 0..READS {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        last = match clients.somewhere(first + attempt, &request).await {
            Ok(200) => {
                let read: OrderWire = serde_json::from_slice(clients.reply().body)
                    .map_err(|error| wrong(error.to_string()))?;
                let wish = ground.wish(order.visitor);
                let emails = (1..=wish.people).map(|n| ground.crowd.email(order.visitor, n));
                let emails: Vec<String> = emails.collect();
                compare((&wish, &emails), order, &read).map_err(wrong)?;
                return Ok(read.tickets.into_iter().filter_map(|ticket| ticket.code).collect());
            }
            // Busy, or not ready: that is no answer.
            Ok(status @ (429 | 503)) => Doubt::Unseen(format!("{name}: status {status}")),
            Ok(status @ 500..) => wrong(format!("status {status}")),
            Ok(status) => return Err(wrong(format!("status {status}"))),
            Err(trouble) => Doubt::Unseen(format!("{name}: {}", trouble.name())),
        };
    }
    Err(last)
}

/// Whether an order is what was wished for by those with these addresses, in this order.
fn compare(
    (wish, emails): (&Wish, &[String]),
    order: &Acknowledged,
    read: &OrderWire,
) -> Result<(), String> {
    let people = usize::from(wish.people);
    if read.tickets.len() != people {
        return Err(format!("{} tickets instead of {people}", read.tickets.len()));
    }
    let mut wanted = wish.sessions.clone();
    wanted.sort();
    for (ticket, email) in read.tickets.iter().zip(emails) {
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
        if let Some(other) = ticket.email.as_ref().filter(|told| *told != email) {
            return Err(format!("a ticket of {other} instead of {email}"));
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
        let codes = ["k", "l", "k"].map(str::to_owned).to_vec();
        assert_eq!(same_codes(codes), ["two tickets have the code k"]);
        let wish = Wish { people: 1, item: "i".into(), sessions: vec!["s".into(), "t".into()] };
        let read = |text: &str| -> OrderWire { serde_json::from_str(text).unwrap_or_default() };
        let emails = ["a@example.org".to_owned()];
        let judged = |text: &str| compare((&wish, &emails), &order(1, "a"), &read(text));
        let good = r#"{"reference":"R-1","tickets":[{"item":"i","sessions":["t","s"]}]}"#;
        assert_eq!(judged(good), Ok(()));
        for (text, fault) in [
            (r#"{"tickets":[]}"#, "0 tickets instead of 1"),
            (r#"{"tickets":[{"item":"x"}]}"#, "a ticket of another type"),
            (r#"{"tickets":[{"sessions":["s"]}]}"#, "a ticket for other sessions"),
            (r#"{"tickets":[{"cancelled":true}]}"#, "a ticket is cancelled"),
            (
                r#"{"tickets":[{"email":"b@example.org"}]}"#,
                "a ticket of b@example.org instead of a@example.org",
            ),
            (r#"{"reference":"R-2","tickets":[{}]}"#, "its reference is now R-2"),
        ] {
            assert_eq!(judged(text), Err(fault.to_owned()), "{text}");
        }
    }
}
