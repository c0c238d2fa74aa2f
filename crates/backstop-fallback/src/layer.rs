use std::{
    num::NonZeroU32,
    sync::{Arc, LazyLock},
};

use backstop_core::{ErrorsAreTransient, FaultKinds, Name};
use tower_layer::Layer;

use crate::{Fallback, MapFn, Same, Ungated, policy::Policy};

/// Asks a backup where the service fails. The two may be of different types; they share the type
/// of their response and of their error.
///
/// For more than two, a backup can be a fallback itself; for a list that is known only at run
/// time, see [`Chain`](crate::Chain).
///
/// ```
/// use backstop_fallback::FallbackLayer;
/// use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let by_name = service_fn(|name: String| async move { Ok::<_, BoxError>(name) });
/// let by_id = service_fn(|_: u32| async { Err::<String, BoxError>("down".into()) });
///
/// let layer = FallbackLayer::new(by_name).map_request(|id: u32| format!("user {id}"));
/// let service = ServiceBuilder::new().layer(layer).service(by_id);
/// assert_eq!(service.oneshot(7).await.unwrap(), "user 7");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FallbackLayer<B, C = ErrorsAreTransient, M = Same, G = Ungated> {
    backup: B,
    policy: Policy<C>,
    map: M,
    gate: G,
    names: Names,
}

impl<B> FallbackLayer<B> {
    /// Asks `backup` where the service fails in a way that is not the caller's doing
    /// ([`FAIL_OVER`](crate::FAIL_OVER)). Any error counts as such a failure until a classifier is
    /// given.
    #[must_use]
    pub const fn new(backup: B) -> Self {
        Self {
            backup,
            policy: Policy::DEFAULT,
            map: Same,
            gate: Ungated,
            names: Names(None),
        }
    }
}

impl<B, C, M, G> FallbackLayer<B, C, M, G> {
    /// Tells by `classify` which results are failures, and of what kind.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> FallbackLayer<B, D, M, G> {
        FallbackLayer {
            backup: self.backup,
            policy: self.policy.classify(classify),
            map: self.map,
            gate: self.gate,
            names: self.names,
        }
    }

    /// Asks the backup after failures of these kinds, in place of
    /// [`FAIL_OVER`](crate::FAIL_OVER).
    #[must_use]
    pub fn on(mut self, kinds: FaultKinds) -> Self {
        self.policy.on = kinds;
        self
    }

    /// Bounds the attempts of a whole call, those of retries further in included: once as many
    /// have been made, the backup is no longer asked. Default: no bound.
    #[must_use]
    pub fn max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.policy.max_attempts = Some(attempts);
        self
    }

    /// Sends the backup what `map` makes of the request. The backup's request may be of another
    /// type.
    #[must_use]
    pub fn map_request<F>(self, map: F) -> FallbackLayer<B, C, MapFn<F>, G> {
        FallbackLayer {
            backup: self.backup,
            policy: self.policy,
            map: MapFn(map),
            gate: self.gate,
            names: self.names,
        }
    }

    /// Asks `gate` before the service: where it refuses, the service is passed over without being
    /// called, and no request is cloned for it. The handle of the service's circuit breaker is a
    /// gate.
    #[must_use]
    pub fn gate<H>(self, gate: H) -> FallbackLayer<B, C, M, H> {
        FallbackLayer {
            backup: self.backup,
            policy: self.policy,
            map: self.map,
            gate,
            names: self.names,
        }
    }

    /// Names the two on the trail, where nothing further in does. Default: `primary`, `backup`.
    #[must_use]
    pub fn names(mut self, primary: impl Into<Name>, backup: impl Into<Name>) -> Self {
        self.names = Names(Some(Arc::new([primary.into(), backup.into()])));
        self
    }
}

impl<S, B, C, M, G> Layer<S> for FallbackLayer<B, C, M, G>
where
    B: Clone,
    C: Clone,
    M: Clone,
    G: Clone,
{
    type Service = Fallback<S, B, C, M, G>;

    fn layer(&self, inner: S) -> Self::Service {
        Fallback::new(
            inner,
            self.backup.clone(),
            self.policy.clone(),
            self.map.clone(),
            self.gate.clone(),
            self.names.clone(),
        )
    }
}

/// The names of the two: none of them is counted up by calls unless they were given.
#[derive(Clone, Debug)]
pub(crate) struct Names(Option<Arc<[Name; 2]>>);

impl Names {
    pub(crate) fn primary(&self) -> &Name {
        static PRIMARY: LazyLock<Name> = LazyLock::new(|| Name::from("primary"));
        self.0.as_ref().map_or(&PRIMARY, |names| &names[0])
    }

    pub(crate) fn backup(&self) -> &Name {
        static BACKUP: LazyLock<Name> = LazyLock::new(|| Name::from("backup"));
        self.0.as_ref().map_or(&BACKUP, |names| &names[1])
    }
}
