//! Part of Sloe; see ARCHITECTURE.md.
