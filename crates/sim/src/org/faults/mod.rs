//! What can be made to go wrong at run time: rules that hit calls and written rows.

mod luck;
mod rule;
mod words;

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value as Json, json};

pub(crate) use self::luck::Luck;
pub(crate) use self::rule::{End, Failure, Form, Rule};
use super::data::RowError;
use super::state::lock;

/// A call, as the rules see it.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) kind: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
}

/// What the rules do to one call.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// How much later it is carried out.
    pub(crate) wait: Duration,
    /// How it ends, if not well.
    pub(crate) end: Option<End>,
}

/// A rule in force.
struct Armed {
    rule: Rule,
    course: Mutex<Course>,
}

/// How far a rule has come.
struct Course {
    calls: Luck,
    rows: Luck,
    /// Matching calls so far.
    seen: u64,
    /// Calls and rows it did something to.
    hits: u64,
}

/// The rules in force; none is a healthy org.
#[derive(Default)]
pub(crate) struct Faults {
    rules: Vec<Armed>,
}

/// How many rules may be in force.
const MOST: usize = 50;

impl Faults {
    /// Reads one rule, or a list of them.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Vec<String>> {
        let value: Json =
            serde_json::from_slice(body).map_err(|e| vec![format!("the body is no JSON: {e}")])?;
        let rules = match value {
            Json::Array(rules) if rules.len() > MOST => {
                return Err(vec![format!("there are at most {MOST} rules, not {}", rules.len())]);
            }
            Json::Array(rules) => {
                let each = rules.into_iter().enumerate();
                each.map(|(place, rule)| Rule::read(rule, &format!("[{place}]."))).collect()
            }
            // A rule without knobs is none.
            Json::Object(map) if map.is_empty() => Vec::new(),
            one => vec![Rule::read(one, "")],
        };
        let (mut good, mut wrong) = (Vec::new(), Vec::new());
        for rule in rules {
            match rule {
                Ok(rule) => good.push(Armed::new(rule)),
                Err(faults) => wrong.extend(faults),
            }
        }
        if wrong.is_empty() { Ok(Self { rules: good }) } else { Err(wrong) }
    }

    /// The rules as they were sent, each with how often it has hit.
    pub(crate) fn shown(&self) -> Json {
        let rules = self.rules.iter().map(|armed| {
            let mut source = armed.rule.source.clone();
            if let Some(map) = source.as_object_mut() {
                map.insert("hits".to_owned(), lock(&armed.course).hits.into());
            }
            source
        });
        json!({ "faults": rules.collect::<Vec<_>>() })
    }

    /// The refusal of a call that isn't even read, if a rule wants that.
    pub(crate) fn refuses(&self, call: &About<'_>) -> Option<Failure> {
        let outages = self.rules.iter().filter(|armed| armed.rule.outage);
        let armed = outages.filter(|armed| armed.rule.is_for(call)).find(|armed| {
            let mut course = lock(&armed.course);
            course.seen += 1;
            let hit = armed.may_hit(&course);
            course.hits += u64::from(hit);
            hit
        })?;
        Some(Failure { status: 503, ..armed.rule.refusal.clone() })
    }

    /// What happens to a call.
    pub(crate) fn fate(&self, call: &About<'_>) -> Fate {
        let mut fate = Fate::default();
        for armed in self.rules.iter().filter(|armed| !armed.rule.outage && armed.rule.is_for(call))
        {
            let (wait, end) = armed.draw();
            fate.wait += wait;
            fate.end = fate.end.or(end);
        }
        fate
    }

    /// Whether this call, which stands still already, is to stand still.
    pub(crate) fn stall(&self, call: &About<'_>) -> bool {
        let mut meant = self.rules.iter().filter(|armed| armed.rule.is_for(call));
        meant.any(|armed| {
            let course = lock(&armed.course);
            armed.rule.ends.iter().any(|(end, _)| end.stalls())
                && course.seen >= armed.rule.skip
                && armed.rule.times.is_none_or(|times| course.hits <= times)
        })
    }

    /// Whether a stream that runs is to stand still before its next answer: by rules that let all calls do so.
    #[cfg(feature = "pubsub")]
    pub(crate) fn halts(&self, call: &About<'_>) -> bool {
        let meant = self.rules.iter().filter(|armed| armed.rule.is_for(call));
        let meant = meant.filter(|armed| !armed.rule.outage && armed.rule.stalls_all());
        // Each of them counts its hit.
        meant.filter(|armed| armed.draw().1.is_some()).count() > 0
    }

    /// How a written row fails, if it does.
    pub(crate) fn row(&self, kind: &str, object: &str) -> Option<RowError> {
        let mut meant = self.rules.iter().filter(|armed| armed.rule.is_for_rows(kind, object));
        meant.find_map(|armed| {
            let rows = &armed.rule.rows;
            if rows.is_empty() {
                return None;
            }
            let mut course = lock(&armed.course);
            let place = course.rows.pick(rows.iter().map(|(_, share)| *share))?;
            if armed.rule.times.is_some_and(|times| course.hits >= times) {
                return None;
            }
            course.hits += 1;
            let (failure, _) = rows.get(place)?;
            Some(RowError::new(failure.code, failure.message.clone()))
        })
    }

    /// How long so many rows of this object take, written by this kind of call.
    #[allow(clippy::cast_precision_loss, reason = "a call has far fewer than 2^53 rows")]
    pub(crate) fn pace(&self, kind: &str, object: &str, rows: usize) -> Duration {
        let meant = self.rules.iter().filter(|armed| armed.rule.is_for_rows(kind, object));
        let each = meant.map(|armed| {
            let (record, chunk) = armed.rule.pace;
            record * rows as f64 + chunk * rows.div_ceil(200) as f64
        });
        Duration::from_secs_f64(each.sum::<f64>() / 1000.0)
    }

    /// Whether any rule slows rows down.
    pub(crate) fn has_pace(&self) -> bool {
        self.rules.iter().any(|armed| armed.rule.pace != (0.0, 0.0))
    }

    /// What each does and how often it has, for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let each = self.rules.iter().filter_map(|armed| {
            let mut words = armed.rule.summary();
            let first = words.get(..1)?.to_uppercase();
            words.replace_range(..1, &first);
            let hits = lock(&armed.course).hits;
            Some(match hits {
                _ if !armed.rule.counts() => words,
                0 => format!("{words}: not yet"),
                1 => format!("{words}: once so far"),
                hits => format!("{words}: {hits} times so far"),
            })
        });
        each.collect()
    }

    /// What they do, for people; empty if nothing.
    pub(crate) fn summary(&self) -> String {
        let each = self.rules.iter().map(|armed| armed.rule.summary());
        each.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

impl Armed {
    fn new(rule: Rule) -> Self {
        let course = Course {
            calls: Luck::new(rule.seed, rule.ends.len()),
            rows: Luck::new(rule.seed, rule.rows.len()),
            seen: 0,
            hits: 0,
        };
        Self { rule, course: Mutex::new(course) }
    }

    /// Whether the call just seen is neither one of the first that are left alone nor one too many.
    fn may_hit(&self, course: &Course) -> bool {
        course.seen > self.rule.skip && self.rule.times.is_none_or(|times| course.hits < times)
    }

    fn draw(&self) -> (Duration, Option<End>) {
        let mut course = lock(&self.course);
        course.seen += 1;
        if !self.may_hit(&course) {
            return (Duration::ZERO, None);
        }
        let ms = if self.rule.latency.is_any() {
            self.rule.latency.draw(&mut course.calls)
        } else {
            0.0
        };
        let end = course.calls.pick(self.rule.ends.iter().map(|(_, share)| *share));
        let end = end.and_then(|place| self.rule.ends.get(place)).map(|(end, _)| end.clone());
        if ms > 0.0 || end.is_some() {
            course.hits += 1;
        }
        (Duration::from_secs_f64(ms / 1000.0), end)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn faults(rules: &Json) -> Faults {
        Faults::parse(rules.to_string().as_bytes()).ok().unwrap()
    }

    const CALL: About<'_> =
        About { kind: "query", method: "GET", path: "/services/data/v62.0/query" };

    #[test]
    fn faults_are_told_in_words() {
        assert_eq!(Faults::default().summary(), "");
        let one = json!({ "latency_ms": 200, "jitter_ms": 100, "error_rate": 0.125, "kinds": ["query"], "times": 3 });
        let two = json!({ "record_ms": 2, "chunk_ms": 50, "objects": ["Lead"] });
        assert_eq!(
            faults(&json!([one, two])).summary(),
            "12.5 % of calls fail, calls take 200 ms to 300 ms longer (query, 3 times); \
             written rows take 2 ms each and 50 ms per 200 (Lead)"
        );
    }

    #[test]
    fn everything_wrong_in_every_rule_is_named() {
        let rules = json!([
            { "error_rate": 2, "nonsense": 1, "kinds": ["nope"], "error_status": 200 },
            { "errors": { "NOPE": 0.1 }, "latency": { "p50_ms": 9, "p99_ms": 3 }, "path": "x", "stall": 1 },
            { "error_rate": 0.6, "cut_after_rate": 0.6 },
            { "record_ms": 1, "methods": ["POST"] }, { "latency_ms": 1, "objects": ["Lead"] }
        ]);
        let wrong = Faults::parse(rules.to_string().as_bytes()).err().unwrap();
        assert_eq!(wrong.len(), 11, "{wrong:#?}");
        assert!(
            wrong[0].starts_with("[0].") && wrong.iter().any(|one| one.starts_with("[4].objects"))
        );
    }

    #[test]
    fn a_rule_leaves_the_first_calls_alone_and_ends_after_its_times() {
        let set = faults(&json!({ "error_rate": 1, "skip": 2, "times": 3 }));
        let hit = |_| set.fate(&CALL).end.is_some();
        let hits: Vec<bool> = (0..8).map(hit).collect();
        assert_eq!(hits, [false, false, true, true, true, false, false, false]);
        assert_eq!(set.shown()["faults"][0]["hits"], 3);
        let other = About { kind: "limits", ..CALL };
        let set = faults(&json!({ "error_rate": 1, "kinds": ["query"], "times": 1 }));
        assert!(set.fate(&other).end.is_none() && set.fate(&CALL).end.is_some());
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let run = |seed: u64| {
            let rule = json!({ "seed": seed, "error_rate": 0.3, "latency": { "p50_ms": 10, "p99_ms": 90 } });
            let set = faults(&rule);
            (0..100).map(|_| set.fate(&CALL)).map(|f| (f.wait, f.end)).collect::<Vec<_>>()
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }

    #[test]
    fn rows_take_their_time_by_object_and_kind() {
        let set = faults(
            &json!({ "record_ms": 2, "chunk_ms": 50, "objects": ["Lead"], "kinds": ["bulk_ingest"] }),
        );
        assert_eq!(set.pace("bulk_ingest", "lead", 201), Duration::from_millis(502));
        assert_eq!(set.pace("bulk_ingest", "Contact", 201), Duration::ZERO);
        assert_eq!(set.pace("collections", "Lead", 201), Duration::ZERO);
    }
}
