//! Sessions of staff outlive the process that began them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{place, start};
use sloe_engine::staff::{LINK_MILLIS, LinkState};
use sloe_store::api::Store;
use sloe_store::key::{Collection, Range};

#[tokio::test]
async fn a_restart_keeps_sessions_and_used_links_and_the_store_has_no_secret() {
    let place = place();
    let engine = start(&place, None);
    let link = engine.make_staff_link(LINK_MILLIS).await.unwrap();
    let session = engine.sign_staff_in(&link.text).await.unwrap().unwrap();
    engine.stop().await;

    let engine = start(&place, None);
    assert!(engine.staff(&session.text).await.unwrap().is_some());
    assert_eq!(engine.staff_link(&link.text).await.unwrap(), LinkState::Used);
    assert_eq!(engine.sign_staff_in(&link.text).await.unwrap(), Err(LinkState::Used));
    let all = place.store.scan(Range::All(Collection::Staff), None, 9).unwrap();
    assert_eq!(all.len(), 2);
    for (key, document) in all {
        let stored = format!("{} {}", key.id(), String::from_utf8(document.body).unwrap());
        for secret in [&link.text, &session.text] {
            assert!(!stored.contains(secret.as_str()), "{stored}");
        }
    }
    // One sign of a secret changed is another secret.
    let mut near = session.text.clone();
    near.replace_range(..1, if near.starts_with('0') { "1" } else { "0" });
    assert_eq!(engine.staff(&near).await.unwrap(), None);
    engine.sign_staff_out(&session.text).await.unwrap();
    assert_eq!(engine.staff(&session.text).await.unwrap(), None);
}
