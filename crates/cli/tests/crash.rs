//! The real binary is killed with -9 again and again while visitors register,
//! and while it starts. Each visitor keeps asking under one request id, as a
//! careful client does. In the end everything acknowledged must be there,
//! once, here and in the org, and not a seat more sold than there was.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use sloe_sim::crowd::{self, Crowd, Options, OrgAccess, Report, Verdict};
use sloe_sim::org;
use support::nodes::{KEY, connecting, free_port, start_org};
use tokio::sync::Semaphore;

/// Fixed, so that a failure can be held again; it decides who comes and when
/// the server dies.
const SEED: u64 = 20_261_123;
/// Deaths while visitors register, and while the server starts.
const UNDER_LOAD: u64 = 20;
const AT_START: u64 = 6;
/// Visitors, and seats: the last ones find nothing.
const VISITORS: u64 = 6_000;
const SEATS: u64 = 5_500;
/// Bounds of everything that is waited for; far beyond what it takes.
const PATIENCE: Duration = Duration::from_secs(180);

/// The platform on its own store, always at the same address.
struct Platform {
    store: PathBuf,
    port: u16,
    child: Option<Child>,
    starts: u64,
}

impl Platform {
    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sloe"));
        command
            .env("SLOE_MASTER_KEY", KEY)
            .env("SLOE_STORE", format!("embedded:{}", self.store.display()))
            .env("SLOE_LOG", "warn")
            .stdin(Stdio::null());
        command
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn start(&mut self) {
        self.starts += 1;
        let log = std::fs::File::create(self.log()).unwrap();
        let mut command = self.command();
        command.args(["serve", "--rate-limit", "0", "--listen"]);
        command.arg(format!("127.0.0.1:{}", self.port)).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    fn log(&self) -> PathBuf {
        self.store.with_extension(format!("{}.log", self.starts))
    }

    async fn wait_until_ready(&mut self) {
        let give_up = Instant::now() + PATIENCE;
        let client = reqwest::Client::new();
        loop {
            let answer = client.get(format!("{}/readyz", self.url())).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            if ended.is_some() || Instant::now() > give_up {
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                panic!("start {} is not ready (ended: {ended:?}):\n{log}", self.starts);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// With -9: nothing is flushed, nothing is told.
    fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_deaths_under_load_lose_nothing_and_double_nothing() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let org = start_org(SEATS).await;
    let mut platform = Platform {
        store: directory.path().join("store"),
        port: free_port(),
        child: None,
        starts: 0,
    };
    platform.start();
    platform.wait_until_ready().await;
    connect(&platform, &org, directory.path());
    wait_for_event(&platform).await;

    let bar = ProgressBar::hidden();
    let door = Arc::new(Semaphore::new(0));
    let options = Options { door: Some(Arc::clone(&door)), ..options(&platform, &org) };
    let storm = tokio::spawn({
        let bar = bar.clone();
        async move { crowd::run(&options, &bar).await }
    });
    let deaths = torment(&mut platform, &bar, &door).await;
    assert_eq!(deaths, UNDER_LOAD + AT_START);
    let report = storm.await.unwrap().unwrap();
    assert_nothing_is_lost(&report);
    org.shutdown().await;
}

fn assert_nothing_is_lost(report: &Report) {
    for finding in &report.findings {
        assert_eq!(finding.verdict, Verdict::Held, "{report}");
    }
    assert_eq!(report.findings.len(), 4, "{report}");
    assert!(report.errors.is_empty() && report.unknown == 0, "{report}");
    assert_eq!(report.registrations, SEATS, "{report}");
    assert_eq!(report.refused["409 sold-out"], VISITORS - SEATS, "{report}");
    // Otherwise no death has hurt anybody, and the test shows nothing.
    let hurt: u64 = report.retries.values().sum();
    assert!(hurt >= UNDER_LOAD, "{report}");
}

/// Kills and starts the platform; gives the number of deaths.
async fn torment(platform: &mut Platform, bar: &ProgressBar, door: &Semaphore) -> u64 {
    let mut dice = Crowd::new(SEED).dice(0, 7);
    let mut deaths = 0;
    // Each time some more visitors must have had their answer first, and as many stand behind
    // them, so that they can't all have gone before the last death, however fast they are served.
    let share = VISITORS / (UNDER_LOAD + 2);
    let in_all = usize::try_from(VISITORS).unwrap();
    let each = usize::try_from(share).unwrap();
    door.add_permits(each);
    for death in 1..=UNDER_LOAD {
        door.add_permits(each);
        let until = (death - 1) * share + 1 + dice.below(share);
        wait_for_visitors(bar, until).await;
        platform.kill();
        deaths += 1;
        if death % 3 == 0 {
            // Once more before it is ready, at any point of its start.
            platform.start();
            tokio::time::sleep(Duration::from_millis(dice.below(400))).await;
            platform.kill();
            deaths += 1;
        }
        platform.start();
        platform.wait_until_ready().await;
    }
    door.add_permits(in_all);
    deaths
}

async fn wait_for_visitors(bar: &ProgressBar, gone: u64) {
    let give_up = Instant::now() + PATIENCE;
    while bar.position() < gone {
        assert!(Instant::now() < give_up, "only {} of {gone} visitors came", bar.position());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Connects the org, as an operator does.
fn connect(platform: &Platform, org: &org::Running, directory: &Path) {
    for arguments in connecting(org, directory) {
        let output = platform.command().args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
}

/// The event is read from the org once the platform runs.
async fn wait_for_event(platform: &Platform) {
    let url = format!("{}/acme/event", platform.url());
    let give_up = Instant::now() + PATIENCE;
    let client = reqwest::Client::new();
    while !client.get(&url).send().await.unwrap().status().is_success() {
        assert!(Instant::now() < give_up, "the event did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn options(platform: &Platform, org: &org::Running) -> Options {
    let mut options = Options::new(&platform.url(), "acme/event", VISITORS).unwrap();
    options.seed = SEED;
    options.connections = 16;
    options.sessions = 1;
    options.persistence = PATIENCE;
    options.org = Some(OrgAccess {
        url: org.url(),
        client_id: org.client_id().to_owned(),
        client_secret: org.client_secret().to_owned(),
        patience: PATIENCE,
    });
    options
}
