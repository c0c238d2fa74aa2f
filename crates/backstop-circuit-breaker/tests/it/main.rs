//! What is done with a circuit from outside.

mod handle;
mod listener;
mod registry;
mod snapshot;
mod support;
