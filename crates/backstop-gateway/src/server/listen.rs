//! Takes connections, and lets what is running finish when told to stop.

use std::{convert::Infallible, future::poll_fn, io, pin::pin, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};

use super::{Acceptor, App, Workers, opening::Opening, unread};
use crate::config::Limits;

/// How long to leave the listener alone after it failed, out of file descriptors say.
const AFTER_ACCEPT_FAILED: Duration = Duration::from_millis(50);

/// How long streams that are told to end have for it.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The largest head of a request, before anyone knows whose it is: many times what clients send, and
/// little enough for each connection there may be.
const HEAD: u32 = 64 << 10;

/// How serving ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Stopped {
    /// Everything that was running has finished.
    Finished,
    /// Something was still running when the time for it was over.
    Cut,
}

/// Serves `app` on `listener` until `stop` resolves, then lets running responses finish. When the
/// time for that is over, `last_call` is called, so that streams end with a word on it.
pub async fn serve(
    workers: &Workers,
    listener: TcpListener,
    tls: Option<Acceptor>,
    app: App,
    limits: &Limits,
    stop: impl Future<Output = ()>,
    last_call: impl FnOnce(),
) -> Stopped {
    let server = Server {
        connection: connection(limits),
        app,
        tls,
        handshake: limits.header,
    };
    let running = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let slot = slots.clone().acquire_owned().await;
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        let stream = accepted.and_then(|(stream, _)| {
            // Tokens are small and must not wait for one another.
            stream.set_nodelay(true)?;
            unread::limit(&stream, limits.unread)?;
            stream.into_std()
        });
        let Ok(stream) = stream else {
            time::sleep(AFTER_ACCEPT_FAILED).await;
            continue;
        };
        let (server, watcher) = (server.clone(), running.watcher());
        workers.spawn(async move {
            // It belongs to the runtime that it is served on.
            if let Ok(stream) = TcpStream::from_std(stream) {
                server.serve(stream, watcher).await;
            }
            drop(slot);
        });
    }
    drop(listener);
    let mut finished = pin!(running.shutdown());
    if time::timeout(limits.shutdown, &mut finished).await.is_ok() {
        return Stopped::Finished;
    }
    last_call();
    // Those that end now were cut all the same.
    let _ = time::timeout(LAST_WORDS, finished).await;
    Stopped::Cut
}

fn connection(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut connection = auto::Builder::new(TokioExecutor::new());
    connection
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(HEAD as usize)
        .header_read_timeout(limits.header);
    connection
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD)
        .keep_alive_interval(Some(limits.header));
    connection
}

/// What serves each connection.
#[derive(Clone)]
struct Server {
    connection: auto::Builder<TokioExecutor>,
    app: App,
    tls: Option<Acceptor>,
    handshake: Duration,
}

impl Server {
    async fn serve(&self, stream: TcpStream, watcher: Watcher) {
        match &self.tls {
            None => self.serve_http(stream, watcher).await,
            // Boxed, so that connections without it take no room for it.
            Some(tls) => Box::pin(self.serve_tls(tls, stream, watcher)).await,
        }
    }

    async fn serve_tls(&self, tls: &Acceptor, stream: TcpStream, watcher: Watcher) {
        // Whoever does not speak TLS, or takes too long to, is let go.
        if let Ok(Ok(stream)) = time::timeout(self.handshake, tls.accept(stream)).await {
            self.serve_http(stream, watcher).await;
        }
    }

    async fn serve_http<I>(&self, stream: I, watcher: Watcher)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let app = self.app.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answered = app.clone().respond(request.map(Body::new));
            async { Ok::<_, Infallible>(answered.await) }
        });
        let serving = self
            .connection
            .serve_connection(TokioIo::new(Opening::new(stream, self.handshake)), service);
        let mut serving = pin!(watcher.watch(serving.into_owned()));
        let told_after_each = poll_fn(|cx| {
            let polled = serving.as_mut().poll(cx);
            // What could be written of the answers has been.
            self.app.tell_own();
            polled
        });
        // A connection that breaks off is its caller's affair.
        let _ = told_after_each.await;
    }
}

/// Resolves at Ctrl-C or SIGTERM.
///
/// # Errors
///
/// Where the process can't be told of signals.
pub fn signal() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        let terminated = terminate.recv();
        #[cfg(not(unix))]
        let terminated = std::future::pending::<Option<()>>();
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated => {}
        }
    })
}
