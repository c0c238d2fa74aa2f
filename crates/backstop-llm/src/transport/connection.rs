//! A connection, and one request over it.

use std::{future::poll_fn, sync::Arc};

use backstop_core::BoxError;
use tokio::runtime::{Handle, Id};

use super::{
    Answer, Body, Request,
    connect::Io,
    http1::Http1,
    http2::{Http2, Stream},
    idle::Idle,
};

/// Why no answer came.
pub(super) struct Failed {
    /// Whether the other side has done nothing for the request.
    pub(super) unsent: bool,
    pub(super) error: BoxError,
}

/// A connection that a request can be sent over.
pub(super) enum Connection {
    Http1(Lease),
    Http2(Stream),
}

impl Connection {
    pub(super) fn http1(io: Box<dyn Io>, idle: &Arc<Idle>) -> Self {
        let http1 = Box::new(Http1::new(io));
        Self::Http1(Lease::new(http1, Handle::current().id(), idle))
    }

    pub(super) async fn http2(io: Box<dyn Io>, idle: &Arc<Idle>) -> hyper::Result<Self> {
        let http2 = Http2::new(io).await?;
        let stream = http2.stream();
        idle.share(http2);
        Ok(Self::Http2(stream))
    }

    pub(super) async fn send(self, request: &Request) -> Result<Answer, Failed> {
        match self {
            Self::Http1(lease) => lease.send(request).await,
            // Boxed, so that those over HTTP/1 take no room for it.
            Self::Http2(stream) => Box::pin(stream.send(request)).await,
        }
    }

    /// Whether other requests can use it at the same time.
    pub(super) const fn is_shared(&self) -> bool {
        matches!(self, Self::Http2(_))
    }
}

/// A connection in use. When it is dropped, it is kept if it can be used again, and else closed.
pub(super) struct Lease {
    http1: Option<Box<Http1>>,
    /// The one that the connection was made on, and is bound to.
    runtime: Id,
    idle: Arc<Idle>,
}

impl Lease {
    pub(super) fn new(http1: Box<Http1>, runtime: Id, idle: &Arc<Idle>) -> Self {
        Self {
            http1: Some(http1),
            runtime,
            idle: Arc::clone(idle),
        }
    }

    pub(super) fn http1(&mut self) -> &mut Http1 {
        let http1 = self.http1.as_mut();
        http1.expect("it is there until it is dropped")
    }

    async fn send(mut self, request: &Request) -> Result<Answer, Failed> {
        let http1 = self.http1();
        http1.begin(request);
        match poll_fn(|cx| http1.poll_answer(cx)).await {
            Ok((status, headers)) => Ok(Answer {
                status,
                headers,
                body: Body::http1(self),
            }),
            Err(error) => Err(Failed {
                unsent: http1.is_unseen(),
                error: error.into(),
            }),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(mut http1) = self.http1.take() {
            if http1.rests() {
                self.idle.put(http1, self.runtime);
            }
        }
    }
}
