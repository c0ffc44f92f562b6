//! `sloe storm`: a crowd of visitors against any running Sloe, and the proof
//! that nothing was oversold, lost or doubled.

use std::io::IsTerminal;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args as Arguments, ValueEnum};
use sloe_sim::crowd::{
    self, Arrival, CONNECTIONS, DEFAULT_SCENARIO, Mix, Mode, Options, OrgAccess, PARTY, RATES,
    Report, SESSIONS, Scenario, Screen, Shape, VISITORS,
};
use tokio::sync::Notify;

use super::Failure;
use crate::platform;

const EXAMPLES: &str = "\
Examples:
  sloe storm --event meridian/keynote-live --visitors 10000 --burst
  sloe storm --event meridian/keynote-live --visitors 20000 --rate 500 --mode html
  sloe storm --event meridian/keynote-live --visitors 20000 --curve wave --duration 60
  sloe storm --print-scenario > mix.toml
  sloe storm --event meridian/keynote-live --scenario mix.toml --html report.html
  sloe storm --target http://127.0.0.1:8080,http://127.0.0.1:8081 --event meridian/keynote-live
  sloe storm --target http://127.0.0.1:8080 --event harbor/harbor-gala --visitors 500 \\
       --org-url http://127.0.0.1:8081 --org-client-id … --org-client-secret …

The event should have no other visitors meanwhile. Ctrl-C lets nobody more come; the proof and the
report follow. The exit status is 1 if an invariant is broken,
or if the storm could not be held. Scenarios, curves and the JSON: docs/storm.md";

/// How the visitors register.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// One call of the JSON API.
    Api,
    /// A hold and its confirmation by the JSON API.
    Hold,
    /// The site's pages and forms.
    Html,
}

/// How the number of those who come changes over the time.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Curve {
    /// An invitation: a steep rise and a long tail.
    Wave,
    /// Nobody before the minute, then everybody at once.
    OnSale,
    /// A day: most around noon and in the evening.
    Day,
}

#[derive(Arguments)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Sloe's address; of several, each of a visitor's requests goes to the next.
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:8080"
    )]
    target: Vec<String>,
    /// The event: its id in the API, or org/slug as in its page's address.
    #[arg(long, value_name = "ID", required_unless_present = "print_scenario")]
    event: Option<String>,
    /// A file that says who comes and how; the options here count more.
    #[arg(long, value_name = "FILE", conflicts_with = "mode")]
    scenario: Option<PathBuf>,
    /// Print a scenario to begin with, and end.
    #[arg(long)]
    print_scenario: bool,
    /// How many visitors come [default: 1000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(VISITORS))]
    visitors: Option<u64>,
    /// Visitors a second, whether or not the answers keep up.
    #[arg(long, value_name = "R", conflicts_with_all = ["burst", "curve"], value_parser = rate)]
    rate: Option<f64>,
    /// All at once, as fast as the connections allow; this is the default.
    #[arg(long, conflicts_with = "curve")]
    burst: bool,
    /// All of them within the duration, as many at a time as a curve says.
    #[arg(long, value_enum, value_name = "CURVE", requires = "duration")]
    curve: Option<Curve>,
    /// Nobody begins after so many seconds; with a curve, all come within them.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    duration: Option<u64>,
    /// How the visitors register.
    #[arg(long, value_enum, default_value_t = Way::Api)]
    mode: Way,
    /// Connections, and so visitors served at once [default: 256].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(CONNECTIONS))]
    connections: Option<u64>,
    /// A visitor comes with one to so many people [default: 1].
    #[arg(long, value_name = "N", value_parser = few(PARTY))]
    party: Option<u16>,
    /// Everybody chooses up to so many sessions [default: 2].
    #[arg(long, value_name = "N", value_parser = few(SESSIONS))]
    sessions: Option<u16>,
    /// Orders that are read back; of more, a random sample of this size [default: 20000].
    #[arg(long, value_name = "N")]
    read_back: Option<usize>,
    /// Seconds to wait until abandoned seats come back [default: 90].
    #[arg(long, value_name = "S")]
    expiry: Option<u64>,
    /// The org's address, to prove that every attendee arrives there once.
    #[arg(long, value_name = "URL", requires_all = ["org_client_id", "org_client_secret"])]
    org_url: Option<String>,
    /// A connected app of that org, with the client credentials flow.
    #[arg(long, value_name = "ID")]
    org_client_id: Option<String>,
    /// Its secret; better from the environment.
    #[arg(long, value_name = "SECRET", env = "SLOE_STORM_ORG_SECRET", hide_env_values = true)]
    org_client_secret: Option<String>,
    /// Seconds that the outbox may take to drain.
    #[arg(long, value_name = "S", default_value_t = 300)]
    drain: u64,
    /// The crowd: the same seed is the same people with the same wishes.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Write the report there as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report there as a page with plots, to be read or mailed.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show nothing while it lasts.
    #[arg(long)]
    quiet: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|rate| RATES.contains(rate)).ok_or_else(|| {
        let (least, most) = (RATES.start(), RATES.end());
        format!("a rate is a number from {least} to {most}, visitors a second")
    })
}

/// A small number within bounds that scenarios have, too.
fn few(bounds: RangeInclusive<u64>) -> RangedU64ValueParser<u16> {
    RangedU64ValueParser::new().range(bounds)
}

/// Holds the storm and prints its report; the exit status says whether every
/// invariant held.
///
/// # Errors
/// The storm could not be held.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    if args.print_scenario {
        print!("{DEFAULT_SCENARIO}");
        return Ok(ExitCode::SUCCESS);
    }
    let files = (args.json.clone(), args.html.clone());
    for path in [&files.0, &files.1].into_iter().flatten() {
        // Better said now than after an hour.
        let file = std::fs::File::options().append(true).create(true).open(path);
        file.map_err(|error| unwritable(path, &error))?;
    }
    let watched = !args.quiet && std::io::stderr().is_terminal();
    let screen = if watched { Screen::terminal() } else { Screen::hidden() };
    let mut options = options(args)?;
    options.stop = Some(ended_by_hand());
    // One thread of its own: the crowd often shares the machine with its target.
    let storm = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(error.to_string()))?;
        runtime.block_on(crowd::watch(&options, &screen)).map_err(Failure::from)
    });
    let report = storm.await??;
    print!("{report}");
    if let Some(path) = files.0 {
        write(&path, &serde_json::to_vec_pretty(&report)?)?;
    }
    if let Some(path) = files.1 {
        write(&path, report.html()?.as_bytes())?;
    }
    Ok(exit_code(&report))
}

/// Told when somebody asks the process to end. Who asks a second time does not wait.
fn ended_by_hand() -> Arc<Notify> {
    let stop = Arc::new(Notify::new());
    let told = Arc::clone(&stop);
    tokio::spawn(async move {
        platform::asked_to_stop().await;
        eprintln!("Nobody more comes; the proof follows. Ask again to end without it.");
        told.notify_one();
        platform::asked_to_stop().await;
        std::process::exit(130);
    });
    stop
}

fn write(path: &Path, text: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{} can't be written: {error}", path.display()))
}

fn exit_code(report: &Report) -> ExitCode {
    if report.is_broken() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn scenario(path: &Path) -> Result<Scenario, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{} can't be read: {error}", path.display())))?;
    Scenario::parse(&text).map_err(|faults| {
        let name = path.display();
        Failure::new(format!(
            "{name} is no scenario; `sloe storm --print-scenario` shows one:\n{faults}"
        ))
    })
}

/// What is asked for: by a scenario, if one is named, and by the options, which count more.
fn options(args: Args) -> Result<Options, Failure> {
    let event = args.event.unwrap_or_default();
    let mut options = Options::new(&args.target.join(","), &event, 1_000)?;
    options.mix = Mix::registrants(match args.mode {
        Way::Api => Mode::Api,
        Way::Hold => Mode::Hold,
        Way::Html => Mode::Html,
    });
    if let Some(path) = &args.scenario {
        scenario(path)?.apply(&mut options);
    }
    let duration = args.duration.map(Duration::from_secs);
    match (args.rate, args.curve, duration, options.arrival) {
        (Some(rate), ..) => (options.arrival, options.duration) = (Arrival::Rate(rate), duration),
        (None, Some(curve), Some(over), _) => {
            options.arrival = Arrival::Curve(shape(curve), over);
            options.duration = None;
        }
        (None, None, _, _) if args.burst => {
            (options.arrival, options.duration) = (Arrival::Burst, duration);
        }
        // A scenario's own curve, over another time.
        (None, None, Some(over), Arrival::Curve(shape, _)) => {
            options.arrival = Arrival::Curve(shape, over);
        }
        (..) => options.duration = duration.or(options.duration),
    }
    options.visitors = args.visitors.unwrap_or(options.visitors);
    let connections = args.connections.and_then(|count| usize::try_from(count).ok());
    options.connections = connections.unwrap_or(options.connections);
    options.party = args.party.unwrap_or(options.party);
    options.sessions = args.sessions.unwrap_or(options.sessions);
    options.read_back = args.read_back.unwrap_or(options.read_back);
    options.expiry = args.expiry.map_or(options.expiry, Duration::from_secs);
    options.seed = args.seed.unwrap_or(options.seed);
    options.command = Some(platform::command_line(&["--org-client-secret"]));
    let patience = Duration::from_secs(args.drain);
    options.org = match (args.org_url, args.org_client_id, args.org_client_secret) {
        (Some(url), Some(client_id), Some(client_secret)) => {
            Some(OrgAccess { url, client_id, client_secret, patience })
        }
        _ => None,
    };
    Ok(options)
}

fn shape(curve: Curve) -> Shape {
    match curve {
        Curve::Wave => Shape::Wave,
        Curve::OnSale => Shape::OnSale,
        Curve::Day => Shape::Day,
    }
}
