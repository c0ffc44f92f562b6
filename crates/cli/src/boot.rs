//! From settings to a running platform: store, engine, web. The composition
//! root: nothing else knows all the parts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sloe_engine::clock::Machine;
use sloe_engine::engine::{Engine, LEDGER_BYTES, Options};
use sloe_engine::mail::MailSettings;
use sloe_engine::seal::Key;
use sloe_engine::worker;
use sloe_store::embedded::Embedded;
use sloe_web::mailbox::Mailbox;
use sloe_web::state::{AppState, Phase, Rate, Settings};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cmd::Failure;
use crate::platform::{self, Announced};

/// Where the store is.
#[derive(Clone, Debug)]
pub(crate) enum StoreAt {
    /// In a directory of this machine.
    Embedded(PathBuf),
}

impl std::str::FromStr for StoreAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("embedded", directory)) if !directory.is_empty() => {
                // A demo keeps its store one folder deeper, beside its orgs; who names the
                // folder that it was told means that.
                let (given, of_demo) =
                    (Path::new(directory), Path::new(directory).join("platform"));
                let is_demo = !Embedded::exists(given) && Embedded::exists(&of_demo);
                let directory = if is_demo { &of_demo } else { given };
                Ok(Self::Embedded(directory.to_owned()))
            }
            Some(("mongodb" | "mongodb+srv", _)) => {
                Err("this build has no MongoDB store; use embedded:DIR".to_owned())
            }
            _ => Err(format!("{text:?} is no store; use embedded:DIR")),
        }
    }
}

impl StoreAt {
    /// The directory of an embedded store.
    pub(crate) fn directory(&self) -> &Path {
        match self {
            Self::Embedded(directory) => directory,
        }
    }
}

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
}

/// The master key: the environment's, else the one beside the data.
pub(crate) fn master_key(data: &Path, may_make: bool) -> Result<Key, Failure> {
    if let Some(key) = platform::from_environment()? {
        return Ok(key);
    }
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

/// An engine on a store at rest, for tools: nothing runs beside it. Where there
/// is no store they looked in the wrong place, and leave nothing there.
pub(crate) fn start_engine_alone(data: &Path) -> Result<Engine, Failure> {
    if !Embedded::exists(data) {
        let data = data.display();
        let todo = "name it with --store, or begin one with sloe serve or sloe org add";
        return Err(Failure::new(format!("there is no store in {data}: {todo}")));
    }
    start_engine_anywhere(data)
}

/// The same, on a new store if there is none.
pub(crate) fn start_engine_anywhere(data: &Path) -> Result<Engine, Failure> {
    let key = master_key(data, false)?;
    start_engine(data, key, None)
}

fn start_engine(
    data: &Path,
    master_key: Key,
    workers: Option<worker::Settings>,
) -> Result<Engine, Failure> {
    platform::make_private(data)?;
    let store = Arc::new(Embedded::open(data)?);
    let world = Arc::new(Machine);
    Ok(Engine::start(Options { store, master_key, world, ledger_bytes: LEDGER_BYTES, workers })?)
}

/// A running platform.
pub(crate) struct Platform {
    /// Everything it can be asked.
    pub(crate) engine: Engine,
    state: AppState,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
    announced: Announced,
}

impl Platform {
    /// Starts engine, workers and site; returns once requests are taken.
    pub(crate) fn start(
        data: &Path,
        key: Key,
        wishes: Wishes,
        listener: TcpListener,
    ) -> Result<Self, Failure> {
        let metrics = sloe_web::health::install_metrics()?;
        let mail = wishes.smtp_url.map(|url| MailSettings {
            smtp_url: url.into(),
            from: wishes.mail_from,
            public_url: wishes.public_url.clone(),
            render: Arc::new(sloe_web::order_mail),
        });
        let sends_mail = mail.is_some();
        let workers =
            worker::Settings { mail, licenses: wishes.licenses, ..worker::Settings::default() };
        let engine = start_engine(data, key, Some(workers))?;
        let announced = platform::announce(data, &format!("http://{}", listener.local_addr()?))?;
        let rate = (wishes.rate_limit > 0)
            .then(|| Rate { per_second: wishes.rate_limit, burst: wishes.rate_limit * 10 });
        let settings = Settings {
            public_url: Some(wishes.public_url),
            mail: sends_mail,
            demo: wishes.mailbox.is_some(),
            mailbox: wishes.mailbox,
            metrics_token: Some(announced.token.clone()),
            admin_token: Some(announced.token.clone()),
            rate,
            store: format!("embedded, in {}", data.display()),
            ..Settings::default()
        };
        let state = AppState::new(engine.clone(), settings, Some(metrics));
        let (stop, stopped) = oneshot::channel::<()>();
        let app = sloe_web::app(state.clone());
        let serving = tokio::spawn(sloe_web::serve(listener, app, async {
            // A dropped sender stops the platform as well.
            let _ = stopped.await;
        }));
        state.set_phase(Phase::Ready);
        Ok(Self { engine, state, stop, serving, announced })
    }

    /// The bearer token of its admin API, for this run.
    #[cfg(feature = "sim")]
    pub(crate) fn admin_token(&self) -> &str {
        &self.announced.token
    }

    /// Takes nothing new, finishes what is under way, ends.
    pub(crate) async fn stop(self) {
        self.state.set_phase(Phase::Draining);
        let _ = self.stop.send(());
        if let Ok(Err(error)) = self.serving.await {
            tracing::error!(%error, "the site ended badly");
        }
        self.engine.stop().await;
        drop(self.announced);
    }
}
