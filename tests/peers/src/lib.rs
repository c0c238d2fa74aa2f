//! The layers beside their peers.
