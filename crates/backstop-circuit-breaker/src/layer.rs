use backstop_core::{AtOnce, ErrorsAreTransient, Name, UntilEnd};
use tower_layer::Layer;

use crate::{CircuitBreaker, CircuitBreakerService, Policy};

/// Stops calling a service that keeps failing: a circuit, and how to tell what a call came to.
///
/// The circuit belongs to the layer. Clones of it, and all services that it is put round, share
/// the circuit: axum puts a layer round its routes again for each connection.
///
/// ```
/// use backstop_circuit_breaker::{CircuitBreakerLayer, Policy};
///
/// let by_default = CircuitBreakerLayer::new("search");
/// let by_policy = Policy::new().layer("anthropic").until_end();
/// let handle = by_policy.handle(); // reads the circuit, and changes it
/// ```
///
/// A policy is no layer, so that two services don't share a circuit by mistake:
///
/// ```compile_fail
/// # use backstop_circuit_breaker::Policy;
/// # use tower::{BoxError, ServiceBuilder, service_fn};
/// # let inner = service_fn(|n: u32| async move { Ok::<_, BoxError>(n) });
/// let service = ServiceBuilder::new().layer(Policy::new()).service(inner);
/// ```
#[derive(Debug)]
pub struct CircuitBreakerLayer<C = ErrorsAreTransient, T = AtOnce, L = ()> {
    breaker: CircuitBreaker<L>,
    classify: C,
    tail: T,
}

impl CircuitBreakerLayer {
    /// A circuit with the default [`Policy`], and its layer.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Policy::new().layer(name)
    }
}

impl<L> CircuitBreaker<L> {
    /// A layer that guards a service with this circuit.
    #[must_use]
    pub fn layer(&self) -> CircuitBreakerLayer<ErrorsAreTransient, AtOnce, L> {
        CircuitBreakerLayer {
            breaker: self.clone(),
            classify: ErrorsAreTransient::new(),
            tail: AtOnce,
        }
    }
}

impl<C, T, L> CircuitBreakerLayer<C, T, L> {
    /// Tells what a result means by this classifier. The default takes every error for a failure
    /// and every response for a success.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> CircuitBreakerLayer<D, T, L> {
        CircuitBreakerLayer {
            breaker: self.breaker,
            classify,
            tail: self.tail,
        }
    }

    /// Watches the response's tail to its end: a body or stream that breaks off is a failure, one
    /// that the caller drops is neutral. A probe is judged by its response all the same.
    #[must_use]
    pub fn until_end(self) -> CircuitBreakerLayer<C, UntilEnd, L> {
        CircuitBreakerLayer {
            breaker: self.breaker,
            classify: self.classify,
            tail: UntilEnd,
        }
    }

    /// The circuit itself, to be read and changed.
    #[must_use]
    pub fn handle(&self) -> CircuitBreaker<L> {
        self.breaker.clone()
    }
}

impl<C: Clone, T: Clone, L> Clone for CircuitBreakerLayer<C, T, L> {
    /// The same layer, with the same circuit.
    fn clone(&self) -> Self {
        Self {
            breaker: self.breaker.clone(),
            classify: self.classify.clone(),
            tail: self.tail.clone(),
        }
    }
}

impl<S, C: Clone, T: Clone, L> Layer<S> for CircuitBreakerLayer<C, T, L> {
    type Service = CircuitBreakerService<S, C, T, L>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreakerService::new(
            inner,
            self.breaker.clone(),
            self.classify.clone(),
            self.tail.clone(),
        )
    }
}
