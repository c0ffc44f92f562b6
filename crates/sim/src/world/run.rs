//! The world's clock and agenda: what is due next happens next, everything
//! that can go on because of it does, and then the auditor looks.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use sloe_core::fact::Batch;
use sloe_core::ids::EventRef;
use sloe_core::inbound::RawEvent;
use sloe_store::api::Append;
use sloe_store::api::Store;
use sloe_store::key::Key;
use sloe_store::memory::Memory;

use super::clock::{BEGIN, Clock, NodeClock};
use super::dice::Dice;
use super::line::{Asked, Inbox};
use super::node::Node;
use super::org::{Org, Reply};
use super::port::{Late, Port};
use super::stage::Stage;
use super::task::{Done, Run, Task};
use super::trace::Trace;
use super::visitor::{Errand, Visitor};
use super::{Outcome, Tally};
use crate::auditor::{Auditor, Told};

/// Steps after which a world that does not come to rest is given up.
const STEPS: u64 = 60_000;

/// Something that is due.
pub(crate) enum Act {
    /// A node's combiner makes a commit.
    Commit(usize, u64),
    /// A node's combiner looks for holds whose time is up; it writes checkpoints.
    Sweep(usize, u64),
    /// A node beats, follows, projects and keeps its books.
    Look(usize, u64, &'static str),
    /// An outbox looks.
    Outbox(usize, u64, usize),
    /// A node starts.
    Start(usize),
    /// A node ends, at once or at one of its next calls.
    End(usize, bool),
    /// Something goes wrong, and something gets better.
    Harm,
    /// The store is reached again.
    StoreBack(usize),
    /// Appends arrive that nobody waits for any more.
    Arrive(Vec<Append>),
    /// Somebody looks at an event's page.
    Glance,
    /// A visitor's next step.
    Visit(usize),
    /// A visitor asks for the same again.
    Again(usize, Box<Errand>),
    /// An organizer changes something.
    Change(usize),
    /// An event is read in its org, and applied later.
    Read(usize),
    Apply(usize, usize, Box<RawEvent>),
    /// People in the org cancel or delete something.
    People(usize),
    /// People in the org delete what was just made.
    Unwanted(usize, String),
    /// A call reaches an org; its answer comes back, or doesn't.
    Call(usize, Asked),
    Answer(usize, Asked, Result<Reply, sloe_salesforce::Error>),
    /// An org works on what was uploaded.
    Work(usize),
}

/// An org and the calls on their way to it.
pub(crate) struct Place {
    pub(crate) org: Org,
    pub(crate) inbox: Inbox,
    /// What its outbox came to last, to note what is new only.
    pub(crate) last_look: (usize, usize, u64),
    /// The epoch of its lease.
    pub(crate) epoch: u64,
    /// Who was told by it that there are no calls left, and has not looked since.
    pub(crate) closed: Option<(usize, u64, u64)>,
}

/// A request on its way.
pub(crate) struct Visit {
    pub(crate) visitor: usize,
    pub(crate) errand: Errand,
    pub(crate) node: usize,
    /// When it was sent.
    pub(crate) at: i64,
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) dice: Dice,
    pub(crate) clock: Clock,
    pub(crate) truth: Memory,
    pub(crate) late: Late,
    pub(crate) nodes: Vec<Node>,
    pub(crate) places: Vec<Place>,
    pub(crate) visitors: Vec<Visitor>,
    /// Requests on their way, by number.
    pub(crate) visits: BTreeMap<u64, Visit>,
    pub(crate) tasks: BTreeMap<u64, Task>,
    agenda: BTreeMap<(i64, u64), Act>,
    numbers: u64,
    pub(crate) auditor: Auditor,
    pub(crate) trace: Trace,
    pub(crate) violation: Option<String>,
    pub(crate) tally: Tally,
    /// Nothing goes wrong any more.
    pub(crate) calm: bool,
}

/// Runs the world of a seed to its end; `aloud` prints every step.
#[must_use]
pub fn run(seed: u64, aloud: bool) -> Outcome {
    let mut world = World::new(seed, aloud);
    world.set_up();
    world.storm();
    world.finish();
    let millis = world.clock.now() - BEGIN;
    world.count();
    let World { violation, trace, tally, .. } = world;
    let (steps, hash, trace) = (trace.steps(), trace.hash(), trace.end());
    Outcome { seed, violation, trace, steps, hash, millis, tally }
}

impl World {
    fn new(seed: u64, aloud: bool) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(0x9E37_79B9).wrapping_add(seed));
        let stage = Stage::draw(&mut dice);
        let (clock, truth, late) = (Clock::new(), Memory::default(), Late::default());
        let mut node = |number| {
            let port = Port::new(truth.clone(), Arc::clone(&late), dice.split());
            let skew = dice.between(-400, 400);
            let own = NodeClock::new(clock.clone(), skew, dice.split());
            Node::new(number, Arc::new(port), Arc::new(own))
        };
        let nodes = (0..stage.nodes).map(&mut node).collect();
        let mut place = |org| {
            let versioned = dice.chance(600);
            Place {
                org: Org::new(org, versioned, dice.split()),
                inbox: Inbox::default(),
                last_look: (0, 0, 1),
                epoch: 0,
                closed: None,
            }
        };
        let places = stage.orgs.clone().into_iter().map(&mut place).collect();
        Self {
            stage,
            dice,
            clock,
            truth,
            late,
            nodes,
            places,
            visitors: Vec::new(),
            visits: BTreeMap::new(),
            tasks: BTreeMap::new(),
            agenda: BTreeMap::new(),
            numbers: 0,
            auditor: Auditor::default(),
            trace: Trace::new(aloud),
            violation: None,
            tally: Tally::default(),
            calm: false,
        }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn note(&mut self, what: &str) {
        self.trace.note(self.clock.now() - BEGIN, what);
    }

    /// Says what must not be; the first is the one that counts.
    pub(crate) fn blame(&mut self, what: String) {
        self.note(&what);
        self.violation.get_or_insert(what);
    }

    /// Lets something happen in so many milliseconds.
    pub(crate) fn after(&mut self, millis: i64, act: Act) {
        let number = self.number();
        self.agenda.insert((self.clock.now() + millis.max(0), number), act);
    }

    pub(crate) fn spawn(&mut self, node: usize, visit: Option<u64>, run: Run) {
        let number = self.number();
        self.tasks.insert(number, Task::new(node, visit, run));
    }

    /// Does what is due next, and everything that follows at once.
    pub(crate) fn step(&mut self) -> bool {
        let Some(((at, _), act)) = self.agenda.pop_first() else { return false };
        self.clock.set(at.max(self.clock.now()));
        self.act(act);
        self.settle();
        if self.trace.steps() > STEPS {
            self.blame("the world does not come to rest".into());
        }
        self.violation.is_none()
    }

    /// Lets time pass until then.
    pub(crate) fn pass(&mut self, until: i64) {
        while self.agenda.first_key_value().is_some_and(|((at, _), _)| *at <= until) {
            if !self.step() {
                return;
            }
        }
        self.clock.set(until.max(self.clock.now()));
    }

    /// Everything that can go on goes on; then the auditor looks.
    pub(crate) fn settle(&mut self) {
        loop {
            self.bury();
            self.read_journals();
            let woken = self.tasks.iter().find(|(_, task)| task.is_woken());
            let Some(number) = woken.map(|(number, _)| *number) else { break };
            let done = self.tasks.get_mut(&number).and_then(Task::poll);
            if let Some(done) = done {
                let task = self.tasks.remove(&number);
                self.read_journals();
                if let Some(task) = task {
                    self.done(task.node, done);
                }
            }
        }
        self.post();
        self.note_holders();
        self.look();
    }

    /// Nodes that ended at a call are no more.
    fn bury(&mut self) {
        for number in 0..self.nodes.len() {
            if self.nodes[number].life.is_some() && self.nodes[number].port.has_ended() {
                self.end(number);
            }
        }
    }

    /// A node ends: nobody hears of anything that it was doing.
    pub(crate) fn end(&mut self, number: usize) {
        self.note(&format!("node {number} ends"));
        self.tally.crashes += 1;
        self.nodes[number].life = None;
        self.nodes[number].port.set_name(String::new());
        let of_node = self.tasks.iter().filter(|(_, task)| task.node == number);
        let gone: Vec<u64> = of_node.map(|(number, _)| *number).collect();
        let visits: Vec<u64> =
            gone.iter().filter_map(|task| self.tasks.remove(task)?.visit).collect();
        self.read_journals();
        for visit in visits {
            self.heard(super::visitor::Heard { visit, told: Told::Unknown, token: None });
        }
        let pause = self.dice.between(300, 12_000);
        self.after(pause, Act::Start(number));
    }

    /// What was sent goes on its way.
    fn post(&mut self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        for appends in late {
            let pause = self.dice.between(1, 20_000);
            self.after(pause, Act::Arrive(appends));
        }
        for place in 0..self.places.len() {
            for asked in self.places[place].inbox.take() {
                let pause = self.dice.between(5, 400);
                self.after(pause, Act::Call(place, asked));
            }
        }
        for number in 0..self.nodes.len() {
            let node = &mut self.nodes[number];
            let lives = node.lives;
            if let Some(life) = &mut node.life
                && !life.committing
                && !life.steps.is_idle()
            {
                life.committing = true;
                let pause = self.dice.between(1, 25);
                self.after(pause, Act::Commit(number, lives));
            }
        }
    }

    /// The auditor reads what is durable by now.
    pub(crate) fn read_journals(&mut self) {
        if self.violation.is_some() {
            return;
        }
        for event in self.events() {
            if self.truth.reach(event) == self.auditor.reach(event) {
                continue;
            }
            let batches = self.truth.read(event, self.auditor.reach(event), usize::MAX);
            for batch in batches.unwrap_or_default() {
                self.read(event, &batch);
            }
        }
    }

    fn read(&mut self, event: EventRef, batch: &Batch) {
        let at = batch.at.0 - BEGIN;
        self.note(&format!("{event:?} {} at {at}: {}", batch.version, facts(batch)));
        let truth = self.truth.clone();
        let has_details = |claim| truth.sealed(event, claim).ok().flatten().is_some();
        if let Err(violation) = self.auditor.follow(event, batch, has_details) {
            self.blame(violation);
        }
    }

    pub(crate) fn events(&self) -> Vec<EventRef> {
        self.stage.events.iter().map(|event| event.event).collect()
    }

    /// Notes whose each org's work is.
    fn note_holders(&mut self) {
        for place in 0..self.places.len() {
            let lease = Key::lease(&format!("org/{}", self.places[place].org.id));
            let Ok(Some(lease)) = self.truth.get(&lease) else { continue };
            if self.places[place].epoch == lease.version {
                continue;
            }
            self.places[place].epoch = lease.version;
            let body = String::from_utf8_lossy(&lease.body);
            let is_its = |node: &&Node| {
                node.life.as_ref().is_some_and(|life| body.contains(&life.steps.node()))
            };
            let holder = self.nodes.iter().find(is_its).map(|node| node.number);
            self.note(&format!("org {place} is node {holder:?}'s, epoch {}", lease.version));
        }
    }

    /// The auditor looks at what nodes show, what they wrote, and what orgs complain of.
    fn look(&mut self) {
        let events = self.events();
        let mut faults = Vec::new();
        for node in &self.nodes {
            faults.extend(node.port.trespasses());
            let Some(life) = &node.life else { continue };
            for event in &events {
                if let Some(shown) = life.engine.availability_now(*event) {
                    faults.extend(self.auditor.sees(node.number, *event, &shown).err());
                }
            }
        }
        for place in &mut self.places {
            faults.append(&mut place.org.broken);
        }
        for fault in faults {
            self.blame(fault);
        }
    }

    fn done(&mut self, node: usize, done: Done) {
        match done {
            Done::Visitor(heard) => self.heard(heard),
            Done::Looked(org, outbox, pause) => self.looked(node, org, outbox, pause),
            Done::Other(name, ended) => self.other(node, name, &ended),
        }
    }

    fn count(&mut self) {
        for event in self.events() {
            let Some(book) = self.auditor.book(event) else { continue };
            self.tally.claims += book.made();
            self.tally.orders += book.orders().count();
            self.tally.batches += book.version();
        }
        for place in &self.places {
            self.tally.calls += place.org.calls;
            self.tally.rows += place.org.rows.len();
        }
    }
}

/// A batch's facts in few words.
fn facts(batch: &Batch) -> String {
    use sloe_core::fact::Fact;
    let word = |fact: &Fact| match fact {
        Fact::TermsSet(terms) => format!("terms as of {}", terms.as_of.0 - BEGIN),
        Fact::Held { claim, places, .. } => format!("held {claim:?} {}", places.len()),
        Fact::Confirmed { claim, places, .. } => format!("confirmed {claim:?} {}", places.len()),
        Fact::Released { claim } => format!("released {claim:?}"),
        Fact::Expired { claim } => format!("expired {claim:?}"),
        Fact::Cancelled { claim, place, actor } => format!("cancelled {claim:?}-{place} {actor:?}"),
        Fact::Erased { claim, place } => format!("erased {claim:?}-{place}"),
    };
    batch.facts.iter().map(word).collect::<Vec<_>>().join(", ")
}
