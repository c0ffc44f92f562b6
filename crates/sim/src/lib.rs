//! Everything outside Sloe, simulated: real protocols on real sockets, state and
//! limits of their own. Absent from a build without the `sim` feature.

pub mod crowd;
pub mod mailbox;
pub mod org;
