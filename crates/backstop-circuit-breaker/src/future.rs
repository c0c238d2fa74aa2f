//! The future of [`CircuitBreakerService`](crate::CircuitBreakerService).

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use backstop_core::{Classify, Open, Tail, Verdict, context};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::{Listener, TailGuard, permit::Ticket, token::Refusal};

pin_project! {
    /// The future of [`CircuitBreakerService`](crate::CircuitBreakerService).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, C, T, L: Listener> {
        #[pin]
        state: State<F>,
        ticket: Ticket<L>,
        classify: C,
        tail: T,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        /// The service has been called.
        Called {
            #[pin]
            response: F,
        },
        /// The circuit refused.
        Refused { refusal: Refusal },
    }
}

impl<F, C, T, L: Listener> ResponseFuture<F, C, T, L> {
    #[inline]
    pub(crate) fn new(
        response: Result<F, Refusal>,
        ticket: Ticket<L>,
        classify: C,
        tail: T,
    ) -> Self {
        Self {
            state: match response {
                Ok(response) => State::Called { response },
                Err(refusal) => State::Refused { refusal },
            },
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

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let ticket = this.ticket;
        let response = match this.state.project() {
            StateProj::Called { response } => response,
            StateProj::Refused { refusal } => {
                let open = ticket.refused(*refusal).expect("polled after completion");
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
        let Poll::Ready(result) = polled else {
            // Whoever has the call wait has put its deadline on the clock by now. A call that is
            // answered at once need not know it.
            ticket.due(context::deadline());
            return Poll::Pending;
        };
        match (this.classify.judge(result.as_ref()), result) {
            (Verdict::Success, Ok(response)) => {
                let guard = TailGuard::new(ticket.commit(Instant::now));
                Poll::Ready(Ok(this.tail.attach(response, guard)))
            }
            (verdict, result) => {
                ticket.settle(verdict);
                let attach = |response| this.tail.attach(response, TailGuard::settled());
                Poll::Ready(result.map(attach))
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
