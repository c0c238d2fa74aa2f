use std::task::{Context, Poll};

use backstop_core::{
    Classify, ErrorsAreTransient,
    context::{self, Scope},
};
use tower_service::Service;

use crate::{
    Backoff, ByClone, CloneRequest, Exponential, call::Call, future::ResponseFuture, policy::Policy,
};

/// Tries a call again that failed: the service of [`RetryLayer`](crate::RetryLayer).
#[derive(Clone, Debug)]
pub struct Retry<S, C = ErrorsAreTransient, B = Exponential, R = ByClone> {
    inner: S,
    policy: Policy<C, B, R>,
}

impl<S, C, B, R> Retry<S, C, B, R> {
    pub(crate) const fn new(inner: S, policy: Policy<C, B, R>) -> Self {
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

impl<S, C, B, R, Request> Service<Request> for Retry<S, C, B, R>
where
    S: Service<Request> + Clone,
    C: Classify<S::Response, S::Error> + Clone,
    B: Backoff,
    R: CloneRequest<Request> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, Request, C, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let outer = context::attempt();
        if outer > 0 {
            // Attempts of attempts would multiply: the retry further out sees to it.
            let response = self.inner.call(request);
            return ResponseFuture::new(response, Scope::open(), Call::within(outer));
        }

        let mut scope = Scope::open();
        let (response, call) = {
            let _trail = scope.enter();
            let call = Call::first(&self.inner, &request, &self.policy);
            let _attempt = context::enter_attempt(1);
            (self.inner.call(request), call)
        };
        ResponseFuture::new(response, scope, call)
    }
}
