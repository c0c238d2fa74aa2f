use std::task::{Context, Poll};

use backstop_core::{
    BoxError, Classify, ErrorsAreTransient, Exhausted, Fault, Gate,
    context::{self, Scope},
};
use tower_service::Service;

use crate::{
    MapRequest, Same, Ungated,
    asked::{Asked, passed_over},
    future::{Call, ResponseFuture, State},
    layer::Names,
    policy::{NOT_READY, Policy},
};

/// Asks a backup where the service fails: the service of
/// [`FallbackLayer`](crate::FallbackLayer).
#[derive(Debug)]
pub struct Fallback<S, B, C = ErrorsAreTransient, M = Same, G = Ungated> {
    primary: S,
    backup: B,
    policy: Policy<C>,
    map: M,
    gate: G,
    names: Names,
    /// Why the primary could not take the next call, when last asked.
    not_ready: Option<Fault>,
}

impl<S, B, C, M, G> Fallback<S, B, C, M, G> {
    pub(crate) const fn new(
        primary: S,
        backup: B,
        policy: Policy<C>,
        map: M,
        gate: G,
        names: Names,
    ) -> Self {
        Self {
            primary,
            backup,
            policy,
            map,
            gate,
            names,
            not_ready: None,
        }
    }

    /// The service that is asked first.
    pub const fn get_ref(&self) -> &S {
        &self.primary
    }

    /// The service that is asked first.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.primary
    }

    /// The service that is asked first.
    pub fn into_inner(self) -> S {
        self.primary
    }

    /// The service that is asked where the first fails.
    pub const fn backup(&self) -> &B {
        &self.backup
    }
}

impl<S: Clone, B: Clone, C: Clone, M: Clone, G: Clone> Clone for Fallback<S, B, C, M, G> {
    /// A new clone has not been asked whether it is ready.
    fn clone(&self) -> Self {
        Self::new(
            self.primary.clone(),
            self.backup.clone(),
            self.policy.clone(),
            self.map.clone(),
            self.gate.clone(),
            self.names.clone(),
        )
    }
}

impl<S, B, C, M, G, Request> Service<Request> for Fallback<S, B, C, M, G>
where
    S: Service<Request>,
    S::Error: From<Exhausted> + Into<BoxError>,
    B: Service<M::Request, Response = S::Response, Error = S::Error> + Clone,
    C: Classify<S::Response, S::Error> + Clone,
    M: MapRequest<Request> + Clone,
    G: Gate,
    Request: Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, B::Future, B, Request, C, M>;

    /// Ready either way: a primary that is not is passed over by the next call.
    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.not_ready = None;
        match self.primary.poll_ready(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                self.not_ready = Some(self.policy.not_ready::<S::Response, _>(&error));
            }
            Poll::Pending => self.not_ready = Some(NOT_READY),
        }
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        let admitted = match self.not_ready {
            None => self.gate.admits_now(),
            Some(fault) => Err(fault),
        };
        let (state, copy, asked, scope) = match admitted {
            Ok(now) => {
                let copy = request.clone();
                let _now = now.map(context::enter_now);
                let _alternatives = context::enter_alternatives(true);
                let response = self.primary.call(request);
                let state = State::Primary { response };
                (state, copy, Asked::since(now), Scope::open())
            }
            Err(fault) => {
                let mut scope = Scope::open();
                scope.record(passed_over(self.names.primary(), fault));
                (State::Waiting, request, Asked::now(), scope)
            }
        };
        ResponseFuture {
            state,
            call: Call {
                backup: self.backup.clone(),
                request: Some(copy),
                map: self.map.clone(),
                policy: self.policy.clone(),
                names: self.names.clone(),
                asked,
            },
            scope,
        }
    }
}
