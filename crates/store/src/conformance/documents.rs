//! Documents and who may see them.

use sloe_core::ids::ClaimId;

use super::{Open, append, commit, confirmed, event, org, sealed};
use crate::api::{Checkpoint, Destination, Store, Write};
use crate::key::{Collection, Key, Range};
use crate::scope::OrgScope;

fn write(key: &Key, version: u64, body: Option<&str>) -> Write {
    Write { key: key.clone(), version, body: body.map(|body| body.as_bytes().to_vec()) }
}

fn text(store: &dyn Store, key: &Key) -> Option<(u64, String)> {
    let document = store.get(key).unwrap()?;
    Some((document.version, String::from_utf8(document.body).unwrap()))
}

fn scope(store: &dyn Store, n: u8) -> OrgScope {
    store.add_org(org(n), 1, b"{}".to_vec()).unwrap()
}

/// Writers race; the newest stands.
pub fn only_a_newer_version_replaces_a_document(open: Open<'_>) {
    let store = open();
    let key = Key::snapshot(scope(&*store, 1), event(1, 1).event);
    assert_eq!(text(&*store, &key), None);
    for (version, expected) in [(5, "5"), (4, "5"), (5, "5"), (6, "6")] {
        let body = format!("{version}");
        let body = if expected == body { body } else { "stale".into() };
        store.put(&[write(&key, version, Some(&body))]).unwrap();
        assert_eq!(text(&*store, &key).unwrap().1, expected);
    }
    // The same version again is not newer.
    store.put(&[write(&key, 6, Some("other"))]).unwrap();
    assert_eq!(text(&*store, &key), Some((6, "6".into())));
    // In one commit, too, the newest stands, in whatever order.
    store.put(&[write(&key, 9, Some("9")), write(&key, 8, Some("8"))]).unwrap();
    assert_eq!(text(&*store, &key), Some((9, "9".into())));
}

/// Many new ones at once, as orders come, some of which are there already.
pub fn of_many_documents_each_is_written_only_if_it_is_newer(open: Open<'_>) {
    let store = open();
    let scope = scope(&*store, 1);
    let key = |n: u128| Key::order(scope, ClaimId(n));
    for (n, version) in [(3, 1), (17, 9)] {
        store.put(&[write(&key(n), version, Some("before"))]).unwrap();
    }
    let all: Vec<Write> = (0..40).map(|n| write(&key(n), 5, Some("after"))).collect();
    store.put(&all).unwrap();
    for n in 0..40 {
        let expected = if n == 17 { (9, "before".to_owned()) } else { (5, "after".to_owned()) };
        assert_eq!(text(&*store, &key(n)), Some(expected), "{n}");
    }
}

/// Removing obeys the same rule, and forgets the version.
pub fn a_document_is_removed_by_a_newer_version_only(open: Open<'_>) {
    let store = open();
    let key = Key::slug(scope(&*store, 1), "old-name");
    store.put(&[write(&key, 5, Some("5"))]).unwrap();
    store.put(&[write(&key, 5, None)]).unwrap();
    assert_eq!(text(&*store, &key), Some((5, "5".into())));
    store.put(&[write(&key, 6, None)]).unwrap();
    assert_eq!(text(&*store, &key), None);
    store.put(&[write(&key, 1, Some("1"))]).unwrap();
    assert_eq!(text(&*store, &key), Some((1, "1".into())));
    store.put(&[write(&Key::platform("never there"), 1, None)]).unwrap();
    // In one commit, too, one after the other.
    let both = [write(&key, 2, Some("2")), write(&key, 3, None), write(&key, 1, Some("again"))];
    store.put(&both).unwrap();
    assert_eq!(text(&*store, &key), Some((1, "again".into())));
}

/// Lists are read page by page, and collections are name spaces of their own.
pub fn documents_are_listed_by_id_page_by_page(open: Open<'_>) {
    let store = open();
    let scope = scope(&*store, 1);
    for name in ["c", "a", "e", "b", "d"] {
        store.put(&[write(&Key::send(scope, name), 1, Some(name))]).unwrap();
        store.put(&[write(&Key::retry(scope, name), 1, Some("other"))]).unwrap();
    }
    let (mut names, mut after): (Vec<String>, Option<Key>) = (vec![], None);
    loop {
        let page = store.scan(Range::Org(Collection::Sends, scope), after.as_ref(), 2).unwrap();
        assert!(page.len() <= 2);
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        names.extend(page.iter().map(|(key, document)| {
            assert_eq!(document.body, key.local_id().as_bytes());
            assert_eq!(key, &Key::send(scope, key.local_id()));
            key.local_id().to_owned()
        }));
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    assert_eq!(store.scan(Range::All(Collection::Retries), None, 100).unwrap().len(), 5);
    assert_eq!(store.scan(Range::All(Collection::DeadLetters), None, 100).unwrap().len(), 0);
}

/// An org's scan shows nothing of another's, with the same record ids in both.
pub fn an_org_sees_its_own_documents_only(open: Open<'_>) {
    let store = open();
    let scopes = [1, 2, 3].map(|n| scope(&*store, n));
    for scope in scopes {
        let name = scope.org().to_string();
        for n in 1..=3 {
            let key = Key::snapshot(scope, event(1, n).event);
            store.put(&[write(&key, 1, Some(&name))]).unwrap();
        }
    }
    for scope in scopes {
        let found = store.scan(Range::Org(Collection::Snapshots, scope), None, 100).unwrap();
        assert_eq!(found.len(), 3);
        for (_, document) in found {
            assert_eq!(document.body, scope.org().as_str().as_bytes());
        }
        let own = store.scan(Range::Org(Collection::Orgs, scope), None, 100).unwrap();
        assert_eq!(own.len(), 1);
        assert_eq!(own[0].0, Key::org(scope.org()));
    }
    // A page that begins behind another org's key shows nothing of that org either.
    let foreign = Key::snapshot(scopes[0], event(1, 2).event);
    let range = Range::Org(Collection::Snapshots, scopes[1]);
    let found = store.scan(range, Some(&foreign), 100).unwrap();
    assert!(found.iter().all(|(key, _)| key.id().starts_with(scopes[1].org().as_str())));
    assert_eq!(store.scan(Range::All(Collection::Snapshots), None, 100).unwrap().len(), 9);
}

/// No scope without an org.
pub fn an_org_is_opened_once_it_is_known(open: Open<'_>) {
    let store = open();
    assert_eq!(store.open_org(org(1)).unwrap(), None);
    let scope = store.add_org(org(1), 1, b"one".to_vec()).unwrap();
    assert_eq!(store.open_org(org(1)).unwrap(), Some(scope));
    assert_eq!(store.open_org(org(2)).unwrap(), None);
    store.add_org(org(1), 2, b"two".to_vec()).unwrap();
    assert_eq!(text(&*store, &Key::org(org(1))), Some((2, "two".into())));
    store.put(&[write(&Key::org(org(1)), 3, None)]).unwrap();
    assert_eq!(store.open_org(org(1)).unwrap(), None);
}

/// What the journal makes anew goes; all else stays.
pub fn discarding_projections_leaves_the_truth(open: Open<'_>) {
    let store = open();
    let (at, scope) = (event(1, 1), scope(&*store, 1));
    let mut batch = append(at, 1, vec![confirmed(1)]);
    batch.sealed = vec![sealed(1, Some(b"one"))];
    batch.destinations = vec![Destination::Org];
    commit(&*store, std::slice::from_ref(&batch));
    store.advance(Destination::Org, at, 1, &[]).unwrap();
    let checkpoint = Checkpoint { version: 1, nonce: 1, chunks: vec![vec![1]] };
    store.put_checkpoint(at, &checkpoint).unwrap();
    let order = Key::order(scope, ClaimId(1));
    let discarded = [&order, &Key::projection(scope, at.event)];
    let kept = [
        Key::snapshot(scope, at.event),
        Key::slug(scope, "s"),
        Key::delivered(scope, "d"),
        Key::send(scope, "s"),
        Key::retry(scope, "r"),
        Key::dead_letter(scope, "d"),
        Key::licenses(at.org),
        Key::platform("p"),
    ];
    for key in discarded.into_iter().chain(&kept) {
        store.put(&[write(key, 1, Some("x"))]).unwrap();
    }
    store.discard_projections().unwrap();
    for key in discarded {
        assert_eq!(store.get(key).unwrap(), None, "{key:?}");
    }
    for key in &kept {
        assert!(store.get(key).unwrap().is_some(), "{key:?}");
    }
    assert_eq!(store.checkpoint(at).unwrap(), None);
    assert_eq!(store.read(at, 0, 10).unwrap(), [batch.batch]);
    assert!(store.sealed(at, ClaimId(1)).unwrap().is_some());
    assert!(store.pending(Destination::Org).unwrap().is_empty());
    // And made anew: the first version is new again.
    store.put(&[write(&order, 1, Some("again"))]).unwrap();
    assert_eq!(text(&*store, &order), Some((1, "again".into())));
}
