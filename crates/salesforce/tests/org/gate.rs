//! The client tells whoever keeps the org's budget what the org refuses, and
//! asks it how much may go.

use std::sync::{Arc, Mutex};

use sloe_core::budget::{May, Purpose};
use sloe_salesforce::{Advice, Exhausted, Gate, Options, Usage};

use crate::fake::{Fake, Reply, quick};

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

impl Gate for Heard {
    fn begin(&self, purpose: Purpose) -> May {
        self.note(format!("{purpose:?}"));
        May::Go
    }

    fn again(&self) {
        self.note("again".to_owned());
    }

    fn follow(&self, usage: Usage) {
        self.note(format!("{} of {}", usage.used, usage.max));
    }

    fn refuse(&self, which: Exhausted) {
        self.note(format!("{which:?} gone"));
    }

    fn at_once(&self) -> usize {
        1
    }

    fn end(&self) {
        self.note("end".to_owned());
    }
}

async fn heard(reply: Reply) -> (Advice, Vec<String>) {
    let fake = Fake::start(move |_| reply.clone()).await;
    let gate = Arc::new(Heard::default());
    let org = fake.org_with(Options { gate: Some(Arc::clone(&gate) as _), ..quick() });
    let error = org.limits().await.unwrap_err();
    let heard = gate.0.lock().unwrap().clone();
    (error.advice(), heard)
}

#[tokio::test]
async fn a_day_s_allowance_that_is_gone_is_told_although_no_header_says_so() {
    let reply = Reply::error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
    let (advice, heard) = heard(reply).await;
    assert_eq!(advice, Advice::Wait);
    assert_eq!(heard, ["Refresh", "Daily gone", "end"]);
}

#[tokio::test]
async fn too_many_calls_at_once_are_told_apart_and_tried_again_soon() {
    let message = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
    let reply = Reply::error(403, "REQUEST_LIMIT_EXCEEDED", message)
        .with("sforce-limit-info", "api-usage=7/15000");
    let (advice, heard) = heard(reply).await;
    assert_eq!(advice, Advice::Retry);
    assert_eq!(heard, ["Refresh", "7 of 15000", "AtOnce gone", "end"]);
}

/// Knows too little to say, however often it is asked: ten times.
#[derive(Debug, Default)]
struct Doubting(Heard);

impl Gate for Doubting {
    fn begin(&self, purpose: Purpose) -> May {
        let asked = self.0.0.lock().unwrap().len();
        self.0.begin(purpose);
        if asked < 20 { May::Look } else { May::Go }
    }

    fn again(&self) {}

    fn follow(&self, _: Usage) {}

    fn refuse(&self, _: Exhausted) {}

    fn at_once(&self) -> usize {
        1
    }

    fn end(&self) {
        self.0.end();
    }
}

#[tokio::test]
async fn the_limits_are_looked_at_once_for_a_call_whatever_the_look_tells() {
    let fake = Fake::start(|_| Reply::json(&serde_json::json!({}))).await;
    let gate = Arc::new(Doubting::default());
    let org = fake.org_with(Options { gate: Some(Arc::clone(&gate) as _), ..quick() });
    org.limits().await.unwrap();
    assert_eq!(fake.calls().len(), 2, "the look and the call");
    assert_eq!(*gate.0.0.lock().unwrap(), ["Refresh", "end", "Refresh", "end"]);
}
