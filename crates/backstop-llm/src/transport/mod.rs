//! Requests to one place, and its connections.
//!
//! A connection over HTTP/1 has no task of its own: it is read by whoever reads the answer. What
//! comes need not be handed from one task to another, a slow reader slows the other side down, and
//! dropping an answer closes its connection. One over HTTP/2 is shared by many answers, and is read
//! by a task.

mod body;
mod connect;
mod connection;
mod headers;
mod http1;
mod http2;
mod idle;
mod proxy;
mod socks;

use std::{fmt, sync::Arc, time::Duration};

use backstop_core::BoxError;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, Uri};
use tokio::time::timeout;
use url::Url;

pub(crate) use self::{body::Body, connect::Connector, headers::Headers, proxy::Proxy};
use self::{connection::Connection, idle::Idle};
use crate::Secret;

/// A request whose address is absolute.
pub(crate) type Request = http::Request<Bytes>;

/// An answer whose head has come.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Headers,
    pub(crate) body: Body,
}

/// Sends requests to one place.
pub(crate) struct Client {
    connector: Connector,
    connect_timeout: Duration,
    idle: Arc<Idle>,
}

/// Why no answer came.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// There is no connection.
    Connect(BoxError),
    /// There is none within the time for it.
    ConnectTimeout,
    /// There was one, and it broke.
    Broken(BoxError),
}

impl Client {
    pub(crate) fn new(
        connector: Connector,
        connect_timeout: Duration,
        idle_timeout: Duration,
    ) -> Self {
        Self {
            connector,
            connect_timeout,
            idle: Arc::new(Idle::new(idle_timeout)),
        }
    }

    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, NoAnswer> {
        // The other side may close a connection that rests at any time. What it then has done
        // nothing for can safely be sent over another.
        while let Some(connection) = self.idle.take() {
            let is_shared = connection.is_shared();
            match connection.send(request).await {
                Ok(response) => return Ok(response),
                Err(failed) if failed.unsent => {}
                Err(failed) => return Err(NoAnswer::Broken(failed.error)),
            }
            if is_shared {
                // It may refuse one request and still serve others.
                break;
            }
        }
        // Boxed, so that the many requests over connections that are there take no room for it.
        let connection = Box::pin(self.connect(request.uri())).await?;
        let sent = connection.send(request).await;
        sent.map_err(|failed| NoAnswer::Broken(failed.error))
    }

    async fn connect(&self, to: &Uri) -> Result<Connection, NoAnswer> {
        let connected = timeout(self.connect_timeout, self.connector.connect(to.clone())).await;
        let (io, is_http2) = connected
            .map_err(|_| NoAnswer::ConnectTimeout)?
            .map_err(NoAnswer::Connect)?;
        if !is_http2 {
            return Ok(Connection::http1(io, &self.idle));
        }
        let connection = Connection::http2(io, &self.idle).await;
        connection.map_err(|error| NoAnswer::Broken(error.into()))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// The name and the password that a URL holds, as a header has them.
pub(crate) fn basic_auth(url: &Url) -> Option<HeaderValue> {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use percent_encoding::percent_decode_str;

    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    Secret::from(format!("Basic {}", BASE64_STANDARD.encode(pair))).header()
}
