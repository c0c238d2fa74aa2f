//! The future of [`Fallback`](crate::Fallback).

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use backstop_core::{
    BoxError, Classify, Exhausted, Fault,
    context::{self, Mark, Scope},
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
        pub(crate) call: Call<B, Request, C, M>,
        pub(crate) scope: Scope,
    }
}

/// What a call carries from one candidate to the other.
pub(crate) struct Call<B, Request, C, M> {
    pub(crate) backup: B,
    // For the backup, until it is called.
    pub(crate) request: Option<Request>,
    pub(crate) map: M,
    pub(crate) policy: Policy<C>,
    pub(crate) names: Names,
    pub(crate) asked: Asked,
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

    // What is rare is kept out of here, so that what remains costs less than calling it would.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let call = this.call;
        let _trail = this.scope.enter();
        let _bound = call.policy.enter_bound();
        let failed = if let StateProj::Primary { response } = this.state.as_mut().project() {
            let mark = context::mark();
            let polled = {
                let _alternatives = context::enter_alternatives(true);
                response.poll(cx)
            };
            let Poll::Ready(result) = polled else {
                call.asked.own(mark, || call.names.primary());
                call.asked.pending();
                return Poll::Pending;
            };
            let fault = call.policy.fault(&result);
            if fault.is_none() && context::mark() == mark {
                return Poll::Ready(result);
            }
            Some((mark, fault, result))
        } else {
            None
        };
        call.go_on(this.state, failed, cx).result
    }
}

/// A result on the rarer ways, of another size than the result of `poll`: where it could be written
/// straight into that, the latter would be kept in memory on every way, and a processor waits for
/// what was written in parts and is read whole.
struct Apart<T> {
    result: T,
    _room: usize,
}

impl<T> Apart<T> {
    const fn new(result: T) -> Self {
        Self { result, _room: 0 }
    }
}

/// Where the trail ended before the primary's last poll, its fault, and its result.
type Failed<T> = (Mark, Option<Fault>, T);

// What comes after a failure is kept out of the way of what comes without one.
impl<B, Request, C, M> Call<B, Request, C, M>
where
    B: Service<M::Request, Error: From<Exhausted> + Into<BoxError>>,
    C: Classify<B::Response, B::Error>,
    M: MapRequest<Request>,
{
    /// The primary has failed, now or in an earlier poll: asks the backup, unless what the primary
    /// ended with is the call's result.
    #[inline(never)]
    fn go_on<P>(
        &mut self,
        mut state: Pin<&mut State<P, B::Future>>,
        failed: Option<Failed<Result<B::Response, B::Error>>>,
        cx: &mut Context<'_>,
    ) -> Apart<Poll<Result<B::Response, B::Error>>> {
        if let Some((since, fault, result)) = failed {
            if let Some(result) = self.after_failures(since, fault, result) {
                return Apart::new(Poll::Ready(result));
            }
            // What the primary holds is given back before the backup is asked.
            state.set(State::Waiting);
        }
        Apart::new(self.poll_backup(state, cx))
    }

    /// The primary failed, now or before it answered. Its result is the call's, unless the backup is
    /// to be asked.
    fn after_failures(
        &mut self,
        since: Mark,
        fault: Option<Fault>,
        result: Result<B::Response, B::Error>,
    ) -> Option<Result<B::Response, B::Error>> {
        self.asked.own(since, || self.names.primary());
        let Some(fault) = fault else {
            return Some(result);
        };
        self.asked.failed(self.names.primary(), fault);
        if !self.policy.on.contains(fault.kind()) {
            return Some(result);
        }
        if !(context::may_attempt() && time_is_left()) {
            return Some(last(fault, result));
        }
        context::clear_fault();
        drop(result);
        self.asked = Asked::now();
        None
    }

    fn poll_backup<P>(
        &mut self,
        mut state: Pin<&mut State<P, B::Future>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<B::Response, B::Error>> {
        if !matches!(*state, State::Backup { .. }) {
            let refused = match self.backup.poll_ready(cx) {
                Poll::Ready(Ok(())) => None,
                Poll::Ready(Err(error)) => {
                    let fault = self.policy.not_ready(&error);
                    Some((fault, error.into()))
                }
                // A fallback further out can do better than wait.
                Poll::Pending if context::alternatives() => Some((NOT_READY, NoCandidate.into())),
                Poll::Pending => return Poll::Pending,
            };
            if let Some((fault, error)) = refused {
                context::record(passed_over(self.names.backup(), fault));
                return Poll::Ready(Err(exhausted(fault, error)));
            }
            let request = self.request.take().expect("polled after completion");
            let response = self.backup.call(self.map.map(request));
            state.set(State::Backup { response });
        }
        let StateProj::Backup { response } = state.project() else {
            unreachable!("the backup has been called");
        };
        let mark = context::mark();
        let polled = response.poll(cx);
        self.asked.own(mark, || self.names.backup());
        let Poll::Ready(result) = polled else {
            self.asked.pending();
            return Poll::Pending;
        };
        let Some(fault) = self.policy.fault(&result) else {
            return Poll::Ready(result);
        };
        self.asked.failed(self.names.backup(), fault);
        if !self.policy.on.contains(fault.kind()) {
            return Poll::Ready(result);
        }
        Poll::Ready(last(fault, result))
    }
}

/// The last result, when nothing is left to be asked: a response is returned as it is.
pub(crate) fn last<Res, E>(fault: Fault, result: Result<Res, E>) -> Result<Res, E>
where
    E: From<Exhausted> + Into<BoxError>,
{
    result.map_err(|error| exhausted(fault, error))
}
