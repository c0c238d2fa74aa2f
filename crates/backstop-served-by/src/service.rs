use std::{
    sync::Arc,
    task::{Context, Poll},
};

use backstop_core::{Stamped, context::Scope};
use tower_service::Service;

use crate::{
    future::{ResponseFuture, with_trail},
    place::{InPlace, Nowhere, Place},
};

/// Says who answered: the service of [`ServedByLayer`](crate::ServedByLayer).
#[derive(Clone, Debug)]
pub struct StampService<S, P = InPlace, E = Nowhere> {
    pub(crate) inner: S,
    pub(crate) stamp: Arc<Stamped>,
    pub(crate) place: P,
    pub(crate) errors: E,
}

impl<S, P, E> StampService<S, P, E> {
    /// The service inside.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, P, E, Request> Service<Request> for StampService<S, P, E>
where
    S: Service<Request>,
    P: Place<S::Response> + Clone,
    E: Place<S::Error> + Clone,
{
    type Response = P::Stamped;
    type Error = E::Stamped;
    type Future = ResponseFuture<S::Future, P, E>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner
            .poll_ready(cx)
            .map_err(|error| self.errors.put(error, || with_trail(self.stamp.clone())))
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        ResponseFuture {
            inner: self.inner.call(request),
            stamp: Some(self.stamp.clone()),
            place: self.place.clone(),
            errors: self.errors.clone(),
            scope: Scope::open(),
        }
    }
}
