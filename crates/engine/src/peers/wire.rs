//! How claims and their answers travel between nodes of one version of Sloe.
//! What can't be read is refused whole, and decided where it came from.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use sloe_core::fact::{Actor, Request};
use sloe_core::ids::{ClaimId, EventRef, SfId};
use sloe_core::ledger::{ClaimStatus, ClaimView, Command, PlaceRequest, PlaceView, Reply};
use sloe_core::time::Timestamp;
use sloe_store::api::Sealed;

use crate::ledger::{Committed, Task};

/// An item, and sessions.
type Place = (String, Vec<String>);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Hold { places: Vec<Place>, replaces: Option<String> },
    Register { places: Vec<Place> },
    Confirm { sessions: Option<Vec<Vec<String>>> },
}

#[derive(Serialize, Deserialize)]
struct Claim {
    event: String,
    claim: String,
    /// The request's key, 32 hexadecimal digits, and its body's hash.
    request: (String, u64),
    what: What,
    sealed: Option<(String, Option<String>)>,
}

#[derive(Serialize, Deserialize)]
struct View {
    claim: String,
    status: u8,
    expires_at: i64,
    /// Item, sessions, who cancelled it, and whether it was erased.
    places: Vec<(String, Vec<String>, Option<u8>, bool)>,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    view: View,
    confirmed: bool,
    version: u64,
    fresh: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Taken(Answer),
    Declined,
    Unknown,
}

/// What a leader says of a claim.
#[derive(Debug)]
pub(super) enum Heard {
    /// It is there, durably.
    Taken(Committed),
    /// It was not taken: it is decided where it came from.
    Declined,
    /// It may have been taken.
    Unknown,
}

/// Whether a command is handed over at all: what takes seats under a request id.
pub(crate) fn travels(command: &Command) -> bool {
    matches!(command, Command::Hold { .. } | Command::Register { .. } | Command::Confirm { .. })
}

fn record(id: &SfId) -> String {
    id.to_string()
}

fn places(places: &[PlaceRequest]) -> Vec<Place> {
    let place =
        |place: &PlaceRequest| (record(&place.item), place.sessions.iter().map(record).collect());
    places.iter().map(place).collect()
}

fn claim(task: &Task) -> Option<Claim> {
    let (claim, request, what) = match &task.command {
        Command::Hold { claim, request, places: wanted, replaces } => {
            let replaces = replaces.map(|claim| claim.text());
            (claim, request, What::Hold { places: places(wanted), replaces })
        }
        Command::Register { claim, request, places: wanted } => {
            (claim, request, What::Register { places: places(wanted) })
        }
        Command::Confirm { claim, request, sessions } => {
            let texts = |sessions: &Vec<SfId>| sessions.iter().map(record).collect();
            let sessions = sessions.as_ref().map(|all| all.iter().map(texts).collect());
            (claim, request, What::Confirm { sessions })
        }
        _ => return None,
    };
    let sealed = task.sealed.as_ref();
    Some(Claim {
        event: task.event.partition(),
        claim: claim.text(),
        request: (format!("{:032x}", request.key), request.body),
        what,
        sealed: sealed.map(|s| (s.claim.text(), s.body.as_ref().map(|body| BASE64.encode(body)))),
    })
}

pub(super) fn encode_tasks(tasks: &[Box<Task>]) -> Vec<u8> {
    // Only what travels is ever handed over.
    let claims: Vec<Claim> = tasks.iter().filter_map(|task| claim(task)).collect();
    serde_json::to_vec(&claims).unwrap_or_default()
}

type Decoded = (EventRef, Command, Option<Sealed>);

pub(super) fn decode_claims(body: &[u8]) -> Option<Vec<Decoded>> {
    let claims: Vec<Claim> = serde_json::from_slice(body).ok()?;
    claims.into_iter().map(decode).collect()
}

fn decode(told: Claim) -> Option<Decoded> {
    let event = EventRef::from_partition(&told.event)?;
    let claim = ClaimId::parse(&told.claim)?;
    let key = u128::from_str_radix(&told.request.0, 16).ok()?;
    let request = Request { key, body: told.request.1 };
    let command = match told.what {
        What::Hold { places, replaces } => {
            let replaces = match replaces {
                Some(text) => Some(ClaimId::parse(&text)?),
                None => None,
            };
            Command::Hold { claim, request, places: wanted(places)?, replaces }
        }
        What::Register { places } => Command::Register { claim, request, places: wanted(places)? },
        What::Confirm { sessions } => {
            let sessions = match sessions {
                Some(all) => Some(all.iter().map(|all| records(all)).collect::<Option<_>>()?),
                None => None,
            };
            Command::Confirm { claim, request, sessions }
        }
    };
    let sealed = match told.sealed {
        Some((of, body)) => {
            let body = match body {
                Some(body) => Some(BASE64.decode(body).ok()?),
                None => None,
            };
            Some(Sealed { claim: ClaimId::parse(&of)?, body })
        }
        None => None,
    };
    Some((event, command, sealed))
}

fn records(texts: &[String]) -> Option<Vec<SfId>> {
    texts.iter().map(|text| SfId::parse(text).ok()).collect()
}

fn wanted(places: Vec<Place>) -> Option<Vec<PlaceRequest>> {
    let place = |(item, sessions): Place| {
        Some(PlaceRequest { item: SfId::parse(&item).ok()?, sessions: records(&sessions)? })
    };
    places.into_iter().map(place).collect()
}

pub(super) fn encode_answers(answers: Vec<Heard>) -> Vec<u8> {
    let said = |heard| match heard {
        Heard::Taken(Committed { reply: Reply::Held(view), version, fresh }) => {
            Said::Taken(Answer { view: told(&view), confirmed: false, version, fresh })
        }
        Heard::Taken(Committed { reply: Reply::Confirmed(view), version, fresh }) => {
            Said::Taken(Answer { view: told(&view), confirmed: true, version, fresh })
        }
        // Nothing else travels.
        Heard::Taken(_) | Heard::Unknown => Said::Unknown,
        Heard::Declined => Said::Declined,
    };
    let said: Vec<Said> = answers.into_iter().map(said).collect();
    serde_json::to_vec(&said).unwrap_or_default()
}

fn told(view: &ClaimView) -> View {
    let place = |place: &PlaceView| {
        let actor = place.cancelled.map(|actor| match actor {
            Actor::Registrant => 0,
            Actor::Org => 1,
            Actor::Staff => 2,
        });
        (record(&place.item), place.sessions.iter().map(record).collect(), actor, place.erased)
    };
    let status = match view.status {
        ClaimStatus::Held => 0,
        ClaimStatus::Confirmed => 1,
        ClaimStatus::Released => 2,
        ClaimStatus::Expired => 3,
    };
    View {
        claim: view.claim.text(),
        status,
        expires_at: view.expires_at.0,
        places: view.places.iter().map(place).collect(),
    }
}

/// The answers to so many claims; nothing if they can't be read.
pub(super) fn decode_answers(body: &[u8], count: usize) -> Option<Vec<Heard>> {
    let said: Vec<Said> = serde_json::from_slice(body).ok()?;
    if said.len() != count {
        return None;
    }
    let heard = |said| match said {
        Said::Declined => Some(Heard::Declined),
        Said::Unknown => Some(Heard::Unknown),
        Said::Taken(Answer { view, confirmed, version, fresh }) => {
            let view = read(view)?;
            let reply = if confirmed { Reply::Confirmed(view) } else { Reply::Held(view) };
            Some(Heard::Taken(Committed { reply, version, fresh }))
        }
    };
    said.into_iter().map(heard).collect()
}

fn read(view: View) -> Option<ClaimView> {
    let place = |(item, sessions, cancelled, erased): (String, Vec<String>, Option<u8>, bool)| {
        let cancelled = match cancelled {
            None => None,
            Some(0) => Some(Actor::Registrant),
            Some(1) => Some(Actor::Org),
            Some(2) => Some(Actor::Staff),
            Some(_) => return None,
        };
        Some(PlaceView {
            item: SfId::parse(&item).ok()?,
            sessions: records(&sessions)?,
            cancelled,
            erased,
        })
    };
    let status = match view.status {
        0 => ClaimStatus::Held,
        1 => ClaimStatus::Confirmed,
        2 => ClaimStatus::Released,
        3 => ClaimStatus::Expired,
        _ => return None,
    };
    Some(ClaimView {
        claim: ClaimId::parse(&view.claim)?,
        status,
        expires_at: Timestamp(view.expires_at),
        places: view.places.into_iter().map(place).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sloe_core::ids::OrgId;

    use super::*;
    use crate::ledger::Way;

    fn sf(n: u32) -> SfId {
        SfId::parse(&format!("a00{n:012}")).unwrap()
    }

    #[test]
    fn claims_and_answers_arrive_as_they_were_sent() {
        let event = EventRef { org: OrgId::parse("00D000000000001").unwrap(), event: sf(1) };
        let (claim, request) = (ClaimId(7 << 90), Request { key: u128::MAX - 3, body: u64::MAX });
        let places = vec![PlaceRequest { item: sf(2), sessions: vec![sf(3), sf(4)] }];
        let commands = [
            Command::Hold { claim, request, places: places.clone(), replaces: Some(ClaimId(9)) },
            Command::Register { claim, request, places },
            Command::Confirm { claim, request, sessions: Some(vec![vec![sf(3)], vec![]]) },
        ];
        let sealed = Sealed { claim, body: Some(vec![0, 255, 7]) };
        let task = |command: &Command| {
            let (command, sealed) = (command.clone(), Some(sealed.clone()));
            Box::new(Task::new(Way::Leader, event, command, sealed).0)
        };
        let tasks: Vec<_> = commands.iter().map(task).collect();
        let read = decode_claims(&encode_tasks(&tasks)).unwrap();
        assert_eq!(read.len(), 3);
        for ((of, command, read), sent) in read.iter().zip(&commands) {
            assert_eq!((*of, read.as_ref()), (event, Some(&sealed)));
            assert_eq!(format!("{command:?}"), format!("{sent:?}"));
        }
        let place = PlaceView {
            item: sf(2),
            sessions: vec![sf(3)],
            cancelled: Some(Actor::Staff),
            erased: true,
        };
        let (status, expires_at) = (ClaimStatus::Expired, Timestamp(-5));
        let view = ClaimView { claim, status, expires_at, places: vec![place] };
        let committed = Committed { reply: Reply::Held(view.clone()), version: 8, fresh: true };
        let said = vec![Heard::Taken(committed), Heard::Declined, Heard::Unknown];
        let answers = decode_answers(&encode_answers(said), 3).unwrap();
        let [Heard::Taken(first), Heard::Declined, Heard::Unknown] = answers.as_slice() else {
            panic!("{answers:?}");
        };
        assert_eq!((&first.reply, first.version, first.fresh), (&Reply::Held(view), 8, true));
        assert!(decode_answers(&encode_answers(vec![Heard::Declined]), 2).is_none());
        assert!(decode_claims(b"[{}]").is_none());
    }
}
