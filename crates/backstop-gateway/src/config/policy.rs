//! How candidates are tried again, left alone and timed.

use std::{num::NonZeroU32, time::Duration};

use backstop_circuit_breaker::Window;
use backstop_core::FaultKinds;
use backstop_retry::Jitter;

/// How the waits before second tries grow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Backoff {
    /// Each is drawn between the base and three times the one before.
    Decorrelated,
    /// They double, and the jitter says how much of each is left to chance.
    #[default]
    Exponential,
}

/// How a candidate is tried again.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Retry {
    /// How often each candidate is tried in all.
    pub attempts: NonZeroU32,
    /// How the waits grow.
    pub backoff: Backoff,
    /// The first backoff, before jitter.
    pub base: Duration,
    /// The longest backoff.
    pub cap: Duration,
    /// How much of a backoff is left to chance.
    pub jitter: Jitter,
    /// The first and the longest backoff where the provider says that it gets too many calls; the
    /// usual ones, where this is not given.
    pub throttled: Option<(Duration, Duration)>,
    /// The longest wait that a provider may ask for.
    pub retry_after_cap: Duration,
    /// The failures after which it is tried again.
    pub on: FaultKinds,
    /// Those after which it is tried again where the provider says when, and nobody else is ready.
    pub on_hint: FaultKinds,
    /// With less time left than this, no attempt is begun.
    pub min_useful: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: NonZeroU32::MIN.saturating_add(1),
            backoff: Backoff::default(),
            base: Duration::from_millis(250),
            cap: Duration::from_secs(8),
            jitter: Jitter::Full,
            throttled: None,
            retry_after_cap: Duration::from_secs(10),
            on: backstop_retry::RETRY,
            on_hint: backstop_retry::RETRY_ON_HINT,
            min_useful: Duration::from_millis(10),
        }
    }
}

/// When a candidate is left alone, and for how long.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Breaker {
    /// So many failures in a row open the circuit, where any number does.
    pub failures: Option<NonZeroU32>,
    /// Such a part of the calls in the window having failed opens it, where any part does.
    pub rate: Option<f64>,
    /// How long a call may take to its first content before it is slow, and the part of the calls
    /// in the window that being slow opens the circuit.
    pub slow: Option<(Duration, f64)>,
    /// The rates count from so many calls in the window on.
    pub min_calls: NonZeroU32,
    /// Which calls the rates are taken over.
    pub window: Window,
    /// How long the circuit stays open.
    pub open_for: Duration,
    /// What that grows to when it opens again and again, by two each time.
    pub open_cap: Duration,
    /// How many calls then try whether the candidate has recovered.
    pub probes: NonZeroU32,
    /// How many of these may fail.
    pub probe_failures: u32,
    /// How long it is tried before the circuit opens again without a verdict.
    pub half_open_for: Option<Duration>,
    /// How far a provider's own Retry-After is heeded.
    pub retry_after_cap: Duration,
    /// How long an exhausted quota keeps calls off, where the provider does not say.
    pub quota_wait: Duration,
    /// The failures that count.
    pub counts: FaultKinds,
    /// The failures that open the circuit at once.
    pub at_once: FaultKinds,
    /// The failures that keep calls off for as long as the provider says.
    pub hold_off: FaultKinds,
}

impl Default for Breaker {
    fn default() -> Self {
        let open_for = Duration::from_secs(60);
        Self {
            failures: NonZeroU32::new(5),
            rate: Some(0.5),
            slow: None,
            min_calls: NonZeroU32::MIN.saturating_add(9),
            window: Window::time(Duration::from_secs(60)),
            open_for,
            open_cap: open_for,
            probes: NonZeroU32::MIN,
            probe_failures: 0,
            half_open_for: None,
            retry_after_cap: Duration::from_secs(600),
            quota_wait: Duration::from_secs(600),
            counts: backstop_circuit_breaker::FAILURES,
            at_once: backstop_circuit_breaker::AT_ONCE,
            hold_off: backstop_circuit_breaker::HOLD_OFF,
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

/// When another candidate is started beside one that has not answered yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Hedge {
    /// After so long without the first content of a stream.
    pub first_token: Duration,
    /// After so long without a plain answer: until it is whole nothing is heard of it.
    pub answer: Duration,
}

impl Hedge {
    pub(super) const fn new(first_token: Duration) -> Self {
        Self {
            first_token,
            answer: first_token.saturating_mul(ANSWER),
        }
    }
}

/// How a stream that breaks off goes on with the next candidate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Continuation {
    /// How often.
    pub times: u32,
    /// How many bytes of text an answer may have that is still continued.
    pub max_partial: usize,
}

impl Continuation {
    /// How often, unless a number is given.
    pub(super) const TIMES: u32 = 2;
}

impl Default for Continuation {
    fn default() -> Self {
        Self {
            times: Self::TIMES,
            max_partial: 256 << 10,
        }
    }
}
