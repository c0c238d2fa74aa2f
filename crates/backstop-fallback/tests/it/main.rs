//! What a fallback promises.

mod carried;
mod chain;
mod change;
mod fallback;
mod hold;
mod order;
mod support;
