//! What happens when it is due.

use std::time::Duration;

use sloe_core::ids::OrgId;
use sloe_engine::steps::Steps;
use sloe_engine::worker::Outbox;
use sloe_salesforce::Error;
use sloe_store::api::Store;

use super::line::Asked;
use super::org::{Call, Reply};
use super::run::{Act, Visit, World};
use super::task::Done;
use super::visitor::{self, Errand, Heard, Visitor};
use crate::auditor::Told;

/// Nobody waits longer for a node that goes, in milliseconds.
const PATIENCE: i64 = 5_000;

impl World {
    /// Does what is due.
    pub(crate) fn act(&mut self, act: Act) {
        if let Some(until) = self.frozen(&act) {
            // It stands still, and does the same later, as if nothing had happened. What it does
            // first then is anybody's guess.
            let first = matches!(act, Act::Answer(..) | Act::Outbox(..) | Act::Commit(..));
            let more = if first { 0 } else { self.dice.between(0, 1_500) };
            return self.after(until + more - self.clock.now(), act);
        }
        match act {
            Act::Commit(node, lives) => self.commit(node, lives),
            Act::Sweep(node, lives) => self.sweep(node, lives),
            Act::Look(node, lives, what) => self.look_by_itself(node, lives, what),
            Act::Outbox(node, lives, place) => self.outbox(node, lives, place),
            Act::Start(node) => self.start(node),
            Act::End(node, at_once) => self.end_soon(node, at_once),
            Act::Harm => self.harm(),
            Act::StoreBack(node) => {
                self.nodes[node].port.set_away(false);
                self.note(&format!("node {node} reaches the store again"));
            }
            Act::Arrive(appends) => {
                let answer = self.truth.append(&appends);
                self.note(&format!("a late append: {answer:?}"));
            }
            Act::Glance => self.glance(),
            Act::Visit(visitor) => self.visit(visitor),
            Act::Again(visitor, errand) => self.go(visitor, *errand),
            Act::Change(event) => {
                let changed = self.stage.events[event].change(&mut self.dice);
                self.note(&format!("event {event}: {changed}"));
                for _ in 0..2 {
                    let pause = self.dice.between(100, 4_000);
                    self.after(pause, Act::Read(event));
                }
            }
            Act::Read(event) => self.read_event(event),
            Act::Apply(node, event, raw) => self.apply(node, event, *raw),
            Act::People(place) => {
                let delete = self.dice.chance(500);
                if let Some(key) = self.places[place].org.lose_one(delete) {
                    let did = if delete { "deleted" } else { "cancelled" };
                    self.note(&format!("somebody {did} {key} in the org"));
                }
            }
            Act::Unwanted(place, key) => {
                if self.places[place].org.lose_attendee(&key) {
                    self.note(&format!("somebody deleted {key} as soon as it was in the org"));
                }
            }
            Act::Call(place, asked) => self.call(place, asked),
            Act::Answer(place, asked, answer) => {
                self.remember_refusal(place, &asked, &answer);
                self.note(&format!("answer of org {place} to {}", asked.call.name()));
                let usage = self.places[place].org.usage();
                asked.reply(usage, answer);
            }
            Act::Work(place) => self.places[place].org.work(),
        }
    }

    /// Whether what is due is a frozen node's, and until when it is.
    fn frozen(&self, act: &Act) -> Option<i64> {
        let node = match act {
            Act::Commit(node, _)
            | Act::Sweep(node, _)
            | Act::Look(node, ..)
            | Act::Outbox(node, ..) => *node,
            Act::Answer(_, asked, _) => asked.node,
            _ => return None,
        };
        let until = self.nodes[node].frozen_until;
        (until > self.clock.now()).then_some(until)
    }

    fn is_life(&self, node: usize, lives: u64) -> bool {
        self.nodes[node].life.is_some() && self.nodes[node].lives == lives
    }

    fn commit(&mut self, node: usize, lives: u64) {
        if !self.is_life(node, lives) {
            return;
        }
        self.note(&format!("node {node} commits"));
        if let Some(life) = &mut self.nodes[node].life {
            life.committing = false;
            life.steps.commit(false);
        }
    }

    fn sweep(&mut self, node: usize, lives: u64) {
        if !self.is_life(node, lives) {
            return;
        }
        let facts = self.stage.checkpoint_facts;
        if let Some(life) = &mut self.nodes[node].life {
            life.steps.watch();
            life.steps.commit(true);
            life.steps.write_checkpoints(facts);
        }
        let rests = self.calm && self.is_idle();
        let pause = if rests { 10_000 } else { self.dice.between(250, 1_500) };
        self.after(pause, Act::Sweep(node, lives));
    }

    fn look_by_itself(&mut self, node: usize, lives: u64, what: &'static str) {
        if !self.is_life(node, lives) {
            return;
        }
        let rests = self.calm && self.is_idle();
        let pause = match what {
            "beats" if rests => 2_500,
            "beats" | "follows" if !rests => self.dice.between(900, 1_300),
            _ if rests => 10_000,
            _ => self.dice.between(1_500, 4_000),
        };
        self.after(pause, Act::Look(node, lives, what));
        let Some(life) = &mut self.nodes[node].life else { return };
        if what == "projects" {
            if let Err(error) = life.steps.project() {
                self.note(&format!("node {node} can't project: {error}"));
            }
            return;
        }
        if life.busy.contains(&what) {
            return;
        }
        life.busy.push(what);
        let engine = life.engine.clone();
        let told =
            move |done: Result<(), String>| Done::Other(what, done.err().unwrap_or_default());
        let words = |done: Result<(), sloe_store::api::StoreError>| done.map_err(|e| e.to_string());
        match what {
            "beats" => self.spawn(
                node,
                None,
                Box::pin(async move { told(words(Steps::look_at_nodes(engine).await)) }),
            ),
            "follows" => self.spawn(
                node,
                None,
                Box::pin(async move { told(words(Steps::follow(engine).await)) }),
            ),
            _ => self.spawn(
                node,
                None,
                Box::pin(async move { told(Steps::keep_budgets(engine).await) }),
            ),
        }
    }

    pub(crate) fn other(&mut self, node: usize, name: &'static str, ended: &str) {
        if !ended.is_empty() {
            self.note(&format!("node {node} {name} in vain: {ended}"));
        }
        if let Some(life) = &mut self.nodes[node].life {
            life.busy.retain(|busy| *busy != name);
        }
    }

    fn outbox(&mut self, node: usize, lives: u64, place: usize) {
        if !self.is_life(node, lives) {
            return;
        }
        let org = self.places[place].org.id;
        let inbox = self.places[place].inbox.clone();
        let reached = !self.nodes[node].port.is_away();
        let taken = if reached { self.nodes[node].take_outbox(org, &inbox) } else { None };
        let Some(mut outbox) = taken else {
            let pause = self.dice.between(800, 1_500);
            return self.after(pause, Act::Outbox(node, lives, place));
        };
        let run = async move {
            let pause = outbox.look().await;
            Done::Looked(org, outbox, pause)
        };
        self.spawn(node, None, Box::pin(run));
    }

    pub(crate) fn looked(&mut self, node: usize, org: OrgId, outbox: Box<Outbox>, pause: Duration) {
        let Some(place) = self.places.iter().position(|place| place.org.id == org) else { return };
        let (retries, dead) = outbox.books();
        let lives = self.nodes[node].lives;
        if let Some(life) = &mut self.nodes[node].life {
            life.looking.retain(|looking| *looking != org);
            life.boxes.insert(org, outbox);
        }
        let state = (retries, dead, pause.as_secs());
        if self.places[place].last_look != state {
            self.places[place].last_look = state;
            self.note(&format!(
                "outbox {place} on node {node}: {retries} retries, {dead} letters, {pause:?}"
            ));
        }
        let longest = if self.calm && self.is_idle() { 8_000 } else { 0 };
        let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX).max(longest);
        self.after(millis, Act::Outbox(node, lives, place));
    }

    fn start(&mut self, node: usize) {
        if self.nodes[node].life.is_some() {
            return;
        }
        let stage = self.stage.clone();
        if let Err(error) = self.nodes[node].start(&stage) {
            self.note(&format!("node {node} can't start: {error}"));
            return self.after(1_000, Act::Start(node));
        }
        self.note(&format!("node {node} starts"));
        self.begin_life(node);
    }

    /// What a node does by itself begins.
    pub(crate) fn begin_life(&mut self, node: usize) {
        let lives = self.nodes[node].lives;
        if !self.calm {
            let weather = self.stage.weather(&mut self.dice);
            self.nodes[node].port.set_weather(weather);
        }
        self.after(200, Act::Sweep(node, lives));
        for what in ["beats", "follows", "projects", "keeps"] {
            let pause = self.dice.between(10, 900);
            self.after(pause, Act::Look(node, lives, what));
        }
        for place in 0..self.places.len() {
            self.after(1_000, Act::Outbox(node, lives, place));
        }
    }

    fn end_soon(&mut self, node: usize, at_once: bool) {
        if self.nodes[node].life.is_none() {
            return;
        }
        if at_once {
            self.end(node);
        } else {
            let calls = self.dice.below(6);
            self.nodes[node].port.end_in(calls);
        }
    }

    /// Somebody looks at a page: the node reads what is left.
    fn glance(&mut self) {
        let pause = if self.calm { 15_000 } else { self.dice.between(2_000, 12_000) };
        self.after(pause, Act::Glance);
        let node = self.dice.index(self.nodes.len());
        let (Some(life), Some(event)) =
            (&self.nodes[node].life, self.dice.pick(&self.events()).copied())
        else {
            return;
        };
        let engine = life.engine.clone();
        let run = async move {
            let shown = engine.availability(event).await;
            Done::Other("shows", shown.err().map(|e| e.to_string()).unwrap_or_default())
        };
        self.spawn(node, None, Box::pin(run));
    }

    fn visit(&mut self, visitor: usize) {
        let Some(errand) = self.visitors[visitor].next() else {
            self.visitors[visitor].done = true;
            return;
        };
        self.go(visitor, errand.clone());
        if self.visitors[visitor].clicks_twice() {
            let pause = self.dice.between(0, 60);
            self.after(pause, Act::Again(visitor, Box::new(errand)));
        }
    }

    /// A visitor sends a request to any node.
    pub(crate) fn go(&mut self, visitor: usize, errand: Errand) {
        let node = self.dice.index(self.nodes.len());
        let visit = self.number();
        let mut errand = errand;
        errand.set_off(visit);
        let (deed, key) = (&errand.asked.deed, &errand.asked.key);
        self.note(&format!("visit {visit} to node {node}: {deed:?} {key}"));
        self.auditor.asks(&errand.asked);
        let at = self.clock.now();
        self.visits.insert(visit, Visit { visitor, errand: errand.clone(), node, at });
        match &self.nodes[node].life {
            Some(life) => {
                let engine = life.engine.clone();
                let run = async move { Done::Visitor(visitor::run(engine, visit, errand).await) };
                self.spawn(node, Some(visit), Box::pin(run));
            }
            // Nobody listens there.
            None => self.heard(Heard { visit, told: Told::NotTaken, token: None }),
        }
    }

    pub(crate) fn heard(&mut self, heard: Heard) {
        let Heard { visit, told, token } = heard;
        let Some(known) = self.visits.remove(&visit) else { return };
        let Visit { visitor, errand, node, at } = known;
        self.note(&format!("visit {visit} is told {told:?}"));
        // Nobody waits for an org, for mail or for anything else that may take its time.
        let waited = self.clock.now() - at.max(self.nodes[node].frozen_until);
        if waited > PATIENCE {
            self.blame(format!("visit {visit} waited for {waited} ms"));
        }
        self.tally.unknown += u64::from(told == Told::Unknown);
        if let Err(violation) = self.auditor.hears(&errand.asked, &told) {
            self.blame(violation);
        }
        let Some(known) = self.visitors.get_mut(visitor) else { return };
        let again = known.hear(&errand, &told, token);
        let pause = if again { known.waits() } else { known.thinks() };
        if again {
            self.after(pause, Act::Again(visitor, Box::new(errand)));
        } else if !known.done && !self.is_out(visitor) {
            self.after(pause, Act::Visit(visitor));
        }
    }

    /// Whether a visitor has another request on its way.
    fn is_out(&self, visitor: usize) -> bool {
        self.visits.values().any(|visit| visit.visitor == visitor)
    }

    fn read_event(&mut self, event: usize) {
        let known = &self.stage.events[event];
        let Some(place) = self.places.iter().find(|p| p.org.id == known.event.org) else { return };
        let raw = known.read(self.clock.now(), place.org.lost_of(known.event.event));
        self.auditor.reads(known.event, raw.as_of, known.limits());
        let node = self.dice.index(self.nodes.len());
        let pause = self.dice.between(20, 6_000);
        self.after(pause, Act::Apply(node, event, Box::new(raw)));
    }

    /// Whoever does the org's work takes in what was read of an event.
    fn apply(&mut self, node: usize, event: usize, raw: sloe_core::inbound::RawEvent) {
        let org = self.stage.events[event].event.org;
        let worker = |node: &super::node::Node| node.life.as_ref()?.steps.at_work(org);
        let count = self.nodes.len();
        let found = (0..count).map(|n| (node + n) % count);
        let found = found.filter_map(|n| Some((n, worker(&self.nodes[n])?))).next();
        let Some((node, engine)) = found else { return };
        self.note(&format!("node {node} applies event {event} as of {}", raw.as_of));
        let run = async move {
            let applied = engine.apply_refresh(org, raw).await;
            Done::Other("applies", applied.err().map(|e| e.to_string()).unwrap_or_default())
        };
        self.spawn(node, None, Box::pin(run));
    }

    /// A call reaches its org, or not; its answer comes back, or not.
    fn call(&mut self, place: usize, asked: Asked) {
        let name = asked.call.name();
        let harm = if self.calm { 0 } else { self.stage.harm };
        let roll = self.dice.below(1_000);
        if roll < 15 * harm {
            self.note(&format!("{name} does not reach org {place}"));
            return asked.cut(false);
        }
        if roll < 20 * harm {
            self.note(&format!("org {place} is busy and does nothing of {name}"));
            let usage = self.places[place].org.usage();
            return asked.reply(usage, Err(Error::Status { call: name, status: 503 }));
        }
        if roll < 40 * harm {
            self.note(&format!("org {place} does {name}, and nobody hears of it"));
            self.lose_answer(place, &asked);
            return asked.cut(true);
        }
        self.note(&format!("org {place} does {name} of node {}", asked.node));
        if self.places[place].closed == Some(self.tenure(place, &asked))
            && !matches!(asked.call, Call::Limits)
        {
            self.blame(format!("org {place} had told that there are no calls left, and is called"));
        }
        let now = self.clock.now();
        let answer: Result<Reply, Error> = self.places[place].org.answer(now, &asked.call);
        let pause = self.dice.between(5, 500);
        self.after(pause, Act::Answer(place, asked, answer));
    }

    /// Who calls: a node, in which of its lives, and at which epoch of the org's lease.
    fn tenure(&self, place: usize, asked: &Asked) -> (usize, u64, u64) {
        (asked.node, self.nodes[asked.node].lives, self.places[place].epoch)
    }

    /// Once an org has told that there are no calls left, whoever heard that looks first whether
    /// there are some again.
    fn remember_refusal(&mut self, place: usize, asked: &Asked, answer: &Result<Reply, Error>) {
        let tenure = self.tenure(place, asked);
        match answer {
            Err(Error::Refused { .. }) if !asked.answer.is_closed() => {
                self.places[place].closed = Some(tenure);
            }
            _ if matches!(asked.call, Call::Limits) => self.places[place].closed = None,
            _ => {}
        }
    }

    fn lose_answer(&mut self, place: usize, asked: &Asked) {
        let now = self.clock.now();
        if self.dice.chance(500) {
            // Only the upload arrived so far; the work is done in its own time.
            self.places[place].org.take_upload(&asked.call);
            let pause = self.dice.between(100, 60_000);
            self.after(pause, Act::Work(place));
            if matches!(asked.call, Call::Run(..)) {
                return;
            }
        }
        let _ = self.places[place].org.answer(now, &asked.call);
        let made = match &asked.call {
            Call::Upsert(_, rows) | Call::Together(rows, _) => rows.as_slice(),
            _ => &[],
        };
        if self.dice.chance(500)
            && let Some(row) = self.dice.pick(made)
        {
            // Somebody sees what was just made, and does not want it.
            let pause = self.dice.between(50, 12_000);
            self.after(pause, Act::Unwanted(place, row.key.clone()));
        }
    }
}

impl World {
    /// Whether nobody wants anything any more and no seat is held.
    pub(crate) fn is_idle(&self) -> bool {
        let held = |event| self.auditor.book(event).is_some_and(|book| book.holds() > 0);
        let gone = self.visitors.iter().all(|visitor| visitor.done);
        gone && self.visits.is_empty() && !self.events().into_iter().any(held)
    }

    /// More visitors come.
    pub(crate) fn invite(&mut self, count: usize, within: i64) {
        for _ in 0..count {
            let dice = self.dice.split();
            let Some(event) = self.dice.pick(&self.stage.events).cloned() else { return };
            let number = self.visitors.len();
            self.visitors.push(Visitor::new(number, &event, dice));
            let pause = self.dice.between(0, within);
            self.after(pause, Act::Visit(number));
        }
    }
}
