use std::{
    sync::Arc,
    task::{Context, Poll},
};

use backstop_core::{
    BoxError, Classify, Exhausted, Fault,
    context::{self, Scope},
};
use tower_service::Service;

use super::{
    Candidate, Chain, ChainFuture,
    list::List,
    run::{Clock, Run},
    state::State,
};
use crate::{MapRequest, order::Order, policy::NOT_READY};

/// The candidate that the next call asks first.
pub(super) struct First<S, M> {
    /// Where it was picked from: another list makes another pick.
    list: Arc<List<S, M>>,
    place: usize,
    service: S,
    /// Whether it can take the next call, from when it is asked until that call.
    standing: Option<Result<(), Fault>>,
}

/// A call that has begun, and the trail that it keeps.
type Begun<S, F, M, C, O, Request> = (State<S, F>, Run<S, M, C, O, Request>, Scope);

impl<S, M, C, O, Request> Service<Request> for Chain<S, M, C, O>
where
    S: Service<M::Request> + Clone,
    S::Error: From<Exhausted> + Into<BoxError>,
    M: MapRequest<Request>,
    C: Classify<S::Response, S::Error> + Clone,
    O: Order + Clone,
    Request: Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ChainFuture<S, S::Future, M, C, O, Request>;

    /// Ready either way: a first candidate that is not is passed over by the next call.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let list = self.list.load();
        let known = self.first.take();
        let known = known.filter(|first| Arc::ptr_eq(&first.list, list));
        let place = match &known {
            // Asked again before the call: about the same candidate.
            Some(first) if first.standing.is_some() => Some(first.place),
            _ => {
                let able = |candidate: &Candidate<S, M>| candidate.steps_in(None, self.policy.on);
                list.pick(&self.order, list.places(list.enabled(), able))
            }
        };
        let Some(place) = place else {
            return Poll::Ready(Ok(()));
        };
        let mut service = match known {
            Some(first) if first.place == place => first.service,
            _ => list.at(place).service().clone(),
        };
        let standing = match service.poll_ready(cx) {
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(error)) => Err(self.policy.not_ready::<S::Response, _>(&error)),
            Poll::Pending => Err(NOT_READY),
        };
        self.first = Some(First {
            list: list.clone(),
            place,
            service,
            standing: Some(standing),
        });
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (state, run, scope) = self.begin(request);
        ChainFuture { state, run, scope }
    }
}

impl<S, M, C: Clone, O: Order + Clone> Chain<S, M, C, O> {
    /// Begins a call: with the candidate that was asked whether it is ready, where that is still
    /// the one to begin with.
    pub(super) fn begin<Request>(
        &mut self,
        request: Request,
    ) -> Begun<S, S::Future, M, C, O, Request>
    where
        S: Service<M::Request> + Clone,
        M: MapRequest<Request>,
        Request: Clone,
    {
        let list = self.list.load().clone();
        let first = self.first.as_mut();
        let first = first.filter(|first| Arc::ptr_eq(&first.list, &list));
        let mut scope = Scope::open();
        let mut run = Run::new(list, self.order.clone(), self.policy.clone(), request);
        let state = first.map_or(State::seeking(), |first| first.call(&mut run, &mut scope));
        (state, run, scope)
    }
}

impl<S, M> First<S, M> {
    fn call<C, O, Request>(
        &mut self,
        run: &mut Run<S, M, C, O, Request>,
        scope: &mut Scope,
    ) -> State<S, S::Future>
    where
        S: Service<M::Request> + Clone,
        M: MapRequest<Request>,
        O: Order,
        Request: Clone,
    {
        let mut clock = Clock::default();
        let Some(standing) = self.standing.take() else {
            return State::seeking();
        };
        let mut turn = match run.turn(self.place, &mut clock) {
            Ok(turn) => turn,
            Err(passed_over) => {
                scope.record(passed_over);
                return State::seeking();
            }
        };
        let ahead = run.ahead(&mut clock);
        match standing {
            Ok(()) => {
                let _alternatives = context::enter_alternatives(ahead.others());
                let response = run.call(&mut turn, &mut self.service, ahead, &clock);
                State::called(turn, response)
            }
            Err(fault) if ahead.others() => {
                scope.record(run.passed_over(&turn, fault));
                State::seeking()
            }
            // The first is the last, so it is waited for.
            Err(_) => State::waiting((turn, self.service.clone())),
        }
    }
}
