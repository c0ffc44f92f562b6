//! Holds: seats taken for a while.

pub(crate) mod confirm;
pub(crate) mod create;
pub(crate) mod release;
