//! A provider described.

use std::{fmt, sync::Arc, time::Duration};

use backstop_core::{BoxError, Name};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use url::Url;

use super::{Inner, Provider};
use crate::{
    Dialect, Secret,
    sse::SseParser,
    transport::{Client, Connector, Proxy, basic_auth},
};

/// Describes a provider. Whatever is not said is the dialect's own.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ProviderBuilder {
    dialect: Dialect,
    name: Option<Name>,
    base_url: Option<String>,
    key: Option<Secret>,
    key_header: Option<String>,
    headers: Vec<(String, Secret)>,
    query: Vec<(String, Secret)>,
    proxy: Way,
    roots: Vec<u8>,
    connect_timeout: Duration,
    pool_idle_timeout: Duration,
    max_answer: usize,
    max_event: usize,
    stream_usage: bool,
}

impl ProviderBuilder {
    pub(super) const fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            name: None,
            base_url: None,
            key: None,
            key_header: None,
            headers: Vec::new(),
            query: Vec::new(),
            proxy: Way::Straight,
            roots: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            pool_idle_timeout: Duration::from_secs(90),
            max_answer: 64 * 1024 * 1024,
            max_event: SseParser::LIMIT,
            stream_usage: true,
        }
    }

    /// What the provider is called; by default as its dialect is.
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Where the provider is: what comes before `/chat/completions`, `/v1/messages` and the like.
    /// It may hold `{model}`, where the model's name belongs into the path, as with Azure:
    /// `https://….openai.azure.com/openai/deployments/{model}`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// The credential, sent as the dialect has it.
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sends the credential as this header instead of the dialect's own: `api-key` for Azure.
    /// `authorization` sends it as a bearer token.
    pub fn api_key_header(mut self, name: impl Into<String>) -> Self {
        self.key_header = Some(name.into());
        self
    }

    /// Sends a header with every request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds to the query of every request: `api-version` for Azure.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Goes through tunnels that this proxy makes: by `CONNECT`, where its address begins with
    /// `http://` or `https://`, or by SOCKS 5, where it begins with `socks5://` or `socks5h://`; the
    /// proxy resolves names either way. Its address may hold a name and a password. By default there
    /// is none: what the environment says of proxies is not heeded unless
    /// [asked to](Self::proxy_of_environment).
    pub fn proxy(mut self, url: impl Into<Secret>) -> Self {
        self.proxy = Way::Through(url.into());
        self
    }

    /// Goes through the proxy that the environment names, as it is when the provider is built:
    /// `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY`, except to where `NO_PROXY` says, as curl has
    /// them. What is on this machine is always reached straight.
    pub fn proxy_of_environment(mut self) -> Self {
        self.proxy = Way::Environment;
        self
    }

    /// Trusts certificates that these authorities have signed, in PEM, besides those that the
    /// system trusts: for a provider, or a proxy, with a private authority.
    ///
    /// Without code, the system's own store takes one; on Linux `SSL_CERT_FILE` and `SSL_CERT_DIR`
    /// put another in its place.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = pem.into();
        self
    }

    /// How long connecting may take, TLS included; by default 5 s, as in the official SDKs.
    ///
    /// There is no other limit of time here: those are a timeout layer's.
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long an idle connection is kept; by default 90 s.
    pub const fn pool_idle_timeout(mut self, limit: Duration) -> Self {
        self.pool_idle_timeout = limit;
        self
    }

    /// How many bytes a plain answer may have; by default 64 MiB.
    pub const fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// How many bytes one event of a stream may have; by default 16 MiB.
    pub const fn max_event(mut self, bytes: usize) -> Self {
        self.max_event = bytes;
        self
    }

    /// Whether the usage is asked for at the end of a stream even where the caller did not; by
    /// default it is. A server that refuses `stream_options` needs it off.
    pub const fn stream_usage(mut self, ask: bool) -> Self {
        self.stream_usage = ask;
        self
    }

    /// The provider.
    ///
    /// # Errors
    ///
    /// The base URL or the proxy's is none, a header or the key can't be a header, the root
    /// certificates are none, or no TLS can be had.
    pub fn build(self) -> Result<Provider, InvalidProvider> {
        let wire = self.dialect.wire();
        let base_url = self.base_url.unwrap_or_else(|| wire.base_url().to_owned());
        let base_url = base_url.trim_end_matches('/').to_owned();
        let url = Url::parse(&base_url.replace("{model}", "model"))
            .map_err(|error| InvalidProvider::new("base URL", error))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(InvalidProvider::new("base URL", "not an http(s) address"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(auth) = basic_auth(&url) {
            headers.insert(header::AUTHORIZATION, auth);
        }
        if let Some(key) = &self.key {
            match &self.key_header {
                Some(name) if name.eq_ignore_ascii_case("authorization") => {
                    headers.insert(header::AUTHORIZATION, value(name, &key.bearer())?);
                }
                Some(name) => {
                    headers.insert(header_name(name)?, value(name, key)?);
                }
                None => {
                    value("api key", key)?;
                    wire.authorize(key, &mut headers);
                }
            }
        }
        for (name, secret) in &self.headers {
            headers.insert(header_name(name)?, value(name, secret)?);
        }
        let query = (!self.query.is_empty()).then(|| {
            let mut url = url.clone();
            url.set_query(None);
            url.query_pairs_mut()
                .extend_pairs(self.query.iter().map(|(n, v)| (n, v.expose())));
            url.query().unwrap_or_default().to_owned()
        });
        let others = self.headers.into_iter().chain(self.query);
        let secrets = self.key.into_iter().chain(others.map(|(_, secret)| secret));
        let roots = roots(&self.roots)?;
        let connector = match self.proxy.proxy(&url)? {
            Some(proxy) => Connector::through(proxy, &roots),
            None => Connector::straight(&roots),
        };
        let connector = connector.map_err(|error| InvalidProvider::new("TLS", error))?;
        let client = Client::new(connector, self.connect_timeout, self.pool_idle_timeout);
        Ok(Provider {
            inner: Arc::new(Inner {
                name: self.name.unwrap_or_else(|| self.dialect.as_str().into()),
                wire,
                base_url,
                query,
                headers,
                secrets: secrets.collect(),
                client,
                max_answer: self.max_answer,
                max_event: self.max_event,
                stream_usage: self.stream_usage,
            }),
        })
    }
}

/// How a provider is reached.
#[derive(Clone, Debug)]
enum Way {
    Straight,
    Through(Secret),
    Environment,
}

impl Way {
    /// The proxy on the way to `to`. What is wrong with a bad one is not said: it may hold a
    /// password.
    fn proxy(&self, to: &Url) -> Result<Option<Proxy>, InvalidProvider> {
        match self {
            Self::Straight => Ok(None),
            Self::Through(proxy) => {
                let url = Url::parse(proxy.expose()).ok();
                let proxy = url.and_then(|url| Proxy::new(&url));
                let wrong = || InvalidProvider::new("proxy", "not a proxy's address");
                proxy.map(Some).ok_or_else(wrong)
            }
            Self::Environment => {
                let to = to.as_str().parse();
                let to = to.map_err(|error| InvalidProvider::new("base URL", error))?;
                Proxy::of_environment(&to).map_err(|_| {
                    let wrong = "the environment's is none for HTTP or SOCKS 5";
                    InvalidProvider::new("proxy", wrong)
                })
            }
        }
    }
}

/// A text without any certificate is a mistake, unless there is none at all.
fn roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidProvider> {
    let invalid = |error: BoxError| InvalidProvider::new("root certificates", error);
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let roots = roots.map_err(|error| invalid(error.into()))?;
    if roots.is_empty() && !pem.is_empty() {
        return Err(invalid("there is no certificate in them".into()));
    }
    Ok(roots)
}

fn header_name(name: &str) -> Result<HeaderName, InvalidProvider> {
    HeaderName::try_from(name).map_err(|error| InvalidProvider::new("header name", error))
}

/// A header's value. What is wrong with a bad one is not said: it may be a key.
fn value(name: &str, secret: &Secret) -> Result<HeaderValue, InvalidProvider> {
    let wrong = || InvalidProvider::new("header", format!("{name} can't be a header's value"));
    secret.header().ok_or_else(wrong)
}

/// A provider can't be made as described.
#[derive(Debug)]
pub struct InvalidProvider {
    what: &'static str,
    source: BoxError,
}

impl InvalidProvider {
    fn new(what: &'static str, source: impl Into<BoxError>) -> Self {
        Self {
            what,
            source: source.into(),
        }
    }
}

impl fmt::Display for InvalidProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {}", self.what)
    }
}

impl std::error::Error for InvalidProvider {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}
