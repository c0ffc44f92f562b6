//! Orgs that come, go and can't be read while a node follows the others.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use sloe_core::budget::Rules;
use sloe_store::api::{Store, Write};
use sloe_store::faulty::{Faulty, Plan};
use sloe_store::key::{self, Collection, Range};
use sloe_store::memory::Memory;

use super::{Org, OrgError, Registry};
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

/// An org as it is connected elsewhere.
fn org() -> Arc<Org> {
    testing::engine(None).1
}

fn load(store: &dyn Store) -> Registry {
    Registry::load(store, Key::new([7; 32]), Arc::new(Machine)).unwrap()
}

fn connect(registry: &Registry, store: &dyn Store, org: &Org) {
    let connection = (*org.connection).clone();
    registry.connect(store, org.id(), org.profile.clone(), connection).unwrap();
}

#[test]
fn an_org_that_the_store_kept_back_is_asked_for_again() {
    let (org, store) = (org(), Faulty::new(Memory::default(), Plan::new()));
    let (here, other) = (load(&store), load(&store));
    connect(&other, &store, &org);
    let versions = store.versions(Range::All(Collection::Orgs)).unwrap();
    store.set_away(true);
    assert!(here.follow_from(&store, Vec::new(), versions.clone()).is_err());
    store.set_away(false);
    let followed = here.follow_from(&store, Vec::new(), versions).unwrap();
    assert_eq!(followed.changed, [org.id()]);
    assert!(here.by_id(org.id()).is_some());
}

#[test]
fn what_can_not_be_read_of_an_org_is_read_once_for_each_version_and_the_org_stays_as_it_was() {
    let (org, store) = (org(), Faulty::new(Memory::default(), Plan::new()));
    let here = load(&store);
    connect(&here, &store, &org);
    let spoil = |version| {
        let write = Write { key: key::Key::org(org.id()), version, body: Some(b"{".to_vec()) };
        store.put(&[write]).unwrap();
        store.versions(Range::All(Collection::Orgs)).unwrap()
    };
    for version in [2, 3] {
        let versions = spoil(version);
        assert!(here.follow_from(&store, vec![org.id()], versions.clone()).is_ok());
        store.set_away(true);
        // Whoever read it again would be told that there is no store.
        assert!(here.follow_from(&store, vec![org.id()], versions).is_ok());
        store.set_away(false);
    }
    assert_eq!(here.by_id(org.id()).unwrap().version, 1);
}

#[test]
fn an_org_that_is_connected_again_is_taken_up_although_its_versions_begin_anew() {
    let (org, store) = (org(), Memory::default());
    let (here, other) = (load(&store), load(&store));
    connect(&other, &store, &org);
    assert_eq!(here.follow(&store).unwrap().changed, [org.id()]);
    store.put(&[Write { key: key::Key::org(org.id()), version: 2, body: None }]).unwrap();
    assert_eq!(here.follow(&store).unwrap().gone, [org.id()]);
    connect(&load(&store), &store, &org);
    assert_eq!(here.follow(&store).unwrap().changed, [org.id()]);
}

#[test]
fn an_org_that_was_changed_elsewhere_at_the_same_moment_is_not_said_to_be_removed() {
    let (org, store) = (org(), Memory::default());
    let here = load(&store);
    connect(&here, &store, &org);
    let other = load(&store);
    other.set_budget(&store, org.id(), Rules::default()).unwrap();
    let left = here.leave(&store, org.id());
    assert!(matches!(left, Err(OrgError::Store(_))));
    assert!(here.by_id(org.id()).is_some() && here.all_leaving().is_empty());
    // Once it has followed it can be.
    here.follow(&store).unwrap();
    assert!(here.leave(&store, org.id()).unwrap().is_some());
}
