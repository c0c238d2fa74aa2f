use std::task::{Context, Poll};

use tower_service::Service;

use crate::{Mishap, Plan, Switch, future::ResponseFuture};

/// Makes calls fail as planned: the service of [`ChaosLayer`](crate::ChaosLayer).
#[derive(Debug)]
pub struct Chaos<S, Res, E> {
    pub(crate) inner: S,
    pub(crate) plan: Plan<Mishap<Res, E>>,
    pub(crate) switch: Switch,
}

impl<S, Res, E> Chaos<S, Res, E> {
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

impl<S: Clone, Res, E> Clone for Chaos<S, Res, E> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            plan: self.plan.clone(),
            switch: self.switch.clone(),
        }
    }
}

impl<S, Request> Service<Request> for Chaos<S, S::Response, S::Error>
where
    S: Service<Request>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // A call that is let through by the switch is none of the plan's.
        let mishap = self.switch.is_on().then(|| self.plan.next()).flatten();
        match mishap {
            None => ResponseFuture::called(self.inner.call(request)),
            // It is called here, and not after the wait, because it is ready now.
            Some(mishap) if mishap.calls() => {
                ResponseFuture::called(self.inner.call(request)).befallen(mishap)
            }
            Some(mishap) => ResponseFuture::instead(mishap),
        }
    }
}
