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
    Backoff, ByClone, CloneRequest, Exponential,
    call::{Call, Spare},
    future::{ResponseFuture, State},
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
        let policy = self.policy.clone();
        let Policy {
            requests, rules, ..
        } = &*policy;
        let (number, is_within, copy) = match context::attempt() {
            0 => {
                if let Some(budget) = &rules.budget {
                    deposit(budget);
                }
                let copy = match rules.attempts.get() {
                    1 => None,
                    _ => requests.clone_request(&request),
                };
                (1, false, copy)
            }
            // Within an attempt of another retry this one passes through.
            outer => (outer, true, None),
        };
        let response = {
            let _attempt = context::enter_attempt(number);
            self.inner.call(request)
        };
        // The service that was made ready is the one that was called; its clone is for later.
        let spare = copy.map(|request| Spare {
            service: self.inner.clone(),
            request,
        });
        ResponseFuture {
            state: State::Called { response },
            scope: Scope::open(),
            call: Call::new(number, is_within, policy, spare),
        }
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
