//! What several nodes on one store rely on.

use super::{Open, append, commit, confirmed, event, marked, org};
use crate::api::{Destination, Fence, Store, StoreError, Write};
use crate::key::{Collection, Key, Range};

fn write(key: &Key, version: u64, body: &str) -> Write {
    Write { key: key.clone(), version, body: Some(body.as_bytes().to_vec()) }
}

fn body(store: &dyn Store, key: &Key) -> Option<String> {
    store.get(key).unwrap().map(|document| String::from_utf8(document.body).unwrap())
}

/// Whoever was superseded writes nothing, not even a part.
pub fn what_is_written_under_a_lease_is_taken_only_while_it_is_held(open: Open<'_>) {
    let store = open();
    let scope = store.add_org(org(1), 1, b"{}".to_vec()).unwrap();
    let (one, other) = (Key::delivered(scope, "one"), Key::delivered(scope, "other"));
    let lease = Key::lease("work");
    let fence = |epoch| Fence { lease: lease.clone(), epoch };
    // A lease that nobody ever took is nobody's.
    let refused = store.put_under(Some(&fence(1)), &[write(&one, 1, "too early")]);
    assert!(matches!(refused, Err(StoreError::Superseded)));
    store.put(&[write(&lease, 1, "first")]).unwrap();
    store.put_under(Some(&fence(1)), &[write(&one, 1, "a")]).unwrap();
    // Writing under it does not change it.
    assert_eq!(body(&*store, &lease).as_deref(), Some("first"));
    store.put_under(Some(&fence(1)), &[write(&one, 2, "b"), write(&other, 2, "b")]).unwrap();
    store.put(&[write(&lease, 2, "second")]).unwrap();
    let late = [write(&one, 3, "late"), write(&other, 3, "late")];
    let refused = store.put_under(Some(&fence(1)), &late);
    assert!(matches!(refused, Err(StoreError::Superseded)));
    for key in [&one, &other] {
        assert_eq!(body(&*store, key).as_deref(), Some("b"));
    }
    store.put_under(Some(&fence(2)), &late).unwrap();
    assert_eq!(body(&*store, &other).as_deref(), Some("late"));
}

/// The same for what was delivered and how far.
pub fn a_cursor_moves_under_a_lease_only_while_it_is_held(open: Open<'_>) {
    let store = open();
    let at = event(1, 1);
    let scope = store.add_org(org(1), 1, b"{}".to_vec()).unwrap();
    let (key, lease) = (Key::delivered(scope, "x"), Key::lease("work"));
    let fence = |epoch| Fence { lease: lease.clone(), epoch };
    let cursor = || store.pending(Destination::Org).unwrap().first().map(|one| one.cursor);
    commit(&*store, &[marked(at, 1, &[Destination::Org])]);
    store.put(&[write(&lease, 2, "second")]).unwrap();
    let of = (Destination::Org, at);
    let refused = store.advance_under(Some(&fence(1)), of, 1, &[write(&key, 1, "late")]);
    assert!(matches!(refused, Err(StoreError::Superseded)));
    assert_eq!((cursor(), body(&*store, &key)), (Some(0), None));
    store.advance_under(Some(&fence(2)), of, 1, &[write(&key, 1, "sent")]).unwrap();
    assert_eq!((cursor(), body(&*store, &key)), (None, Some("sent".into())));
}

/// One who takes a lease over and one who writes under it never both win.
pub fn a_lease_that_is_taken_over_while_its_holder_writes_is_one_or_the_other(open: Open<'_>) {
    let store = open();
    let lease = Key::lease("work");
    store.put(&[write(&lease, 1, "first")]).unwrap();
    for round in 0..20_u64 {
        let epoch = round + 1;
        let mark = Key::platform(&format!("mark {round}"));
        let fence = Fence { lease: lease.clone(), epoch };
        let seen_after_taking = std::thread::scope(|threads| {
            let writer = threads.spawn(|| store.put_under(Some(&fence), &[write(&mark, 1, "x")]));
            store.put(&[write(&lease, epoch + 1, "next")]).unwrap();
            // From here on the one before writes nothing more.
            let seen = body(&*store, &mark).is_some();
            let wrote = writer.join().unwrap();
            (seen, wrote)
        });
        let there = body(&*store, &mark).is_some();
        match seen_after_taking {
            (seen, Ok(())) => assert!(seen && there, "it wrote after the lease was taken over"),
            (seen, Err(StoreError::Superseded)) => assert!(!seen && !there),
            (_, Err(error)) => panic!("{error}"),
        }
    }
}

/// What a node must look at again, told without reading it.
pub fn versions_tell_what_has_changed(open: Open<'_>) {
    let store = open();
    let scopes = [1, 2].map(|n| store.add_org(org(n), 1, b"{}".to_vec()).unwrap());
    for (n, scope) in [(1, scopes[0]), (2, scopes[0]), (1, scopes[1])] {
        store.put(&[write(&Key::snapshot(scope, event(1, n).event), 3, "x")]).unwrap();
    }
    let changed = Key::snapshot(scopes[0], event(1, 2).event);
    store.put(&[write(&changed, 4, "y")]).unwrap();
    let all = store.versions(Range::All(Collection::Snapshots)).unwrap();
    assert_eq!(all.iter().map(|(_, version)| *version).collect::<Vec<_>>(), [3, 4, 3]);
    assert_eq!(all[1], (changed, 4));
    let of_one = store.versions(Range::Org(Collection::Snapshots, scopes[1])).unwrap();
    assert_eq!(of_one, [(Key::snapshot(scopes[1], event(1, 1).event), 3)]);
    assert_eq!(store.versions(Range::All(Collection::Slugs)).unwrap(), []);
}

/// Which journals have news for somebody who knows them up to a version.
pub fn journals_that_went_on_are_told(open: Open<'_>) {
    let store = open();
    let [a, b, never] = [event(1, 1), event(2, 1), event(1, 3)];
    for version in 1..=2 {
        let one = append(a, version, vec![confirmed(u128::from(version))]);
        let other = append(b, version, vec![confirmed(u128::from(version))]);
        commit(&*store, &[one, other]);
    }
    let beyond = |known: &[_]| {
        let mut news = store.beyond(known).unwrap();
        news.sort_unstable();
        news
    };
    assert_eq!(beyond(&[(a, 2), (b, 2), (never, 0)]), []);
    assert_eq!(beyond(&[(a, 1), (b, 2)]), [a]);
    assert_eq!(beyond(&[(b, 0), (a, 0), (never, 0)]), [a, b]);
    assert_eq!(beyond(&[]), []);
}
