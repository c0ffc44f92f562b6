//! How a world begins, what goes wrong in it, and what must have become of
//! everything once nothing goes wrong any more.

use std::collections::BTreeSet;

use sloe_core::ids::{EventRef, SfId};
use sloe_core::license::{License, Status};
use sloe_engine::tenant::Profile;
use sloe_salesforce::{Credentials, Flow};
use sloe_store::api::{Destination, Store};
use sloe_store::key::{Collection, Key, Range};
use sloe_store::record::order;

use super::port::Weather;
use super::run::{Act, World};
use super::task::Done;
use super::visitor;
use crate::auditor::{Book, Expected, expected};

/// By then everything must be where it belongs, in milliseconds.
const PATIENCE: i64 = 8 * 60 * 60 * 1_000;

impl World {
    /// Orgs are connected, events are read, and every node starts.
    pub(crate) fn set_up(&mut self) {
        let stage = self.stage.clone();
        self.note(&format!("{stage:?}"));
        self.nodes[0].port.revive(Weather::default());
        if let Err(error) = self.nodes[0].start(&stage) {
            return self.blame(format!("the first node does not start: {error}"));
        }
        for org in &stage.orgs {
            let Some(life) = &self.nodes[0].life else { return };
            let slug = format!("org-{}", &org.as_str()[13..15]);
            let profile = Profile { name: slug.clone(), slug, ..Profile::default() };
            let flow = Flow::ClientCredentials {
                client_id: "sloe".to_owned(),
                client_secret: "secret".to_owned().into(),
            };
            let login_url = "https://login.example".to_owned();
            let credentials = Credentials { login_url, flow };
            let registry = life.engine.registry();
            let license =
                License { number: "L-1".to_owned(), status: Status::Active, expires_at: None };
            let store = self.truth.clone();
            let connected = registry.connect(&store, *org, profile, credentials);
            let licensed = registry.licenses.replace(&store, *org, &[license]);
            if connected.is_err() || licensed.is_err() {
                return self.blame("an org can't be connected".into());
            }
        }
        for event in &stage.events {
            let Some(life) = &self.nodes[0].life else { return };
            let engine = life.engine.clone();
            let (org, raw) = (event.event.org, event.read(self.clock.now(), Vec::new()));
            self.auditor.reads(event.event, raw.as_of, event.limits());
            let run = async move {
                let applied = engine.apply_refresh(org, raw).await;
                Done::Other("begins", applied.err().map(|e| e.to_string()).unwrap_or_default())
            };
            self.spawn(0, None, Box::pin(run));
        }
        self.settle();
        self.pass(self.clock.now() + 1_000);
        self.begin_life(0);
        for node in 1..self.nodes.len() {
            self.after(1, Act::Start(node));
        }
        self.pass(self.clock.now() + 2_000);
    }

    /// Visitors come, and everything goes wrong.
    pub(crate) fn storm(&mut self) {
        for place in &mut self.places {
            place.org.locks = 25 * self.stage.harm;
            place.org.rules = if self.stage.harm > 0 { 20 } else { 0 };
        }
        let (count, storm) = (self.stage.visitors, self.stage.storm);
        self.invite(count, storm);
        self.after(1_000, Act::Glance);
        if self.stage.harm > 0 {
            self.after(1_000, Act::Harm);
        }
        for event in 0..self.stage.events.len() {
            for _ in 0..self.dice.below(4) {
                let pause = self.dice.between(0, storm);
                self.after(pause, Act::Change(event));
            }
            for _ in 0..3 {
                let pause = self.dice.between(0, storm);
                self.after(pause, Act::Read(event));
            }
        }
        for place in 0..self.places.len() {
            for _ in 0..self.dice.below(5) {
                let pause = self.dice.between(10_000, storm);
                self.after(pause, Act::People(place));
            }
        }
        self.pass(self.clock.now() + storm);
    }

    /// Something goes wrong with somebody.
    pub(crate) fn harm(&mut self) {
        if self.calm {
            return;
        }
        let node = self.dice.index(self.nodes.len());
        match self.dice.below(11) {
            0 => self.act(Act::End(node, true)),
            1 | 2 => self.act(Act::End(node, false)),
            3 => {
                let away = self.dice.between(500, 15_000);
                self.nodes[node].port.set_away(true);
                self.note(&format!("node {node} does not reach the store for {away} ms"));
                self.after(away, Act::StoreBack(node));
            }
            4 | 5 => {
                let weather = self.stage.weather(&mut self.dice);
                self.note(&format!("node {node}: {weather:?}"));
                self.nodes[node].port.set_weather(weather);
            }
            6 => {
                let rare = self.dice.chance(150);
                let far = if rare { 90_000 } else { 1_000 };
                let skew = self.dice.between(-far, far);
                self.note(&format!("node {node}'s clock is {skew} ms fast"));
                self.nodes[node].clock.jump_to(skew);
            }
            7 => {
                let still = self.dice.between(1_000, 14_000);
                self.note(&format!("node {node} stands still for {still} ms"));
                let until = self.clock.now() + still;
                self.nodes[node].frozen_until = self.nodes[node].frozen_until.max(until);
            }
            8 => {
                if let Some(event) = self.dice.pick(&self.events()).copied() {
                    self.note(&format!("the checkpoint of {event:?} is gone"));
                    self.truth.drop_checkpoint(event);
                }
            }
            9 => {
                let place = self.dice.index(self.places.len());
                let dark = self.dice.between(5_000, 120_000);
                self.places[place].org.exhausted_until = self.clock.now() + dark;
                self.note(&format!("org {place} has no calls left for {dark} ms"));
            }
            _ => {
                let place = self.dice.index(self.places.len());
                self.act(Act::Work(place));
            }
        }
        let pause = self.dice.between(500, 18_000 / i64::try_from(self.stage.harm).unwrap_or(1));
        self.after(pause, Act::Harm);
    }

    /// Nothing goes wrong any more: everything must come to its end in time.
    pub(crate) fn finish(&mut self) {
        if self.violation.is_some() {
            return;
        }
        self.note("nothing goes wrong any more");
        self.calm = true;
        for node in &mut self.nodes {
            node.port.calm();
            node.port.set_away(false);
            let skew = node.clock.skew().clamp(-300, 300);
            node.clock.jump_to(skew);
        }
        for place in &mut self.places {
            (place.org.locks, place.org.rules, place.org.exhausted_until) = (0, 0, 0);
        }
        let end = self.clock.now() + PATIENCE;
        // Every event is read once more, and again until that is in force.
        let mut read = false;
        while self.violation.is_none() && !(read && self.is_settled()) {
            if self.clock.now() > end {
                let left = self.left_to_do();
                return self.blame(format!("not everything came to its end: {left}"));
            }
            self.pass(self.clock.now() + 10_000);
            let taken_in = read && self.events().into_iter().all(|event| self.is_taken_in(event));
            let alive = self.nodes.iter().all(|node| node.life.is_some());
            if !taken_in && alive && self.is_idle() {
                for event in 0..self.stage.events.len() {
                    self.act(Act::Read(event));
                }
                self.pass(self.clock.now() + 10_000);
                read = true;
            }
        }
        if self.violation.is_none() {
            self.judge_orgs();
            self.judge_orders();
            self.judge_secrets();
            self.sell_out();
        }
    }

    fn is_settled(&self) -> bool {
        self.left_to_do().is_empty()
    }

    /// What is not where it belongs yet, in words.
    fn left_to_do(&self) -> String {
        let mut left = Vec::new();
        if !self.is_idle() {
            left.push("visitors wait or seats are held".to_owned());
        }
        let pending = self.truth.pending(Destination::Org).unwrap_or_default();
        if !pending.is_empty() {
            left.push(format!("rows wait {pending:?}"));
        }
        let retries = self.truth.scan(Range::All(Collection::Retries), None, usize::MAX);
        let retries = retries.unwrap_or_default().len();
        if retries > 0 {
            left.push(format!("{retries} rows are to go again"));
        }
        for event in self.events() {
            left.extend(self.untold(event));
            if !self.is_taken_in(event) {
                left.push(format!("what was read of {event:?} is not in force"));
            }
            if !self.is_projected(event) {
                left.push(format!("orders of {event:?} are not projected"));
            }
        }
        left.join("; ")
    }

    /// Figures that an org was not told, or told otherwise.
    fn untold(&self, event: EventRef) -> Vec<String> {
        let Some(place) = self.places.iter().find(|p| p.org.id == event.org) else {
            return Vec::new();
        };
        let Some(book) = self.auditor.book(event) else { return Vec::new() };
        let untold = |record: Option<SfId>| {
            let told = place.org.figures.get(&record.unwrap_or(event.event)).copied();
            let counted = book.sold_and_held(record);
            let of = record.unwrap_or(event.event);
            (told != counted).then(|| format!("of {of} was told {told:?} instead of {counted:?}"))
        };
        book.records().filter_map(untold).collect()
    }

    /// Whether the organizer's limits are in force, and nobody has a ticket that was taken from
    /// them in the org.
    fn is_taken_in(&self, event: EventRef) -> bool {
        let Some(known) = self.stage.events.iter().find(|known| known.event == event) else {
            return true;
        };
        let Some(book) = self.auditor.book(event) else { return false };
        let place = self.places.iter().find(|place| place.org.id == event.org);
        let lost = place.map_or(Vec::new(), |place| place.org.lost_of(event.event));
        let stands = |row: &Expected| row.registered && lost.contains(&row.key);
        book.limits() == known.limits() && !expected(event, book).iter().any(stands)
    }

    fn is_projected(&self, event: EventRef) -> bool {
        let Ok(Some(scope)) = self.truth.open_org(event.org) else { return false };
        let known = self.truth.get(&Key::projection(scope, event.event)).ok().flatten();
        known.is_some_and(|known| known.version == self.truth.reach(event))
    }

    /// Every row in its newest state, once, or set aside for a person.
    fn judge_orgs(&mut self) {
        let mut faults = Vec::new();
        for event in self.events() {
            let Some(place) = self.places.iter().find(|p| p.org.id == event.org) else { continue };
            let Some(book) = self.auditor.book(event) else { continue };
            let letters = self.letters();
            for row in expected(event, book) {
                let set_aside = letters.contains(&row.key)
                    || row.parent.as_ref().is_some_and(|parent| letters.contains(parent));
                let org = &place.org;
                let attendee = row.parent.as_ref().unwrap_or(&row.key);
                match org.live(&row.key) {
                    _ if row.by_org && !org.lost.contains(attendee) => {
                        faults.push(format!("{} was cancelled by nobody in its org", row.key));
                    }
                    _ if org.was_deleted(&row.key) || row.by_org => {}
                    None if set_aside => {}
                    None => faults.push(format!("{} never reached its org", row.key)),
                    Some(record) if record.registered != row.registered && !set_aside => {
                        faults.push(format!("{} is not in its newest state: {record:?}", row.key));
                    }
                    Some(_) => {}
                }
            }
        }
        faults.extend(self.strangers());
        for fault in faults {
            self.blame(fault);
        }
    }

    /// Rows in orgs that no order has.
    fn strangers(&self) -> Vec<String> {
        let books = self.events().into_iter().filter_map(|e| Some((e, self.auditor.book(e)?)));
        let known = books.flat_map(|(event, book)| expected(event, book));
        let known: BTreeSet<String> = known.map(|row| row.key).collect();
        let rows = self.places.iter().flat_map(|place| place.org.rows.keys());
        let strange = rows.filter(|key| !known.contains(*key));
        strange.map(|key| format!("{key} is in its org and of no order")).collect()
    }

    /// No name and no address is anywhere but sealed.
    fn judge_secrets(&mut self) {
        let is_plain = |bytes: &[u8]| {
            let said = String::from_utf8_lossy(bytes);
            ["@example.org", "\"Last"].into_iter().any(|name| said.contains(name))
        };
        let mut faults = Vec::new();
        for collection in Collection::ALL {
            let all = self.truth.scan(Range::All(collection), None, usize::MAX).unwrap_or_default();
            let plain = all.iter().filter(|(_, document)| is_plain(&document.body));
            faults.extend(plain.map(|(key, _)| format!("{key:?} says who somebody is")));
        }
        for event in self.events() {
            let Some(book) = self.auditor.book(event) else { continue };
            for (claim, _) in book.orders() {
                let sealed = self.truth.sealed(event, claim).ok().flatten();
                if sealed.is_none_or(|sealed| is_plain(&sealed)) {
                    faults.push(format!("the details of {claim:?} are gone, or not sealed"));
                }
            }
            for batch in self.truth.read(event, 0, usize::MAX).unwrap_or_default() {
                if is_plain(format!("{batch:?}").as_bytes()) {
                    faults.push(format!("the journal of {event:?} says who somebody is"));
                }
            }
        }
        for fault in faults {
            self.blame(fault);
        }
    }

    fn letters(&self) -> BTreeSet<String> {
        let all = self.truth.scan(Range::All(Collection::DeadLetters), None, usize::MAX);
        all.unwrap_or_default().iter().map(|(key, _)| key.local_id().to_owned()).collect()
    }

    /// Every order's document says what the journal says.
    fn judge_orders(&mut self) {
        let mut faults = Vec::new();
        for event in self.events() {
            let Ok(Some(scope)) = self.truth.open_org(event.org) else { continue };
            let Some(book) = self.auditor.book(event) else { continue };
            for (claim, tickets) in book.orders() {
                let document = self.truth.get(&Key::order(scope, claim)).ok().flatten();
                let order = document.and_then(|document| order::decode(&document.body).ok());
                let told = order.map(|order| {
                    let by = |place: &order::OrderPlace| place.cancelled.map(|end| end.by);
                    order.places.iter().map(by).collect::<Vec<_>>()
                });
                let counted: Vec<_> = tickets.iter().map(|ticket| ticket.cancelled).collect();
                if told.as_ref() != Some(&counted) {
                    faults.push(format!("the order {claim:?} says {told:?}, not {counted:?}"));
                }
            }
        }
        for fault in faults {
            self.blame(fault);
        }
    }

    /// What is left can be had to the last seat, and not one more.
    fn sell_out(&mut self) {
        let mut number = 1_000_000;
        for event in self.stage.events.clone() {
            let items = event.items.iter().map(|(item, _)| *item);
            let sessions: Vec<SfId> = event.sessions.iter().map(|(session, _)| *session).collect();
            let wishes: Vec<(SfId, Vec<SfId>)> = items
                .flat_map(|item| {
                    let with = sessions.iter().map(move |session| (item, vec![*session]));
                    with.chain([(item, Vec::new())]).collect::<Vec<_>>()
                })
                .collect();
            for (item, sessions) in wishes {
                for _ in 0..40 {
                    if self.violation.is_some() {
                        return;
                    }
                    number += 1;
                    if !self.probe(event.event, number, item, &sessions) {
                        break;
                    }
                }
            }
        }
    }

    /// Asks for one place; whether there was one.
    fn probe(&mut self, event: EventRef, number: usize, item: SfId, sessions: &[SfId]) -> bool {
        let wanted: Vec<SfId> = sessions.iter().copied().chain([item]).collect();
        let left = self.auditor.book(event).and_then(|book| book.left(&wanted));
        let errand = visitor::probe(event, number, item, sessions);
        let before = self.auditor.book(event).map_or(0, Book::made);
        self.go(usize::MAX, errand);
        self.settle();
        let end = self.clock.now() + 60_000;
        while !self.visits.is_empty() && self.violation.is_none() && self.clock.now() < end {
            self.pass(self.clock.now() + 100);
        }
        let made = self.auditor.book(event).map_or(0, Book::made) > before;
        if made != left.is_none_or(|left| left > 0) {
            self.blame(format!(
                "of {item} with {sessions:?} {left:?} are left, and one was {}",
                if made { "sold" } else { "refused" }
            ));
        }
        made && left.is_some()
    }
}
