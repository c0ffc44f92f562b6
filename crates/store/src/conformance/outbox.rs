//! Marks and cursors: how the news of a journal goes out.

use super::{Open, append, commit, event, marked, org};
use crate::api::{Destination, Pending, Store, Write};
use crate::key::Key;

fn pending(store: &dyn Store, destination: Destination) -> Vec<(u64, u64)> {
    let pending = store.pending(destination).unwrap();
    pending.iter().map(|pending| (pending.cursor, pending.latest)).collect()
}

/// Each destination has its own marks and cursor.
pub fn news_is_pending_until_the_cursor_has_passed(open: Open<'_>) {
    let store = open();
    let (first, second) = (event(1, 1), event(2, 1));
    commit(&*store, &[marked(first, 1, &[Destination::Org]), append(second, 1, vec![])]);
    commit(&*store, &[marked(first, 2, &[Destination::Org, Destination::Mail])]);
    commit(&*store, &[append(first, 3, vec![])]);
    commit(&*store, &[marked(second, 2, &[Destination::Mail])]);
    let at_org = store.pending(Destination::Org).unwrap();
    assert_eq!(at_org, [Pending { event: first, cursor: 0, latest: 2 }]);
    assert_eq!(pending(&*store, Destination::Mail), [(0, 2), (0, 2)]);
    store.advance(Destination::Org, first, 1, &[]).unwrap();
    assert_eq!(pending(&*store, Destination::Org), [(1, 2)]);
    assert_eq!(pending(&*store, Destination::Mail), [(0, 2), (0, 2)]);
    store.advance(Destination::Org, first, 2, &[]).unwrap();
    assert_eq!(pending(&*store, Destination::Org), []);
    commit(&*store, &[marked(first, 4, &[Destination::Org])]);
    assert_eq!(pending(&*store, Destination::Org), [(2, 4)]);
}

/// A worker that was away comes back with an old cursor.
pub fn a_cursor_never_goes_back(open: Open<'_>) {
    let store = open();
    let at = event(1, 1);
    for version in 1..=3 {
        commit(&*store, &[marked(at, version, &[Destination::Org])]);
    }
    store.advance(Destination::Org, at, 2, &[]).unwrap();
    store.advance(Destination::Org, at, 1, &[]).unwrap();
    assert_eq!(pending(&*store, Destination::Org), [(2, 3)]);
    store.advance(Destination::Org, at, 3, &[]).unwrap();
    store.advance(Destination::Org, at, 2, &[]).unwrap();
    assert_eq!(pending(&*store, Destination::Org), []);
}

/// Nobody can have delivered what was not decided yet.
pub fn a_cursor_does_not_skip_what_is_still_to_come(open: Open<'_>) {
    let store = open();
    let at = event(1, 1);
    store.advance(Destination::Org, at, 10, &[]).unwrap();
    assert_eq!(pending(&*store, Destination::Org), []);
    commit(&*store, &[marked(at, 1, &[Destination::Org])]);
    assert_eq!(pending(&*store, Destination::Org), [(0, 1)]);
    store.advance(Destination::Org, at, 10, &[]).unwrap();
    commit(&*store, &[marked(at, 2, &[Destination::Org])]);
    assert_eq!(pending(&*store, Destination::Org), [(1, 2)]);
}

/// What was delivered and how far go together.
pub fn documents_are_written_with_the_cursor(open: Open<'_>) {
    let store = open();
    let at = event(1, 1);
    let scope = store.add_org(org(1), 1, b"{}".to_vec()).unwrap();
    commit(&*store, &[marked(at, 1, &[Destination::Org])]);
    let key = Key::delivered(scope, "x-1");
    let write =
        |version, body: &[u8]| Write { key: key.clone(), version, body: Some(body.to_vec()) };
    store.advance(Destination::Org, at, 1, &[write(2, b"sent")]).unwrap();
    assert_eq!(pending(&*store, Destination::Org), []);
    store.advance(Destination::Org, at, 1, &[write(1, b"stale")]).unwrap();
    assert_eq!(store.get(&key).unwrap().map(|document| document.body), Some(b"sent".to_vec()));
}
