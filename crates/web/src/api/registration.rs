//! Registrations: a hold and its confirmation in one call and one commit.

pub(crate) mod create;
