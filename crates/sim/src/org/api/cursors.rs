//! Query results that are being paged through: for two days, and over a restart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use sloe_core::ids::SfId;

use crate::org::data::Database;
use crate::org::kept::Entry;
use crate::org::soql::{self, Output, Plan};
use crate::org::state::lock;

/// How long results stay open, in milliseconds: two days, as in a real org.
const OPEN_MS: i64 = 2 * 24 * 3600 * 1000;
/// How many ids all open results may hold: some hundred megabytes. Beyond it the oldest goes first.
const MOST_IDS: usize = 4_000_000;

/// Results that are being paged through.
#[derive(Default)]
pub(crate) struct Cursors {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    last: u64,
    /// By name, and so by age.
    open: BTreeMap<String, Arc<Cursor>>,
    /// How many ids they hold.
    ids: usize,
}

/// An open result.
pub(super) struct Cursor {
    pub(super) name: String,
    pub(super) created: i64,
    /// The whole query.
    pub(super) text: String,
    /// Which of its child subqueries, level by level, this is the result of; none if of the query itself.
    pub(super) places: Vec<usize>,
    pub(super) plan: Plan,
    pub(super) ids: Vec<SfId>,
}

/// An open result as the log holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    name: String,
    created: i64,
    text: String,
    #[serde(default)]
    places: Vec<usize>,
    ids: Vec<String>,
}

impl Cursor {
    /// As the log holds it.
    pub(super) fn entry(&self) -> Entry {
        Entry::Results(Stored {
            name: self.name.clone(),
            created: self.created,
            text: self.text.clone(),
            places: self.places.clone(),
            ids: self.ids.iter().map(SfId::to_string).collect(),
        })
    }

    /// The result that the log holds; none if its query no longer fits the schema.
    fn restored(database: &Database, stored: Stored) -> Option<Self> {
        let mut plan = soql::bind(database, &stored.text, &soql::parse(&stored.text).ok()?).ok()?;
        for place in &stored.places {
            plan = match plan.outputs.into_iter().nth(*place)? {
                Output::Children { plan, .. } => *plan,
                _ => return None,
            };
        }
        Some(Self {
            name: stored.name,
            created: stored.created,
            text: stored.text,
            places: stored.places,
            plan,
            ids: stored.ids.iter().filter_map(|id| SfId::parse(id).ok()).collect(),
        })
    }
}

impl Inner {
    fn push(&mut self, cursor: Arc<Cursor>) {
        let until = cursor.created - OPEN_MS;
        self.ids += cursor.ids.len();
        self.open.insert(cursor.name.clone(), cursor);
        // The newest stays, however large it is.
        while self.open.len() > 1
            && let Some(oldest) = self.open.first_entry()
            && (oldest.get().created < until || self.ids > MOST_IDS)
        {
            self.ids -= oldest.remove().ids.len();
        }
    }
}

impl Cursors {
    /// Opens a result under a name of its own.
    pub(super) fn open(&self, make: impl FnOnce(String) -> Cursor) -> Arc<Cursor> {
        let mut inner = lock(&self.inner);
        inner.last += 1;
        let cursor = Arc::new(make(format!("01gSL{:013}", inner.last)));
        inner.push(Arc::clone(&cursor));
        cursor
    }

    /// The open result of this name; `now` in milliseconds.
    pub(super) fn get(&self, name: &str, now: i64) -> Option<Arc<Cursor>> {
        let inner = lock(&self.inner);
        let known = inner.open.get(name)?;
        (known.created >= now - OPEN_MS).then(|| Arc::clone(known))
    }

    /// The number of the last one.
    pub(crate) fn last(&self) -> u64 {
        lock(&self.inner).last
    }

    /// Numbers begin behind this one.
    pub(crate) fn restore_last(&self, last: u64) {
        let mut inner = lock(&self.inner);
        inner.last = inner.last.max(last);
    }

    /// Everything that the log has to hold of them.
    pub(crate) fn entries(&self, out: &mut Vec<Entry>) {
        out.extend(lock(&self.inner).open.values().map(|cursor| cursor.entry()));
    }

    /// Takes up an open result.
    pub(crate) fn restore(&self, database: &Database, stored: Stored) {
        let number = stored.name.get(5..).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        self.restore_last(number);
        match Cursor::restored(database, stored) {
            Some(cursor) => lock(&self.inner).push(Arc::new(cursor)),
            None => tracing::warn!("an open result is let go: its query fits the schema no more"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::org::schema::Schema;

    #[test]
    fn the_oldest_results_go_when_all_hold_too_many_ids_or_their_time_is_over() {
        let id = SfId::parse("00D000000000001").unwrap();
        let schema = Arc::new(Schema::build(|_| Ok(())).unwrap());
        let database = Database::new(schema, id, jiff::Timestamp::now);
        let text = "SELECT Id FROM Lead";
        let plan = soql::bind(&database, text, &soql::parse(text).unwrap()).unwrap();
        let cursors = Cursors::default();
        let open = |created: i64, count: usize| {
            let cursor = cursors.open(|name| Cursor {
                name,
                created,
                text: text.to_owned(),
                places: Vec::new(),
                plan: plan.clone(),
                ids: vec![id; count],
            });
            cursor.name.clone()
        };
        let (small, large) = (open(0, 100), open(1, MOST_IDS / 2));
        let last = open(2, MOST_IDS / 2);
        let there = [&small, &large, &last].map(|name| cursors.get(name, 2).is_some());
        assert_eq!(there, [false, true, true]);
        assert!(
            cursors.get(&large, OPEN_MS + 2).is_none() && cursors.get(&last, OPEN_MS + 2).is_some()
        );
        open(OPEN_MS + 2, 1);
        let inner = lock(&cursors.inner);
        assert_eq!((inner.open.len(), inner.ids), (2, MOST_IDS / 2 + 1));
    }
}
