//! The HTTP side: connections, routes, and answers in each caller's own language.

mod answer;
mod app;
mod ask;
mod body;
mod clock;
mod listen;
mod models;
mod opening;
mod refusal;
mod stream;
mod tls;
mod unread;
mod woken;
mod workers;

pub(crate) use self::clock::rfc3339;
pub use self::{
    app::App,
    listen::{Stopped, serve, signal},
    tls::Acceptor,
    workers::Workers,
};
