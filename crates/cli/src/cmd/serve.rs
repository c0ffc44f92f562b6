//! `sloe serve`: the platform.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Arguments, ValueEnum};

use super::Failure;
use crate::at::{Place, StoreAt};
use crate::boot::{self, Platform, Wishes};
use crate::peers::PeersAt;
use crate::platform;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Serves the public.
    Web,
    /// Refreshes, syncs, sends; answers whoever asks as well.
    Worker,
    /// Both.
    All,
}

const EXAMPLES: &str = "\
Examples:
  SLOE_MASTER_KEY=$(openssl rand -hex 32) sloe serve --listen 0.0.0.0:8080
  sloe serve --store mongodb://localhost/sloe     one of many nodes; docs/mongodb.md has more
  sloe serve --store mongodb://localhost/sloe --role worker     the same, and no pages needed";

#[derive(Arguments)]
#[command(
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// What this process does: web leaves all that calls Salesforce and sends mail to others;
    /// worker and all do everything, worker is for nodes that no visitor is sent to. The embedded
    /// store needs all.
    #[arg(long, env = "SLOE_ROLE", value_enum, default_value_t = Role::All)]
    role: Role,
    /// Where to listen; PORT, if set, stands for 0.0.0.0:PORT.
    #[arg(long, env = "SLOE_LISTEN")]
    listen: Option<SocketAddr>,
    #[arg(long, env = "PORT", hide = true)]
    port: Option<u16>,
    #[command(flatten)]
    place: Place,
    /// File with the secret that opens the admin API to operators' commands (or SLOE_ADMIN_TOKEN);
    /// on the embedded store they need none.
    #[arg(long, env = "SLOE_ADMIN_TOKEN_FILE", value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// How registrants reach the site: `https://tickets.example.org`.
    #[arg(long, env = "SLOE_PUBLIC_URL")]
    public_url: Option<String>,
    /// SMTP server for confirmations: `smtps://user:password@host`; none are sent without.
    #[arg(long, env = "SLOE_SMTP_URL", hide_env_values = true)]
    smtp_url: Option<String>,
    /// Sender of confirmations.
    #[arg(long, env = "SLOE_MAIL_FROM", default_value = "Sloe <tickets@localhost>")]
    mail_from: String,
    /// Requests one address may make a second, on average; 0 is no limit.
    #[arg(long, env = "SLOE_RATE_LIMIT", default_value_t = 50)]
    rate_limit: u32,
    /// Believe X-Forwarded-For, as a proxy or balancer before this adds the caller's address to it:
    /// without, all who come through one share its rate limit.
    #[arg(long, env = "SLOE_BEHIND_PROXY", value_parser = clap::builder::FalseyValueParser::new())]
    behind_proxy: bool,
    /// Seconds to go on answering after SIGTERM, while /readyz says already that no more should be
    /// sent here: 0 on the embedded store, 5 on MongoDB, where others take over.
    #[arg(long, env = "SLOE_DRAIN_SECONDS", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=300))]
    drain: Option<u64>,
    /// Where other nodes on the same store hand over claims of events that this one leads; only
    /// they should reach it.
    #[arg(long, env = "SLOE_PEER_LISTEN", value_name = "ADDRESS")]
    peer_listen: Option<SocketAddr>,
    /// How other nodes reach --peer-listen, if not by its own address: `http://10.0.0.3:7070`.
    #[arg(long, env = "SLOE_PEER_ADVERTISE", value_name = "URL", requires = "peer_listen")]
    peer_advertise: Option<String>,
    #[command(flatten)]
    licenses: super::license::Source,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let store = args.place.store()?;
    if args.role != Role::All && matches!(store, StoreAt::Embedded(_)) {
        return Err(Failure::new(
            "the embedded store belongs to exactly one process, which does everything: use --role all, \
             or name the store of many nodes (--store mongodb://…, SLOE_STORE or MONGODB_URI)",
        ));
    }
    if args.peer_listen.is_some() && matches!(store, StoreAt::Embedded(_)) {
        return Err(Failure::new(
            "the embedded store has one node, and no peers: leave --peer-listen out",
        ));
    }
    let port = args.port.map(|port| SocketAddr::from(([0, 0, 0, 0], port)));
    let listen = args.listen.or(port).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
    let next = listen.port().saturating_add(1);
    let instead = format!("sloe serve --listen {}:{next}", listen.ip());
    let listener = platform::bind(listen, &instead)?;
    let address = listener.local_addr()?;
    let told = args.public_url.filter(|url| !url.is_empty());
    let public_url = told.unwrap_or_else(|| format!("http://{address}"));
    let key = boot::master_key(&store, false)?;
    let peers = match args.peer_listen {
        Some(address) => Some(PeersAt::bind(address, args.peer_advertise)?),
        None => None,
    };
    let wishes = Wishes {
        peers,
        smtp_url: args.smtp_url,
        mail_from: args.mail_from,
        public_url: public_url.clone(),
        rate_limit: args.rate_limit,
        mailbox: None,
        licenses: args.licenses.read()?,
        runs_work: args.role != Role::Web,
        drain: args.drain.map(Duration::from_secs),
        behind_proxy: args.behind_proxy,
        admin_token: platform::admin_token(args.admin_token_file.as_deref())?,
    };
    // One future for all of it: who asks between two would not be heard.
    let asked_to_stop = platform::asked_to_stop();
    tokio::pin!(asked_to_stop);
    let platform = tokio::select! {
        biased;
        () = &mut asked_to_stop => return Ok(()),
        started = Platform::start(&store, key, wishes, listener) => started?,
    };
    eprintln!("sloe: serving {public_url} from {store}");
    asked_to_stop.await;
    eprintln!("sloe: draining; what was acknowledged is durable");
    platform.stop().await;
    Ok(())
}
