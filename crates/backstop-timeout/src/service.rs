use std::{
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::{AtOnce, Elapsed, Limit, Tail};
use tower_service::Service;

use crate::{
    Limits, LimitsFor, Pace, Paced, cut::Cut, future::ResponseFuture, readiness::Readiness,
};

/// Fails a call that takes longer than its limits: the service of
/// [`TimeoutLayer`](crate::TimeoutLayer).
#[derive(Debug)]
pub struct Timeout<S, T = AtOnce, R = ()> {
    inner: S,
    readiness: Option<Duration>,
    limits: Limits,
    /// Which of the limits is due first.
    cut: Cut,
    tail: T,
    per_request: R,
    waiting: Readiness,
}

impl<S, T, R> Timeout<S, T, R> {
    pub(crate) fn new(
        inner: S,
        readiness: Option<Duration>,
        limits: Limits,
        tail: T,
        per_request: R,
    ) -> Self {
        Self {
            inner,
            readiness,
            limits,
            cut: Cut::first(&limits),
            tail,
            per_request,
            waiting: Readiness::default(),
        }
    }

    /// Which limit ends a wait for readiness.
    fn limit_on_readiness(&self) -> Limit {
        match (self.readiness, self.limits.total) {
            (Some(readiness), total) if total.is_none_or(|total| readiness <= total) => {
                Limit::Readiness
            }
            _ => Limit::Total,
        }
    }

    /// The service inside.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, T: Clone, R: Clone> Clone for Timeout<S, T, R> {
    /// A new clone has not been asked whether it is ready, so nobody waits for it yet.
    fn clone(&self) -> Self {
        Self::new(
            self.inner.clone(),
            self.readiness,
            self.limits,
            self.tail.clone(),
            self.per_request.clone(),
        )
    }
}

impl<S, T, R, Request> Service<Request> for Timeout<S, T, R>
where
    S: Service<Request>,
    S::Error: From<Elapsed>,
    T: Paced + Tail<S::Response, Pace>,
    R: LimitsFor<Request>,
{
    type Response = T::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, T>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        match self.inner.poll_ready(cx) {
            Poll::Ready(result) => {
                self.waiting.ready();
                Poll::Ready(result)
            }
            Poll::Pending => match earlier(self.readiness, self.limits.total) {
                Some(limit) => self.waiting.poll_elapsed(limit, cx).map(Ok),
                None => Poll::Pending,
            },
        }
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        // What is configured is looked at where it is, as most calls need next to nothing of it.
        let (own, left);
        // A deadline is a request's own.
        let (mut limits, mut cut, deadline) = if R::ARE_CONFIGURED {
            (&self.limits, self.cut.anew(), None)
        } else {
            own = self.per_request.limits_for(&request, self.limits);
            (&own, Cut::first(&own), own.deadline)
        };
        let is_in_time = match self.waiting.take() {
            None => cut.begin(deadline),
            Some(waited) => {
                left = limits.after(waited.unwrap_or_default());
                limits = &left;
                let is_in_time;
                (cut, is_in_time) = Cut::after(waited, left, self.limit_on_readiness());
                is_in_time
            }
        };
        let items = T::items(limits, &mut cut.due);
        let tail = self.tail.clone();
        let response = if is_in_time {
            let _time = cut.due.enter();
            Some(self.inner.call(request))
        } else {
            None
        };
        ResponseFuture::new(response, cut, items, tail)
    }
}

#[inline]
fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
