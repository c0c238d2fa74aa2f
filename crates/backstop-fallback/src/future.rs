//! The future of [`Fallback`](crate::Fallback).

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use backstop_core::{
    BoxError, Classify, Exhausted, Fault,
    context::{self, Scope},
};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    MapRequest, NoCandidate,
    asked::{Asked, passed_over},
    layer::Names,
    policy::{NOT_READY, Policy, exhausted, time_is_left},
};

pin_project! {
    /// The future of [`Fallback`](crate::Fallback): of a primary's future `P`, and of a backup
    /// `B` whose future is `F`.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<P, F, B, Request, C, M> {
        #[pin]
        pub(crate) state: State<P, F>,
        pub(crate) backup: B,
        // For the backup, until it is called.
        pub(crate) request: Option<Request>,
        pub(crate) map: M,
        pub(crate) policy: Policy<C>,
        pub(crate) names: Names,
        pub(crate) asked: Asked,
        pub(crate) scope: Scope,
    }
}

pin_project! {
    #[project = StateProj]
    pub(crate) enum State<P, F> {
        /// The primary has been called.
        Primary { #[pin] response: P },
        /// The backup is called as soon as it is ready: it is the last, so it is waited for.
        Waiting,
        /// The backup has been called.
        Backup { #[pin] response: F },
    }
}

impl<P, F, B, Request, C, M> fmt::Debug for ResponseFuture<P, F, B, Request, C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<P, F, B, Request, C, M, Res, E> Future for ResponseFuture<P, F, B, Request, C, M>
where
    P: Future<Output = Result<Res, E>>,
    F: Future<Output = Result<Res, E>>,
    B: Service<M::Request, Response = Res, Error = E, Future = F>,
    C: Classify<Res, E>,
    M: MapRequest<Request>,
    E: From<Exhausted> + Into<BoxError>,
{
    type Output = Result<Res, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let _trail = this.scope.enter();
        let _bound = this.policy.enter_bound();
        loop {
            let mark = context::mark();
            match this.state.as_mut().project() {
                StateProj::Primary { response } => {
                    let polled = {
                        let _alternatives = context::enter_alternatives(true);
                        response.poll(cx)
                    };
                    this.asked.own(mark, this.names.primary());
                    let Poll::Ready(result) = polled else {
                        this.asked.pending();
                        return Poll::Pending;
                    };
                    let Some(fault) = this.policy.fault(&result) else {
                        return Poll::Ready(result);
                    };
                    this.asked.failed(this.names.primary(), fault);
                    if !this.policy.on.contains(fault.kind()) {
                        return Poll::Ready(result);
                    }
                    if !(context::may_attempt() && time_is_left()) {
                        return Poll::Ready(last(fault, result));
                    }
                    // What the primary holds is given back before the backup is asked.
                    context::clear_fault();
                    drop(result);
                    this.state.set(State::Waiting);
                    *this.asked = Asked::now();
                }
                StateProj::Waiting => {
                    let refused = match this.backup.poll_ready(cx) {
                        Poll::Ready(Ok(())) => None,
                        Poll::Ready(Err(error)) => {
                            let fault = this.policy.not_ready(&error);
                            Some((fault, error.into()))
                        }
                        // A fallback further out can do better than wait.
                        Poll::Pending if context::alternatives() => {
                            Some((NOT_READY, NoCandidate.into()))
                        }
                        Poll::Pending => return Poll::Pending,
                    };
                    if let Some((fault, error)) = refused {
                        passed_over(this.names.backup(), fault);
                        return Poll::Ready(Err(exhausted(fault, error)));
                    }
                    let request = this.request.take().expect("polled after completion");
                    let response = this.backup.call(this.map.map(request));
                    this.state.set(State::Backup { response });
                }
                StateProj::Backup { response } => {
                    let polled = response.poll(cx);
                    this.asked.own(mark, this.names.backup());
                    let Poll::Ready(result) = polled else {
                        this.asked.pending();
                        return Poll::Pending;
                    };
                    let Some(fault) = this.policy.fault(&result) else {
                        return Poll::Ready(result);
                    };
                    this.asked.failed(this.names.backup(), fault);
                    if !this.policy.on.contains(fault.kind()) {
                        return Poll::Ready(result);
                    }
                    return Poll::Ready(last(fault, result));
                }
            }
        }
    }
}

/// The last result, when nothing is left to be asked: a response is returned as it is.
pub(crate) fn last<Res, E>(fault: Fault, result: Result<Res, E>) -> Result<Res, E>
where
    E: From<Exhausted> + Into<BoxError>,
{
    result.map_err(|error| exhausted(fault, error))
}
