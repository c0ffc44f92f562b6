//! A mixed crowd against small stand-ins for Sloe: an honest one, on one node and on
//! several of which one dies, and one for each way to break what was promised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stand;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use sloe_sim::crowd::{
    self, Arrival, Held, Kind, Mix, Mode, Options, Report, Scenario, Shape, Verdict,
};
use stand::{Cheat, DAWDLE, Node, SEATS, Stand};
use tokio::sync::{Notify, Semaphore};

const POOLS: &str = "no pool is oversold";
const ORDERS: &str = "every acknowledged registration is in Sloe";
const DOUBLED: &str = "clicking twice, reloading and going back make one order";
const REFUSED: &str = "bots get nothing but refusals";
const BACK: &str = "abandoned seats come back, and none is taken for nobody";
const VISITORS: u64 = 300;

fn options(nodes: &[&Node]) -> Options {
    let targets: Vec<&str> = nodes.iter().map(|node| node.origin.as_str()).collect();
    let mut options = Options::new(&targets.join(","), "org/party", VISITORS).unwrap();
    options.mix = Mix::new([6, 3, 2, 3, 0, 1], [1, 1, 0]);
    options.seed = 11;
    options.connections = 16;
    options.party = 2;
    options.sessions = 0;
    options
}

async fn hold(options: &Options) -> Report {
    crowd::run(options, &ProgressBar::hidden()).await.unwrap()
}

fn verdicts(report: &Report) -> BTreeMap<&str, Verdict> {
    report.findings.iter().map(|finding| (finding.claim, finding.verdict)).collect()
}

fn broken(report: &Report) -> Vec<&str> {
    let all = report.findings.iter().filter(|finding| finding.verdict == Verdict::Broken);
    all.map(|finding| finding.claim).collect()
}

#[tokio::test]
async fn a_mixed_crowd_proves_an_honest_server_right_and_every_visitor_is_counted_once() {
    let stand = Stand::new(Cheat::Nothing);
    let node = stand.serve();
    let report = hold(&options(&[&node])).await;
    let verdicts = verdicts(&report);
    for claim in [POOLS, ORDERS, DOUBLED, REFUSED, BACK] {
        assert_eq!(verdicts[claim], Verdict::Held, "{report}");
    }
    assert_eq!(report.verdict, Held::Held, "{report}");
    assert_eq!((report.visitors, report.mode), (VISITORS, "mix"));
    let sum = |of: fn(&crowd::KindReport) -> u64| report.kinds.iter().map(of).sum::<u64>();
    assert_eq!(sum(|kind| kind.came), VISITORS);
    for kind in &report.kinds {
        let ended = kind.registered + kind.left + kind.refused + kind.failed;
        assert_eq!(ended, kind.came, "{report}");
        let registers = matches!(kind.kind, Kind::Registrants | Kind::DoubleClickers);
        assert_eq!(kind.registered > 0, registers, "{report}");
    }
    assert_eq!(sum(|kind| kind.registered), report.registrations);
    assert_eq!(sum(|kind| kind.requests), report.requests);
    assert_eq!(report.targets[0].answers, report.requests);
    let refused: u64 = report.refused.values().sum();
    assert!(refused > 0, "more came than there are seats: {report}");
    assert_eq!(sum(|kind| kind.refused), refused);
    assert!(report.bots.keys().all(|status| (400..500).contains(status)), "{:?}", report.bots);
    assert!(report.bots[&429] > 0, "bots have one address and don't wait: {report}");
    assert!(report.revalidations > 0 && report.unchanged > 0, "{report}");
    assert!(report.abandoned_holds > 0);
    // What happened when adds up to what happened.
    let slots = &report.course.slots;
    assert_eq!(slots.iter().map(|slot| slot.gone).sum::<u64>(), VISITORS);
    assert_eq!(slots.iter().map(|slot| slot.due).sum::<u64>(), VISITORS);
    assert_eq!(slots.iter().map(|slot| slot.answers).sum::<u64>(), report.requests);
    let binned: u64 = report.visit_histogram.iter().map(|bin| bin.count).sum();
    assert_eq!(binned, VISITORS);
}

#[tokio::test]
async fn the_same_seed_is_the_same_crowd_however_it_arrives() {
    let mut came = Vec::new();
    for arrival in [
        Arrival::Burst,
        Arrival::Rate(3_000.0),
        Arrival::Curve(Shape::OnSale, Duration::from_millis(400)),
    ] {
        let stand = Stand::new(Cheat::Nothing);
        let node = stand.serve();
        let mut options = options(&[&node]);
        options.arrival = arrival;
        let report = hold(&options).await;
        assert_eq!(report.verdict, Held::Held, "{report}");
        came.push(report.kinds.iter().map(|kind| (kind.kind, kind.came)).collect::<Vec<_>>());
    }
    assert!(came.windows(2).all(|two| two[0] == two[1]), "{came:?}");
}

#[tokio::test]
async fn every_broken_promise_to_a_mixed_crowd_is_found_out() {
    let cheats = [
        (Cheat::Oversells, vec![POOLS]),
        (Cheat::Doubles, vec![DOUBLED, BACK]),
        (Cheat::KeepsAbandonedSeats, vec![BACK]),
        (Cheat::LetsBotsIn, vec![REFUSED]),
        (Cheat::Trips, vec![REFUSED]),
        (Cheat::GivesOrdersTwice, vec![ORDERS]),
        (Cheat::ForgetsTickets, vec![ORDERS]),
        (Cheat::MixesPeopleUp, vec![ORDERS]),
        (Cheat::RefusesRepeats, vec![DOUBLED]),
    ];
    // What never comes back is waited for, so all of them at once.
    let mut storms = tokio::task::JoinSet::new();
    for (cheat, claims) in cheats {
        storms.spawn(async move {
            let stand = Stand::new(cheat);
            let node = stand.serve();
            let mut options = options(&[&node]);
            if matches!(cheat, Cheat::Doubles | Cheat::KeepsAbandonedSeats) {
                // So few that no seat is missed for another reason.
                options.visitors = SEATS / 3;
            }
            let report = hold(&options).await;
            assert_eq!(broken(&report), claims, "{cheat:?}: {report}");
            assert_eq!(report.verdict, Held::Broken);
            assert!(report.to_string().contains("It did not hold."), "{report}");
        });
    }
    storms.join_all().await;
}

#[tokio::test]
async fn abandoned_seats_that_are_not_due_yet_are_said_to_be_so() {
    let stand = Stand::holding_for(Cheat::Nothing, Duration::from_secs(600));
    let node = stand.serve();
    let report = hold(&options(&[&node])).await;
    let back = report.findings.iter().find(|finding| finding.claim == BACK).unwrap();
    assert_eq!(back.verdict, Verdict::Unchecked, "{report}");
    assert!(back.detail.starts_with("not yet due: "), "{report}");
    assert!(!report.is_broken(), "{report}");
}

#[tokio::test]
async fn every_node_must_tell_what_is_left() {
    let stand = Stand::new(Cheat::Nothing);
    let (honest, liar) = (stand.serve(), stand.but(Cheat::DoesNotCount).serve());
    let report = hold(&options(&[&honest, &liar])).await;
    assert_eq!(broken(&report), [POOLS], "{report}");
    let pools = report.findings.iter().find(|finding| finding.claim == POOLS).unwrap();
    assert!(pools.detail.starts_with(&format!("{}: event: ", liar.origin)), "{report}");
    assert!(!pools.detail.contains(&honest.origin), "{report}");
}

#[tokio::test]
async fn what_was_not_seen_is_not_proven() {
    let stand = Stand::new(Cheat::TooBusyToRead);
    let node = stand.serve();
    let mut options = options(&[&node]);
    // A mix with reloaders and bots of whom none comes.
    options.mix = Mix::new([1_000_000, 0, 0, 0, 1, 1], [1, 0, 0]);
    options.visitors = 10;
    let report = hold(&options).await;
    let verdicts = verdicts(&report);
    for claim in [ORDERS, DOUBLED, REFUSED] {
        assert_eq!(verdicts[claim], Verdict::Unchecked, "{report}");
    }
    assert_eq!(verdicts[POOLS], Verdict::Held, "{report}");
    assert_eq!(report.verdict, Held::Held, "{report}");
    let told = report.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("10 of 10 can't be read: R-"), "{told}");
    assert!(told.contains("No promise was seen broken."), "{told}");
    assert!(!told.contains("Nothing was oversold"), "{told}");
}

#[tokio::test]
async fn a_page_that_is_sent_again_unchanged_is_a_failure() {
    let stand = Stand::new(Cheat::IgnoresTags);
    let node = stand.serve();
    let mut options = options(&[&node]);
    options.mix = Mix::new([0, 1, 0, 0, 0, 0], [1, 0, 0]);
    options.visitors = 5;
    let report = hold(&options).await;
    assert_eq!(report.errors["an unchanged page was sent again"], 5, "{report}");
    assert_eq!((report.verdict, report.unknown), (Held::Strained, 0), "{report}");
    assert!(report.html().unwrap().contains("100 % lookers (look and go)"));
}

#[tokio::test]
async fn what_bots_do_to_their_connections_is_no_fault_of_a_node() {
    let stand = Stand::new(Cheat::Nothing);
    // One answers bots without reading what they send, and then hangs up; one hangs up at once.
    let (one, two) = (stand.serve(), stand.but(Cheat::HangsUpOnBots).serve());
    let mut options = options(&[&one, &two]);
    options.mix = Mix::new([6, 3, 0, 3, 0, 6], [1, 1, 0]);
    let report = hold(&options).await;
    assert_eq!(report.verdict, Held::Held, "{report}");
    assert!(report.bots_unanswered.values().sum::<u64>() > 0, "{report}");
    for target in &report.targets {
        assert_eq!((target.unanswered, target.skipped), (0, 0), "{report}");
    }
    assert!(report.retries.is_empty(), "nobody had to ask again: {report}");
}

#[tokio::test]
async fn a_node_that_dies_under_the_crowd_costs_nobody_anything() {
    let stand = Stand::new(Cheat::Nothing);
    let (one, two, three) = (stand.serve(), stand.serve(), stand.serve());
    let door = Arc::new(Semaphore::new(100));
    let mut options = options(&[&one, &two, &three]);
    options.door = Some(Arc::clone(&door));
    let bar = ProgressBar::hidden();
    let storm = tokio::spawn({
        let (options, bar) = (options.clone(), bar.clone());
        async move { crowd::run(&options, &bar).await }
    });
    let give_up = Instant::now() + Duration::from_secs(60);
    while bar.position() < 60 {
        assert!(Instant::now() < give_up, "{} visitors have gone", bar.position());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    two.die();
    door.add_permits(usize::try_from(VISITORS).unwrap());
    let report = storm.await.unwrap().unwrap();
    assert_eq!(report.verdict, Held::Held, "{report}");
    assert!(report.errors.is_empty() && report.unknown == 0, "{report}");
    assert_eq!(report.visitors, VISITORS);
    let answers: Vec<u64> = report.targets.iter().map(|target| target.answers).collect();
    assert!(answers.iter().all(|answers| *answers > 0), "{report}");
    assert_eq!(answers.iter().sum::<u64>(), report.requests);
    // How often it was met before it was gone past is chance, as is whom the others get.
    assert!(report.targets[1].unanswered + report.targets[1].skipped > 0, "{report}");
    let by_node: u64 = report.course.slots.iter().flat_map(|slot| &slot.targets).sum();
    assert_eq!(by_node, report.requests);
}

#[test]
fn the_scenarios_that_are_ready_can_be_held() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scenarios");
    let mut arrivals = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let scenario = Scenario::parse(&std::fs::read_to_string(&path).unwrap());
        let scenario = scenario.unwrap_or_else(|faults| panic!("{}:\n{faults}", path.display()));
        assert!(Kind::ALL.iter().all(|kind| scenario.mix.weight(*kind) > 0), "{}", path.display());
        match scenario.arrival {
            Arrival::Curve(shape, _) => arrivals.push(shape.name()),
            other => panic!("{}: {other:?}", path.display()),
        }
    }
    arrivals.sort_unstable();
    assert_eq!(arrivals, ["day", "on-sale", "wave"]);
}

#[tokio::test]
async fn a_node_that_is_not_there_from_the_begin_is_named() {
    let stand = Stand::new(Cheat::Nothing);
    let (one, two) = (stand.serve(), stand.serve());
    let options = options(&[&one, &two]);
    let origin = two.origin.clone();
    two.die();
    let error = crowd::run(&options, &ProgressBar::hidden()).await.unwrap_err().to_string();
    assert!(error.contains(&origin) && error.contains("leave it out"), "{error}");
}

#[tokio::test]
async fn a_slow_server_can_not_hide_behind_visitors_who_wait_for_their_turn() {
    let stand = Stand::new(Cheat::Dawdles);
    let node = stand.serve();
    let mut options = options(&[&node]);
    options.mix = Mix::registrants(Mode::Api);
    // All of 20 are due within a fifth of a second, and one after the other is served.
    (options.visitors, options.connections) = (20, 1);
    let shortest = DAWDLE.as_secs_f64() * 1_000.0;
    for arrival in [Arrival::Rate(100.0), Arrival::Curve(Shape::Wave, Duration::from_millis(200))] {
        options.arrival = arrival;
        options.seed += 1;
        let report = hold(&options).await;
        assert_eq!(report.registrations, 20, "{report}");
        assert!(report.request_latency_ms.p50 >= shortest, "{report}");
        // The last one was due at 200 ms at the latest, and 19 were before.
        assert!(report.visit_latency_ms.max >= 20.0 * shortest - 200.0, "{report}");
        assert!(report.start_delay_ms.max >= 19.0 * shortest - 200.0, "{report}");
    }
}

#[tokio::test]
async fn a_storm_that_is_ended_early_proves_what_has_come_so_far() {
    let stand = Stand::new(Cheat::Nothing);
    let node = stand.serve();
    let mut options = options(&[&node]);
    options.mix = Mix::registrants(Mode::Api);
    // The first comes at once, the second in a quarter of an hour.
    options.arrival = Arrival::Rate(0.001);
    let stop = Arc::new(Notify::new());
    options.stop = Some(Arc::clone(&stop));
    let bar = ProgressBar::hidden();
    let storm = tokio::spawn({
        let bar = bar.clone();
        async move { crowd::run(&options, &bar).await }
    });
    let give_up = Instant::now() + Duration::from_secs(60);
    while bar.position() < 1 {
        assert!(Instant::now() < give_up, "nobody comes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.notify_one();
    let report = tokio::time::timeout(Duration::from_secs(60), storm).await.unwrap();
    let report = report.unwrap().unwrap();
    assert_eq!((report.visitors, report.registrations), (1, 1), "{report}");
    assert_eq!(report.verdict, Held::Held, "{report}");
    assert!(report.to_string().contains("1 of 300 visitors came"), "{report}");
}

#[tokio::test]
async fn the_page_is_whole_and_nobody_can_put_anything_into_it() {
    let stand = Stand::new(Cheat::Nothing);
    let node = stand.serve();
    let mut options = options(&[&node]);
    let bad = "</title><script>alert('&\"')</script>";
    options.title = Some((bad.to_owned(), bad.to_owned()));
    options.command = Some(bad.to_owned());
    let report = hold(&options).await;
    assert!(report.event_name.contains("<b>"), "the stand-in has a name to be escaped");
    let page = report.html().unwrap();
    for part in ["<script", "<b>", "src=", "href=", "url(", "@import", "NaN"] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.contains("&#60;script&#62;"), "what was given is shown");
    let xml = page.strip_prefix("<!doctype html>").expect("a page of HTML");
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut depth = 0_i32;
    loop {
        match reader.read_event().expect("every tag is closed, every attribute quoted") {
            quick_xml::events::Event::Start(_) => depth += 1,
            quick_xml::events::Event::End(_) => depth -= 1,
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    assert_eq!(page.matches("<svg").count(), 6, "six plots");
    for said in ["It held.", "abandoners", &node.origin, "seconds since the begin", ">11<"] {
        assert!(page.contains(said), "{said} is missing");
    }
    // For programs: what others read already keeps its name.
    let json = serde_json::to_value(&report).unwrap();
    for name in [
        "target",
        "event",
        "event_name",
        "mode",
        "rate",
        "connections",
        "seed",
        "visitors",
        "seconds",
        "requests",
        "requests_per_second",
        "registrations",
        "registrations_per_second",
        "attendees",
        "refused",
        "errors",
        "retries",
        "unknown",
        "request_latency_ms",
        "visit_latency_ms",
        "tenths_seconds",
        "findings",
    ] {
        assert!(json.get(name).is_some(), "{name} is missing");
    }
    assert_eq!(json["verdict"], "held");
    assert_eq!(json["kinds"][0]["kind"], "registrants");
    assert_eq!(json["tenths_seconds"].as_array().unwrap().len(), 10);
    options.visitors = 19;
    assert_eq!(hold(&options).await.tenths_seconds.len(), 10, "whatever ten divides");
}
