//! What visitors were told, and whether it holds.

use std::collections::{BTreeMap, BTreeSet};

use sloe_core::ids::{ClaimId, EventRef};
use sloe_core::time::Timestamp;

use super::book::{Book, Standing};

/// What a visitor wants done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Seats, for a while.
    Hold,
    /// An order of a hold.
    Confirm(ClaimId),
    /// An order in one step.
    Register,
    /// The seats of a hold given back.
    Release(ClaimId),
    /// Tickets of an order cancelled: one, or all.
    Cancel(String, Option<u16>),
    /// An order shown.
    Look(String),
}

/// One request of a visitor. Repeats have the same `key`, and are the same
/// request if `body` is the same, too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Of which event.
    pub event: EventRef,
    /// What for.
    pub deed: Deed,
    /// The request's id.
    pub key: String,
    /// Stands for all that it says.
    pub body: u32,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A hold.
    Held {
        /// Which.
        claim: ClaimId,
        /// Until when.
        expires_at: Timestamp,
        /// Of how many seats.
        places: usize,
    },
    /// An order.
    Order {
        /// Its name.
        reference: String,
        /// Its address, a secret.
        token: String,
        /// Places and codes.
        tickets: Vec<(u16, String)>,
    },
    /// The hold is no more.
    Released,
    /// An order as it stands.
    Seen {
        /// Which.
        claim: ClaimId,
        /// Places whose tickets are cancelled.
        cancelled: Vec<u16>,
        /// Whether every attendee has a name.
        named: bool,
    },
    /// No, in a word.
    Refused(&'static str),
    /// Nothing was done; again later.
    NotTaken,
    /// Nobody knows.
    Unknown,
}

#[derive(Debug, Default)]
struct Key {
    /// On their way.
    open: usize,
    /// One may still come to something although nobody waits for it.
    unknown: bool,
    bodies: BTreeSet<u32>,
    answer: Option<(u32, Told)>,
}

impl Key {
    fn may_come_true(&self) -> bool {
        self.open > 0 || self.unknown || self.answer.is_some()
    }
}

/// What was promised to the visitors of one event.
#[derive(Debug, Default)]
pub(super) struct Promises {
    keys: BTreeMap<(Deed, String), Key>,
}

impl Promises {
    pub(super) fn asks(&mut self, asked: &Asked) {
        let key = self.keys.entry((asked.deed.clone(), asked.key.clone())).or_default();
        key.open += 1;
        key.bodies.insert(asked.body);
    }

    /// How many claims there may be, as far as anybody was told.
    pub(super) fn may_have_made(&self) -> usize {
        let making =
            self.keys.iter().filter(|((deed, _), _)| matches!(deed, Deed::Hold | Deed::Register));
        making.filter(|(_, key)| key.may_come_true()).count()
    }

    /// Whether somebody asks for a hold to be an order, or nobody knows.
    pub(super) fn may_confirm(&self, claim: ClaimId) -> bool {
        let asked = self.keys.iter().filter(|((deed, _), _)| *deed == Deed::Confirm(claim));
        let mut asked = asked.map(|(_, key)| key);
        asked.any(Key::may_come_true)
    }

    pub(super) fn hears(&mut self, asked: &Asked, told: &Told, book: &Book) -> Result<(), String> {
        holds(asked, told, book)?;
        let key = self.keys.entry((asked.deed.clone(), asked.key.clone())).or_default();
        key.open = key.open.saturating_sub(1);
        match told {
            Told::Unknown => key.unknown = true,
            Told::Refused("id-reused") if key.bodies.len() < 2 => {
                return Err("nobody used the id for anything else".into());
            }
            Told::Held { .. } | Told::Order { .. } => match &key.answer {
                None => key.answer = Some((asked.body, told.clone())),
                Some((body, before)) if *body != asked.body => {
                    return Err(format!("the same id said something else before: {before:?}"));
                }
                Some((_, before)) if before != told && asked.deed != Deed::Hold => {
                    return Err(format!("the same request was answered {before:?} before"));
                }
                Some((_, before)) if claim_of(before) != claim_of(told) => {
                    return Err(format!("the same request was answered {before:?} before"));
                }
                Some(_) => {}
            },
            Told::Refused("quarantined") => return Err("nothing was damaged".into()),
            // Nobody asks for what is not there.
            Told::Refused("not-found") => return Err("it is there".into()),
            Told::Refused(_) if matches!(asked.deed, Deed::Look(_) | Deed::Cancel(..)) => {
                return Err("it is an order".into());
            }
            Told::Refused(why) => match &key.answer {
                Some((body, before)) if *body == asked.body => {
                    return Err(format!("the same request was answered {before:?} before"));
                }
                // Whoever uses an id again has heard the first answer before.
                Some((_, before)) if *why != "id-reused" => {
                    return Err(format!("the same id said something else before: {before:?}"));
                }
                _ => {}
            },
            Told::NotTaken | Told::Released | Told::Seen { .. } => {}
        }
        Ok(())
    }
}

fn claim_of(told: &Told) -> Option<ClaimId> {
    match told {
        Told::Held { claim, .. } | Told::Seen { claim, .. } => Some(*claim),
        _ => None,
    }
}

/// Whether what is told is so in the journal.
fn holds(asked: &Asked, told: &Told, book: &Book) -> Result<(), String> {
    match told {
        Told::Held { claim, expires_at, places } => {
            let known = book.claim(*claim).ok_or("no such hold is durable")?;
            if known.tickets.len() != *places {
                return Err(format!("it has {} places", known.tickets.len()));
            }
            if known.standing == Standing::Held && known.expires_at != *expires_at {
                return Err(format!("it is held until {}", known.expires_at));
            }
        }
        Told::Order { reference, tickets, .. } => {
            let (claim, known) = book.by_reference(reference).ok_or("no such order is durable")?;
            if known.standing != Standing::Order {
                return Err(format!("{claim:?} is {:?}", known.standing));
            }
            if matches!(asked.deed, Deed::Confirm(asked) if asked != claim) {
                return Err("it is another order".into());
            }
            if known.tickets.len() != tickets.len() {
                return Err(format!("it has {} tickets", known.tickets.len()));
            }
        }
        Told::Released => {
            let Deed::Release(claim) = asked.deed else { return Ok(()) };
            let standing = book.claim(claim).map(|known| known.standing);
            if !matches!(standing, Some(Standing::Released | Standing::Expired)) {
                return Err(format!("it is {standing:?}"));
            }
        }
        Told::Seen { claim, cancelled, named } => {
            let known = book.claim(*claim).ok_or("no such order is durable")?;
            let stands = |place: &&u16| {
                let ticket = known.tickets.get(usize::from(**place).wrapping_sub(1));
                ticket.is_none_or(|ticket| ticket.cancelled.is_none())
            };
            if let Some(place) = cancelled.iter().find(stands) {
                return Err(format!("the ticket of place {place} stands"));
            }
            if !named {
                return Err("an attendee's details are gone".into());
            }
            let all: Vec<u16> = match &asked.deed {
                Deed::Cancel(_, Some(place)) => vec![*place],
                Deed::Cancel(_, None) => (1..).zip(&known.tickets).map(|(n, _)| n).collect(),
                _ => Vec::new(),
            };
            if all.iter().any(|place| !cancelled.contains(place)) {
                return Err("not all is cancelled that was to be".into());
            }
        }
        Told::Refused(_) | Told::NotTaken | Told::Unknown => {}
    }
    Ok(())
}
