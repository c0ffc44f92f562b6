//! `sloe demo`: everything on this machine, for real: two simulated orgs, a
//! mailbox, and the platform connected to them as any org is connected.

mod greeting;
mod progress;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args as Arguments;
use serde_json::{Value, json};
use sloe_core::ids::OrgId;
use sloe_engine::changes::SUPPORTED;
use sloe_engine::refresh::Outcome;
use sloe_engine::tenant::{Connect, Org, Profile};
use sloe_engine::view::Listing;
use sloe_engine::worker::SourceOrg;
use sloe_salesforce::{Credentials, Flow};
use sloe_sim::{mailbox, org};
use sloe_web::mailbox::{Mailbox, ReceivedMail};

use self::greeting::{Changes, Greeting, OrgFacts, Storm};
use self::progress::Progress;
use super::Failure;
use crate::at::StoreAt;
use crate::boot::{self, Platform, Wishes};
use crate::platform;

/// How long the first load of an org may take before the demo says so.
const FIRST_LOAD: Duration = Duration::from_secs(60);
/// How often licenses are read: somebody who changes one here wants to see it.
const LICENSES_EVERY: Duration = Duration::from_secs(3);

#[derive(Arguments)]
#[command(after_help = "Examples:\n  sloe demo\n  sloe demo --port 9090 --ephemeral")]
pub(crate) struct Args {
    /// Port of the public site; the simulated orgs take the next three, and where they tell of
    /// changes the two after.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Where the data lives.
    #[arg(long, default_value = "./sloe-data", conflicts_with = "ephemeral")]
    data: PathBuf,
    /// Keep nothing: data goes to a temporary directory that is removed at the end.
    #[arg(long)]
    ephemeral: bool,
    /// Print one JSON object once ready, and nothing else.
    #[arg(long)]
    json: bool,
    /// Requests one address may make a second; 0 is no limit.
    #[arg(long, default_value_t = 0)]
    rate_limit: u32,
}

/// How long the demo's console link is good, in milliseconds: whoever starts a
/// demo may look at everything else first.
const CONSOLE: i64 = 12 * 60 * 60 * 1_000;

/// The event that the storm is for: it has seats for everybody.
const STORMED: &str = "keynote-live";

/// A demo org: its seed, and how its pages look.
struct Show {
    seed: &'static str,
    profile: fn() -> Profile,
}

const SHOWS: [Show; 2] =
    [Show { seed: "meridian", profile: meridian }, Show { seed: "harbor", profile: harbor }];

fn meridian() -> Profile {
    Profile {
        slug: "meridian".into(),
        name: "Meridian Systems Foundation".into(),
        tagline: "Honest talks about keeping large systems running".into(),
        accent: "#4338ca".into(),
        style: "modern".into(),
        time_zone: "Europe/Berlin".into(),
        privacy_url: Some("https://meridian.example/privacy".into()),
        contact_email: Some("events@meridian.example".into()),
        ..Profile::default()
    }
}

fn harbor() -> Profile {
    Profile {
        slug: "harbor".into(),
        name: "Harbor Lights Cultural Society".into(),
        tagline: "Music, walks and talk by the water".into(),
        accent: "#b4451f".into(),
        style: "classic".into(),
        time_zone: "Europe/Lisbon".into(),
        privacy_url: Some("https://harborlights.example/privacy".into()),
        contact_email: Some("hello@harborlights.example".into()),
        ..Profile::default()
    }
}

/// Where the demo's data is; a temporary one is removed at the end.
struct Home {
    path: PathBuf,
    temporary: bool,
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            eprintln!("sloe: {} could not be removed: {error}", self.path.display());
        }
    }
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let progress = Progress::start(args.json);
    let home = home(&args)?;
    let other = args.port.saturating_add(10);
    let instead = format!("{} demo --port {other}", platform::own_command());
    let site = platform::bind(local(args.port), &instead)?;
    let site_port = site.local_addr()?.port();
    let url = format!("http://127.0.0.1:{site_port}");
    let mail = mailbox::start(local(0)).await?;
    let mut orgs = Vec::new();
    let port = |number: u16| if args.port == 0 { 0 } else { args.port.saturating_add(number) };
    for (number, show) in (1_u16..).zip(&SHOWS) {
        progress.step(format!("Starting the simulated Salesforce of {}", (show.profile)().name));
        let seed = (show.seed, org::Seed::demo(show.seed)?);
        let pubsub = SUPPORTED.then(|| port(3 + number));
        orgs.push(start_org(seed, port(number), pubsub, &home.path, &instead).await?);
    }
    progress.step("Starting the org that licenses both".to_owned());
    let seed = ("source", org::Seed::source()?);
    let source = start_org(seed, port(3), None, &home.path, &instead).await?;
    progress.step("Opening the store".to_owned());
    let key = boot::master_key(&StoreAt::Embedded(home.path.clone()), true)?;
    let wishes = Wishes {
        smtp_url: Some(mail.url()),
        mail_from: "Sloe demo <tickets@sloe.example>".into(),
        public_url: url.clone(),
        rate_limit: args.rate_limit,
        mailbox: Some(show_mails(mail.mailbox())),
        licenses: Some(licenses_from(&source)?),
        runs_work: true,
        admin_token: None,
        drain: None,
        behind_proxy: false,
        peers: None,
    };
    let platform =
        Platform::start(&StoreAt::Embedded(home.path.join("platform")), key, wishes, site).await?;
    for (show, org) in SHOWS.iter().zip(&orgs) {
        let name = (show.profile)().name;
        progress.step(format!("Reading the events of {name}"));
        load(&platform, show, org, &url)
            .await
            .or_else(|failure| unread(&platform, show, failure))?;
    }
    progress.step("Reading the licenses".to_owned());
    wait_for_licenses(&platform).await;
    let console = console(&platform, &url).await?;
    progress.end().await;
    if args.json {
        println!("{}", ready(&platform, (&orgs, &source), &url, &console, &args)?);
    } else {
        let greeting = greeting(&home, &platform, (&orgs, &source), &url, console);
        print!("{}", greeting.text(platform::may_color(&std::io::stdout())));
    }
    platform::asked_to_stop().await;
    if !args.json {
        eprintln!("\nDraining; what was acknowledged is durable.");
    }
    platform.stop().await;
    for org in orgs.into_iter().chain([source]) {
        org.shutdown().await;
    }
    drop(home);
    Ok(())
}

/// Connects an org and waits until all its events are read.
async fn load(
    platform: &Platform,
    show: &Show,
    org: &org::Running,
    url: &str,
) -> Result<(), Failure> {
    connect(platform, show, org, url).await?;
    wait_for_events(platform, org).await
}

/// Waits until the source org was read once; what a person changed there in an
/// earlier run is as they left it.
async fn wait_for_licenses(platform: &Platform) {
    let read = async {
        while platform.engine.license_source().read_at.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(FIRST_LOAD, read).await.is_err() {
        for trouble in platform.engine.license_source().troubles() {
            eprintln!("sloe: {trouble}");
        }
    }
}

/// An org that is known from before is shown as it was when it can't be read: it may be dark, or out of calls.
fn unread(platform: &Platform, show: &Show, failure: Failure) -> Result<(), Failure> {
    let profile = (show.profile)();
    if platform.engine.registry().by_slug(&profile.slug).is_none() {
        return Err(failure);
    }
    eprintln!("sloe: {} is shown as it was: {failure}", profile.name);
    Ok(())
}

fn home(args: &Args) -> Result<Home, Failure> {
    let path = if args.ephemeral { platform::temporary() } else { args.data.clone() };
    platform::make_private(&path)?;
    Ok(Home { path, temporary: args.ephemeral })
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

async fn start_org(
    (name, seed): (&str, org::Seed),
    port: u16,
    pubsub: Option<u16>,
    data: &Path,
    instead: &str,
) -> Result<org::Running, Failure> {
    // Bound once here for the clear sentence; the org binds them again at once.
    for port in std::iter::once(port).chain(pubsub) {
        drop(platform::bind(local(port), instead)?);
    }
    let options = org::Options {
        listen: local(port),
        seed,
        data: Some(data.join("orgs").join(name)),
        daily_limit: None,
        concurrent_limit: None,
        now: jiff::Timestamp::now,
    };
    let doors = org::Doors { tls: None, pubsub: pubsub.map(local) };
    Ok(org::start_with(options, doors).await?)
}

/// Where the platform reads who may be live, as `sloe serve --license-url …` is told it.
fn licenses_from(source: &org::Running) -> Result<SourceOrg, Failure> {
    let flow = Flow::ClientCredentials {
        client_id: source.client_id().to_owned(),
        client_secret: source.client_secret().to_owned().into(),
    };
    let credentials = Credentials { login_url: source.url(), flow };
    let package = org::Seed::SOURCE_PACKAGE.parse().map_err(|why: String| Failure::new(why))?;
    Ok(SourceOrg { every: LICENSES_EVERY, ..SourceOrg::new(credentials, package) })
}

/// Connects an org exactly as `sloe org add` does, and tells it where its
/// Update button calls.
async fn connect(
    platform: &Platform,
    show: &Show,
    running: &org::Running,
    url: &str,
) -> Result<(), Failure> {
    let flow = Flow::ClientCredentials {
        client_id: running.client_id().to_owned(),
        client_secret: running.client_secret().to_owned().into(),
    };
    let credentials = Credentials { login_url: running.url(), flow };
    let connect = Connect {
        profile: (show.profile)().into(),
        credentials,
        expected: Some(OrgId::parse(&running.org_id())?),
        mapping: None,
    };
    let connected = platform.engine.connect_org(connect).await?;
    let hook = json!({
        "url": format!("{url}/hooks/salesforce/{}/refresh", connected.org.id()),
        "secret": connected.hook.secret,
    });
    let client = reqwest::Client::new();
    let told = client.put(format!("{}/__control/hook", running.url())).json(&hook).send().await?;
    told.error_for_status()?;
    platform.engine.request_first_refresh(connected.org.id());
    Ok(())
}

/// Waits until the org was read as a whole: the first of its events alone are
/// not the demo.
async fn wait_for_events(platform: &Platform, org: &org::Running) -> Result<(), Failure> {
    let id = OrgId::parse(&org.org_id())?;
    let loaded = async {
        loop {
            let all = platform.engine.refreshes(id);
            match all.into_iter().find(|refresh| refresh.event.is_none()) {
                Some(whole) => return whole.outcome,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    match tokio::time::timeout(FIRST_LOAD, loaded).await {
        Ok(Outcome::Failed { means, .. }) => Err(Failure::new(means)),
        Ok(_) => Ok(()),
        Err(_) => {
            Err(Failure::new(format!("the events of {} were not read within a minute", org.url())))
        }
    }
}

fn show_mails(mailbox: mailbox::Mailbox) -> Mailbox {
    Mailbox(Arc::new(move || {
        let read = |mail: Arc<mailbox::Mail>| ReceivedMail {
            number: mail.number,
            from: mail.from.clone(),
            to: mail.to.clone(),
            subject: mail.subject.clone(),
            date: mail.date.clone(),
            text: mail.text.clone(),
            html: mail.html.clone(),
            attachments: mail.attachments.clone(),
        };
        mailbox.mails().into_iter().map(read).collect()
    }))
}

/// An address that signs in to the console once.
async fn console(platform: &Platform, url: &str) -> Result<String, Failure> {
    let link = platform.engine.make_staff_link(CONSOLE).await?;
    Ok(format!("{url}{}", sloe_web::staff::sign_in_path(&link)))
}

fn greeting(
    home: &Home,
    platform: &Platform,
    (orgs, source): (&[org::Running], &org::Running),
    url: &str,
    console: String,
) -> Greeting {
    let facts = |(show, org): (&Show, &org::Running)| {
        let profile = (show.profile)();
        OrgFacts { name: profile.name, slug: profile.slug, salesforce: org.url() }
    };
    let storm = SHOWS.iter().zip(orgs).next().and_then(|(show, org)| {
        let slug = (show.profile)().slug;
        let known = platform.engine.registry().by_slug(&slug)?;
        let events = published(platform, &known);
        let event = events.iter().find(|event| event.slug == STORMED).or_else(|| events.first())?;
        Some(Storm {
            event: format!("{slug}/{}", event.slug),
            org_url: org.url(),
            client_id: org.client_id().to_owned(),
            client_secret: org.client_secret().to_owned(),
        })
    });
    let changes = SHOWS.iter().zip(orgs).find_map(|(show, org)| {
        let store = format!("embedded:{}", home.path.join("platform").display());
        Some(Changes { slug: (show.profile)().slug, url: org.pubsub_url()?, store })
    });
    Greeting {
        changes,
        command: platform::own_command(),
        site: url.to_owned(),
        console,
        orgs: SHOWS.iter().zip(orgs).map(facts).collect(),
        storm,
        licenses: source.url(),
        data: (!home.temporary).then(|| home.path.display().to_string()),
    }
}

/// The events that the public sees.
fn published(platform: &Platform, org: &Org) -> Vec<Arc<Listing>> {
    let mut events = platform.engine.events(org);
    events.retain(|event| event.published);
    events
}

fn ready(
    platform: &Platform,
    (orgs, source): (&[org::Running], &org::Running),
    url: &str,
    console: &str,
    args: &Args,
) -> Result<Value, Failure> {
    let mut shown = Vec::new();
    for (show, org) in SHOWS.iter().zip(orgs) {
        let slug = (show.profile)().slug;
        let known = platform.engine.registry().by_slug(&slug);
        let known = known.ok_or_else(|| Failure::new("a demo org is gone"))?;
        let events: Vec<_> = published(platform, &known)
            .iter()
            .map(|event| json!({ "id": event.id.to_string(), "slug": event.slug }))
            .collect();
        shown.push(json!({
            "slug": slug,
            "org_id": org.org_id(),
            "url": org.url(),
            "client_id": org.client_id(),
            "client_secret": org.client_secret(),
            "pubsub": org.pubsub_url(),
            "events": events,
        }));
    }
    let data = (!args.ephemeral).then(|| args.data.join("platform"));
    Ok(json!({
        "site": url,
        "console": console,
        "staff": console,
        "token": platform.admin_token(),
        "mailbox": format!("{url}/demo/mailbox"),
        "data": data,
        "orgs": shown,
        "source": {
            "url": source.url(),
            "org_id": source.org_id(),
            "client_id": source.client_id(),
            "client_secret": source.client_secret(),
            "package": org::Seed::SOURCE_PACKAGE,
        },
    }))
}
