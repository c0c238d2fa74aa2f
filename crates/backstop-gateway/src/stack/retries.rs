//! How a candidate is tried again: as is configured, and no more often than a request wishes.

use std::time::Duration;

use backstop_llm::{ChatClassifier, ChatRequest};
use backstop_retry::{
    Backoff, Budget, CloneRequestFn, Exponential, InvalidBackoff, Random, backoff::Decorrelated,
};

use crate::config::{self, Candidate, Retry};

type Again = fn(&ChatRequest) -> Option<ChatRequest>;

/// The layer that tries a candidate again.
pub(super) type RetryLayer =
    backstop_retry::RetryLayer<ChatClassifier, Waits, CloneRequestFn<Again>>;

/// The waits that the config says.
#[derive(Clone, Debug)]
pub(super) enum Waits {
    Decorrelated(Decorrelated),
    Exponential(Exponential),
}

impl Waits {
    fn new(retry: &Retry) -> Result<Self, InvalidBackoff> {
        let (base, cap) = (retry.base, retry.cap);
        Ok(match retry.backoff {
            config::Backoff::Decorrelated => Self::Decorrelated(Decorrelated::new(base, cap)?),
            config::Backoff::Exponential => Self::Exponential(Exponential::new(base, cap)?),
        })
    }
}

impl Backoff for Waits {
    fn next_wait(&mut self, random: &mut Random) -> Option<Duration> {
        match self {
            Self::Decorrelated(waits) => waits.next_wait(random),
            Self::Exponential(waits) => waits.next_wait(random),
        }
    }

    fn is_jittered(&self) -> bool {
        match self {
            Self::Decorrelated(waits) => waits.is_jittered(),
            Self::Exponential(waits) => waits.is_jittered(),
        }
    }
}

/// How often a candidate may yet be tried again for a request, where that says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retries(pub(super) u32);

pub(super) fn layer(
    candidate: &Candidate,
    retry: &Retry,
    budget: &Budget,
) -> Result<RetryLayer, InvalidBackoff> {
    let (base, cap) = retry.throttled.unwrap_or((retry.base, retry.cap));
    let layer = backstop_retry::RetryLayer::new()
        .classify(ChatClassifier::new())
        .attempts(candidate.attempts.unwrap_or(retry.attempts))
        // An overloaded provider is not waited for any longer than the config says.
        .throttled(Exponential::new(base, cap)?)
        .backoff(Waits::new(retry)?)
        .jitter(retry.jitter)
        .retry_after_cap(retry.retry_after_cap)
        .on(retry.on)
        .on_hint(retry.on_hint)
        .min_useful(retry.min_useful)
        .budget(budget.clone())
        .clone_request_fn(again as Again);
    Ok(layer)
}

/// The request as it is sent the next time, where there may be one. Each copy knows of one retry
/// less, and each candidate is given a copy of the caller's.
fn again(request: &ChatRequest) -> Option<ChatRequest> {
    let mut copy = request.clone();
    if let Some(Retries(left)) = copy.extensions_mut().get_mut::<Retries>() {
        *left = left.checked_sub(1)?;
    }
    Some(copy)
}
