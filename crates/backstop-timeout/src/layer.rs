use std::time::Duration;

use backstop_core::{AtOnce, UntilEnd};
use tower_layer::Layer;

use crate::{Limits, LimitsFn, Timeout};

/// Fails a call that takes longer than its limits. It begins with none: each is set by name.
///
/// ```
/// use std::time::Duration;
/// use backstop_timeout::TimeoutLayer;
///
/// let attempt = TimeoutLayer::new().response(Duration::from_secs(10));
/// let call = TimeoutLayer::new().total(Duration::from_secs(30)).readiness(Duration::from_secs(1));
/// let stream = TimeoutLayer::new().until_end().idle(Duration::from_secs(30));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer<T = AtOnce, R = ()> {
    readiness: Option<Duration>,
    limits: Limits,
    tail: T,
    per_request: R,
}

impl TimeoutLayer {
    /// A layer without limits, for responses that are complete when they come.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            readiness: None,
            limits: Limits::none(),
            tail: AtOnce,
            per_request: (),
        }
    }
}

impl Default for TimeoutLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, R> TimeoutLayer<T, R> {
    /// Limits how long the caller waits for the service to be ready. When that runs out the
    /// service reports ready and the next call fails: an error from `poll_ready` would mean a
    /// service that is gone for good.
    #[must_use]
    pub fn readiness(mut self, limit: Duration) -> Self {
        self.readiness = Some(limit);
        self
    }

    /// Limits the time from `call` to the response. For a streamed chat answer, whose call
    /// resolves with the first content, this is the limit on the first token.
    #[must_use]
    pub fn response(mut self, limit: Duration) -> Self {
        self.limits.response = Some(limit);
        self
    }

    /// Limits the whole call: the wait for readiness, the response, and the response's tail where
    /// that is watched. What is further in finds it in the call's context as its deadline.
    #[must_use]
    pub fn total(mut self, limit: Duration) -> Self {
        self.limits.total = Some(limit);
        self
    }

    /// Gives each request limits of its own, by a closure that is handed the configured ones.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backstop_timeout::{Limits, TimeoutLayer};
    ///
    /// let by_size = TimeoutLayer::new().response(Duration::from_secs(5)).limits_for(
    ///     |request: &String, mut limits: Limits| {
    ///         if request.len() > 10_000 {
    ///             limits.response = Some(Duration::from_secs(60));
    ///         }
    ///         limits
    ///     },
    /// );
    /// ```
    #[must_use]
    pub fn limits_for<F>(self, limits_for: F) -> TimeoutLayer<T, LimitsFn<F>> {
        self.per_request(LimitsFn(limits_for))
    }

    /// Gives each request limits of its own, by a rule such as `FromHttp` (feature `http`).
    #[must_use]
    pub fn per_request<Q>(self, rule: Q) -> TimeoutLayer<T, Q> {
        TimeoutLayer {
            readiness: self.readiness,
            limits: self.limits,
            tail: self.tail,
            per_request: rule,
        }
    }

    /// Watches the response's tail to its end: [`first_item`](TimeoutLayer::first_item) and
    /// [`idle`](TimeoutLayer::idle) can then be limited, and [`total`](Self::total) covers it.
    #[must_use]
    pub fn until_end(self) -> TimeoutLayer<UntilEnd, R> {
        TimeoutLayer {
            readiness: self.readiness,
            limits: self.limits,
            tail: UntilEnd,
            per_request: self.per_request,
        }
    }
}

impl<R> TimeoutLayer<UntilEnd, R> {
    /// Limits the wait for the first item of the response's tail. The clock runs only while
    /// someone waits, so a slow reader is not taken for a slow service.
    #[must_use]
    pub fn first_item(mut self, limit: Duration) -> Self {
        self.limits.first_item = Some(limit);
        self
    }

    /// Limits the wait between two items of the response's tail. The clock runs only while
    /// someone waits, so a slow reader is not taken for a slow service.
    #[must_use]
    pub fn idle(mut self, limit: Duration) -> Self {
        self.limits.idle = Some(limit);
        self
    }
}

impl<S, T: Clone, R: Clone> Layer<S> for TimeoutLayer<T, R> {
    type Service = Timeout<S, T, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout::new(
            inner,
            self.readiness,
            self.limits,
            self.tail.clone(),
            self.per_request.clone(),
        )
    }
}
