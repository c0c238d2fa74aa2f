//! A connection, and one request over it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Waker},
};

use bytes::Bytes;
use h2::Reason;
use http::{Response, Uri, header};
use http_body_util::Full;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioExecutor;
use tokio::runtime::{Handle, Id};

use super::{Body, Request, connect::Io, idle::Idle};

/// How much of an answer over HTTP/2 may lie unread.
const STREAM_WINDOW: u32 = 512 * 1024;

/// How much may lie unread of all answers that share a connection. Each has a limit of its own; were
/// this one reached before, those who read slowly would hold up all others.
const CONNECTION_WINDOW: u32 = 512 * STREAM_WINDOW;

/// The request, where the other side has done nothing for it, and why no answer came.
pub(super) struct Unsent(pub(super) Option<Request>, pub(super) hyper::Error);

/// A connection that a request can be sent over.
pub(super) enum Connection {
    Http1(Lease),
    Http2(http2::SendRequest<Full<Bytes>>),
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
        let (requests, driver) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(io)
            .await?;
        // How it ends is told to every request that is under way.
        tokio::spawn(async { drop(driver.await) });
        idle.share(requests.clone());
        Ok(Self::Http2(requests))
    }

    pub(super) async fn send(self, request: Request) -> Result<Response<Body>, Unsent> {
        match self {
            Self::Http1(lease) => lease.send(request).await,
            Self::Http2(mut requests) => {
                let again = request.clone();
                match requests.try_send_request(request).await {
                    Ok(response) => Ok(response.map(|body| Body::new(body, None))),
                    Err(error) => {
                        let Unsent(request, error) = unsent(error);
                        let refused = is_refused(&error).then_some(again);
                        Err(Unsent(request.or(refused), error))
                    }
                }
            }
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
            Ok(response) => Ok(response.map(|body| Body::new(body, Some(self)))),
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

/// Whether the other side says that it has done nothing for the request: it takes no more over this
/// connection, or at the moment.
fn is_refused(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    source
        .and_then(|it| it.downcast_ref())
        .is_some_and(|error: &h2::Error| {
            let reason = error.reason();
            error.is_remote()
                && (error.is_go_away() && reason == Some(Reason::NO_ERROR)
                    || error.is_reset() && reason == Some(Reason::REFUSED_STREAM))
        })
}

fn unsent(mut error: TrySendError<Request>) -> Unsent {
    Unsent(error.take_message(), error.into_error())
}
