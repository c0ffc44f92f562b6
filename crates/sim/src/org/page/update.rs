//! The Update button: calls Sloe's hook as the component in a real org does.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::{Value as Json, json};
use sloe_core::ids::SfId;

use super::view::Notice;
use crate::org::state::{State as Org, lock};
use crate::org::traffic::HookCall;

/// How a call of the hook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Answered with this success.
    Accepted(u16),
    /// Answered with this refusal.
    Refused(u16),
    /// Not answered in time, or not at all.
    Unreachable,
    /// No address and secret yet.
    Unconnected,
}

/// Tells Sloe to refresh one event, or all, and remembers how that went.
pub(crate) async fn call(org: &Org, event: Option<SfId>) -> Outcome {
    let (at, began) = (org.clock(), Instant::now());
    let outcome = send(org, event).await;
    let call = HookCall {
        at,
        event,
        outcome: outcome.words(),
        good: matches!(outcome, Outcome::Accepted(_)),
        millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    lock(&org.traffic).hook(call);
    outcome
}

async fn send(org: &Org, event: Option<SfId>) -> Outcome {
    let Some(hook) = lock(&org.hook).clone() else { return Outcome::Unconnected };
    let url = address(&hook.url, org.org);
    let body = event.map_or_else(|| json!({}), |id| json!({ "event": id.as_str() }));
    let sent = org.http.post(url).header("x-sloe-secret", hook.secret).json(&body).send().await;
    match sent {
        Ok(response) if response.status().is_success() => {
            Outcome::Accepted(response.status().as_u16())
        }
        Ok(response) => Outcome::Refused(response.status().as_u16()),
        Err(_) => Outcome::Unreachable,
    }
}

/// The hook's whole address.
pub(crate) fn address(url: &str, org: SfId) -> String {
    let url = url.trim_end_matches('/');
    if url.contains("/hooks/salesforce/") {
        url.to_owned()
    } else {
        format!("{url}/hooks/salesforce/{org}/refresh")
    }
}

impl Outcome {
    /// As the list of calls has it.
    fn words(self) -> String {
        match self {
            Outcome::Accepted(status) => format!("accepted ({status})"),
            Outcome::Refused(status) => format!("refused ({status})"),
            Outcome::Unreachable => "no answer".to_owned(),
            Outcome::Unconnected => "nobody to tell".to_owned(),
        }
    }

    /// As the redirect carries it.
    pub(super) fn query(self) -> String {
        match self {
            Outcome::Accepted(status) => format!("update=accepted&status={status}"),
            Outcome::Refused(status) => format!("update=refused&status={status}"),
            Outcome::Unreachable => "update=unreachable".to_owned(),
            Outcome::Unconnected => "update=unconnected".to_owned(),
        }
    }

    /// As scripts get it.
    pub(super) fn json(self) -> Json {
        match self {
            Outcome::Accepted(status) => json!({ "update": "accepted", "status": status }),
            Outcome::Refused(status) => json!({ "update": "refused", "status": status }),
            Outcome::Unreachable => json!({ "update": "unreachable" }),
            Outcome::Unconnected => json!({ "update": "unconnected" }),
        }
    }
}

/// What the page says about it.
pub(super) fn notice(parameters: &HashMap<String, String>) -> Option<Notice> {
    let status =
        parameters.get("status").and_then(|status| status.parse::<u16>().ok()).unwrap_or(0);
    Some(match parameters.get("update")?.as_str() {
        "accepted" => Notice::good("Update accepted: Sloe is reading the change."),
        "refused" => Notice::bad(&format!(
            "Sloe refused the update (HTTP {status}). Check that the org's secret is the one `sloe org add` printed."
        )),
        "unreachable" => {
            Notice::bad("Sloe did not answer within 10 seconds. Is it running? Try Update again.")
        }
        "unconnected" => {
            Notice::bad("No Sloe is connected to this org yet, so there is nobody to tell.")
        }
        _ => return None,
    })
}
