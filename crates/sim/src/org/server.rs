//! Starts and stops an org.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use jiff::Timestamp;
use sloe_core::ids::SfId;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::data::Database;
use super::kept::Entry;
use super::limits::Allowance;
use super::schema::Schema;
use super::seed::{self, Seed};
use super::state::{App, Parts, State};
use super::tls::{Tls, TlsListener};
use super::{Error, api, events, page};

/// What an enterprise org may do in a day.
const DAILY: u64 = 100_000;
/// Long-running calls a production org allows at once.
const CONCURRENT: u32 = 25;
/// From when on a call counts as long-running.
const LONG_AFTER_MS: u64 = 20_000;
/// How long a stop waits for calls under way.
const DRAIN: Duration = Duration::from_secs(5);

/// How an org is to run.
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What it begins with; its records only where the data directory has none.
    pub seed: Seed,
    /// Where everything is kept; without it all ends with the process.
    pub data: Option<PathBuf>,
    /// API calls in 24 hours; 100,000 unless given.
    pub daily_limit: Option<u64>,
    /// Long-running calls at once; 25 unless given.
    pub concurrent_limit: Option<u32>,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// What an org has beside its plain address.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    /// Encrypts everything; without it all is plain HTTP.
    pub tls: Option<Tls>,
    /// Where the Pub/Sub API listens; port 0 takes a free one. None: nowhere.
    pub pubsub: Option<SocketAddr>,
}

/// An org that listens.
pub struct Running {
    address: SocketAddr,
    pubsub: Option<SocketAddr>,
    state: Arc<State>,
    client: Option<(String, String)>,
    stop: Option<watch::Sender<()>>,
    servers: Vec<JoinHandle<()>>,
    worker: JoinHandle<()>,
}

/// Starts an org on plain HTTP, without the Pub/Sub API; returns once it listens.
///
/// # Errors
/// The seed, the address or the data directory can't be used.
pub async fn start(options: Options) -> Result<Running, Error> {
    start_with(options, Doors::default()).await
}

/// Starts an org; returns once it listens.
///
/// # Errors
/// The seed, an address, the certificate or the data directory can't be used.
pub async fn start_with(options: Options, doors: Doors) -> Result<Running, Error> {
    let tls = doors.tls.as_ref().map(Tls::load).transpose()?;
    let (listener, address) = bind(options.listen, "--listen").await?;
    let pubsub = match doors.pubsub {
        Some(_) if !events::SERVED => return Err(Error::NoPubSub),
        Some(address) => Some(bind(address, "--pubsub-listen").await?),
        None => None,
    };
    let allowance = Allowance::new(
        options.daily_limit.unwrap_or(DAILY),
        options.concurrent_limit.unwrap_or(CONCURRENT),
        LONG_AFTER_MS,
    );
    let seed = options.seed.clone();
    let client = seed.apps.iter().find_map(|app| {
        app.client_secret.as_ref().map(|secret| (app.client_id.clone(), secret.clone()))
    });
    let loading = tokio::task::spawn_blocking(move || load(&options));
    let Loaded { database, apps, entries } =
        loading.await.map_err(|e| Error::Machine(e.to_string()))??;
    // Another part of the process may have chosen one already; either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .timeout(page::HOOK_TIMEOUT)
        .build()
        .map_err(|e| Error::Machine(format!("no HTTP client can be made: {e}")))?;
    let (uploaded, jobs) = mpsc::unbounded_channel();
    let state = Arc::new(State::new(Parts {
        url: format!("{}://{address}", if tls.is_some() { "https" } else { "http" }),
        name: seed.org.name.clone(),
        now: database.clock(),
        apps,
        database,
        edition: seed.org.edition.clone(),
        given: allowance,
        hook: seed.hook.clone(),
        uploaded,
        http,
    }));
    restore(&state, entries).await?;
    let worker = tokio::spawn(work(Arc::clone(&state), jobs));
    let (stop, stopped) = watch::channel(());
    let mut servers = vec![open(listener, tls.clone(), router(Arc::clone(&state)), &stopped)?];
    let mut pubsub_at = None;
    if let Some((listener, address)) = pubsub {
        pubsub_at = Some(address);
        servers.push(open(listener, tls, events::router(&state), &stopped)?);
    }
    let pubsub = pubsub_at;
    Ok(Running { address, pubsub, state, client, stop: Some(stop), servers, worker })
}

async fn bind(
    address: SocketAddr,
    option: &'static str,
) -> Result<(TcpListener, SocketAddr), Error> {
    let fault = |source| Error::Listen { address, option, source };
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    Ok((listener, address))
}

/// Serves a listener until the other end of `stopped` is dropped.
fn open(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    stopped: &watch::Receiver<()>,
) -> Result<JoinHandle<()>, Error> {
    let Some(config) = tls else { return Ok(serve(listener, router, stopped.clone())) };
    let listener = TlsListener::new(listener, config).map_err(|e| Error::Machine(e.to_string()))?;
    Ok(serve(listener, router, stopped.clone()))
}

fn serve<L>(listener: L, router: Router, mut stopped: watch::Receiver<()>) -> JoinHandle<()>
where
    L: Listener<Addr = SocketAddr>,
{
    tokio::spawn(async move {
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            // An error is what is waited for: the sender is gone.
            let _ = stopped.changed().await;
        });
        if let Err(error) = serving.await {
            tracing::error!(%error, "the simulated org stopped serving");
        }
    })
}

/// Takes up what an earlier run kept beside records; the jobs it left go on.
async fn restore(state: &Arc<State>, entries: Vec<Entry>) -> Result<(), Error> {
    let restored = Arc::clone(state);
    let restored = tokio::task::spawn_blocking(move || restored.restore(entries)).await;
    let unfinished = restored.map_err(|e| Error::Machine(e.to_string()))?.map_err(Error::Data)?;
    for job in unfinished {
        // The receiver lives as long as the org does.
        let _ = state.uploaded.send(job);
    }
    Ok(())
}

/// What the seed and the data directory give.
struct Loaded {
    database: Database,
    apps: Vec<App>,
    entries: Vec<Entry>,
}

fn load(options: &Options) -> Result<Loaded, Error> {
    let seed = &options.seed;
    let org = seed.org_id()?;
    let schema = Schema::build(|objects| seed.extend(objects)).map_err(Error::Seed)?;
    let mut database = Database::new(Arc::new(schema), org, options.now);
    let (found, entries) = match &options.data {
        Some(directory) => database.attach(directory).map_err(Error::Data)?,
        None => (false, Vec::new()),
    };
    if found {
        let orgs = database.schema().find("Organization").unwrap_or(0);
        if database.table(orgs).get(org).is_none() {
            return Err(Error::Data(format!(
                "the data directory belongs to another org than {org}; choose another"
            )));
        }
    } else {
        seed::plant(seed, &mut database).map_err(Error::Seed)?;
        database.commit().map_err(Error::Data)?;
    }
    let apps =
        seed.apps.iter().map(|facts| app(seed, &database, facts)).collect::<Result<_, _>>()?;
    Ok(Loaded { database, apps, entries })
}

fn app(seed: &Seed, database: &Database, facts: &seed::AppFacts) -> Result<App, Error> {
    let jwt_key = facts
        .jwt_public_key
        .as_ref()
        .map(|pem| {
            jsonwebtoken::DecodingKey::from_rsa_pem(pem.as_bytes()).map_err(|e| {
                Error::Seed(format!(
                    "app {}: jwt_public_key isn't an RSA key in PEM: {e}",
                    facts.name
                ))
            })
        })
        .transpose()?;
    let place = facts
        .run_as
        .as_ref()
        .and_then(|name| seed.users.iter().position(|user| user.username == *name));
    let run_as = place.and_then(|place| SfId::parse(&seed::user_id(database, place + 1)).ok());
    Ok(App {
        name: facts.name.clone(),
        client_id: facts.client_id.clone(),
        client_secret: facts.client_secret.clone(),
        refresh_token: facts.refresh_token.clone(),
        jwt_key,
        run_as,
    })
}

fn router(state: Arc<State>) -> Router {
    let api = axum::routing::any(api::serve);
    Router::new()
        .route("/services/{*rest}", api.clone())
        .route("/id/{*rest}", api)
        .merge(api::control::routes())
        .merge(events::control::routes())
        .merge(page::routes())
        .fallback(api::serve_loosely)
        .layer(axum::extract::DefaultBodyLimit::max(1024 * 1024))
        .with_state(state)
}

/// Works on uploaded Bulk jobs, all at once: their batches share the org's room.
async fn work(state: Arc<State>, mut uploaded: mpsc::UnboundedReceiver<String>) {
    let mut running = JoinSet::new();
    while let Some(id) = uploaded.recv().await {
        while running.try_join_next().is_some() {}
        if state.stopping.load(Ordering::Relaxed) {
            break;
        }
        if let Some(job) = state.jobs.get(&id) {
            running.spawn(api::worker::work(Arc::clone(&state), job));
        }
    }
    running.join_all().await;
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Its address as clients write it, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.state.url.clone()
    }

    /// Where its Pub/Sub API is, as a URL, if it has one.
    #[must_use]
    pub fn pubsub_url(&self) -> Option<String> {
        let scheme = self.state.url.split("://").next().unwrap_or_default();
        self.pubsub.map(|address| format!("{scheme}://{address}"))
    }

    /// Its id, of 18 characters.
    #[must_use]
    pub fn org_id(&self) -> String {
        self.state.org.to_string()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// The client id of the first app that has a secret; empty if none has.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.client.as_ref().map_or("", |(id, _)| id)
    }

    /// That app's secret.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        self.client.as_ref().map_or("", |(_, secret)| secret)
    }

    /// Where the org's Update button reports to from now on: Sloe's address and the org's hook secret.
    pub fn set_hook(&self, url: &str, secret: &str) {
        let hook = super::state::Hook { url: url.to_owned(), secret: secret.to_owned() };
        if let Err(error) = self.state.set_hook(Some(hook)) {
            tracing::error!(%error, "the hook holds until the org ends; it couldn't be kept");
        }
    }

    /// Lets calls under way end, keeps everything and stops; a job that is worked on goes on at the next start.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        // Stalled calls would never end.
        self.state.faults.send_replace(Arc::default());
        self.state.events.end();
        for server in &mut self.servers {
            if tokio::time::timeout(DRAIN, &mut *server).await.is_err() {
                server.abort();
            }
        }
        self.state.stopping.store(true, Ordering::Relaxed);
        self.state.unlocked.notify_all();
        self.state.maintenance.send_replace(None);
        // The receiver is the worker itself, which may have ended.
        let _ = self.state.uploaded.send(String::new());
        if let Err(error) = self.worker.await {
            tracing::error!(%error, "the work on bulk jobs ended badly");
        }
        let state = Arc::clone(&self.state);
        let kept = tokio::task::spawn_blocking(move || state.save()).await;
        if let Ok(Err(error)) = kept {
            tracing::error!(%error, "the org's log couldn't be rewritten; it still holds everything");
        }
    }
}
