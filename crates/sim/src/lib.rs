//! Part of Sloe; see ARCHITECTURE.md.

pub mod org;
