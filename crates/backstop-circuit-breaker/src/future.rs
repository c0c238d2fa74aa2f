//! The future of [`CircuitBreakerService`](crate::CircuitBreakerService).

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use backstop_core::{Classify, Tail, Verdict, context};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::{CircuitBreaker, Listener, TailGuard, permit::Ticket, token::Refusal};

pin_project! {
    /// The future of [`CircuitBreakerService`](crate::CircuitBreakerService).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, C, T, L: Listener> {
        #[pin]
        state: State<F, L>,
        classify: C,
        tail: T,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, L: Listener> {
        /// The service has been called.
        Called {
            #[pin]
            response: F,
            ticket: Option<Ticket<L>>,
        },
        /// The circuit refused.
        Refused {
            breaker: CircuitBreaker<L>,
            refusal: Refusal,
        },
    }
}

impl<F, C, T, L: Listener> ResponseFuture<F, C, T, L> {
    #[inline]
    pub(crate) const fn called(
        response: F,
        ticket: Option<Ticket<L>>,
        classify: C,
        tail: T,
    ) -> Self {
        Self {
            state: State::Called { response, ticket },
            classify,
            tail,
        }
    }

    pub(crate) const fn refused(
        breaker: CircuitBreaker<L>,
        refusal: Refusal,
        classify: C,
        tail: T,
    ) -> Self {
        Self {
            state: State::Refused { breaker, refusal },
            classify,
            tail,
        }
    }
}

impl<F, C, T, L, Res, E> Future for ResponseFuture<F, C, T, L>
where
    F: Future<Output = Result<Res, E>>,
    E: From<backstop_core::Open>,
    C: Classify<Res, E>,
    T: Tail<Res, TailGuard<L>>,
    L: Listener,
{
    type Output = Result<T::Response, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (response, ticket) = match this.state.project() {
            StateProj::Called { response, ticket } => (response, ticket),
            StateProj::Refused { breaker, refusal } => {
                let open = breaker.shared.refused(*refusal);
                context::leave_fault(open.fault());
                return Poll::Ready(Err(open.into()));
            }
        };
        // What another call of this thread left behind is not this one's: a fault of this call is
        // left by the very poll that returns its error.
        context::clear_fault();
        let guard = OnPanic(ticket);
        let polled = response.poll(cx);
        guard.disarm();
        let result = ready!(polled);
        let mut ticket = ticket.take().expect("polled after completion");
        let verdict = this.classify.judge(result.as_ref());
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                ticket.settle(verdict);
                return Poll::Ready(Err(error));
            }
        };
        let guard = if matches!(verdict, Verdict::Success) {
            ticket.commit(Instant::now);
            TailGuard::new(ticket)
        } else {
            ticket.settle(verdict);
            TailGuard::idle()
        };
        Poll::Ready(Ok(this.tail.attach(response, guard)))
    }
}

impl<F, C, T, L: Listener> fmt::Debug for ResponseFuture<F, C, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// Counts a failure if the service panics meanwhile.
pub(crate) struct OnPanic<'a, L: Listener>(pub(crate) &'a mut Option<Ticket<L>>);

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
        if let Some(mut ticket) = self.0.take() {
            ticket.panicked();
        }
    }
}
