//! Writing many rows at once, each with its own outcome.
//!
//! [`collections`] takes 200 rows a call and answers at once: cheaper below
//! some 2,000 rows. [`bulk`] takes a file per job and answers when the org
//! has worked through it: cheaper above.

pub mod bulk;
pub mod collections;
pub(crate) mod export;
mod table;
pub(crate) mod together;
