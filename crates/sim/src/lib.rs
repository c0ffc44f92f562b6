//! Everything outside Sloe, simulated: real protocols on real sockets, state and
//! limits of their own. Absent from a build without the `sim` feature.

#[cfg(feature = "world")]
pub mod auditor;
pub mod crowd;
pub mod mailbox;
pub mod org;
#[cfg(feature = "world")]
pub mod world;
