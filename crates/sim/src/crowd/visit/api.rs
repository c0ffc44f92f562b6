//! A visitor who is a program: the JSON API.

use serde::{Deserialize, Serialize};

use super::super::tally::Outcome;
use super::super::wire::write_request;
use super::{Step, Visitor};

const JSON: &str = "application/json";

#[derive(Serialize)]
struct Registration<'a> {
    attendees: Vec<Attendee<'a>>,
}

#[derive(Serialize)]
struct Attendee<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<&'a [String]>,
    first_name: String,
    last_name: String,
    email: String,
}

#[derive(Serialize)]
struct Hold<'a> {
    lines: [Line<'a>; 1],
}

#[derive(Serialize)]
struct Line<'a> {
    item: &'a str,
    quantity: u16,
    sessions: &'a [String],
}

#[derive(Deserialize)]
pub(super) struct Held {
    pub(super) id: String,
    #[serde(default)]
    expires_at: String,
}

#[derive(Deserialize)]
struct Confirmed {
    order: String,
    reference: String,
    tickets: Vec<serde::de::IgnoredAny>,
}

/// Everything in one call.
pub(super) async fn register(visitor: &mut Visitor<'_>) -> Step<Outcome> {
    let request = registration(visitor)?;
    visitor.expect(&request, 201).await?;
    visitor.confirmed()
}

/// Seats first, names afterwards.
pub(super) async fn hold_and_confirm(visitor: &mut Visitor<'_>) -> Step<Outcome> {
    let request = hold(visitor)?;
    visitor.expect(&request, 201).await?;
    let held = visitor.holding()?;
    let request = confirmation(visitor, &held)?;
    visitor.expect(&request, 201).await?;
    visitor.confirmed()
}

/// Seats, and nothing afterwards.
pub(super) async fn abandon(visitor: &mut Visitor<'_>) -> Step<Outcome> {
    let request = hold(visitor)?;
    visitor.expect(&request, 201).await?;
    visitor.holding()?;
    Ok(Outcome::Left)
}

/// The request that registers everybody in one call.
pub(super) fn registration(visitor: &Visitor<'_>) -> Step<Vec<u8>> {
    let wish = visitor.ground.wish(visitor.number);
    let attendees = (1..=wish.people).map(|place| {
        let (item, sessions) = (Some(wish.item.as_str()), Some(wish.sessions.as_slice()));
        attendee(visitor, place, item, sessions)
    });
    let body = Registration { attendees: attendees.collect() };
    let path = format!("/api/v1/events/{}/registrations", visitor.ground.offer.id);
    visitor.post(&path, "registration", &body)
}

/// The request that holds seats for everybody.
pub(super) fn hold(visitor: &Visitor<'_>) -> Step<Vec<u8>> {
    let wish = visitor.ground.wish(visitor.number);
    let line = Line { item: &wish.item, quantity: wish.people, sessions: &wish.sessions };
    let path = format!("/api/v1/events/{}/holds", visitor.ground.offer.id);
    visitor.post(&path, "hold", &Hold { lines: [line] })
}

/// The request that names everybody.
pub(super) fn confirmation(visitor: &Visitor<'_>, held: &Held) -> Step<Vec<u8>> {
    let people = visitor.ground.people(visitor.number);
    let attendees = (1..=people)
        .map(|place| Attendee { place: Some(place), ..attendee(visitor, place, None, None) });
    let body = Registration { attendees: attendees.collect() };
    visitor.post(&format!("/api/v1/holds/{}/confirm", held.id), "confirm", &body)
}

fn attendee<'a>(
    visitor: &Visitor<'_>,
    place: u16,
    item: Option<&'a str>,
    sessions: Option<&'a [String]>,
) -> Attendee<'a> {
    let person = visitor.ground.crowd.person(visitor.number, place);
    let (first_name, last_name, email) = (person.first_name, person.last_name, person.email);
    Attendee { place: None, item, sessions, first_name, last_name, email }
}

impl Visitor<'_> {
    fn post(&self, path: &str, step: &str, body: &impl Serialize) -> Step<Vec<u8>> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Outcome::Failed { kind: error.to_string(), unknown: false })?;
        let id = self.ground.crowd.request_id(self.number, step);
        let key = format!("Idempotency-Key: {id}");
        let mut request = Vec::with_capacity(256 + body.len());
        let authority = self.ground.authority();
        write_request(&mut request, ("POST", path), authority, &[&key], Some((JSON, &body)));
        Ok(request)
    }

    /// Reads the hold just made, and remembers until when it lasts.
    pub(super) fn holding(&mut self) -> Step<Held> {
        let held: Result<Held, _> = serde_json::from_slice(self.clients.reply().body);
        let held = held.map_err(|_| self.confused("a hold without an id"))?;
        let until: jiff::Timestamp = held
            .expires_at
            .parse()
            .map_err(|_| self.confused("a hold that does not say until when"))?;
        self.left.held = Some(until.as_millisecond());
        Ok(held)
    }

    /// Reads the acknowledgement, which must have a ticket for everybody.
    pub(super) fn confirmed(&mut self) -> Step<Outcome> {
        let people = usize::from(self.ground.people(self.number));
        let confirmed: Result<Confirmed, _> = serde_json::from_slice(self.clients.reply().body);
        let Confirmed { order, reference, tickets } =
            confirmed.map_err(|_| self.confused("an acknowledgement without an order"))?;
        self.acknowledged(order, Some(reference));
        if tickets.len() != people {
            return Err(self.confused("an acknowledgement with the wrong number of tickets"));
        }
        Ok(Outcome::Registered)
    }
}
