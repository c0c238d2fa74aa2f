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

use super::{
    run::Run,
    state::{State, Step},
};
use crate::{MapRequest, order::Order, policy::exhausted};

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
            let next = match this.state.as_mut().step(run, cx) {
                Step::Pending => return Poll::Pending,
                Step::Idle => panic!("polled after completion"),
                Step::Nobody(_) => return Poll::Ready(Err(run.nobody())),
                Step::Unready(_, fault, error) => match run.next(None) {
                    Some(next) => next,
                    None => return Poll::Ready(Err(exhausted(fault, error))),
                },
                Step::Finished(turn, result) => {
                    let Some(fault) = run.finished(&turn, &result) else {
                        return Poll::Ready(result);
                    };
                    match run.next(Some(fault.kind())) {
                        Some(next) => next,
                        None => return Poll::Ready(run.last(fault, result)),
                    }
                }
            };
            context::clear_fault();
            this.state.set(State::waiting(next));
        }
    }
}
