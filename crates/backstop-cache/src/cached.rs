use std::{
    fmt,
    hash::Hash,
    marker::PhantomData,
    task::{Context, Poll},
};

use tower_service::Service;

use crate::{Cache, Keep, Mark, Marked, NotCached, Unmarked, future::CachedFuture};

/// Answers from a [`Cache`] `C`: a service like any other, meant to be the last candidate of a
/// fallback.
///
/// `F` reads the key of a request; one without a key is not answered. The types of the response
/// and of the error are those of the other candidates.
pub struct Cached<C, F, Res, Err, T = Marked> {
    cache: C,
    key: F,
    mark: T,
    reply: PhantomData<fn() -> (Res, Err)>,
}

impl<C, F, Res, Err> Cached<C, F, Res, Err> {
    /// Answers from `cache`, by the key that `key` reads from a request. An answer is marked as
    /// degraded, with its age.
    #[must_use]
    pub const fn new(cache: C, key: F) -> Self {
        Self {
            cache,
            key,
            mark: Marked,
            reply: PhantomData,
        }
    }

    /// Leaves answers unmarked, where their type has no place for a mark.
    #[must_use]
    pub fn unmarked(self) -> Cached<C, F, Res, Err, Unmarked> {
        Cached {
            cache: self.cache,
            key: self.key,
            mark: Unmarked,
            reply: PhantomData,
        }
    }
}

impl<C: Clone, F: Clone, Res, Err, T: Clone> Clone for Cached<C, F, Res, Err, T> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            key: self.key.clone(),
            mark: self.mark.clone(),
            reply: PhantomData,
        }
    }
}

impl<C: fmt::Debug, F, Res, Err, T> fmt::Debug for Cached<C, F, Res, Err, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl<K, V, P, F, Res, Err, T, Request> Service<Request> for Cached<Cache<K, V, P>, F, Res, Err, T>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    P: Keep<Res, Kept = V>,
    F: Fn(&Request) -> Option<K>,
    Err: From<NotCached>,
    T: Mark<Res>,
{
    type Response = Res;
    type Error = Err;
    type Future = CachedFuture<Res, Err>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Err>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let kept = (self.key)(&request).and_then(|key| self.cache.get(&key));
        CachedFuture::new(kept.ok_or(NotCached).map(|(kept, age)| {
            let mut response = self.cache.keep.restore(kept);
            self.mark.mark(&mut response, self.cache.name(), age);
            response
        }))
    }
}
