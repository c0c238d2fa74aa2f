//! A model: who is asked for it, and in which order.

use std::{cmp::Reverse, num::NonZeroU32, time::Duration};

use backstop_core::{FaultKind, FaultKinds, Name};
use backstop_llm::{Abilities, Commit, Needs, Usage};

use super::policy::{Breaker, Continuation, Hedge, Retry, Timeouts};

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
    /// When another candidate is started beside one that is slow, if ever.
    pub hedge: Option<Hedge>,
    /// How a stream that breaks off goes on with the next candidate.
    pub continues: Continuation,
    /// How many attempts a call makes at most, over all candidates.
    pub max_attempts: Option<NonZeroU32>,
    /// In which order the candidates of one tier are asked.
    pub order: Ordering,
    /// What a call may cost at most, by an estimate: dearer candidates are passed over.
    pub price_cap: Option<f64>,
}

impl Model {
    /// Who is asked first while all are well, as far as the config tells: by weight, the one that is
    /// most often.
    pub(crate) fn first(&self) -> Option<&Candidate> {
        let candidates = self.candidates.iter();
        let begins = candidates.filter(|it| it.after.contains(FaultKind::Refused));
        begins.min_by_key(|it| {
            let price = match &it.target {
                Target::Provider { price, .. } if self.order == Ordering::Price => *price,
                _ => None,
            };
            let weight = if self.order == Ordering::Weight {
                it.weight
            } else {
                0
            };
            (it.tier, price.map_or(0, Price::comparable), Reverse(weight))
        })
    }
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
    /// For those of them that it wrote to a cache.
    pub cache_write: f64,
    /// For tokens that it answers.
    pub output: f64,
}

impl Price {
    /// The price of so many tokens.
    #[must_use]
    pub fn of(&self, usage: &Usage) -> f64 {
        let fresh = usage.input.saturating_sub(usage.cached);
        let fresh = fresh.saturating_sub(usage.cache_write) as f64;
        let all = fresh * self.input
            + usage.cached as f64 * self.cached
            + usage.cache_write as f64 * self.cache_write
            + usage.output as f64 * self.output;
        all / 1e6
    }

    /// The price as one number, to compare prices by: answers are short beside what is sent.
    pub(crate) fn comparable(self) -> u64 {
        // In millionths of the currency; a price beyond all bounds is as dear as can be.
        ((self.input * 3.0 + self.output) * 1e6) as u64
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
