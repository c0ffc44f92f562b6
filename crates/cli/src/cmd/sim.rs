//! `sloe sim`: what is outside, simulated.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use sloe_sim::org;

use super::Failure;
use crate::platform;

const EXAMPLES: &str = "\
Examples:
  sloe sim org --print-seed > my-org.toml
  sloe sim org --listen 127.0.0.1:9000 --seed my-org.toml --data ./org
  sloe sim org --daily-limit 15000 --concurrent-limit 5 --json
  sloe sim org --source --listen 127.0.0.1:9003    the org that licenses others

While it runs: records and activity at its address in a browser, and what goes wrong by its control API:
  C=http://127.0.0.1:9000/__control
  curl -X PUT $C/faults -d '{\"latency\": {\"p50_ms\": 120, \"p99_ms\": 900}}'
  curl -X PUT $C/faults -d '{\"errors\": {\"SERVER_UNAVAILABLE\": 0.1}, \"seed\": 7}'
  curl -X PUT $C/limits -d '{\"others_per_minute\": 600}'
  curl -X PUT $C/maintenance -d '{\"minutes\": 15}'
  curl -X DELETE $C/faults
All of it: docs/simulated-org.md";

#[derive(Subcommand)]
pub(crate) enum Sim {
    /// One simulated Salesforce org on a socket.
    #[command(after_help = EXAMPLES)]
    Org(Org),
}

#[derive(Args)]
pub(crate) struct Org {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// What the org begins with: users, apps, records (TOML).
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Be the vendor's org with the License Management App, which licenses the orgs of the demo.
    #[arg(long, conflicts_with = "seed")]
    source: bool,
    /// Print the default seed and end.
    #[arg(long)]
    print_seed: bool,
    /// Keep everything of the org here; without it all ends with the process.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// API calls in 24 hours: 100,000 unless given.
    #[arg(long)]
    daily_limit: Option<u64>,
    /// Calls of more than 20 s at once: 25 unless given.
    #[arg(long)]
    concurrent_limit: Option<u32>,
    /// Serve HTTPS with this certificate (PEM, its chain behind it).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where the Pub/Sub API listens, for change events; nowhere unless given.
    #[arg(long, value_name = "ADDRESS")]
    pubsub_listen: Option<SocketAddr>,
    /// Print one JSON object once ready.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(sim: Sim) -> Result<(), Failure> {
    let Sim::Org(args) = sim;
    let own = if args.source { org::Seed::source_text() } else { org::Seed::default_text() };
    if args.print_seed {
        print!("{own}");
        return Ok(());
    }
    let seed = match &args.seed {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("{} can't be read: {error}", path.display())))?,
        None => own.to_owned(),
    };
    let options = org::Options {
        listen: args.listen,
        seed: org::Seed::parse(&seed)?,
        data: args.data,
        daily_limit: args.daily_limit,
        concurrent_limit: args.concurrent_limit,
        now: jiff::Timestamp::now,
    };
    let tls = args.tls_cert.zip(args.tls_key).map(|(cert, key)| org::Tls { cert, key });
    let doors = org::Doors { tls, pubsub: args.pubsub_listen };
    let running = org::start_with(options, doors).await?;
    if args.json {
        let ready = json!({
            "url": running.url(),
            "org_id": running.org_id(),
            "client_id": running.client_id(),
            "client_secret": running.client_secret(),
            "pubsub": running.pubsub_url(),
        });
        println!("{ready}");
    } else {
        println!("A simulated Salesforce org listens on {}", running.url());
        println!("  org            {}", running.org_id());
        println!("  client id      {}", running.client_id());
        println!("  client secret  {}", running.client_secret());
        if let Some(url) = running.pubsub_url() {
            println!("  change events  {url}");
        }
        println!("  records        {}/", running.url());
        println!("  faults         {}/__control", running.url());
    }
    platform::asked_to_stop().await;
    running.shutdown().await;
    Ok(())
}
