//! The Pub/Sub API: who calls, what a topic is, what an event's schema is.

use std::sync::Arc;

use axum::Router;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

use super::wire::pub_sub_server::{PubSub, PubSubServer};
use super::wire::{
    FetchRequest, PublishRequest, PublishResponse, SchemaInfo, SchemaRequest, TopicInfo,
    TopicRequest,
};
use super::{avro, subscription};
use crate::org::faults::{About, End, Failure, Faults};
use crate::org::state::{State, lock};

/// How the org's statistics and fault knobs call these calls.
pub(super) const KIND: &str = "pubsub";
/// Where subscriptions begin.
pub(super) const SUBSCRIBE: &str = "/eventbus.v1.PubSub/Subscribe";

/// The API, ready to be served.
pub(in crate::org) fn router(state: &Arc<State>) -> Router {
    let service = PubSubServer::new(Api { org: Arc::clone(state) });
    tonic::service::Routes::new(service).into_axum_router()
}

struct Api {
    org: Arc<State>,
}

/// Whose events a topic carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) name: String,
    /// The objects that are selected for it, by name; it carries the changes of these.
    pub(super) objects: Vec<String>,
}

#[tonic::async_trait]
impl PubSub for Api {
    type SubscribeStream = subscription::Answers;

    async fn subscribe(
        &self,
        request: Request<Streaming<FetchRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let token = admit(&self.org, request.metadata(), SUBSCRIBE).await?;
        Ok(Response::new(subscription::open(Arc::clone(&self.org), token, request.into_inner())))
    }

    async fn get_schema(
        &self,
        request: Request<SchemaRequest>,
    ) -> Result<Response<SchemaInfo>, Status> {
        admit(&self.org, request.metadata(), "/eventbus.v1.PubSub/GetSchema").await?;
        let wanted = request.into_inner().schema_id;
        let schema = {
            let database = lock(&self.org.database);
            let mut all = database.schema().objects().iter().map(|object| avro::schema(object));
            all.find(|schema| schema.id == wanted)
        };
        let Some(schema) = schema else {
            return Err(fault(Code::NotFound, None, "this org has no schema of this id"));
        };
        let (schema_json, schema_id) = (schema.json, schema.id);
        Ok(Response::new(SchemaInfo { schema_json, schema_id, rpc_id: rpc_id() }))
    }

    async fn get_topic(
        &self,
        request: Request<TopicRequest>,
    ) -> Result<Response<TopicInfo>, Status> {
        admit(&self.org, request.metadata(), "/eventbus.v1.PubSub/GetTopic").await?;
        let topic = find_topic(&self.org, &request.into_inner().topic_name)?;
        let schema_id = {
            let database = lock(&self.org.database);
            let first = topic.objects.first().and_then(|name| database.schema().get(name));
            first.map(|object| avro::schema(object).id).unwrap_or_default()
        };
        Ok(Response::new(TopicInfo {
            topic_name: topic.name,
            tenant_guid: format!("core/sim/{}", self.org.org),
            can_publish: false,
            can_subscribe: true,
            schema_id,
            rpc_id: rpc_id(),
        }))
    }

    async fn publish(
        &self,
        request: Request<PublishRequest>,
    ) -> Result<Response<PublishResponse>, Status> {
        admit(&self.org, request.metadata(), "/eventbus.v1.PubSub/Publish").await?;
        find_topic(&self.org, &request.into_inner().topic_name)?;
        // Platform events this org has none; change events nobody may publish.
        Err(fault(Code::InvalidArgument, None, "this topic's events can't be published"))
    }
}

/// Checks who calls, and lets the fault rules act; gives the token.
async fn admit(org: &State, metadata: &MetadataMap, path: &'static str) -> Result<String, Status> {
    let text = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok());
    org.note_call(KIND);
    check_outage(org, path)?;
    let token = text("accesstoken").unwrap_or_default();
    let instance = text("instanceurl").unwrap_or_default().trim_end_matches('/');
    let tenant = text("tenantid").unwrap_or_default();
    let ours = tenant == org.org.as_str() || Some(tenant) == org.org.as_str().get(..15);
    if instance != org.url || !ours || org.session(token).is_none() {
        lock(&org.stats).unauthorized += 1;
        return Err(unauthenticated());
    }
    endure(org, path).await?;
    Ok(token.to_owned())
}

/// A call, as the fault rules see it.
fn about(path: &str) -> About<'_> {
    About { kind: KIND, method: "POST", path }
}

/// Lets the fault rules act on a call.
async fn endure(org: &State, path: &'static str) -> Result<(), Status> {
    let faults = Arc::clone(&org.faults.borrow());
    let fate = faults.fate(&about(path));
    if !fate.wait.is_zero() {
        tokio::time::sleep(fate.wait).await;
    }
    let Some(end) = fate.end else { return Ok(()) };
    lock(&org.stats).faulted += 1;
    match end {
        End::Fails(failure) => Err(refused(&failure)),
        // A stream has no answer that could be cut in the middle.
        End::CutBefore | End::CutAfter | End::CutWithin => Err(reset()),
        End::Stalls | End::StallsWithin | End::Late => {
            stand_still(org, &faults, path).await;
            Ok(())
        }
    }
}

/// Waits until the rules are other ones that let the call go on.
async fn stand_still(org: &State, faults: &Arc<Faults>, path: &str) {
    let gone = |now: &Arc<Faults>| !Arc::ptr_eq(now, faults) && !now.stall(&about(path));
    // The sender lives as long as the org.
    let _ = org.faults.subscribe().wait_for(gone).await;
}

/// Lets a stall act on a subscription that runs.
pub(super) async fn halt(org: &State) {
    let faults = Arc::clone(&org.faults.borrow());
    if faults.halts(&about(SUBSCRIBE)) {
        lock(&org.stats).faulted += 1;
        stand_still(org, &faults, SUBSCRIBE).await;
    }
}

/// The status that an error of the REST API is here.
fn refused(failure: &Failure) -> Status {
    let (code, error) = match (failure.code.as_str(), failure.status) {
        ("REQUEST_LIMIT_EXCEEDED", _) => (Code::ResourceExhausted, None),
        ("INVALID_SESSION_ID", _) | (_, 401) => (Code::Unauthenticated, Some("service.auth.error")),
        (_, 500..) => (Code::Unavailable, Some("service.unavailable")),
        (_, 403) => (Code::PermissionDenied, None),
        (_, 404) => (Code::NotFound, None),
        _ => (Code::InvalidArgument, None),
    };
    fault(code, error, &failure.message)
}

/// A connection that was cut.
pub(super) fn reset() -> Status {
    fault(Code::Unavailable, None, "RST_STREAM closed stream")
}

/// The fault knobs and maintenance windows: an outage is one of this API too.
pub(super) fn check_outage(org: &State, path: &str) -> Result<(), Status> {
    check_maintenance(org)?;
    match org.faults.borrow().refuses(&about(path)) {
        Some(failure) => Err(unavailable(org, &failure.message)),
        None => Ok(()),
    }
}

/// A maintenance window ends subscriptions too.
pub(super) fn check_maintenance(org: &State) -> Result<(), Status> {
    match org.window_on() {
        Some(_) => Err(unavailable(org, "The org is down for maintenance.")),
        None => Ok(()),
    }
}

fn unavailable(org: &State, message: &str) -> Status {
    lock(&org.stats).faulted += 1;
    fault(Code::Unavailable, Some("service.unavailable"), message)
}

pub(super) fn unauthenticated() -> Status {
    let message = "accesstoken, instanceurl and tenantid name no session of this org";
    fault(Code::Unauthenticated, Some("service.auth.error"), message)
}

/// The topic of this name.
pub(super) fn find_topic(org: &State, name: &str) -> Result<Topic, Status> {
    let missing = || fault(Code::NotFound, None, "this org has no such topic");
    let short = name.strip_prefix("/data/").ok_or_else(missing)?;
    let knobs = org.events.knobs();
    let objects = if short == "ChangeEvents" {
        knobs.selected
    } else if let Some(members) = knobs.channels.get(short) {
        members.clone()
    } else {
        let database = lock(&org.database);
        let mut objects = database.schema().objects().iter();
        let object = objects.find(|object| avro::event_name(&object.name) == short);
        vec![object.ok_or_else(missing)?.name.clone()]
    };
    Ok(Topic { name: name.to_owned(), objects })
}

/// A refusal with the trailers that Salesforce sends.
pub(super) fn fault(code: Code, error_code: Option<&str>, message: &str) -> Status {
    let mut trailers = MetadataMap::new();
    if let Some(Ok(value)) =
        error_code.map(|code| format!("sfdc.platform.eventbus.grpc.{code}").parse())
    {
        trailers.insert("error-code", value);
    }
    if let Ok(value) = rpc_id().parse() {
        trailers.insert("rpc-id", value);
    }
    Status::with_metadata(code, message, trailers)
}

/// A name for a call, to find it again in a log.
pub(super) fn rpc_id() -> String {
    let mut bytes = [0_u8; 16];
    // Without randomness all calls have one name.
    let _ = getrandom::fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}
