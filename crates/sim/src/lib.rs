//! Part of Sloe; see ARCHITECTURE.md.

pub mod crowd;
pub mod org;
