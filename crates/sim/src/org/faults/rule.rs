//! One fault rule: whom it hits, what it does, and how it is read from the control API.

use serde_json::Value as Json;

use super::luck::{LONGEST_MS, Latency};
use crate::org::codes::{self, UNAVAILABLE};
use crate::org::knobs::Knobs;

/// The kinds of call there are, as the statistics call them.
pub(crate) const KINDS: [&str; 11] = [
    "query",
    "queryAll",
    "sobjects",
    "collections",
    "composite",
    "bulk_ingest",
    "bulk_query",
    "limits",
    "pubsub",
    "token",
    "other",
];

/// What has no meaning for calls over gRPC, which write no rows.
const NOT_OF_PUBSUB: [&str; 10] = [
    "error_form",
    "cut_within_rate",
    "stall_within_rate",
    "late_rate",
    "row_error_rate",
    "row_errors",
    "row_error_code",
    "row_error_message",
    "record_ms",
    "chunk_ms",
];

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// How an error looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As Salesforce's API answers.
    Json,
    /// A page, as load balancers and maintenance answer.
    Html,
    /// No body at all.
    Empty,
    /// JSON that says it is a page.
    WrongType,
}

/// An error that a call gets instead of its answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) form: Form,
}

/// How a call ends that doesn't end well.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// It is refused and not carried out.
    Fails(Failure),
    /// It is taken, and neither carried out nor answered until the fault is gone.
    Stalls,
    /// The connection is cut before the call is carried out.
    CutBefore,
    /// The call is carried out, then the connection is cut: the answer is lost.
    CutAfter,
    /// The call is carried out, and its answer is cut in the middle.
    CutWithin,
    /// The call is carried out, and in the middle of the answer nothing more comes until the fault is gone.
    StallsWithin,
    /// The call is carried out, and answered once the fault is gone.
    Late,
}

impl End {
    /// Whether the call stands still until the fault is gone.
    pub(super) fn stalls(&self) -> bool {
        matches!(self, End::Stalls | End::StallsWithin | End::Late)
    }
}

/// A fault of a written row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowFailure {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// As it was sent.
    pub(crate) source: Json,
    pub(super) kinds: Vec<String>,
    pub(super) methods: Vec<String>,
    /// With `*` for any part of it.
    pub(super) path: Option<String>,
    /// Of written rows.
    pub(super) objects: Vec<String>,
    /// So many matching calls are left alone first.
    pub(super) skip: u64,
    /// At most so many calls are hit.
    pub(super) times: Option<u64>,
    pub(super) seed: Option<u64>,
    /// Every call is refused, before its body is read.
    pub(super) outage: bool,
    pub(super) refusal: Failure,
    pub(super) latency: Latency,
    pub(super) ends: Vec<(End, f64)>,
    pub(super) rows: Vec<(RowFailure, f64)>,
    /// Milliseconds a written row takes, and each begun 200 of them.
    pub(super) pace: (f64, f64),
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn read(source: Json, place: &str) -> Result<Self, Vec<String>> {
        let mut knobs = Knobs::of(source.clone(), place);
        let refusal = refusal(&mut knobs);
        let ends = ends(&mut knobs, &refusal);
        let rule = Self {
            source,
            kinds: one_of(&mut knobs, "kinds", &KINDS),
            methods: one_of(&mut knobs, "methods", &METHODS),
            path: knobs.text("path"),
            objects: knobs.texts("objects"),
            skip: knobs.whole("skip", u64::MAX).unwrap_or(0),
            times: knobs.whole("times", u64::MAX),
            seed: knobs.whole("seed", u64::MAX),
            outage: knobs.flag("outage"),
            refusal,
            latency: latency(&mut knobs),
            ends,
            rows: rows(&mut knobs),
            pace: (
                knobs.number("record_ms", LONGEST_MS).unwrap_or(0.0),
                knobs.number("chunk_ms", LONGEST_MS).unwrap_or(0.0),
            ),
        };
        if rule.path.as_ref().is_some_and(|path| !path.starts_with(['/', '*'])) {
            knobs.fault("path", "begins with / or *, such as /services/data/*/jobs/*");
        }
        let of_rows = !rule.rows.is_empty() || rule.pace != (0.0, 0.0);
        let of_calls = rule.outage || rule.latency.is_any() || !rule.ends.is_empty();
        if of_rows && (rule.path.is_some() || !rule.methods.is_empty()) {
            knobs.fault("path", "and methods choose calls; rows are chosen by kinds and objects");
        }
        if of_calls && !rule.objects.is_empty() {
            knobs.fault(
                "objects",
                "choose written rows; calls are chosen by kinds, methods and path",
            );
        }
        if !rule.kinds.is_empty() && rule.kinds.iter().all(|kind| kind == "pubsub") {
            for name in NOT_OF_PUBSUB.iter().filter(|name| rule.source.get(name).is_some()) {
                knobs.fault(
                    name,
                    "means nothing for pubsub, whose answers are gRPC and which writes no rows",
                );
            }
        }
        let wrong = knobs.end();
        if wrong.is_empty() { Ok(rule) } else { Err(wrong) }
    }

    /// Whether it lets every call that it is for stand still.
    #[cfg(feature = "pubsub")]
    pub(super) fn stalls_all(&self) -> bool {
        let shares = self.ends.iter().map(|(end, share)| if end.stalls() { *share } else { 0.0 });
        shares.sum::<f64>() >= 1.0
    }

    /// Whether it is meant for this call.
    pub(super) fn is_for(&self, call: &super::About<'_>) -> bool {
        let any = |list: &[String], one: &str| list.is_empty() || list.iter().any(|x| x == one);
        any(&self.kinds, call.kind)
            && any(&self.methods, call.method)
            && self.path.as_ref().is_none_or(|path| like(path, call.path))
    }

    /// Whether it is meant for rows of this object, written by this kind of call.
    pub(super) fn is_for_rows(&self, kind: &str, object: &str) -> bool {
        (self.kinds.is_empty() || self.kinds.iter().any(|k| k == kind))
            && (self.objects.is_empty()
                || self.objects.iter().any(|o| o.eq_ignore_ascii_case(object)))
    }
}

fn one_of(knobs: &mut Knobs, name: &'static str, known: &[&str]) -> Vec<String> {
    let texts = knobs.texts(name);
    for text in texts.iter().filter(|text| !known.contains(&text.as_str())) {
        knobs.fault(name, format!("knows no {text}; there are {}", known.join(", ")));
    }
    texts
}

/// What the refusals of this rule look like: status, code, words and form.
fn refusal(knobs: &mut Knobs) -> Failure {
    let code = knobs.text("error_code").unwrap_or_else(|| UNAVAILABLE.code.to_owned());
    let known = codes::find(&code);
    let form = match knobs.text("error_form").as_deref() {
        None | Some("json") => Form::Json,
        Some("html") => Form::Html,
        Some("empty") => Form::Empty,
        Some("wrong_type") => Form::WrongType,
        Some(other) => {
            knobs.fault("error_form", format!("is json, html, empty or wrong_type, not {other}"));
            Form::Json
        }
    };
    let status = knobs.whole("error_status", 599);
    // A page where an answer should be, as a proxy's sign-in page, comes with 200.
    let odd = status == Some(200) && form != Form::Json;
    match status {
        Some(status) if !(400..=599).contains(&status) && !odd => knobs.fault(
            "error_status",
            format!("is from 400 to 599, or 200 where error_form isn't json, not {status}"),
        ),
        None if known.is_none() => {
            knobs.fault(
                "error_code",
                format!("{code} has no known HTTP status; give error_status too"),
            );
        }
        _ => {}
    }
    let status = status.and_then(|status| u16::try_from(status).ok());
    let message = knobs.text("error_message");
    Failure {
        status: status.or_else(|| known.map(|known| known.status)).unwrap_or(UNAVAILABLE.status),
        message: message
            .unwrap_or_else(|| known.map_or(UNAVAILABLE.message, |known| known.message).to_owned()),
        code,
        form,
    }
}

fn ends(knobs: &mut Knobs, refusal: &Failure) -> Vec<(End, f64)> {
    let mut ends = vec![(End::Fails(refusal.clone()), knobs.share("error_rate"))];
    for (name, share) in knobs.shares("errors") {
        match codes::find(&name) {
            Some(known) => {
                let failure = Failure {
                    status: known.status,
                    code: name,
                    message: known.message.to_owned(),
                    form: refusal.form,
                };
                ends.push((End::Fails(failure), share));
            }
            None => {
                knobs.fault("errors", format!("knows no {name}; use error_code with error_status"));
            }
        }
    }
    let stall = if knobs.flag("stall") { 1.0 } else { 0.0 };
    ends.push((End::Stalls, stall + knobs.share("stall_rate")));
    ends.push((End::CutBefore, knobs.share("cut_before_rate")));
    ends.push((End::CutAfter, knobs.share("cut_after_rate")));
    ends.push((End::CutWithin, knobs.share("cut_within_rate")));
    ends.push((End::StallsWithin, knobs.share("stall_within_rate")));
    ends.push((End::Late, knobs.share("late_rate")));
    ends.retain(|(_, share)| *share > 0.0);
    let sum: f64 = ends.iter().map(|(_, share)| share).sum();
    if sum > 1.0 + 1e-9 {
        knobs.fault(
            "error_rate",
            format!(
                "and the other shares of calls are {sum} together; they are at most 1 in one rule"
            ),
        );
    }
    ends
}

fn latency(knobs: &mut Knobs) -> Latency {
    let plain = knobs.number("latency_ms", LONGEST_MS);
    let jitter = knobs.number("jitter_ms", LONGEST_MS);
    let flat = Latency::Uniform(plain.unwrap_or(0.0), plain.unwrap_or(0.0) + jitter.unwrap_or(0.0));
    let Some(mut inner) = knobs.inner("latency") else { return flat };
    if plain.is_some() || jitter.is_some() {
        knobs.fault("latency", "says it all: leave latency_ms and jitter_ms out");
    }
    let mut number = |name| inner.number(name, LONGEST_MS);
    let all = (
        number("fixed_ms"),
        (number("from_ms"), number("to_ms")),
        (number("p50_ms"), number("p99_ms")),
    );
    knobs.close(inner);
    let shape = match all {
        (Some(fixed), (None, None), (None, None)) => Some(Latency::Uniform(fixed, fixed)),
        (None, (Some(from), Some(to)), (None, None)) if from <= to => {
            Some(Latency::Uniform(from, to))
        }
        (None, (None, None), (Some(p50), Some(p99))) if p50 > 0.0 && p50 <= p99 => {
            Some(Latency::LogNormal { p50, p99 })
        }
        _ => None,
    };
    shape.unwrap_or_else(|| {
        knobs.fault(
            "latency",
            "has fixed_ms, or from_ms and a larger to_ms, or p50_ms above 0 and a larger p99_ms",
        );
        flat
    })
}

fn rows(knobs: &mut Knobs) -> Vec<(RowFailure, f64)> {
    let one = knobs.text("row_error_code").unwrap_or_else(|| "UNABLE_TO_LOCK_ROW".to_owned());
    let words = knobs.text("row_error_message");
    let mut named = vec![("row_error_code", one, knobs.share("row_error_rate"), words)];
    let more = knobs.shares("row_errors").into_iter();
    named.extend(more.map(|(code, share)| ("row_errors", code, share, None)));
    let mut rows = Vec::new();
    for (knob, code, share, words) in named {
        match codes::find(&code) {
            Some(known) => {
                let message = words.unwrap_or_else(|| known.message.to_owned());
                rows.push((RowFailure { code: known.code, message }, share));
            }
            None => knobs.fault(knob, format!("knows no {code}")),
        }
    }
    rows.retain(|(_, share)| *share > 0.0);
    let sum: f64 = rows.iter().map(|(_, share)| share).sum();
    if sum > 1.0 + 1e-9 {
        let message = format!("and row_errors are {sum} together; they are at most 1 in one rule");
        knobs.fault("row_error_rate", message);
    }
    rows
}

/// Whether a path fits a pattern in which `*` stands for anything.
fn like(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_part_of_a_path() {
        let path = "/services/data/v62.0/jobs/ingest/750/batches";
        for good in ["*", "/services/*", "*/batches", "/services/data/*/jobs/*/batches", path] {
            assert!(like(good, path), "{good}");
        }
        for bad in ["/services", "/services/*/jobs", "*/query", "/services/data/*/batch"] {
            assert!(!like(bad, path), "{bad}");
        }
    }
}
