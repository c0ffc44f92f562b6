//! `sloe storm`: a crowd of visitors against any running Sloe, and the proof
//! that nothing was oversold, lost or doubled.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args as Arguments, ValueEnum};
use sloe_sim::crowd::{self, Arrival, Mode, Options, OrgAccess, Report};

use super::Failure;

const EXAMPLES: &str = "\
Examples:
  sloe storm --event meridian/keynote-live --visitors 10000 --burst
  sloe storm --event meridian/keynote-live --visitors 20000 --rate 500 --mode html
  sloe storm --target http://127.0.0.1:8080 --event harbor/harbor-gala --visitors 500 \\
       --org-url http://127.0.0.1:8081 --org-client-id … --org-client-secret …

The event should have no other visitors meanwhile. The exit status is 1 if an invariant is broken.";

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

#[derive(Arguments)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Sloe's address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    target: String,
    /// The event: its id in the API, or org/slug as in its page's address.
    #[arg(long, value_name = "ID")]
    event: String,
    /// How many visitors come.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    visitors: u64,
    /// Visitors a second, whether or not the answers keep up.
    #[arg(long, value_name = "R", conflicts_with = "burst", value_parser = rate)]
    rate: Option<f64>,
    /// All at once, as fast as the connections allow; this is the default.
    #[arg(long)]
    burst: bool,
    /// Nobody begins after so many seconds.
    #[arg(long, value_name = "S")]
    duration: Option<u64>,
    /// How the visitors register.
    #[arg(long, value_enum, default_value_t = Way::Api)]
    mode: Way,
    /// Connections, and so visitors served at once.
    #[arg(long, value_name = "N", default_value_t = 256)]
    connections: usize,
    /// A visitor comes with one to so many people.
    #[arg(long, value_name = "N", default_value_t = 1)]
    party: u16,
    /// Everybody chooses up to so many sessions.
    #[arg(long, value_name = "N", default_value_t = 2)]
    sessions: u16,
    /// Orders that are read back; of more, a random sample of this size.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    read_back: usize,
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
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "a rate is a number above 0, visitors a second".to_owned())
}

/// Holds the storm and prints its report; the exit status says whether every
/// invariant held.
///
/// # Errors
/// The storm could not be held.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let json = args.json.clone();
    let options = options(args)?;
    let bar = crowd::progress_bar();
    let shown = bar.clone();
    // One thread of its own: the crowd often shares the machine with its target.
    let storm = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(error.to_string()))?;
        runtime.block_on(crowd::run(&options, &shown)).map_err(Failure::from)
    });
    let report = storm.await??;
    bar.finish_and_clear();
    print!("{report}");
    if let Some(path) = json {
        let text = serde_json::to_vec_pretty(&report)?;
        std::fs::write(&path, text).map_err(|error| {
            Failure::new(format!("{} can't be written: {error}", path.display()))
        })?;
    }
    Ok(exit_code(&report))
}

fn exit_code(report: &Report) -> ExitCode {
    if report.is_broken() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn options(args: Args) -> Result<Options, Failure> {
    let mut options = Options::new(&args.target, &args.event, args.visitors)?;
    options.arrival = args.rate.map_or(Arrival::Burst, Arrival::Rate);
    options.duration = args.duration.map(Duration::from_secs);
    options.mode = match args.mode {
        Way::Api => Mode::Api,
        Way::Hold => Mode::Hold,
        Way::Html => Mode::Html,
    };
    options.connections = args.connections;
    options.party = args.party;
    options.sessions = args.sessions;
    options.read_back = args.read_back;
    options.seed = args.seed.unwrap_or(options.seed);
    let patience = Duration::from_secs(args.drain);
    options.org = match (args.org_url, args.org_client_id, args.org_client_secret) {
        (Some(url), Some(client_id), Some(client_secret)) => {
            Some(OrgAccess { url, client_id, client_secret, patience })
        }
        _ => None,
    };
    Ok(options)
}
