//! The connection to an org's Pub/Sub API, and subscriptions over it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apache_avro::Schema;
use reqwest::Url;
use secrecy::ExposeSecret;
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use super::wire::pub_sub_client::PubSubClient;
use super::wire::{ConsumerEvent, FetchRequest, FetchResponse, ReplayPreset, SchemaRequest};
use super::{Change, Entity, FeedAdvice, FeedError, ReplayId, Start};
use crate::auth::{LOGIN_TIMEOUT, Token, is_loopback};
use crate::error::Error;
use crate::org::Org;

/// Events that may be outstanding at once; Salesforce allows no more.
const OUTSTANDING: i32 = 100;
/// At how few outstanding ones more are asked for.
const LOW: i32 = 50;
/// The org sends something at least every 270 s; some more for the way.
const SILENCE: Duration = Duration::from_secs(300);
/// How long a call with one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// A hundred of the largest events would not fit, but the org sends no such answers.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

/// An org's Pub/Sub API. Clones share the connection, the session and the known schemas.
#[derive(Clone)]
pub struct Feed {
    org: Org,
    client: PubSubClient<Channel>,
    schemas: Arc<Mutex<HashMap<String, Arc<Schema>>>>,
}

/// What came at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Changes, in the org's order; none is a sign of life.
    pub changes: Vec<Change>,
    /// Where to begin after, once they are dealt with; none if the org told nothing.
    pub up_to: Option<ReplayId>,
}

type Opened = Result<Response<Streaming<FetchResponse>>, Status>;

enum Stream {
    /// Asked for: some servers answer not before they have something to tell.
    Opening(Pin<Box<dyn Future<Output = Opened> + Send>>),
    Open(Box<Streaming<FetchResponse>>),
}

/// One object's changes, from some point on.
pub struct Subscription {
    feed: Feed,
    entity: Entity,
    topic: String,
    token: Arc<Token>,
    asks: mpsc::Sender<FetchRequest>,
    stream: Stream,
    pending: i32,
}

impl Feed {
    /// A connection that is made when it is first needed. `url` is where the
    /// Pub/Sub API is, [`crate::PUBSUB_URL`] for real orgs; `roots` are
    /// certificates (PEM) to trust instead of the machine's.
    ///
    /// # Errors
    /// [`Error::Settings`] when the address or the certificates can't be.
    pub fn new(org: &Org, url: &str, roots: Option<&[u8]>) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Settings(format!("the Pub/Sub API's address {what}"));
        let parsed = Url::parse(url).map_err(|_| wrong("is not a URL"))?;
        let secure = match parsed.scheme() {
            "https" => true,
            "http" if is_loopback(&parsed) => false,
            _ => return Err(wrong("must begin with https://: the session is sent there")),
        };
        let mut endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|_| wrong("is not a URL"))?
            .connect_timeout(LOGIN_TIMEOUT)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_while_idle(true);
        if secure {
            // Another part of the process may have chosen already: then that stands.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let tls = match roots {
                Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            endpoint = endpoint
                .tls_config(tls)
                .map_err(|_| Error::Settings("the trusted certificates can't be used".into()))?;
        }
        let client =
            PubSubClient::new(endpoint.connect_lazy()).max_decoding_message_size(LARGEST_ANSWER);
        Ok(Self { org: org.clone(), client, schemas: Arc::default() })
    }

    /// Subscribes to an object's changes, with a new session if the one at hand has ended. Errors
    /// may also come with the first news.
    ///
    /// # Errors
    /// [`FeedError`].
    pub async fn subscribe(
        &self,
        entity: Entity,
        start: &Start,
    ) -> Result<Subscription, FeedError> {
        let (client, _) = self.org.parts();
        let token = client.auth.token().await?;
        match self.attempt(entity, start, Arc::clone(&token)).await {
            Err(error) if error.advice() == FeedAdvice::Reauthenticate => {
                let token = client.auth.renew(Some(&token)).await?;
                self.attempt(entity, start, token).await
            }
            result => result,
        }
    }

    async fn attempt(
        &self,
        entity: Entity,
        start: &Start,
        token: Arc<Token>,
    ) -> Result<Subscription, FeedError> {
        let topic = entity.topic(self.org.mapping());
        let (preset, replay_id) = match start {
            Start::Latest => (ReplayPreset::Latest, Vec::new()),
            Start::Earliest => (ReplayPreset::Earliest, Vec::new()),
            Start::After(id) => (ReplayPreset::Custom, id.0.clone()),
        };
        let first = FetchRequest {
            topic_name: topic.clone(),
            replay_preset: preset.into(),
            replay_id: replay_id.into(),
            num_requested: OUTSTANDING,
            auth_refresh: String::new(),
        };
        let (asks, requests) = mpsc::channel(1);
        // The channel is new and has room.
        let _ = asks.try_send(first);
        let request = signed(&token, ReceiverStream::new(requests))?;
        let mut client = self.client.clone();
        let mut subscription = Subscription {
            feed: self.clone(),
            entity,
            topic,
            token,
            asks,
            stream: Stream::Opening(Box::pin(async move { client.subscribe(request).await })),
            pending: OUTSTANDING,
        };
        subscription.settle().await?;
        Ok(subscription)
    }

    async fn schema(&self, token: &Token, id: &str) -> Result<Arc<Schema>, FeedError> {
        if let Some(known) = self.schemas().get(id) {
            return Ok(Arc::clone(known));
        }
        let request = signed(token, SchemaRequest { schema_id: id.to_owned() })?;
        let mut client = self.client.clone();
        let answer = tokio::time::timeout(PATIENCE, client.get_schema(request)).await;
        let answer = answer.map_err(|_| FeedError::Silent)?;
        let answer = answer.map_err(|status| FeedError::of(&status))?.into_inner();
        let schema = Schema::parse_str(&answer.schema_json).map_err(|_| {
            let what = "a schema that is not Avro".into();
            FeedError::Org(Error::Malformed { call: "change events", what })
        })?;
        let schema = Arc::new(schema);
        self.schemas().insert(id.to_owned(), Arc::clone(&schema));
        Ok(schema)
    }

    fn schemas(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Schema>>> {
        self.schemas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request with who asks.
fn signed<T>(token: &Token, message: T) -> Result<Request<T>, FeedError> {
    let mut request = Request::new(message);
    let instance = token.instance.as_str().trim_end_matches('/');
    let values = [
        ("accesstoken", token.access.expose_secret()),
        ("instanceurl", instance),
        ("tenantid", token.org.as_str()),
    ];
    for (name, text) in values {
        let mut value = AsciiMetadataValue::try_from(text).map_err(|_| {
            let what = "a token that is no header value".into();
            FeedError::Org(Error::Malformed { call: "login", what })
        })?;
        value.set_sensitive(name == "accesstoken");
        request.metadata_mut().insert(name, value);
    }
    Ok(request)
}

impl Subscription {
    /// Waits a little for the org to say no.
    async fn settle(&mut self) -> Result<(), FeedError> {
        const WITHIN: Duration = Duration::from_secs(5);
        let Stream::Opening(opening) = &mut self.stream else { return Ok(()) };
        match tokio::time::timeout(WITHIN, opening).await {
            Ok(Ok(stream)) => self.stream = Stream::Open(Box::new(stream.into_inner())),
            Ok(Err(status)) => return Err(FeedError::of(&status)),
            // It has not refused, at least.
            Err(_) => {}
        }
        Ok(())
    }

    /// What the org tells next. Safe to abandon: nothing is lost that was not given.
    ///
    /// # Errors
    /// [`FeedError`]; the subscription is over then.
    pub async fn next(&mut self) -> Result<News, FeedError> {
        let answer = tokio::time::timeout(SILENCE, self.receive()).await;
        let answer = answer.map_err(|_| FeedError::Silent)??;
        let mut changes = Vec::with_capacity(answer.events.len());
        for event in &answer.events {
            changes.extend(self.read(event).await?);
        }
        let last = Some(answer.latest_replay_id.to_vec()).filter(|id| !id.is_empty());
        Ok(News { changes, up_to: last.map(ReplayId) })
    }

    async fn receive(&mut self) -> Result<FetchResponse, FeedError> {
        loop {
            match &mut self.stream {
                Stream::Opening(opening) => {
                    let opened = opening.await.map_err(|status| FeedError::of(&status))?;
                    self.stream = Stream::Open(Box::new(opened.into_inner()));
                }
                Stream::Open(stream) => {
                    if self.pending <= LOW {
                        let more = OUTSTANDING - self.pending;
                        let ask = FetchRequest {
                            topic_name: self.topic.clone(),
                            num_requested: more,
                            ..FetchRequest::default()
                        };
                        // A full channel: the last one is still on its way. A closed one shows below.
                        if self.asks.try_send(ask).is_ok() {
                            self.pending += more;
                        }
                    }
                    let answer = stream.message().await.map_err(|status| FeedError::of(&status))?;
                    let answer = answer.ok_or(FeedError::Closed)?;
                    self.pending = answer.pending_num_requested;
                    return Ok(answer);
                }
            }
        }
    }

    async fn read(&mut self, event: &ConsumerEvent) -> Result<Option<Change>, FeedError> {
        let replay = ReplayId(event.replay_id.to_vec());
        let Some(told) = &event.event else { return Ok(None) };
        let schema = self.feed.schema(&self.token, &told.schema_id).await;
        let schema = match schema {
            Ok(schema) => schema,
            Err(FeedError::Org(Error::Malformed { .. })) => {
                return Ok(Some(Change::unreadable(self.entity, replay)));
            }
            Err(error) => return Err(error),
        };
        let mapping = self.feed.org.mapping();
        let read = Change::read(self.entity, mapping, &schema, &told.payload, replay.clone());
        Ok(Some(read.unwrap_or_else(|| {
            tracing::warn!(topic = self.topic, "a change event can't be read");
            Change::unreadable(self.entity, replay)
        })))
    }
}
