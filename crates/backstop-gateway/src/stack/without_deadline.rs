//! Calls that see no deadline, as it is their caller's own.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use backstop_core::context;
use pin_project_lite::pin_project;
use tower::Service;

/// Hides the deadline from a candidate's circuit.
///
/// An attempt that is under way when its time is up counts as a failure. Where the caller has set
/// the time, that would have anyone in a hurry open the circuit for all others; without a deadline
/// the attempt is merely dropped, as where a caller leaves.
#[derive(Clone, Debug)]
pub(super) struct WithoutDeadline<S>(pub(super) S);

impl<S: Service<Request>, Request> Service<Request> for WithoutDeadline<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Undated<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let _time = context::without_deadline();
        Undated {
            response: self.0.call(request),
        }
    }
}

pin_project! {
    /// The future of [`WithoutDeadline`].
    pub(super) struct Undated<F> {
        #[pin]
        response: F,
    }
}

impl<F: Future> Future for Undated<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _time = context::without_deadline();
        self.project().response.poll(cx)
    }
}
