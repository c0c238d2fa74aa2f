//! Ways to connect: straight, or through a proxy.

use std::{future::poll_fn, sync::Arc, time::Duration};

use backstop_core::BoxError;
use http::Uri;
use hyper::rt::{Read, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connection, HttpConnector, proxy::Tunnel};
use rustls::{
    ClientConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::CertificateDer,
};
use rustls_platform_verifier::Verifier;
use tower_service::Service;

use super::{
    proxy::{Proxy, Speaks},
    socks::Socks,
};

/// How often a connection without traffic is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How often it may leave that unanswered.
const KEEP_ALIVE_RETRIES: u32 = 3;

/// Anything that bytes go to and come from.
pub(crate) trait Io: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Io for T {}

/// Connects to a place, with TLS where its scheme asks for it.
#[derive(Clone)]
pub(crate) enum Connector {
    Straight(HttpsConnector<HttpConnector>),
    Tunnelled(Box<HttpsConnector<Tunnel<HttpsConnector<HttpConnector>>>>),
    Socks(Box<HttpsConnector<Socks>>),
}

impl Connector {
    /// Connects straight. What the system trusts is trusted, and these roots too.
    pub(crate) fn straight(roots: &[CertificateDer<'static>]) -> Result<Self, rustls::Error> {
        Ok(Self::Straight(https(tcp(), true, roots)?))
    }

    /// Connects through a tunnel that this proxy makes.
    pub(crate) fn through(
        proxy: Proxy,
        roots: &[CertificateDer<'static>],
    ) -> Result<Self, rustls::Error> {
        Ok(match proxy.speaks {
            Speaks::Http(auth) => {
                let mut tunnel = Tunnel::new(proxy.at, https(tcp(), false, roots)?);
                if let Some(auth) = auth {
                    tunnel = tunnel.with_auth(auth);
                }
                Self::Tunnelled(Box::new(https(tunnel, true, roots)?))
            }
            Speaks::Socks(pair) => {
                let tunnel = Socks {
                    proxy: proxy.at,
                    pair,
                    tcp: tcp(),
                };
                Self::Socks(Box::new(https(tunnel, true, roots)?))
            }
        })
    }

    /// A connection, and whether both sides have agreed upon HTTP/2.
    pub(super) async fn connect(&self, to: Uri) -> Result<(Box<dyn Io>, bool), BoxError> {
        match self {
            Self::Straight(connector) => call(connector.clone(), to).await,
            Self::Tunnelled(connector) => call((**connector).clone(), with_port(to)).await,
            Self::Socks(connector) => call((**connector).clone(), with_port(to)).await,
        }
    }
}

async fn call<S, T>(mut connector: S, to: Uri) -> Result<(Box<dyn Io>, bool), BoxError>
where
    S: Service<Uri, Response = MaybeHttpsStream<T>, Error = BoxError>,
    T: Connection + Read + Write + Send + Unpin + 'static,
{
    poll_fn(|cx| connector.poll_ready(cx)).await?;
    let stream = connector.call(to).await?;
    let is_http2 = Connection::connected(&stream).is_negotiated_h2();
    let io: Box<dyn Io> = match stream {
        // By itself it is small; with room for TLS it takes kilobytes.
        MaybeHttpsStream::Http(plain) => Box::new(plain),
        tls @ MaybeHttpsStream::Https(_) => Box::new(tls),
    };
    Ok((io, is_http2))
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.set_keepalive_interval(Some(KEEP_ALIVE));
    tcp.set_keepalive_retries(Some(KEEP_ALIVE_RETRIES));
    // What was sent may go for so long without a sign of having come.
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    tcp.set_tcp_user_timeout(Some(KEEP_ALIVE * 2));
    tcp
}

fn https<C>(
    below: C,
    http2: bool,
    roots: &[CertificateDer<'static>],
) -> Result<HttpsConnector<C>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(roots, provider.clone())?;
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous() // It is the system's own verifier.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http();
    Ok(if http2 {
        builder.enable_all_versions().wrap_connector(below)
    } else {
        builder.enable_http1().wrap_connector(below)
    })
}

fn verifier(
    roots: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<Verifier, rustls::Error> {
    if roots.is_empty() {
        return Verifier::new(provider);
    }
    #[cfg(not(target_os = "android"))]
    return Verifier::new_with_extra_roots(roots.iter().cloned(), provider);
    #[cfg(target_os = "android")]
    return Err(rustls::Error::General(
        "Android trusts no roots but its own".to_owned(),
    ));
}

/// A proxy must be told the port: without one it takes every place for one with TLS.
fn with_port(to: Uri) -> Uri {
    if to.port().is_some() || to.scheme_str() != Some("http") {
        return to;
    }
    let host = to.host().unwrap_or_default();
    let with_port = Uri::builder()
        .scheme("http")
        .authority(format!("{host}:80"))
        .path_and_query("/")
        .build();
    with_port.unwrap_or(to)
}
