//! The HTTP side: connections, routes, and answers in each caller's own language.

mod listen;

pub use self::listen::{Stopped, serve, signal};
