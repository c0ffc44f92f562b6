//! What the event offers, as its public interface says, and what a visitor
//! wants of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::StormError;
use super::fleet::{Clients, Fleet};
use super::people::{Crowd, Dice};
use super::wire::{Target, write_request};

/// A pool by the name it has in reports; the event as a whole is `event`.
pub(super) type Pool = String;

/// The event as the crowd sees it.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) id: String,
    pub(super) name: String,
    /// The event page's path, if the target was named `org/slug`.
    pub(super) page: Option<String>,
    items: Vec<String>,
    sessions: Vec<Session>,
    /// What was left of each pool at first; absent if unlimited.
    pub(super) left: BTreeMap<Pool, u64>,
}

#[derive(Clone, Debug)]
struct Session {
    id: String,
    starts_at: String,
    ends_at: String,
}

/// What one visitor wants: the same item and sessions for everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) people: u16,
    pub(super) item: String,
    pub(super) sessions: Vec<String>,
}

#[derive(Deserialize)]
struct EventWire {
    id: String,
    name: String,
    left: Option<u64>,
    items: Vec<ItemWire>,
    #[serde(default)]
    sessions: Vec<SessionWire>,
}

#[derive(Deserialize)]
struct ItemWire {
    id: String,
    price: Option<Value>,
    left: Option<u64>,
}

#[derive(Deserialize)]
struct SessionWire {
    id: String,
    #[serde(default)]
    starts_at: Option<String>,
    #[serde(default)]
    ends_at: Option<String>,
    left: Option<u64>,
}

#[derive(Deserialize)]
struct EventList {
    data: Vec<ListedEvent>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct ListedEvent {
    id: String,
    slug: String,
}

/// Keeps the dice of wishes apart from the others'.
const WISH: u64 = u64::MAX;

/// How many a visitor comes with: the first thing that is drawn.
fn people(dice: &mut Dice, party: u16) -> u16 {
    1 + u16::try_from(dice.below(u64::from(party.max(1)))).unwrap_or(0)
}

/// How many people a visitor's wish is for.
pub(super) fn people_of(crowd: &Crowd, visitor: u64, party: u16) -> u16 {
    people(&mut crowd.dice(visitor, WISH), party)
}

impl Offer {
    /// Reads the event: by its public id, or by `org/slug`.
    pub(super) async fn read(
        clients: &mut Clients,
        name: &Target,
        event: &str,
    ) -> Result<Self, StormError> {
        let named = event.trim_matches('/').split_once('/');
        let (id, page) = match named {
            Some((org, slug)) => {
                (find(clients, name, (org, slug)).await?, Some(format!("/{org}/{slug}")))
            }
            None => (event.to_owned(), None),
        };
        let wire: EventWire = get(clients, name, &format!("/api/v1/events/{id}")).await?;
        let left = left(&wire);
        let free = wire.items.iter().filter(|item| item.price.is_none() && item.left != Some(0));
        let session = |session: SessionWire| Session {
            id: session.id,
            starts_at: session.starts_at.unwrap_or_default(),
            ends_at: session.ends_at.unwrap_or_default(),
        };
        Ok(Self {
            items: free.map(|item| item.id.clone()).collect(),
            id: wire.id,
            name: wire.name,
            page,
            sessions: wire.sessions.into_iter().map(session).collect(),
            left,
        })
    }

    /// What is left now; at most a second old.
    pub(super) async fn left_now(
        &self,
        clients: &mut Clients,
        name: &Target,
    ) -> Result<BTreeMap<Pool, u64>, StormError> {
        let wire: EventWire = get(clients, name, &format!("/api/v1/events/{}", self.id)).await?;
        Ok(left(&wire))
    }

    /// The same as each target that answers tells it, with the target's address; the first
    /// target's trouble if none does.
    pub(super) async fn left_everywhere(
        &self,
        clients: &mut Clients,
        fleet: &Fleet,
    ) -> Result<Vec<(String, BTreeMap<Pool, u64>)>, StormError> {
        let mut request = Vec::new();
        let path = format!("/api/v1/events/{}", self.id);
        write_request(&mut request, ("GET", &path), &fleet.name().authority, &[], None);
        let mut told = Vec::new();
        for (at, origin) in fleet.origins().enumerate() {
            if clients.exchange(at, &request).await == Ok(200)
                && let Ok(wire) = serde_json::from_slice(clients.reply().body)
            {
                told.push((origin.to_owned(), left(&wire)));
            }
        }
        if told.is_empty() {
            // The same question once more, to say what is wrong.
            let left = self.left_now(clients, fleet.name()).await?;
            told.push((fleet.name().origin.clone(), left));
        }
        Ok(told)
    }

    /// Whether one target has this event.
    ///
    /// # Errors
    /// What came instead.
    pub(super) async fn is_at(
        &self,
        clients: &mut Clients,
        name: &Target,
        target: usize,
    ) -> Result<(), String> {
        let mut request = Vec::new();
        let path = format!("/api/v1/events/{}", self.id);
        write_request(&mut request, ("GET", &path), &name.authority, &[], None);
        match clients.exchange(target, &request).await {
            Ok(200) => Ok(()),
            Ok(status) => Err(format!("it answers {status} where the event should be")),
            Err(trouble) => Err(trouble.name().to_owned()),
        }
    }

    pub(super) fn has_free_items(&self) -> bool {
        !self.items.is_empty()
    }

    /// What a visitor wants; always the same for the same number.
    pub(super) fn wish(&self, crowd: &Crowd, visitor: u64, party: u16, sessions: u16) -> Wish {
        let mut dice = crowd.dice(visitor, WISH);
        let people = people(&mut dice, party);
        let mut pick = |count: usize| usize::try_from(dice.below(count as u64)).unwrap_or(0);
        let item = self.items.get(pick(self.items.len())).cloned().unwrap_or_default();
        let mut chosen: Vec<&Session> = Vec::new();
        for _ in 0..sessions {
            let Some(session) = self.sessions.get(pick(self.sessions.len())) else { break };
            if !chosen.iter().any(|other| other.overlaps(session)) {
                chosen.push(session);
            }
        }
        let sessions = chosen.iter().map(|session| session.id.clone()).collect();
        Wish { people, item, sessions }
    }
}

impl Session {
    /// Whether nobody can attend both; times are RFC 3339 in UTC, which sort as texts.
    fn overlaps(&self, other: &Self) -> bool {
        self.id == other.id || (self.starts_at < other.ends_at && other.starts_at < self.ends_at)
    }
}

impl Wish {
    /// The pools that it takes from; from each as many as there are people.
    pub(super) fn pools(&self) -> impl Iterator<Item = Pool> {
        let item = std::iter::once(format!("item {}", self.item));
        let sessions = self.sessions.iter().map(|id| format!("session {id}"));
        std::iter::once("event".to_owned()).chain(item).chain(sessions)
    }
}

fn left(event: &EventWire) -> BTreeMap<Pool, u64> {
    let whole = event.left.map(|left| ("event".to_owned(), left));
    let items = event.items.iter().filter_map(|i| Some((format!("item {}", i.id), i.left?)));
    let sessions =
        event.sessions.iter().filter_map(|s| Some((format!("session {}", s.id), s.left?)));
    whole.into_iter().chain(items).chain(sessions).collect()
}

async fn find(
    clients: &mut Clients,
    name: &Target,
    (org, slug): (&str, &str),
) -> Result<String, StormError> {
    let base = format!("/api/v1/orgs/{org}/events?limit=100");
    let mut path = base.clone();
    loop {
        let list: EventList = get(clients, name, &path).await?;
        if let Some(event) = list.data.into_iter().find(|event| event.slug == slug) {
            return Ok(event.id);
        }
        let Some(next) = list.next else {
            let what = format!("no event of {org} has the slug {slug}");
            return Err(StormError::Event { path: base, what });
        };
        path = format!("{base}&after={next}");
    }
}

async fn get<T: serde::de::DeserializeOwned>(
    clients: &mut Clients,
    name: &Target,
    path: &str,
) -> Result<T, StormError> {
    let failed = |what: String| StormError::Event { path: path.to_owned(), what };
    let mut request = Vec::new();
    let accept = ["Accept: application/json"];
    write_request(&mut request, ("GET", path), &name.authority, &accept, None);
    let silent = |what| StormError::Silent { origin: name.origin.clone(), what };
    let status = clients.somewhere(0, &request).await;
    let status = status.map_err(|trouble| silent(trouble.name().to_owned()))?;
    if status != 200 {
        return Err(failed(format!("status {status}")));
    }
    serde_json::from_slice(clients.reply().body).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, from: &str, to: &str) -> Session {
        Session { id: id.into(), starts_at: from.into(), ends_at: to.into() }
    }

    #[test]
    fn a_wish_follows_from_the_number_and_has_no_overlapping_sessions() {
        let offer = Offer {
            id: "e".into(),
            name: "E".into(),
            page: None,
            items: vec!["a".into(), "b".into()],
            sessions: vec![
                session("s1", "2026-01-01T09:00:00Z", "2026-01-01T10:00:00Z"),
                session("s2", "2026-01-01T09:30:00Z", "2026-01-01T10:30:00Z"),
                session("s3", "2026-01-01T10:30:00Z", "2026-01-01T11:00:00Z"),
            ],
            left: BTreeMap::new(),
        };
        let crowd = Crowd::new(3);
        let (mut parties, mut items) = ([0; 4], BTreeMap::new());
        for visitor in 0..500 {
            let wish = offer.wish(&crowd, visitor, 3, 3);
            assert_eq!(wish, offer.wish(&crowd, visitor, 3, 3));
            assert_eq!(wish.people, people_of(&crowd, visitor, 3));
            parties[usize::from(wish.people)] += 1;
            *items.entry(wish.item).or_insert(0) += 1;
            let both = ["s1", "s2"].iter().filter(|s| wish.sessions.iter().any(|w| w == *s));
            assert!(both.count() < 2, "{:?}", wish.sessions);
        }
        assert!(parties[0] == 0 && parties[1..].iter().all(|n| *n > 100), "{parties:?}");
        assert!(items.len() == 2 && items.values().all(|n| *n > 150), "{items:?}");
    }
}
