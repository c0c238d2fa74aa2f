//! A stack of layers over a service that cannot fail.

use std::{
    convert::Infallible,
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{BoxError, context};

/// Puts layers round a service that cannot fail, an axum route say, and turns the errors that
/// they make into responses, so that the whole cannot fail either.
///
/// Inside, it lifts the service's `Infallible` to [`BoxError`], which every layer can work with;
/// outside, it hands each error to `respond`. An adapter on the outside alone could not do that:
/// no layer can make an `Infallible`.
///
/// A readiness error is kept and answered by the next call, because an error from `poll_ready`
/// would mean a service that is gone for good.
///
/// ```
/// use std::convert::Infallible;
/// use backstop_core::{AbsorbLayer, BoxError};
/// use tower::{Layer, ServiceExt, layer::util::Identity, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let inner = service_fn(|n: u32| async move { Ok::<_, Infallible>(n + 1) });
/// let layers = Identity::new(); // the layers of a stack
/// let service = AbsorbLayer::new(layers, |_error: BoxError| 0).layer(inner);
/// assert_eq!(service.oneshot(41).await, Ok(42));
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct AbsorbLayer<L, F> {
    layers: L,
    respond: F,
}

impl<L, F> AbsorbLayer<L, F> {
    /// Puts `layers` round a service and answers their errors with `respond`.
    pub const fn new(layers: L, respond: F) -> Self {
        Self { layers, respond }
    }
}

impl<S, L, F> Layer<S> for AbsorbLayer<L, F>
where
    L: Layer<Lift<S>>,
    F: Clone,
{
    type Service = Absorb<L::Service, F>;

    fn layer(&self, inner: S) -> Self::Service {
        Absorb {
            inner: self.layers.layer(Lift { inner }),
            respond: self.respond.clone(),
            not_ready: None,
        }
    }
}

impl<L: fmt::Debug, F> fmt::Debug for AbsorbLayer<L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbsorbLayer")
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

/// The service inside: its `Infallible` lifted to [`BoxError`].
#[derive(Clone, Copy, Debug)]
pub struct Lift<S> {
    inner: S,
}

impl<S, Request> Service<Request> for Lift<S>
where
    S: Service<Request, Error = Infallible>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = LiftFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(|never| match never {})
    }

    fn call(&mut self, request: Request) -> Self::Future {
        LiftFuture {
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The future of [`Lift`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct LiftFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, Res> Future for LiftFuture<F>
where
    F: Future<Output = Result<Res, Infallible>>,
{
    type Output = Result<Res, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project()
            .inner
            .poll(cx)
            .map_err(|never| match never {})
    }
}

/// The service outside: errors turned into responses.
pub struct Absorb<S, F> {
    inner: S,
    respond: F,
    /// Why the service was not ready, to be answered by the next call.
    not_ready: Option<BoxError>,
}

impl<S: Clone, F: Clone> Clone for Absorb<S, F> {
    /// A new clone has not been asked whether it is ready, so it carries no readiness error.
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            respond: self.respond.clone(),
            not_ready: None,
        }
    }
}

impl<S: fmt::Debug, F> fmt::Debug for Absorb<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Absorb")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, F, Request> Service<Request> for Absorb<S, F>
where
    S: Service<Request, Error = BoxError>,
    F: FnMut(BoxError) -> S::Response + Clone,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = AbsorbFuture<S::Future, F, S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.not_ready.is_none() {
            self.not_ready = ready!(self.inner.poll_ready(cx)).err();
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answer = match self.not_ready.take() {
            Some(error) => Answer::Kept { error: Some(error) },
            None => Answer::Called {
                inner: self.inner.call(request),
            },
        };
        AbsorbFuture {
            answer,
            respond: self.respond.clone(),
            response: PhantomData,
        }
    }
}

pin_project! {
    /// The future of [`Absorb`].
    #[must_use = "futures do nothing unless polled"]
    pub struct AbsorbFuture<Fut, F, Res> {
        #[pin]
        answer: Answer<Fut>,
        respond: F,
        response: PhantomData<fn() -> Res>,
    }
}

pin_project! {
    #[project = AnswerProj]
    enum Answer<Fut> {
        /// The service was ready and has been called.
        Called { #[pin] inner: Fut },
        /// It was not; this is why.
        Kept { error: Option<BoxError> },
    }
}

impl<Fut, F, Res> fmt::Debug for AbsorbFuture<Fut, F, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbsorbFuture").finish_non_exhaustive()
    }
}

impl<Fut, F, Res> Future for AbsorbFuture<Fut, F, Res>
where
    Fut: Future<Output = Result<Res, BoxError>>,
    F: FnMut(BoxError) -> Res,
{
    type Output = Result<Res, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let error = match this.answer.project() {
            AnswerProj::Called { inner } => match ready!(inner.poll(cx)) {
                Ok(response) => return Poll::Ready(Ok(response)),
                Err(error) => error,
            },
            AnswerProj::Kept { error } => error.take().expect("polled after completion"),
        };
        context::clear_fault();
        Poll::Ready(Ok((this.respond)(error)))
    }
}
