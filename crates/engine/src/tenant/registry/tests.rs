//! Orgs that come, go and can't be read while a node follows the others.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use sloe_store::api::Store;
use sloe_store::faulty::{Faulty, Plan};
use sloe_store::key::{Collection, Range};
use sloe_store::memory::Memory;

use super::Registry;
use crate::clock::Machine;
use crate::seal::Key;
use crate::testing;

#[test]
fn an_org_that_is_connected_while_a_look_is_under_way_is_not_gone() {
    let (engine, org, _directory) = testing::engine(None);
    let (registry, store) = (engine.registry(), &**engine.store());
    let followed = registry.follow_from(store, Vec::new(), Vec::new()).unwrap();
    assert!(followed.gone.is_empty() && registry.by_id(org.id()).is_some());
    // Whoever was known before and is not there any more has gone.
    let followed = registry.follow_from(store, vec![org.id()], Vec::new()).unwrap();
    assert_eq!(followed.gone, [org.id()]);
    assert!(registry.by_id(org.id()).is_none());
}

#[test]
fn an_org_that_the_store_kept_back_is_asked_for_again() {
    let (_engine, org, _directory) = testing::engine(None);
    let store = Faulty::new(Memory::default(), Plan::new());
    let load = || Registry::load(&store, Key::new([7; 32]), Arc::new(Machine)).unwrap();
    let (here, other) = (load(), load());
    let connection = (*org.connection).clone();
    other.connect(&store, org.id(), org.profile.clone(), connection).unwrap();
    let versions = store.versions(Range::All(Collection::Orgs)).unwrap();
    store.set_away(true);
    assert!(here.follow_from(&store, Vec::new(), versions.clone()).is_err());
    store.set_away(false);
    let followed = here.follow_from(&store, Vec::new(), versions).unwrap();
    assert_eq!(followed.changed, [org.id()]);
    assert!(here.by_id(org.id()).is_some());
}
