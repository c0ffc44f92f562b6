//! Change Data Capture: an org tells by itself what changed of its events,
//! items and sessions, over the Pub/Sub API (gRPC).
//!
//! A [`Feed`] is the connection, a [`Subscription`] one object's changes, and
//! [`News`] what came at once. Whoever takes news keeps its replay id once it
//! has acted on it, and begins after that id the next time: changes come at
//! least once, perhaps out of order, and never without bound.

mod change;
mod fault;
mod feed;
#[allow(warnings, reason = "made by a tool")]
mod wire;

use crate::map::{Mapping, ReadNames};

pub use change::{Change, ChangeKind};
pub use fault::{FeedAdvice, FeedError};
pub use feed::{Feed, News, Subscription};

/// The objects whose changes Sloe follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entity {
    /// Events.
    Event,
    /// Items.
    Item,
    /// Sessions.
    Session,
}

impl Entity {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Event, Self::Item, Self::Session];

    /// Its stable name in stored form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Item => "item",
            Self::Session => "session",
        }
    }

    fn names(self, mapping: &Mapping) -> &ReadNames {
        match self {
            Self::Event => &mapping.event,
            Self::Item => &mapping.item,
            Self::Session => &mapping.session,
        }
    }

    /// The topic of its changes: `/data/Sloe_Event__ChangeEvent`.
    #[must_use]
    pub fn topic(self, mapping: &Mapping) -> String {
        let object = &self.names(mapping).object;
        match object.strip_suffix("__c") {
            Some(custom) => format!("/data/{custom}__ChangeEvent"),
            None => format!("/data/{object}ChangeEvent"),
        }
    }
}

/// A place in a topic. Opaque: only the org can compare two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayId(Vec<u8>);

impl ReplayId {
    /// From stored bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// For storing.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Where a subscription begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what happens from now on.
    Latest,
    /// With the oldest that the org keeps: three days.
    Earliest,
    /// After this one.
    After(ReplayId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_after_the_org_s_object() {
        let mapping = Mapping::default();
        assert_eq!(Entity::Event.topic(&mapping), "/data/Sloe_Event__ChangeEvent");
        let mut mapping = mapping.with_namespace("ns");
        assert_eq!(Entity::Item.topic(&mapping), "/data/ns__Sloe_Item__ChangeEvent");
        mapping.session.object = "Campaign".into();
        assert_eq!(Entity::Session.topic(&mapping), "/data/CampaignChangeEvent");
    }
}
