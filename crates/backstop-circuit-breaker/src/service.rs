use std::task::{Context, Poll, ready};

use backstop_core::{AtOnce, Classify, ErrorsAreTransient, Open, Tail, Verdict, context};
use tokio::time::Instant;
use tower_service::Service;

use crate::{
    CircuitBreaker, Listener, TailGuard,
    future::{OnPanic, ResponseFuture},
    token::{Refusal, Token},
};

/// Stops calling a service that keeps failing: the service of
/// [`CircuitBreakerLayer`](crate::CircuitBreakerLayer).
///
/// Where the circuit refuses, `poll_ready` is ready and the call answers with [`Open`], whether or
/// not the service inside is ready: an error from `poll_ready` would mean that it is gone for
/// good, and a wait for it would be in vain.
#[derive(Debug)]
pub struct CircuitBreakerService<S, C = ErrorsAreTransient, T = AtOnce, L = ()> {
    inner: S,
    breaker: CircuitBreaker<L>,
    classify: C,
    tail: T,
    /// Why the next call is refused. The service inside was then not asked whether it is ready.
    refused: Option<Refusal>,
}

impl<S, C, T, L> CircuitBreakerService<S, C, T, L> {
    pub(crate) fn new(inner: S, breaker: CircuitBreaker<L>, classify: C, tail: T) -> Self {
        Self {
            inner,
            breaker,
            classify,
            tail,
            refused: None,
        }
    }

    /// The circuit itself, to be read and changed.
    #[must_use]
    pub fn handle(&self) -> CircuitBreaker<L> {
        self.breaker.clone()
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

impl<S: Clone, C: Clone, T: Clone, L> Clone for CircuitBreakerService<S, C, T, L> {
    /// Another service with the same circuit. It has not been asked whether it is ready.
    fn clone(&self) -> Self {
        Self::new(
            self.inner.clone(),
            self.breaker.clone(),
            self.classify.clone(),
            self.tail.clone(),
        )
    }
}

impl<S, C, T, L, Request> Service<Request> for CircuitBreakerService<S, C, T, L>
where
    S: Service<Request>,
    S::Error: From<Open>,
    C: Classify<S::Response, S::Error> + Clone,
    T: Tail<S::Response, TailGuard<L>> + Clone,
    L: Listener,
{
    type Response = T::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, C, T, L>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.refused = None;
        if !self.breaker.passes() && self.refuses() {
            return Poll::Ready(Ok(()));
        }
        let result = ready!(self.inner.poll_ready(cx));
        if let Err(error) = &result {
            let verdict = self.classify.classify(Err(error));
            self.found(&verdict);
        }
        Poll::Ready(result)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        match self.breaker.pass() {
            Some(token) if self.refused.is_none() => self.enter(token, request),
            _ => match self.ask() {
                token if token.is_void() => ResponseFuture::new(
                    None,
                    self.breaker.ticket(token),
                    self.classify.clone(),
                    self.tail.clone(),
                ),
                token => self.enter(token, request),
            },
        }
    }
}

impl<S, C: Clone, T: Clone, L: Listener> CircuitBreakerService<S, C, T, L> {
    /// Calls the service inside.
    #[inline]
    fn enter<Request>(
        &mut self,
        token: Token,
        request: Request,
    ) -> ResponseFuture<S::Future, C, T, L>
    where
        S: Service<Request>,
    {
        let mut ticket = self.breaker.ticket(token);
        let guard = OnPanic(&mut ticket);
        let response = self.inner.call(request);
        guard.disarm();
        let (classify, tail) = (self.classify.clone(), self.tail.clone());
        ResponseFuture::new(Some(response), ticket, classify, tail)
    }

    /// Whether the next call is refused.
    #[cold]
    #[inline(never)]
    fn refuses(&mut self) -> bool {
        self.refused = self.breaker.refusal(Instant::now);
        self.refused.is_some()
    }

    /// No call was made, but the service has been found failing: in a half-open circuit that takes a
    /// probe.
    #[cold]
    #[inline(never)]
    fn found(&self, verdict: &Verdict) {
        let token = self.breaker.admit_at(Instant::now());
        self.breaker.ticket(token).settle(verdict);
    }

    /// Asks the circuit about a call that does not pass unasked.
    #[cold]
    #[inline(never)]
    fn ask(&mut self) -> Token {
        match self.refused.take() {
            None => self.breaker.admit_at(context::now()),
            Some(refusal) => self.breaker.shared.refuse(refusal),
        }
    }
}
