//! Visitors: they hold, confirm, register, give back, cancel, click twice,
//! come back with the same request and with another under the same id, to any
//! node, and ask again when nobody answered.

use sloe_core::ids::{ClaimId, EventRef, PublicId, SfId};
use sloe_core::ledger::ClaimStatus;
use sloe_engine::claims::{Confirmed, RequestId, Visitor as Cookies};
use sloe_engine::engine::Engine;
use sloe_engine::error::Denied;
use sloe_engine::view::{AttendeeInput, Choice, HoldView, OrderView};

use super::dice::Dice;
use super::stage::Event;
use crate::auditor::{Asked, Deed, Told};

/// One request on its way, as often as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    pub(crate) asked: Asked,
    event: PublicId,
    token: String,
    people: Vec<(Choice, AttendeeInput)>,
    /// Attendees change to other sessions than they hold.
    reselects: bool,
    /// Sent as the site's form, which names the browser and its open hold.
    cookies: Option<Cookies>,
}

impl Errand {
    /// It is sent now. The site's form may make another hold once the last one has ended, so each
    /// of these is a request of its own.
    pub(crate) fn set_off(&mut self, visit: u64) {
        if self.cookies.is_some() {
            self.asked.key = format!("form {visit}");
        }
    }
}

/// An answer, with what the visitor needs for the next step.
pub(crate) struct Heard {
    pub(crate) visit: u64,
    pub(crate) told: Told,
    /// The address of the hold or order.
    pub(crate) token: Option<String>,
}

/// One visitor.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    number: usize,
    event: EventRef,
    dice: Dice,
    people: Vec<(Choice, AttendeeInput)>,
    /// All sessions of the event.
    sessions: Vec<PublicId>,
    hold: Option<(ClaimId, String)>,
    order: Option<String>,
    /// What was asked last, for those who ask again.
    pub(crate) last: Option<Errand>,
    /// What made the order.
    bought: Option<Errand>,
    tries: u32,
    sent: u32,
    pub(crate) done: bool,
}

impl Visitor {
    pub(crate) fn new(number: usize, event: &Event, mut dice: Dice) -> Self {
        let count = 1 + dice.index(3);
        let people = (0..count).map(|n| person(event, number, n, &mut dice)).collect();
        Self {
            number,
            event: event.event,
            dice,
            people,
            sessions: event.sessions.iter().map(|(id, _)| public(event.event, id)).collect(),
            hold: None,
            order: None,
            last: None,
            bought: None,
            tries: 0,
            sent: 0,
            done: false,
        }
    }

    /// What it wants next; `None` when it goes away.
    pub(crate) fn next(&mut self) -> Option<Errand> {
        self.tries = 0;
        self.sent += 1;
        if self.sent > 12 {
            return None;
        }
        let errand = match (&self.hold, &self.order) {
            (_, Some(token)) => self.after_order(token.clone())?,
            (Some((claim, token)), None) => self.with_hold(*claim, token.clone())?,
            (None, None) => self.arriving(),
        };
        self.last = Some(errand.clone());
        Some(errand)
    }

    fn arriving(&mut self) -> Errand {
        match self.dice.below(5) {
            0 | 1 => self.errand(Deed::Register, String::new()),
            2 => Errand {
                cookies: Some(Cookies {
                    name: Some(format!("browser {}", self.number)),
                    hold: None,
                }),
                ..self.errand(Deed::Hold, String::new())
            },
            _ => self.errand(Deed::Hold, String::new()),
        }
    }

    fn with_hold(&mut self, claim: ClaimId, token: String) -> Option<Errand> {
        match self.dice.below(20) {
            0..=9 => Some(self.errand(Deed::Confirm(claim), token)),
            10..=12 => {
                let mut errand = self.errand(Deed::Confirm(claim), token);
                errand.reselects = true;
                for (choice, _) in &mut errand.people {
                    let sessions = self.sessions.iter().filter(|_| self.dice.chance(500));
                    choice.sessions = sessions.copied().collect();
                }
                Some(errand)
            }
            13..=15 => Some(self.errand(Deed::Release(claim), token)),
            16..=17 => {
                // Another selection replaces the hold.
                let most = self.people.len();
                self.people.truncate(1 + self.dice.index(most));
                let name = Some(format!("browser {}", self.number));
                let cookies = Some(Cookies { name, hold: Some(token) });
                Some(Errand { cookies, ..self.errand(Deed::Hold, String::new()) })
            }
            _ => None,
        }
    }

    fn after_order(&mut self, token: String) -> Option<Errand> {
        match self.dice.below(10) {
            0 => Some(self.errand(Deed::Cancel(token.clone(), None), token)),
            1 | 2 => {
                let place = 1 + u16::try_from(self.dice.index(self.people.len())).unwrap_or(0);
                Some(self.errand(Deed::Cancel(token.clone(), Some(place)), token))
            }
            3 => Some(self.errand(Deed::Look(token.clone()), token)),
            // The same again: the same answer.
            4 | 5 => self.bought.clone(),
            // Something else under the same id.
            6 => {
                let mut errand = self.bought.clone()?;
                for (_, person) in &mut errand.people {
                    person.last_name.push_str(" the other");
                }
                errand.asked.body += 1;
                Some(errand)
            }
            _ => None,
        }
    }

    fn errand(&mut self, deed: Deed, token: String) -> Errand {
        let key = format!("{}-{}", self.number, self.sent);
        let asked = Asked { event: self.event, deed, key, body: 0 };
        let people = self.people.clone();
        let event = self.event.public_id();
        Errand { asked, event, token, people, reselects: false, cookies: None }
    }

    /// Takes an answer in; whether to ask for the same again.
    pub(crate) fn hear(&mut self, errand: &Errand, told: &Told, token: Option<String>) -> bool {
        match told {
            Told::Held { claim, .. } => {
                if self.order.is_none() {
                    self.hold = token.map(|token| (*claim, token));
                }
            }
            Told::Order { token, .. } => {
                if errand.asked.body == 0 {
                    self.order = Some(token.clone());
                    self.bought = Some(errand.clone());
                }
            }
            Told::Released => self.hold = None,
            Told::Seen { .. } => {}
            Told::Unknown | Told::NotTaken | Told::Refused("not-found") => {
                self.tries += 1;
                let gives_up = *told == Told::NotTaken && self.dice.chance(150);
                self.done = gives_up || self.tries >= 12;
                return !self.done;
            }
            Told::Refused(_) => self.done = self.order.is_none() && self.dice.chance(700),
        }
        false
    }

    /// How long it thinks before its next step, in milliseconds.
    pub(crate) fn thinks(&mut self) -> i64 {
        // Some come back when their hold is over.
        if self.dice.chance(120) {
            self.dice.between(55_000, 130_000)
        } else {
            self.dice.between(50, 9_000)
        }
    }

    /// How long it waits before it asks again.
    pub(crate) fn waits(&mut self) -> i64 {
        self.dice.between(150, 4_000)
    }

    /// Whether it clicks twice.
    pub(crate) fn clicks_twice(&mut self) -> bool {
        self.dice.chance(120)
    }
}

/// Somebody who wants one place of an item with sessions, for the last count.
pub(crate) fn probe(event: EventRef, number: usize, item: SfId, sessions: &[SfId]) -> Errand {
    let sessions = sessions.iter().map(|id| public(event, id)).collect();
    let choice = Choice { item: public(event, &item), sessions };
    let asked = Asked { event, deed: Deed::Register, key: format!("probe {number}"), body: 0 };
    let people = vec![(choice, named(number, 0))];
    let (event, token) = (event.public_id(), String::new());
    Errand { asked, event, token, people, reselects: false, cookies: None }
}

fn public(event: EventRef, record: &SfId) -> PublicId {
    PublicId::derive(&event.org, record)
}

fn named(number: usize, n: usize) -> AttendeeInput {
    AttendeeInput {
        first_name: format!("First{n}"),
        last_name: format!("Last{number}"),
        email: format!("visitor{number}.{n}@example.org"),
        invitation: String::new(),
    }
}

fn person(event: &Event, number: usize, n: usize, dice: &mut Dice) -> (Choice, AttendeeInput) {
    let item = dice.pick(&event.items).map(|(id, _)| public(event.event, id));
    let sessions = event.sessions.iter().filter(|_| dice.chance(450));
    let sessions = sessions.map(|(id, _)| public(event.event, id)).collect();
    let item = item.unwrap_or_else(|| event.event.public_id());
    (Choice { item, sessions }, named(number, n))
}

/// Does an errand on a node.
pub(crate) async fn run(engine: Engine, visit: u64, errand: Errand) -> Heard {
    let id = RequestId::Given(errand.asked.key.clone());
    let (choices, inputs): (Vec<_>, Vec<_>) = errand.people.iter().cloned().unzip();
    let (told, token) = match &errand.asked.deed {
        Deed::Hold => match &errand.cookies {
            Some(cookies) => held(engine.hold_for_visitor(errand.event, cookies, &choices).await),
            None => held(engine.hold(errand.event, &id, &choices).await),
        },
        Deed::Register => ordered(engine.register(errand.event, &id, &errand.people).await),
        Deed::Confirm(_) => {
            let sessions: Vec<_> = choices.iter().map(|choice| choice.sessions.clone()).collect();
            let sessions = errand.reselects.then_some(sessions.as_slice());
            ordered(engine.confirm(&errand.token, &id, &inputs, sessions).await)
        }
        Deed::Release(_) => match engine.release(&errand.token).await {
            Ok(()) => (Told::Released, None),
            Err(denied) => (no(&denied), None),
        },
        Deed::Cancel(_, place) => seen(engine.cancel(&errand.token, *place).await),
        Deed::Look(_) => seen(engine.order_by_token(&errand.token).await),
    };
    Heard { visit, told, token }
}

fn held(answer: Result<HoldView, Denied>) -> (Told, Option<String>) {
    match answer {
        Ok(view) if matches!(view.status, ClaimStatus::Held | ClaimStatus::Expired) => {
            let (claim, expires_at) = (view.claim, view.expires_at);
            (Told::Held { claim, expires_at, places: view.places.len() }, Some(view.token))
        }
        Ok(view) => {
            let (claim, expires_at) = (view.claim, view.expires_at);
            (Told::Held { claim, expires_at, places: view.places.len() }, None)
        }
        Err(denied) => (no(&denied), None),
    }
}

fn ordered(answer: Result<Confirmed, Denied>) -> (Told, Option<String>) {
    match answer {
        Ok(Confirmed { token, reference, tickets }) => {
            (Told::Order { reference, token: token.clone(), tickets }, Some(token))
        }
        Err(denied) => (no(&denied), None),
    }
}

fn seen(answer: Result<OrderView, Denied>) -> (Told, Option<String>) {
    match answer {
        Ok(view) => {
            let cancelled = view.tickets.iter().filter(|ticket| ticket.cancelled.is_some());
            let cancelled = cancelled.map(|ticket| ticket.place).collect();
            let named = view.tickets.iter().all(|ticket| ticket.attendee.is_some());
            (Told::Seen { claim: view.claim, cancelled, named }, None)
        }
        Err(denied) => (no(&denied), None),
    }
}

fn no(denied: &Denied) -> Told {
    Told::Refused(match denied {
        Denied::OutcomeUnknown => return Told::Unknown,
        Denied::NotAccepted { .. } => return Told::NotTaken,
        Denied::NotFound => "not-found",
        Denied::IdReused => "id-reused",
        Denied::SoldOut(_) => "sold-out",
        Denied::HoldExpired(_) => "hold-expired",
        Denied::HoldReleased => "hold-released",
        Denied::AlreadyConfirmed => "already-confirmed",
        Denied::NotConfirmed => "not-confirmed",
        Denied::Quarantined => "quarantined",
        Denied::Invalid(_) => "invalid",
        _ => "otherwise",
    })
}
