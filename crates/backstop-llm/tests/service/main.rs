//! Providers as services, over real sockets.

mod answers;
mod connections;
mod go_away;
mod http1;
mod http2;
mod limits;
mod odd;
mod proxy;
mod requests;
mod server;
mod tail;
mod tls;
