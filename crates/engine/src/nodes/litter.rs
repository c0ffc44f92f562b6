//! What nodes have left that died long ago.

use std::collections::BTreeMap;

use sloe_core::lease::{Lease, NodeId};
use sloe_store::api::Write;
use sloe_store::key::Key;

use super::{ANY, StoredNode};
use crate::peers;

/// After so long a dead node's own document goes, and then what it led.
pub(super) const FORGOTTEN_MILLIS: u64 = 10 * 60 * 1_000;

/// Removes nodes that died long ago, and the leads of those of whom nothing else is left.
pub(super) fn litter(
    me: NodeId,
    nodes: &BTreeMap<NodeId, (u64, StoredNode)>,
    leases: &BTreeMap<String, Lease>,
    still_for: impl Fn(NodeId) -> Option<u64>,
) -> Vec<Write> {
    let long = |node: &NodeId| still_for(*node).is_some_and(|still| still > FORGOTTEN_MILLIS);
    let dead = nodes.keys().filter(|node| **node != me && long(node));
    let dead = dead.map(|node| Write { key: Key::node(&node.text()), version: ANY, body: None });
    // Other leases stay for ever: their epochs must never begin anew.
    let nobodys = leases.iter().filter(|(name, lease)| {
        let is_known = lease.holder.is_some_and(|holder| nodes.contains_key(&holder));
        name.starts_with(peers::EVENT) && !is_known
    });
    let nobodys = nobodys.map(|(name, lease)| no_lead(name, lease.epoch));
    dead.chain(nobodys).collect()
}

/// Removes a lead, unless it is another node's by now.
pub(super) fn no_lead(name: &str, epoch: u64) -> Write {
    Write { key: Key::lease(name), version: epoch + 1, body: None }
}
