//! How long each part of a call may take, for all calls or for one.

use std::{fmt, time::Duration};

use backstop_core::Deadline;

/// How long each part of a call may take. What is `None` has no limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// From the call, once its future is polled, to the response.
    pub response: Option<Duration>,
    /// Until the first item of the response's tail, while someone waits for it.
    pub first_item: Option<Duration>,
    /// Between two items of the response's tail, while someone waits for the next.
    pub idle: Option<Duration>,
    /// From the call, once its future is polled, or from the first time that the caller had to wait
    /// for readiness, to the response, and to the end of its tail where that is watched.
    pub total: Option<Duration>,
    /// The instant by which the caller wants all of it over. It adds to `total`: the earlier of
    /// the two counts.
    pub deadline: Option<Deadline>,
}

impl Limits {
    /// No limit at all.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            response: None,
            first_item: None,
            idle: None,
            total: None,
            deadline: None,
        }
    }

    /// What is left of them after a wait for readiness.
    #[cold]
    #[inline(never)]
    pub(crate) fn after(&self, waited: Duration) -> Self {
        Self {
            total: self.total.map(|total| total.saturating_sub(waited)),
            ..*self
        }
    }
}

/// Gives one request limits of its own.
pub trait LimitsFor<Request> {
    /// Whether every request has the configured limits, which [`limits_for`](Self::limits_for) then
    /// hands back as they are: which of them is due first need not be found anew for each request.
    const ARE_CONFIGURED: bool = false;

    /// The limits of `request`, given those that the layer is configured with.
    fn limits_for(&self, request: &Request, configured: Limits) -> Limits;
}

/// Every request has the configured limits.
impl<Request> LimitsFor<Request> for () {
    const ARE_CONFIGURED: bool = true;

    #[inline]
    fn limits_for(&self, _: &Request, configured: Limits) -> Limits {
        configured
    }
}

/// Limits by a closure: see [`TimeoutLayer::limits_for`](crate::TimeoutLayer::limits_for).
#[derive(Clone, Copy)]
pub struct LimitsFn<F>(pub(crate) F);

impl<F, Request> LimitsFor<Request> for LimitsFn<F>
where
    F: Fn(&Request, Limits) -> Limits,
{
    fn limits_for(&self, request: &Request, configured: Limits) -> Limits {
        (self.0)(request, configured)
    }
}

impl<F> fmt::Debug for LimitsFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LimitsFn")
    }
}
