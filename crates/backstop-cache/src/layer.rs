use backstop_core::ErrorsAreTransient;
use tower_layer::Layer;

use crate::Filling;

/// Fills a [`Cache`](crate::Cache) `C` with the successes of a service. It answers nothing from
/// it: that is for [`Cached`](crate::Cached).
#[derive(Clone, Debug)]
pub struct CacheLayer<C, F, J = ErrorsAreTransient> {
    cache: C,
    key: F,
    classify: J,
    single_flight: bool,
}

impl<C, F> CacheLayer<C, F> {
    /// Keeps each success under the key that `key` reads from its request, and those without a key
    /// not at all. Any response is a success until a classifier is given.
    #[must_use]
    pub const fn new(cache: C, key: F) -> Self {
        Self {
            cache,
            key,
            classify: ErrorsAreTransient::new(),
            single_flight: false,
        }
    }
}

impl<C, F, J> CacheLayer<C, F, J> {
    /// Tells by `classify` which responses are successes.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> CacheLayer<C, F, D> {
        CacheLayer {
            cache: self.cache,
            key: self.key,
            classify,
            single_flight: self.single_flight,
        }
    }

    /// Makes one call of several that come at once with the same key: the others wait for it and
    /// take its answer. Where it fails, or its caller leaves, each of them makes a call of its own.
    /// Default: off, because a service may well answer the same request in different ways.
    #[must_use]
    pub fn single_flight(mut self) -> Self {
        self.single_flight = true;
        self
    }
}

impl<S, C: Clone, F: Clone, J: Clone> Layer<S> for CacheLayer<C, F, J> {
    type Service = Filling<S, C, F, J>;

    fn layer(&self, inner: S) -> Self::Service {
        Filling {
            inner,
            cache: self.cache.clone(),
            key: self.key.clone(),
            classify: self.classify.clone(),
            single_flight: self.single_flight,
        }
    }
}
