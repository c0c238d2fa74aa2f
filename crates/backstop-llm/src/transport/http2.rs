//! A connection over HTTP/2, which many requests use at a time.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use h2::Reason;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::{Answer, Body, Request, connect::Io, connection::Failed};

/// How much of an answer over HTTP/2 may lie unread.
const STREAM_WINDOW: u32 = 512 * 1024;

/// How much may lie unread of all answers that share a connection. Each has a limit of its own; were
/// this one reached before, those who read slowly would hold up all others.
const CONNECTION_WINDOW: u32 = 512 * STREAM_WINDOW;

/// After how long without a sign of the other side it is asked whether it is still there: a provider
/// that thinks says nothing for minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long it has to answer that. Then every call on the connection has failed.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection, which lasts until it is dropped and all its streams have ended.
pub(super) struct Http2 {
    requests: http2::SendRequest<Full<Bytes>>,
    /// How many streams the other side serves at a time. What goes beyond would wait until another
    /// ends, which may take minutes.
    limit: Arc<AtomicUsize>,
    /// Each stream has one too.
    streams: Arc<()>,
}

impl Http2 {
    pub(super) async fn new(io: Box<dyn Io>) -> hyper::Result<Self> {
        let (requests, mut driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(io)
            .await?;
        let limit = Arc::new(AtomicUsize::new(driver.current_max_send_streams()));
        let told = Arc::clone(&limit);
        // How it ends is told to every request that is under way.
        tokio::spawn(poll_fn(move |cx| {
            let polled = Pin::new(&mut driver).poll(cx);
            told.store(driver.current_max_send_streams(), Ordering::Relaxed);
            polled.map(drop)
        }));
        Ok(Self {
            requests,
            limit,
            streams: Arc::new(()),
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Whether another stream would be served at once.
    pub(super) fn has_room(&self) -> bool {
        Arc::strong_count(&self.streams) <= self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn stream(&self) -> Stream {
        Stream {
            requests: self.requests.clone(),
            one: Arc::clone(&self.streams),
        }
    }
}

/// One request's part of a connection.
pub(super) struct Stream {
    requests: http2::SendRequest<Full<Bytes>>,
    one: Arc<()>,
}

impl Stream {
    pub(super) async fn send(mut self, request: &Request) -> Result<Answer, Failed> {
        let sent = request.clone().map(Full::new);
        match self.requests.try_send_request(sent).await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                Ok(Answer {
                    status: head.status,
                    headers: head.headers.into(),
                    body: Body::http2(body, self.one),
                })
            }
            Err(mut error) => {
                let unsent = error.take_message().is_some();
                let error = error.into_error();
                Err(Failed {
                    unsent: unsent || is_refused(&error),
                    error: error.into(),
                })
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::{
        io::duplex,
        time::{Instant, timeout},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_is_gone_fails_its_calls_and_one_that_is_silent_does_not() {
        for there in [true, false] {
            let (near, far) = duplex(1 << 16);
            let http2 = Http2::new(Box::new(TokioIo::new(near)));
            let (http2, far) = tokio::join!(http2, h2::server::handshake(far));
            let (http2, mut far) = (http2.expect("agrees"), far.expect("agrees"));
            let request = http::Request::get("https://provider.test/").body(Bytes::new());
            let request = request.expect("is one");
            let call = http2.stream().send(&request);
            let silent = async {
                let _taken = far.accept().await.expect("a call").expect("is whole");
                if there {
                    // It answers pings as it goes.
                    far.accept().await;
                }
                std::future::pending::<()>().await
            };
            let began = Instant::now();
            let waited = KEEP_ALIVE * 4;
            let ended = tokio::select! {
                ended = timeout(waited, call) => ended.is_ok(),
                () = silent => false,
            };
            assert_eq!(ended, !there, "after {:?}", began.elapsed());
        }
    }
}
