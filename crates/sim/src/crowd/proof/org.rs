//! The proof's last leg: the org itself, asked in SOQL with its own
//! credentials, not through Sloe.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::report::{Finding, Verdict, grouped};
use super::super::tally::Figures;
use super::super::{Ground, OrgAccess, StormError};
use super::EXAMPLES;

const VERSION: &str = "v62.0";
const ARRIVED: &str = "every acknowledged attendee is in the org exactly once";
const CAPACITY: &str = "the org has no more attendees than seats";
/// Time between two looks at how many have arrived.
const LOOK: Duration = Duration::from_secs(1);

/// An org that can be asked.
pub(in super::super) struct OrgReader {
    http: reqwest::Client,
    url: String,
    token: String,
    patience: Duration,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    instance_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    total_size: u64,
    records: Vec<Map<String, Value>>,
    next_records_url: Option<String>,
}

/// A row of the crowd: its visitor's number and place.
type Seat = (u64, u16);

impl OrgReader {
    /// Signs in with the client credentials flow.
    pub(in super::super) async fn sign_in(access: &OrgAccess) -> Result<Self, StormError> {
        let failed = |what: String| StormError::Org { url: access.url.clone(), what };
        // Another part of the process may have chosen one already; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(120)).build();
        let http = http.map_err(|error| failed(error.to_string()))?;
        let url = format!("{}/services/oauth2/token", access.url.trim_end_matches('/'));
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &access.client_id),
            ("client_secret", &access.client_secret),
        ];
        let answer = http.post(url).form(&form).send().await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(failed(format!("it refuses the credentials ({})", answer.status())));
        }
        let token: Token = answer.json().await.map_err(|error| failed(error.to_string()))?;
        let (url, token) = (token.instance_url, token.access_token);
        Ok(Self { http, url, token, patience: access.patience })
    }

    /// Waits until the outbox has drained, then counts every row.
    pub(in super::super) async fn judge(
        &self,
        ground: &Ground,
        figures: &Figures,
        bar: &ProgressBar,
    ) -> Vec<Finding> {
        let unchecked = |claim, detail| Finding { claim, verdict: Verdict::Unchecked, detail };
        let neither = |what: &String| {
            [ARRIVED, CAPACITY].map(|claim| unchecked(claim, what.clone())).to_vec()
        };
        let waited = match self.wait(ground, figures, bar).await {
            Ok(waited) => waited,
            Err(what) => return neither(&what),
        };
        bar.set_message("reading the org's attendees");
        let (rows, event) = match self.rows(ground).await {
            Ok(read) => read,
            Err(what) => return neither(&what),
        };
        let counted = match &event {
            Some(event) => self.overfull(event).await,
            None => Err("no attendee has arrived who would name the event".to_owned()),
        };
        let capacity = match counted {
            Ok((0, _)) => unchecked(CAPACITY, "no record of the event has a limit".to_owned()),
            Ok((pools, faults)) if faults.is_empty() => Finding {
                claim: CAPACITY,
                verdict: Verdict::Held,
                detail: format!("{pools} limited records of the event were counted"),
            },
            Ok((_, faults)) => {
                Finding { claim: CAPACITY, verdict: Verdict::Broken, detail: faults.join("; ") }
            }
            Err(what) => unchecked(CAPACITY, what),
        };
        vec![arrived(ground, figures, &rows, waited), capacity]
    }

    /// Waits until as many rows have arrived as must, at most as long as was
    /// asked for; gives the time it took.
    async fn wait(
        &self,
        ground: &Ground,
        figures: &Figures,
        bar: &ProgressBar,
    ) -> Result<Duration, String> {
        let expected: u64 =
            figures.acknowledged.iter().map(|order| u64::from(ground.people(order.visitor))).sum();
        let soql = format!("SELECT COUNT() FROM Sloe_Attendee__c WHERE {}", mine(ground));
        let began = Instant::now();
        loop {
            let arrived = self.query(&soql).await?.total_size;
            let (here, all) = (grouped(arrived), grouped(expected));
            bar.set_message(format!("{here} of {all} attendees have arrived in the org"));
            if arrived >= expected || began.elapsed() > self.patience {
                return Ok(began.elapsed());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How often each of the crowd is in the org, with the order's reference;
    /// and the event's record id.
    async fn rows(&self, ground: &Ground) -> Result<(Rows, Option<String>), String> {
        let prefix = ground.crowd.email_prefix();
        let soql = format!(
            "SELECT Email__c, Order_Reference__c, Event__c FROM Sloe_Attendee__c WHERE {}",
            mine(ground)
        );
        let mut rows = Rows::default();
        let mut event = None;
        let mut page = self.query(&soql).await?;
        loop {
            for record in &page.records {
                let text = |field: &str| record.get(field).and_then(Value::as_str);
                let email = text("Email__c").unwrap_or_default();
                match seat(email, &prefix) {
                    Some(seat) => {
                        let reference = text("Order_Reference__c").unwrap_or_default();
                        rows.seen.entry(seat).or_default().push(reference.to_owned());
                    }
                    None => rows.strange += 1,
                }
                event = event.or_else(|| text("Event__c").map(str::to_owned));
            }
            match page.next_records_url {
                Some(next) => page = self.get(&format!("{}{next}", self.url)).await?,
                None => return Ok((rows, event)),
            }
        }
    }

    /// Records of the event that have a limit, and those that exceed it.
    async fn overfull(&self, event: &str) -> Result<(usize, Vec<String>), String> {
        let registered = "Registration_Status__c = 'Registered'";
        let counted = [
            (
                format!("SELECT Id, Capacity__c FROM Sloe_Event__c WHERE Id = '{event}'"),
                format!(
                    "SELECT Event__c, COUNT(Id) total FROM Sloe_Attendee__c \
                     WHERE Event__c = '{event}' AND {registered} GROUP BY Event__c"
                ),
            ),
            (
                format!("SELECT Id, Quantity__c FROM Sloe_Item__c WHERE Event__c = '{event}'"),
                format!(
                    "SELECT Item__c, COUNT(Id) total FROM Sloe_Attendee__c \
                     WHERE Event__c = '{event}' AND {registered} GROUP BY Item__c"
                ),
            ),
            (
                format!("SELECT Id, Capacity__c FROM Sloe_Session__c WHERE Event__c = '{event}'"),
                format!(
                    "SELECT Session__c, COUNT(Id) total FROM Sloe_Session_Attendee__c \
                     WHERE Session__r.Event__c = '{event}' AND {registered} GROUP BY Session__c"
                ),
            ),
        ];
        let (mut limited, mut faults) = (0, Vec::new());
        for (limits, totals) in counted {
            let limits = self.query(&limits).await?;
            let totals = self.query(&totals).await?;
            let totals: HashMap<&str, u64> = totals.records.iter().filter_map(total).collect();
            for (id, most) in limits.records.iter().filter_map(limit) {
                limited += 1;
                let has = totals.get(id).copied().unwrap_or(0);
                if has > most {
                    faults.push(format!("{id} has {most} seats and {has} attendees"));
                }
            }
        }
        Ok((limited, faults))
    }

    async fn query(&self, soql: &str) -> Result<Page, String> {
        let base = format!("{}/services/data/{VERSION}/query", self.url);
        let mut url = reqwest::Url::parse(&base).map_err(|error| error.to_string())?;
        url.query_pairs_mut().append_pair("q", soql);
        self.get(url.as_str()).await
    }

    async fn get(&self, url: &str) -> Result<Page, String> {
        let answer = self.http.get(url).bearer_auth(&self.token).send().await;
        let answer = answer.map_err(|error| format!("the org does not answer: {error}"))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if !status.is_success() {
            return Err(format!("the org answers {status}: {text}"));
        }
        serde_json::from_str(&text).map_err(|error| format!("the org's answer is odd: {error}"))
    }
}

/// The rows of this crowd.
fn mine(ground: &Ground) -> String {
    format!("Email__c LIKE '{}%'", ground.crowd.email_prefix())
}

/// Which of the crowd has this address.
fn seat(email: &str, prefix: &str) -> Option<Seat> {
    let (local, _) = email.strip_prefix(prefix)?.split_once('@')?;
    let (visitor, place) = local.split_once('.')?;
    Some((visitor.parse().ok()?, place.parse().ok()?))
}

/// A record's id and its limit, if it has one.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn limit(record: &Map<String, Value>) -> Option<(&str, u64)> {
    let id = record.get("Id")?.as_str()?;
    let most = record.get("Capacity__c").or_else(|| record.get("Quantity__c"))?.as_f64()?;
    Some((id, most as u64))
}

/// A group's id and its count.
fn total(record: &Map<String, Value>) -> Option<(&str, u64)> {
    let id = ["Event__c", "Item__c", "Session__c"].iter().find_map(|f| record.get(*f)?.as_str());
    Some((id?, record.get("total")?.as_u64()?))
}

/// What the org has of this crowd.
#[derive(Default)]
struct Rows {
    /// By seat: the references of its rows.
    seen: HashMap<Seat, Vec<String>>,
    /// Rows that look like the crowd's but are nobody's.
    strange: u64,
}

fn arrived(ground: &Ground, figures: &Figures, rows: &Rows, waited: Duration) -> Finding {
    let mut faults = Vec::new();
    let mut expected = 0_u64;
    let mut known = HashSet::new();
    for order in &figures.acknowledged {
        known.insert(order.visitor);
        for place in 1..=ground.people(order.visitor) {
            expected += 1;
            let email = || ground.crowd.email(order.visitor, place);
            match rows.seen.get(&(order.visitor, place)).map(Vec::as_slice) {
                None => faults.push(format!("{} is missing", email())),
                Some([reference]) => {
                    if order.reference.as_ref().is_some_and(|told| told != reference) {
                        faults.push(format!("{} belongs to order {reference}", email()));
                    }
                }
                Some(many) => faults.push(format!("{} is there {} times", email(), many.len())),
            }
        }
    }
    let unknown: HashSet<u64> = figures.unknown.iter().copied().collect();
    for ((visitor, place), references) in &rows.seen {
        let email = || ground.crowd.email(*visitor, *place);
        if unknown.contains(visitor) && references.len() > 1 {
            faults.push(format!("{} is there {} times", email(), references.len()));
        } else if !known.contains(visitor) && !unknown.contains(visitor) {
            faults.push(format!("{} was never acknowledged", email()));
        }
    }
    if rows.strange > 0 {
        faults.push(format!("{} rows belong to nobody", rows.strange));
    }
    if faults.is_empty() {
        let (attendees, waited) = (grouped(expected), waited.as_secs_f64());
        let detail = format!("{attendees} attendees, {waited:.1} s after the storm");
        return Finding { claim: ARRIVED, verdict: Verdict::Held, detail };
    }
    let shown: Vec<&str> = faults.iter().take(EXAMPLES).map(String::as_str).collect();
    let detail = format!(
        "{} of {} are not: {}",
        grouped(faults.len() as u64),
        grouped(expected),
        shown.join("; ")
    );
    Finding { claim: ARRIVED, verdict: Verdict::Broken, detail }
}
