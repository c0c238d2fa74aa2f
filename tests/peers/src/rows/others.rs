//! The circuit breakers that are no layers, each in a Service of its own, and the fallback of
//! Zebra.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use failsafe::{
    Any, Config, StateMachine,
    backoff::{Constant, constant},
    failure_policy::{ConsecutiveFailures, consecutive_failures},
    futures::CircuitBreaker,
};
use recloser::{AnyError, AsyncRecloser, Recloser, RecloserFuture};
use tower_fallback::Fallback;
use tower_service::Service;

use crate::{
    bare::{Bare, Down, Flaky, Up},
    clock::NEVER,
    row::{Answered, Row},
};

/// failsafe round a service.
pub(super) struct Failsafe<S, P> {
    pub(super) machine: StateMachine<P, ()>,
    pub(super) inner: S,
}

impl<S: Clone, P> Clone for Failsafe<S, P> {
    fn clone(&self) -> Self {
        Self {
            machine: self.machine.clone(),
            inner: self.inner.clone(),
        }
    }
}

impl<S, P, Request> Service<Request> for Failsafe<S, P>
where
    S: Service<Request>,
    P: failsafe::FailurePolicy + Send + Sync,
{
    type Response = S::Response;
    type Error = failsafe::Error<S::Error>;
    type Future = failsafe::futures::ResponseFuture<S::Future, P, (), Any>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(failsafe::Error::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        CircuitBreaker::call(&self.machine, self.inner.call(request))
    }
}

/// failsafe, opening at five failures in a row.
pub(super) fn failsafe<S>(inner: S) -> Failsafe<S, ConsecutiveFailures<Constant>> {
    let policy = consecutive_failures(5, constant(NEVER));
    Failsafe {
        machine: Config::new().failure_policy(policy).build(),
        inner,
    }
}

/// failsafe at its defaults: five failures in a row, or a rate over time.
pub(super) fn failsafe_default<S>(
    inner: S,
) -> Failsafe<S, impl failsafe::FailurePolicy + Send + Sync> {
    Failsafe {
        machine: Config::new().build(),
        inner,
    }
}

/// recloser round a service.
#[derive(Clone)]
pub(super) struct Reclosing<S> {
    recloser: AsyncRecloser,
    inner: S,
}

impl<S, Request> Service<Request> for Reclosing<S>
where
    S: Service<Request>,
{
    type Response = S::Response;
    type Error = recloser::Error<S::Error>;
    type Future = RecloserFuture<S::Future, AnyError>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(recloser::Error::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.recloser.call(self.inner.call(request))
    }
}

/// recloser at its defaults, a ring of 100 calls, but open for good.
pub(super) fn recloser<S>(error_rate: f32, inner: S) -> Reclosing<S> {
    Reclosing {
        recloser: Recloser::custom()
            .error_rate(error_rate)
            .open_wait(Duration::from_secs(60 * 60))
            .build()
            .into(),
        inner,
    }
}

pub(super) fn rows() -> Vec<Row> {
    let up = Bare::<u64, Up, Down>::new(Up);
    let flaky = Bare::<u64, Flaky, Down>::new(Flaky::new());
    let down = Bare::<u64, Down, Down>::new(Down);
    vec![
        Row::new("failsafe, consecutive", failsafe(up.clone()))
            .rejected(10, Answered::None, failsafe(down.clone()))
            .failing(Answered::Half, failsafe(flaky.clone())),
        Row::new("failsafe, default", failsafe_default(up.clone())),
        Row::worn(
            "failsafe, default, after 1 M calls",
            1_000_000,
            failsafe_default(up.clone()),
        ),
        Row::new("recloser", recloser(0.5, up.clone()))
            .rejected(200, Answered::None, recloser(0.5, down.clone()))
            .failing(Answered::Half, recloser(0.9, flaky)),
        Row::worn(
            "recloser, after 1 M calls",
            1_000_000,
            recloser(0.5, up.clone()),
        ),
        Row::new("tower-fallback", Fallback::new(up.clone(), up.clone()))
            .failing(Answered::All, Fallback::new(down, up)),
    ]
}
