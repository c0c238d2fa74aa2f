use std::{
    hash::Hash,
    task::{Context, Poll},
};

use backstop_core::{Classify, ErrorsAreTransient};
use tower_service::Service;

use crate::{
    Cache, Keep,
    flight::Part,
    future::{ResponseFuture, State},
};

/// Fills a cache with the successes of a service: the service of
/// [`CacheLayer`](crate::CacheLayer).
#[derive(Clone, Debug)]
pub struct Filling<S, C, F, J = ErrorsAreTransient> {
    pub(crate) inner: S,
    pub(crate) cache: C,
    pub(crate) key: F,
    pub(crate) classify: J,
    pub(crate) single_flight: bool,
}

impl<S, C, F, J> Filling<S, C, F, J> {
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

impl<S, K, V, P, F, J, Request> Service<Request> for Filling<S, Cache<K, V, P>, F, J>
where
    S: Service<Request> + Clone,
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    P: Keep<S::Response, Kept = V> + Clone,
    F: Fn(&Request) -> Option<K>,
    J: Classify<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, S::Future, Request, K, V, P, J>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let key = (self.key)(&request);
        let part = key
            .clone()
            .filter(|_| self.single_flight)
            .map(|key| self.cache.flights.join(key));
        let state = match part {
            Some(Part::Follows(over)) => State::Following {
                over: Some(over),
                request: Some(request),
                // The one that is ready stays ready for a call that is really made.
                service: self.inner.clone(),
            },
            Some(Part::Leads(lead)) => State::Called {
                response: self.inner.call(request),
                lead: Some(lead),
            },
            None => State::Called {
                response: self.inner.call(request),
                lead: None,
            },
        };
        ResponseFuture::new(state, key, self.cache.clone(), self.classify.clone())
    }
}
