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
    #[repr(u8)]
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
        loop {
            if let StateProj::Called { response } = this.state.as_mut().project() {
                let polled = {
                    let _attempt = context::enter_attempt(this.call.number());
                    response.poll(cx)
                };
                let Poll::Ready(result) = polled else {
                    this.call.pending();
                    return Poll::Pending;
                };
                let Some(fault) = this.call.fault(result.as_ref()) else {
                    return Poll::Ready(result);
                };
                if let Err(result) = this.state.as_mut().fail(this.call, result, &fault, cx) {
                    return Poll::Ready(result);
                }
            }
            ready!(this.state.as_mut().poll_again(this.call, cx)?);
        }
    }
}

impl<F, Res, E> State<F, E>
where
    F: Future<Output = Result<Res, E>>,
{
    /// Goes on to the wait for the next attempt, or gives the result back if there is none.
    #[cold]
    fn fail<S, Request, C, B, R>(
        mut self: Pin<&mut Self>,
        call: &mut Call<S, Request, C, B, R>,
        result: Result<Res, E>,
        fault: &Fault,
        cx: &mut Context<'_>,
    ) -> Result<(), Result<Res, E>>
    where
        S: Service<Request> + Clone,
        B: Backoff,
        R: CloneRequest<Request>,
    {
        let Some(plan) = call.failed(fault) else {
            return Err(result);
        };
        // What the attempt held is given back first: its place in a limit, say.
        self.set(Self::Failed);
        let last = match result {
            // There would be nothing to return once this is gone, so it is kept if the next
            // attempt would have to queue.
            Ok(_) if !call.is_ready(cx) => return Err(result),
            Ok(_) => None,
            Err(error) => Some(Last::new(error)),
        };
        context::clear_fault();
        let timer = sleep(plan.wait);
        let plan = Some(plan);
        self.set(Self::Waiting { timer, plan, last });
        Ok(())
    }

    /// Makes the next attempt, once its time has come.
    #[cold]
    fn poll_again<S, Request, C, B, R>(
        mut self: Pin<&mut Self>,
        call: &mut Call<S, Request, C, B, R>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), E>>
    where
        S: Service<Request, Response = Res, Error = E, Future = F>,
        C: Classify<Res, E>,
        R: CloneRequest<Request>,
    {
        let StateProj::Waiting { timer, plan, last } = self.as_mut().project() else {
            panic!("polled after completion");
        };
        ready!(timer.poll(cx));
        match (call.poll_ready(cx)?, last.is_some()) {
            (Poll::Ready(()), true) if !call.is_late() => {}
            (Poll::Ready(()), false) => {}
            (Poll::Pending, false) => return Poll::Pending,
            _ => {
                let last = last.take().expect("it is there");
                return Poll::Ready(Err(last.into_error()));
            }
        }
        let plan = plan.take().expect("polled after completion");
        let response = call.attempt(plan);
        self.set(Self::Called { response });
        Poll::Ready(Ok(()))
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
