//! The config: what it says, checked, with every default filled in.
//!
//! A value of these types is valid: reading is the only way to one, and refuses what can't work.

mod error;
mod files;
mod model;
mod nearest;
mod policy;
mod read;
mod reader;
mod units;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    time::Duration,
};

use backstop_core::Name;
use backstop_llm::{Dialect, Secret};

use crate::callers::Hash;

use self::policy::ANSWER;
pub use self::{
    error::{ConfigError, OpenToAll, Problem},
    model::{Candidate, Model, Ordering, Price, Target},
    policy::{Backoff, Breaker, Continuation, Hedge, Retry, Timeouts},
};
pub(crate) use self::{files::Files, units::write_duration};

/// Where the gateway listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

/// A whole config.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The file that it came from, if it came from one.
    pub file: Option<PathBuf>,
    /// All that it was read from: that file, and those that it names for keys and certificates.
    pub(crate) files: Files,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether that was said elsewhere than in the file.
    pub(crate) told_where: bool,
    /// Where circuits' state is kept over a restart, if it is.
    pub state_file: Option<PathBuf>,
    /// What the gateway takes on.
    pub limits: Limits,
    /// Who can be asked, by the names that candidates use.
    pub providers: BTreeMap<Name, Provider>,
    /// What callers can ask for. `*` takes any other name.
    pub models: BTreeMap<String, Model>,
    /// Whether what is asked and answered is logged.
    pub log_content: bool,
    /// What all prices are in, as metrics call it.
    pub currency: String,
    /// Who may call, by the names that logs and metrics use. Where it is empty, anyone on this
    /// machine may.
    pub keys: BTreeMap<Name, Key>,
    /// Who may see and change what is going on.
    pub admin: Admin,
    /// When someone is told.
    pub alerts: Alerts,
    /// What callers are spoken to with, where not in the clear.
    pub tls: Option<Tls>,
    /// Where spans are sent, if they are.
    pub telemetry: Option<Telemetry>,
}

impl Config {
    /// Reads the file at `path`, with secrets from the environment.
    ///
    /// # Errors
    ///
    /// Where the file can't be read, or anything in it is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_noting(path, &mut Files::default())
    }

    /// The same. Which files it was read from is told even where they are wrong: they may be put
    /// right.
    pub(crate) fn load_noting(path: &Path, files: &mut Files) -> Result<Self, ConfigError> {
        let text = files.read(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let environment = |name: &str| std::env::var(name).ok();
        let mut config = Self::read(&path.display().to_string(), &text, &environment, files)?;
        config.file = Some(path.to_owned());
        Ok(config)
    }

    /// Reads `text`, which messages call `file`, with secrets from `environment`.
    ///
    /// # Errors
    ///
    /// Where anything in it is wrong.
    pub fn parse(
        file: &str,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        Self::read(file, text, environment, &mut Files::default())
    }

    fn read(
        file: &str,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
        files: &mut Files,
    ) -> Result<Self, ConfigError> {
        let read = reader::Document::read(file, text, environment, files, read::config);
        let mut config = read?;
        config.files = files.clone();
        Ok(config)
    }

    /// Listens elsewhere than the file says.
    ///
    /// # Errors
    ///
    /// Where that would be open to other machines, and nobody would need a key.
    pub fn listen_on(&mut self, listen: SocketAddr) -> Result<(), OpenToAll> {
        self.may_listen_on(listen)?;
        self.listen = listen;
        self.told_where = true;
        Ok(())
    }

    /// Whether it may be open to all who reach this address.
    pub(crate) fn may_listen_on(&self, listen: SocketAddr) -> Result<(), OpenToAll> {
        if self.keys.is_empty() && !listen.ip().is_loopback() {
            return Err(OpenToAll(listen));
        }
        Ok(())
    }

    /// The model that a caller's `name` means: the one of that name, else the one named `*`.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.get(name).or_else(|| self.models.get("*"))
    }
}

/// What the gateway takes on, and how long it waits when it stops.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The largest request body, in bytes.
    pub body: usize,
    /// How long a caller may take to send the body.
    pub body_read: Duration,
    /// How many requests run at a time; further ones are refused at once.
    pub requests: usize,
    /// How many connections are open at a time; further ones wait to be taken.
    pub connections: usize,
    /// How long a caller may take to send a request's head, and an idle connection may stay.
    pub header: Duration,
    /// How long a caller may leave unread what has been sent to it (on Linux).
    pub unread: Duration,
    /// How many second tries there may be to each call, over all models.
    pub retry_ratio: f64,
    /// How long running responses may go on after the signal to stop.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 32 << 20,
            body_read: Duration::from_secs(60),
            requests: 10_000,
            connections: 10_000,
            header: Duration::from_secs(30),
            unread: Duration::from_secs(60),
            retry_ratio: 0.2,
            shutdown: Duration::from_secs(30),
        }
    }
}

/// Someone who can be asked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Provider {
    /// The language it speaks.
    pub dialect: Dialect,
    /// Where it is, without a slash at the end.
    pub base_url: String,
    /// What it knows us by. Where there are several, each is a candidate of its own, with its own
    /// circuit: one that is over its limit or no longer valid gives way to the next.
    pub api_keys: Vec<Secret>,
    /// The header that the key is sent in, where that is not the dialect's own.
    pub api_key_header: Option<String>,
    /// Headers of every request to it.
    pub headers: Vec<(String, Secret)>,
    /// What is added to the query of every request to it.
    pub query: Vec<(String, Secret)>,
    /// The proxy on the way to it.
    pub proxy: Proxy,
    /// The certificates, in PEM, of authorities that are trusted besides those of the system.
    pub ca: Option<String>,
}

/// The proxy on the way to a provider.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Proxy {
    /// The one that the environment names, if it names one: `HTTPS_PROXY` and `NO_PROXY`.
    #[default]
    Environment,
    /// There is none.
    None,
    /// This one.
    Url(Secret),
}

/// Who may see and change what is going on. Without a word on it, whoever needs no key to call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Admin {
    /// The hash of the key that it needs.
    pub sha256: Option<Hash>,
    /// Where it is open to whoever reaches it.
    pub listen: Option<SocketAddr>,
}

/// Where spans are sent, by OTLP over HTTP.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Telemetry {
    /// The address that takes traces: `http://127.0.0.1:4318/v1/traces`.
    pub traces: String,
    /// Headers that it wants, a key perhaps.
    pub headers: Vec<(String, Secret)>,
    /// What this service is called there.
    pub service: String,
}

/// A certificate, and the key that proves it, as PEM files.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tls {
    /// The certificate, and those that lead to a root.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// When someone is told that something is wrong. Without a webhook nobody is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alerts {
    /// Where notices are posted, as JSON with a `text`.
    pub webhook: Option<Secret>,
    /// The part of the calls that may fail.
    pub error_rate: Option<f64>,
    /// How far back the rate looks.
    pub window: Duration,
    /// The rate counts from so many calls in the window on.
    pub min_calls: NonZeroU32,
    /// What may be spent, by the config's prices.
    pub spend: Option<f64>,
    /// In what time.
    pub spend_window: Duration,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            webhook: None,
            error_rate: None,
            window: Duration::from_secs(300),
            min_calls: NonZeroU32::MIN.saturating_add(19),
            spend: None,
            spend_window: Duration::from_secs(3_600),
        }
    }
}

/// One who may call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Key {
    /// The hash of its key.
    pub sha256: Hash,
    /// What it may ask for; anything, where this is empty.
    pub models: Vec<String>,
    /// How many requests it may make each minute.
    pub requests_per_minute: Option<NonZeroU32>,
    /// How many tokens it may use each minute, those it sends and those it is sent.
    pub tokens_per_minute: Option<NonZeroU64>,
    /// How many of its requests may run at a time.
    pub concurrent: Option<NonZeroU32>,
}

impl Key {
    /// A key without limits.
    #[must_use]
    pub const fn new(sha256: Hash) -> Self {
        Self {
            sha256,
            models: Vec::new(),
            requests_per_minute: None,
            tokens_per_minute: None,
            concurrent: None,
        }
    }
}
