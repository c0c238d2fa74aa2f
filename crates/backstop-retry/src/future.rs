//! The future of [`Retry`](crate::Retry).

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use backstop_core::{
    Classify, Deadline, Fault, Timer, Withdrawal,
    context::{self, Mark, Scope},
};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use crate::{
    Backoff, CloneRequest,
    call::{Call, Last},
};

pin_project! {
    /// The future of [`Retry`](crate::Retry).
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, Request, C, B, R>
    where
        S: Service<Request>,
    {
        #[pin]
        pub(crate) state: State<S::Future, S::Error>,
        pub(crate) scope: Scope,
        pub(crate) call: Call<S, Request, C, B, R>,
    }
}

pin_project! {
    #[project = StateProj]
    pub(crate) enum State<F, E> {
        /// An attempt has been made.
        Called { #[pin] response: F },
        /// An attempt failed and its future has been dropped. The next one is made when its time
        /// has come, if the service is ready then.
        Waiting {
            timer: Timer,
            // For the coming attempt. It goes back where it came from if that is never made.
            paid: Option<Withdrawal>,
            last: Option<Last<E>>,
        },
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

    // What is rare is kept out of here, so that what remains costs less than calling it would.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let _trail = this.scope.enter();
        loop {
            if let StateProj::Called { response } = this.state.as_mut().project() {
                let mark = context::mark();
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
                let failed = (&fault, mark);
                if let Err(result) = this.state.as_mut().fail(this.call, result, failed, cx) {
                    return Poll::Ready(result);
                }
            }
            // Spelled out, as what `?` makes of it in between would take the result apart by bytes.
            match this.state.as_mut().poll_again(this.call, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
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
        (fault, mark): (&Fault, Mark),
        cx: &mut Context<'_>,
    ) -> Result<(), Result<Res, E>>
    where
        S: Service<Request> + Clone,
        B: Backoff,
        R: CloneRequest<Request>,
    {
        let Some((wait, paid)) = call.failed(fault, mark) else {
            return Err(result);
        };
        let mut timer = Timer::new();
        // A timer of no time at all would still take up to a millisecond, tokio's resolution.
        if !wait.is_zero() {
            timer.set(Deadline::after(Instant::now(), wait).instant());
        }
        // What the attempt held is given back first: its place in a limit, say.
        self.set(Self::Waiting {
            timer,
            paid: None,
            last: None,
        });
        if result.is_ok() && !call.is_ready(cx) {
            // There would be nothing to return once this is dropped, and the next attempt would
            // have to queue. What was to be paid for it goes back.
            return Err(result);
        }
        if let StateProj::Waiting {
            paid: kept, last, ..
        } = self.project()
        {
            *kept = paid;
            *last = Last::keep(result);
        }
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
        let StateProj::Waiting { timer, paid, last } = self.as_mut().project() else {
            return Poll::Ready(Ok(()));
        };
        if timer.is_set() {
            ready!(timer.poll(cx));
        }
        let ready = call.poll_ready(cx)?;
        if ready.is_pending() || (last.is_some() && call.is_late()) {
            if let Some(last) = last.take() {
                *paid = None;
                return Poll::Ready(Err(last.give_back()));
            }
            ready!(ready);
        }
        let response = call.attempt(paid.take());
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
