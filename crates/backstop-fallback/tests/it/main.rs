//! What a fallback promises.

mod carried;
mod chain;
mod change;
mod fallback;
mod hedge;
mod hold;
mod oracle;
mod order;
mod support;
