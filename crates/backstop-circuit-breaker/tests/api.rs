//! Every public type has a name and the auto traits that its parts allow.

use std::rc::Rc;

use backstop_circuit_breaker::{
    AtOnce, Cause, CircuitBreaker, CircuitBreakerLayer, CircuitBreakerService, Counts, FaultKind,
    FaultKinds, Gate, InvalidPolicy, Isolation, Jitter, Listener, Open, OpenWait, Permit, Policy,
    Rate, Registry, Snapshot, State, TailGuard, Transition, Transitions, UnknownVersion, UntilEnd,
    Window, future::ResponseFuture,
};
use backstop_core::ErrorsAreTransient;
use static_assertions::{assert_impl_all, assert_not_impl_any, assert_obj_safe};

assert_impl_all!(Policy: Send, Sync, Copy, std::fmt::Debug, Default);
assert_impl_all!(CircuitBreaker: Send, Sync, Clone, Unpin, std::fmt::Debug, Gate);
assert_impl_all!(CircuitBreakerLayer: Send, Sync, Clone, std::fmt::Debug);
assert_impl_all!(CircuitBreakerLayer<ErrorsAreTransient, UntilEnd>: Send, Sync, Clone);
assert_impl_all!(CircuitBreakerService<()>: Send, Sync, Clone, Unpin, std::fmt::Debug);
assert_impl_all!(ResponseFuture<(), (), AtOnce, ()>: Send, std::fmt::Debug);
assert_impl_all!(Permit: Send, Sync, std::fmt::Debug);
assert_impl_all!(Isolation: Send, Sync, std::fmt::Debug);
assert_impl_all!(TailGuard: Send, Sync, Unpin, std::fmt::Debug);
assert_impl_all!(Transitions: Send, Sync, std::fmt::Debug);
assert_impl_all!(Registry<String, fn(&String) -> std::sync::Arc<str>>: Send, Sync, std::fmt::Debug);
assert_impl_all!(Snapshot: Send, Sync, Clone, Eq, std::fmt::Debug);
assert_impl_all!(Open: Send, Sync, Clone, std::error::Error);
assert_impl_all!(InvalidPolicy: Send, Sync, Clone, Eq, std::error::Error);
assert_impl_all!(UnknownVersion: Send, Sync, Clone, Eq, std::error::Error);
assert_impl_all!(Counts: Send, Sync, Copy, Eq, Default);
assert_impl_all!(Transition: Send, Sync, Copy, Eq, std::fmt::Display);
assert_impl_all!(State: Send, Sync, Copy, Ord, std::hash::Hash, std::fmt::Display);
assert_impl_all!(Cause: Send, Sync, Copy, Eq, std::hash::Hash, std::fmt::Display);
assert_impl_all!(Rate: Send, Sync, Copy, PartialOrd);
assert_impl_all!(Window: Send, Sync, Copy, Eq);
assert_impl_all!(OpenWait: Send, Sync, Copy, PartialEq);
assert_impl_all!(Jitter: Send, Sync, Copy, Eq, Default);
assert_impl_all!(FaultKind: Send, Sync, Copy);
assert_impl_all!(FaultKinds: Send, Sync, Copy);
assert_obj_safe!(Listener);
assert_obj_safe!(Gate);

// A service that is not `Send` stays usable, and a classifier need be no more than the layer is
// asked to be. A permit is used up by what is told of it.
assert_not_impl_any!(CircuitBreakerService<Rc<()>>: Send);
assert_not_impl_any!(CircuitBreakerLayer<Rc<()>>: Send);
assert_not_impl_any!(Permit: Clone, Copy);
assert_not_impl_any!(Policy: tower::Layer<()>);
