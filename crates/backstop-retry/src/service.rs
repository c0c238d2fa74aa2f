use std::{
    sync::Arc,
    task::{Context, Poll},
};

use backstop_core::{
    Budget, Classify, ErrorsAreTransient,
    context::{self, Scope},
};
use tower_service::Service;

use crate::{
    Backoff, ByClone, CloneRequest, Exponential, asked::Asked, call::Call, future::ResponseFuture,
    policy::Policy,
};

/// Tries a call again that failed: the service of [`RetryLayer`](crate::RetryLayer).
#[derive(Debug)]
pub struct Retry<S, C = ErrorsAreTransient, B = Exponential, R = ByClone> {
    inner: S,
    policy: Arc<Policy<C, B, R>>,
}

impl<S, C, B, R> Retry<S, C, B, R> {
    pub(crate) const fn new(inner: S, policy: Arc<Policy<C, B, R>>) -> Self {
        Self { inner, policy }
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

impl<S: Clone, C, B, R> Clone for Retry<S, C, B, R> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.policy.clone())
    }
}

impl<S, C, B, R, Request> Service<Request> for Retry<S, C, B, R>
where
    S: Service<Request> + Clone,
    C: Classify<S::Response, S::Error>,
    B: Backoff,
    R: CloneRequest<Request>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, Request, C, B, R>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        let rules = &self.policy.rules;
        if context::attempt() > 0 || rules.attempts.get() == 1 {
            return self.call_once(request);
        }
        if let Some(budget) = &rules.budget {
            deposit(budget);
        }
        let copy = self.policy.requests.clone_request(&request);
        let mut scope = Scope::open();
        // A future is set down where it stays as soon as it is made: a move of it costs more than
        // all else here.
        let asked;
        let response = {
            let _trail = scope.enter();
            let _attempt = context::enter_attempt(1);
            asked = Asked::since(context::mark());
            self.inner.call(request)
        };
        // The service that was made ready is the one that was called; its clone is for later.
        let spare = copy.is_some().then(|| self.inner.clone());
        let policy = self.policy.clone();
        ResponseFuture::new(response, scope, Call::first(asked, policy, spare, copy))
    }
}

impl<S, C, B, R> Retry<S, C, B, R> {
    /// A call that is not tried again: attempts of attempts would multiply, so the retry further
    /// out sees to it; or one attempt is all there is to be.
    #[cold]
    fn call_once<Request>(&mut self, request: Request) -> ResponseFuture<S, Request, C, B, R>
    where
        S: Service<Request>,
    {
        let mut scope = Scope::open();
        let outer = context::attempt();
        if let (0, Some(budget)) = (outer, &self.policy.rules.budget) {
            deposit(budget);
        }
        let asked;
        let response = {
            let _trail = scope.enter();
            let _attempt = context::enter_attempt(outer.max(1));
            asked = Asked::since(context::mark());
            self.inner.call(request)
        };
        let policy = self.policy.clone();
        let call = match outer {
            0 => Call::first(asked, policy, None, None),
            _ => Call::within(outer, asked, policy),
        };
        ResponseFuture::new(response, scope, call)
    }
}

/// A call begins. One that comes here because another candidate failed, or does not answer, has
/// made its deposit.
#[inline]
fn deposit(budget: &Budget) {
    if context::is_first() {
        budget.deposit();
    }
}
