use std::{
    pin::Pin,
    task::{Context, Poll},
};

use ::http::Response;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::ChaosBody;
use crate::{Plan, Switch};

/// How a body breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TailFault {
    /// It ends after so many frames, as if that were all.
    EndAfter(usize),
    /// It ends after so many frames, with the error [`Reset`](super::Reset).
    ResetAfter(usize),
    /// Nothing more comes after so many frames.
    StallAfter(usize),
}

impl TailFault {
    pub(super) const fn frames(self) -> usize {
        match self {
            Self::EndAfter(frames) | Self::ResetAfter(frames) | Self::StallAfter(frames) => frames,
        }
    }
}

/// Breaks the bodies of responses as planned. It does nothing until it is switched on.
///
/// ```
/// use backstop_chaos::{Plan, http::{TailChaosLayer, TailFault}};
///
/// # fn main() -> Result<(), backstop_chaos::InvalidOdds> {
/// let plan = Plan::random(7, [(0.1, TailFault::ResetAfter(3))])?;
/// let layer = TailChaosLayer::new(plan);
/// layer.switch().turn_on();
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TailChaosLayer {
    plan: Plan<TailFault>,
    switch: Switch,
}

impl TailChaosLayer {
    /// Breaks bodies by this plan once it is switched on.
    #[must_use]
    pub fn new(plan: Plan<TailFault>) -> Self {
        Self {
            plan,
            switch: Switch::new(),
        }
    }

    /// Obeys this switch, which others may obey too.
    #[must_use]
    pub fn switched_by(mut self, switch: Switch) -> Self {
        self.switch = switch;
        self
    }

    /// Turns the faults on and off, for this layer and all that was made from it.
    #[must_use]
    pub fn switch(&self) -> Switch {
        self.switch.clone()
    }
}

impl<S> Layer<S> for TailChaosLayer {
    type Service = TailChaos<S>;

    fn layer(&self, inner: S) -> TailChaos<S> {
        TailChaos {
            inner,
            chaos: self.clone(),
        }
    }
}

/// Breaks the bodies of responses as planned: the service of [`TailChaosLayer`].
#[derive(Clone, Debug)]
pub struct TailChaos<S> {
    inner: S,
    chaos: TailChaosLayer,
}

impl<S, Request, B> Service<Request> for TailChaos<S>
where
    S: Service<Request, Response = Response<B>>,
{
    type Response = Response<ChaosBody<B>>;
    type Error = S::Error;
    type Future = TailFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let TailChaosLayer { plan, switch } = &self.chaos;
        TailFuture {
            fault: switch.is_on().then(|| plan.next()).flatten().copied(),
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The future of [`TailChaos`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct TailFuture<F> {
        #[pin]
        inner: F,
        fault: Option<TailFault>,
    }
}

impl<F, B, E> Future for TailFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ChaosBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let fault = *this.fault;
        let wrap = |response: Response<B>| response.map(|body| ChaosBody::new(body, fault));
        this.inner.poll(cx).map_ok(wrap)
    }
}
