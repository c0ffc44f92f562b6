//! What happened, step by step: its end for people, its hash for comparing runs.

use std::collections::VecDeque;

/// Steps kept for whoever looks into a failure.
const KEPT: usize = 120;

/// The trace of one run.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    last: VecDeque<String>,
    steps: u64,
    hash: u64,
    /// Whether every step is printed as it happens.
    aloud: bool,
}

impl Trace {
    pub(crate) fn new(aloud: bool) -> Self {
        // FNV-1a, 64 bits: order matters and nothing else.
        Self { last: VecDeque::new(), steps: 0, hash: 0xCBF2_9CE4_8422_2325, aloud }
    }

    /// Notes a step at a virtual time in milliseconds.
    pub(crate) fn note(&mut self, millis: i64, what: &str) {
        let line = format!("{:>9}.{:03} {what}", millis / 1_000, millis % 1_000);
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self.steps += 1;
        if self.aloud {
            println!("{line}");
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn end(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}
