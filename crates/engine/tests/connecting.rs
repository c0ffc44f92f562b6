//! An org that is connected is connected again, as when its consumer secret changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::org::Org;
use common::{place, start};
use sloe_engine::tenant::{Connect, ConnectError, OrgError, Profile, ProfileChange};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_chosen_stays_as_the_connected_org_has_it() {
    let (org, place) = (Org::start().await, place());
    let engine = start(&place, None);
    let connect = async |profile: ProfileChange| {
        let credentials = org.credentials();
        // As the command line sends it.
        let connect = Connect { profile, credentials, expected: None, mapping: None };
        let connect = Connect::from_json(connect.to_json()).unwrap();
        engine.connect_org(connect).await.map(|connected| connected.org.profile.clone())
    };
    let slug = || ProfileChange { slug: Some("acme".to_owned()), ..ProfileChange::default() };

    let nameless = connect(slug()).await;
    assert!(matches!(nameless, Err(ConnectError::Org(OrgError::Profile(_)))), "{nameless:?}");
    let named = ProfileChange { name: Some("Acme".to_owned()), ..slug() };
    let at_first = Profile { slug: "acme".into(), name: "Acme".into(), ..Profile::default() };
    assert_eq!(connect(named).await.unwrap(), at_first);

    let chosen = Profile {
        time_zone: "Europe/Vienna".to_owned(),
        privacy_url: Some("https://acme.example/privacy".to_owned()),
        contact_email: Some("events@acme.example".to_owned()),
        retention_days: 30,
        ..at_first
    };
    assert_eq!(connect(chosen.clone().into()).await.unwrap(), chosen);
    assert_eq!(connect(slug()).await.unwrap(), chosen);
    let without = ProfileChange { contact_email: Some(String::new()), ..slug() };
    assert_eq!(connect(without).await.unwrap(), Profile { contact_email: None, ..chosen });
    engine.stop().await;
}
