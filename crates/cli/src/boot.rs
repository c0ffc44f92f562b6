//! From settings to a running platform: store, engine, web. The composition
//! root: nothing else knows all the parts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sloe_engine::clock::Machine;
use sloe_engine::engine::{Engine, LEDGER_BYTES, Options, StartError};
use sloe_engine::mail::MailSettings;
use sloe_engine::seal::Key;
use sloe_engine::tenant::OrgError;
use sloe_engine::worker;
use sloe_store::api::{Store, StoreError};
use sloe_store::embedded::Embedded;
use sloe_store::server;
use sloe_web::Entrance;
use sloe_web::mailbox::Mailbox;
use sloe_web::state::{AppState, Phase, Rate, Settings};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::at::StoreAt;
use crate::cmd::Failure;
use crate::peers::PeersAt;
use crate::platform::{self, Announced};

/// How soon a store that does not answer is tried again at first, and at last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How long balancers take to notice that a node is not ready.
const NOTICED: Duration = Duration::from_secs(5);

/// What a platform is told beside where its data is.
pub(crate) struct Wishes {
    /// SMTP server for confirmations; `None` sends none.
    pub(crate) smtp_url: Option<String>,
    /// Sender of confirmations.
    pub(crate) mail_from: String,
    /// How registrants reach the site, without a slash at the end.
    pub(crate) public_url: String,
    /// Requests one address may make a second; 0 is no limit.
    pub(crate) rate_limit: u32,
    /// The demo's mails, if this is the demo.
    pub(crate) mailbox: Option<Mailbox>,
    /// Where licenses are replicated from; `None` leaves them to be recorded by hand.
    pub(crate) licenses: Option<worker::SourceOrg>,
    /// Whether it calls orgs, sends mail and looks after what is stored; else others do.
    pub(crate) runs_work: bool,
    /// Opens the admin API; `None`: on the embedded store a token of this run, else nobody.
    pub(crate) admin_token: Option<String>,
    /// How long it still answers after it was asked to stop, when it says already that it is not
    /// ready: as long as a balancer takes to notice. `None`: as the store has it.
    pub(crate) drain: Option<Duration>,
    /// Whether a proxy stands before it that tells who calls.
    pub(crate) behind_proxy: bool,
    /// Where other nodes reach this one, if they do.
    pub(crate) peers: Option<PeersAt>,
}

/// The master key: the environment's, else the one beside the data.
pub(crate) fn master_key(at: &StoreAt, may_make: bool) -> Result<Key, Failure> {
    if let Some(key) = platform::from_environment()? {
        return Ok(key);
    }
    match at {
        StoreAt::Embedded(data) => key_beside(data, may_make),
        StoreAt::Mongo(_) => Err(Failure::new(
            "there is no master key: set SLOE_MASTER_KEY to the same 64 hexadecimal digits on every \
             node (openssl rand -hex 32 makes them), and keep it safe: the data can't be read without it",
        )),
    }
}

fn key_beside(data: &Path, may_make: bool) -> Result<Key, Failure> {
    let has_key = |at: &Path| at.join(platform::MASTER_KEY).exists();
    if may_make || has_key(data) {
        return platform::keep_beside(data);
    }
    // A demo keeps its key one folder above its store. New data gets no key of something else.
    let above = data.parent().filter(|above| has_key(above));
    if let Some(above) = above.filter(|_| Embedded::exists(data)) {
        return platform::keep_beside(above);
    }
    Err(Failure::new(
        "there is no master key: set SLOE_MASTER_KEY to 64 hexadecimal digits (openssl rand -hex 32) \
         and keep it as safe as the data, which can't be read without it",
    ))
}

/// An engine of a tool's own: nothing runs in it beside what it is asked.
/// Embedded, it has the store to itself; where there is no store they looked in
/// the wrong place, and leave nothing there. On a server, the nodes that run on
/// the same store follow what it changes.
pub(crate) async fn start_engine_alone(at: &StoreAt) -> Result<Engine, Failure> {
    if let StoreAt::Embedded(data) = at
        && !Embedded::exists(data)
    {
        let data = data.display();
        let todo = "name it with --store, or begin one with sloe serve or sloe org add";
        return Err(Failure::new(format!("there is no store in {data}: {todo}")));
    }
    start_engine_anywhere(at).await
}

/// The same, on a new store if there is none.
pub(crate) async fn start_engine_anywhere(at: &StoreAt) -> Result<Engine, Failure> {
    let key = master_key(at, false)?;
    let at = at.clone();
    aside(move || Ok(start_engine(open(&at)?, key, None)?)).await
}

/// Has an engine of the tool's own answer what a running platform would be asked.
pub(crate) async fn ask_alone(at: &StoreAt, path: &str, body: &Value) -> Result<Value, Failure> {
    let public_url = platform::public_url();
    if public_url.is_none() && ["events/invite", "staff/link"].contains(&path) {
        return Err(Failure::new("set SLOE_PUBLIC_URL as the nodes have it: links begin with it"));
    }
    let engine = start_engine_alone(at).await?;
    let settings = Settings { public_url, ..Settings::default() };
    let state = AppState::new(engine.clone(), settings, None);
    let answer = sloe_web::admin::ask(state, path, body).await;
    engine.stop().await;
    answer.map_err(Failure::new)
}

/// A store to read from only, beside whatever runs on it.
pub(crate) async fn open_to_read(at: &StoreAt) -> Result<Arc<dyn Store>, Failure> {
    let at = at.clone();
    aside(move || match &at {
        StoreAt::Embedded(data) => Ok(Arc::new(Embedded::open_read_only(data)?) as Arc<dyn Store>),
        StoreAt::Mongo(_) => open(&at),
    })
    .await
}

/// Opens a store.
pub(crate) fn open(at: &StoreAt) -> Result<Arc<dyn Store>, Failure> {
    match at {
        StoreAt::Embedded(data) => {
            platform::make_private(data)?;
            Ok(Arc::new(Embedded::open(data)?))
        }
        StoreAt::Mongo(address) => {
            server::open(address.whole()).map_err(|error| Failure::new(told(at, &error)))
        }
    }
}

/// What is wrong with a store, and with which.
pub(crate) fn told(at: &StoreAt, error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(why) | StoreError::OutcomeUnknown(why) => {
            format!("the store can't be reached ({at}): {why}")
        }
        StoreError::Unusable(_) | StoreError::Damaged(_) | StoreError::Superseded => {
            error.to_string()
        }
    }
}

/// Does what blocks where that disturbs nobody.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Failure::new("it ended by a panic")))
}

fn start_engine(
    store: Arc<dyn Store>,
    master_key: Key,
    workers: Option<worker::Settings>,
) -> Result<Engine, StartError> {
    let world = Arc::new(Machine);
    Engine::start(Options { store, master_key, world, ledger_bytes: LEDGER_BYTES, workers })
}

/// A running platform.
pub(crate) struct Platform {
    /// Everything it can be asked.
    pub(crate) engine: Engine,
    state: AppState,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
    announced: Option<Announced>,
    entrance: Arc<Entrance>,
    drain: Duration,
}

impl Platform {
    /// Starts engine, workers and site; returns once requests are taken. Until
    /// then whoever asks is told to come back.
    pub(crate) async fn start(
        at: &StoreAt,
        key: Key,
        wishes: Wishes,
        listener: TcpListener,
    ) -> Result<Self, Failure> {
        let metrics = sloe_web::health::install_metrics()?;
        let url = format!("http://{}", listener.local_addr()?);
        let mut wishes = wishes;
        let peers = wishes.peers.take();
        let mut workers = workers(&wishes);
        if let Some(peers) = &peers {
            workers.peering = Some(peers.peering()?);
        }
        let drain = wishes.drain.unwrap_or(match at {
            StoreAt::Embedded(_) => Duration::ZERO,
            StoreAt::Mongo(_) => NOTICED,
        });
        let settings = settings(at, wishes)?;
        let entrance = Entrance::new(&settings);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(sloe_web::serve(listener, Arc::clone(&entrance), async {
            // A dropped sender stops the platform as well.
            let _ = stopped.await;
        }));
        let engine = start_patiently(at, key, workers, &entrance).await?;
        if let Some(peers) = peers {
            peers.serve(&engine);
        }
        let admin_token = settings.admin_token.clone();
        let announced = match (at, &admin_token) {
            (StoreAt::Embedded(data), Some(token)) => Some(platform::announce(data, &url, token)?),
            _ => None,
        };
        let state = AppState::new(engine.clone(), settings, Some(metrics));
        entrance.open(sloe_web::app(state.clone()));
        state.set_phase(Phase::Ready);
        Ok(Self { engine, state, stop, serving, announced, entrance, drain })
    }

    /// The bearer token of its admin API, for this run.
    #[cfg(feature = "sim")]
    pub(crate) fn admin_token(&self) -> &str {
        self.state.settings.admin_token.as_deref().unwrap_or_default()
    }

    /// Says that it is not ready and goes on until that was noticed; then takes nothing new,
    /// finishes what is under way, ends. Whoever asks again is not waited for.
    pub(crate) async fn stop(self) {
        self.state.set_phase(Phase::Draining);
        self.entrance.close();
        tokio::select! {
            () = tokio::time::sleep(self.drain) => {}
            () = platform::asked_to_stop() => {}
        }
        let _ = self.stop.send(());
        if let Ok(Err(error)) = self.serving.await {
            tracing::error!(%error, "the site ended badly");
        }
        self.engine.stop().await;
        drop(self.announced);
    }
}

fn workers(wishes: &Wishes) -> worker::Settings {
    let mail = wishes.smtp_url.clone().map(|url| MailSettings {
        smtp_url: url.into(),
        from: wishes.mail_from.clone(),
        public_url: wishes.public_url.clone(),
        render: Arc::new(sloe_web::order_mail),
    });
    let (licenses, works) = (wishes.licenses.clone(), wishes.runs_work);
    worker::Settings { mail, licenses, works, ..worker::Settings::default() }
}

fn settings(at: &StoreAt, wishes: Wishes) -> Result<Settings, Failure> {
    let rate = (wishes.rate_limit > 0).then(|| Rate {
        per_second: wishes.rate_limit,
        burst: wishes.rate_limit.saturating_mul(10),
    });
    let token = match (wishes.admin_token, at) {
        (Some(token), _) => Some(token),
        (None, StoreAt::Embedded(_)) => Some(platform::fresh_token()?),
        (None, StoreAt::Mongo(_)) => None,
    };
    let store = match at {
        StoreAt::Embedded(data) => format!("embedded, in {}", data.display()),
        StoreAt::Mongo(_) => at.to_string(),
    };
    Ok(Settings {
        public_url: Some(wishes.public_url),
        mail: wishes.smtp_url.is_some(),
        demo: wishes.mailbox.is_some(),
        mailbox: wishes.mailbox,
        metrics_token: token.clone(),
        admin_token: token,
        rate,
        behind_proxy: wishes.behind_proxy,
        store,
        ..Settings::default()
    })
}

/// Opens the store and starts an engine on it. A store that does not answer is
/// tried again for ever, and whoever asks is told.
async fn start_patiently(
    at: &StoreAt,
    key: Key,
    workers: worker::Settings,
    entrance: &Entrance,
) -> Result<Engine, Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        let (place, key, workers) = (at.clone(), key.clone(), workers.clone());
        let started = aside(move || Ok(start_once(&place, key, workers))).await?;
        let why = match started {
            Ok(engine) => return Ok(engine),
            Err(Trial::Failed(failure)) => return Err(failure),
            Err(Trial::Unreachable(why)) => why,
        };
        let wait = jittered(pause);
        eprintln!("sloe: {why}; trying again in {:.1} s", wait.as_secs_f32());
        // Where it is concerns nobody outside.
        entrance.waits_for("The store can't be reached; the log says why.".to_owned());
        tokio::time::sleep(wait).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// How a trial to start ended badly.
enum Trial {
    /// Trying again may help.
    Unreachable(String),
    /// It won't.
    Failed(Failure),
}

fn start_once(at: &StoreAt, key: Key, workers: worker::Settings) -> Result<Engine, Trial> {
    let judge = |error: StoreError| match (at, &error) {
        (StoreAt::Mongo(_), StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)) => {
            Trial::Unreachable(told(at, &error))
        }
        _ => Trial::Failed(Failure::new(told(at, &error))),
    };
    let store: Arc<dyn Store> = match at {
        StoreAt::Embedded(_) => open(at).map_err(Trial::Failed)?,
        StoreAt::Mongo(address) => server::open(address.whole()).map_err(judge)?,
    };
    start_engine(store, key, Some(workers)).map_err(|error| match error {
        StartError::Store(error) | StartError::Org(OrgError::Store(error)) => judge(error),
        other => Trial::Failed(other.into()),
    })
}

/// Three quarters of a pause to five quarters, by chance: nodes that lost the
/// same store don't come back to it together.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0; 1];
    // Without any chance, all wait the longest.
    let chance = getrandom::fill(&mut byte).map_or(255, |()| byte[0]);
    pause * 3 / 4 + pause / 2 * u32::from(chance) / 255
}
