//! A subscriber of the tests' own: generated calls, and payloads read by another's Avro reader.

#[allow(warnings, reason = "made by a tool")]
#[path = "../../../../salesforce/src/events/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use sloe_sim::org::{Doors, Options, start_with};
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status, Streaming};

use self::wire::pub_sub_client::PubSubClient;
use self::wire::{FetchRequest, FetchResponse, ReplayPreset, SchemaRequest, TopicRequest};
use crate::client::{Org, options};
use crate::tls::{certificate, key, trusting};

/// How a subscription begins.
pub(crate) struct Subscriber {
    pub(crate) preset: ReplayPreset,
    pub(crate) replay_id: Vec<u8>,
    pub(crate) count: i32,
}

impl Subscriber {
    pub(crate) fn latest(count: i32) -> Self {
        Self { preset: ReplayPreset::Latest, replay_id: Vec::new(), count }
    }

    pub(crate) fn earliest(count: i32) -> Self {
        Self { preset: ReplayPreset::Earliest, replay_id: Vec::new(), count }
    }

    pub(crate) fn after(replay: u64, count: i32) -> Self {
        let replay_id = replay.to_be_bytes().to_vec();
        Self { preset: ReplayPreset::Custom, replay_id, count }
    }
}

/// A value of a change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    Text(String),
    Number(f64),
    Other,
}

/// A change event, read.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) replay: u64,
    pub(crate) kind: String,
    pub(crate) entity: String,
    pub(crate) records: Vec<String>,
    pub(crate) origin: String,
    pub(crate) transaction: i64,
    pub(crate) sequence: i64,
    pub(crate) changed: Vec<String>,
    pub(crate) nulled: Vec<String>,
    pub(crate) differ: Vec<String>,
    pub(crate) body: BTreeMap<String, Field>,
}

/// A subscription under way.
pub(crate) struct Subscription {
    client: PubSubClient<Channel>,
    signed: [String; 3],
    asks: mpsc::Sender<FetchRequest>,
    stream: Streaming<FetchResponse>,
    ready: Vec<Told>,
    pub(crate) pending: i32,
}

/// An org with the Pub/Sub API.
pub(crate) async fn open() -> Org {
    open_in(None).await
}

pub(crate) async fn open_in(data: Option<PathBuf>) -> Org {
    open_with(Options { data, ..options() }).await
}

pub(crate) async fn open_with(options: Options) -> Org {
    let doors = Doors { tls: None, pubsub: Some("127.0.0.1:0".parse().unwrap()) };
    let running = start_with(options, doors).await.unwrap();
    let mut org = Org { running, http: reqwest::Client::new(), token: String::new() };
    org.token = org.sign_in().await;
    org
}

/// The same, all of it encrypted.
pub(crate) async fn open_secure() -> Org {
    let pubsub = Some("127.0.0.1:0".parse().unwrap());
    let doors = Doors { tls: Some(certificate()), pubsub };
    let running = start_with(options(), doors).await.unwrap();
    let mut org = Org { running, http: trusting(), token: String::new() };
    org.token = org.sign_in().await;
    org
}

fn signed<T>(signed: [&str; 3], message: T) -> Request<T> {
    let mut request = Request::new(message);
    for (name, text) in ["accesstoken", "instanceurl", "tenantid"].into_iter().zip(signed) {
        request.metadata_mut().insert(name, text.parse().unwrap());
    }
    request
}

/// Subscribes as the org's own client.
pub(crate) async fn subscribe(org: &Org, topic: &str, how: Subscriber) -> Subscription {
    let (url, id) = (org.running.url(), org.running.org_id());
    call(org, topic, how, [&org.token, &url, &id]).await.unwrap()
}

/// Subscribes with these credentials: token, instance, tenant.
pub(crate) async fn call(
    org: &Org,
    topic: &str,
    how: Subscriber,
    who: [&str; 3],
) -> Result<Subscription, Status> {
    let url = org.running.pubsub_url().unwrap();
    let mut endpoint = Endpoint::from_shared(url.clone()).unwrap();
    if url.starts_with("https://") {
        let pem = std::fs::read(key("test-only-authority.pem")).unwrap();
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
        endpoint = endpoint.tls_config(tls).unwrap();
    }
    let mut client = PubSubClient::new(endpoint.connect().await.unwrap());
    let (asks, requests) = mpsc::channel(4);
    let first = FetchRequest {
        topic_name: topic.to_owned(),
        replay_preset: how.preset.into(),
        replay_id: how.replay_id.into(),
        num_requested: how.count,
        auth_refresh: String::new(),
    };
    asks.send(first).await.unwrap();
    let answer = client.subscribe(signed(who, ReceiverStream::new(requests))).await?;
    if topic == "/data/ChangeEvents" {
        // What a topic is, is told to the same people.
        let topic = TopicRequest { topic_name: topic.to_owned() };
        let info = client.get_topic(signed(who, topic)).await?.into_inner();
        assert!(info.can_subscribe && !info.can_publish && !info.schema_id.is_empty());
    }
    let (signed, stream) = (who.map(str::to_owned), answer.into_inner());
    let subscription =
        Subscription { client, signed, asks, stream, ready: Vec::new(), pending: how.count };
    Ok(subscription)
}

impl Subscription {
    pub(crate) async fn ask(&self, topic: &str, count: i32) {
        let topic_name = topic.to_owned();
        let ask = FetchRequest { topic_name, num_requested: count, ..FetchRequest::default() };
        self.asks.send(ask).await.unwrap();
    }

    /// The next answer, within a bound.
    pub(crate) async fn answer(&mut self) -> Result<FetchResponse, Status> {
        let next = tokio::time::timeout(Duration::from_secs(120), self.stream.message()).await;
        let answer = next.expect("an answer within half a minute")?.expect("an answer");
        self.pending = answer.pending_num_requested;
        Ok(answer)
    }

    /// How it ends.
    pub(crate) async fn failure(&mut self) -> Status {
        loop {
            if let Err(status) = self.answer().await {
                return status;
            }
        }
    }

    /// The next events, so many.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<Told> {
        while self.ready.len() < count {
            let answer = self.answer().await.unwrap();
            for event in answer.events {
                let replay = u64::from_be_bytes(event.replay_id.as_ref().try_into().unwrap());
                let event = event.event.unwrap();
                let request = SchemaRequest { schema_id: event.schema_id };
                let who = [0, 1, 2].map(|place: usize| self.signed[place].as_str());
                let schema = self.client.get_schema(signed(who, request)).await.unwrap();
                self.ready.push(read(&schema.into_inner().schema_json, &event.payload, replay));
            }
        }
        self.ready.drain(..count).collect()
    }
}

/// The error code in the trailers, without what all begin with.
pub(crate) fn error_code(status: &Status) -> Option<&str> {
    let code = status.metadata().get("error-code")?.to_str().ok()?;
    code.strip_prefix("sfdc.platform.eventbus.grpc.")
}

/// Kinds and objects of events.
pub(crate) fn told(events: &[Told]) -> Vec<(&str, &str)> {
    events.iter().map(|event| (event.kind.as_str(), event.entity.as_str())).collect()
}

fn read(schema: &str, mut payload: &[u8], replay: u64) -> Told {
    let schema = apache_avro::Schema::parse_str(schema).unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let Value::Record(fields) = reader.read_value(&mut payload).unwrap() else { panic!() };
    assert!(payload.is_empty(), "the payload is one datum");
    let (_, Value::Record(header)) = &fields[0] else { panic!("{fields:?}") };
    let part = |name: &str| &header.iter().find(|(n, _)| n == name).unwrap().1;
    let text = |name: &str| match part(name) {
        Value::String(text) | Value::Enum(_, text) => text.clone(),
        other => panic!("{name}: {other:?}"),
    };
    let texts = |name: &str| match part(name) {
        Value::Array(all) => all
            .iter()
            .map(|one| match one {
                Value::String(text) => text.clone(),
                other => panic!("{name}: {other:?}"),
            })
            .collect::<Vec<_>>(),
        other => panic!("{name}: {other:?}"),
    };
    let number = |name: &str| match part(name) {
        Value::Long(n) => *n,
        Value::Int(n) => i64::from(*n),
        other => panic!("{name}: {other:?}"),
    };
    let names = |name: &str| {
        let bits = texts(name);
        let bits = bits
            .first()
            .map_or(0, |hex| u128::from_str_radix(hex.strip_prefix("0x").unwrap(), 16).unwrap());
        let set = fields.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
        set.map(|(_, (name, _))| name.clone()).collect::<Vec<_>>()
    };
    let body = fields[1..].iter().filter_map(|(name, value)| {
        let Value::Union(_, value) = value else { panic!("{name} is no union") };
        let field = match &**value {
            Value::Null => return None,
            Value::String(text) => Field::Text(text.clone()),
            Value::Double(number) => Field::Number(*number),
            _ => Field::Other,
        };
        Some((name.clone(), field))
    });
    Told {
        replay,
        kind: text("changeType"),
        entity: text("entityName"),
        records: texts("recordIds"),
        origin: text("changeOrigin"),
        transaction: number("commitNumber"),
        sequence: number("sequenceNumber"),
        changed: names("changedFields"),
        nulled: names("nulledFields"),
        differ: names("diffFields"),
        body: body.collect(),
    }
}
