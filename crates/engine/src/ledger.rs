//! The combiner: one thread that decides and commits for every event.
//!
//! Claims wait in one bounded queue. The combiner takes what waits, in turns
//! by org, decides event by event with the pure ledger and hands all touched
//! journals to one `append`: one flush serves everybody. There is no timer;
//! the commit under way is the gathering window.

#![allow(clippy::vec_box, reason = "a task of 250 bytes moves through several queues")]

mod ask;
mod closed;
mod combiner;
mod decide;
mod desk;
mod doubt;
mod queue;
mod resident;
mod rest;
mod stepper;
mod thread;

pub use ask::{Answer, Committed, Unanswered};
pub(crate) use ask::{Task, Way};
pub(crate) use combiner::Settings;
pub use desk::Desk;
pub(crate) use stepper::Stepper;
pub(crate) use thread::start;
