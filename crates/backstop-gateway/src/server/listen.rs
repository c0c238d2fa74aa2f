//! Takes connections, and lets what is running finish when told to stop.

use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{net::TcpListener, sync::Semaphore, time};
use tower::ServiceExt;

use crate::config::Limits;

/// How long to leave the listener alone after it failed, out of file descriptors say.
const AFTER_ACCEPT_FAILED: Duration = Duration::from_millis(50);

/// How serving ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Stopped {
    /// Everything that was running has finished.
    Finished,
    /// Something was still running when the time for it was over.
    Cut,
}

/// Serves `app` on `listener` until `stop` resolves, then lets running responses finish.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    limits: &Limits,
    stop: impl Future<Output = ()>,
) -> Stopped {
    let mut connection = auto::Builder::new(TokioExecutor::new());
    connection
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header);
    connection
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(limits.header));
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
        let Ok(stream) = accepted.and_then(|(stream, _)| {
            // Tokens are small and must not wait for one another.
            stream.set_nodelay(true)?;
            Ok(stream)
        }) else {
            time::sleep(AFTER_ACCEPT_FAILED).await;
            continue;
        };
        let app = app.clone();
        let service = service_fn(move |request| respond(app.clone(), request));
        let serving = connection.serve_connection(TokioIo::new(stream), service);
        let serving = running.watch(serving.into_owned());
        tokio::spawn(async move {
            // A connection that breaks off is its caller's affair.
            let _ = serving.await;
            drop(slot);
        });
    }
    drop(listener);
    match time::timeout(limits.shutdown, running.shutdown()).await {
        Ok(()) => Stopped::Finished,
        Err(_) => Stopped::Cut,
    }
}

async fn respond(app: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    app.oneshot(request.map(Body::new)).await
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
