//! Who answered, in the headers of an HTTP response.

mod format;
mod future;
mod layer;

pub use self::{
    format::{
        DEGRADED, PROXY_STATUS, SERVED_BY, SERVER_TIMING, proxy_status, served_by, server_timing,
        write, write_trail,
    },
    future::EdgeFuture,
    layer::{Edge, EdgeLayer},
};
