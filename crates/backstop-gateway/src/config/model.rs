//! A model: who is asked for it, in which order, how often and how long.

use std::{num::NonZeroU32, time::Duration};

use backstop_core::{FaultKinds, Name};
use backstop_llm::{Abilities, Commit, Needs, Usage};

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
        /// When a stream of it is held to have succeeded.
        commit: Commit,
        /// Whether its answers must match the JSON schema that was asked for.
        validate: bool,
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
pub(super) const ANSWER: u32 = 4;

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
