//! The future of [`CircuitBreakerService`](crate::CircuitBreakerService).

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use backstop_core::{Classify, Open, Tail, Verdict, context};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::{Listener, TailGuard, ticket::Ticket};

pin_project! {
    /// The future of [`CircuitBreakerService`](crate::CircuitBreakerService).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, C, T, L: Listener> {
        // None where the circuit refused.
        #[pin]
        response: Option<F>,
        ticket: Ticket<L>,
        classify: C,
        tail: T,
    }
}

impl<F, C, T, L: Listener> ResponseFuture<F, C, T, L> {
    #[inline]
    pub(crate) const fn new(response: Option<F>, ticket: Ticket<L>, classify: C, tail: T) -> Self {
        Self {
            response,
            ticket,
            classify,
            tail,
        }
    }
}

impl<F, C, T, L, Res, E> Future for ResponseFuture<F, C, T, L>
where
    F: Future<Output = Result<Res, E>>,
    E: From<Open>,
    C: Classify<Res, E>,
    T: Tail<Res, TailGuard<L>>,
    L: Listener,
{
    type Output = Result<T::Response, E>;

    // What is rare is kept out of here, so that what remains costs less than calling it would.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let ticket = this.ticket;
        let Some(response) = this.response.as_pin_mut() else {
            return Poll::Ready(Err(ticket.refuse().into()));
        };
        // What another call of this thread left behind is not this one's: a fault of this call is
        // left by the very poll that returns its error.
        context::clear_fault();
        let guard = OnPanic(ticket);
        let polled = response.poll(cx);
        guard.disarm();
        let Poll::Ready(result) = polled else {
            ticket.wait();
            return Poll::Pending;
        };
        match result {
            Ok(response) => {
                let guard = match this.classify.classify(Ok(&response)) {
                    Verdict::Success => TailGuard::new(ticket.commit(Instant::now)),
                    verdict => {
                        ticket.settle(&verdict);
                        TailGuard::settled()
                    }
                };
                Poll::Ready(Ok(this.tail.attach(response, guard)))
            }
            Err(error) => {
                ticket.settle(&this.classify.judge(Err(&error)));
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<F, C, T, L: Listener> fmt::Debug for ResponseFuture<F, C, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// Counts a failure if the service panics meanwhile.
pub(crate) struct OnPanic<'a, L: Listener>(pub(crate) &'a mut Ticket<L>);

impl<L: Listener> OnPanic<'_, L> {
    /// The service came back.
    #[inline]
    pub(crate) fn disarm(self) {
        mem::forget(self);
    }
}

impl<L: Listener> Drop for OnPanic<'_, L> {
    #[cold]
    fn drop(&mut self) {
        self.0.panicked();
    }
}
