//! So many requests a minute.

use std::{fmt, num::NonZeroU32, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};

/// What limits are by.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// What one limit still allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Left {
    /// The whole limit, each minute.
    pub(crate) limit: u64,
    /// How much of it is left.
    pub(crate) remaining: u64,
    /// When all of it is there again.
    pub(crate) reset: Duration,
}

impl Left {
    /// Nothing is left of this limit, all of which is there again after `reset`.
    pub(super) const fn none(limit: u64, reset: Duration) -> Self {
        Self {
            limit,
            remaining: 0,
            reset,
        }
    }
}

/// What a caller's limits still allow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Allowance {
    /// Requests, where they are limited.
    pub(crate) requests: Option<Left>,
    /// Tokens, where they are limited.
    pub(crate) tokens: Option<Left>,
}

/// A caller is over one of its limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Over {
    /// Over which: `requests per minute`.
    pub(crate) limit: &'static str,
    /// When to try again.
    pub(crate) retry_after: Duration,
    /// What is left of it: nothing.
    pub(crate) allowance: Allowance,
}

impl Over {
    /// Over the limit of calls at a time. One may end at any moment.
    pub(super) fn concurrent() -> Self {
        Self {
            limit: "concurrent requests",
            retry_after: Duration::from_secs(1),
            allowance: Allowance::default(),
        }
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this key is over its limit of {}", self.limit)
    }
}

/// A limit on requests.
pub(super) struct Requests {
    limit: NonZeroU32,
    limiter: RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>,
}

impl Requests {
    pub(super) fn new(limit: NonZeroU32) -> Self {
        Self {
            limit,
            limiter: DefaultDirectRateLimiter::direct(Quota::per_minute(limit))
                .with_middleware::<StateInformationMiddleware>(),
        }
    }

    /// Counts one request, where it is within the limit.
    pub(super) fn check(&self) -> Result<Left, Over> {
        match self.limiter.check() {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = self.limit.get().saturating_sub(remaining);
                Ok(Left {
                    limit: self.limit.get().into(),
                    remaining: remaining.into(),
                    reset: MINUTE / self.limit.get() * used,
                })
            }
            Err(over) => Err(Over {
                limit: "requests per minute",
                retry_after: over.wait_time_from(DefaultClock::default().now()),
                allowance: Allowance {
                    requests: Some(Left::none(self.limit.get().into(), MINUTE)),
                    tokens: None,
                },
            }),
        }
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
