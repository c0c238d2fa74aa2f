//! The future of [`Retry`](crate::Retry).

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use backstop_core::{
    Classify, Fault,
    context::{self, Scope},
};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use crate::{
    Backoff, CloneRequest,
    call::{Call, Plan},
};

pin_project! {
    /// The future of [`Retry`](crate::Retry).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, Request, C, B, R>
    where
        S: Service<Request>,
    {
        #[pin]
        state: State<S::Future, S::Error>,
        scope: Scope,
        call: Call<S, Request, C, B, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, E> {
        /// An attempt has been made.
        Called { #[pin] response: F },
        /// An attempt failed, and its future has been dropped.
        Failed,
        /// The next attempt is made once the timer fires, if the service is ready then.
        Waiting {
            #[pin]
            timer: Sleep,
            plan: Option<Plan>,
            // What there is to return if the service isn't ready. A response has been let go by
            // now, and what it held with it.
            last: Option<Last<E>>,
        },
    }
}

/// An error, and the fault that a layer further in left behind it.
struct Last<E> {
    error: E,
    left: Option<Fault>,
}

impl<E> Last<E> {
    fn new(error: E) -> Self {
        let left = context::fault();
        Self { error, left }
    }

    fn into_error(self) -> E {
        if let Some(fault) = self.left {
            context::leave_fault(fault);
        }
        self.error
    }
}

impl<S, Request, C, B, R> ResponseFuture<S, Request, C, B, R>
where
    S: Service<Request>,
{
    #[inline]
    pub(crate) const fn new(
        response: S::Future,
        scope: Scope,
        call: Call<S, Request, C, B, R>,
    ) -> Self {
        Self {
            state: State::Called { response },
            scope,
            call,
        }
    }
}

impl<S, Request, C, B, R> Future for ResponseFuture<S, Request, C, B, R>
where
    S: Service<Request> + Clone,
    C: Classify<S::Response, S::Error>,
    B: Backoff,
    R: CloneRequest<Request>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let _trail = this.scope.enter();
        let call = this.call;
        loop {
            match this.state.as_mut().project() {
                StateProj::Called { response } => {
                    let polled = {
                        let _attempt = context::enter_attempt(call.number());
                        response.poll(cx)
                    };
                    let Poll::Ready(result) = polled else {
                        call.pending();
                        return Poll::Pending;
                    };
                    let Some(fault) = call.fault(result.as_ref()) else {
                        return Poll::Ready(result);
                    };
                    let Some(plan) = call.failed(&fault) else {
                        return Poll::Ready(result);
                    };
                    // What the attempt held is given back first: its place in a limit, say.
                    this.state.set(State::Failed);
                    let last = match result {
                        // There would be nothing to return once this is gone, so it is kept if
                        // the next attempt would have to queue.
                        Ok(_) if !call.is_ready(cx) => return Poll::Ready(result),
                        Ok(_) => None,
                        Err(error) => Some(Last::new(error)),
                    };
                    context::clear_fault();
                    let timer = sleep(plan.wait);
                    let plan = Some(plan);
                    this.state.set(State::Waiting { timer, plan, last });
                }
                StateProj::Failed => panic!("polled after completion"),
                StateProj::Waiting { timer, plan, last } => {
                    ready!(timer.poll(cx));
                    match call.poll_ready(cx)? {
                        Poll::Ready(()) if !(last.is_some() && call.is_late()) => {}
                        ready => match last.take() {
                            Some(last) => return Poll::Ready(Err(last.into_error())),
                            None => {
                                ready!(ready);
                            }
                        },
                    }
                    let plan = plan.take().expect("polled after completion");
                    let response = call.attempt(plan);
                    this.state.set(State::Called { response });
                }
            }
        }
    }
}

impl<S, Request, C, B, R> fmt::Debug for ResponseFuture<S, Request, C, B, R>
where
    S: Service<Request>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
