use std::{num::NonZeroU32, sync::Arc, time::Duration};

use backstop_core::{Budget, ErrorsAreTransient, FaultKinds};
use tower_layer::Layer;

use crate::{
    ByClone, CloneRequestFn, Exponential, Jitter, Retry,
    policy::{Policy, triable},
    random::Seed,
};

/// Tries a call again that failed in a way which may be over in a moment, after a wait that grows
/// and is never the same twice.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use backstop_retry::{Budget, Exponential, RetryLayer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let backoff = Exponential::new(Duration::from_millis(500), Duration::from_secs(8))?;
/// let layer = RetryLayer::new()
///     .attempts(NonZeroU32::new(5).ok_or("five is not zero")?)
///     .backoff(backoff)
///     .budget(Budget::ratio(0.2)?);
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RetryLayer<C = ErrorsAreTransient, B = Exponential, R = ByClone> {
    policy: Policy<C, B, R>,
}

impl RetryLayer {
    /// Three attempts in all, [`RETRY`](crate::RETRY) and [`RETRY_ON_HINT`](crate::RETRY_ON_HINT),
    /// waits from 50 ms to 20 s with full jitter, no budget. Any error is a transient failure, and
    /// any response a success, until a classifier is given.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            policy: Policy::DEFAULT,
        }
    }
}

impl Default for RetryLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<C, B, R> RetryLayer<C, B, R> {
    /// How many attempts a call has in all, the first included. Default: 3.
    #[must_use]
    pub fn attempts(mut self, attempts: NonZeroU32) -> Self {
        self.policy.rules.attempts = attempts;
        self
    }

    /// Tells by `classify` which results are failures, and of what kind.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> RetryLayer<D, B, R> {
        let Policy {
            backoff,
            requests,
            rules,
            ..
        } = self.policy;
        RetryLayer {
            policy: Policy {
                classify,
                backoff,
                requests,
                rules,
            },
        }
    }

    /// The waits between attempts: [`Exponential`], [`Decorrelated`](crate::backoff::Decorrelated)
    /// or any iterator of durations. Default: from 50 ms to 20 s.
    #[must_use]
    pub fn backoff<D>(self, backoff: D) -> RetryLayer<C, D, R> {
        let Policy {
            classify,
            requests,
            rules,
            ..
        } = self.policy;
        RetryLayer {
            policy: Policy {
                classify,
                backoff,
                requests,
                rules,
            },
        }
    }

    /// The waits after a service has said that it gets too many calls, in place of the usual
    /// ones. Default: from 1 s to 20 s.
    #[must_use]
    pub fn throttled(mut self, backoff: Exponential) -> Self {
        self.policy.rules.throttled = backoff;
        self
    }

    /// How much of a wait is left to chance. Default: [`Jitter::Full`]. After a service has said
    /// that it gets too many calls, full jitter gives way to equal.
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.policy.rules.jitter = jitter;
        self
    }

    /// Tries again after failures of these kinds, in place of [`RETRY`](crate::RETRY). What was
    /// refused without a call, an open circuit for one, is not tried again even if it is among
    /// them; nor is a response that broke off.
    #[must_use]
    pub fn on(mut self, kinds: FaultKinds) -> Self {
        self.policy.rules.on = triable(kinds);
        self
    }

    /// Tries again after failures of these kinds where the service said when and no other
    /// candidate is ready, in place of [`RETRY_ON_HINT`](crate::RETRY_ON_HINT).
    #[must_use]
    pub fn on_hint(mut self, kinds: FaultKinds) -> Self {
        self.policy.rules.on_hint = triable(kinds);
        self
    }

    /// The longest wait that a service may ask for. Where it asks for more the call fails at
    /// once, and the error or response tells how much. Default: 60 s.
    #[must_use]
    pub fn retry_after_cap(mut self, cap: Duration) -> Self {
        self.policy.rules.retry_after_cap = cap;
        self
    }

    /// The time that an attempt needs to be of any use: with less than that left until the call's
    /// deadline none is begun, nor waited for. Default: 10 ms.
    #[must_use]
    pub fn min_useful(mut self, time: Duration) -> Self {
        self.policy.rules.min_useful = time;
        self
    }

    /// Bounds the load that further attempts add, over all clones of this layer and whatever else
    /// was given a clone of the budget. Default: unbounded.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.policy.rules.budget = Some(budget);
        self
    }

    /// Copies requests by `requests`. Default: they are `Clone`.
    #[must_use]
    pub fn clone_request<Q>(self, requests: Q) -> RetryLayer<C, B, Q> {
        let Policy {
            classify,
            backoff,
            rules,
            ..
        } = self.policy;
        RetryLayer {
            policy: Policy {
                classify,
                backoff,
                requests,
                rules,
            },
        }
    }

    /// Copies requests by a closure. Where it makes none the request is sent once and not again.
    ///
    /// ```
    /// use backstop_retry::RetryLayer;
    ///
    /// struct Upload { file: Option<std::fs::File>, name: String }
    ///
    /// let layer = RetryLayer::new().clone_request_fn(|upload: &Upload| match &upload.file {
    ///     Some(_) => None,
    ///     None => Some(Upload { file: None, name: upload.name.clone() }),
    /// });
    /// ```
    #[must_use]
    pub fn clone_request_fn<F>(self, clone: F) -> RetryLayer<C, B, CloneRequestFn<F>> {
        self.clone_request(CloneRequestFn(clone))
    }

    /// Draws all chance from a seed, so that a test sees the same waits each time. Calls still
    /// differ from each other.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.policy.rules.seed = Some(Arc::new(Seed::new(seed)));
        self
    }
}

impl<S, C: Clone, B: Clone, R: Clone> Layer<S> for RetryLayer<C, B, R> {
    type Service = Retry<S, C, B, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry::new(inner, Arc::new(self.policy.clone()))
    }
}
