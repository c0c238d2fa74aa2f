use std::sync::Arc;

use backstop_core::{Name, ServedBy, Stamped};
use tower_layer::Layer;

use crate::{
    StampService,
    place::{Beside, InPlace, Nowhere, PutFn},
};

/// Says who answered, on every response.
///
/// It goes round each candidate of a fallback; where several are nested, the innermost wins. On the
/// trail it names the attempts that failed in it.
///
/// ```
/// use backstop_served_by::ServedByLayer;
/// use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let service = ServiceBuilder::new()
///     .layer(ServedByLayer::new("replica").degraded().beside())
///     .service(service_fn(|n: u32| async move { Ok::<_, BoxError>(n + 1) }));
///
/// let served = service.oneshot(41).await.unwrap();
/// assert_eq!(served.response, 42);
/// assert_eq!(&*served.served_by.name, "replica");
/// assert!(served.served_by.degraded);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServedByLayer<P = InPlace, E = Nowhere> {
    stamp: Arc<Stamped>,
    place: P,
    errors: E,
}

impl ServedByLayer {
    /// Says that `name` answered. The response's type has a place for that ([`Stamp`]) — for
    /// others see [`beside`](Self::beside) and [`put`](Self::put).
    ///
    /// [`Stamp`]: crate::Stamp
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Self {
            stamp: Arc::new(Stamped::new(name.into())),
            place: InPlace,
            errors: Nowhere,
        }
    }
}

impl<P, E> ServedByLayer<P, E> {
    /// Says too what was asked for, where that is not the same. A stamp from further in that does
    /// not say it is given it.
    #[must_use]
    pub fn requested(mut self, name: impl Into<Name>) -> Self {
        Arc::make_mut(&mut self.stamp).requested = Some(name.into());
        self
    }

    /// Says that its answers are lesser ones: from a cache, a static text, a lower tier.
    #[must_use]
    pub fn degraded(mut self) -> Self {
        Arc::make_mut(&mut self.stamp).degraded = true;
        self
    }

    /// Hands out the stamp beside the response, in a [`Served`](crate::Served).
    #[must_use]
    pub fn beside(self) -> ServedByLayer<Beside, E> {
        self.at(Beside)
    }

    /// Has a closure put the stamp where it belongs, on a type of another crate say.
    ///
    /// ```
    /// use backstop_served_by::{ServedBy, ServedByLayer};
    ///
    /// let layer = ServedByLayer::new("replica")
    ///     .put(|answer: &mut (String, Option<ServedBy>), stamp| answer.1 = Some(stamp));
    /// ```
    #[must_use]
    pub fn put<T, F>(self, put: F) -> ServedByLayer<PutFn<F>, E>
    where
        F: Fn(&mut T, ServedBy),
    {
        self.at(PutFn(put))
    }

    fn at<Q>(self, place: Q) -> ServedByLayer<Q, E> {
        ServedByLayer {
            stamp: self.stamp,
            place,
            errors: self.errors,
        }
    }

    /// Stamps errors as well. Their type has a place for it, as `BoxError` does: it becomes a
    /// [`StampedError`](crate::StampedError), from which `source()` leads to the error itself.
    #[must_use]
    pub fn on_errors(self) -> ServedByLayer<P, InPlace> {
        ServedByLayer {
            stamp: self.stamp,
            place: self.place,
            errors: InPlace,
        }
    }
}

impl<S, P: Clone, E: Clone> Layer<S> for ServedByLayer<P, E> {
    type Service = StampService<S, P, E>;

    fn layer(&self, inner: S) -> Self::Service {
        StampService {
            inner,
            stamp: self.stamp.clone(),
            place: self.place.clone(),
            errors: self.errors.clone(),
        }
    }
}
