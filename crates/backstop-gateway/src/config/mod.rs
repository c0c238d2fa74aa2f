//! The config: what it says, checked, with every default filled in.
//!
//! A value of these types is valid: reading is the only way to one, and refuses what can't work.

mod error;
mod read;
mod reader;
mod units;

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    time::Duration,
};

use backstop_core::{FaultKinds, Name};
use backstop_llm::{Abilities, Dialect, Needs, Secret, Usage};

use crate::callers::Hash;

pub use self::error::{ConfigError, OpenToAll, Problem};
pub(crate) use self::units::write_duration;

/// Where the gateway listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

/// A whole config.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The file that it came from, if it came from one.
    pub file: Option<PathBuf>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where circuits' state is kept over a restart, if it is.
    pub state_file: Option<PathBuf>,
    /// What the gateway takes on.
    pub limits: Limits,
    /// Who can be asked, by the names that candidates use.
    pub providers: BTreeMap<Name, Provider>,
    /// What callers can ask for. `*` takes any other name.
    pub models: BTreeMap<String, Model>,
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
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let environment = |name: &str| std::env::var(name).ok();
        let mut config = Self::parse(&path.display().to_string(), &text, &environment)?;
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
        reader::Document::read(file, text, environment, read::config)
    }

    /// Listens elsewhere than the file says.
    ///
    /// # Errors
    ///
    /// Where that would be open to other machines, and nobody would need a key.
    pub fn listen_on(&mut self, listen: SocketAddr) -> Result<(), OpenToAll> {
        if self.keys.is_empty() && !listen.ip().is_loopback() {
            return Err(OpenToAll(listen));
        }
        self.listen = listen;
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

/// A name that callers can ask for, and who is asked, in order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Model {
    /// Who is asked, in order; never empty.
    pub candidates: Vec<Candidate>,
    /// How a candidate is tried again.
    pub retry: Retry,
    /// When a candidate is left alone.
    pub breaker: Breaker,
    /// How long a call may take.
    pub timeout: Timeouts,
    /// Whether a stream that breaks off goes on with the next candidate.
    pub continues: bool,
    /// In which order the candidates of one tier are asked.
    pub order: Ordering,
    /// What a call may cost at most, by an estimate: dearer candidates are passed over.
    pub price_cap: Option<f64>,
}

/// One candidate of a model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Candidate {
    /// What messages, headers and metrics call it: `anthropic:claude-opus-4-8`.
    pub name: Name,
    /// Who answers.
    pub target: Target,
    /// How often it is tried, where that differs from the model's `retry`.
    pub attempts: Option<NonZeroU32>,
    /// The failures of others after which it is asked.
    pub after: FaultKinds,
    /// Its share of the calls among the others of its tier, where they are asked by weight.
    pub weight: u32,
    /// Those of a lower tier are asked first, however the order within a tier is made.
    pub tier: u32,
    /// That its answers are lesser ones, and what callers are told of it.
    pub degraded: Option<String>,
}

/// What a model costs, for a million tokens, in whatever currency all prices are in.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Price {
    /// For tokens sent to it.
    pub input: f64,
    /// For those of them that it read from a cache.
    pub cached: f64,
    /// For tokens that it answers.
    pub output: f64,
}

impl Price {
    /// The price of so many tokens.
    #[must_use]
    pub fn of(&self, usage: &Usage) -> f64 {
        let fresh = usage.input.saturating_sub(usage.cached) as f64;
        let all = fresh * self.input
            + usage.cached as f64 * self.cached
            + usage.output as f64 * self.output;
        all / 1e6
    }
}

/// In which order the candidates of one tier are asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ordering {
    /// The one that lately began to answer soonest.
    Latency,
    /// The cheapest.
    Price,
    /// As they are listed.
    #[default]
    Priority,
    /// By chance, in proportion to their weights.
    Weight,
}

impl Ordering {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::Latency, Self::Price, Self::Priority, Self::Weight];

    /// Its name in a config.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Price => "price",
            Self::Priority => "priority",
            Self::Weight => "weight",
        }
    }
}

/// Who answers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Target {
    /// A model at a provider.
    Provider {
        /// Which provider.
        provider: Name,
        /// What the provider calls the model.
        model: String,
        /// Which of the provider's keys is sent, from 0 on.
        key: usize,
        /// What that model can do.
        abilities: Abilities,
        /// What of a request may be lost on it, rather than pass it over.
        allow_loss: Needs,
        /// The system prompt that it is sent, with the caller's in place of `{system}`.
        system: Option<String>,
        /// What it costs, where that is known.
        price: Option<Price>,
    },
    /// The last answer to the same question, if it is not older than this.
    Cached(Duration),
    /// This text, whatever was asked.
    Reply(String),
}

impl Target {
    /// Lets this much of a request be lost on it.
    fn allow(&mut self, loss: Needs) {
        if let Self::Provider { allow_loss, .. } = self {
            *allow_loss = loss;
        }
    }
}

/// How a candidate is tried again.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Retry {
    /// How often each candidate is tried in all.
    pub attempts: NonZeroU32,
    /// The first backoff, before jitter.
    pub base: Duration,
    /// The longest backoff.
    pub cap: Duration,
    /// The longest wait that a provider may ask for.
    pub retry_after_cap: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: NonZeroU32::MIN.saturating_add(1),
            base: Duration::from_millis(250),
            cap: Duration::from_secs(8),
            retry_after_cap: Duration::from_secs(10),
        }
    }
}

/// When a candidate is left alone, and for how long.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Breaker {
    /// So many failures in a row open the circuit.
    pub failures: NonZeroU32,
    /// Such a part of the calls in the window having failed opens it.
    pub rate: f64,
    /// The rate counts from so many calls in the window on.
    pub min_calls: NonZeroU32,
    /// How far back the rate looks.
    pub window: Duration,
    /// How long the circuit stays open.
    pub open_for: Duration,
    /// How many calls then try whether the candidate has recovered.
    pub probes: NonZeroU32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: NonZeroU32::MIN.saturating_add(4),
            rate: 0.5,
            min_calls: NonZeroU32::MIN.saturating_add(9),
            window: Duration::from_secs(60),
            open_for: Duration::from_secs(60),
            probes: NonZeroU32::MIN,
        }
    }
}

/// How long a call may take.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Until a connection to the provider stands.
    pub connect: Duration,
    /// Until the first content of one attempt.
    pub first_token: Duration,
    /// Until the whole of a plain answer, for one attempt: until then nothing is heard of it.
    pub answer: Duration,
    /// Between two pieces of a stream.
    pub idle: Duration,
    /// The whole call, all attempts, waits and the stream's end included.
    pub total: Duration,
}

/// A whole answer may take so many times as long as the first token, unless that is set.
const ANSWER: u32 = 4;

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(30),
            answer: Duration::from_secs(30) * ANSWER,
            idle: Duration::from_secs(30),
            total: Duration::from_secs(600),
        }
    }
}
