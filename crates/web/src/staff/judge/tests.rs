//! What the console says of an org, and above all when it is green.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use sloe_core::budget::Told;
use sloe_core::ids::{OrgId, SfId};
use sloe_core::verify::Difference;
use sloe_engine::changes::{Changes, Part, Source};
use sloe_engine::clock::Machine;
use sloe_engine::engine::{Engine, LEDGER_BYTES, Options};
use sloe_engine::error::{Denied, Hindrance};
use sloe_engine::refresh::Progress;
use sloe_engine::seal::Key;
use sloe_engine::sync::SyncFault;
use sloe_engine::tenant::{Org, OrgMapping, Profile};
use sloe_engine::verify::Found as Differing;
use sloe_engine::worker::{PollState, Stumbles};
use sloe_salesforce::{Credentials, Flow};
use sloe_store::api::Store;
use sloe_store::embedded::Embedded;

use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// An org that was read and compared a minute ago, and has everything.
async fn well() -> Facts {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Embedded::open(directory.path()).unwrap());
    let engine = Engine::start(Options {
        store: Arc::clone(&store),
        master_key: Key::new([7; 32]),
        world: Arc::new(Machine),
        ledger_bytes: LEDGER_BYTES,
        workers: None,
    })
    .unwrap();
    let id = OrgId::parse("00D000000000001").unwrap();
    let profile = Profile { slug: "acme".into(), name: "Acme".into(), ..Profile::default() };
    let flow = Flow::ClientCredentials {
        client_id: "sloe".into(),
        client_secret: "secret".to_owned().into(),
    };
    let credentials = Credentials { login_url: "http://127.0.0.1:9".into(), flow };
    let (org, _) = engine.registry().connect(&*store, id, profile, credentials).unwrap();
    let mut facts = Facts::of(&engine, org).await;
    (facts.license.live, facts.license.why) = (true, "Live.".into());
    facts.refreshes = vec![refresh(&facts, None, Outcome::Read { good: 3, faulty: 0 })];
    let ended = facts.at.plus_millis(-MINUTE);
    let verified = Verified { began: ended, ended, whole: true, rows: 12, ..Verified::default() };
    stored(&mut facts).verified = Some(verified);
    facts
}

fn stored(facts: &mut Facts) -> &mut Stored {
    facts.stored.as_mut().unwrap()
}

fn verified(facts: &mut Facts) -> &mut Verified {
    stored(facts).verified.as_mut().unwrap()
}

fn refresh(facts: &Facts, event: Option<SfId>, outcome: Outcome) -> Refresh {
    Refresh { event, at: facts.at, outcome }
}

fn failed(again: bool) -> Outcome {
    Outcome::Failed { means: "It is away.".into(), remedy: "Wait.".into(), again }
}

fn fault(facts: &Facts) -> SyncFault {
    SyncFault { at: facts.at, means: "It is away.".into(), remedy: "Wait.".into() }
}

fn pile(facts: &mut Facts, change: impl FnOnce(&mut Pile)) {
    let mut pile = Pile {
        code: "STRING_TOO_LONG".into(),
        fields: Vec::new(),
        kind: LetterKind::Attendee,
        conflict: false,
        count: 1,
        since: facts.at,
        means: "A value is too long.".into(),
        fix: "Shorten it.".into(),
        owner: "admin",
    };
    change(&mut pile);
    stored(facts).piles.push(pile);
}

/// How the org stands after `change`: how bad, and the worst that is said.
async fn after(change: impl FnOnce(&mut Facts)) -> (Level, String) {
    let mut facts = well().await;
    change(&mut facts);
    let Verdict { level, troubles, busy } = judge(&facts);
    let worst = troubles.first().map(|trouble| trouble.what.clone());
    (level, worst.or_else(|| busy.first().cloned()).unwrap_or_default())
}

#[track_caller]
fn says((level, said): &(Level, String), wanted: Level, text: &str) {
    assert_eq!(*level, wanted, "{said}");
    assert!(said.contains(text), "{text:?} is not in {said:?}");
}

#[tokio::test]
async fn an_org_is_in_order_once_it_was_read_and_compared_and_nothing_waits() {
    assert_eq!(judge(&well().await), Verdict::default());
    let none = after(|facts| stored(facts).verified = None).await;
    says(&none, Level::Busy, "not compared with Salesforce yet");
    says(&after(|facts| facts.refreshes.clear()).await, Level::Busy, "for the first time");
    let waits = after(|facts| stored(facts).sync.pending_events = 1).await;
    says(&waits, Level::Busy, "on their way");
    says(&after(|facts| stored(facts).sync.retrying = 1).await, Level::Busy, "on their way");
    let reading = after(|facts| {
        facts.progress = Some(Progress { since: facts.at, read: 1, known: 9 });
    });
    says(&reading.await, Level::Busy, "read as a whole");
    let left_out = after(|facts| verified(facts).left_out = 1).await;
    says(&left_out, Level::Busy, "could not be compared yet");
    says(&after(|facts| verified(facts).unsure = 1).await, Level::Busy, "could not be compared");
}

#[tokio::test]
async fn whatever_differs_is_not_green_and_what_sloe_does_not_mend_needs_help() {
    for difference in Difference::ALL {
        for mended in 0..=2 {
            let (level, said) = after(|facts| {
                let found = Differing { found: 2, mended };
                verified(facts).differences.insert(difference, found);
            })
            .await;
            let wanted = if mended == 2 { Level::Busy } else { Level::Bad };
            assert_eq!(level, wanted, "{difference:?}, {mended} mended: {said}");
        }
    }
    let early = after(|facts| verified(facts).fault = Some(fault(facts))).await;
    says(&early, Level::Warn, "could not be compared as a whole");
}

#[tokio::test]
async fn a_comparison_of_long_ago_is_not_green() {
    let at = |ago: i64| after(move |facts| verified(facts).ended = facts.at.plus_millis(-ago));
    assert_eq!(at(3 * HOUR).await.0, Level::Good);
    says(&at(3 * HOUR + 1).await, Level::Busy, "for long");
    says(&at(25 * HOUR).await, Level::Warn, "more than a day");
}

#[tokio::test]
async fn what_can_not_be_read_or_reached_needs_help() {
    let away = Denied::NotAccepted { why: Hindrance::Fault, retry_after: Duration::from_secs(2) };
    says(&after(|facts| facts.stored = Err(away)).await, Level::Bad, "from the store");
    let refused = after(|facts| stored(facts).sync.fault = Some(fault(facts))).await;
    says(&refused, Level::Bad, "It is away.");
    for (again, level) in [(true, Level::Warn), (false, Level::Bad)] {
        let read = after(|facts| facts.refreshes = vec![refresh(facts, None, failed(again))]);
        says(&read.await, level, "It is away.");
    }
    let poll = PollState { fault: Some("It can't look.".into()), ..PollState::default() };
    says(&after(|facts| facts.poll = Some(poll)).await, Level::Warn, "It can't look.");
    let down = after(|facts| {
        let (since, again) = (facts.at, facts.at);
        let (means, remedy) = ("No slot is left.".into(), "Free one.".into());
        let down = Part::Down { means, remedy, passes: false, since, again };
        let source = Some(Source::default());
        stored(facts).changes =
            Changes { source, parts: [("event", down)].into(), ..Changes::default() };
    });
    says(&down.await, Level::Warn, "No slot is left.");
}

#[tokio::test]
async fn a_mapping_that_can_not_be_used_is_told_though_the_last_good_one_works() {
    let told = after(|facts| {
        let trouble = Some("The stored mapping can't be used.".to_owned());
        let mut mapping = OrgMapping::default();
        mapping.trouble = trouble;
        let mut org = Org::clone(&facts.org);
        org.mapping = Arc::new(mapping);
        facts.org = Arc::new(org);
    });
    says(&told.await, Level::Warn, "mapping can't be used");
}

#[tokio::test]
async fn what_was_refused_is_worse_than_what_only_needs_a_decision() {
    let refused = after(|facts| pile(facts, |pile| pile.count = 3)).await;
    says(&refused, Level::Bad, "3 rows could not be delivered. A value is too long.");
    let conflict = after(|facts| pile(facts, |pile| pile.conflict = true)).await;
    says(&conflict, Level::Warn, "1 row needs a decision.");
    // Nobody has to do anything about it by itself.
    let child = after(|facts| pile(facts, |pile| pile.owner = "nobody")).await;
    says(&child, Level::Warn, "1 row could not be delivered.");
    let mail = after(|facts| pile(facts, |pile| pile.kind = LetterKind::Mail)).await;
    says(&mail, Level::Warn, "1 confirmation mail could not be delivered.");
}

#[tokio::test]
async fn a_pause_is_worth_a_word_only_if_somebody_could_notice() {
    let waits = |until: i64| {
        after(move |facts| {
            let until = facts.at.plus_millis(until);
            stored(facts).calls.waits_until = Some(until);
        })
    };
    assert_eq!(waits(MINUTE).await.0, Level::Good);
    says(&waits(2 * HOUR).await, Level::Warn, "its share of the org's API calls");
    says(&used_up().await, Level::Warn, "but for the part that Sloe leaves alone");
    let since = |facts: &mut Facts, ago: i64| {
        let at = facts.at.plus_millis(-ago);
        stored(facts).sync.waiting_since = Some(at);
        stored(facts).sync.pending_events = 1;
    };
    assert_eq!(after(|facts| since(facts, 15 * MINUTE)).await.0, Level::Busy);
    says(&after(|facts| since(facts, 16 * MINUTE)).await, Level::Warn, "waiting for Salesforce");
    // The reason is told once.
    let mut facts = well().await;
    since(&mut facts, HOUR);
    stored(&mut facts).sync.fault = Some(fault(&facts));
    let troubles = judge(&facts).troubles;
    assert_eq!(troubles.len(), 1, "{troubles:?}");
}

/// All calls of the org are gone, and whatever Sloe began waits for that.
async fn used_up() -> (Level, String) {
    let mut facts = well().await;
    let error = sloe_salesforce::Error::Budget {
        call: "send rows",
        until: facts.at.plus_millis(HOUR),
        closed: true,
    };
    let (means, remedy) = (error.means(), error.remedy());
    let at = facts.at;
    let failed = Outcome::Failed { means: means.clone(), remedy: remedy.clone(), again: true };
    facts.refreshes = vec![refresh(&facts, None, failed)];
    let stored = stored(&mut facts);
    stored.sync.fault = Some(SyncFault { at, means, remedy });
    stored.sync.pending_events = 1;
    stored.sync.waiting_since = Some(at.plus_millis(-HOUR));
    stored.calls.waits_until = Some(at.plus_millis(HOUR));
    stored.calls.told = Some(Told { used: 990, max: 1_000, at });
    let Verdict { level, troubles, .. } = judge(&facts);
    assert_eq!(troubles.len(), 1, "it is told once: {troubles:?}");
    (level, troubles[0].what.clone())
}

#[tokio::test]
async fn going_slowly_is_no_trouble() {
    let slow = after(|facts| {
        let remedy = sloe_salesforce::BUDGET_REMEDY.to_owned();
        let fault = SyncFault { at: facts.at, means: "Few are left.".into(), remedy };
        stored(facts).sync.fault = Some(fault);
        stored(facts).sync.pending_events = 1;
    });
    says(&slow.await, Level::Busy, "on their way");
}

#[tokio::test]
async fn a_license_that_lapsed_or_is_in_grace_is_looked_at() {
    let lapsed = after(|facts| facts.license.live = false).await;
    says(&lapsed, Level::Warn, "takes no new registrations");
    says(&after(|facts| facts.license.grace = true).await, Level::Warn, "Live.");
}

#[tokio::test]
async fn a_task_that_broke_down_is_told_of_for_a_day() {
    let stumble = |ago: i64| {
        after(move |facts| {
            let at = facts.at.plus_millis(-ago);
            facts.stumbles = vec![Stumbles { worker: "outbox", count: 1, at }];
        })
    };
    says(&stumble(HOUR).await, Level::Warn, "“outbox” broke down once");
    assert_eq!(stumble(24 * HOUR).await.0, Level::Good);
}

#[tokio::test]
async fn the_worst_comes_first_and_of_many_faulty_events_some_are_named() {
    let mut facts = well().await;
    facts.license.live = false;
    for n in 0..5 {
        let event = SfId::parse(&format!("a00{n:012}")).unwrap();
        let faulty = refresh(&facts, Some(event), Outcome::Faulty(Vec::new()));
        facts.refreshes.push(faulty);
    }
    pile(&mut facts, |_| {});
    let Verdict { level, troubles, .. } = judge(&facts);
    assert_eq!(level, Level::Bad);
    assert_eq!(troubles.iter().filter(|t| t.what.contains("The last good page stays")).count(), 3);
    assert!(troubles.iter().any(|t| t.what.starts_with("2 more events")), "{troubles:?}");
    assert!(troubles.is_sorted_by_key(|trouble| std::cmp::Reverse(trouble.level)));
    assert_eq!(troubles.first().unwrap().part, "letters");
}
