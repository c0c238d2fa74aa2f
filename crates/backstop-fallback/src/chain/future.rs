use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use backstop_core::{
    BoxError, Classify, Exhausted,
    context::{self, Scope},
};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::run::{Clock, Run};
use crate::{
    MapRequest,
    order::Order,
    policy::{NOT_READY, exhausted},
};

pin_project! {
    /// The future of [`Chain`](crate::Chain), over a candidate's service `S` whose future is `F`.
    #[must_use = "futures do nothing unless polled"]
    pub struct ChainFuture<S, F, M, C, O, Request> {
        #[pin]
        pub(super) state: State<S, F>,
        pub(super) run: Run<S, M, C, O, Request>,
        pub(super) scope: Scope,
    }
}

pin_project! {
    #[project = StateProj]
    pub(super) enum State<S, F> {
        /// The one that was to be asked first could not be.
        Seeking,
        /// A candidate is called as soon as it is ready.
        Waiting { service: S },
        /// A candidate has been called.
        Called { #[pin] response: F },
    }
}

impl<S, F, M, C, O, Request> fmt::Debug for ChainFuture<S, F, M, C, O, Request> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainFuture").finish_non_exhaustive()
    }
}

impl<S, F, M, C, O, Request, Res, E> Future for ChainFuture<S, F, M, C, O, Request>
where
    S: Service<M::Request, Response = Res, Error = E, Future = F> + Clone,
    F: Future<Output = Result<Res, E>>,
    M: MapRequest<Request>,
    C: Classify<Res, E>,
    O: Order,
    Request: Clone,
    E: From<Exhausted> + Into<BoxError>,
{
    type Output = Result<Res, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let run = this.run;
        let _trail = this.scope.enter();
        let _bound = run.policy().enter_bound();
        loop {
            let result = match this.state.as_mut().project() {
                StateProj::Seeking => {
                    let Some(service) = run.next(None) else {
                        return Poll::Ready(Err(run.nobody()));
                    };
                    this.state.set(State::Waiting { service });
                    continue;
                }
                StateProj::Waiting { service } => {
                    let mut clock = Clock::default();
                    let ahead = run.ahead(&mut clock);
                    let others = ahead.others();
                    let _alternatives = context::enter_alternatives(others);
                    match service.poll_ready(cx) {
                        Poll::Ready(Ok(())) => {
                            let response = run.call(service, ahead, &clock);
                            this.state.set(State::Called { response });
                        }
                        Poll::Ready(Err(error)) => {
                            let fault = run.policy().not_ready(&error);
                            run.pass_over(fault);
                            let Some(service) = run.next(None) else {
                                return Poll::Ready(Err(exhausted(fault, error)));
                            };
                            this.state.set(State::Waiting { service });
                        }
                        // Only the last is waited for.
                        Poll::Pending if others => {
                            run.pass_over(NOT_READY);
                            this.state.set(State::Seeking);
                        }
                        Poll::Pending => return Poll::Pending,
                    }
                    continue;
                }
                StateProj::Called { response } => {
                    let _alternatives = context::enter_alternatives(run.was_ahead().others());
                    match response.poll(cx) {
                        Poll::Ready(result) => result,
                        Poll::Pending => {
                            run.pending();
                            return Poll::Pending;
                        }
                    }
                }
            };
            let Some(fault) = run.finished(&result) else {
                return Poll::Ready(result);
            };
            let Some(service) = run.next(Some(fault.kind())) else {
                return Poll::Ready(run.last(fault, result));
            };
            // What the candidate holds is given back before the next one is asked.
            context::clear_fault();
            drop(result);
            this.state.set(State::Waiting { service });
        }
    }
}
