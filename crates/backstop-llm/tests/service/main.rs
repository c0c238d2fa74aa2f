//! Providers as services, over real sockets.

mod answers;
mod connections;
mod limits;
mod requests;
mod server;
mod tail;
