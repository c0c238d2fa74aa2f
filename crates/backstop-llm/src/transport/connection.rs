//! A connection, and one request over it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Waker},
};

use bytes::Bytes;
use http::{Response, Uri, header};
use http_body_util::Full;
use hyper::client::conn::{TrySendError, http1};
use tokio::runtime::{Handle, Id};

use super::{
    Body, Request,
    body::Held,
    connect::Io,
    http2::{Http2, Stream},
    idle::Idle,
};

/// The request, where the other side has done nothing for it, and why no answer came.
pub(super) struct Unsent(pub(super) Option<Request>, pub(super) hyper::Error);

/// A connection that a request can be sent over.
pub(super) enum Connection {
    Http1(Lease),
    Http2(Stream),
}

impl Connection {
    pub(super) async fn http1(io: Box<dyn Io>, idle: &Arc<Idle>) -> hyper::Result<Self> {
        let (requests, driver) = http1::handshake(io).await?;
        let http1 = Box::new(Http1 {
            requests,
            driver,
            closed: false,
        });
        Ok(Self::Http1(Lease::new(http1, Handle::current().id(), idle)))
    }

    pub(super) async fn http2(io: Box<dyn Io>, idle: &Arc<Idle>) -> hyper::Result<Self> {
        let http2 = Http2::new(io).await?;
        let stream = http2.stream();
        idle.share(http2);
        Ok(Self::Http2(stream))
    }

    pub(super) async fn send(self, request: Request) -> Result<Response<Body>, Unsent> {
        match self {
            Self::Http1(lease) => lease.send(request).await,
            Self::Http2(stream) => stream.send(request).await,
        }
    }

    /// Whether other requests can use it at the same time.
    pub(super) const fn is_shared(&self) -> bool {
        matches!(self, Self::Http2(_))
    }
}

/// A connection over HTTP/1, which reads and writes only when it is polled.
pub(super) struct Http1 {
    requests: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<Box<dyn Io>, Full<Bytes>>,
    closed: bool,
}

impl Http1 {
    /// Reads and writes what can be read and written now.
    fn poll(&mut self, cx: &mut Context<'_>) {
        // How it ends is told to the request that is under way.
        if !self.closed && Pin::new(&mut self.driver).poll(cx).is_ready() {
            self.closed = true;
        }
    }

    /// Whether it can be used for another request.
    pub(super) fn rests(&mut self) -> bool {
        // Nobody waits for what may come.
        self.poll(&mut Context::from_waker(Waker::noop()));
        !self.closed && self.requests.is_ready()
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

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(http1) = &mut self.http1 {
            http1.poll(cx);
        }
    }

    async fn send(mut self, mut request: Request) -> Result<Response<Body>, Unsent> {
        let to = to_origin(&mut request);
        let Some(http1) = &mut self.http1 else {
            unreachable!("it is there until it is dropped");
        };
        let mut sent = pin!(http1.requests.try_send_request(request));
        let answered = poll_fn(|cx| {
            http1.poll(cx);
            sent.as_mut().poll(cx)
        });
        match answered.await {
            Ok(response) => Ok(response.map(|body| Body::new(body, Held::Http1(self)))),
            Err(error) => {
                let Unsent(mut request, error) = unsent(error);
                if let Some(request) = &mut request {
                    *request.uri_mut() = to;
                }
                Err(Unsent(request, error))
            }
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

/// Puts the address as HTTP/1 has it: the path in the first line, the place in a header.
fn to_origin(request: &mut Request) -> Uri {
    let path = request.uri().path_and_query().cloned();
    let path = path.map_or_else(Uri::default, Uri::from);
    let to = std::mem::replace(request.uri_mut(), path);
    let place = to.authority().map(|it| it.as_str().try_into());
    if let Some(Ok(place)) = place {
        request.headers_mut().entry(header::HOST).or_insert(place);
    }
    to
}

pub(super) fn unsent(mut error: TrySendError<Request>) -> Unsent {
    Unsent(error.take_message(), error.into_error())
}
