//! The futures of [`Filling`](crate::Filling) and [`Cached`](crate::Cached).

use std::{
    fmt,
    hash::Hash,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use backstop_core::{Classify, Verdict, context};
use pin_project_lite::pin_project;
use tokio::{sync::futures::OwnedNotified, time::Instant};
use tower_service::Service;

use crate::{Cache, Keep, NotCached, flight::Lead};

pin_project! {
    /// The future of [`Filling`](crate::Filling), over a service `S` whose future is `F`.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, F, Request, K, V, P, J> {
        #[pin]
        state: State<S, F, Request, K>,
        key: Option<K>,
        cache: Cache<K, V, P>,
        classify: J,
        began: Instant,
    }
}

pin_project! {
    #[project = StateProj]
    pub(crate) enum State<S, F, Request, K> {
        /// The service has been called.
        Called {
            #[pin]
            response: F,
            lead: Option<Lead<K>>,
        },
        /// Another call of the same key is waited for; where that fails, the service is called as
        /// soon as it is ready.
        Following {
            #[pin]
            over: Option<OwnedNotified>,
            request: Option<Request>,
            service: S,
        },
    }
}

impl<S, F, Request, K, V, P, J> ResponseFuture<S, F, Request, K, V, P, J> {
    pub(crate) fn new(
        state: State<S, F, Request, K>,
        key: Option<K>,
        cache: Cache<K, V, P>,
        classify: J,
    ) -> Self {
        Self {
            state,
            key,
            cache,
            classify,
            began: Instant::now(),
        }
    }
}

impl<S, F, Request, K, V, P, J> fmt::Debug for ResponseFuture<S, F, Request, K, V, P, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<S, F, Request, K, V, P, J, Res, Err> Future for ResponseFuture<S, F, Request, K, V, P, J>
where
    S: Service<Request, Response = Res, Error = Err, Future = F>,
    F: Future<Output = Result<Res, Err>>,
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    P: Keep<Res, Kept = V>,
    J: Classify<Res, Err>,
{
    type Output = Result<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Called { response, lead } => {
                    let result = ready!(response.poll(cx));
                    if let (Ok(response), Some(key)) = (&result, this.key.take()) {
                        let verdict = this.classify.classify(Ok(response));
                        if matches!(verdict, Verdict::Success) {
                            if let Some(kept) = this.cache.keep.keep(response) {
                                this.cache.insert(key, kept);
                            }
                        }
                    }
                    // Those that wait for it find its answer in the cache.
                    *lead = None;
                    return Poll::Ready(result);
                }
                StateProj::Following {
                    mut over,
                    request,
                    service,
                } => {
                    if let Some(leader) = over.as_mut().as_pin_mut() {
                        ready!(leader.poll(cx));
                        over.set(None);
                        let kept = this.key.as_ref().and_then(|key| this.cache.get(key));
                        // An older answer is not what was waited for.
                        let waited = Instant::now().saturating_duration_since(*this.began);
                        if let Some((kept, _)) = kept.filter(|(_, age)| *age <= waited) {
                            return Poll::Ready(Ok(this.cache.keep.restore(kept)));
                        }
                    }
                    ready!(service.poll_ready(cx))?;
                    let request = request.take().expect("polled after completion");
                    let response = service.call(request);
                    this.state.set(State::Called {
                        response,
                        lead: None,
                    });
                }
            }
        }
    }
}

/// The future of [`Cached`](crate::Cached): ready at once.
#[must_use = "futures do nothing unless polled"]
pub struct CachedFuture<Res, Err> {
    /// What was found, until it is handed out.
    found: Option<Result<Res, NotCached>>,
    error: PhantomData<fn() -> Err>,
}

impl<Res, Err> CachedFuture<Res, Err> {
    pub(crate) const fn new(found: Result<Res, NotCached>) -> Self {
        Self {
            found: Some(found),
            error: PhantomData,
        }
    }
}

// What was found is never pinned.
impl<Res, Err> Unpin for CachedFuture<Res, Err> {}

impl<Res, Err> fmt::Debug for CachedFuture<Res, Err> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedFuture").finish_non_exhaustive()
    }
}

impl<Res, Err: From<NotCached>> Future for CachedFuture<Res, Err> {
    type Output = Result<Res, Err>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let found = self.get_mut().found.take();
        Poll::Ready(found.expect("polled after completion").map_err(|error| {
            // By the poll that returns the error: a fault that is left in `call` is forgotten until
            // then.
            context::leave_fault(error.fault());
            error.into()
        }))
    }
}
