//! Tunnels by SOCKS 5.

use std::{
    error::Error,
    fmt,
    future::{Ready, poll_fn, ready},
    io,
    pin::Pin,
    task::{Context, Poll},
};

use backstop_core::BoxError;
use http::Uri;
use hyper_util::client::legacy::connect::{HttpConnector, proxy::SocksV5};
use tower_service::Service;

type Stream = <HttpConnector as Service<Uri>>::Response;

/// Connects through a proxy.
///
/// The proxy is connected to here, and only asked for a tunnel by hyper-util's connector, which
/// would not tell why there is no connection.
#[derive(Clone)]
pub(crate) struct Socks {
    pub(super) proxy: Uri,
    pub(super) pair: Option<(String, String)>,
    pub(super) tcp: HttpConnector,
}

impl Socks {
    async fn connect(mut self, to: Uri) -> Result<Stream, BoxError> {
        poll_fn(|cx| self.tcp.poll_ready(cx)).await?;
        let stream = self.tcp.call(self.proxy.clone()).await;
        let stream = stream.map_err(|cause| NoProxy(cause.into()))?;
        let mut tunnel = SocksV5::new(self.proxy, Connected(Some(stream)));
        if let Some((name, password)) = self.pair {
            tunnel = tunnel.with_auth(name, password);
        }
        Ok(tunnel.call(to).await?)
    }
}

impl Service<Uri> for Socks {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().connect(to))
    }
}

/// A connection that is there already, for whoever connects first.
struct Connected(Option<Stream>);

impl Service<Uri> for Connected {
    type Response = Stream;
    type Error = io::Error;
    type Future = Ready<io::Result<Stream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let stream = self.0.take();
        ready(stream.ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

/// There is no connection to the proxy.
#[derive(Debug)]
struct NoProxy(BoxError);

impl fmt::Display for NoProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SOCKS error: no connection to the proxy")
    }
}

impl Error for NoProxy {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
