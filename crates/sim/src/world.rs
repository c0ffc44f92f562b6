//! Simulated worlds: nodes of the real engine on one store, with visitors and
//! a Salesforce org, on virtual time and in one thread. Clocks jump, commits
//! are lost, doubled and delayed, nodes end at any call and start again, orgs
//! lock rows, cut answers and run out of calls. After every step the
//! [`crate::auditor`] looks whether everything still holds that must.
//!
//! All chance comes from one seed: seed and commit are the whole run.

mod acts;
mod clock;
mod dice;
mod finish;
mod line;
mod node;
mod org;
mod port;
mod run;
mod stage;
mod task;
mod trace;
mod visitor;

pub use run::run;

/// How a run went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What was not as it must be, if anything.
    pub violation: Option<String>,
    /// The last steps.
    pub trace: Vec<String>,
    /// Steps made.
    pub steps: u64,
    /// The same for the same run.
    pub hash: u64,
    /// Virtual milliseconds that passed.
    pub millis: i64,
    /// What happened, for whoever wonders whether enough does.
    pub tally: Tally,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Claims made.
    pub claims: usize,
    /// Orders that stand at the end.
    pub orders: usize,
    /// Batches of all journals.
    pub batches: u64,
    /// Nodes that ended in the middle of something.
    pub crashes: u64,
    /// Calls to orgs.
    pub calls: usize,
    /// Rows in orgs.
    pub rows: usize,
    /// Answers to visitors that left them in the dark.
    pub unknown: u64,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(violation) = &self.violation else {
            return write!(
                f,
                "seed {}: {} steps, {} s, trace {:016x}, {:?}",
                self.seed,
                self.steps,
                self.millis / 1_000,
                self.hash,
                self.tally
            );
        };
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        write!(f, "seed {} fails after {} steps: {violation}", self.seed, self.steps)
    }
}
