//! `sloe org` as an operator types it: an org whose objects have other names
//! is connected to a running demo, checked, registered for, and mapped anew.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::Command;

use serde_json::Value;
use support::{Demo, SimOrg, attendee, eventually};

const SEED: &str = include_str!("../../engine/tests/seeds/blackthorn.toml");

/// An operator's files, an org with the Blackthorn Events package, and a demo.
struct Desk {
    files: tempfile::TempDir,
    sim: SimOrg,
    demo: Demo,
}

impl Desk {
    async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let day = |days: i64| {
            let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
            today.checked_add(jiff::Span::new().days(days)).unwrap().to_string()
        };
        let seed = files.path().join("seed");
        std::fs::write(&seed, SEED.replace("{start}", &day(30)).replace("{end}", &day(31)))
            .unwrap();
        let sim = SimOrg::start(&["--seed", seed.to_str().unwrap()]);
        std::fs::write(files.path().join("secret"), sim.org.client_secret()).unwrap();
        Self { sim, demo: Demo::start_to_keep().await, files }
    }

    /// Writes a file; its path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// `sloe org add` with a mapping.
    fn add(&self, mapping: [&str; 2]) -> Vec<String> {
        let (org, secret) = (&self.sim.org, self.files.path().join("secret").display().to_string());
        let args = [
            "org",
            "add",
            "--slug",
            "thornfield",
            "--name",
            "Thornfield",
            "--time-zone",
            "Europe/Berlin",
            "--url",
            &org.url,
            "--client-id",
            org.client_id(),
            "--client-secret-file",
            &secret,
        ];
        args.into_iter().chain(mapping).map(str::to_owned).collect()
    }

    /// Registers somebody for the gala; the org's record of it, once it is there.
    async fn register(&self, last_name: &str) -> Value {
        let event = self.demo.new_event("thornfield", "winter-gala").await;
        let shown = self.demo.event(&event).await;
        let id = |list: &str| shown[list][0]["id"].as_str().unwrap().to_owned();
        let person = attendee(&id("items"), &[&id("sessions")], ("Jane", last_name));
        let (status, answer) = self.demo.register(&event, &[person]).await;
        assert_eq!(status, 201, "{answer}");
        let soql = format!(
            "SELECT conference360__Registration_Status__c, Event_Role__c, \
             conference360__Event_Item__r.conference360__Item_Name__c \
             FROM conference360__Attendee__c \
             WHERE conference360__Last_Name2__c = '{last_name}' AND Sloe_Id__c != null"
        );
        eventually(async || {
            let rows = self.sim.org.query(&soql).await;
            rows.into_iter().next().ok_or_else(|| format!("{last_name} is not in the org"))
        })
        .await
    }

    /// Waits until the event's page says this.
    async fn page_says(&self, words: &str) {
        let url = self.demo.url("/thornfield/winter-gala");
        eventually(async || {
            let page = self.demo.client().get(&url).send().await.map_err(|e| e.to_string())?;
            let page = page.text().await.map_err(|e| e.to_string())?;
            if page.contains(words) { Ok(()) } else { Err(format!("{words:?} is not in {page}")) }
        })
        .await;
    }
}

/// The preset for Blackthorn Events as the command prints it: a template.
fn template() -> String {
    let mut print = Command::new(env!("CARGO_BIN_EXE_sloe"));
    print.args(["org", "mapping", "--print", "--preset", "blackthorn"]);
    String::from_utf8(print.output().unwrap().stdout).unwrap()
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// Long sentences are broken into lines: on one again.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[tokio::test]
async fn an_org_with_objects_of_its_own_is_connected_checked_registered_for_and_mapped_anew() {
    let desk = Desk::start().await;
    let demo = &desk.demo;

    // As the preset is, this org requires more; nothing is connected then.
    let (_, why) = demo.refused(&strs(&desk.add(["--preset", "blackthorn"])));
    has(&why, &["not ready", "Event_Role__c is required", "Give it a value under defaults"]);
    assert!(why.lines().count() == 2, "the reason, and nothing else: {why}");
    assert!(!demo.sloe(&["org", "list"]).contains("thornfield"));

    let good = template().replace("# Event_Role__c", "Event_Role__c");
    let file = desk.file("good.toml", &good);
    let told = demo.sloe(&strs(&desk.add(["--mapping", &file])));
    let said = unwrapped(&told);
    has(&told, &["Connected org 00D5g0000BthornEQA", "/hooks/salesforce/00D5g0000BthornEQA"]);
    has(&said, &["no version field", "so it is read as of Europe/Berlin", "rule Adults_Only"]);
    demo.license_other(&desk.sim.org).await;

    let told = demo.sloe(&["org", "check", "thornfield"]);
    has(&told, &["The org thornfield has what Sloe needs."]);
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    let told = demo.sloe(&["org", "check", "thornfield", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let codes: Vec<_> =
        told["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["no-version", "no-version", "time-zone", "validation-rule"]);

    let row = desk.register("Rochester").await;
    assert_eq!(row["conference360__Registration_Status__c"], "Registered");
    assert_eq!(row["Event_Role__c"], "Attendee");
    let item = &row["conference360__Event_Item__r"]["conference360__Item_Name__c"];
    assert_eq!(item, "Seat at the table");

    assert_eq!(in_force(demo), good);
    refused(&desk, &good);
    mapped_anew(&desk, &good).await;
    disconnected(&desk).await;
    let (_, why) = demo.refused(&["org", "check", "nobody"]);
    assert_eq!(why.trim(), "sloe: no org \"nobody\" is connected");
}

/// A file with some texts in the place of others.
fn changed(desk: &Desk, good: &str, changes: &[(&str, &str)]) -> String {
    let mut text = good.to_owned();
    for (before, after) in changes {
        assert!(text.contains(before), "{before}");
        text = text.replacen(before, after, 1);
    }
    desk.file("changed.toml", &text)
}

fn in_force(demo: &Demo) -> String {
    let told = demo.sloe(&["org", "mapping", "thornfield"]);
    told.split_once("\n\n").unwrap().1.to_owned()
}

/// What is wrong is refused with all of its faults, and changes nothing.
fn refused(desk: &Desk, good: &str) {
    let demo = &desk.demo;
    // What no org could have is told without asking it, line by line.
    let line = |part: &str| 1 + good.lines().position(|line| line.starts_with(part)).unwrap();
    let typed = changed(
        desk,
        good,
        &[("format = 1", "format = 2"), ("venue_name =", "venu_name ="), ("\"USD\"", "\"coins\"")],
    );
    let (_, why) = demo.refused(&["org", "mapping", "thornfield", "--file", &typed]);
    has(
        &why,
        &[
            "has 3 faults, so nothing was changed",
            &format!("line {}: format is 2", line("format")),
            &format!("line {}: event.fields.venu_name is not known; did you mean", line("venue_n")),
            &format!("line {}: item.fallback.currency is \"coins\"", line("currency")),
        ],
    );

    // What this org does not have is told by what it has.
    let unmet = changed(
        desk,
        good,
        &[
            ("summary = \"conference360__Short_", "summary = \"conference360__Shor_"),
            (
                "published = \"conference360__Visible__c\"",
                "published = \"conference360__Status__c\"",
            ),
            ("Event_Role__c = \"Attendee\"", "Event_Role__c = \"Robot\""),
            ("= \"conference360__Last_Name2__c\"", "= \"conference360__last_name2__c\""),
        ],
    );
    let (told, why) = demo.refused(&["org", "mapping", "thornfield", "--file", &unmet]);
    has(
        &unwrapped(&told),
        &[
            "The field conference360__Event__c.conference360__Shor_Description__c isn't there",
            "The org has conference360__Short_Description__c: name that",
            "The field conference360__Event__c.conference360__Status__c is of type picklist; Sloe \
             reads a checkbox.",
            "Event_Role__c lacks the value Robot. Add the value, or name the org's own word for \
             it in the mapping; it has Attendee, Speaker, Staff.",
            "The org writes conference360__Attendee__c.conference360__last_name2__c as \
             conference360__Last_Name2__c.",
        ],
    );
    has(&why, &["the mapping of thornfield stays as it was"]);
    // What would lose the way to the rows there, all of it.
    let key = ("external_id = \"Sloe_Id__c\"", "external_id = \"Other_Id__c\"");
    let lost = changed(desk, good, &[key, key]);
    let (_, why) = demo.refused(&["org", "mapping", "thornfield", "--file", &lost]);
    has(
        &why,
        &["the attendee's external_id and the session attendee's external_id can't be changed"],
    );
    assert_eq!(in_force(demo), good);
}

/// Another venue, and back: seen on the page without a restart, and rows go on.
async fn mapped_anew(desk: &Desk, good: &str) {
    let demo = &desk.demo;
    desk.page_says("Great Hall").await;
    let moved = changed(
        desk,
        good,
        &[("= \"conference360__Venue_Name__c\"", "= \"conference360__Short_Description__c\"")],
    );
    demo.sloe(&["org", "mapping", "thornfield", "--file", &moved]);
    eventually(async || {
        let url = demo.url("/thornfield/winter-gala");
        let page = demo.client().get(&url).send().await.map_err(|e| e.to_string())?;
        let page = page.text().await.map_err(|e| e.to_string())?;
        if page.contains("Great Hall") { Err(page) } else { Ok(()) }
    })
    .await;
    desk.register("Poole").await;
    let told = demo.sloe(&["org", "mapping", "thornfield", "--back"]);
    has(&told, &["The mapping of thornfield is in force"]);
    desk.page_says("Great Hall").await;
    assert_eq!(in_force(demo), good);
}

/// Nothing goes without a yes; then pages, hook and name are free at once.
async fn disconnected(desk: &Desk) {
    let demo = &desk.demo;
    let (told, why) = demo.refused(&["org", "remove", "thornfield"]);
    has(&told, &["Thornfield (00D5g0000BthornEQA) has 1 event. Its pages go"]);
    has(&why, &["nothing was done: add --yes"]);
    assert_eq!(demo.client().get(demo.url("/thornfield")).send().await.unwrap().status(), 200);

    let told = eventually(async || {
        // Not before the org has everything.
        let (done, told, why) = demo.tried(&["org", "remove", "thornfield", "--yes"]);
        if done { Ok(told) } else { Err(why) }
    })
    .await;
    has(&told, &["is disconnected", "its key is destroyed", "delete the external client app"]);
    for path in ["/thornfield", "/thornfield/winter-gala"] {
        assert_eq!(demo.client().get(demo.url(path)).send().await.unwrap().status(), 404);
    }
    let hook = demo.url("/hooks/salesforce/00D5g0000BthornEQA/refresh");
    let press = demo.client().post(hook).header("x-sloe-secret", "any").body("{}");
    assert!(press.send().await.unwrap().status().is_client_error());
    assert!(!demo.sloe(&["org", "list"]).contains("thornfield"));
    let (_, why) = demo.refused(&["org", "remove", "thornfield", "--yes"]);
    has(&why, &["no org \"thornfield\" is connected"]);
    eventually(async || {
        let asked = demo.client().get(demo.url("/metrics")).bearer_auth(demo.token());
        let shown = asked.send().await.map_err(|e| e.to_string())?;
        let shown = shown.text().await.map_err(|e| e.to_string())?;
        let gone = "sloe_org_outbox_pending{org=\"00D5g0000BthornEQA\"} NaN";
        if shown.contains(gone) { Ok(()) } else { Err(shown) }
    })
    .await;
    let all = "SELECT Id FROM conference360__Attendee__c WHERE Sloe_Id__c != null";
    assert_eq!(desk.sim.org.query(all).await.len(), 2, "what the org has is the org's");
}
